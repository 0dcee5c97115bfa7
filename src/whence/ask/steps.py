"""Steps as they are told: those that ended, those that take no time, and those that never ended.

A step writes its event when it ends. One that stays open is told by `span.open`, linked to the id
that the step's own event will have; where no event of that id is recorded, it is unfinished.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec

from whence.ask.phrases import name_step, node_label, step_label
from whence.ask.reading import read_events
from whence.ask.stores import Stores
from whence.draw.amounts import format_duration
from whence.event import OWN, Event, parse_time
from whence.index import Writer
from whence.query import Query, StepQuery, matches

Going = Literal["open", "ended", "elsewhere"]
"""What became of the process that a step was open in: it runs, it is gone, it is on another machine."""


_UNFINISHED: dict[Going, str] = {
    "open": "unfinished, {} so far",
    "ended": "unfinished, last heard of after {}",
    "elsewhere": "unfinished, last heard of from another machine after {}",
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `start` and `age` are nanoseconds; `age` is how long it took or was open so far.

    Where the process of an open one is gone or elsewhere, it is how long it was heard of, at least.

    Of an unfinished one, for which `going` is set, `event` is what tells that it is open, and
    `data` what was known of it then.
    """

    id: str
    event: Event
    primitive: str
    type: str
    start: int
    age: int | None
    data: Any = None
    going: Going | None = None

    @property
    def end(self) -> int | None:
        """When it ended, or until when it was seen to be open; None for what takes no time."""
        return None if self.age is None else self.start + self.age


def say_step(step: Step) -> str:
    """Say a step in the seed's words, an unfinished one with its age; any other event in its own."""
    event = step.event
    if step.going is None:
        is_step = event.duration is not None or event.status is not None
        return step_label(event) if is_step else node_label(event)
    age = format_duration(step.age or 0)
    data = step.data if isinstance(step.data, dict) else {}
    return f"{name_step(step.primitive, step.type, data)} → {_UNFINISHED[step.going].format(age)}"


class Teller:
    """Makes steps of events. Asks about the writers of unfinished ones when it meets the first."""

    def __init__(self, stores: Stores, clock: Callable[[], int]) -> None:
        self._stores = stores
        self._clock = clock
        self._writers: dict[str, Writer] | None = None
        self._going: dict[str, tuple[Going, int]] = {}

    def tell(self, event: Event, *, is_live: bool = False) -> Step:
        """The step that an event stands for; `is_live` where the event was written just now."""
        if is_opening(event):
            return self._tell_open(event, is_live=is_live)
        return Step(
            id=event.id, event=event, primitive=event.primitive, type=event.type,
            start=event.time_ns, age=event.duration,
        )  # fmt: skip

    def read(self, seqs: Iterable[int]) -> Iterator[tuple[int, Step]]:
        """The steps of these rows, by time."""
        index = self._stores.index
        if index is None:
            return
        given = list(seqs)
        places = index.ask(lambda lookup: lookup.places_of(given), by_seq=True)
        for place, event in read_events(self._stores.reader, places, self._stores.note):
            yield place.seq, self.tell(event)

    def _tell_open(self, event: Event, *, is_live: bool) -> Step:
        said = event.data if isinstance(event.data, dict) else {}
        age, since, name = said.get("age"), said.get("since"), said.get("name")
        told = age if isinstance(age, int) and not isinstance(age, bool) and age > 0 else 0
        start = event.time_ns - told
        if isinstance(since, str):
            try:
                start = parse_time(since)
            except ValueError:
                # Whatever it says, it is no time: then the age must do.
                pass
        seen: tuple[Going, int] = ("open", event.time_ns) if is_live else self._look(event)
        going, until = seen
        primitive, dot, type_ = (name if isinstance(name, str) else "").partition(".")
        return Step(
            id=event.links[0], event=event,
            primitive=primitive if dot else "span", type=type_ if dot else primitive or "step",
            start=start, age=max(until - start, told), data=said.get("data"), going=going,
        )  # fmt: skip

    def _look(self, event: Event) -> tuple[Going, int]:
        """What became of the writer of an event, and when it was last heard of."""
        if event.w not in self._going:
            self._going[event.w] = self._find(event)
        going, seen = self._going[event.w]
        return going, max(seen, event.time_ns)

    def _find(self, event: Event) -> tuple[Going, int]:
        index = self._stores.index
        if index is None:
            return "ended", event.time_ns
        if self._writers is None:
            self._writers = {writer.name: writer for writer in index.writers()}
        writer = self._writers.get(event.w)
        if writer is None:
            return "ended", event.time_ns
        # Dear to load, and most steps end.
        from whence.ask.health import state_now

        going = state_now(writer.is_closed, self._about(writer))
        if going == "open":
            return "open", self._clock()
        return "elsewhere" if going == "elsewhere" else "ended", writer.last

    def _about(self, writer: Writer) -> dict[str, Any]:
        """What a writer said of itself when it opened."""
        index = self._stores.index
        if index is None or writer.opened is None:
            return {}
        began = Query(
            primitive=OWN, type="writer.open", since=writer.opened, until=writer.opened + 1
        )
        for _, event in read_events(self._stores.reader, index.places(began), self._stores.note):
            if event.w == writer.name:
                return event.data if isinstance(event.data, dict) else {}
        return {}


def is_opening(event: Event) -> bool:
    """Whether an event tells of a step that it is open."""
    return (
        (event.primitive, event.type) == ("span", "open")
        and event.status is None
        and event.duration is None
        and bool(event.links)
    )


def fits(step: Step, query: StepQuery) -> bool:
    """Whether a query lets a step through; of an unfinished one, by the step that it tells of."""
    if step.going is None:
        return matches(query, step.event)
    if query.status is not None or step.age is None:
        return False
    return (
        query.primitive in (None, step.primitive)
        and query.type in (None, step.type)
        and query.agent in (None, step.event.agent)
        and query.target in (None, step.event.target)
        and (query.since is None or step.start >= query.since)
        and (query.until is None or step.start < query.until)
        # Of a process that is gone nobody knows how long its step went on.
        and (query.slow is None or step.age >= query.slow or step.going != "open")
    )
