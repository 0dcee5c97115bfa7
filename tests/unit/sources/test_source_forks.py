"""Children that are forked while the parent's threads read foreign databases begin anew, and never wait."""

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from whence.sources import ordering
from whence.sources.database import Database, open_database
from whence.sources.ordering import put_in_order

_PATIENCE_S = 30
"""Only so that waiting for ever turns red."""

_CHILDREN = 20


def run_in_child(act: Callable[[], object]) -> int:
    """Fork, act there, and return how the child ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_PATIENCE_S)
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, at INTEGER, said TEXT)")
        rows = [(n, n * 7 % 1000, "x" * 50) for n in range(20_000)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return path


def read(database: Database) -> None:
    assert sum(1 for _ in database.rows("SELECT * FROM orders ORDER BY at, said")) == 20_000


def sort() -> None:
    items = [(n * 7 % 1000, str(n), (n, "x" * 50)) for n in range(2_000)]
    assert len(list(put_in_order(items))) == 2_000


def test_a_child_never_waits_for_a_thread_that_it_does_not_have(path: Path) -> None:
    is_over = threading.Event()

    with open_database(path) as database, open_database(path) as other:
        read(database)

        def ask_on() -> None:
            with patch.object(ordering, "HELD", 100):
                while not is_over.is_set():
                    read(database)
                    sort()
                    database.close()

        def act() -> None:
            read(database)
            read(other)
            sort()

        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            ends = [run_in_child(act) for _ in range(_CHILDREN)]
        finally:
            is_over.set()
            thread.join()

        assert ends == [0] * _CHILDREN
        read(database)


def test_a_child_opens_anew_and_leaves_its_parents_connection_alone(path: Path) -> None:
    with open_database(path) as database:
        answer = database.rows("SELECT id FROM orders ORDER BY id")
        assert next(answer) == (0,)

        def act() -> None:
            before = database.version()
            read(database)
            assert database.version() == before
            database.close()

        assert run_in_child(act) == 0
        assert sum(1 for _ in answer) == 19_999
