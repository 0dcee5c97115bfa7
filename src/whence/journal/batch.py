"""Decodes many lines at once, for look-ups. Pure functions over bytes.

`decode_line` stays the judge of what is an event. Here the same rules are checked over all lines in a
few passes, at a third of the cost; a line that these passes do not vouch for is left to the judge.
`decode_lines` lays events out in columns besides, which a look-up has no use for.
"""

import re
from collections.abc import Sequence

import msgspec

from whence.event import ID_BYTES_MAX, Event, is_day
from whence.line import DEPTH_MAX, ENVELOPE_BYTES_MAX, NUMBER_MAX, is_utf8

_TIMES = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{9}Z)*"
).fullmatch
_SALTS = re.compile(r"[A-Za-z0-9_-]*").fullmatch
_WRITER = re.compile(r"[a-z0-9]{12}").fullmatch
_TIME_LENGTH, _SALT_LENGTH, _DAY_LENGTH = 30, 24, 10

_decode = msgspec.json.Decoder(Event).decode_lines
_encode = msgspec.json.Encoder().encode_lines


def decode_batch(lines: Sequence[bytes]) -> Sequence[Event | None]:
    """Read lines, given without their newlines; None for each that `decode_line` has to judge."""
    text = b"\n".join([line.rstrip(b" ") for line in lines])
    nothing = [None] * len(lines)
    try:
        events = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return nothing
    # Of a line break inside a line there would be fewer events, of anything else other bytes.
    if len(events) != len(lines) or _encode(events) != text + b"\n":
        return nothing
    if b"\r" in text or not (text.isascii() or is_utf8(text)):
        return nothing
    if _are_regular(events, lines):
        return events
    return [
        event if _are_regular([event], [line]) else None
        for event, line in zip(events, lines, strict=True)
    ]


def _are_regular(events: Sequence[Event], lines: Sequence[bytes]) -> bool:
    """Whether all lines hold their payload themselves and have no field outside its bounds."""
    ids, times = [event.id for event in events], [event.time for event in events]
    salts = [event.salt or "" for event in events]
    numbers = [event.n for event in events] + [event.duration or 0 for event in events]
    sizes = [len(event.payload) for event in events]
    # What is joined here has pieces of one length, so that none can make up for another.
    return (
        {event.commit for event in events} == {None}
        and {event.blob for event in events} == {None}
        and all(sizes)
        and (max(sizes) <= 2 * DEPTH_MAX or not any(map(_may_be_deep, lines)))
        and max(map(len, lines)) <= ENVELOPE_BYTES_MAX
        and all(ids)
        and max(map(len, ids)) <= ID_BYTES_MAX
        and "".join(ids).isascii()
        and min(numbers) >= 0
        and max(numbers) <= NUMBER_MAX
        and {*map(len, salts)} == {_SALT_LENGTH}
        and _SALTS("".join(salts)) is not None
        and {*map(len, times)} == {_TIME_LENGTH}
        and _TIMES("".join(times)) is not None
        and all(map(is_day, {time[:_DAY_LENGTH] for time in times}))
        and all(map(_WRITER, {event.w for event in events}))
    )


def _may_be_deep(line: bytes) -> bool:
    """Whether there are brackets enough; so short a line as two for each level has not."""
    return len(line) > 2 * DEPTH_MAX and line.count(b"[") + line.count(b"{") > DEPTH_MAX
