"""What can be asked of any store of events: filters and their meaning. Pure.

A journal's index, a foreign source and a plain list of events answer the same `Query`, and each
must give what `matches` gives.
"""

from typing import Any

import msgspec

from whence.event import NO_PAYLOAD, OWN, Event

LAYERS = {
    "alt": "altitude",
    "foc": "focus",
    "rsn": "reasoning",
    "lrn": "learning",
    "mem": "memory",
    "sys": "system",
}
"""The layers of a traced assistant by their codes: written as full names, found by both."""


class Query(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which events are wanted; None means any.

    `since` and `until` are nanoseconds since 1970, half-open: [since, until). Housekeeping of
    Whence itself is left out unless `own` is set or its primitive is asked for by name.
    """

    target: str | None = None
    agent: str | None = None
    primitive: str | None = None
    type: str | None = None
    parent: str | None = None
    trace: str | None = None
    status: str | None = None
    since: int | None = None
    until: int | None = None
    own: bool = False

    @property
    def shows_own(self) -> bool:
        """Whether housekeeping events are part of the answer."""
        return self.own or self.primitive == OWN


class StepQuery(Query, frozen=True, kw_only=True, omit_defaults=True):
    """Which steps are wanted: events that took time, or that say how they ended as a tracer's do.

    With `slow` only those that took so many nanoseconds.
    """

    slow: int | None = None


_EQUAL_FIELDS = ("target", "agent", "primitive", "type", "parent", "status")


def matches(query: Query, event: Event) -> bool:
    """Tell whether the event is part of the answer. A root belongs to its own trace."""
    if event.primitive == OWN and not query.shows_own:
        return False
    for name in _EQUAL_FIELDS:
        wanted = getattr(query, name)
        if wanted is not None and wanted != getattr(event, name):
            return False
    if query.trace is not None and query.trace not in (event.trace, event.id):
        return False
    if isinstance(query, StepQuery) and not _is_step(query, event):
        return False
    if query.since is not None and event.time_ns < query.since:
        return False
    return query.until is None or event.time_ns < query.until


def _is_step(query: StepQuery, event: Event) -> bool:
    if query.slow is not None:
        return event.duration is not None and event.duration >= query.slow
    return event.duration is not None or event.status is not None


def clean_target(text: str) -> str:
    """Write a target the one way it is stored: the channel `#payments` is `payments`."""
    return text[1:] if text.startswith("#") and len(text) > 1 else text


def clean_query(query: Query) -> Query:
    """The query with its target and primitive as they are stored."""
    target, primitive = query.target, query.primitive
    if target is not None:
        target = clean_target(target)
    if primitive is not None:
        primitive = LAYERS.get(primitive, primitive)
    return msgspec.structs.replace(query, target=target, primitive=primitive)


def event_as_json(event: Event) -> dict[str, Any]:
    """Lay an event out for a program: the line's keys, the payload decoded. Keys are only added."""
    keys: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(event, payload=NO_PAYLOAD))
    if len(event.payload):
        keys["data"] = event.data
    return keys
