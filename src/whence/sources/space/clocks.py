"""When a row says something happened, in true time. Pure.

Some columns of one row are UTC and others are the writer's local time without a zone. An id that is a
UUIDv7 holds the true time of creation, so the row's own local time of creation tells the offset of its
other local columns. Where no row tells, a fallback does, and the time is marked inferred.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from whence.event import id_time_ms

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S

OFFSET_STEP_NS = 900 * NS_PER_S
"""Zones differ from UTC by quarters of an hour."""
OFFSETS_NS = (-12 * 3_600 * NS_PER_S, 14 * 3_600 * NS_PER_S)
"""The smallest and the largest offset that a zone has."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = _EPOCH.replace(tzinfo=None)
_OFFSET_MAX = timedelta(hours=15)
_MICROSECOND = timedelta(microseconds=1)
_SECONDS = (-62_135_596_800, 253_402_300_800)
"""The seconds of the years 1 to 9999."""
_ID_LENGTH = 36
_DATE_LENGTH = len("2026-11-20")
_SQL_DIGITS = 3
_PYTHON_DIGITS = 6


class Zone(Enum):
    """What text without a zone in a column means."""

    UTC = "utc"
    LOCAL = "local"
    FORM = "form"
    """Local if it has Python's six digits after the second, else UTC: both were written there."""


class Stamp(NamedTuple):
    """A stored time, read as if it were UTC."""

    ns: int
    is_absolute: bool
    """Whether it says its zone, or counts seconds."""
    digits: int = 0
    """How many digits stand after the second."""


class Row(NamedTuple):
    """What of a row tells time. `later` is the column asked about; None asks for the creation."""

    id: Any
    created: Any
    witness: Any
    """A second time of creation, in local time, that some rows have."""
    later: Any = None
    created_zone: Zone = Zone.UTC
    later_zone: Zone = Zone.UTC


class Moment(NamedTuple):
    """A true time, and whether the store did not quite say it."""

    ns: int
    is_inferred: bool


Fallback = Callable[[int], int]
"""The offset to take for a local time, where the row does not tell one."""


def looks_like_uuid7(value: object) -> bool:
    """The cheap test that SQL makes too: such an id is a UUIDv7, or its row is not understood."""
    return (
        isinstance(value, str) and len(value) == _ID_LENGTH and value[14] == "7" and value[0] == "0"
    )


def created_ns(row_id: object) -> int | None:
    """The true time of creation that an id holds; None if it holds none."""
    if not isinstance(row_id, str):
        return None
    ms = id_time_ms(row_id)
    return None if ms is None or row_id[0] != "0" else ms * NS_PER_MS


def read_stamp(value: object) -> Stamp | None:
    """Read a stored time: seconds since 1970, or ISO text with a blank or a T; None for anything else."""
    if isinstance(value, str) and (value[4:5] == "-" or not _is_number(value)):
        return _read_text(value)
    if isinstance(value, str | int) and _SECONDS[0] <= int(value) < _SECONDS[1]:
        return Stamp(int(value) * NS_PER_S, is_absolute=True)
    if isinstance(value, float) and _SECONDS[0] <= value < _SECONDS[1]:
        return Stamp(round(value * 1_000_000) * 1_000, is_absolute=True)
    return None


def _is_number(text: str) -> bool:
    """Whether text is seconds since 1970: a column of text makes that of a number."""
    return text.isascii() and text.isdigit() and _DATE_LENGTH - 2 < len(text) < 2 * _DATE_LENGTH


def _read_text(text: str) -> Stamp | None:
    if len(text) <= _DATE_LENGTH or text[4] != "-" or text[10] not in "T ":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    offset = moment.utcoffset()
    if offset is not None and abs(offset) > _OFFSET_MAX:
        return None
    is_absolute = offset is not None
    try:
        since = moment - (_EPOCH if is_absolute else _LOCAL_EPOCH)
    except OverflowError:
        return None
    fraction = text[20:] if text[19:20] == "." else ""
    digits = len(fraction) if fraction.isdigit() else 0
    seconds = since.days * 86_400 + since.seconds
    return Stamp(seconds * NS_PER_S + since.microseconds * 1_000, is_absolute, digits)


def is_local(stamp: Stamp, zone: Zone) -> bool:
    """Whether the writer's offset has to be taken off. Three digits are SQLite's own clock: UTC."""
    if stamp.is_absolute or zone is Zone.UTC:
        return False
    if zone is Zone.FORM:
        return stamp.digits == _PYTHON_DIGITS
    return stamp.digits != _SQL_DIGITS


def find_offset(local_ns: int, true_ns: int) -> int | None:
    """The offset of a writer whose clock said `local_ns`; None if no zone has such a one."""
    steps = (local_ns - true_ns + OFFSET_STEP_NS // 2) // OFFSET_STEP_NS
    offset = steps * OFFSET_STEP_NS
    return offset if OFFSETS_NS[0] <= offset <= OFFSETS_NS[1] else None


def offset_of_row(row: Row) -> int | None:
    """The writer's offset, where the row tells it: a local time of creation beside a true one."""
    true_ns = created_ns(row.id)
    created = read_stamp(row.created)
    if true_ns is None and created is not None and not is_local(created, row.created_zone):
        true_ns = created.ns
    if true_ns is None:
        return None
    local, zone = read_stamp(row.witness), Zone.LOCAL
    if local is None:
        local, zone = created, row.created_zone
    if local is None or not is_local(local, zone):
        return None
    return find_offset(local.ns, true_ns)


def find_time(row: Row, fallback: Fallback) -> Moment | None:
    """When the row was made, or when `later` happened; None if that cannot be told."""
    if row.later is None:
        true_ns = created_ns(row.id)
        if true_ns is not None:
            return Moment(true_ns, is_inferred=False)
        if looks_like_uuid7(row.id):
            return None
    stamp, zone = (
        (read_stamp(row.created), row.created_zone)
        if row.later is None
        else (read_stamp(row.later), row.later_zone)
    )
    if stamp is None:
        return None
    if not is_local(stamp, zone):
        return Moment(stamp.ns, is_inferred=False)
    offset = offset_of_row(row)
    if offset is None:
        return Moment(stamp.ns - fallback(stamp.ns), is_inferred=True)
    return Moment(stamp.ns - offset, is_inferred=False)


def machine_offset(local_ns: int) -> int:
    """The offset of this machine's zone at a local time."""
    try:
        moment = (_EPOCH + timedelta(microseconds=local_ns // 1_000)).replace(tzinfo=None)
        offset = moment.astimezone().utcoffset()
    except (OverflowError, ValueError, OSError):
        return 0
    return 0 if offset is None else offset // _MICROSECOND * 1_000


def first_id(ns: int) -> str:
    """Text that sorts before every UUIDv7 made at `ns` or later, and after all earlier ones."""
    ms = max(0, min(-(-ns // NS_PER_MS), 2**48 - 1))
    digits = f"{ms:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def date_text(ns: int) -> str | None:
    """The day of a time as text, to compare stored text with roughly; None outside the calendar."""
    try:
        return (
            (_EPOCH + timedelta(microseconds=ns // 1_000)).strftime("%Y-%m-%d").zfill(_DATE_LENGTH)
        )
    except OverflowError:
        return None
