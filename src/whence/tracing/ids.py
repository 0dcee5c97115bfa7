"""Ids of events as others write them: 32 hex digits for a trace, 16 for a span. Pure.

W3C Trace Context, section 3.2.2: lower-case hex, and not all zeros. The same event gives the same
digits in every process and release, so what is sent in pieces, or sent again, fits together.

A span that somebody else made has both numbers, and is kept under both (`join`): a span's number
alone is only unique within its trace.
"""

import re
from hashlib import sha256

_TRACE_DIGITS = 32
_SPAN_DIGITS = 16

# Versions whose last 62 bits are random, or a count and random; others end with a machine's number.
_UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
).fullmatch
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}").fullmatch
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}").fullmatch


def trace_id_of(event_id: str) -> str:
    """The 32 hex digits that stand for a trace, which is named by the id of its root."""
    joined = split(event_id)
    if joined is not None:
        return joined[0]
    if _UUID(event_id):
        return event_id.replace("-", "")
    return event_id if is_trace_id(event_id) else _digest(event_id, _TRACE_DIGITS)


def span_id_of(event_id: str) -> str:
    """The 16 hex digits that stand for an event."""
    joined = split(event_id)
    if joined is not None:
        return joined[1]
    if _UUID(event_id):
        return event_id.replace("-", "")[-_SPAN_DIGITS:]
    return event_id if is_span_id(event_id) else _digest(event_id, _SPAN_DIGITS)


def join(trace_id: str, span_id: str) -> str:
    """The id of the event that stands for somebody else's span."""
    return f"{trace_id}-{span_id}"


def split(event_id: str) -> tuple[str, str] | None:
    """The trace and the span that `join` was given; None for an id that it did not make."""
    trace_id, _, span_id = event_id.partition("-")
    return (trace_id, span_id) if _TRACE(trace_id) and _SPAN(span_id) else None


def is_trace_id(text: str) -> bool:
    """Whether text is the id of a trace as W3C writes it."""
    return _TRACE(text) is not None


def is_span_id(text: str) -> bool:
    """Whether text is the id of a span as W3C writes it."""
    return _SPAN(text) is not None


def _digest(event_id: str, digits: int) -> str:
    # An id that no journal can hold, with half of a surrogate pair, gets its digits all the same.
    found = sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    return found if found.strip("0") else found[:-1] + "1"
