"""Other programs' SQLite databases, read in place and never written.

How a database is opened depends on what stands beside it:

- a `-wal` and its `-shm`: its owner may be writing, so we read as one more reader (`mode=ro`), and each answer
  is one snapshot. The `-shm` may change; the database and its `-wal` do not.
- no `-wal`: as a file that does not change (`immutable=1`), so that none appears beside it. If its owner changes it
  after all, what was being read is read again, or refused where some of it was given away. Where it wants no
  `-wal`, its owner may keep his journal in memory, and only his locks tell what is not committed: we ask for ours
  first, and let it go before anything is given, since he cannot commit as long as we have it.
- what can be read in no such way (a `-wal` without a `-shm`, which we will not make; a folder we may not write;
  a transaction that a dead owner left half done) is read from a private copy, which is thrown away at the end.

The owner may be this very process, and closing any descriptor of a file drops all locks that a process holds on
it. SQLite knows of that and waits; so nothing here opens a database or what stands beside it but SQLite, and the
copy is made by another process.

Every SQLite error is a `StoreError` (try again) or a `CorruptError` (it is not what it should be), with the
path.
"""

import os
import sqlite3
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from whence.errors import CorruptError, StoreError, WhenceError
from whence.journal.forks import watch_forks
from whence.sources.bounds import VIEW_TIMEOUT_S, Bound
from whence.sources.cells import HELD_MAX, Cells

BUSY_TIMEOUT_S = 1.0
"""How long to wait for an owner that holds everybody off."""

BUSY_REST_S = 5.0
"""For so long after that nobody waits any more."""

BATCH = 500
"""Rows fetched at a time; a change of the file is noticed before they are given on."""

_BATCH_FIRST = 20
"""So many at first, since some only want to see the first row; then more and more."""

_BATCH_WEIGHT = 4 * 1024 * 1024
"""About so many bytes at most, where rows are long."""

_INTS = range(-(2**63), 2**63)
_BESIDE = ("-wal", "-journal", "-shm")
_COPIED = ("", "-wal", "-journal")
_ATTEMPTS = 3
_TICK_NS = 20_000_000
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NEEDS_COPY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}

_inherited: "list[_Opened]" = []
"""What a forked child found open: it belongs to the parent, and is never closed here."""


Function = tuple[int, Callable[..., Any]]
"""How many values a function of ours takes, and what it does; it must not raise."""


class Patience:
    """How long is waited for owners that hold everybody off: by all who share it together, not by each."""

    def __init__(self, timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._rests_until_s = 0.0

    def left_s(self) -> float:
        """So long may be waited now."""
        return 0.0 if time.monotonic() < self._rests_until_s else self._timeout_s

    def lose(self) -> None:
        """Somebody waited in vain."""
        self._rests_until_s = time.monotonic() + BUSY_REST_S


class _State(NamedTuple):
    """What of a file tells that it is another one, or was changed."""

    file: int
    is_shared: bool
    """Whether a `-wal` stands beside it, and the `-shm` by which its owner shares it."""
    sizes: tuple[tuple[int, int], ...]
    """Size and time of change of the file, its `-wal` and its journal."""

    @property
    def is_left(self) -> bool:
        """Whether a `-wal` that holds something was left, or is shared with nobody."""
        return not self.is_shared and self.sizes[1][0] > 0

    def is_as(self, other: "_State", *, is_watched: bool) -> bool:
        """Whether what was opened as `other` can be read on. SQLite sees by itself what an owner shares.

        What stands in a journal was there before, and that it is there does not matter.
        """
        return self[:2] == other[:2] and not (is_watched and self.sizes[:2] != other.sizes[:2])


class _Opened:
    """One connection, closed when nobody reads from it any more."""

    def __init__(
        self, connection: sqlite3.Connection, real: str, state: _State, *, is_watched: bool
    ) -> None:
        self.connection = connection
        self.cells = Cells(connection)
        self.bound = Bound(connection)
        self.real = real
        """Where the file stands once links are followed: SQLite keeps its other files there."""
        self.state = state
        self.is_watched = is_watched
        """Whether we look for changes of the file, since SQLite does not."""
        self.copy: tempfile.TemporaryDirectory[str] | None = None
        self.timeout_s = -1.0
        self.readers = 0
        self.is_retired = False

    def wait(self, timeout_s: float) -> None:
        """From now on wait so long for an owner that holds everybody off."""
        if timeout_s != self.timeout_s:
            self.connection.execute(f"PRAGMA busy_timeout = {round(timeout_s * 1000)}")
            self.timeout_s = timeout_s

    def retire(self) -> None:
        self.is_retired = True
        if not self.readers:
            self.close()

    def close(self) -> None:
        self.connection.close()
        if self.copy is not None:
            self.copy.cleanup()
            self.copy = None


class Database:
    """One foreign database. Opened at the first use, for one thread at a time; a forked child opens it anew.

    Each question sees the file as it is when it is asked: replaced, removed or written to meanwhile.
    """

    def __init__(
        self,
        path: Path,
        *,
        functions: Mapping[str, Function] = {},
        patience: Patience | None = None,
        view_timeout_s: float = VIEW_TIMEOUT_S,
    ) -> None:
        self.path = path
        self._view_timeout_s = view_timeout_s
        self._functions = functions
        self._patience = patience or Patience()
        self._opened: _Opened | None = None
        self._openings = 0
        # Held while SQLite is at work, and by whoever forks: a child could never use it if cut in two.
        self._lock = threading.RLock()
        watch_forks(self, self._lock)

    def after_fork(self) -> None:
        """Begin anew in a forked child: what is open here belongs to the parent."""
        self._lock = threading.RLock()
        watch_forks(self, self._lock)
        if self._opened is not None:
            _inherited.append(self._opened)
            self._opened = None

    def version(self) -> tuple[int, int]:
        """What differs whenever the file may hold something else; the same means nothing was written.

        Raises:
            StoreError, CorruptError: as `rows`.
        """
        opened = self._open()
        if opened.is_watched:
            # What changes is opened anew.
            return self._openings, 0
        (written,) = next(self.rows("PRAGMA data_version"))
        return self._openings, written

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Give the rows of one statement, a batch at a time.

        Text that is not UTF-8 comes with replacement characters, and text that is long as a `Cut`.

        Raises:
            StoreError, CorruptError: as this module says; also between two rows.
        """
        given = False
        for attempt in range(_ATTEMPTS):
            opened = self._open()
            opened.readers += 1
            try:
                for batch in self._batches(opened, sql, parameters):
                    given = True
                    yield from batch
                return
            except _ChangedError as error:
                if given or attempt == _ATTEMPTS - 1:
                    raise StoreError(
                        f"{self.path} was changed while it was read; ask again"
                    ) from error
            finally:
                opened.readers -= 1
                if opened.is_retired and not opened.readers:
                    opened.close()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Give the first row of a statement, or None."""
        return next(self.rows(sql, parameters), None)

    def tables(self) -> dict[str, tuple[str, ...]]:
        """The tables and views with their columns, in their own spelling; SQLite's own are left out."""
        found: dict[str, list[str]] = {}
        of_tables = (
            "SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c"
            " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            " AND m.sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY m.rowid, c.cid"
        )
        for table, column in self.rows(of_tables):
            found.setdefault(table, []).append(column)
        for (view,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'view'"):
            try:
                columns = self.rows("SELECT name FROM pragma_table_info(?) ORDER BY cid", (view,))
                found[view] = [column for (column,) in columns]
            except CorruptError:
                # A migration left it behind, and the table it reads is gone.
                continue
        return {name: tuple(columns) for name, columns in found.items()}

    def indexed(self) -> set[tuple[str, str]]:
        """The (table, column) pairs that an index begins with, so that looking one up is cheap."""
        return set(
            self.rows(
                "SELECT m.name, c.name FROM sqlite_master AS m"
                " JOIN pragma_index_list(m.name) AS i JOIN pragma_index_info(i.name) AS c"
                " WHERE m.type = 'table' AND c.seqno = 0 AND i.partial = 0 AND c.name IS NOT NULL"
                " UNION SELECT m.name, c.name FROM sqlite_master AS m"
                " JOIN pragma_table_info(m.name) AS c"
                " WHERE m.type = 'table' AND c.pk = 1 AND UPPER(c.type) = 'INTEGER'"
            )
        )

    def close(self) -> None:
        """Give everything back; the next use opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _batches(
        self, opened: _Opened, sql: str, parameters: Sequence[Any]
    ) -> Iterator[list[tuple[Any, ...]]]:
        given = 0
        # Keeps an owner's rows of one moment together, should the statement have to be run again.
        moment: sqlite3.Cursor | None = None
        view: str | None = None
        try:
            with self._lock:
                opened.wait(self._patience.left_s())
                if not opened.is_watched:
                    moment = opened.connection.execute("SELECT COUNT(*) FROM sqlite_master")
                view = opened.bound.find_view(sql)
            while True:
                passed = 0
                try:
                    for batch in self._fetch(opened, sql, parameters, is_bounded=view is not None):
                        passed += len(batch)
                        fresh = batch[max(0, given + len(batch) - passed) :]
                        given += len(fresh)
                        self._check_unchanged(opened)
                        yield fresh
                    break
                except (sqlite3.DataError, sqlite3.OperationalError) as error:
                    if not self._learn(opened, error):
                        raise
        except sqlite3.Error as error:
            # Half of a page from before and half from after looks like damage, and is none.
            self._check_unchanged(opened)
            if _primary_code(error) == sqlite3.SQLITE_INTERRUPT:
                opened.bound.explain(f"{self.path}: view {view}", self._view_timeout_s)
            raise self._tell(error) from error
        finally:
            if moment is not None:
                with self._lock:
                    moment.close()
        self._check_unchanged(opened)

    def _fetch(
        self, opened: _Opened, sql: str, parameters: Sequence[Any], *, is_bounded: bool
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Give all rows of one run of a statement; fewer at a time where they are long."""
        left_s = self._view_timeout_s if is_bounded else None
        size = _BATCH_FIRST
        with self._lock:
            cursor = opened.connection.cursor()
        try:
            is_begun = False
            while True:
                with self._lock:
                    before = opened.cells.weight
                    opened.bound.begin(left_s)
                    if not is_begun:
                        cursor.execute(sql, [*map(_fit, parameters)])
                        is_begun = True
                    batch = cursor.fetchmany(size)
                    left_s = opened.bound.end() if is_bounded else None
                    weight = opened.cells.weight - before
                if not batch:
                    return
                yield batch
                lighter = max(1, _BATCH_WEIGHT * len(batch) // max(weight, 1))
                size = min(size * 5, BATCH, lighter)
        finally:
            with self._lock:
                cursor.close()

    def _learn(self, opened: _Opened, error: sqlite3.Error) -> bool:
        """Whether the statement that failed will do when it is run again."""
        with self._lock:
            if _primary_code(error) == sqlite3.SQLITE_TOOBIG:
                return opened.cells.learn()
            # What is none of SQLite's own errors is a text that is no UTF-8.
            return not _primary_code(error) and opened.cells.look_closely()

    def _check_unchanged(self, opened: _Opened) -> None:
        # A copy stays what it is until the next question.
        if opened.is_watched and opened.copy is None:
            state = _look_at(self.path, opened.real)
            if not state.is_as(opened.state, is_watched=True):
                raise _ChangedError

    def _open(self) -> _Opened:
        with self._lock:
            opened = self._opened
            if opened is not None:
                state = _look_at(self.path, opened.real)
                if state.is_as(opened.state, is_watched=opened.is_watched):
                    return opened
                opened.retire()
                self._opened = None
            try:
                self._opened = _open(self.path, self._patience.left_s())
            except sqlite3.Error as error:
                raise self._tell(error) from error
            self._openings += 1
            for name, (size, function) in self._functions.items():
                self._opened.connection.create_function(name, size, function, deterministic=True)
            return self._opened

    def _tell(self, error: sqlite3.Error) -> WhenceError:
        if _primary_code(error) in _BUSY:
            self._patience.lose()
        return _translate(self.path, error)


def open_database(
    path: Path,
    *,
    functions: Mapping[str, Function] = {},
    patience: Patience | None = None,
    view_timeout_s: float = VIEW_TIMEOUT_S,
) -> Database:
    """Make the database at `path` readable; nothing is opened before the first question.

    `functions` can be called in statements, by name: how many values each takes, and what it does. Databases that
    are asked together share their `patience`. So long may SQLite be at work on what is asked of a view.
    """
    return Database(path, functions=functions, patience=patience, view_timeout_s=view_timeout_s)


def is_database(path: Path) -> bool:
    """Whether the file at `path` is an SQLite database, damaged or not, rather than something else.

    Raises:
        StoreError: it is not there, or may not be looked at.
    """
    real = _find(path)
    if _look_at(path, real).sizes[0][0] == 0:
        return False
    try:
        _connect(real, "mode=ro&immutable=1", 0).close()
    except sqlite3.Error as error:
        return _primary_code(error) != sqlite3.SQLITE_NOTADB
    return True


class _ChangedError(Exception):
    """The file was written to while we read it as one that does not change."""


def _find(path: Path) -> str:
    """Where the file at `path` stands once links are followed."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"look at {path}: {error}") from error


def _look_at(path: Path, real: str) -> _State:
    """Look at a database and what stands beside it, without opening it.

    Raises:
        StoreError: it is not there, or cannot be looked at. `CorruptError`: it is no file.
    """
    try:
        found = os.stat(path)
        wal, journal, shm = (_stat_or_none(real + suffix) for suffix in _BESIDE)
    except FileNotFoundError as error:
        raise StoreError(f"{path} is not there") from error
    except OSError as error:
        raise StoreError(f"look at {path}: {error.strerror}") from error
    if stat.S_ISDIR(found.st_mode):
        raise CorruptError(f"{path} is a folder, want an SQLite database")
    for each, suffix in zip((found, wal, journal, shm), ("", *_BESIDE), strict=True):
        # Whoever opens a pipe waits for somebody to write into it.
        if each is not None and not stat.S_ISREG(each.st_mode):
            raise CorruptError(f"{path}{suffix} is no file, want an SQLite database")
    sizes = (
        (each.st_size, each.st_mtime_ns) if each else (-1, 0) for each in (found, wal, journal)
    )
    return _State(found.st_ino, wal is not None and shm is not None, tuple(sizes))


def _stat_or_none(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _open(path: Path, timeout_s: float) -> _Opened:
    real = _find(path)
    state = _look_at(path, real)
    if state.sizes[0][0] == 0:
        raise CorruptError(f"{path} is empty, want an SQLite database")
    if state.is_left:
        return _open_copy(path, real)
    is_still = not state.is_shared
    try:
        if is_still and not _wants_wal(real):
            state = _look_at_committed(path, real, timeout_s)
        connection = _connect(real, "mode=ro&immutable=1" if is_still else "mode=ro", timeout_s)
    except sqlite3.Error as error:
        if _primary_code(error) not in _NEEDS_COPY:
            raise
        return _open_copy(path, real)
    return _Opened(connection, real, state, is_watched=is_still)


def _wants_wal(real: str) -> bool:
    """Whether reading a database without a `-wal` would make one.

    SQLite cannot share a `-wal` where it must not lock, and says so before it makes any. What else is wrong is
    found by whoever reads.
    """
    try:
        _connect(real, "mode=ro&nolock=1", 0).close()
    except sqlite3.Error as error:
        return _primary_code(error) == sqlite3.SQLITE_CANTOPEN
    return False


def _look_at_committed(path: Path, real: str, timeout_s: float) -> _State:
    """Look at a database while nobody may write to it: as long as it looks the same, all in it is committed."""
    with closing(_connect(real, "mode=ro", timeout_s)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        state = _look_at(path, real)
        # What is written within one tick of the file system's clock would look the same.
        age_ns = time.time_ns() - state.sizes[0][1]
        if 0 <= age_ns < _TICK_NS:
            time.sleep((_TICK_NS - age_ns) / 1e9)
        return state


def _connect(path: str, how: str, timeout_s: float) -> sqlite3.Connection:
    """Open and read the first page, so that what is wrong shows here."""
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{how}",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        # What the schema of a stranger's file calls must not do more than compute.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _fit(value: Any) -> Any:
    """Bring a parameter into what SQLite can compare with, without changing what it equals."""
    if isinstance(value, int):
        return value if value in _INTS else float(value)
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _open_copy(path: Path, real: str) -> _Opened:
    """Copy the database and what stands beside it, and let SQLite recover the copy."""
    folder = tempfile.TemporaryDirectory(prefix="whence-")
    try:
        copy = os.path.join(folder.name, "copy.db")
        state = _copy(path, real, copy)
        opened = _Opened(_connect(copy, "mode=rw", 0), real, state, is_watched=True)
    except BaseException:
        folder.cleanup()
        raise
    opened.copy = folder
    return opened


def _copy(path: Path, real: str, copy: str) -> _State:
    """Copy until nothing changed meanwhile: a database and a `-wal` of two moments are damaged."""
    for _ in range(_ATTEMPTS):
        before = _look_at(path, real)
        problem = ""
        for suffix, (size, _) in zip(_COPIED, before.sizes, strict=True):
            with suppress(FileNotFoundError):
                os.unlink(copy + suffix)
            if size >= 0:
                problem = problem or _copy_file(real + suffix, copy + suffix)
        if _look_at(path, real) == before:
            if problem:
                raise StoreError(f"copy {path} to read it: {problem}")
            return before
    raise StoreError(f"{path} is written to all the time, and cannot be read as it stands")


def _copy_file(file: str, copy: str) -> str:
    """Have another process copy a file, and say what went wrong. What it closes are its own descriptors."""
    try:
        done = subprocess.run(
            ["cp", file, copy], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode == 0:
            os.chmod(copy, 0o600)
            return ""
    except OSError as error:
        return f"cp: {error.strerror}"
    return done.stderr.decode(errors="replace").strip() or f"cp ended with {done.returncode}"


def _primary_code(error: sqlite3.Error) -> int:
    """SQLite's code without its detail; 0 where the error is none of SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _translate(path: Path, error: sqlite3.Error) -> WhenceError:
    code = _primary_code(error)
    if code == sqlite3.SQLITE_TOOBIG:
        return CorruptError(
            f"{path} holds a cell of more than {HELD_MAX:,} bytes where only whole ones can be used"
        )
    if code in _BUSY:
        return StoreError(f"{path} is locked by another program")
    if code == sqlite3.SQLITE_NOTADB:
        return CorruptError(f"{path} is encrypted, damaged or no SQLite database")
    if code in _CORRUPT:
        return CorruptError(f"{path} is damaged: {error}")
    if code == sqlite3.SQLITE_ERROR:
        return CorruptError(f"{path} is not laid out as it should be: {error}")
    return StoreError(f"read {path}: {error}")
