"""Look-ups read by an index: SQLite's own account of its plans shows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.index.lines import BASE_NS, append, make_id, make_line, open_index
from whence.index import Index, Row
from whence.query import Query

COUNT = 400


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("log")
    append(folder, [line(n) for n in range(COUNT)])
    with open_index(folder) as opened:
        yield opened


def event_id(n: int) -> str:
    return f"imported-{n:04d}" if n % 10 == 5 else make_id(time_of(n), n)


def time_of(n: int) -> int:
    return BASE_NS + n * 100_000_000


def line(n: int) -> bytes:
    return make_line(
        n,
        id=event_id(n),
        time=time_of(n),
        type=f"type-{n % 4}",
        agent=f"agent-{n % 5}",
        target=f"task-{n % 20}",
        parent=event_id(n // 2) if n else None,
        trace=event_id(0) if n else None,
        links=[event_id(n - 7)] if n > 7 else None,
    )


def plans(index: Index, ask: Any) -> list[str]:
    """Ask, and return what SQLite says of how it ran each statement."""
    db = index._connection()
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    ask(index)
    db.set_trace_callback(None)
    return [
        row[3]
        for statement in statements
        if "entries" in statement or "links" in statement
        for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


QUERIES = [
    Query(),
    Query(own=True),
    Query(target="task-1"),
    Query(agent="agent-1"),
    Query(agent="agent-1", target="task-1"),
    Query(type="type-1"),
    Query(parent=make_id(time_of(3), 3)),
    Query(trace=make_id(time_of(0), 0)),
    Query(since=time_of(10), until=time_of(20)),
    Query(agent="agent-1", since=time_of(10), until=time_of(20)),
    Query(target="task-1", status="error", since=time_of(10)),
    Query(trace=make_id(time_of(0), 0), agent="agent-2", until=time_of(90)),
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("newest_first", [False, True])
def test_every_find_reads_by_an_index(index: Index, query: Query, newest_first: bool) -> None:
    after = (time_of(200), 201)

    steps = plans(index, lambda index: list(index.find(query, newest_first=newest_first)))
    steps += plans(
        index, lambda index: list(index.find(query, newest_first=newest_first, after=after))
    )

    whole = [step for step in steps if step.startswith("SCAN e")]
    assert all("USING INDEX entries_by_time" in step for step in whole), steps
    if query.target is not None or query.agent is not None:
        assert not whole, steps


@pytest.mark.parametrize(
    "ask",
    [
        lambda index: index.by_id(event_id(7)),
        lambda index: index.by_id(event_id(15)),
        lambda index: index.by_prefix(event_id(7)[:10]),
        lambda index: index.by_prefix(event_id(7)[:20]),
        lambda index: index.by_prefix("imported-00"),
        lambda index: index.rows([3, 4]),
        lambda index: index.children([1, 2, 3]),
        lambda index: index.descendants([1], 100),
        lambda index: index.ancestors(COUNT),
        lambda index: index.links([30]),
    ],
)
def test_every_look_up_reads_by_an_index(index: Index, ask: Any) -> None:
    steps = plans(index, ask)

    assert steps
    assert not [step for step in steps if step.startswith(("SCAN e", "SCAN l"))], steps


def ids(rows: list[Row]) -> list[str]:
    return [row.id for row in rows]


def test_prefixes_find_ids_of_both_forms_in_the_order_of_time(index: Index) -> None:
    assert ids(index.by_prefix(event_id(7))) == [event_id(7)]
    assert ids(index.by_prefix("imported-00")) == [event_id(n) for n in range(5, 100, 10)]
    assert len(index.by_prefix(event_id(7)[:5], 30)) == 30
    assert index.by_prefix("zzz") == []
    assert index.by_prefix(event_id(7) + "0") == []


def test_suffixes_find_ids_of_both_forms_the_latest_first(index: Index) -> None:
    assert ids(index.by_suffix(event_id(7)[-12:])) == [event_id(7)]
    assert ids(index.by_suffix("0b")) == [event_id(267), event_id(11)]
    assert ids(index.by_suffix(event_id(7)[-20:])) == [event_id(7)]
    assert ids(index.by_suffix("d-0015")) == [event_id(15)]
    assert index.by_suffix("zzz") == []


ODD_IDS = ["A\0B1", "A\0B2", "a\U0010ffff", "a\U0010ffff\U0010ffffz", "a", "é\0", "b%_"]


@pytest.mark.parametrize("whole", ODD_IDS)
def test_prefixes_and_suffixes_of_odd_ids_find_all_that_have_them(
    tmp_path: Path, whole: str
) -> None:
    append(tmp_path, [make_line(n, id=name) for n, name in enumerate(ODD_IDS)])
    with open_index(tmp_path) as index:
        for size in range(1, len(whole) + 1):
            start, end = whole[:size], whole[-size:]
            assert ids(index.by_prefix(start)) == [x for x in ODD_IDS if x.startswith(start)]
            assert ids(index.by_suffix(end)) == [x for x in ODD_IDS[::-1] if x.endswith(end)]
        found = index.by_id(whole)
        assert found is not None
        assert found.id == whole


def test_ids_of_the_last_millisecond_are_found(tmp_path: Path) -> None:
    last = [make_line(n, time=2**63 - 1 - n) for n in range(2)]
    append(tmp_path, [*last, make_line(2, time=2**63, id="far")])
    names = [make_id(2**63 - 1, n) for n in range(2)]
    with open_index(tmp_path) as index:
        assert [index.by_id(name) is not None for name in names] == [True, True]
        assert sorted(ids(index.by_prefix(names[0][:13]))) == names
        assert ids(index.by_prefix(names[0])) == names[:1]
        assert ids(index.by_prefix("ffffffff-ffff")) == []


def test_an_odd_prefix_reads_by_an_index(index: Index) -> None:
    db = index._connection()
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    index.by_prefix("imported-00")
    db.set_trace_callback(None)

    (odd,) = (statement for statement in statements if "odd_ids" in statement)
    assert db.execute(f"EXPLAIN QUERY PLAN {odd}").fetchone()[3].endswith("(id>? AND id<?)")


def test_pages_go_on_where_the_last_one_ended(index: Index) -> None:
    query = Query(agent="agent-2")
    whole = list(index.find(query, newest_first=True))
    page = list(index.find(query, newest_first=True, limit=10))
    after = (page[-1].time, page[-1].seq)

    assert page + list(index.find(query, newest_first=True, after=after)) == whole


def test_descendants_are_the_nearest_up_to_the_limit(index: Index) -> None:
    assert len(index.descendants([1], 9)) == 9
    assert len(index.descendants([1], 10_000)) == COUNT - 1


def test_a_missing_name_finds_nothing(index: Index) -> None:
    assert list(index.find(Query(target="nobody"))) == []
    assert not index.has_target("nobody")
    assert index.has_agent("agent-1")
    assert not index.has_agent("task-1")
