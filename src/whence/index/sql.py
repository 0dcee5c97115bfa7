"""A connection for a user's own statements: they read, and nothing else.

`events` there is the seed's schema, with each payload read from the journal when it is asked for.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from whence.errors import CorruptError, StoreError
from whence.index.names import Names
from whence.index.schema import LIVE_EVENTS_VIEW
from whence.journal.reader import Reader

Value = int | float | str | bytes | None
Answer = tuple[list[str], Iterator[tuple[Any, ...]]]

_STEPS_BETWEEN_SIGNALS = 20_000

_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_PRAGMAS = frozenset(
    "table_info table_xinfo table_list index_list index_info index_xinfo function_list "
    "collation_list compile_options database_list user_version encoding".split()
)
_NO_FUNCTIONS = frozenset("load_extension readfile writefile edit fts3_tokenizer".split())
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def run_sql(
    path: Path,
    reader: Reader,
    statement: str,
    values: Sequence[Value],
    note: Callable[[str], None],
) -> Answer:
    """Run one statement over the index at `path`; return the names of the columns and the rows.

    `note` hears of payloads that cannot be read, which are NULL then.

    Raises `ValueError` for a statement that does not parse, or that does more than read.
    """
    db = _open(path, reader, note)
    try:
        cursor = db.execute(statement, values)
        if cursor.description is None:
            raise ValueError("statement gives no rows, want one that reads, such as SELECT")
    except sqlite3.Error as error:
        db.close()
        raise _translate(error) from error
    except BaseException:
        db.close()
        raise
    return [column[0] for column in cursor.description], _rows(db, cursor)


def _rows(db: sqlite3.Connection, cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    try:
        yield from cursor
    except sqlite3.Error as error:
        raise _translate(error) from error
    finally:
        db.close()


def _translate(error: sqlite3.Error) -> BaseException:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        # The only one who interrupts is a signal's handler that raised in `_let_signals_in`.
        return KeyboardInterrupt()
    if code in _BROKEN:
        return StoreError(f"index is broken, catch up and ask again: {error}")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR):
        return StoreError(f"index cannot be read: {error}")
    if code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY):
        return ValueError(f"statement may only read: {error}")
    return ValueError(str(error))


def _open(path: Path, reader: Reader, note: Callable[[str], None]) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}") from error
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
        db.close()
        raise _translate(error) from error
    return db


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
