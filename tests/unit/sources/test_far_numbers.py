"""Ids and times that are stored as numbers at the ends of what SQLite holds, or beyond."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from whence.query import Query, matches
from whence.sources.source import Source
from whence.sources.space import open_source as open_space
from whence.sources.sqlite import open_source

_IDS = [
    2**63 - 1, 2**63 - 2, -(2**63), 5, -7, 5.5, 0.1, 1e19, 2.0**63, 1e300, float("inf"),
    float("-inf"), "5.0", "007", "-7.0", "nan",
]  # fmt: skip
_TIMES = [1, 2**63 - 2, 2**63 - 1, -(2**63), 9.3e18, 1e19, 2e20, -6e19, None]
_EDGES = [
    0, 2**63 - 2, 2**63 - 1, 2**63, 2**63 + 5, 10**19, 10**19 + 1, 2 * 10**20, 10**30, 10**400,
    -(2**63), -(2**63) - 1, -(10**19), -(6 * 10**19), -(10**30),
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "far.db"


def write(path: Path, schema: str, rows: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(schema)
        table = schema.split()[2]
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)


@pytest.mark.parametrize("declared", ["", "TEXT", "REAL", "INTEGER"])
@pytest.mark.parametrize("is_space", [False, True])
def test_what_is_listed_is_found(path: Path, declared: str, is_space: bool) -> None:
    rows = [(each, place) for place, each in enumerate(_IDS)]
    write(path, f"CREATE TABLE memories (memory_id {declared}, created_at INTEGER)", rows)
    keys = {"id": "memory_id", "time": "created_at", "unit": "s", "target": "memory_id"}
    source: Source = open_space(path, "x", {}) if is_space else open_source(path, "x", keys)

    events = list(source.events())

    assert not is_space or len(events) == len(_IDS)
    for event in events:
        # In a column of REAL some of them become the same.
        found = source.event(event.id)
        assert found is not None
        assert found.id == event.id
        if event.target is not None:
            assert event in list(source.events(Query(target=event.target)))
            assert source.has_name("target", event.target)
    source.close()


@pytest.mark.parametrize("edge", _EDGES)
def test_a_bound_beyond_whole_numbers_cuts_where_it_should(path: Path, edge: int) -> None:
    rows = list(enumerate(_TIMES))
    write(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER)", rows)
    source = open_source(path, "x", {"time": "at", "unit": "ns"})
    everything = list(source.events())
    assert len(everything) == len(_TIMES) - 1

    for query in (Query(since=edge), Query(until=edge)):
        assert list(source.events(query)) == [e for e in everything if matches(query, e)]
    source.close()
