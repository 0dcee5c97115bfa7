"""The sources of one question, asked together: each may fail alone, and is then named with its reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from whence.ask.merge import merge_by_time
from whence.ask.reading import Note
from whence.errors import CorruptError, StoreError
from whence.query import Query
from whence.sources.source import NameKind, Source, SourceEvent, Tie

TARGETS_MAX = 1_000
"""The most targets whose stories are told as part of one."""

_Answer = TypeVar("_Answer")
_REFUSALS = (StoreError, CorruptError)


class Sources:
    """Asks every source. What one of them cannot answer is noted, and the rest of the answer comes.

    `failed` names the sources that could not answer something.
    """

    def __init__(self, sources: Sequence[Source] = (), note: Note = lambda _: None) -> None:
        self._sources = list(sources)
        self._by_name = {source.name: source for source in sources}
        self._note = note
        self.failed: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._sources)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)

    def events(
        self, queries: Iterable[Query], *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """Give what any of the queries lets through, by time, each event once."""
        wanted = list(dict.fromkeys(queries))
        streams = [
            self._guarded(source, query, newest_first)
            for source in self._sources
            for query in wanted
        ]
        merged = merge_by_time(streams, _time_of, newest_first=newest_first)
        return merged if len(wanted) == 1 else _once(merged)

    def _guarded(self, source: Source, query: Query, newest_first: bool) -> Iterator[SourceEvent]:
        try:
            yield from source.events(query, newest_first=newest_first)
        except _REFUSALS as error:
            self._fail(source, error)

    def has_name(self, kind: NameKind, name: str) -> bool:
        """Whether any source knows that target or agent."""
        return any(self._try(source, partial(source.has_name, kind, name)) for source in self)

    def names(self, kind: NameKind) -> Iterator[str]:
        """The targets or agents that the sources know."""
        for source in self:
            try:
                yield from source.names(kind)
            except _REFUSALS as error:
                self._fail(source, error)

    def with_id(self, text: str) -> list[SourceEvent]:
        """The events of that id, one of each source at most."""
        found = (self._try(source, partial(source.event, text)) for source in self)
        return [event for event in found if event is not None]

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """Events whose id begins or ends like that."""
        found: list[SourceEvent] = []
        for source in self:
            found += self._try(source, partial(source.matching, part, limit)) or []
        return found[:limit]

    def below(self, target: str) -> list[str]:
        """The targets whose stories are part of that of `target`."""
        return [
            name
            for source in self
            for name in self._try(source, partial(source.below, target)) or []
        ]

    def causes(self, event: SourceEvent) -> list[Tie]:
        """What the event's own source relates it to as its causes."""
        source = self._by_name[event.source]
        return self._try(source, partial(source.causes, event)) or []

    def effects(self, event: SourceEvent) -> list[Tie]:
        """What the event's own source relates it to as its effects."""
        source = self._by_name[event.source]
        return self._try(source, partial(source.effects, event)) or []

    def parents(self, event: SourceEvent) -> list[SourceEvent]:
        """The events that this one names as its causes, as far as its source has them."""
        source = self._by_name[event.source]
        named = filter(None, (event.parent, *event.links))
        found = [self._try(source, partial(source.event, event_id)) for event_id in named]
        return [cause for cause in found if cause is not None]

    def lacks(self, source_name: str, event_id: str) -> bool:
        """Whether that source has no such event; False where it cannot say."""
        source = self._by_name[source_name]
        return self._try(source, lambda: source.event(event_id) is not None) is False

    def children(self, event: SourceEvent) -> list[SourceEvent]:
        """The events of the same source that name this one as their parent."""
        return list(self._guarded(self._by_name[event.source], Query(parent=event.id), False))

    def close(self) -> None:
        """Give everything back that the sources opened."""
        for source in self:
            source.close()

    def _try(self, source: Source, ask: Callable[[], _Answer]) -> _Answer | None:
        try:
            return ask()
        except _REFUSALS as error:
            self._fail(source, error)
            return None

    def _fail(self, source: Source, error: Exception) -> None:
        self.failed.add(source.name)
        self._note(f"source {source.name}: {error}")


def _time_of(event: SourceEvent) -> int:
    return event.time_ns


def _once(events: Iterable[SourceEvent]) -> Iterator[SourceEvent]:
    """Leave repeats out: those of one moment stand together, so only that moment is remembered."""
    moment, met = -1, set[tuple[str, str]]()
    for event in events:
        if event.time_ns != moment:
            moment, met = event.time_ns, set()
        if (event.source, event.id) not in met:
            met.add((event.source, event.id))
            yield event
