"""The same fact twice: recorded live, and read from the store that the program keeps besides.

A source's event names its fact in the store's own terms (the id of the task, message or entry). A live
event tells the same if it is of the same kind, about the same target, near in time, and that fact is its
target or stands in its payload under a key that names such facts. Where the source's store gives targets and
agents ids, the live event may have those in place of the names. What is counted for each agent, such
as its sessions, is the same only if nobody else is said to have done it.

Only what the question lets through stands for what a source tells, so no fact is missing in an answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import chain, islice
from typing import NamedTuple

import msgspec

from whence.ask.reading import read_events
from whence.ask.stores import Stores
from whence.event import Event
from whence.index import Index, Row
from whence.query import Query
from whence.sources.source import NameKind, SourceEvent

_NEAR_NS = 3_600_000_000_000
"""A live event that names a fact in its payload is looked for an hour before and after what a source says:
numbers of messages and sessions begin anew where a store does."""

ABOUT_NS = 24 * _NEAR_NS
"""One about the fact itself, such as a task's creation, a day: each happens to it once or a few times, and
the ids of another project's tasks may be the same."""

_WIDTHS_NS = tuple(2 * _NEAR_NS >> 4 * level for level in range(4))
"""Of what is named in payloads so much time is read at once: the most in which little happened."""

_BUSY = 500
"""Where more happened a window is not read but looked at in sixteen parts, the nearest first."""

_LOOKED_AT_MAX = 100_000
"""The most live events that are looked through for one fact."""

_HELD_ROWS_MAX = 200_000
_IDS_KEPT_MAX = 20_000

_NAMING: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("spawn", "wake"): ("session", "session_id"),
    ("spawn", "sleep"): ("session", "session_id", "spawn_id"),
    ("spawn", "spawn"): ("spawn_id",),
    ("bridge", "send"): ("message_id",),
    ("bridge", "recv"): ("message_id",),
    ("bridge", "note"): ("note_id",),
    ("memory", "add_entry"): ("memory_id", "entry_id"),
    ("memory", "archive_entry"): ("memory_id", "entry_id"),
    ("knowledge", "add_discovery"): ("knowledge_id",),
    ("knowledge", "archive_discovery"): ("knowledge_id",),
}
"""The keys under which the payload of a live event names its fact; `id` does for any."""

_OF_AN_AGENT = frozenset([("spawn", "wake"), ("spawn", "sleep"), ("bridge", "recv")])
"""What is counted for each agent, or done by each to the same thing."""


class _Live(NamedTuple):
    """What is held of a live event."""

    seq: int
    time: int
    agent: str | None


_Kind = tuple[str, str]


class _Window(NamedTuple):
    """The live events of some time by the facts that they name, and how many there are."""

    facts: Mapping[str, list[_Live]]
    size: int


class Recorded:
    """Finds what was recorded live, of what any of `wanted` lets through. For one answer: it forgets little."""

    def __init__(self, stores: Stores, wanted: Iterable[Query] = (Query(own=True),)) -> None:
        self._stores = stores
        self._index = stores.index
        self._wanted: defaultdict[str | None, list[Query]] = defaultdict(list)
        for query in wanted:
            self._wanted[query.target].append(query)
        self._kinds: dict[_Kind, bool] = {}
        # By source, what is named and its name: what may be written instead.
        self._ids: dict[tuple[str, NameKind, str], tuple[str, ...]] = {}
        # By kind, targets, level and number of the window; None for one that is looked at in parts. The
        # one that was read first goes first.
        self._windows: dict[tuple[_Kind, tuple[str | None, ...], int, int], _Window | None] = {}
        self._held = 0
        self._noted: set[str] = set()

    def is_live(self, event: SourceEvent) -> bool:
        """Whether the journal holds that fact too."""
        return self._find(event) is not None

    def find(self, event: SourceEvent) -> Row | None:
        """The journal's event that tells the same; None if there is none."""
        live = self._find(event)
        if live is None or self._index is None:
            return None
        return next(iter(self._index.rows([live.seq])), None)

    def _find(self, event: SourceEvent) -> _Live | None:
        index, fact = self._index, event.fact
        if index is None or fact is None or not self._has_kind(index, event):
            return None
        if fact == event.target:
            found = self._find_about(index, event, [fact])
        else:
            ids = () if event.target is None else self._ids_of(event, "target", event.target)
            itself = [each for each in ids if fact in (each, each.rpartition(":")[2])]
            found = chain(
                self._find_named(index, event, fact, (event.target, *ids)),
                self._find_about(index, event, itself),
            )
        return next((live for live in found if not self._is_anothers(live, event)), None)

    def _has_kind(self, index: Index, event: SourceEvent) -> bool:
        kind = _kind(event)
        if kind not in self._kinds:
            query = Query(primitive=event.primitive, type=event.type)
            self._kinds[kind] = next(index.find(query, limit=1), None) is not None
        return self._kinds[kind]

    def _ids_of(self, event: SourceEvent, kind: NameKind, name: str) -> tuple[str, ...]:
        """What its own source says may be written for a name: another's would be about something else."""
        sources = self._stores.sources
        if sources is None:
            return ()
        key = (event.source, kind, name)
        if key not in self._ids:
            if len(self._ids) >= _IDS_KEPT_MAX:
                self._ids.clear()
            self._ids[key] = sources.ids(event.source, kind, name)
        return self._ids[key]

    def _is_anothers(self, live: _Live, event: SourceEvent) -> bool:
        """Whether another agent is said to have done what each agent does for itself."""
        if _kind(event) not in _OF_AN_AGENT or None in (live.agent, event.agent):
            return False
        assert event.agent is not None
        return (
            live.agent != event.agent
            and live.agent not in self._ids_of(event, "agent", event.agent)
        )  # fmt: skip

    def _find_about(
        self, index: Index, event: SourceEvent, targets: Sequence[str]
    ) -> Iterator[_Live]:
        since, until = event.time_ns - ABOUT_NS, event.time_ns + ABOUT_NS + 1
        for query in self._narrow(event, targets, since, until):
            # What happened several times, such as a claim, a store knows once: as it was in the end.
            yield from map(_held, index.find(query, newest_first=True))

    def _find_named(
        self, index: Index, event: SourceEvent, fact: str, targets: tuple[str | None, ...]
    ) -> Iterator[_Live]:
        """Look through the hour before and after, from the event's time outward."""
        at = event.time_ns
        since, until = at - _NEAR_NS, at + _NEAR_NS
        # Most are found where they are expected.
        near = self._look_near(index, event, targets, at).facts.get(fact, ())
        yield from (live for live in near if since <= live.time <= until)
        looked_at = 0
        # By their distance.
        waiting = [(0, 0, number) for number in _numbers(since, until, 0)]
        while waiting:
            _, level, number = heappop(waiting)
            window = self._look(index, event, targets, level, number)
            if window is None:
                for part in _numbers(since, until, level + 1):
                    if part // 16 == number:
                        heappush(waiting, (_distance(at, level + 1, part), level + 1, part))
                continue
            found = window.facts.get(fact, ())
            yield from (live for live in found if since <= live.time <= until)
            looked_at += window.size
            if looked_at >= _LOOKED_AT_MAX and waiting:
                self._say_busy(event)
                return

    def _look_near(
        self, index: Index, event: SourceEvent, targets: tuple[str | None, ...], at: int
    ) -> _Window:
        """The window that the event's own time is in."""
        for level, width in enumerate(_WIDTHS_NS):
            window = self._look(index, event, targets, level, at // width)
            if window is not None:
                return window
        raise AssertionError("the smallest windows are read however busy they are")

    def _say_busy(self, event: SourceEvent) -> None:
        what = f"{event.primitive} {event.type} on {event.target or 'anything'}"
        remark = f"{_LOOKED_AT_MAX:,} or more {what} in 2 hours: some may be shown twice"
        if remark not in self._noted:
            self._noted.add(remark)
            self._stores.note(remark)

    def _look(
        self,
        index: Index,
        event: SourceEvent,
        targets: tuple[str | None, ...],
        level: int,
        number: int,
    ) -> _Window | None:
        """What is named in a window, which is read once as long as it is held; None where it is busy."""
        key = (_kind(event), targets, level, number)
        if key not in self._windows:
            window = self._windows[key] = self._read(index, event, targets, level, number)
            self._held += _size(window)
            while self._held > _HELD_ROWS_MAX and len(self._windows) > 1:
                first = next(iter(self._windows))
                self._held -= _size(self._windows.pop(first))
        return self._windows[key]

    def _read(
        self,
        index: Index,
        event: SourceEvent,
        targets: tuple[str | None, ...],
        level: int,
        number: int,
    ) -> _Window | None:
        width = _WIDTHS_NS[level]
        queries = list(self._narrow(event, targets, number * width, (number + 1) * width))
        most = _BUSY if level + 1 < len(_WIDTHS_NS) else _LOOKED_AT_MAX
        rows = list(islice(_rows(index, queries, most + 1), most + 1))
        if len(rows) > _BUSY and level + 1 < len(_WIDTHS_NS):
            return None
        keys = (*_NAMING.get(_kind(event), ()), "id")
        facts: defaultdict[str, list[_Live]] = defaultdict(list)
        for row, live in read_events(self._stores.reader, rows, self._stores.note):
            for name in _names(live, keys):
                facts[name].append(_held(row))
        return _Window(dict(facts), len(rows))

    def _narrow(
        self, event: SourceEvent, targets: Sequence[str | None], since: int, until: int
    ) -> Iterator[Query]:
        """What is wanted, of the event's kind, about these targets and within these times."""
        for target in targets:
            queries = self._wanted[None]
            if target is not None:
                queries = [*queries, *self._wanted.get(target, ())]
            for query in queries:
                if query.primitive not in (None, event.primitive):
                    continue
                if query.type not in (None, event.type):
                    continue
                first = since if query.since is None else max(since, query.since)
                end = until if query.until is None else min(until, query.until)
                if first < end:
                    yield msgspec.structs.replace(
                        query, primitive=event.primitive, type=event.type, target=target,
                        since=first, until=end,
                    )  # fmt: skip


def _rows(index: Index, queries: Iterable[Query], limit: int) -> Iterator[Row]:
    """What any of the queries lets through, each once: one may be let through by several."""
    met: set[int] = set()
    for query in queries:
        for row in index.find(query, limit=limit):
            if row.seq not in met:
                met.add(row.seq)
                yield row


def _numbers(since: int, until: int, level: int) -> range:
    """The windows of a level that these times touch."""
    return range(since // _WIDTHS_NS[level], until // _WIDTHS_NS[level] + 1)


def _distance(at: int, level: int, number: int) -> int:
    """How far a window is from a moment; 0 if it is within."""
    start = number * _WIDTHS_NS[level]
    return max(start - at, at - (start + _WIDTHS_NS[level]), 0)


def _held(row: Row) -> _Live:
    return _Live(row.seq, row.time, row.agent)


def _kind(event: SourceEvent) -> tuple[str, str]:
    return event.primitive, event.type


def _size(window: _Window | None) -> int:
    """What it counts for among all that is held: an empty one is held as well."""
    return 1 if window is None else 1 + sum(map(len, window.facts.values()))


def _names(event: Event, keys: tuple[str, ...]) -> set[str]:
    """The facts that the payload names, at its top."""
    data = event.data
    if not isinstance(data, dict):
        return set()
    named = (data.get(key) for key in keys)
    return {
        str(value)
        for value in named
        if isinstance(value, str | int) and not isinstance(value, bool)
    }
