"""Databases read by a mapping: real files, written by SQLite, sometimes by another process meanwhile."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.errors import CorruptError, StoreError
from whence.query import Query, matches
from whence.sources import ordering, select
from whence.sources.mapping import MappingError
from whence.sources.source import Source, by_time
from whence.sources.sqlite import open_source

START = 1_795_000_000


def write(path: Path, *statements: str, rows: list[tuple[Any, ...]] | None = None) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            if rows is not None and statement.startswith("INSERT"):
                connection.executemany(statement, rows)
            else:
                connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


def make(path: Path, **options: Any) -> Source:
    return open_source(path, "shop", options)


# --- filters ------------------------------------------------------------------------------------

_DAYS = st.integers(0, 4)
_ONE_ZONE = [
    "{d} {t}", "{d}T{t}", "{d} {t}.5", "{d} {t}.25Z", "{d}T{t}Z", "{d} {t},75 UTC", "{d} {t}.000001"
]  # fmt: skip
_OTHERS = ["{d} {t}+11:00", "{d}T{t}.125-05:00", "{d} {t}-0030", "{d}", "{d} 99:00:00", "never"]
_SHAPES = st.sampled_from(_ONE_ZONE + _OTHERS)
_CLOCKS = st.sampled_from(["00:00:00", "01:30:00", "02:30:00", "23:59:59"])
_NUMBER = st.integers(START, START + 5) | st.floats(START, START + 5) | st.just(str(START + 2))
_WHEN = st.none() | st.just(b"\x00") | st.just(2**62)
_NAMES = st.sampled_from(["a", "#a", "b", "", "1", 1, 1.5, b"\xab", "ab", None])


def _write_times(shapes: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda shape, day, clock: shape.format(d=f"2026-04-0{day + 3}", t=clock),
        shapes,
        _DAYS,
        _CLOCKS,
    )


@st.composite
def _stores(draw: st.DrawFn) -> tuple[str, dict[str, Any], list[tuple[Any, ...]]]:
    is_iso = draw(st.booleans())
    one_shape = draw(_SHAPES)
    shapes = draw(st.sampled_from([_SHAPES, st.sampled_from(_ONE_ZONE), st.just(one_shape)]))
    times = _write_times(shapes)
    rows = draw(st.lists(st.tuples((times if is_iso else _NUMBER) | _WHEN, _NAMES, _NAMES, _NAMES)))
    keys: dict[str, Any] = {"unit": "s"}
    if is_iso:
        keys = {"zone": draw(st.sampled_from(["UTC", "+10:30", "Australia/Sydney", "local"]))}
    if draw(st.booleans()):
        keys["id"] = "name"
    declared = draw(st.sampled_from(["", "TEXT", "INTEGER", "REAL", "DATETIME"]))
    return declared, keys, rows


def test_bytes_and_texts_that_read_the_same_are_told_apart(path: Path) -> None:
    write(path, "CREATE TABLE t (k, at INTEGER)")
    write(path, "INSERT INTO t VALUES ('ab', 1), (x'ab', 2), ('1', 3), (1, 4)")

    ids = [event.id for event in make(path, id="k", time="at", unit="s").events()]

    assert ids == ["ab", "ab#2", "1", "1#4"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(_stores(), st.booleans(), st.booleans())
def test_a_filter_gives_what_filtering_everything_gives(
    path: Path, store: tuple[str, dict[str, Any], list[tuple[Any, ...]]], index: bool, spill: bool
) -> None:
    declared, keys, rows = store
    path.unlink(missing_ok=True)
    write(path, f"CREATE TABLE t (at {declared}, who TEXT, what, name)")
    write(path, "INSERT INTO t VALUES (?, ?, ?, ?)", rows=rows)
    if index:
        write(path, "CREATE INDEX by_at ON t (at)", "CREATE INDEX by_who ON t (who)")
    source = make(path, time="at", agent="who", target="what", type="what", parent="name", **keys)

    few = 2 if spill else 1000
    with patch.object(ordering, "HELD", few), patch.object(select, "PAGE", few):
        events = list(source.events())

        assert events == sorted(events, key=by_time)
        assert len({event.id for event in events}) == len(events)
        assert len(events) + len(list(source.raw())) == len(rows)
        for event in events:
            assert source.event(event.id) == event
            for query in (
                Query(since=event.time_ns, until=event.time_ns + 1),
                Query(since=event.time_ns - 1),
                Query(until=event.time_ns, agent=event.agent),
                Query(target=event.target),
                Query(agent=event.agent, target=event.target, since=event.time_ns),
                Query(type=event.type),
                Query(parent=event.parent),
            ):
                wanted = [each for each in events if matches(query, each)]
                assert list(source.events(query)) == wanted, query
                assert list(source.events(query, newest_first=True)) == wanted[::-1], query
    assert set(source.names("agent")) >= {event.agent for event in events} - {None}
    assert set(source.names("target")) >= {event.target for event in events} - {None}
    source.close()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("2026-04-03 02:30:00+01:30", 0),
        ("2026-04-03T02:30:00.5 +0130", 0),
        ("2026-04-03 00:00:00.25-02", 2),
        ("2026-04-03 01:30", 1),
        ("2026-04-03 01:15Z", 0),
        ("2026-04-03", 0),
        ("2026-04-03 99:30:00", None),
        ("never", None),
    ],
)
def test_a_text_that_is_written_another_way_stands_where_it_belongs(
    path: Path, text: str, place: int | None
) -> None:
    write(path, "CREATE TABLE t (at TEXT)")
    texts = ["2026-04-03 01:15:30", "2026-04-03T01:45:00Z", "2026-04-03 03:00:00.5", text]
    write(path, "INSERT INTO t VALUES (?)", rows=[(each,) for each in texts])
    source = make(path, time="at", zone="UTC")
    wanted = ["1", "2", "3"]
    if place is not None:
        wanted.insert(place, "4")

    assert [event.id for event in source.events()] == wanted
    assert [event.id for event in source.events(newest_first=True)] == wanted[::-1]


# --- mappings and schemas -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"time": "creatd_at"}, 'table orders has no column "creatd_at" for `time`; did you mean "created_at"?'),
        ({"time": "CREATED_AT", "agent": "zzz"}, 'no column "zzz" for `agent`, want one of id, created_at'),
        ({"time": "created_at", "relations": {"itm": "x"}}, 'no column "itm" for `relations`; did you mean "item"?'),
        ({"time": "created_at", "text": "{itm}"}, 'no column "itm", which `text` names; did you mean "item"?'),
        ({"time": "created_at", "table": "order"}, 'no table "order"; did you mean "orders"?'),
        ({"time": "created_at", "parent": "item", "parent_table": "log"}, 'no table "log"'),
    ],
)  # fmt: skip
def test_a_name_that_the_schema_lacks_is_told_with_one_like_it(
    path: Path, keys: dict[str, Any], message: str
) -> None:
    write(path, "CREATE TABLE orders (id INTEGER PRIMARY KEY, created_at TEXT, item TEXT)")
    source = make(path, **keys)

    with pytest.raises(MappingError) as caught:
        next(source.events())

    assert str(caught.value).startswith("[[source]] shop.db")
    assert message in str(caught.value)
    assert source.health().problem == str(caught.value)


def test_which_table_is_meant_has_to_be_said_if_there_are_several(path: Path) -> None:
    write(path, "CREATE TABLE a (at)", "CREATE TABLE b (at)")

    with pytest.raises(MappingError, match="has no `table`, want one of a, b"):
        next(make(path, time="at").events())


def test_a_source_without_a_mapping_is_refused_at_once(path: Path) -> None:
    with pytest.raises(ValueError, match="whence sources suggest shop"):
        make(path)


def test_a_relation_leads_to_a_table_that_is_mapped(path: Path) -> None:
    write(path, "CREATE TABLE a (at, b)", "CREATE TABLE b (at)")
    relations = {"b": {"reason": "of", "table": "b"}}

    with pytest.raises(MappingError, match='table a refers to table "b", which no mapping is for'):
        next(make(path, table="a", time="at", relations=relations).events())


def test_names_of_a_schema_are_only_names(path: Path) -> None:
    table, column = 'a"; DROP TABLE t; --', 'it\'s "at" [x] `y`'
    quoted = [name.replace('"', '""') for name in (table, column)]
    write(path, f'CREATE TABLE "{quoted[0]}" ("{quoted[1]}" INTEGER, rowid TEXT, "select" TEXT)')
    write(path, f"INSERT INTO \"{quoted[0]}\" VALUES (1, 'x', 'y')")

    [event] = make(
        path, table=table, time=column, unit="s", agent="ROWID", target="select"
    ).events()

    assert (event.agent, event.target, event.id) == ("x", "y", "1")


def test_a_changed_schema_is_looked_at_again(path: Path) -> None:
    write(path, "CREATE TABLE t (at INTEGER, a TEXT)", "INSERT INTO t VALUES (1, 'x')")
    source = make(path, time="at", unit="s", agent="a")
    assert [event.agent for event in source.events()] == ["x"]

    write(path, "ALTER TABLE t RENAME COLUMN a TO b")

    with pytest.raises(MappingError, match='no column "a"'):
        next(source.events())


# --- rows ---------------------------------------------------------------------------------------


def test_ids_that_rows_share_are_told_apart(path: Path) -> None:
    write(path, "CREATE TABLE t (k TEXT, at INTEGER)")
    write(path, "INSERT INTO t VALUES ('a', 1), ('b', 1), ('a', 2), (NULL, 3), ('a', 3)")
    source = make(path, id="k", time="at", unit="s")

    assert [event.id for event in source.events()] == ["a", "b", "a#3", "a#5"]
    assert [*source.events()][2].remark == "several rows have the id a"
    assert source.event("a#5") is not None
    assert [event.id for event in source.matching("a", 9)] == ["a", "a#3", "a#5"]
    assert [row.place for row in source.raw()] == ["t row 4"]


def test_rows_of_a_view_that_share_an_id_are_not_understood(path: Path) -> None:
    write(path, "CREATE TABLE t (k TEXT, at INTEGER)", "CREATE VIEW v AS SELECT * FROM t")
    write(path, "INSERT INTO t VALUES ('a', 1), ('b', 1), ('a', 2)")
    source = make(path, table="v", id="k", time="at", unit="s")

    assert [event.id for event in source.events()] == ["b"]
    assert source.health().not_understood == 2
    assert [row.problem for row in source.raw()] == ["another row has the id a too"] * 2


def test_a_view_has_to_say_what_its_ids_are(path: Path) -> None:
    write(path, "CREATE TABLE t (at)", "CREATE VIEW v AS SELECT * FROM t")

    with pytest.raises(MappingError, match="want `id` to name columns"):
        next(make(path, table="v", time="at").events())


def test_a_second_time_of_a_table_need_not_have_come(path: Path) -> None:
    write(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, made INTEGER, done INTEGER)")
    write(path, "INSERT INTO t VALUES (1, 10, 30), (2, 20, NULL)")
    both = [
        {"table": "t", "time": "made", "unit": "s"},
        {"table": "t", "time": "done", "unit": "s", "parent": "id"},
    ]
    source = make(path, map=both)

    assert [(event.id, event.parent) for event in source.events()] == [
        ("t:1", None), ("t:2", None), ("t.done:1", "t:1")
    ]  # fmt: skip
    assert [event.id for event in source.events(Query(parent="t:1"))] == ["t.done:1"]
    assert source.health().not_understood == 0


def test_values_of_every_kind_are_told(path: Path) -> None:
    write(path, "CREATE TABLE t (at INTEGER, a, b BLOB, c, d TEXT, e)")
    row = (1, 2**63 - 1, b"\xff" * 10**6, float("inf"), "\x00ä", None)
    write(path, "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", rows=[row])
    write(path, "UPDATE t SET e = CAST(x'fffe41' AS TEXT)")

    [event] = make(path, time="at", unit="s").events()

    assert event.data == {
        "a": 2**63 - 1, "b": "ff" * 64 + "…", "c": "inf", "d": "\x00ä", "e": "\ufffd\ufffdA"
    }  # fmt: skip


def test_texts_are_asked_for_in_their_own_zone_and_unit(path: Path) -> None:
    """The question uses the index, and so reads few rows of many."""
    write(path, "CREATE TABLE t (at TEXT)", "CREATE INDEX i ON t (at)")
    rows = [(f"2026-01-{day:02} 12:00:00",) for day in range(1, 31)]
    write(path, "INSERT INTO t VALUES (?)", rows=rows)
    source = make(path, time="at", zone="+11:00")

    [event] = source.events(Query(since=1_768_784_400 * 10**9, until=1_768_784_401 * 10**9))

    assert event.time == "2026-01-19T01:00:00.000000000Z"


def test_what_is_no_database_is_said_to_be_damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    source = make(path, time="at")

    with pytest.raises((CorruptError, StoreError)):
        next(source.events())
    assert source.health().problem


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(100, 8000), st.binary(min_size=1, max_size=64))
def test_a_damaged_database_is_refused_or_read(path: Path, place: int, bytes_: bytes) -> None:
    path.unlink(missing_ok=True)
    write(path, "CREATE TABLE t (at INTEGER, who TEXT)")
    write(path, "INSERT INTO t VALUES (?, ?)", rows=[(n, f"agent-{n}") for n in range(200)])
    data = bytearray(path.read_bytes())
    data[place : place + len(bytes_)] = bytes_
    path.write_bytes(bytes(data))
    source = make(path, time="at", unit="s", agent="who")

    for ask in (source.events, source.raw, lambda: source.names("agent")):
        try:
            list(ask())
        except (CorruptError, StoreError):
            pass
    source.health()
    source.close()


# --- while its owner writes ---------------------------------------------------------------------

_OWNER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
for number in range(1, 2001):
    connection.execute("INSERT INTO t VALUES (?, ?, ?)", (number, 1795000000 + number % 7, f"a-{number % 3}"))
    if number % 100 == 0:
        print(number, flush=True)
"""


@pytest.fixture
def owner(path: Path) -> Iterator[subprocess.Popen[str]]:
    write(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER, who TEXT)")
    write(path, "PRAGMA journal_mode = WAL")
    command = [sys.executable, "-c", _OWNER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_is_read_while_its_owner_writes(path: Path, owner: subprocess.Popen[str]) -> None:
    assert owner.stdout is not None
    source = make(path, time="at", unit="s", agent="who")
    seen = 0

    for line in owner.stdout:
        events = list(source.events())
        assert events == sorted(events, key=by_time)
        assert len(events) >= max(seen, int(line))
        assert {event.id for event in events} == {str(n) for n in range(1, len(events) + 1)}
        seen = len(events)

    assert owner.wait() == 0
    assert len(list(source.events())) == 2000
    source.close()


def test_an_answer_is_of_one_moment_however_long_it_takes(path: Path) -> None:
    write(path, "CREATE TABLE t (at INTEGER)", "PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(path)) as owner, owner:
        # While the owner is there, so is what it writes ahead.
        owner.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1000)])
        owner.commit()
        answer = make(path, time="at", unit="s").events()
        first = next(answer)
        owner.execute("UPDATE t SET at = at + 1000 WHERE at < 100")
        owner.commit()

        assert [first.id, *(event.id for event in answer)] == [str(n) for n in range(1, 1001)]


def test_two_answers_are_read_side_by_side(path: Path) -> None:
    write(path, "CREATE TABLE t (at INTEGER)")
    write(path, "INSERT INTO t VALUES (?)", rows=[(n,) for n in range(2000)])
    source = make(path, time="at", unit="s")

    first, second = source.events(), source.events(newest_first=True)

    assert [event.id for event in islice(first, 3)] == ["1", "2", "3"]
    assert [event.id for event in islice(second, 3)] == ["2000", "1999", "1998"]
    assert sum(1 for _ in first) == sum(1 for _ in second) == 1997
    source.close()
