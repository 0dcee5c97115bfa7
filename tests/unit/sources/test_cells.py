"""Cells that are too long to hold: cut, with their length, and never loaded as a whole."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contract.sources.space_case import DOCUMENT, make_store, utc, uuid7
from whence.errors import CorruptError
from whence.query import Query
from whence.sources.cells import HELD_MAX, KEPT
from whence.sources.source import Source
from whence.sources.space import open_source as open_space
from whence.sources.sqlite import open_source

BOUND_MB = 200

_TABLE = "CREATE TABLE log (id TEXT PRIMARY KEY, at INTEGER, who TEXT, said TEXT, note TEXT)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def write(path: Path, *rows: tuple[Any, ...], schema: str = _TABLE) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in schema.split(";"):
            connection.execute(statement)
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO log VALUES ({marks})", rows)


def usual(count: int, start: int = 0) -> list[tuple[Any, ...]]:
    return [(f"e{n}", n, f"a{n % 3}", f"said {n}", None) for n in range(start, start + count)]


def make(path: Path, **options: Any) -> Source:
    keys = {"table": "log", "time": "at", "unit": "s", "id": "id", "agent": "who"}
    return open_source(path, "log", {**keys, **options})


@pytest.mark.parametrize(
    "text",
    [
        "x" * KEPT,
        "x" * (KEPT + 1),
        "é" * (KEPT // 2),
        "x" + "é" * (KEPT // 2),
        "😀" * KEPT,
        "x" * (HELD_MAX + 1),
        "x" + "é" * HELD_MAX,
    ],
    ids=["short", "long", "characters", "half", "emoji", "not loaded", "half, not loaded"],
)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_a_long_text_is_cut_with_its_length_beside_it(path: Path, text: str, encoding: str) -> None:
    rows = [*usual(2), ("long", 2, "a", text, "kept"), *usual(2, start=3)]
    write(path, *rows, schema=f"PRAGMA encoding = '{encoding}';{_TABLE}")
    stored = text.encode(encoding)

    (event,) = [each for each in make(path).events() if each.id == "long"]

    if len(stored) <= KEPT:
        assert event.data == {"said": text, "note": "kept"}
    else:
        beginning = stored[:KEPT].decode(encoding, errors="ignore")
        assert event.data["said"] == beginning + "…"
        assert event.data["said_length"] == len(text)
        assert event.data["note"] == "kept"


def test_bytes_that_are_not_loaded_show_their_first(path: Path) -> None:
    write(path, ("a", 1, "w", bytes(HELD_MAX + 1), None), *usual(3))

    (event,) = make(path).events(Query(agent="w"))

    assert event.data["said"] == "00" * 64 + "…"


@pytest.mark.parametrize("newest_first", [False, True])
def test_what_follows_a_cell_that_is_not_loaded_comes_once(path: Path, newest_first: bool) -> None:
    """Met in the middle of an answer, the statement is run again."""
    long = "x" * (HELD_MAX + 1)
    rows = [*usual(700), ("long1", 350, "a1", long, None), ("long2", 650, "a1", "s", long)]
    write(path, *rows, schema=f"{_TABLE};CREATE INDEX by_at ON log (at)")

    events = list(make(path).events(newest_first=newest_first))
    unordered = make(path).health()

    assert len(events) == len({event.id for event in events}) == 702
    assert unordered.events == 702
    assert unordered.problem == ""


def test_an_answer_stays_of_one_moment_when_its_statement_is_run_again(path: Path) -> None:
    write(path, *usual(600), ("long", 599, "a1", "x" * (HELD_MAX + 1), None))
    with closing(sqlite3.connect(path)) as owner:
        owner.execute("PRAGMA journal_mode = WAL")
        owner.execute("CREATE INDEX by_at ON log (at)")
        source = make(path)
        answer = source.events()
        seen = [next(answer).id]
        owner.execute("DELETE FROM log WHERE at BETWEEN 1 AND 300")
        owner.execute("INSERT INTO log VALUES ('new', 0, 'a', 'b', 'c')")
        owner.commit()

        seen += [event.id for event in answer]
        source.close()

    assert len(seen) == len(set(seen)) == 601
    assert "new" not in seen


def test_a_cell_that_became_short_or_long_is_read_as_it_is_now(path: Path) -> None:
    write(path, *usual(3), ("long", 9, "a", "x" * (HELD_MAX + 1), "n"))
    with closing(sqlite3.connect(path)) as owner:
        owner.execute("PRAGMA journal_mode = WAL")
        source = make(path, payload=["said"])
        assert [len(event.data["said"]) for event in source.events()] == [6, 6, 6, KEPT + 1]

        owner.execute("UPDATE log SET said = 7 WHERE id = 'long'")
        owner.execute("UPDATE log SET said = ? WHERE id = 'e1'", ("y" * (HELD_MAX + 5),))
        owner.commit()

        found = {event.id: event.data for event in source.events()}
        assert found["long"]["said"] == "7"
        assert found["e1"]["said_length"] == HELD_MAX + 5
        source.close()


def test_a_name_that_is_cut_is_no_name(path: Path) -> None:
    long = "x" * (KEPT + 1)
    write(path, *usual(1), (long, 1, "a", "s", "n"), ("id", 2, long, "s", "n"))
    source = make(path)

    _, event = source.events()

    assert (event.id, event.agent) == ("id", None)
    assert event.data["who_length"] == KEPT + 1
    assert source.health().not_understood == 1
    (row,) = source.raw()
    assert row.problem == f"id is '{'x' * 39}…, want an id"


def test_where_only_whole_cells_can_be_used_it_is_said(path: Path) -> None:
    schema = f"{_TABLE} WITHOUT ROWID"
    write(path, *usual(2), ("long", 1, "a", "x" * (HELD_MAX + 1), None), schema=schema)

    with pytest.raises(CorruptError, match="holds a cell of more than 8,388,608 bytes"):
        list(make(path).events())


def test_a_swarms_long_texts_are_cut_too(tmp_path: Path) -> None:
    long = "@haiku-1 " + "x" * HELD_MAX
    maker_row = {"id": uuid7(0), "name": "haiku-1", "created_at": utc(0)}
    noted_row = {"id": uuid7(9), "source": "ops", "event_type": "note", "data": '{"a": "' + long}
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("spawn", "agents", maker_row),
        ("events", "events", noted_row),
    ]
    for number, said in enumerate([long, long.encode(), "x" * (KEPT + 1), "short", None], 1):
        sent_row = {"id": uuid7(number), "content": said, "created_at": utc(number)}
        rows.append(("bridge", "messages", sent_row))
    make_store(tmp_path, DOCUMENT, rows)
    source = open_space(tmp_path, "swarm", {})

    sent = list(source.events(Query(type="send")))
    (noted,) = source.events(Query(type="note", primitive="ops"))
    (maker,) = source.events(Query(type="create_agent"))

    assert [event.data.get("content_length") for event in sent] == [
        len(long), len(long), KEPT + 1, None, None,
    ]  # fmt: skip
    assert {len(event.data["content"]) for event in sent[:3]} == {KEPT + 1}
    assert noted.data["data_length"] == len(long) + 7
    # Who is mentioned at the beginning is found both ways.
    assert [tie.event for tie in source.causes(sent[0])] == [maker]
    assert {tie.event.id for tie in source.effects(maker)} == {uuid7(1), uuid7(2)}
    assert source.health().problem == ""
    source.close()


# --- memory -------------------------------------------------------------------------------------

_WRITE = """
import sqlite3, sys
from pathlib import Path
from tests.contract.sources.space_case import DOCUMENT, make_store, utc, uuid7

path = Path(sys.argv[1])
long = "cast(replace(hex(zeroblob(80000000)), '0', 'x') AS TEXT)"
rows = [
    ("bridge", "messages", {"id": uuid7(n), "agent_id": "a", "content": "s", "created_at": utc(n)})
    for n in range(1000)
]
rows += [
    ("memory", "memories", {"memory_id": uuid7(n), "agent_id": "a", "created_at": n})
    for n in range(80)
]
make_store(path, DOCUMENT, rows)
with sqlite3.connect(path / "bridge.db") as store:
    store.execute(f"UPDATE messages SET content = {long} WHERE rowid = 500")
    store.execute("UPDATE messages SET content = zeroblob(160000000) WHERE rowid = 501")
with sqlite3.connect(path / "memory.db") as store:
    # Many that are only rather long.
    store.execute("UPDATE memories SET message = replace(hex(zeroblob(1000000)), '0', 'x')")
    store.execute("UPDATE memories SET topic = zeroblob(1000000)")
"""

_ASK = """
import json, resource, sys
from pathlib import Path
from whence.query import Query
from whence.sources.space import open_source as open_space
from whence.sources.sqlite import open_source

path, file, table = Path(sys.argv[1]), *sys.argv[2:]
if file:
    keys = {"table": table, "time": "created_at", "agent": "agent_id"}
    keys["unit"] = "s" if table == "memories" else "iso"
    source = open_source(path / file, "mapped", keys)
else:
    source = open_space(path, "swarm", {})

def peak():
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

count = sum(1 for _ in source.events())
newest = next(source.events(newest_first=True))
assert source.event(newest.id) == newest
assert sum(1 for _ in source.events(Query(agent="a"))) == count
sum(1 for _ in source.events(Query(target=newest.target)))
source.matching(newest.id[-9:], 5)
list(source.names("agent")), list(source.names("target")), list(source.raw())
source.causes(newest), source.effects(newest), source.has_name("agent", "nobody")
health = source.health()
print(json.dumps([count, health.events, health.problem, peak()]))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("long")
    subprocess.run([sys.executable, "-c", _WRITE, str(path)], check=True)
    yield path
    for file in path.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("table", "count"),
    [(["", ""], 1080), (["bridge.db", "messages"], 1000), (["memory.db", "memories"], 80)],
)
def test_memory_stays_small_whatever_a_cell_holds(
    store: Path, table: list[str], count: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASK, str(store), *table], check=True, capture_output=True
    )

    events, healthy, problem, peak_mb = json.loads(done.stdout)

    assert (events, healthy, problem) == (count, count, "")
    assert peak_mb < BOUND_MB
