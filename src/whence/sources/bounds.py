"""A bound on the time that views take.

A table has an end, however long it takes to sort it. A view may have none: what its owner wrote may call itself for
ever. So SQLite may be at work on what is asked of a view for a time that is bounded, and of a table for any.
"""

import sqlite3
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from whence.errors import CorruptError

VIEW_TIMEOUT_S = 10.0
"""So long may SQLite be at work on one statement over a view, unless a source allows more."""

OPTION = "view_timeout_s"
"""How that is said in a `[[source]]` table."""

_STEPS = 50_000
"""So many of SQLite's own steps lie between two looks at the clock: some milliseconds."""


def take_timeout(options: Mapping[str, Any], where: str) -> tuple[float, dict[str, Any]]:
    """The time that a source's options allow views, and all other options.

    Raises:
        ValueError: it is no time. `where` begins the message.
    """
    rest = dict(options)
    given = rest.pop(OPTION, VIEW_TIMEOUT_S)
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise ValueError(f"{where}: {OPTION} is {given!r}, want seconds")
    return float(given), rest


class Bound:
    """Watches what one connection is asked of views. Made, it is there; without views it costs nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._schema: int | None = None
        self._views: dict[str, str] = {}
        self._end_s: float | None = None
        self._is_over = False
        self._raised: BaseException | None = None

    def find_view(self, sql: str) -> str | None:
        """The view that a statement reads, if it reads one."""
        (schema,) = self._connection.execute("PRAGMA schema_version").fetchone()
        if schema != self._schema:
            named = self._connection.execute(
                "SELECT CAST(name AS BLOB) FROM sqlite_master WHERE type = 'view'"
            )
            names = [name.decode(errors="replace") for (name,) in named]
            self._views = {f'"{name}"'.lower(): name for name in names}
            self._schema = schema
            self._connection.set_progress_handler(self._look if self._views else None, _STEPS)
        if not self._views:
            return None
        folded = sql.lower()
        return next((name for quoted, name in self._views.items() if quoted in folded), None)

    def begin(self, left_s: float | None) -> None:
        """From now on SQLite may be at work for so long."""
        self._end_s = None if left_s is None else time.monotonic() + left_s
        self._is_over = False
        self._raised = None

    def end(self) -> float:
        """SQLite is done. How much of the time is left."""
        left_s = 0.0 if self._end_s is None else self._end_s - time.monotonic()
        self._end_s = None
        return left_s

    def explain(self, what: str, timeout_s: float) -> NoReturn:
        """Raise why SQLite was interrupted: a bound, or what somebody raised meanwhile, such as Ctrl-C."""
        if self._is_over:
            raise CorruptError(f"{what} came to no end in {timeout_s:g} s; {OPTION} may allow more")
        raise self._raised or KeyboardInterrupt

    def _look(self) -> bool:
        try:
            self._is_over = self._end_s is not None and time.monotonic() >= self._end_s
        except BaseException as error:  # noqa: BLE001
            # SQLite would forget it.
            self._raised = error
            return True
        return self._is_over
