"""The same fact twice: recorded live, and read from the store that the program keeps besides.

A source's event names its fact in the store's own terms (the id of the task, message or entry). A live
event tells the same if it is of the same kind, about the same target, and that fact is its target or
stands in its payload.
"""

from whence.ask.reading import Note, read_events
from whence.event import Event
from whence.index import Index, Row
from whence.journal.reader import Reader
from whence.query import Query
from whence.sources.source import SourceEvent

_AROUND_NS = 3_600_000_000_000
"""A live event is looked for this long before and after what a source says."""

_CANDIDATES_MAX = 1_000


class Recorded:
    """Finds what was recorded live. For one answer: what it has learnt is not forgotten."""

    def __init__(self, index: Index | None, reader: Reader, note: Note) -> None:
        self._index = index
        self._reader = reader
        self._note = note
        self._kinds: dict[tuple[str, str], bool] = {}

    def is_live(self, event: SourceEvent) -> bool:
        """Whether the journal holds that fact too."""
        return self.find(event) is not None

    def find(self, event: SourceEvent) -> Row | None:
        """The journal's event that tells the same; None if there is none."""
        if self._index is None or event.fact is None or not self._has_kind(self._index, event):
            return None
        query = Query(primitive=event.primitive, type=event.type, target=event.target)
        if event.fact == event.target:
            # What happened several times, such as a claim, a store knows once: as it was in the end.
            return next(self._index.find(query, newest_first=True, limit=1), None)
        near = Query(
            primitive=event.primitive, type=event.type, target=event.target,
            since=event.time_ns - _AROUND_NS, until=event.time_ns + _AROUND_NS,
        )  # fmt: skip
        rows = self._index.find(near, limit=_CANDIDATES_MAX)
        for row, live in read_events(self._reader, rows, self._note):
            if _names(live, event.fact):
                return row
        return None

    def _has_kind(self, index: Index, event: SourceEvent) -> bool:
        kind = (event.primitive, event.type)
        if kind not in self._kinds:
            query = Query(primitive=event.primitive, type=event.type)
            self._kinds[kind] = next(index.find(query, limit=1), None) is not None
        return self._kinds[kind]


def _names(event: Event, fact: str) -> bool:
    """Whether a value of the payload, at its top, is the fact's name."""
    data = event.data
    if not isinstance(data, dict):
        return False
    return any(str(value) == fact for value in data.values() if isinstance(value, str | int))
