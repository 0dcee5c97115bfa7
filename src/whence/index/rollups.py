"""Counts and durations by minute, hour, day and season for each kind of event, kept at catch-up.

Statistics over any stretch of time then add up few rows: whole seasons of 64 days, the days beside
them, the hours beside those, and the minutes. What is left at both ends, less than a minute, is
counted from the entries. The minutes also tell where a rare kind is to be found.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby

from whence.index.sketch import Sketch, bin_of

_MINUTE_NS = 60_000_000_000
_PER_LEVEL = (1, 60, 1440, 64 * 1440)
"""How many minutes a slot of each level holds."""

_KIND_BITS = 32
_KIND_MASK = (1 << _KIND_BITS) - 1

Summary = dict[int, tuple[int, Sketch]]
"""By kind: how many events, and the durations of those that have one."""


class Tally:
    """Adds up what one window of a catch-up brought, then stores it all at once."""

    def __init__(self) -> None:
        # Both are keyed by minute << 32 | kind.
        self._counts: Counter[int] = Counter()
        self._durations: dict[int, list[int]] = {}

    def add(self, times: list[int], kinds: list[int], durations: Sequence[int | None]) -> None:
        """Count events, given as columns."""
        cells = [
            time // _MINUTE_NS << _KIND_BITS | kind for time, kind in zip(times, kinds, strict=True)
        ]
        self._counts.update(cells)
        held = self._durations
        for cell, duration in zip(cells, durations, strict=True):
            if duration is not None:
                if cell in held:
                    held[cell].append(duration)
                else:
                    held[cell] = [duration]

    def store(self, db: sqlite3.Connection) -> None:
        """Add what was counted to the stored roll-ups and start again from nothing."""
        counts: dict[int, int] = self._counts
        values = self._durations
        bins = {cell: list(map(bin_of, held)) for cell, held in values.items()}
        for level in range(len(_PER_LEVEL)):
            if level:
                by = _PER_LEVEL[level] // _PER_LEVEL[level - 1]
                counts, values, bins = (
                    _coarser_counts(counts, by),
                    _coarser(values, by),
                    _coarser(bins, by),
                )
            sketches = {cell: Sketch.of_binned(values[cell], bins[cell]) for cell in values}
            _store_level(db, level, counts, sketches)
        self._counts.clear()
        self._durations.clear()


def _coarser_cell(cell: int, by: int) -> int:
    return (cell >> _KIND_BITS) // by << _KIND_BITS | cell & _KIND_MASK


def _coarser_counts(counts: dict[int, int], by: int) -> dict[int, int]:
    """Add up the counts of `by` slots each."""
    total: dict[int, int] = {}
    for cell, count in counts.items():
        coarse = _coarser_cell(cell, by)
        total[coarse] = total.get(coarse, 0) + count
    return total


def _coarser(lists: dict[int, list[int]], by: int) -> dict[int, list[int]]:
    """Bring the numbers of `by` slots each together."""
    total: dict[int, list[int]] = {}
    for cell, numbers in lists.items():
        total.setdefault(_coarser_cell(cell, by), []).extend(numbers)
    return total


def _store_level(
    db: sqlite3.Connection, level: int, counts: dict[int, int], sketches: dict[int, Sketch]
) -> None:
    find = "SELECT count, durations FROM rollups WHERE kind = ? AND level = ? AND slot = ?"
    newest = "SELECT max(slot) FROM rollups WHERE kind = ? AND level = ?"
    last = {
        kind: db.execute(newest, (kind, level)).fetchone()[0]
        for kind in {cell & _KIND_MASK for cell in counts}
    }
    rows = []
    for cell, count in counts.items():
        slot, kind = cell >> _KIND_BITS, cell & _KIND_MASK
        sketch = sketches.get(cell)
        # Most events are newer than all before, so there is nothing to add to.
        is_known = last[kind] is not None and slot <= last[kind]
        before = db.execute(find, (kind, level, slot)).fetchone() if is_known else None
        if before is not None:
            count += before[0]
            if before[1] is not None:
                merged = Sketch.decode(before[1])
                if sketch is not None:
                    merged.merge(sketch)
                sketch = merged
        rows.append((kind, level, slot, count, sketch.encode() if sketch is not None else None))
    rows.sort()
    db.executemany("INSERT OR REPLACE INTO rollups VALUES (?, ?, ?, ?, ?)", rows)


def split_window(since: int | None, until: int | None) -> tuple[int, int] | None:
    """The whole minutes within [since, until), as minutes since 1970; None where there is none."""
    low = -(2**62) if since is None else -(-since // _MINUTE_NS)
    high = 2**62 if until is None else until // _MINUTE_NS
    return (low, high) if low < high else None


def minute_of(time_ns: int) -> int:
    """The minute that a time falls into, as minutes since 1970."""
    return time_ns // _MINUTE_NS


def minute_start(minute: int) -> int:
    """When a minute begins, in nanoseconds."""
    return minute * _MINUTE_NS


def plan_levels(low: int, high: int) -> list[tuple[int, int, int]]:
    """Cover the minutes [low, high) with few slots: (level, first slot, end), coarse where it can."""
    spans: list[tuple[int, int, int]] = []
    for level, minutes in reversed(list(enumerate(_PER_LEVEL))):
        first, end = -(-low // minutes), high // minutes
        if first >= end:
            continue
        spans.append((level, first, end))
        for part in ((low, first * minutes), (end * minutes, high)):
            spans += plan_levels(*part) if part[0] < part[1] else []
        return spans
    return spans


def read_rollups(db: sqlite3.Connection, kinds: Iterable[int], low: int, high: int) -> Summary:
    """Add up the stored roll-ups of these kinds over the minutes [low, high)."""
    total: dict[int, tuple[int, Sketch]] = {}
    find = (
        "SELECT count, durations FROM rollups"
        " WHERE kind = ? AND level = ? AND slot >= ? AND slot < ?"
    )
    spans = plan_levels(low, high)
    for kind in kinds:
        for span in spans:
            for count, durations in db.execute(find, (kind, *span)):
                add_summary(total, kind, count, Sketch.decode(durations) if durations else None)
    return total


def count_kinds(db: sqlite3.Connection) -> dict[int, int]:
    """How many events of each kind there are in all."""
    find = "SELECT kind, sum(count) FROM rollups WHERE level = ? GROUP BY kind"
    return dict(db.execute(find, (len(_PER_LEVEL) - 1,)).fetchall())


def timed_kinds(db: sqlite3.Connection) -> frozenset[int]:
    """The kinds of which some event has a duration."""
    find = "SELECT DISTINCT kind FROM rollups WHERE level = ? AND durations IS NOT NULL"
    return frozenset(kind for (kind,) in db.execute(find, (len(_PER_LEVEL) - 1,)))


def minutes_with(
    db: sqlite3.Connection, kinds: list[int], low: int, high: int, *, newest_first: bool
) -> Iterator[int]:
    """The minutes of [low, high) in which there are events of these kinds, in order."""
    way = "DESC" if newest_first else "ASC"
    find = (
        f"SELECT slot FROM rollups WHERE kind = ? AND level = 0 AND slot >= ? AND slot < ?"
        f" ORDER BY slot {way}"
    )
    slots = [(slot for (slot,) in db.execute(find, (kind, low, high))) for kind in kinds]
    for slot, _ in groupby(merge(*slots, reverse=newest_first)):
        yield slot


def summarise(rows: Iterable[tuple[int, int | None]]) -> Summary:
    """Add up entries one by one: pairs of kind and duration."""
    counts: Counter[int] = Counter()
    durations: dict[int, list[int]] = {}
    for kind, duration in rows:
        counts[kind] += 1
        if duration is not None:
            durations.setdefault(kind, []).append(duration)
    return {kind: (count, Sketch.of(durations.get(kind, ()))) for kind, count in counts.items()}


def add_summary(total: Summary, kind: int, count: int, sketch: Sketch | None) -> None:
    """Add one kind's count and durations to `total`."""
    before, held = total.get(kind) or (0, Sketch())
    if sketch is not None:
        held.merge(sketch)
    total[kind] = (before + count, held)
