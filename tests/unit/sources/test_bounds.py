"""Views that come to no end, and tables that take as long as they take."""

import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contract.sources.space_case import DOCUMENT, make_store, utc, uuid7
from whence.errors import CorruptError
from whence.query import Query
from whence.sources.database import open_database
from whence.sources.source import Source
from whence.sources.space import open_source as open_space
from whence.sources.sqlite import open_source

_ENDLESS = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, {} FROM n"
)
_SHORT_S = 0.05
_PATIENCE_S = 60
"""Only so that waiting for ever turns red."""


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError("it came to no end")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_PATIENCE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, at INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(n, n) for n in range(5)])
        for name, at in (("no_rows", "i AS at"), ("rows", "i % 9 AS at")):
            where = " WHERE i < 0" if name == "no_rows" else ""
            connection.execute(f"CREATE VIEW {name} AS {_ENDLESS.format(at)}{where}")
    return path


def make(path: Path, view: str, **options: Any) -> Source:
    maps = [{"table": name, "time": "at", "unit": "s", "id": "id"} for name in (view, "orders")]
    return open_source(path, "shop", {"map": maps, "view_timeout_s": _SHORT_S, **options})


@pytest.mark.parametrize("view", ["no_rows", "rows"])
def test_a_view_without_an_end_is_told_and_the_rest_is_answered(path: Path, view: str) -> None:
    source = make(path, view)
    why = f"view {view} came to no end in 0.05 s; view_timeout_s may allow more"

    with pytest.raises(CorruptError, match=why):
        list(source.events())

    health = make(path, view).health()
    assert why in health.problem
    assert health.events >= 5
    assert source.event("orders:3") is not None
    with pytest.raises(CorruptError, match=why):
        source.event(f"{view}:-1")
    assert source.matching("orders:3", 1)


def test_all_of_the_rest_comes_first(path: Path) -> None:
    given: list[str] = []

    with pytest.raises(CorruptError, match="no end"):
        given.extend(event.id for event in make(path, "no_rows").events(newest_first=True))

    assert given == [f"orders:{n}" for n in (4, 3, 2, 1, 0)]


def test_a_table_may_take_any_time(path: Path) -> None:
    """It has an end, and sorting it is honest work."""
    tiny = {"view_timeout_s": 1e-9}
    maps = [{"table": "orders", "time": "at", "unit": "s"}]

    assert len(list(open_source(path, "shop", {"map": maps, **tiny}).events())) == 5
    with open_database(path, view_timeout_s=1e-9) as database:
        (count,) = database.row(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500000)"
            " SELECT COUNT(*) FROM n"
        ) or (0,)
    assert count == 500_000


def test_a_view_that_ends_is_read_to_its_end(path: Path) -> None:
    with closing(sqlite3.connect(path)) as owner, owner:
        owner.execute("CREATE VIEW fine AS SELECT id, at FROM orders")

    source = make(path, "fine", view_timeout_s=30)

    assert len(list(source.events())) == 10
    assert source.health().problem == ""


def test_a_view_that_the_owner_makes_meanwhile_is_bounded_too(path: Path) -> None:
    with closing(sqlite3.connect(path)) as owner:
        owner.execute("PRAGMA journal_mode = WAL")
        owner.execute("DROP VIEW rows")
        owner.execute("DROP VIEW no_rows")
        with open_database(path, view_timeout_s=_SHORT_S) as database:
            assert database.row('SELECT COUNT(*) FROM "orders"') == (5,)
            owner.execute(f"CREATE VIEW later AS {_ENDLESS.format('1')}")

            with pytest.raises(CorruptError, match="view later came to no end"):
                database.row('SELECT COUNT(*) FROM "later"')


def test_a_view_in_the_place_of_a_swarms_table_is_bounded(tmp_path: Path) -> None:
    sent = {"id": uuid7(1), "content": "x", "created_at": utc(1)}
    make_store(tmp_path, DOCUMENT, [("bridge", "messages", sent)])
    with closing(sqlite3.connect(tmp_path / "ops.db")) as owner, owner:
        owner.execute("DROP TABLE tasks")
        columns = "NULL AS parent_id, 'x' AS description, 1 AS created_at"
        owner.execute(f"CREATE VIEW tasks AS {_ENDLESS.format(columns)} WHERE i < 0")
    source = open_space(tmp_path, "swarm", {"view_timeout_s": _SHORT_S})

    answer = source.events(Query(type="send"))
    assert next(answer).id == uuid7(1)
    assert "view tasks came to no end" in source.health().problem
    assert source.health().events == 1


@pytest.mark.parametrize("given", [0, -1, "10", True, float("nan")])
def test_what_is_no_time_is_refused(path: Path, given: object) -> None:
    for open_it in (open_source, open_space):
        with pytest.raises(ValueError, match="view_timeout_s is"):
            open_it(path, "shop", {"view_timeout_s": given})


def test_ctrl_c_ends_what_sqlite_is_at(path: Path) -> None:
    with open_database(path, view_timeout_s=_PATIENCE_S * 10) as database:
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()

        with pytest.raises(KeyboardInterrupt):
            database.row('SELECT COUNT(*) FROM "no_rows"')

        assert database.row('SELECT COUNT(*) FROM "orders"') == (5,)
