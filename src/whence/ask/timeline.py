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
from typing import Any, NamedTuple

import msgspec

from whence.ask.phrases import View, phrase, title_of
from whence.ask.reading import Note, read_events
from whence.ask.references import Subject
from whence.ask.story import Story, tell_story
from whence.event import Event
from whence.index import Index, Place
from whence.journal.reader import Reader
from whence.query import Query, event_as_json

COUNTED_MAX = 100
"""Events left out are counted up to this number."""


class TimelineRow(NamedTuple):
    """One event of a timeline and what it says there."""

    event: Event
    text: str

    def as_json(self) -> dict[str, Any]:
        """Lay the row out for a program: the event's keys and `text`. Keys are only added."""
        return {**event_as_json(self.event), "text": self.text}


class Rows:
    """The rows of a timeline: read as one iterates over them, as often as one does.

    `find` finds what there is to tell, `tell` reads it and puts it in words. False if there are none.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[Any]] = tuple,
        tell: Callable[[Iterable[Any]], Iterator[TimelineRow]] = iter,
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
    reader: Reader, view: View, retries: Collection[int], note: Note, places: Iterable[Place]
) -> Iterator[TimelineRow]:
    """Turn places into what their events say to a reader who stands at `view`."""
    for place, event in read_events(reader, places, note):
        yield TimelineRow(event, phrase(event, view, is_retry=place.seq in retries))


def make_timeline(
    index: Index,
    reader: Reader,
    subject: Subject | None,
    query: Query,
    *,
    limit: int | None,
    newest: bool,
    note: Note,
    view: View = View(),
) -> Timeline:
    """Tell what happened to `subject` of what `query` lets through, at most `limit` events of it.

    With `newest` these are the last ones, else the first; they come oldest first either way.
    """
    view, title, retries = view_of(subject, view), "", set[int]()
    direct = _direct_query(subject, query)
    places: Callable[[], Iterable[Place]]
    if direct is None:
        assert subject is not None
        story = _tell_story(index, reader, subject, query, limit=limit, newest=newest, note=note)
        title, retries = _title(reader, subject, story, note), story.retries
        places, more, is_exact = _fixed(story.shown), story.more, story.is_all
    elif limit is None:
        places, more, is_exact = partial(index.places, direct), 0, True
    else:
        probe = limit + COUNTED_MAX
        found = list(index.places(direct, newest_first=newest, limit=probe))
        kept = found[:limit]
        places = _fixed(kept[::-1] if newest else kept)
        more, is_exact = len(found) - len(kept), len(found) < probe
    return Timeline(
        subject=subject,
        title=title,
        rows=Rows(places, partial(_tell, reader, view, retries, note)),
        more=more,
        more_is_exact=is_exact,
    )


def _tell_story(index: Index, reader: Reader, subject: Subject, query: Query, **how: Any) -> Story:
    return index.ask(
        lambda lookup: tell_story(lookup, reader, subject, query, **how),
        by_seq=subject.event is not None,
    )


def _title(reader: Reader, subject: Subject, story: Story, note: Note) -> str:
    """What the event that created the target calls it; what an event says."""
    if subject.event is not None:
        return next((phrase(event) for _, event in read_events(reader, [subject.event], note)), "")
    made = [] if story.creation is None else [story.creation]
    return next((title_of(event) for _, event in read_events(reader, made, note)), "")


def _fixed(places: list[Place]) -> Callable[[], Iterable[Place]]:
    return lambda: places


def view_of(subject: Subject | None, view: View = View()) -> View:
    """Where the reader of a timeline stands, who knows names as `view` does."""
    if subject is None or subject.event is not None:
        return view
    if subject.kind == "agent":
        return view._replace(agent=subject.name)
    return view._replace(target=subject.name) if subject.kind in ("target", "both") else view


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
