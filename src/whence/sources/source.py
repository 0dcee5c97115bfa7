"""What every source of foreign events promises, and what it yields.

A source reads a store that somebody else owns, in place and while the owner writes to it. It never
writes, never copies the whole, and never fails for a row: what it does not understand is counted and
kept for `raw`. What the store recorded and what is only inferred from it are told apart in each event.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import msgspec

from whence.event import Event, format_time
from whence.query import Query

CLOCK_FIRST_NS = 946_684_800_000_000_000
"""2000-01-01: a row that says it is older has a clock that is wrong."""

CLOCK_SLACK_NS = 86_400_000_000_000
"""How far ahead of our own clock a row may be before that is remarked: a day."""


class Relation(msgspec.Struct, frozen=True, gc=False):
    """A cause that a store implies without calling it one: drawn dotted, with the reason.

    `id` names an event of the same source. `reason` is the column or sign that says so:
    `parent_id`, `supersedes`, `mention`.
    """

    reason: str
    id: str


class SourceEvent(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One event as a source tells it. Its id is unique within its `source`, not beyond.

    `fact` names what happened in the store's own terms, so that the same thing recorded live can be
    told to be the same: the id of the task, message, entry or session. `inferred` names the fields that
    the store did not record (`time`, `agent`, `type`); `remark` is a doubt worth showing, such as a
    clock that is years ahead. Neither parent nor links are ever inferred: see `relations`.
    """

    w: str = ""
    n: int = 0
    source: str
    fact: str | None = None
    inferred: tuple[str, ...] = ()
    remark: str | None = None
    relations: tuple[Relation, ...] = ()


class Tie(NamedTuple):
    """An event that another one is related to, and why. See `Relation`."""

    reason: str
    event: SourceEvent


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How well a store was understood: how many events it gives, the newest, and rows left out.

    `problem` says why it could not be read, or not all of it; empty if it could.
    """

    events: int = 0
    newest_ns: int | None = None
    not_understood: int = 0
    problem: str = ""
    note: str = ""
    """What kind of store was found, such as its era."""


class RawRow(NamedTuple):
    """A row that is not understood: where it stands, what is wrong with it, and what it holds."""

    place: str
    problem: str
    content: str


NameKind = Literal["target", "agent"]


class Source(Protocol):
    """A store of another program. Safe for one thread at a time; nothing is opened before the first use.

    Every method reads the store as it is now, rows that the owner commits meanwhile included.

    Raises:
        StoreError: it is not there, or cannot be read now. `CorruptError`: it is damaged, or not what it was
            said to be. Nothing else, whatever the store holds.
    """

    kind: str
    """The kind, as in `[[source]] kind = …`."""
    name: str
    """What the source is called in answers; unique among those of one question."""

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """Give what `query` lets through by (time, id), as `query.matches` would, one at a time.

        Time, agent and target reach the store, so that little is read for a narrow question; the first
        event comes before the last is read wherever the store has an order by time.
        """
        ...

    def event(self, event_id: str) -> SourceEvent | None:
        """The event of that id, or None."""
        ...

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """Events whose id begins or ends with `part`, at most `limit`."""
        ...

    def names(self, kind: NameKind) -> Iterator[str]:
        """The targets or agents of its events, each at least once, in any order."""
        ...

    def has_name(self, kind: NameKind, name: str) -> bool:
        """Whether an event has that target or agent. Cheap, where the store has an index for it."""
        ...

    def below(self, target: str) -> list[str]:
        """The targets whose story is part of that of `target`: a task's subtasks."""
        ...

    def causes(self, event: SourceEvent) -> list[Tie]:
        """What its relations name, as far as it is there."""
        ...

    def effects(self, event: SourceEvent) -> list[Tie]:
        """The events whose relations name this one."""
        ...

    def health(self) -> Health:
        """How well the store is understood. Reads all of it; never raises for what it finds."""
        ...

    def raw(self) -> Iterator[RawRow]:
        """The rows that are not understood."""
        ...

    def close(self) -> None:
        """Give everything back. The next use opens it again."""
        ...


SPELLINGS_MAX = 100
"""The most names, and the most ids, that a source says to stand for one thing."""


class Spellings(NamedTuple):
    """How one thing of a store may be written: `names` in the store's own events, `ids` elsewhere.

    Both are empty if the store knows nothing that is written like what was asked. Where things share a
    name there are the ids of all of them.
    """

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@runtime_checkable
class Spelling(Protocol):
    """What a source offers besides if its store gives agents or targets ids, and its events bear their names.

    A program that records live may use the ids. Raises what `Source` does.
    """

    def spellings(self, kind: NameKind, text: str) -> Spellings:
        """How the agents or targets that a name or an id means may be written. Reads little."""
        ...


def by_time(event: Event) -> tuple[int, str]:
    """The order in which sources give events."""
    return event.time_ns, event.id


def check_clock(time_ns: int, now_ns: int) -> str | None:
    """A remark on a time that cannot be right, or None."""
    if time_ns < CLOCK_FIRST_NS:
        return f"its clock says {format_time(time_ns)[:10]}"
    if time_ns > now_ns + CLOCK_SLACK_NS:
        return f"its clock is ahead: {format_time(time_ns)[:10]}"
    return None
