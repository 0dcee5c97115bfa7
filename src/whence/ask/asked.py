"""The sources of one question, asked together: each may fail alone, and is then named with its reason."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from whence.ask.merge import merge_by_time
from whence.ask.reading import Note
from whence.errors import CorruptError, StoreError
from whence.query import Query
from whence.sources.source import (
    NameKind,
    Source,
    SourceEvent,
    Spelling,
    Spellings,
    Tie,
)

TARGETS_MAX = 1_000
"""The most targets whose stories are told as part of one."""

_NAMES_KEPT_MAX = 20_000

_is_id = re.compile(r"(?:[a-z]+:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
"""A UUID, perhaps with what it is the id of."""

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
            if not self._is_else(source, query)
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
        return any(
            self._try(source, partial(source.has_name, kind, name))
            for source in self
            if not self._is_called_else(source, kind, name)
        )

    def spellings(self, kind: NameKind, text: str) -> list[str]:
        """How the agents or targets that a name or an id means may be written; `text` comes first."""
        several = [self._spellings(source, kind, text) for source in self]
        spelt = (each for found in several for each in (*found.names, *found.ids))
        return list(dict.fromkeys([text, *spelt]))

    def spell(self, query: Query) -> list[Query]:
        """The query in every way in which the names in it may be written."""
        agents = [None] if query.agent is None else self.spellings("agent", query.agent)
        targets = [None] if query.target is None else self.spellings("target", query.target)
        return [
            msgspec.structs.replace(query, agent=agent, target=target)
            for agent in agents
            for target in targets
        ]

    def ids(self, source_name: str, kind: NameKind, name: str) -> tuple[str, ...]:
        """What may be written in place of a name that a source's event bears."""
        return self._spellings(self._by_name[source_name], kind, name).ids

    def name_of(self, kind: NameKind, text: str) -> str:
        """What an agent or a target is called, if the sources agree on that; else the text as it is."""
        names = {name for source in self for name in self._spellings(source, kind, text).names}
        return names.pop() if len(names) == 1 else text

    def _spellings(self, source: Source, kind: NameKind, text: str) -> Spellings:
        if not isinstance(source, Spelling):
            return Spellings()
        return self._try(source, partial(source.spellings, kind, text)) or Spellings()

    def _is_else(self, source: Source, query: Query) -> bool:
        """Whether a source's events bear another name for what the query asks for, so that it has none."""
        named: tuple[tuple[NameKind, str | None], ...]
        named = (("agent", query.agent), ("target", query.target))
        return any(
            text is not None and self._is_called_else(source, kind, text) for kind, text in named
        )

    def _is_called_else(self, source: Source, kind: NameKind, text: str) -> bool:
        names = self._spellings(source, kind, text).names
        return bool(names) and text not in names

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


class Called:
    """What the sources call what an event of the journal names by an id. For one answer."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._names: dict[tuple[NameKind, str], str] = {}

    def __call__(self, kind: NameKind, text: str) -> str:
        """The name, or the text as it is."""
        if not _is_id(text):
            return text
        if (kind, text) not in self._names:
            if len(self._names) >= _NAMES_KEPT_MAX:
                self._names.clear()
            self._names[kind, text] = self._sources.name_of(kind, text)
        return self._names[kind, text]


def _time_of(event: SourceEvent) -> str:
    return event.time


def _once(events: Iterable[SourceEvent]) -> Iterator[SourceEvent]:
    """Leave repeats out: those of one moment stand together, so only that moment is remembered."""
    moment, met = "", set[tuple[str, str]]()
    for event in events:
        if event.time != moment:
            moment, met = event.time, set()
        if (event.source, event.id) not in met:
            met.add((event.source, event.id))
            yield event
