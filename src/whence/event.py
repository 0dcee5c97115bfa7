"""What an event is: its fields, its id and its time. Pure values, no clock, no randomness.

The fields and their order are the table in `docs/reference/format.md`, "The line".
"""

import json
import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

OWN = "whence"
"""The primitive under which Whence records its own housekeeping."""

Status = Literal["success", "error", "blocked"]
STATUSES: tuple[Status, ...] = ("success", "error", "blocked")

ID_BYTES_MAX = 128
NO_PAYLOAD = msgspec.Raw(b"")
"""Stands for "no payload here": the event is private, erased, or its payload is in a blob."""

_TIME_LENGTH = len("2026-11-20T19:27:35.104233123Z")
_NS_PER_S = 1_000_000_000
_INT_DIGITS_MAX = 4_300
_UUID7 = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
).fullmatch


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The part of an envelope that the caller decides: everything but the writer's count."""

    id: str
    time: str
    primitive: str
    type: str
    agent: str | None = None
    target: str | None = None
    parent: str | None = None
    trace: str | None = None
    status: Status | None = None
    duration: int | None = None
    links: tuple[str, ...] = ()
    private: bool = False


class Event(
    Head, frozen=True, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=True
):
    """One event as its line holds it.

    `w` and `n` are the writer and its count. Either `salt` and `payload` are there, or `commit`
    is (private or erased; or kept in a blob of `blob` bytes).
    """

    w: str
    n: int
    salt: str | None = None
    payload: msgspec.Raw = msgspec.field(default=NO_PAYLOAD, name="data")
    commit: str | None = None
    blob: int | None = None

    @property
    def data(self) -> Any:
        """The payload as Python values; None where it is not here."""
        raw = bytes(self.payload)
        return decode_json(raw) if raw else None

    @property
    def time_ns(self) -> int:
        """The writer's time in nanoseconds since 1970, UTC."""
        return parse_time(self.time)


def decode_json(raw: bytes) -> Any:
    """Decode a payload of a valid line, numbers too large for a float or an int as their text."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError):
        return json.loads(raw, parse_float=_parse_float, parse_int=_parse_int)


def _parse_float(text: str) -> float | str:
    number = float(text)
    return number if abs(number) != float("inf") else text


def _parse_int(text: str) -> int | str:
    return int(text) if len(text) < _INT_DIGITS_MAX else text


@lru_cache(maxsize=64)
def format_second(second: int) -> str:
    """Write whole seconds since 1970 as the first twenty characters of a time: `…T19:27:35.`.

    Raises:
        ValueError: the year is not one of four digits, from 0001 to 9999.
    """
    try:
        moment = datetime.fromtimestamp(second, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"second {second} since 1970 is outside the years 1 to 9999") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S.").zfill(20)


def format_time(ns: int) -> str:
    """Write nanoseconds since 1970 as UTC text of fixed width, so that text order is time order.

    Raises:
        ValueError: as for `format_second`.
    """
    second, fraction = divmod(ns, _NS_PER_S)
    return f"{format_second(second)}{fraction:09d}Z"


@lru_cache(maxsize=4096)
def _parse_second(text: str) -> int:
    try:
        # Takes more forms than ours, but the caller writes the second again and compares.
        return int(datetime.fromisoformat(f"{text[:-1]}+00:00").timestamp())
    except ValueError as error:
        raise ValueError(f"time starts with {text!r}, which no calendar has") from error


@lru_cache(maxsize=1024)
def is_day(text: str) -> bool:
    """Tell whether text, such as `2026-11-20`, is a day that the calendar has."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def parse_time(text: str) -> int:
    """Read a time written by `format_time`; ValueError for any other form."""
    fraction = text[20:29]
    if len(text) != _TIME_LENGTH or text[29] != "Z" or not text.isascii() or text[19] != ".":
        raise ValueError(f"time is {text[:40]!r}, want YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ")
    second = _parse_second(text[:20])
    if not fraction.isdigit() or format_second(second) != text[:20]:
        raise ValueError(f"time is {text!r}, want nine digits after the second")
    return second * _NS_PER_S + int(fraction)


def id_time_ms(event_id: str) -> int | None:
    """The creation time inside a UUIDv7, in milliseconds since 1970; None for other ids."""
    return int(event_id[:8] + event_id[9:13], 16) if _UUID7(event_id) else None


def check_text(name: str, value: object) -> str:
    """Return `value` as plain text that can stand in an envelope; TypeError or ValueError if not."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}, want str")
    if not value:
        raise ValueError(f"{name} is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds a lone surrogate") from error
    # A subclass, such as the receipt of a private event, would not be encoded as text.
    return str.__str__(value)


def check_status(value: object) -> Status | None:
    """Return `value` as a plain status if it is one; ValueError if not."""
    for status in STATUSES:
        if value == status:
            return status
    if value is not None:
        raise ValueError(f"status is {value!r}, want success, error or blocked")
    return None
