"""Runs as the journal tells them: what began, its steps, and how it ended, if it did.

A run is what happened under one trace id since it was last begun. A run of the seed's functions, which
only save, has no beginning. One that began and neither saved nor failed is unfinished: it goes on, or
whoever did it was killed.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import msgspec

from whence.errors import NotFoundError
from whence.event import Event
from whence.log import Log
from whence.query import Query, clean_target

PRIMITIVE = "run"
BEGIN, STEP, FORK, SAVE, FAIL, REPLAY = "begin", "step", "fork", "save", "fail", "replay"
LAST = "@last"

RunStatus = Literal["saved", "failed", "unfinished"]

_PART_MIN = 4
_CANDIDATES_MAX = 8


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run; `earlier` counts the runs that had the same id before it."""

    id: str
    begin: Event | None = None
    steps: tuple[Event, ...] = ()
    forks: tuple[Event, ...] = ()
    save: Event | None = None
    fail: Event | None = None
    replays: tuple[Event, ...] = ()
    earlier: int = 0

    @cached_property
    def begun(self) -> dict[str, Any]:
        """What was kept when it began."""
        return data_of(self.begin)

    @cached_property
    def saved(self) -> dict[str, Any]:
        """What was kept when it was saved."""
        return data_of(self.save)

    @property
    def status(self) -> RunStatus:
        """How it ended; what was both saved and failed had a file, and failed after that."""
        return "failed" if self.fail else "saved" if self.save else "unfinished"

    @property
    def first(self) -> Event:
        """The first event of it."""
        known = (self.begin, self.save, self.fail, *self.steps, *self.forks, *self.replays)
        return min((event for event in known if event), key=lambda event: event.time)

    @property
    def time_ns(self) -> int:
        """When it began, as far as that is known."""
        return self.first.time_ns

    @property
    def duration_ns(self) -> int | None:
        """How long it took; None where that is not known."""
        end = self.fail or self.save
        return end.duration if end else None

    @property
    def name(self) -> str | None:
        """What it was a run of."""
        return self.begun.get("run") or self.saved.get("run")

    @property
    def runner(self) -> str | None:
        """How another process finds what to run again."""
        return self.begun.get("runner")

    @property
    def input(self) -> Any:
        """What went in, as the journal has it, without secrets; the file has all of it."""
        return self.begun.get("input")

    @property
    def input_digest(self) -> str | None:
        """The digest of what went in, taken before the work; else of what was saved as that."""
        return self.begun.get("input_digest") or self.saved.get("input_digest")

    @property
    def output_digest(self) -> str | None:
        """The digest of what came out."""
        return self.saved.get("output_digest")

    @property
    def environment(self) -> dict[str, Any]:
        """What it ran in."""
        return _object(self.begun.get("environment"))

    @property
    def seed(self) -> Any:
        """The seed given; None where there was none."""
        return self.begun.get("seed")

    @property
    def seeds(self) -> dict[str, Any]:
        """Seeds by the name of what they were for."""
        return _object(self.begun.get("seeds"))

    @property
    def trust(self) -> Any:
        """The trust that came out; 0 is one, None is none."""
        return self.saved.get("trust")

    @property
    def overlays(self) -> dict[str, Any]:
        """The core overlays that came out."""
        return _object(self.saved.get("overlays"))

    @property
    def file(self) -> str | None:
        """The name of its file."""
        return self.saved.get("file")

    @property
    def error(self) -> dict[str, Any]:
        """Type, message and stack of what it failed with."""
        return _object(data_of(self.fail).get("error"))


def data_of(event: Event | None) -> dict[str, Any]:
    """What an event says; nothing where it is missing, private, erased or no object."""
    return _object(event.data if event is not None else None)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def fold(events: Iterable[Event]) -> list[RunRecord]:
    """Make runs of events that stand in order of time: the last run of each id."""
    told: dict[str, list[Event]] = {}
    for event in events:
        if event.primitive == PRIMITIVE and event.target is not None:
            told.setdefault(event.target, []).append(event)
    return [_make(trace_id, its_events) for trace_id, its_events in told.items()]


def _make(trace_id: str, events: list[Event]) -> RunRecord:
    by_type: dict[str, list[Event]] = {}
    earlier = 0
    for number, event in enumerate(events):
        # What was begun again, and what was saved once more, is another run.
        if number and (event.type == BEGIN or (event.type == SAVE and SAVE in by_type)):
            by_type = {}
            earlier += 1
        by_type.setdefault(event.type, []).append(event)
    begin, save, fail = (by_type.get(each, [None])[-1] for each in (BEGIN, SAVE, FAIL))
    steps, forks, replays = (tuple(by_type.get(each, ())) for each in (STEP, FORK, REPLAY))
    return RunRecord(
        id=trace_id, begin=begin, steps=steps, forks=forks, save=save, fail=fail, replays=replays,
        earlier=earlier,
    )  # fmt: skip


def read_run(log: Log, reference: str) -> RunRecord:
    """Read the run that an id, an unmistakable part of one, or `@last` names.

    Raises:
        NotFoundError: none, or more than one.
    """
    found = _read_exactly(log, reference)
    return found or _read_known(log, find_run(log, reference))


def find_run(log: Log, reference: str) -> str:
    """Find the id of the run that an id, the start or end of one, one of its events, or `@last` names.

    Raises:
        NotFoundError: none, or more than one; `candidates` are those.
    """
    text = clean_target(reference.strip())
    if text == LAST:
        last = next(read_runs(log, limit=1), None)
        if last is None:
            raise NotFoundError("there is no last run: none is recorded")
        return last.id
    if _read_exactly(log, text):
        return text
    ids = dict.fromkeys(event.target for event in _starts(log, Query(), newest_first=True))
    named = [each for each in ids if each and len(text) >= _PART_MIN and _is_part(text, each)]
    if len(named) == 1:
        return named[0]
    if named:
        raise NotFoundError(
            f"{reference!r} is ambiguous: {len(named)} runs have ids like that",
            named[:_CANDIDATES_MAX],
            is_ambiguous=True,
            more=max(len(named) - _CANDIDATES_MAX, 0),
        )
    subject = log.resolve(reference)
    if subject.event is not None and subject.event.primitive == PRIMITIVE and subject.event.target:
        return subject.event.target
    raise NotFoundError(f"{reference!r} is no run")


def _is_part(text: str, trace_id: str) -> bool:
    return trace_id.startswith(text) or trace_id.endswith(text)


def _read_exactly(log: Log, trace_id: str) -> RunRecord | None:
    runs = fold(log.events(Query(target=trace_id, primitive=PRIMITIVE)))
    return runs[0] if runs else None


def _read_known(log: Log, trace_id: str) -> RunRecord:
    run = _read_exactly(log, trace_id)
    if run is None:
        raise NotFoundError(f"there is no run {trace_id!r}")
    return run


def read_runs(
    log: Log, query: Query = Query(), *, newest_first: bool = True, limit: int | None = None
) -> Iterator[RunRecord]:
    """Give runs by the time of their beginning, one at a time, whatever their number.

    `query` says since and until when, by whom and below which cause they began.
    """
    seen: set[str] = set()
    for event in _starts(log, query, newest_first=newest_first):
        trace_id = event.target
        if trace_id is None or trace_id in seen:
            continue
        run = _read_known(log, trace_id)
        if run.first.id != event.id:
            # Its beginning comes, has come, or is no part of the answer.
            continue
        seen.add(trace_id)
        yield run
        if len(seen) == limit:
            return


def _starts(log: Log, query: Query, *, newest_first: bool) -> Iterator[Event]:
    """The events that are the first of some run: beginnings, and what was saved without one."""
    streams = [
        log.events(
            msgspec.structs.replace(query, primitive=PRIMITIVE, type=each),
            newest_first=newest_first,
        )
        for each in (BEGIN, SAVE)
    ]
    return heapq.merge(*streams, key=lambda event: event.time, reverse=newest_first)
