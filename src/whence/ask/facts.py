"""The same fact twice: recorded live, and read from the store that the program keeps besides.

A source's event names its fact in the store's own terms (the id of the task, message or entry). A live
event tells the same if it is of the same kind, about the same target, near in time, and that fact is its
target or stands in its payload under a key that names such facts. What is counted for each agent, such
as its sessions, is the same only if nobody else is said to have done it.

Only what the question lets through stands for what a source tells, so no fact is missing in an answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from whence.ask.reading import Note, read_events
from whence.event import Event
from whence.index import Index, Row
from whence.journal.reader import Reader
from whence.query import Query
from whence.sources.source import SourceEvent

_NEAR_NS = 3_600_000_000_000
"""A live event that names a fact in its payload is looked for an hour before and after what a source says:
numbers of messages and sessions begin anew where a store does."""

_ABOUT_NS = 24 * _NEAR_NS
"""One about the fact itself, such as a task's creation, a day: each happens to it once or a few times, and
the ids of another project's tasks may be the same."""

_WINDOW_NS = 2 * _NEAR_NS
"""Of what is named in payloads this much time is read at once."""

_WINDOW_ROWS_MAX = 50_000
_HELD_ROWS_MAX = 200_000

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


_Window = Mapping[str, list[_Live]]
"""The live events of some time by the facts that they name."""


class Recorded:
    """Finds what was recorded live, of what any of `wanted` lets through. For one answer: it forgets little."""

    def __init__(
        self,
        index: Index | None,
        reader: Reader,
        note: Note,
        wanted: Iterable[Query] = (Query(own=True),),
    ) -> None:
        self._index = index
        self._reader = reader
        self._note = note
        self._wanted: defaultdict[str | None, list[Query]] = defaultdict(list)
        for query in wanted:
            self._wanted[query.target].append(query)
        self._kinds: dict[tuple[str, str], bool] = {}
        # By kind, target and number of the window; the one that was read first goes first.
        self._windows: dict[tuple[tuple[str, str], str | None, int], _Window] = {}
        self._held = 0

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
        found = (
            self._find_about(index, event)
            if fact == event.target
            else self._find_named(index, event, fact)
        )
        return next((live for live in found if not _is_anothers(live, event)), None)

    def _has_kind(self, index: Index, event: SourceEvent) -> bool:
        kind = _kind(event)
        if kind not in self._kinds:
            query = Query(primitive=event.primitive, type=event.type)
            self._kinds[kind] = next(index.find(query, limit=1), None) is not None
        return self._kinds[kind]

    def _find_about(self, index: Index, event: SourceEvent) -> Iterator[_Live]:
        since, until = event.time_ns - _ABOUT_NS, event.time_ns + _ABOUT_NS + 1
        for query in self._narrow(event, since, until):
            # What happened several times, such as a claim, a store knows once: as it was in the end.
            yield from map(_held, index.find(query, newest_first=True))

    def _find_named(self, index: Index, event: SourceEvent, fact: str) -> Iterator[_Live]:
        since, until = event.time_ns - _NEAR_NS, event.time_ns + _NEAR_NS
        for number in range(since // _WINDOW_NS, until // _WINDOW_NS + 1):
            for live in self._look(index, event, number).get(fact, ()):
                if since <= live.time <= until:
                    yield live

    def _look(self, index: Index, event: SourceEvent, number: int) -> _Window:
        """What is named in a window, which is read once as long as it is held."""
        key = (_kind(event), event.target, number)
        if key not in self._windows:
            window = self._windows[key] = self._read(index, event, number * _WINDOW_NS)
            self._held += _size(window)
            while self._held > _HELD_ROWS_MAX and len(self._windows) > 1:
                first = next(iter(self._windows))
                self._held -= _size(self._windows.pop(first))
        return self._windows[key]

    def _read(self, index: Index, event: SourceEvent, since: int) -> _Window:
        keys = (*_NAMING.get(_kind(event), ()), "id")
        window: defaultdict[str, list[_Live]] = defaultdict(list)
        for query in self._narrow(event, since, since + _WINDOW_NS):
            rows = index.find(query, limit=_WINDOW_ROWS_MAX)
            size = 0
            for row, live in read_events(self._reader, rows, self._note):
                size += 1
                for name in _names(live, keys):
                    window[name].append(_held(row))
            if size == _WINDOW_ROWS_MAX:
                what = f"{event.primitive} {event.type} on {event.target or 'anything'}"
                self._note(f"{size:,} or more {what} in 2 hours: some may be shown twice")
        return dict(window)

    def _narrow(self, event: SourceEvent, since: int, until: int) -> Iterator[Query]:
        """What is wanted, of the event's kind and target and within these times."""
        queries = self._wanted[None]
        if event.target is not None:
            queries = [*queries, *self._wanted.get(event.target, ())]
        for query in queries:
            if query.primitive not in (None, event.primitive):
                continue
            if query.type not in (None, event.type):
                continue
            first = since if query.since is None else max(since, query.since)
            end = until if query.until is None else min(until, query.until)
            if first < end:
                yield msgspec.structs.replace(
                    query, primitive=event.primitive, type=event.type, target=event.target,
                    since=first, until=end,
                )  # fmt: skip


def _held(row: Row) -> _Live:
    return _Live(row.seq, row.time, row.agent)


def _kind(event: SourceEvent) -> tuple[str, str]:
    return event.primitive, event.type


def _size(window: _Window) -> int:
    """What it counts for among all that is held: an empty one is held as well."""
    return 1 + sum(map(len, window.values()))


def _is_anothers(live: _Live, event: SourceEvent) -> bool:
    """Whether another agent is said to have done what each agent does for itself."""
    if _kind(event) not in _OF_AN_AGENT:
        return False
    return None not in (live.agent, event.agent) and live.agent != event.agent


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
