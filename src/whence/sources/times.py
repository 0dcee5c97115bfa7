"""Times as other programs write them: numbers of some unit, ISO text with or without a zone.

Reading never guesses: what is no time in the unit that was named is None. A later value of the same unit
and shape is never read as an earlier time, so a store may be asked to sort and to cut by its own values.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal, NamedTuple, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

Unit = Literal["iso", "s", "ms", "us", "ns", "julian"]

NS_PER_UNIT: dict[str, int] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

FIRST_NS = -62_135_596_800 * 10**9
END_NS = 253_402_300_800 * 10**9
"""The years 1 to 9999, [first, end): what an event's time can say."""

DAY_NS = 86_400 * 10**9

_NS_PER_S = 10**9
_MS_PER_DAY = 86_400_000
_JULIAN_1970_MS = 210_866_760_000_000
_JULIAN_MAX = 10**7
_TEXT_MAX = 64

_NUMBER = re.compile(r"[+-]?[0-9]{1,25}(?:\.[0-9]{0,25})?").fullmatch
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(?:(:[0-9]{2})(?:[.,]([0-9]+))?)?)?"
    r" ?(?:([Zz]|UTC)|([+-])([0-9]{2})(?::?([0-9]{2}))?)?"
).fullmatch
_ALL_USUAL = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?\n)*+"
).fullmatch
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})").fullmatch


class Reading(NamedTuple):
    """A time, and whether its text left the zone to us."""

    ns: int
    is_naive: bool


class Clock(NamedTuple):
    """How a column says when: its unit, and the zone of texts that name none.

    `zone` None is the zone of this machine. `is_declared` says that somebody vouches for it; the time of a
    text without a zone is otherwise inferred.
    """

    unit: Unit
    zone: tzinfo | None = UTC
    is_declared: bool = True

    def read(self, value: object) -> Reading | None:
        """The time that a value says, or None."""
        if self.unit == "iso":
            return _read_iso(value, self.zone) if isinstance(value, str) else None
        if isinstance(value, str):
            if len(value) > _TEXT_MAX or not _NUMBER(value):
                return None
            return self._read_number(Decimal(value))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._read_number(value)
        return None

    def read_all(self, values: Sequence[object]) -> list[int] | None:
        """The times that these values say, in nanoseconds; None if one of them says none."""
        found = self._read_plain(values)
        if found is None:
            readings = [reading.ns for reading in map(self.read, values) if reading is not None]
            return readings if len(readings) == len(values) else None
        return found if FIRST_NS <= min(found) and max(found) < END_NS else None

    def _read_plain(self, values: Sequence[object]) -> list[int] | None:
        """Whole numbers, or texts as most programs write them; None if not all are such."""
        kinds = set(map(type, values))
        if self.unit == "iso":
            return _read_usual(cast("Sequence[str]", values), self.zone) if kinds == {str} else None
        if self.unit == "julian" or kinds != {int}:
            return None
        scale = NS_PER_UNIT[self.unit]
        return [value * scale for value in cast("Sequence[int]", values)]

    def _read_number(self, value: float | Decimal) -> Reading | None:
        ns: int | None
        if self.unit == "julian":
            ns = _read_julian(value)
        else:
            ns = _scale(value, NS_PER_UNIT[self.unit])
        return None if ns is None or not FIRST_NS <= ns < END_NS else Reading(ns, False)

    @property
    def offset(self) -> timedelta | None:
        """The offset that texts without a zone have at all times; None if it changes."""
        return self.zone.utcoffset(None) if isinstance(self.zone, timezone) else None


def parse_zone(text: str) -> tzinfo | None:
    """Read `UTC`, an offset such as `+11:00`, `local` (None) or a name such as `Australia/Sydney`.

    Raises:
        ValueError: there is no such zone.
    """
    if text.upper() in ("UTC", "Z"):
        return UTC
    if text == "local":
        return None
    fixed = _OFFSET(text)
    if fixed:
        return _fixed_zone(*fixed.groups())
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = get_close_matches(text, available_timezones(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ", want UTC, local, +HH:MM or a name"
        raise ValueError(f"zone {text!r} is unknown{hint}") from error


def read_duration(value: object, ns_per_unit: int) -> int | None:
    """A duration in nanoseconds, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    ns = _scale(value, ns_per_unit)
    return ns if ns is not None and ns >= 0 else None


@lru_cache(maxsize=256)
def _days(text: str) -> int:
    return date.fromisoformat(text).toordinal() - _EPOCH.toordinal()


def days_before(text: str) -> int:
    """The days from 1970 to the one that an ISO text begins with."""
    return _days(text[:10])


def raw_bound(unit: Unit, ns: int) -> int | float:
    """A number of that unit before `ns`, close to it: no value below it says `ns` or later."""
    if unit == "julian":
        return (ns // 10**6 - 2 + _JULIAN_1970_MS) / _MS_PER_DAY
    number = max(FIRST_NS, min(ns, END_NS)) // NS_PER_UNIT[unit] - 1
    # A database has no whole numbers beyond, and its others lie some apart.
    return number if number >= -(2**63) else math.nextafter(number, -math.inf)


def raw_end(unit: Unit, ns: int) -> int | float:
    """A number of that unit after `ns`, close to it: no value from it on says less than `ns`."""
    if unit == "julian":
        return (ns // 10**6 + 3 + _JULIAN_1970_MS) / _MS_PER_DAY
    number = max(FIRST_NS, min(ns, END_NS)) // NS_PER_UNIT[unit] + 2
    return number if number < 2**63 else math.nextafter(number, math.inf)


def _scale(value: float | Decimal, scale: int) -> int | None:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        # As the shortest text that reads back as the same number says it: 0.1 s is 100 ms.
        value = Decimal(int(value)) if value.is_integer() else Decimal(repr(value))
    return math.floor(value * scale)


def _read_julian(value: float | Decimal) -> int | None:
    # To the millisecond, which is as much as the day's number holds.
    days = float(value)
    if not 0 <= days < _JULIAN_MAX:
        return None
    return (math.floor(days * _MS_PER_DAY + 0.5) - _JULIAN_1970_MS) * 10**6


def _read_iso(text: str, zone: tzinfo | None) -> Reading | None:
    if _is_usual(text):
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None or zone is UTC:
                return _read_moment(moment)
        except (ValueError, OverflowError):
            return None
    return _read_any_iso(text, zone)


def _read_usual(texts: Sequence[str], zone: tzinfo | None) -> list[int] | None:
    if not _ALL_USUAL("\n".join(texts) + "\n"):
        return None
    try:
        is_naive = datetime.fromisoformat(texts[0]).tzinfo is None
        if is_naive and zone is not UTC:
            return None
        epoch = _NAIVE_EPOCH if is_naive else _EPOCH
        return [(datetime.fromisoformat(text) - epoch) // _MICROSECOND * 1_000 for text in texts]
    except (ValueError, OverflowError, TypeError):
        # A text is of no day, or only some of them name their zone.
        return None


def _is_usual(text: str) -> bool:
    """Whether Python's own reading, which is quick, takes exactly what we mean."""
    return (
        19 <= len(text) <= 32
        and text[4] == text[7] == "-"
        and text[10] in "T "
        and text[13] == text[16] == ":"
        and text.isascii()
        # It drops what is less than a microsecond.
        and not text[26:27].isdecimal()
        and (text[-1] != "Z" or text[-2].isdecimal())
    )


def _read_moment(moment: datetime) -> Reading | None:
    is_naive = moment.tzinfo is None
    since = moment - (_NAIVE_EPOCH if is_naive else _EPOCH)
    ns = (since.days * 86_400 + since.seconds) * _NS_PER_S + since.microseconds * 1_000
    return Reading(ns, is_naive) if FIRST_NS <= ns < END_NS else None


def _read_any_iso(text: str, zone: tzinfo | None) -> Reading | None:
    found = _ISO(text) if len(text) <= _TEXT_MAX else None
    if not found:
        return None
    day, minute, second, fraction, is_utc, sign, hours, minutes = found.groups()
    nanos = int(fraction[:9].ljust(9, "0")) if fraction else 0
    try:
        if is_utc:
            own: tzinfo | None = UTC
        elif sign:
            own = _fixed_zone(sign, hours, minutes or "00")
        else:
            own = zone
        ns = _second(f"{day}T{minute or '00:00'}{second or ':00'}", own) * _NS_PER_S + nanos
    except (ValueError, OverflowError, OSError):
        return None
    return Reading(ns, not (is_utc or sign)) if FIRST_NS <= ns < END_NS else None


@lru_cache(maxsize=4096)
def _second(text: str, zone: tzinfo | None) -> int:
    """Whole seconds since 1970 of a moment of the calendar; of two with the same name, the first."""
    moment = datetime.fromisoformat(text)
    if zone is None:
        return math.floor(moment.timestamp())
    return (moment.replace(tzinfo=zone) - _EPOCH) // _SECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (of texts without a zone, read as UTC)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=256)
def _fixed_zone(sign: str, hours: str, minutes: str) -> tzinfo:
    size = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-size if sign == "-" else size)
