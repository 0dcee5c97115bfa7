"""From a row to the event it tells, in the words of the seed."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from whence.event import format_time
from whence.query import clean_target
from whence.sources.cells import is_cut, mark_cut
from whence.sources.source import Relation, SourceEvent, check_clock
from whence.sources.space.clocks import Fallback, Moment, Row, find_time
from whence.sources.space.feeds import SESSION, Feed, Implied, clean_type, key_of
from whence.sources.space.names import Links, Names, Sessions

Values = Mapping[str, Any]
"""What a row holds, by role."""

_MENTION = re.compile(r"(?<![\w@.])@([\w][\w.-]*)")
_LISTED = re.compile(r"[^\s,;\[\]\"']+")
_PRIMITIVES = {"identity": "spawn", "session": "spawn", "agent": "spawn"}
"""What `source` in events.db has called the primitive."""
_DATA: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("channel", ""): {"name": "name", "topic": "topic"},
    ("message", ""): {"content": "content", "priority": "priority"},
    ("note", ""): {"content": "content"},
    ("memory", ""): {"topic": "topic", "content": "message", "synthesis_note": "note", "source": "origin"},
    ("memory", "archive"): {"topic": "topic", "superseded_by": "successor"},
    ("discovery", ""): {"domain": "domain", "content": "content", "confidence": "confidence"},
    ("discovery", "archive"): {"domain": "domain"},
    ("agent", ""): {"name": "name", "model": "model", "role": "role", "description": "description"},
    ("spawn", ""): {"session_id": "session", "parent_spawn_id": "parent", "status_now": "status"},
    ("spawn", "end"): {"session_id": "session", "status_now": "status"},
    ("run", ""): {"input": "input"},
    ("run", "end"): {"output": "output"},
    ("task", ""): {
        "description": "description", "parent_task_id": "parent", "project": "project",
        "handover": "handover", "status_now": "status",
    },
    ("task", "complete"): {"handover": "handover", "status_now": "status"},
}  # fmt: skip
"""Which role goes under which key of the payload, by kind of row and suffix."""

_TEXTS = frozenset(["data", *(role for roles in _DATA.values() for role in roles.values())])
"""The roles that are payload, and may be long."""
_LENGTHS = "lengths"
"""Beside what a row holds by role: how long those are that were cut."""

_DONE = ("complete", "completed", "done")


class Words(NamedTuple):
    """What is needed to tell rows, beside the rows."""

    source: str
    agents: Names
    channels: Names
    sessions: Sessions
    links: Links
    fallback: Fallback
    now_ns: int


class Told(NamedTuple):
    """An event, and its time."""

    ns: int
    event: SourceEvent


def tell(feed: Feed, values: Values, words: Words) -> Told | str:
    """Make the event of a row, or say what of the row is not understood."""
    table, tells = feed.table, feed.tells
    moment = find_moment(feed, values, words.fallback)
    if moment is None:
        return _why_no_time(feed, values)
    row_id = values["id"]
    if row_id is None or isinstance(row_id, bytes) or row_id == "":
        return f"its id is {row_id!r}"
    try:
        time = format_time(moment.ns)
    except ValueError as error:
        return str(error)
    primitive, kind = feed.primitive, tells.type
    if table.kind == "event":
        raw = values["type"]
        if not isinstance(raw, str) or not raw:
            return f"its type is {raw!r}"
        kind = clean_type(raw)
        primitive = _primitive(values.get("source"), kind)
    target, fact, naming = _place(feed, values, words, kind, moment.ns)
    data = {**dict(_payload(feed, values, words)), **naming}
    inferred = []
    if moment.is_inferred or "time_id" in table.borrowed:
        inferred.append("time")
    agent = _name(words.agents, values, tells.agent)
    if agent is not None and tells.is_agent_inferred:
        inferred.append("agent")
    if tells.suffix == "complete" and values.get("status") not in (None, *_DONE):
        inferred.append("type")
    key = key_of(table.kind, row_id)
    event = SourceEvent(
        id=f"{key}/{tells.suffix}" if tells.suffix else key,
        time=time,
        primitive=primitive,
        type=kind,
        agent=agent,
        target=target,
        payload=msgspec.Raw(msgspec.json.encode(data)),
        source=words.source,
        fact=fact,
        inferred=tuple(inferred),
        remark=check_clock(moment.ns, words.now_ns),
        relations=tuple(_relations(feed, values, words)),
    )
    return Told(moment.ns, event)


def shorten(values: dict[str, Any]) -> Values:
    """What a row holds, where some of it may be long: texts are marked, with their length, and names left out."""
    lengths: dict[str, int] = {}
    for role, value in values.items():
        if is_cut(value):
            lengths[role] = value[1]
            values[role] = mark_cut(value) if role in _TEXTS else None
    return {**values, _LENGTHS: lengths}


def find_moment(feed: Feed, values: Values, fallback: Fallback) -> Moment | None:
    """When it happened."""
    later = None if feed.tells.later is None else values.get(feed.tells.later)
    if feed.tells.later is not None and later is None:
        return None
    created_zone, later_zone = feed.zones
    return find_time(
        Row(
            values["time_id"] if "time_id" in values else values["id"],
            values.get("created"), values.get("witness"), later, created_zone, later_zone,
        ),
        fallback,
    )  # fmt: skip


def _why_no_time(feed: Feed, values: Values) -> str:
    role = feed.tells.later or "created"
    columns = " or ".join(feed.table.columns.get(role, ("no time",)))
    return f"{columns} is {_shorten(values.get(role))}, want a time"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _primitive(source: Any, kind: str) -> str:
    if kind in ("wake", "sleep") or not isinstance(source, str) or not source:
        return "spawn"
    return _PRIMITIVES.get(source, source)


def _name(names: Names, values: Values, role: str | None) -> str | None:
    return names.name_of(values.get(role)) if role else None


def _place(
    feed: Feed, values: Values, words: Words, kind: str, ns: int
) -> tuple[str | None, str, dict[str, Any]]:
    """The target, the fact, and what of the payload names them."""
    row_id = str(values["id"])
    match feed.tells.target:
        case "id":
            return row_id, row_id, {}
        case "name":
            name = _plain(values["name"])
            return (clean_target(str(name)) if name else None), row_id, {}
        case "channel":
            channel = _name(words.channels, values, "channel")
            if feed.table.kind == "bookmark":
                seen = _plain(values["seen"])
                return channel, str(seen), {"channel": channel, "message_id": seen}
            # A number stays one, as a program that records live would give it.
            return channel, row_id, {"channel": channel, f"{feed.table.kind}_id": values["id"]}
        case "spawn":
            session = values.get("session")
            return str(session) if session else row_id, row_id, {}
        case "session":
            return _session(values, words, kind, ns)


def _session(
    values: Values, words: Words, kind: str, ns: int
) -> tuple[str | None, str, dict[str, Any]]:
    if kind not in ("wake", "sleep"):
        return None, str(values["id"]), {}
    session = _plain(values.get("session"))
    if session:
        return str(session), str(session), {"session": session}
    number = words.sessions.number(values.get("agent"), ns)
    return f"{SESSION}{number}", str(number), {"session": number}


def _payload(feed: Feed, values: Values, words: Words) -> Iterator[tuple[str, Any]]:
    kind, suffix = feed.table.kind, feed.tells.suffix
    lengths = values.get(_LENGTHS, {})
    for key, role in _DATA.get((kind, suffix), {}).items():
        value = _plain(values.get(role))
        if value is not None and value != "":
            yield key, value
            if role in lengths:
                yield f"{key}_length", lengths[role]
    if kind == "event" and values.get("data") not in (None, ""):
        yield from _decode(_plain(values["data"]))
        if "data" in lengths:
            yield "data_length", lengths["data"]
    if kind in ("task", "run", "spawn") and not suffix:
        channel = _name(words.channels, values, "channel")
        if channel is not None:
            yield "channel", channel
    if kind in ("run", "spawn") and not suffix:
        spawned = _name(words.agents, values, "agent")
        if spawned is not None:
            yield "spawned", spawned
    if kind == "task" and not suffix:
        assigned = _name(words.agents, values, "agent")
        if assigned is not None:
            yield "assigned_to", assigned


def _decode(text: Any) -> Iterator[tuple[str, Any]]:
    """The data of an event of events.db: an object of JSON, or text."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        yield from found.items()
    else:
        # Not as `text`: that is what a source puts in words, and here nobody did.
        yield "data", text


def _plain(value: Any) -> Any:
    """A value that JSON and people can read."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _relations(feed: Feed, values: Values, words: Words) -> Iterator[Relation]:
    met: set[tuple[str, str]] = set()
    own = key_of(feed.table.kind, values["id"])
    for implied in feed.implied:
        reason = reason_of(feed, implied)
        for key in _NAMED[implied.means](implied, values, words):
            if (reason, key) not in met and (key != own or feed.tells.suffix):
                met.add((reason, key))
                yield Relation(reason, key)


def reason_of(feed: Feed, implied: Implied) -> str:
    """What an implied relation is called: the column that says so, or the sign in a text."""
    if implied.means == "mentions":
        return "mention"
    return "parent_id" if implied.means == "linked" else feed.table.columns[implied.role][0]


def _is(implied: Implied, values: Values, _: Words) -> Iterator[str]:
    value = values.get(implied.role)
    if value is not None and value != "":
        yield key_of(implied.kind, value)


def _lists(implied: Implied, values: Values, _: Words) -> Iterator[str]:
    """Ids with commas between them, or a list of JSON."""
    value = _plain(values.get(implied.role))
    if value is not None:
        yield from (key_of(implied.kind, each) for each in _LISTED.findall(str(value)))


def _mentions(implied: Implied, values: Values, words: Words) -> Iterator[str]:
    """Whom a text speaks to: the agents of those names, by the events that made them.

    That an agent woke or answered because of it is not recorded, and is not guessed.
    """
    text = _plain(values.get(implied.role))
    if isinstance(text, str) and "@" in text:
        for name in _MENTION.findall(text):
            yield from words.agents.events_of(name) or words.agents.events_of(name.rstrip(".-_"))


def _linked(implied: Implied, values: Values, words: Words) -> Iterator[str]:
    for parent in words.links.parents(values["id"]):
        yield key_of(implied.kind, parent)


_NAMED: Mapping[str, Callable[[Implied, Values, Words], Iterator[str]]] = {
    "is": _is,
    "lists": _lists,
    "mentions": _mentions,
    "linked": _linked,
}
