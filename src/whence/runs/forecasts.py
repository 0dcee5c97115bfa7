"""The file of a memory of forecasts: one open connection for the whole process, shared by all who ask.

Safe for threads, processes and forks. What is in it can be had from the journal again, so a file that
broke is set aside.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from whence.errors import FormatError, StoreError
from whence.journal.forks import watch_forks

VERSION = 1
PATIENCE_S = 30.0
"""How long to wait for other processes that write."""

_SCHEMA = """
CREATE TABLE forecasts (
    place INTEGER PRIMARY KEY,
    forecast_id TEXT NOT NULL UNIQUE,
    trace_id TEXT,
    domain TEXT,
    confidence REAL,
    entry TEXT NOT NULL
) STRICT;
CREATE INDEX by_trace ON forecasts (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX by_domain ON forecasts (domain, place) WHERE domain IS NOT NULL;
CREATE INDEX by_confidence ON forecasts (confidence) WHERE confidence IS NOT NULL;
CREATE TABLE counted (size INTEGER NOT NULL) STRICT;
INSERT INTO counted VALUES (0);
CREATE TRIGGER count_new AFTER INSERT ON forecasts BEGIN UPDATE counted SET size = size + 1; END;
CREATE TRIGGER count_gone AFTER DELETE ON forecasts BEGIN UPDATE counted SET size = size - 1; END;
"""
# The size is kept so that a full memory costs no more to store in than an empty one.

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Fill = Callable[[sqlite3.Connection], object]
"""Puts into new tables what was remembered before."""

# A connection that came over a fork must not be closed by the child: kept, so that it never is.
_inherited: list[object] = []


class Forecasts:
    """One file of forecasts, opened when it is used; also after `close`, and in a forked child."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # The lock guards the connection.
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        watch_forks(self, self._lock)

    def after_fork(self) -> None:
        """Begin anew in a forked child: the connection belongs to its parent."""
        if self._db is not None:
            _inherited.append(self._db)
            self._db = None
        self._lock = threading.RLock()
        watch_forks(self, self._lock)

    def close(self) -> None:
        """Give the connection back; the next use opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def read(self, statement: str, values: Sequence[Any], fill: Fill) -> list[tuple[Any, ...]]:
        """Ask for rows.

        Raises:
            StoreError: the file cannot be used now.
            FormatError: a newer Whence made it.
        """
        with self._guarded():
            return self._ready(fill).execute(statement, values).fetchall()

    @contextmanager
    def change(self, fill: Fill) -> Iterator[sqlite3.Connection]:
        """Change rows, all or none; while it lasts no other process changes any. Raises as `read`."""
        with self._guarded():
            db = self._ready(fill)
            with _transaction(db):
                yield db

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                if _is_broken(error):
                    self._set_aside()
                raise StoreError(f"memory {self.path} cannot be used: {error}") from error

    def _ready(self, fill: Fill) -> sqlite3.Connection:
        """The open connection, its tables made and filled where there were none."""
        if self._db is not None and self._is_moved():
            self._db.close()
            self._db = None
        if self._db is None:
            try:
                self._db = self._open(fill)
            except sqlite3.Error as error:
                if not _is_broken(error):
                    raise
                self._set_aside()
                self._db = self._open(fill)
        return self._db

    def _open(self, fill: Fill) -> sqlite3.Connection:
        db = _connect(self.path)
        try:
            version = _version(db)
            if version == 0:
                with _transaction(db):
                    # Another process may have made them while this one waited.
                    if _version(db) == 0:
                        self._make_tables(db)
                        fill(db)
                version = _version(db)
            if version > VERSION:
                raise FormatError(
                    f"memory {self.path} was made by a newer Whence: it has format {version},"
                    f" this one knows {VERSION}"
                )
        except BaseException:
            db.close()
            raise
        self._inode = os.stat(self.path).st_ino
        return db

    def _make_tables(self, db: sqlite3.Connection) -> None:
        if db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise StoreError(
                f"{self.path} is no memory of forecasts: it has tables of somebody else"
            )
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")

    def _is_moved(self) -> bool:
        """Whether somebody removed or replaced the file that is open."""
        try:
            return os.stat(self.path).st_ino != self._inode
        except FileNotFoundError:
            return True

    def _set_aside(self) -> None:
        """Keep a file that broke under another name; the next use makes a new one."""
        is_ours = self._db is None or not self._is_moved()
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        if not is_ours:
            return
        try:
            os.replace(self.path, self.path.with_name(self.path.name + ".broken"))
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"memory {self.path} is broken and stays: {error.strerror}") from error


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"cannot open memory {path}: {error.strerror}") from error
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE_S)
    try:
        db.execute("PRAGMA journal_mode = wal")
        # A power cut may take the newest back, which the journal has too, but mixes nothing up.
        db.execute("PRAGMA synchronous = normal")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # SQLite may have rolled back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _is_broken(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN
