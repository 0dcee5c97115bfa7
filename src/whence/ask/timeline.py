"""Timelines: what happened, oldest first, to a task, an agent, a channel, a trace, or to all.

The timeline of a task is what happened on it and on its subtasks, and what those events caused or
answered, wherever it was said; each event once. That of an agent is what it did, that of a
channel what was said there, that of a trace all its events, that of an event what led to it
and what came of it. Filters apply on top.

A task is a subtask if an event of the same primitive on the task caused its `create_task`, or if a
`decompose_task` of the task lists it under `subtasks`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from whence.ask.phrases import View, phrase, title_of
from whence.ask.reading import Note, read_events
from whence.ask.references import Subject
from whence.event import OWN, Event
from whence.index import Index, Row
from whence.journal.reader import Reader
from whence.query import Query, event_as_json

STORY_MAX = 100_000
"""The most events that are gathered into one story; of more, the newest on the target itself."""

COUNTED_MAX = 100
"""Events left out are counted up to this number."""

_CREATE, _CLAIM, _DECOMPOSE = "create_task", "claim_task", "decompose_task"


class TimelineRow(NamedTuple):
    """One event of a timeline and what it says there."""

    event: Event
    text: str

    def as_json(self) -> dict[str, Any]:
        """Lay the row out for a program: the event's keys and `text`. Keys are only added."""
        return {**event_as_json(self.event), "text": self.text}


class Rows:
    """The rows of a timeline: read from the journal as one iterates over them, as often as one does.

    False if there are none.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[Row]] = tuple,
        tell: Callable[[Iterable[Row]], Iterator[TimelineRow]] = lambda _: iter(()),
    ) -> None:
        self._find = find
        self._tell = tell

    def __iter__(self) -> Iterator[TimelineRow]:
        return self._tell(self._find())

    def __bool__(self) -> bool:
        return next(iter(self._find()), None) is not None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to "what happened?": rows by time, and what is left out.

    `subject` is None where the question was about everything. `more` counts events that `limit` left
    out, at least that many unless `more_is_exact`. Lines that cannot be read are left out and
    noted in the log's warnings.
    """

    subject: Subject | None
    title: str
    rows: Rows
    more: int = 0
    more_is_exact: bool = True

    def as_json(self) -> dict[str, Any]:
        """Lay the timeline out for a program. Keys are only added."""
        return {
            "subject": subject_as_json(self.subject),
            "title": self.title or None,
            "rows": [row.as_json() for row in self.rows],
            "more": self.more,
            "more_is_exact": self.more_is_exact,
        }


def subject_as_json(subject: Subject | None) -> dict[str, Any] | None:
    """Lay out what a question was about. Keys are only added."""
    if subject is None:
        return None
    return {"kind": subject.kind, "name": subject.name, "is_channel": subject.is_channel}


def _tell(
    reader: Reader, view: View, retries: Collection[int], note: Note, rows: Iterable[Row]
) -> Iterator[TimelineRow]:
    """Turn rows into what they say to a reader who stands at `view`."""
    for row, event in read_events(reader, rows, note):
        yield TimelineRow(event, phrase(event, view, is_retry=row.seq in retries))


def make_timeline(
    index: Index,
    reader: Reader,
    subject: Subject | None,
    query: Query,
    *,
    limit: int | None,
    newest: bool,
    note: Note,
) -> Timeline:
    """Tell what happened to `subject` of what `query` lets through, at most `limit` events of it.

    With `newest` these are the last ones, else the first; they come oldest first either way.
    """
    view, title, retries = _view_of(subject), "", set[int]()
    direct = _direct_query(subject, query)
    if direct is not None:
        rows: Callable[[], Iterable[Row]]
        if limit is None:
            rows = partial(index.find, direct)
            more, is_exact = 0, True
        else:
            probe = limit + COUNTED_MAX
            found = list(index.find(direct, newest_first=newest, limit=probe))
            more, is_exact = len(found) - len(found[:limit]), len(found) < probe
            kept = found[:limit]
            rows = _fixed(kept[::-1] if newest else kept)
    else:
        assert subject is not None
        story, is_exact = _gather(index, reader, subject, note)
        retries = _find_retries(story)
        title = _title(reader, story, subject, note)
        allowed = _keep(index, story, query)
        kept = allowed if limit is None else allowed[-limit:] if newest else allowed[:limit]
        kept = kept if limit != 0 else []
        more = len(allowed) - len(kept)
        rows = _fixed(kept)
    return Timeline(
        subject=subject,
        title=title,
        rows=Rows(rows, partial(_tell, reader, view, retries, note)),
        more=more,
        more_is_exact=is_exact,
    )


def _fixed(rows: list[Row]) -> Callable[[], Iterable[Row]]:
    return lambda: rows


def _view_of(subject: Subject | None) -> View:
    if subject is None or subject.event is not None:
        return View()
    if subject.kind == "agent":
        return View(agent=subject.name)
    return View(target=subject.name) if subject.kind in ("target", "both") else View()


def _direct_query(subject: Subject | None, query: Query) -> Query | None:
    """The one query that answers, where a timeline needs no gathering."""
    replace = msgspec.structs.replace
    if subject is None:
        return query
    if subject.kind == "agent" and query.agent in (None, subject.name):
        return replace(query, agent=subject.name)
    if subject.kind == "target" and subject.is_channel and query.target in (None, subject.name):
        return replace(query, target=subject.name)
    if subject.kind == "trace" and query.trace in (None, subject.name):
        return replace(query, trace=subject.name)
    return None


# -- gathering a story ---------------------------------------------------------------------------


def _gather(index: Index, reader: Reader, subject: Subject, note: Note) -> tuple[list[Row], bool]:
    """All events that belong to the subject, by (time, seq), and whether that is really all."""
    if subject.event is not None:
        return _gather_around(index, subject.event)
    if subject.kind in ("agent", "both"):
        did = list(
            index.find(Query(agent=subject.name, own=True), newest_first=True, limit=STORY_MAX)
        )
        found = {row.seq: row for row in did}
        is_all = len(did) < STORY_MAX
    else:
        found, is_all = {}, True
    if subject.kind == "trace":
        found = {row.seq: row for row in index.find(Query(trace=subject.name), limit=STORY_MAX)}
        is_all = len(found) < STORY_MAX
    if subject.kind in ("target", "both"):
        is_all &= _gather_target(index, reader, subject, found, note)
    return _in_order(found), is_all


def _gather_around(index: Index, event: Row) -> tuple[list[Row], bool]:
    """What led to an event, the event, and what came of it."""
    effects = index.descendants([event.seq], STORY_MAX)
    causes = index.ancestors(event.seq)
    linked = index.rows(cause for cause, effect in index.links([event.seq]) if effect == event.seq)
    found = {row.seq: row for row in (*causes, *linked, event, *effects)}
    return _in_order(found), len(effects) < STORY_MAX


def _gather_target(
    index: Index, reader: Reader, subject: Subject, found: dict[int, Row], note: Note
) -> bool:
    """Add to `found` what happened on a target and its subtasks, and what came of it."""
    waiting, met = [subject.name], {subject.name}
    while waiting:
        target = waiting.pop()
        room = STORY_MAX - len(found)
        if room <= 0:
            return False
        own = list(index.find(Query(target=target, own=True), newest_first=True, limit=room))
        found.update((row.seq, row) for row in own)
        room = STORY_MAX - len(found)
        if room <= 0:
            return False
        if subject.is_channel:
            continue
        effects = index.descendants([row.seq for row in own], room)
        found.update((row.seq, row) for row in effects)
        for subtask in _find_subtasks(index, reader, own, effects, note):
            if subtask not in met:
                met.add(subtask)
                waiting.append(subtask)
    return len(found) < STORY_MAX


def _find_subtasks(
    index: Index, reader: Reader, own: list[Row], effects: list[Row], note: Note
) -> list[str]:
    on_task = {row.seq: row.primitive for row in own}
    caused = [
        row.target
        for row in effects
        if row.type == _CREATE and row.parent is not None
        and on_task.get(row.parent) == row.primitive and row.target is not None
    ]  # fmt: skip
    decomposed = (row for row in own if row.type == _DECOMPOSE)
    listed = [
        name
        for _, event in read_events(reader, decomposed, note)
        for name in _listed_subtasks(event)
        if index.has_target(name)
    ]
    return [*caused, *listed]


def _listed_subtasks(event: Event) -> list[str]:
    data = event.data
    listed = data.get("subtasks") if isinstance(data, dict) else None
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def _in_order(found: dict[int, Row]) -> list[Row]:
    return sorted(found.values(), key=lambda row: (row.time, row.seq))


# -- what stands in a story ----------------------------------------------------------------------


def _find_retries(story: list[Row]) -> set[int]:
    """The claims of tasks that had been claimed before."""
    claimed: set[str | None] = set()
    retries = set()
    for row in story:
        if row.type == _CLAIM and row.target in claimed:
            retries.add(row.seq)
        elif row.type == _CLAIM:
            claimed.add(row.target)
    return retries


def _title(reader: Reader, story: list[Row], subject: Subject, note: Note) -> str:
    """What the event that created the target calls it."""
    if subject.kind not in ("target", "both"):
        return ""
    made = (row for row in story if row.target == subject.name and row.type.startswith("create"))
    first = next(read_events(reader, islice(made, 1), note), None)
    return title_of(first[1]) if first else ""


def _keep(index: Index, story: list[Row], query: Query) -> list[Row]:
    """The rows of a story that a query lets through."""
    if query.parent is not None or query.trace is not None:
        family = Query(parent=query.parent, trace=query.trace, own=True)
        members = {row.seq for row in index.find(family)}
        story = [row for row in story if row.seq in members]
    return [row for row in story if _is_wanted(query, row)]


def _is_wanted(query: Query, row: Row) -> bool:
    return (
        (query.shows_own or row.primitive != OWN)
        and query.target in (None, row.target)
        and query.agent in (None, row.agent)
        and query.primitive in (None, row.primitive)
        and query.type in (None, row.type)
        and query.status in (None, row.status)
        and (query.since is None or row.time >= query.since)
        and (query.until is None or row.time < query.until)
    )
