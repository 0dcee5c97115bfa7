"""The headers that carry a trace from one process to another, as W3C writes them. Pure.

`traceparent` and `tracestate` by Trace Context, level 2, `baggage` by Baggage (2024). Whatever a
header holds, reading it raises nothing: what is broken counts as not sent, as the specifications
have it. Our own member of `tracestate` is `whence=` with the whole id of the sender's event.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from whence.event import ID_BYTES_MAX

OURS = "whence"
"""The key under which `tracestate` holds the id of our event."""

_MEMBERS_MAX = 32
_MEMBER_CHARACTERS_MAX = 256
_STATE_CHARACTERS_MAX = _MEMBERS_MAX * (2 * _MEMBER_CHARACTERS_MAX + 4)
# The least that has to be passed on is 64 members and 8,192 bytes.
_BAGGAGE_MEMBERS_MAX = 180
_BAGGAGE_BYTES_MAX = 8_192
_BAGGAGE_READ_MAX = 65_536

_VERSION = "00"
_SAMPLED = 1
_SPACE = " \t"

_parent = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
    re.DOTALL,
).fullmatch
_member = re.compile(
    r"([a-z0-9][a-z0-9_*/@-]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
).fullmatch
_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_octets = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*").fullmatch

# What may stand as it is, beside letters and digits. `%` has to be told from what it introduces.
_STATE_SAFE = "!\"#$&'()*+-./:;<>?@[\\]^_`{|}~"
# Some read a plus as a space, as in forms, so it is not sent as it is.
_BAGGAGE_SAFE = "!#$&'()*-./:<=>?@[]^_`{|}~"

Members = tuple[tuple[str, str], ...]
"""The members of `tracestate`, in their order."""


class TraceParent(NamedTuple):
    """Where in which trace the sender was, and whether it says that it records the trace."""

    trace_id: str
    parent_id: str
    is_sampled: bool


class Entry(NamedTuple):
    """One member of `baggage`; `properties` stand as they were sent, with their `;`."""

    key: str
    value: str
    properties: str = ""


def parse_traceparent(text: str) -> TraceParent | None:
    """Read a `traceparent`, also of a later version; None for what is none."""
    found = _parent(text.strip(_SPACE))
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == _VERSION and more is not None:
        return None
    return TraceParent(trace_id, parent_id, bool(int(flags, 16) & _SAMPLED))


def format_traceparent(parent: TraceParent) -> str:
    """Write a `traceparent`."""
    return f"{_VERSION}-{parent.trace_id}-{parent.parent_id}-{int(parent.is_sampled):02x}"


def parse_tracestate(text: str) -> Members:
    """Read a `tracestate`, several of them joined by commas; () if any of it is broken."""
    if len(text) > _STATE_CHARACTERS_MAX:
        return ()
    found: dict[str, str] = {}
    for part in text.split(","):
        # Spaces before a value belong to it, those around a member do not.
        part = part.strip(_SPACE)
        if not part:
            continue
        member = _member(part)
        if member is None or member[1] in found or len(found) == _MEMBERS_MAX:
            return ()
        found[member[1]] = member[2]
    return tuple(found.items())


def format_tracestate(members: Members) -> str:
    """Write a `tracestate`: of too many members, those that were sent first are left out."""
    return ",".join(f"{key}={value}" for key, value in members[:_MEMBERS_MAX])


def with_ours(members: Members, event_id: str) -> Members:
    """Put our own member first. An id that no member can hold is left out, as ours is then."""
    others = tuple(member for member in members if member[0] != OURS)
    value = quote(event_id, _STATE_SAFE)
    return ((OURS, value), *others) if len(value) <= _MEMBER_CHARACTERS_MAX else others


def ours_in(members: Members) -> str | None:
    """The id that our own member holds; None without one, or where it holds none."""
    value = dict(members).get(OURS)
    raw = b"" if value is None else unquote_to_bytes(value)
    if not 0 < len(raw) <= ID_BYTES_MAX:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def parse_baggage(text: str) -> tuple[Entry, ...]:
    """Read a `baggage`, several of them joined by commas; members that are broken are left out."""
    if len(text) > _BAGGAGE_READ_MAX:
        text = text[:_BAGGAGE_READ_MAX].rpartition(",")[0]
    entries = []
    for part in text.split(","):
        member, *properties = (piece.strip(_SPACE) for piece in part.split(";"))
        key, equals, value = member.partition("=")
        key, value = key.rstrip(_SPACE), value.lstrip(_SPACE)
        if not (equals and _token(key) and _octets(value) and all(map(_is_property, properties))):
            continue
        told = unquote_to_bytes(value).decode("utf-8", "replace")
        entries.append(Entry(key, told, "".join(f";{each}" for each in properties)))
        if len(entries) == _BAGGAGE_MEMBERS_MAX:
            break
    return tuple(entries)


def format_baggage(entries: Iterable[Entry]) -> str:
    """Write a `baggage`: as many of the members, from the first on, as every platform passes on."""
    written: list[str] = []
    left = _BAGGAGE_BYTES_MAX + 1
    for entry in entries:
        member = f"{entry.key}={quote(entry.value, _BAGGAGE_SAFE, errors='replace')}"
        member += entry.properties
        left -= len(member) + 1
        if left < 0 or len(written) == _BAGGAGE_MEMBERS_MAX:
            break
        written.append(member)
    return ",".join(written)


def is_key(text: str) -> bool:
    """Whether a member of `baggage` can have that key."""
    return _token(text) is not None


def _is_property(text: str) -> bool:
    key, _, value = text.partition("=")
    return bool(_token(key.rstrip(_SPACE)) and _octets(value.lstrip(_SPACE)))
