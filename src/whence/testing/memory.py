"""A source that holds its events in memory: for tests of what asks sources, ours and users'.

It keeps the contract of `whence.sources.source.Source`, and can be told to fail.
"""

from collections.abc import Iterable, Iterator

from whence.errors import CorruptError, StoreError
from whence.query import Query, matches
from whence.sources.source import (
    Health,
    NameKind,
    RawRow,
    SourceEvent,
    Spellings,
    Tie,
    by_time,
)


class MemorySource:
    """Answers from a list of events. `fails` is raised instead of any answer."""

    kind = "memory"

    def __init__(self, events: Iterable[SourceEvent] = (), *, name: str = "memory") -> None:
        self.name = name
        self.told = list(events)
        self.subtasks: dict[str, list[str]] = {}
        self.ids: dict[tuple[NameKind, str], list[str]] = {}
        """The ids of what bears a name."""
        self.not_understood: list[RawRow] = []
        self.fails: StoreError | CorruptError | None = None
        self.read = 0
        """How many events were given out."""

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """Give what the query lets through, by time."""
        self._check()
        for event in sorted(self.told, key=by_time, reverse=newest_first):
            if matches(query, event):
                self.read += 1
                yield event

    def event(self, event_id: str) -> SourceEvent | None:
        """The event of that id."""
        self._check()
        return next((event for event in self.told if event.id == event_id), None)

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """Events whose id begins or ends like that."""
        self._check()
        found = [e for e in self.told if e.id.startswith(part) or e.id.endswith(part)]
        return found[:limit]

    def names(self, kind: NameKind) -> Iterator[str]:
        """The targets or agents of the events."""
        self._check()
        names = (event.target if kind == "target" else event.agent for event in self.told)
        yield from dict.fromkeys(name for name in names if name is not None)

    def has_name(self, kind: NameKind, name: str) -> bool:
        """Whether an event has that target or agent."""
        return name in self.names(kind)

    def spellings(self, kind: NameKind, text: str) -> Spellings:
        """What `ids` lists for a name, or for the names of an id."""
        self._check()
        meant = {
            name: ids
            for (what, name), ids in self.ids.items()
            if what == kind and text in (name, *ids)
        }
        return Spellings((*meant,), tuple(each for ids in meant.values() for each in ids))

    def below(self, target: str) -> list[str]:
        """The subtasks that `subtasks` lists."""
        self._check()
        return self.subtasks.get(target, [])

    def causes(self, event: SourceEvent) -> list[Tie]:
        """What the event's relations name."""
        found = ((relation.reason, self.event(relation.id)) for relation in event.relations)
        return [Tie(reason, cause) for reason, cause in found if cause is not None]

    def effects(self, event: SourceEvent) -> list[Tie]:
        """The events whose relations name this one."""
        return [
            Tie(relation.reason, effect)
            for effect in self.events()
            for relation in effect.relations
            if relation.id == event.id
        ]

    def health(self) -> Health:
        """What there is, or why it cannot be told."""
        if self.fails is not None:
            return Health(problem=str(self.fails))
        newest = max((event.time_ns for event in self.told), default=None)
        return Health(
            events=len(self.told), newest_ns=newest, not_understood=len(self.not_understood)
        )

    def raw(self) -> Iterator[RawRow]:
        """The rows said to be not understood."""
        self._check()
        yield from self.not_understood

    def close(self) -> None:
        """Nothing is open."""

    def _check(self) -> None:
        if self.fails is not None:
            raise self.fails
