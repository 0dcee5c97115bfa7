"""Stories: which events belong to what a timeline is about, and which of them it shows.

Gathered as points, in the index's own numbers and from one state of it, so that an event which is
counted but not shown costs little. Only what is shown is read.
"""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from whence.ask.reading import Note, read_events
from whence.ask.references import Subject
from whence.event import Event
from whence.index import Lookup, Page, Place, Point, Row
from whence.journal.reader import Reader
from whence.query import Query

STORY_MAX = 100_000
"""The most events that are gathered into one story; of more, the newest on the target itself."""

_ALL = Page(newest_first=False, size=-1)
_CREATE, _CLAIM, _DECOMPOSE = "create_task", "claim_task", "decompose_task"


class Story(NamedTuple):
    """What a timeline shows of a story, oldest first, and how many events it leaves out.

    `retries` are the claims of tasks that had been claimed before. `creation` is the event that
    created the target. `is_all` tells whether the whole story was gathered.
    """

    shown: list[Place]
    retries: set[int]
    creation: Place | None
    more: int
    is_all: bool


def tell_story(
    lookup: Lookup,
    reader: Reader,
    subject: Subject,
    query: Query,
    *,
    limit: int | None,
    newest: bool,
    note: Note,
) -> Story:
    """Gather the story of `subject`; show at most `limit` events of what `query` lets through."""
    found: dict[int, Point] = {}
    is_all = _gather(lookup, reader, subject, found, note)
    story = sorted(found.values())
    allowed = _allowed(lookup, story, query)
    shown = allowed if limit is None else allowed[-limit:] if newest else allowed[:limit]
    seqs = {point[1] for point in shown} if limit != 0 else set()
    creation = _find_creation(lookup, story, subject)
    places = lookup.places_of(seqs | creation)
    return Story(
        shown=[place for place in places if place.seq in seqs],
        retries=_find_retries(lookup, story),
        creation=next((place for place in places if place.seq in creation), None),
        more=len(allowed) - len(seqs),
        is_all=is_all,
    )


# -- gathering -------------------------------------------------------------------------------------


def _gather(
    lookup: Lookup, reader: Reader, subject: Subject, found: dict[int, Point], note: Note
) -> bool:
    """Put all events that belong to the subject into `found`; return whether that is really all."""
    if subject.event is not None:
        return _gather_around(lookup, subject.event, found)
    if subject.kind in ("agent", "both"):
        did = Query(agent=subject.name, own=True)
        _add(found, lookup.points(did, Page(newest_first=True, size=STORY_MAX)))
    if subject.kind == "trace":
        named = Query(trace=subject.name)
        _add(found, lookup.points(named, Page(newest_first=False, size=STORY_MAX)))
    is_all = len(found) < STORY_MAX
    if subject.kind in ("target", "both"):
        is_all &= _gather_target(lookup, reader, subject, found, note)
    return is_all


def _add(found: dict[int, Point], points: Iterable[Point]) -> None:
    found.update((point[1], point) for point in points)


def _gather_around(lookup: Lookup, event: Row, found: dict[int, Point]) -> bool:
    """What led to an event, the event, and what came of it."""
    effects = [row.seq for row in lookup.descendants([event.seq], STORY_MAX)]
    causes = [row.seq for row in lookup.ancestors(event.seq)]
    linked = [cause for cause, effect in lookup.links([event.seq]) if effect == event.seq]
    _add(found, lookup.points_of([*causes, *linked, event.seq, *effects]))
    return len(effects) < STORY_MAX


def _gather_target(
    lookup: Lookup, reader: Reader, subject: Subject, found: dict[int, Point], note: Note
) -> bool:
    """Add to `found` what happened on a target and its subtasks, and what came of it.

    Goes on step by step from the last events to their effects, and from new subtasks to what
    happened on them.
    """
    subtasks = _Subtasks(lookup, reader, note)
    first = lookup.number_of("targets", subject.name)
    targets = [] if first is None else [first]
    met, latest = set(targets), list[int]()
    while targets or latest:
        effects = lookup.effects(latest) if latest else []
        latest = []
        for target in targets:
            own = lookup.points_on(target, max(STORY_MAX - len(found), 0))
            _add(found, own)
            subtasks.add_own(own)
            # Those that were met before too: now they are the task's own, which may make subtasks.
            latest += [point[1] for point in own]
        # By number, since what has several causes comes several times.
        news = {point[1]: point for point in effects if point[1] not in found}
        _add(found, islice(news.values(), max(STORY_MAX - len(found), 0)))
        latest += news
        if len(found) >= STORY_MAX:
            return False
        if subject.is_channel:
            break
        targets = [target for target in subtasks.among(effects) if target not in met]
        targets = list(dict.fromkeys(targets))
        met.update(targets)
    return True


class _Subtasks:
    """Finds the subtasks of a story's tasks: those that they created, and those that they list."""

    def __init__(self, lookup: Lookup, reader: Reader, note: Note) -> None:
        self._lookup, self._reader, self._note = lookup, reader, note
        self._creates = _kinds_of_type(lookup, _CREATE)
        self._decomposes = _kinds_of_type(lookup, _DECOMPOSE)
        # The primitives of the tasks' own events, and the subtasks that they list.
        self._own: dict[int, str] = {}
        self._listed: list[int] = []

    def add_own(self, own: list[Point]) -> None:
        """Take note of what happened on a task itself."""
        kind = self._lookup.kind
        self._own.update((point[1], kind(point[2])[0]) for point in own)
        decomposed = [point[1] for point in own if point[2] in self._decomposes]
        if decomposed:
            places = self._lookup.places_of(decomposed)
            for _, event in read_events(self._reader, places, self._note):
                numbers = (self._lookup.number_of("targets", name) for name in _listed(event))
                self._listed += [number for number in numbers if number is not None]

    def among(self, effects: list[Point]) -> list[int]:
        """The targets that are subtasks, by what the tasks listed so far and by these effects."""
        kind = self._lookup.kind
        caused = [
            target
            for _, _, number, _, target, parent in effects
            if number in self._creates and target is not None and parent is not None
            and self._own.get(parent) == kind(number)[0]
        ]  # fmt: skip
        listed, self._listed = self._listed, []
        return [*caused, *listed]


def _kinds_of_type(lookup: Lookup, type_: str) -> frozenset[int]:
    """The numbers of the kinds that have this type."""
    return frozenset(lookup.kinds_of(Query(type=type_, own=True)))


def _listed(event: Event) -> list[str]:
    data = event.data
    listed = data.get("subtasks") if isinstance(data, dict) else None
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


# -- what stands in a story ------------------------------------------------------------------------


def _find_retries(lookup: Lookup, story: list[Point]) -> set[int]:
    """The claims of tasks that had been claimed before."""
    claims = _kinds_of_type(lookup, _CLAIM)
    claimed: set[int | None] = set()
    retries = set()
    for _, seq, kind, _, target, _ in story:
        if kind in claims:
            if target in claimed:
                retries.add(seq)
            claimed.add(target)
    return retries


def _find_creation(lookup: Lookup, story: list[Point], subject: Subject) -> set[int]:
    """The event that created the target, if there is one."""
    if subject.kind not in ("target", "both"):
        return set()
    wanted = lookup.number_of("targets", subject.name)
    made = (
        seq
        for _, seq, kind, _, target, _ in story
        if target == wanted and lookup.kind(kind)[1].startswith("create")
    )
    return {seq for seq in [next(made, None)] if seq is not None}


def _allowed(lookup: Lookup, story: list[Point], query: Query) -> list[Point]:
    """The points of a story that a query lets through."""
    if query.parent is not None or query.trace is not None:
        family = Query(parent=query.parent, trace=query.trace, own=True)
        members = {point[1] for point in lookup.points(family, _ALL)}
        story = [point for point in story if point[1] in members]
    for name, table, cell in ((query.agent, "agents", 3), (query.target, "targets", 4)):
        if name is not None:
            number = lookup.number_of(table, name)
            story = [point for point in story if number is not None and point[cell] == number]
    if query.since is not None:
        story = [point for point in story if point[0] >= query.since]
    if query.until is not None:
        story = [point for point in story if point[0] < query.until]
    kinds = frozenset(lookup.kinds_of(query))
    return [point for point in story if point[2] in kinds]
