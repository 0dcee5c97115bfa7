"""Time phrases: from what a person types to a moment, and back. Pure; asks no clock, no store.

The grammar is that of systemd.time(7), "Parsing timestamps", with RFC 3339 and ISO 8601, and a few
phrases of our own that name recorded events:

    now  today  yesterday  tomorrow         days begin at local midnight
    yesterday 14:00   today 9:30 Asia/Tokyo a day, a time, a zone
    2026-11-20  2026-11-20 14:00:05.123     a date, perhaps with its weekday: Fri 2026-11-20
    2026-11-20T14:00:05.123456789+11:00     20261120T140005Z
    14:00  9:30:15 Z                        today
    -3h  +1h 30min  3h 20min ago  5min left
    @1700000000.25                          seconds since 1970
    last wake   wake -2                     the newest event of a type, the second newest
    when task-sub1 created                  the newest event of that kind on a target;
                                            quote a target that has spaces

Case and extra spaces do not matter, except in targets and types, which are names. What is not
understood, or could mean two things, is refused with examples, never guessed: bare numbers,
`1/2/2026`, `monday`, `last week`, a single `M`, two-digit years. Differences from systemd are
only refusals of that sort.

**Plan, fetch, finish.** `parse_phrase` gives a `Moment`, or says what to look up: `LastType` or
`WhenTarget`. The edge fetches the times of those events and `finish_phrase` picks.

**Zones.** A time belongs to the zone written behind it: `UTC`, `GMT`, `Z`, an offset, the local
zone's own name, the abbreviation that the local zone uses then (`CET`), or a zone that the caller
knows by its name with a slash, as those of the zone database (`Asia/Tokyo`). Without one it is local.
A local time that the clocks skip is moved on by as much as they skip: 02:30 becomes 03:30. A local
time that comes twice means the first; name the abbreviation or offset for the second. Days are
days of the calendar, but in spans a day is 24 hours, a month 30.44 days and a year 365.25, as in
systemd.time(7).

**Range.** Moments are nanoseconds since 1970 that fit 64 bits, 1677 to 2262, so that any store can
hold them.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal

import msgspec

from whence.errors import NotFoundError, PhraseError

Precision = Literal["s", "ms", "ns"]

EXAMPLES = (
    "2h ago",
    "yesterday 14:00",
    "2026-11-20 14:00:05",
    "last wake",
    "when task-sub1 created",
)

_NS_PER_S = 1_000_000_000
_NS_MIN, _NS_MAX = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH_MAX = 200

_UNITS = {
    name: ns
    for names, ns in (
        ("ns nsec", 1),
        ("us usec µs μs", 1_000),
        ("ms msec", 1_000_000),
        ("s sec secs second seconds", _NS_PER_S),
        ("m min mins minute minutes", 60 * _NS_PER_S),
        ("h hr hrs hour hours", 3_600 * _NS_PER_S),
        ("d day days", 86_400 * _NS_PER_S),
        ("w week weeks", 7 * 86_400 * _NS_PER_S),
        ("month months", 2_630_016 * _NS_PER_S),
        ("y year years", 31_557_600 * _NS_PER_S),
    )
    for name in names.split()
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY_WORDS = {*_WEEKDAYS, *(name[:3] for name in _WEEKDAYS)}
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}

# What people say happened, and the types that programs record for it (seed 004, "Events to emit").
_TYPES_OF_WORDS = {
    "created": ("create_task",),
    "claimed": ("claim_task",),
    "completed": ("complete_task",),
    "blocked": ("block_task",),
    "reduced": ("reduce_task",),
    "spawned": ("spawn",),
    "woke": ("wake",),
    "slept": ("sleep",),
    "sent": ("send",),
    "posted": ("send",),
    "received": ("recv",),
    "noted": ("note",),
    "added": ("add_entry", "add_discovery"),
    "archived": ("archive_entry", "archive_discovery"),
}

# Words that mean a time of their own, so that `last week` is not taken for events of type "week".
_NOT_TYPES = {
    *_UNITS, *_DAYS, *_WEEKDAY_WORDS,
    "now", "ago", "left", "last", "next", "this", "when", "night", "morning", "noon", "midnight",
    "utc", "gmt", "z",
}  # fmt: skip

_DATE = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
_TIME = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
)
_ZONE = r"(?: ?(?P<offset>z|utc|gmt|[+-][0-9]{2}(?::?[0-9]{2})?)| (?P<zone>[a-z][a-z0-9_+/-]*))?"
_CALENDAR = (
    re.compile(rf"(?:(?P<weekday>[a-z]+),? )?{_DATE}(?:(?: |t){_TIME})?{_ZONE}"),
    re.compile(rf"(?P<word>yesterday|today|tomorrow)(?: {_TIME})?{_ZONE}"),
    re.compile(rf"{_TIME}{_ZONE}"),
    re.compile(
        r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})t"
        r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})"
        rf"(?:(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?)?{_ZONE}"
    ),
)
_EPOCH_SECONDS = re.compile(r"@ ?(-?)([0-9]{1,18})(?:\.([0-9]{1,9}))?")
_SPAN = re.compile(r"([+-]) ?([0-9].*)|([0-9].*) (ago|left)", re.IGNORECASE)
_SPAN_PART = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))? ?([A-Za-zµμ]+),? ?")
_TYPE = r"([^\W\d][\w.:/-]*)"
_LAST = re.compile(rf"last {_TYPE}", re.IGNORECASE)
_BACK = re.compile(rf"{_TYPE} -([0-9]{{1,6}})")
_WHEN = re.compile(rf"""when\s+(?:"([^"]+)"|'([^']+)'|([^\s"']+))\s+{_TYPE}""", re.IGNORECASE)


class Moment(msgspec.Struct, frozen=True):
    """A point in time, in nanoseconds since 1970, UTC."""

    ns: int


class LastType(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the `back`-th newest event (1 is the newest) whose type is one of `types`."""

    types: tuple[str, ...]
    back: int = 1


class WhenTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the newest event on `target`, as it was typed, whose type is one of `types`."""

    target: str
    types: tuple[str, ...]


FindZone = Callable[[str], tzinfo | None]
"""Finds a zone by its name; None if it knows none of that name."""


def parse_phrase(
    text: str, now_ns: int, tz: tzinfo, find_zone: FindZone = lambda _: None
) -> Moment | LastType | WhenTarget:
    """Understand a time phrase at `now_ns`, where clocks show `tz`; other zones come from `find_zone`.

    Raises:
        PhraseError: it is not understood, ambiguous or out of range; the message says why and
            shows phrases that would do.
    """
    if len(text) > _LENGTH_MAX:
        raise _refusal(text, f"is longer than {_LENGTH_MAX} characters")
    if match := _WHEN.fullmatch(text.strip()):
        return WhenTarget(target=match[1] or match[2] or match[3], types=_types(match[4]))
    phrase = " ".join(text.split())
    asked = _parse_last(phrase)
    if asked is not None:
        return asked
    try:
        ns = _parse_span(phrase, now_ns)
        if ns is None:
            ns = _parse_calendar(phrase, now_ns, tz, find_zone)
    except _RefusedError as refused:
        raise _refusal(text, str(refused)) from None
    except (OverflowError, ValueError) as error:
        raise _refusal(text, "names a day or a time that does not exist") from error
    if ns is None:
        raise _refusal(text, _reason(phrase.lower()))
    if not _NS_MIN <= ns <= _NS_MAX:
        raise _refusal(text, "is outside the years 1678 to 2261")
    return Moment(ns)


def parse_duration(text: str) -> int:
    """Read how long something takes, such as `50ms` or `1.5 s`, in nanoseconds.

    Raises:
        PhraseError: it is no number with a unit.
    """
    try:
        if _SPAN_PART.match(text.strip()) is None:
            raise _RefusedError("is no number with a unit")
        return _sum_parts(text.strip())
    except _RefusedError as error:
        raise PhraseError(
            f"duration {text!a} {error}; want one such as 50ms, 1.5s or 2min"
        ) from None


def finish_phrase(asked: LastType | WhenTarget, times_ns: Iterable[int]) -> Moment:
    """Pick the moment that was asked for from the times of all events that match, in any order.

    Of a `LastType`'s events the newest `back` are enough; of a `WhenTarget`'s the newest.

    Raises:
        NotFoundError: so many events were never recorded.
    """
    newest_first = sorted(times_ns, reverse=True)
    back = asked.back if isinstance(asked, LastType) else 1
    if len(newest_first) < back:
        kind = " or ".join(asked.types)
        if isinstance(asked, WhenTarget):
            raise NotFoundError(f"no {kind} is recorded for {asked.target}")
        if not newest_first:
            raise NotFoundError(f"no {kind} is recorded")
        few = "1 is" if len(newest_first) == 1 else f"{len(newest_first)} are"
        raise NotFoundError(f"it counts back {back} {kind} events, and only {few} recorded")
    return Moment(newest_first[back - 1])


def format_local(ns: int, tz: tzinfo, precision: Precision = "s") -> str:
    """Write a moment as the clocks of `tz` show it: `2026-11-20 14:00:05`, cut to the precision.

    A moment that no calendar holds is written as seconds since 1970: `@253402300800`.
    """
    second, fraction = divmod(ns, _NS_PER_S)
    decimals = {"s": "", "ms": f".{fraction // 1_000_000:03d}", "ns": f".{fraction:09d}"}[precision]
    try:
        local = datetime.fromtimestamp(second, tz)
    except (OverflowError, ValueError, OSError):
        return f"@{second}{decimals}"
    return f"{local.replace(tzinfo=None).isoformat(' ')}{decimals}"


def format_window(since: int | None, until: int | None, tz: tzinfo) -> str:
    """Echo the window that phrases resolved to: `from 2026-11-20 14:00:00 to now (Europe/Berlin)`.

    A time that comes twice that day carries its offset. None is the beginning, and now.
    """
    alike = since is not None and until is not None and abs(until - since) < _NS_PER_S
    precision: Precision = "ns" if alike else "s"
    start = "the beginning" if since is None else _format_unique(since, tz, precision)
    end = "now" if until is None else _format_unique(until, tz, precision)
    return f"from {start} to {end} ({zone_name(tz)})"


def zone_name(tz: tzinfo) -> str:
    """Name a zone: its key in the zone database if it has one, else what it calls itself."""
    key: str | None = getattr(tz, "key", None)
    return key or tz.tzname(None) or "local time"


class _RefusedError(Exception):
    """Why a phrase whose form is right cannot be meant."""


def _refusal(text: str, reason: str) -> PhraseError:
    shown = ascii(text) if not text.isprintable() else f"'{text}'"
    shown = shown if len(shown) <= 60 else shown[:56] + "...'"
    examples = ", ".join(f"'{example}'" for example in EXAMPLES)
    return PhraseError(f"time {shown} {reason}; try {examples}")


def _reason(phrase: str) -> str:
    """Say why a phrase is not understood, as well as its look allows."""
    first, _, second = phrase.partition(" ")
    word = second if first in ("last", "next", "this") else first
    if not phrase:
        return "is empty"
    if re.fullmatch(r"[0-9]+([.,][0-9]*)?", phrase):
        return "is a bare number, which could be an hour, a year or seconds"
    if re.fullmatch(r"[0-9]{1,4}[/.][0-9]{1,2}[/.][0-9]{1,4}( .*)?", phrase):
        return "could mean two dates: write year-month-day"
    if re.match(r"[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}\b", phrase):
        return "has a year of two digits"
    if word in _WEEKDAY_WORDS:
        return "names a weekday, which could be past or coming: write the date"
    return "is not understood"


def _parse_last(phrase: str) -> LastType | None:
    if match := _LAST.fullmatch(phrase):
        name, back = match[1], 1
    elif match := _BACK.fullmatch(phrase):
        name, back = match[1], int(match[2])
    else:
        return None
    if name.lower() in _NOT_TYPES or back == 0:
        return None
    return LastType(types=_types(name), back=back)


def _types(word: str) -> tuple[str, ...]:
    """List the types that a word stands for; a word is always also the type of that name."""
    known = _TYPES_OF_WORDS.get(word.lower(), ())
    return known if word in known else (*known, word)


def _parse_span(phrase: str, now_ns: int) -> int | None:
    """Read `@seconds`, `-3h`, `+3h`, `3h ago` or `3h left`; None if it is none of these."""
    if match := _EPOCH_SECONDS.fullmatch(phrase):
        ns = _scaled(match[2], match[3], _NS_PER_S)
        return -ns if match[1] else ns
    match = _SPAN.fullmatch(phrase)
    if match is None:
        return None
    sign, parts = (match[1], match[2]) if match[1] else (match[4].lower(), match[3])
    span_ns = _sum_parts(parts)
    return now_ns - span_ns if sign in ("-", "ago") else now_ns + span_ns


def _sum_parts(parts: str) -> int:
    """Read numbers with units, such as `1h 30min`."""
    span_ns = end = 0
    while part := _SPAN_PART.match(parts, end):
        end = part.end()
        if part[3] == "M":
            raise _RefusedError(
                "has a single M, which could be minutes or months: write min or month"
            )
        unit = _UNITS.get(part[3].lower())
        if unit is None:
            raise _RefusedError(f"has the unit {part[3]}; units are ns us ms s min h d w month y")
        span_ns += _scaled(part[1], part[2], unit)
    rest = parts[end:]
    if rest[:1].isdecimal():
        raise _RefusedError("has a number without a unit; units are ns us ms s min h d w month y")
    if rest:
        raise _RefusedError(f"goes on with {rest!a} after the span")
    return span_ns


def _scaled(whole: str, decimals: str | None, unit: int) -> int:
    decimals = decimals or ""
    parts: int = 10 ** len(decimals)
    return int(whole + decimals) * unit // parts


def _parse_calendar(phrase: str, now_ns: int, tz: tzinfo, find_zone: FindZone) -> int | None:
    """Read a date, day word or time; None if it is none of these."""
    lower = phrase.lower()
    if lower == "now":
        return now_ns
    match = next((match for form in _CALENDAR if (match := form.fullmatch(lower))), None)
    if match is None:
        return None
    parts = match.groupdict()
    zone = _zone_of(parts["offset"]) if parts["offset"] else tz
    local = _time_in(zone, parts, now_ns)
    name = parts["zone"]
    if name is not None:
        here = _in_local_zone(local, name)
        local = here or _time_in(_found(find_zone, phrase[-len(name) :]), parts, now_ns)
    since_epoch = local.astimezone(UTC) - _EPOCH
    seconds = since_epoch.days * 86_400 + since_epoch.seconds
    return seconds * _NS_PER_S + int((parts["fraction"] or "").ljust(9, "0"))


def _time_in(zone: tzinfo, parts: dict[str, str | None], now_ns: int) -> datetime:
    clock = time(int(parts["hour"] or 0), int(parts["minute"] or 0), int(parts["second"] or 0))
    return datetime.combine(_day_of(parts, now_ns, zone), clock, zone)


def _found(find_zone: FindZone, name: str) -> tzinfo:
    # An abbreviation of another place is not asked for: many stand for several zones.
    zone = find_zone(name) if "/" in name else None
    if zone is None:
        raise _RefusedError(
            f"has the zone {name}, which is not UTC, an offset, the local zone or one like Asia/Tokyo"
        )
    return zone


def _day_of(parts: dict[str, str | None], now_ns: int, zone: tzinfo) -> date:
    if parts.get("year"):
        day = date(int(parts["year"] or 0), int(parts["month"] or 0), int(parts["day"] or 0))
        name = _WEEKDAYS[day.weekday()]
        if parts.get("weekday") not in (None, name, name[:3]):
            raise _RefusedError(f"does not fit: {day} is a {name.title()}")
        return day
    today = datetime.fromtimestamp(now_ns // _NS_PER_S, zone).date()
    return today + timedelta(days=_DAYS[parts.get("word") or "today"])


def _zone_of(offset: str) -> tzinfo:
    """Read `z`, `utc`, `gmt` or an offset; ValueError for one of a day or more."""
    if offset in ("z", "utc", "gmt"):
        return UTC
    hours = int(offset[1:3])
    minutes = int(offset[3:].lstrip(":") or 0)
    if minutes > 59:
        raise _RefusedError(f"has the offset {offset}, want at most 59 minutes")
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if offset[0] == "-" else span)


def _in_local_zone(local: datetime, zone: str) -> datetime | None:
    """The local time, if `zone` names the local zone; an abbreviation can choose the second of two."""
    if zone == zone_name(local.tzinfo or UTC).lower():
        return local
    for fold in (0, 1):
        candidate = local.replace(fold=fold)
        if (candidate.tzname() or "").lower() == zone:
            return candidate
    return None


def _format_unique(ns: int, tz: tzinfo, precision: Precision) -> str:
    text = format_local(ns, tz, precision)
    if text.startswith("@"):
        return text
    local = datetime.fromtimestamp(ns // _NS_PER_S, tz)
    first, second = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
    return text if first == second else f"{text}{local.isoformat()[19:]}"
