"""Adds to a web what sources know: the other half of its events, and the ties between them.

An event that a source tells and the journal holds too is one there, and so ties what both know of it.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from itertools import islice

from whence.ask.asked import Sources
from whence.ask.facts import ABOUT_NS, Recorded
from whence.ask.references import Subject
from whence.ask.stores import Stores
from whence.ask.subtasks import CREATE, REASON, NamedParents
from whence.ask.web import EVENTS_MAX, STARTS_MAX, Web, add_effects, climb, queries_about
from whence.event import parse_time
from whence.index import Row
from whence.query import Query
from whence.sources.source import SourceEvent

_FIRST = -(2**62)
"""Numbers of sources' events begin here and grow, so that those of one moment stay as they were told."""

_Near = Callable[[SourceEvent], list[tuple[str, SourceEvent]]]
"""The events next to one, each with the reason of a dotted tie, "" of a solid one."""


def weave(stores: Stores, sources: Sources, web: Web, subject: Subject, *, is_wide: bool) -> None:
    """Add what sources tell of the subject and of the journal's events in the web, and what that leads to."""
    _Weaver(stores, sources, web).weave(subject, is_wide=is_wide)


class _Weaver:
    """Adds to a web what sources know of its events, and what that leads to. Used once."""

    def __init__(self, stores: Stores, sources: Sources, web: Web) -> None:
        self._index = stores.index
        self._sources = sources
        self._recorded = Recorded(stores)
        self._named = NamedParents(stores)
        self._web = web
        self._places: dict[tuple[str, str], int] = {}
        # The journal's events whose own causes, and whose own effects, are in the web.
        self._climbed = set(web.rows)
        self._descended = set(web.rows)

    def weave(self, subject: Subject, *, is_wide: bool) -> None:
        """Start from what the sources tell of the subject and of the journal's events so far."""
        web = self._web
        starts = self._find_starts(subject)
        web.asked.update(self._place(event) for event in starts)
        asked = {*web.asked}
        above = [*starts, *self._meet(list(web.rows.values()), is_up=True)]
        met = self._grow(above, self._causes, is_up=True)
        # What came of the causes on the way is another story, unless it is wanted.
        below = met if is_wide else [event for event in met if self._place(event) in asked]
        self._grow(below, self._effects, is_up=False)

    def _find_starts(self, subject: Subject) -> list[SourceEvent]:
        if subject.told is not None:
            return [subject.told]
        if subject.event is not None:
            return self._twins([subject.event])
        newest = self._sources.events(queries_about(subject), newest_first=True)
        starts = list(islice(newest, STARTS_MAX))
        self._web.is_complete &= len(starts) < STARTS_MAX
        return starts[::-1]

    def _grow(
        self, starts: Collection[SourceEvent], near: _Near, *, is_up: bool
    ) -> list[SourceEvent]:
        """Follow the ties of these events, and of all that are reached, one way; return them all."""
        met = {(event.source, event.id): event for event in starts}
        waiting = deque(met.values())
        while waiting:
            event = waiting.popleft()
            here = self._place(event)
            found = []
            for reason, other in near(event):
                there = self._place(other)
                self._tie((there, here) if is_up else (here, there), reason)
                found.append(other)
            if not is_up:
                found += self._add_named(event, here)
            found += self._meet(self._spread(here, is_up=is_up), is_up=is_up)
            for other in found:
                if (other.source, other.id) in met:
                    continue
                if len(self._web.rows) >= EVENTS_MAX:
                    self._web.is_complete = False
                    return list(met.values())
                met[other.source, other.id] = other
                waiting.append(other)
        return list(met.values())

    def _tie(self, pair: tuple[int, int], reason: str) -> None:
        if pair[0] == pair[1]:
            return
        if reason:
            self._web.dotted.setdefault(pair, reason)
        else:
            self._web.solid.add(pair)

    def _causes(self, event: SourceEvent) -> list[tuple[str, SourceEvent]]:
        parents = self._sources.parents(event)
        ties = self._sources.causes(event)
        there = {cause.id for cause in (*parents, *(tie.event for tie in ties))}
        named = {relation.id: relation.reason for relation in event.relations}
        named |= dict.fromkeys(filter(None, (event.parent, *event.links)), "parent")
        missing = {
            event_id: what
            for event_id, what in named.items()
            if event_id not in there and self._sources.lacks(event.source, event_id)
        }
        if missing:
            self._web.missing[self._place(event)] = missing
        return [*(("", cause) for cause in parents), *((tie.reason, tie.event) for tie in ties)]

    def _effects(self, event: SourceEvent) -> list[tuple[str, SourceEvent]]:
        ties = self._sources.effects(event)
        children = self._sources.children(event)
        return [*(("", child) for child in children), *((tie.reason, tie.event) for tie in ties)]

    def _spread(self, seq: int, *, is_up: bool) -> list[Row]:
        """Where a source led to an event of the journal, what the journal knows of its causes or effects."""
        done = self._climbed if is_up else self._descended
        if seq < 0 or seq in done or self._index is None:
            return []
        before = set(self._web.rows)
        if is_up:
            self._web.rows.update(climb(self._index, [self._web.rows[seq]]))
        else:
            add_effects(self._web, self._index, [seq])
        new = [row for row in self._web.rows.values() if row.seq not in before]
        done.update([seq, *(row.seq for row in new)])
        return new

    def _place(self, event: SourceEvent) -> int:
        """The event's number: that of the journal's event if it was recorded live, else one of its own."""
        key = (event.source, event.id)
        if key not in self._places:
            live = self._recorded.find(event)
            if live is not None:
                self._web.rows.setdefault(live.seq, live)
                self._places[key] = live.seq
            else:
                seq = _FIRST + len(self._web.told)
                self._web.told[seq] = event
                self._web.rows[seq] = _as_row(seq, event)
                self._places[key] = seq
        return self._places[key]

    def _add_named(self, event: SourceEvent, here: int) -> list[SourceEvent]:
        """Add the live subtasks of a task that only its source tells, and what the journal knows of those."""
        if here >= 0 or event.type != CREATE or event.target is None:
            return []
        subtasks = self._named.below(event.target, event.time_ns)
        rows = []
        for row in subtasks:
            self._web.rows.setdefault(row.seq, row)
            self._tie((here, row.seq), REASON)
            rows += [row, *self._spread(row.seq, is_up=False)]
        return self._meet(rows, is_up=False)

    def _meet(self, rows: Collection[Row], *, is_up: bool) -> list[SourceEvent]:
        """What sources tell of the journal's events, and on the way up of the parents that those name."""
        found = self._twins(rows)
        if not is_up:
            return found
        for row, parent in self._named.above(rows):
            query = Query(target=parent, primitive=row.primitive, type=CREATE)
            above = next(self._sources.events([query]), None)
            if above is not None:
                self._tie((self._place(above), row.seq), REASON)
                found.append(above)
        return found

    def _twins(self, rows: Iterable[Row]) -> list[SourceEvent]:
        """What sources tell of events that the journal holds too."""
        found: list[SourceEvent] = []
        for row in rows:
            if row.seq < 0 or row.target is None:
                continue
            queries = [
                Query(
                    target=name, primitive=row.primitive, type=row.type,
                    since=row.time - ABOUT_NS, until=row.time + ABOUT_NS + 1,
                )
                for name in self._sources.spellings("target", row.target)
            ]  # fmt: skip
            for event in islice(self._sources.events(queries), STARTS_MAX):
                live = self._recorded.find(event)
                if live is not None and live.seq == row.seq:
                    self._places[event.source, event.id] = row.seq
                    found.append(event)
        return found


def _as_row(seq: int, event: SourceEvent) -> Row:
    return Row(
        seq=seq, time=parse_time(event.time), primitive=event.primitive, type=event.type,
        agent=event.agent, target=event.target, parent=None, root=None, status=event.status,
        duration=event.duration, segment="", offset=0, id=event.id,
    )  # fmt: skip
