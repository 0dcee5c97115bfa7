"""What events the rows of a table give: one when it was made, and more that its other columns tell. Pure.

What a store did not record is not made up. A task that is blocked or claimed now says so in its creation, as
`status_now` and `assigned_to`; only a time that stands in a column of its own becomes an event.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from whence.sources.space.clocks import Zone, created_ns
from whence.sources.space.eras import Table

Target = Literal["id", "channel", "session", "spawn", "name"]
Means = Literal["is", "lists", "mentions", "linked"]

SLEEPS = ("sleep", "session_end", "session_ended")
WAKES = ("wake", "session_start", "session_started")
"""What events.db has called the beginning and the end of a session."""

SESSION = "session-"
"""How a session is called that has only a number."""


class Tells(NamedTuple):
    """One kind of event that a kind of row gives."""

    type: str
    """Empty where the row itself says it."""
    target: Target
    later: str | None = None
    """The role that holds its time; None for the creation."""
    agent: str | None = "agent"
    """The role that holds who did it."""
    is_agent_inferred: bool = False
    """The row tells whose it is, and not who did that."""
    suffix: str = ""


_PRIMITIVES = {
    "event": "spawn", "channel": "bridge", "message": "bridge", "note": "bridge",
    "bookmark": "bridge", "memory": "memory", "discovery": "knowledge", "agent": "spawn",
    "spawn": "spawn", "run": "spawn", "task": "ops",
}  # fmt: skip

_TELLS: Mapping[str, tuple[Tells, ...]] = {
    "event": (Tells("", "session"),),
    "channel": (
        Tells("create_channel", "name", agent=None),
        Tells("archive_channel", "name", "archived", agent=None, suffix="archive"),
    ),
    "message": (Tells("send", "channel"),),
    "note": (Tells("note", "channel"),),
    "bookmark": (Tells("recv", "channel"),),
    "memory": (
        Tells("add_entry", "id"),
        Tells("archive_entry", "id", "archived", is_agent_inferred=True, suffix="archive"),
    ),
    "discovery": (
        Tells("add_discovery", "id"),
        Tells("archive_discovery", "id", "archived", is_agent_inferred=True, suffix="archive"),
    ),
    "agent": (
        Tells("create_agent", "name", agent=None),
        Tells("archive_agent", "name", "archived", agent=None, suffix="archive"),
    ),
    "spawn": (
        Tells("spawn", "spawn", agent="spawner", is_agent_inferred=True),
        Tells("sleep", "spawn", "ended", suffix="end"),
    ),
    "run": (
        Tells("spawn", "spawn", agent=None),
        Tells("sleep", "spawn", "ended", suffix="end"),
    ),
    "task": (
        Tells("create_task", "id", agent="creator"),
        Tells("claim_task", "id", "started", is_agent_inferred=True, suffix="claim"),
        Tells("complete_task", "id", "completed", is_agent_inferred=True, suffix="complete"),
    ),
}
SUFFIXES = frozenset(tells.suffix for several in _TELLS.values() for tells in several)


class Implied(NamedTuple):
    """A relation that a column implies: to the creation of which kind of row, and how it names it."""

    role: str
    kind: str
    means: Means = "is"


_IMPLIED: Mapping[tuple[str, str], tuple[Implied, ...]] = {
    ("task", ""): (Implied("parent", "task"),),
    ("spawn", ""): (Implied("parent", "spawn"),),
    ("channel", ""): (Implied("parent", "channel"),),
    ("memory", ""): (
        Implied("supersedes", "memory", "lists"), Implied("id", "memory", "linked"),
    ),
    ("memory", "archive"): (Implied("successor", "memory", "lists"),),
    ("message", ""): (Implied("content", "agent", "mentions"),),
    ("bookmark", ""): (Implied("seen", "message"),),
}  # fmt: skip


class Feed(NamedTuple):
    """The events of one kind that one table gives, and where it stands."""

    database: str
    table: Table
    tells: Tells
    primitive: str
    zones: tuple[Zone, Zone]
    """What text without a zone means in the time of creation, and in its own."""
    implied: tuple[Implied, ...]
    """What its events relate to: what columns say, and for a later event its row's creation."""

    @property
    def is_by_id(self) -> bool:
        """Whether ids that are UUIDv7 tell its order."""
        return self.tells.later is None and self.table.has("id")


def make_feeds(database: str, tables: Iterable[Table]) -> list[Feed]:
    """List what the tables of one database give. An agent that no column names stays unsaid."""
    return [
        Feed(
            database,
            table,
            tells
            if tells.agent in {*table.columns, *table.borrowed}
            else tells._replace(agent=None),
            _PRIMITIVES[table.kind],
            (table.zone("created"), table.zone(tells.later or "created")),
            _implied_by(table, tells),
        )
        for table in tables
        for tells in _TELLS.get(table.kind, ())
        if tells.later is None or table.has(tells.later)
    ]


def _implied_by(table: Table, tells: Tells) -> tuple[Implied, ...]:
    own = (Implied("id", table.kind),) if tells.later else ()
    several = _IMPLIED.get((table.kind, tells.suffix), ())
    return own + tuple(each for each in several if table.has(each.role))


def key_of(kind: str, value: Any) -> str:
    """The id of the event that made a row: the row's own if no other can have it."""
    return value if created_ns(value) is not None else f"{kind}:{value}"


def raw_types(event_type: str) -> tuple[str, ...]:
    """What events.db may have called a type."""
    for word, names in (("sleep", SLEEPS), ("wake", WAKES)):
        if event_type == word:
            return names
    return (event_type,)


def clean_type(raw: str) -> str:
    """The seed's word for a type of events.db; any other stays as it is."""
    if raw in SLEEPS:
        return "sleep"
    return "wake" if raw in WAKES else raw
