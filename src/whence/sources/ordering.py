"""Puts rows in order by (time, id), whatever their number: a few in memory, many in a file of their own.

The file is SQLite's temporary one: private, unnamed, and gone with its connection.
"""

import marshal
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from operator import itemgetter
from typing import Any

from whence.errors import StoreError
from whence.journal.forks import watch_forks
from whence.sources.times import DAY_NS

Item = tuple[int, str, Any]
"""Time, id, and what stands there: a value of plain types."""

HELD = 20_000
"""The most items that are sorted in memory."""

_WEIGHT = 16 * 1024 * 1024
"""About how many bytes of them at most."""
_SAMPLE = 64
"""One of so many is weighed."""

_NS_PER_S = 10**9
_BATCH = 500
_by_time_and_id = itemgetter(0, 1)


class _AtWork:
    """Held by whoever has SQLite sort, and by whoever forks: a child could never use it if cut in two."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        self.lock = threading.RLock()
        watch_forks(self, self.lock)


_at_work = _AtWork()


def put_in_order(items: Iterable[Item], *, newest_first: bool = False) -> Iterator[Item]:
    """Give the items by (time, id), after the last of them was read."""
    with closing(_Sorter()) as sorter:
        sorter.add_all(items)
        yield from sorter.drain(newest_first)


def put_ties_in_order(
    items: Iterable[Item], *, newest_first: bool = False, unit_ns: int = 1
) -> Iterator[Item]:
    """Give items that come by time by (time, id), each time's as soon as they are all there.

    Those of one `unit_ns` may come in any order: a second's, if they come by the second.
    """
    rest = iter(items)
    held = next(rest, None)
    while held is not None:
        following = next(rest, None)
        unit = held[0] // unit_ns
        if following is None or following[0] // unit_ns != unit:
            yield held
            held = following
            continue
        with closing(_Sorter()) as sorter:
            sorter.add_all([held])
            while following is not None and following[0] // unit_ns == unit:
                sorter.add(following)
                following = next(rest, None)
            yield from sorter.drain(newest_first)
        held = following


def put_days_in_order(
    items: Iterable[Item], day_of: Callable[[Any], int], *, newest_first: bool = False
) -> Iterator[Item]:
    """Give items that come by `day_of` what stands there by (time, id), each day's when it is over.

    A day is that of some zone, counted since 1970: the item's time is of it, or of the one before or after.
    """
    step = -1 if newest_first else 1
    days: dict[int, _Sorter] = {}
    latest: int | None = None
    try:
        for item in items:
            day = day_of(item[2])
            if day != latest:
                latest = day
                for over in sorted(
                    (each for each in days if (day - each) * step > 1), key=step.__mul__
                ):
                    with closing(days.pop(over)) as sorter:
                        yield from sorter.drain(newest_first)
            own = item[0] // DAY_NS
            if own not in days:
                days[own] = _Sorter()
            days[own].add(item)
        for over in sorted(days, key=step.__mul__):
            yield from days[over].drain(newest_first)
    finally:
        for sorter in days.values():
            sorter.close()


class _Sorter:
    """Takes items in any order and gives them by (time, id)."""

    def __init__(self) -> None:
        self._held: list[Item] = []
        self._weight = 0
        self._file: sqlite3.Connection | None = None

    def add(self, item: Item) -> None:
        self._held.append(item)
        if len(self._held) % _SAMPLE == 0:
            self._weight += _SAMPLE * len(marshal.dumps(item[2]))
        if len(self._held) >= HELD or self._weight >= _WEIGHT:
            self._spill()

    def add_all(self, items: Iterable[Item]) -> None:
        rest = iter(items)
        while batch := list(islice(rest, min(_SAMPLE, HELD - len(self._held)))):
            self._held += batch
            self._weight += len(batch) * len(marshal.dumps(batch[-1][2]))
            if len(self._held) >= HELD or self._weight >= _WEIGHT:
                self._spill()

    def drain(self, newest_first: bool) -> Iterator[Item]:
        """Give them all, and forget them."""
        if self._file is None:
            self._held.sort(key=_by_time_and_id, reverse=newest_first)
            yield from self._held
            return
        self._spill()
        way = "DESC" if newest_first else "ASC"
        try:
            with _at_work.lock:
                found = self._file.execute(
                    "SELECT second, nano, id, row FROM item"
                    f" ORDER BY second {way}, nano {way}, id {way}"
                )
                batch = found.fetchmany(_BATCH)
            while batch:
                for second, nano, item_id, row in batch:
                    yield second * _NS_PER_S + nano, item_id, marshal.loads(row)
                with _at_work.lock:
                    batch = found.fetchmany(_BATCH)
        except sqlite3.Error as error:
            raise _translate(error) from error

    def close(self) -> None:
        self._held = []
        if self._file is not None:
            with _at_work.lock:
                self._file.close()
            self._file = None

    def _spill(self) -> None:
        with _at_work.lock:
            self._write()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = sqlite3.connect("", isolation_level=None)
                self._file.execute("PRAGMA journal_mode = OFF")
                self._file.execute("PRAGMA temp_store = FILE")
                self._file.execute(
                    "CREATE TABLE item (second INTEGER, nano INTEGER, id TEXT, row BLOB)"
                )
                self._file.execute("BEGIN")
            self._file.executemany(
                "INSERT INTO item VALUES (?, ?, ?, ?)",
                (
                    (*divmod(ns, _NS_PER_S), item_id, marshal.dumps(row))
                    for ns, item_id, row in self._held
                ),
            )
        except sqlite3.Error as error:
            raise _translate(error) from error
        self._held, self._weight = [], 0


def _translate(error: sqlite3.Error) -> StoreError:
    return StoreError(f"sort in a temporary file: {error}")
