"""A connection for a user's own statements: they read, and nothing else.

`events` there is the seed's schema, with each payload read from the journal when it is asked for.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from whence.errors import CorruptError, StoreError
from whence.index.database import translate
from whence.index.names import Names
from whence.index.schema import LIVE_EVENTS_VIEW
from whence.journal.reader import Reader

Value = int | float | str | bytes | None
Answer = tuple[list[str], Iterator[tuple[Any, ...]]]

_STEPS_BETWEEN_SIGNALS = 20_000
_FIRST_ROWS = 200

_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_PRAGMAS = frozenset(
    "table_info table_xinfo table_list index_list index_info index_xinfo function_list "
    "collation_list compile_options database_list user_version encoding".split()
)
_NO_FUNCTIONS = frozenset("load_extension readfile writefile edit fts3_tokenizer".split())
_NOT_THE_STATEMENT = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
)


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the index at `path` once more, for reading; raises as `open_database`."""
    try:
        return sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise translate(error) from error


def copy_to_read(db: sqlite3.Connection) -> sqlite3.Connection:
    """Copy an index that is in memory, which only the connection that made it can read."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.backup(copy)
    copy.execute("PRAGMA temp_store = memory")
    return copy


def run_sql(
    db: sqlite3.Connection,
    reader: Reader,
    statement: str,
    values: Sequence[Value],
    note: Callable[[str], None],
) -> Answer:
    """Run one statement over `db`, and close it; return the names of the columns and the rows.

    `note` hears of payloads that cannot be read, which are NULL then. The first rows are read at
    once, so that most of what is wrong with a file shows before any row is handed out.

    Raises `ValueError` for a statement that does not parse, or that does more than read, and
    `BrokenError` or `RefusedError` for a file that fails, which the rows may raise too.
    """
    try:
        _prepare(db, reader, note)
        cursor = db.execute(statement, values)
        if cursor.description is None:
            raise ValueError("statement gives no rows, want one that reads, such as SELECT")
        first = cursor.fetchmany(_FIRST_ROWS)
    except sqlite3.Error as error:
        db.close()
        raise _translate(error) from error
    except BaseException:
        db.close()
        raise
    return [column[0] for column in cursor.description], _rows(db, first, cursor)


def _rows(
    db: sqlite3.Connection, first: list[tuple[Any, ...]], cursor: sqlite3.Cursor
) -> Iterator[tuple[Any, ...]]:
    try:
        yield from first
        yield from cursor
    except sqlite3.Error as error:
        raise _translate(error) from error
    finally:
        db.close()


def _translate(error: sqlite3.Error) -> BaseException:
    """What a failure of a user's statement means, for the one who asked or for the index."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        # The only one who interrupts is a signal's handler that raised in `_let_signals_in`.
        return KeyboardInterrupt()
    if code in _NOT_THE_STATEMENT:
        return translate(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"index cannot be read: {error}")
    if code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY):
        return ValueError(f"statement may only read: {error}")
    return ValueError(str(error))


def _prepare(db: sqlite3.Connection, reader: Reader, note: Callable[[str], None]) -> None:
    try:
        segments = Names(db, "segments")

        def payload(segment: int, offset: int) -> str | None:
            try:
                name = segments[segment]
            except KeyError:
                return None
            try:
                event = reader.read(str(name), offset)
            except (CorruptError, StoreError) as error:
                note(f"metadata of the event at {name} {offset} is NULL: {error}")
                return None
            raw = bytes(event.payload)
            if not raw and event.blob is not None:
                note(f"metadata of event {event.id} is NULL: blob {event.commit} is gone")
            return raw.decode() if raw else None

        db.create_function("whence_payload", 2, payload)
        db.execute(LIVE_EVENTS_VIEW)
        db.execute("PRAGMA query_only = on")
        db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        db.set_authorizer(_authorize)
        db.set_progress_handler(_let_signals_in, _STEPS_BETWEEN_SIGNALS)
    except sqlite3.Error as error:
        raise translate(error) from error


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in _READS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _NO_FUNCTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS:
        # Those that take a value to be set take it as `second`, and `query_only` holds anyway.
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _let_signals_in() -> int:
    """Let Python run a waiting signal handler; if that raises, SQLite stops."""
    return 0
