"""What a reference means: an id or a part of one, `@last`, a target, an agent, a trace.

Exact names come first, then ids, then parts of ids. What is ambiguous is refused with its
candidates, and what is unknown with names that look like it; nothing is guessed.
"""

import heapq
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Literal

import msgspec

from whence.ask.phrases import shorten
from whence.errors import NotFoundError
from whence.event import ID_BYTES_MAX, OWN, format_time
from whence.index import Index, Row
from whence.query import Query, clean_target

if TYPE_CHECKING:
    from whence.sources.source import SourceEvent

LAST = "@last"

PART_MIN = 4
"""An id is not meant by fewer characters than this."""

CANDIDATES_MAX = 10
"""Of so many events that an ambiguous part of an id may mean, each is named."""

LOOKED_AT_MAX = 100
"""So many are counted."""

_NEAR_MAX = 5
_NAMES_MAX = 100_000
_COMPARED_MAX = 200
_NAME_CHARACTERS_MAX = 200

Kind = Literal["event", "target", "agent", "both", "trace"]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a question is about: an event, or whatever bears a name.

    `both` is a name that is a target and an agent. `name` is the whole id where it is an event or a
    trace, and empty where the question is about everything. An event of the journal is in `event`,
    one that a source tells in `told`. `also` are other ways to write the name, which sources know.
    """

    kind: Kind
    name: str
    event: Row | None = None
    told: "SourceEvent | None" = None
    is_channel: bool = False
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The name, and the other ways to write it."""
        return (self.name, *self.also)


def resolve(index: Index, reference: str, query: Query = Query()) -> Subject:
    """Find out what a reference means; with `@last`, the newest event that `query` lets through.

    Raises:
        NotFoundError: it means nothing, or several things; `candidates` says what it may mean.
    """
    text = reference.strip()
    if not text:
        raise NotFoundError("reference is empty; name a task, an agent, a #channel or an event")
    if text == LAST:
        newest = next(index.find(query, newest_first=True, limit=1), None)
        if newest is None:
            raise NotFoundError("there is no last event: nothing is recorded that fits")
        return Subject(kind="event", name=newest.id, event=newest)
    found = _by_name(index, text) or _by_id(index, text)
    if found is not None:
        return found
    raise NotFoundError(f"nothing is called {shorten(text, 80)!r}", _near(index, text))


def resolve_name(index: Index, kind: Literal["target", "agent"], name: str) -> Subject:
    """Find a target or an agent where it is known which of the two is meant.

    An agent that did nothing so far is a target: of the event that spawned it.
    """
    text = name.strip()
    if kind == "agent" and index.has_agent(text):
        return Subject(kind="agent", name=text)
    if kind == "agent" and any(_has(index, query) for query in making_of(text)):
        return Subject(kind="target", name=text)
    target = clean_target(text)
    if kind == "target" and index.has_target(target):
        return Subject(kind="target", name=target, is_channel=is_channel(index, target))
    names = index.agents() if kind == "agent" else index.targets()
    near = find_near(target if kind == "target" else text, names)
    raise NotFoundError(f"no {kind} is called {shorten(text, 80)!r}", near)


def _has(index: Index, query: Query) -> bool:
    return next(index.find(query, limit=1), None) is not None


def making_of(agent: str) -> list[Query]:
    """What asks for the events that made an agent, and name it so."""
    types = ("spawn", "create_agent")
    return [Query(target=agent, primitive="spawn", type=each) for each in types]


def _by_name(index: Index, text: str) -> Subject | None:
    target = clean_target(text)
    is_target = index.has_target(target)
    is_agent = index.has_agent(text)
    if not (is_target or is_agent):
        return None
    kind: Kind = "both" if is_target and is_agent else "target" if is_target else "agent"
    return Subject(
        kind=kind, name=target, is_channel=is_target and is_channel(index, target)
    )  # fmt: skip


def is_channel(index: Index, target: str) -> bool:
    """A channel is a target on which the first thing that happened was said there."""
    first = next(index.find(Query(target=target), limit=1), None)
    return first is not None and first.primitive == "bridge"


def _by_id(index: Index, text: str) -> Subject | None:
    if len(text) > ID_BYTES_MAX:
        return None
    row = index.by_id(text)
    if row is not None:
        return Subject(kind="event", name=row.id, event=row)
    if next(index.find(Query(trace=text, own=True), limit=1), None) is not None:
        return Subject(kind="trace", name=text)
    if len(text) < PART_MIN:
        return None
    for part, rows in (
        ("begin", index.by_prefix(text, LOOKED_AT_MAX)),
        ("end", index.by_suffix(text, LOOKED_AT_MAX)),
    ):
        is_all = len(rows) < LOOKED_AT_MAX
        # Nobody looks for our housekeeping where something else bears such an id too.
        rows = [row for row in rows if row.primitive != OWN] or rows
        if len(rows) == 1:
            return Subject(kind="event", name=rows[0].id, event=rows[0])
        if rows:
            several = f"{len(rows)}" if is_all else f"{len(rows)} or more"
            raise NotFoundError(
                f"{shorten(text, 80)!r} is ambiguous: the ids of {several} events {part} like that",
                map(describe_row, rows[:CANDIDATES_MAX]),
                is_ambiguous=True,
                more=max(len(rows) - CANDIDATES_MAX, 0),
            )
    return None


def describe_row(row: Row) -> str:
    """Say which event a candidate is, on one line."""
    words = " ".join(filter(None, (row.primitive, row.type, row.target)))
    by = f" by {shorten(row.agent, 80)}" if row.agent else ""
    return f"{row.id} ({shorten(words, 120)}{by}, {format_time(row.time)[:19]}Z)"


def _near(index: Index, text: str) -> list[str]:
    targets = dict.fromkeys(find_near(clean_target(text), index.targets()), "target")
    agents = dict.fromkeys(find_near(text, index.agents()), "agent")
    best = find_near(text, [*targets, *agents])
    kinds = {**targets, **agents}
    return [f"{shorten(name, 120)} ({kinds[name]})" for name in best]


def find_near(text: str, names: Iterable[str]) -> list[str]:
    """The names that look most like `text`, best first. Bounded in cost for any number of names.

    Names that share no pair of neighbouring letters with it are not looked at closely.
    """
    # Loaded here, for most references are found.
    import difflib

    wanted = text[:_NAME_CHARACTERS_MAX].lower()
    pairs = _pairs(wanted)
    shared = (
        (len(pairs & _pairs(name[:_NAME_CHARACTERS_MAX].lower())), name)
        for name in islice(names, _NAMES_MAX)
    )
    likely = heapq.nlargest(_COMPARED_MAX, shared, key=lambda pair: pair[0])
    lowered = {name.lower(): name for count, name in likely if count}
    return [
        lowered[name] for name in difflib.get_close_matches(wanted, lowered, _NEAR_MAX, cutoff=0.5)
    ]


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1)} or {text}
