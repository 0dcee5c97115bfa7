"""Times as other programs write them."""

import time
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.event import format_time
from whence.sources.times import (
    DAY_NS,
    END_NS,
    FIRST_NS,
    NS_PER_UNIT,
    Clock,
    Unit,
    parse_zone,
    raw_bound,
    raw_end,
    read_duration,
)

_SECONDS = st.integers(-62_135_596_800, 253_402_300_799)
_OUR_DAYS_NS = st.integers(0, 4_102_444_800 * 10**9)
_FIRST, _LAST = (datetime.fromisoformat(text) for text in ("1902-01-01", "2200-01-01"))
_NUMBERS: list[Unit] = ["s", "ms", "us", "ns", "julian"]


def read(clock: Clock, value: object) -> int | None:
    reading = clock.read(value)
    return reading and reading.ns


@given(st.sampled_from(sorted(NS_PER_UNIT)), _OUR_DAYS_NS)
def test_whole_numbers_of_every_unit_come_back(unit: Unit, ns: int) -> None:
    number = ns // NS_PER_UNIT[unit]

    assert read(Clock(unit), number) == number * NS_PER_UNIT[unit]
    assert read(Clock(unit), str(number)) == number * NS_PER_UNIT[unit]


@given(st.integers(0, 4_102_444_800 * 10**6))
def test_parts_of_seconds_come_back_to_the_microsecond(us: int) -> None:
    assert read(Clock("s"), us / 10**6) == us * 1000


@given(st.integers(0, 4_102_444_800_000))
def test_days_come_back_to_the_millisecond(ms: int) -> None:
    days = float(Fraction(ms, 86_400_000) + Fraction(4_881_175, 2))

    assert read(Clock("julian"), days) == ms * 10**6


@given(
    _SECONDS,
    st.integers(0, 999_999_999),
    st.sampled_from("T "),
    st.sampled_from(["", "Z", "+00:00"]),
)
def test_texts_come_back_to_the_nanosecond(second: int, nano: int, between: str, zone: str) -> None:
    ns = second * 10**9 + nano
    text = format_time(ns)[:-1].replace("T", between) + zone

    reading = Clock("iso").read(text)

    assert reading == (ns, zone == "")


@given(
    st.datetimes(_FIRST, _LAST),
    st.integers(-23 * 60, 23 * 60),
    st.sampled_from(["auto", "seconds", "milliseconds", "microseconds", "minutes"]),
)
def test_what_python_writes_is_read_as_python_reads_it(
    moment: datetime, minutes: int, precision: str
) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = there.isoformat(timespec=precision)

    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)

    assert read(Clock("iso"), text) == since // timedelta(microseconds=1) * 1000


@given(st.sampled_from(_NUMBERS), st.lists(st.integers(-(2**63), 2**63) | st.floats(), min_size=2))
def test_a_larger_number_is_never_an_earlier_time(unit: Unit, numbers: list[float]) -> None:
    numbers = sorted(number for number in numbers if number == number)
    times = [read(Clock(unit), number) for number in numbers]
    found = [ns for ns in times if ns is not None]

    assert found == sorted(found)


@given(st.sampled_from(_NUMBERS), _OUR_DAYS_NS, st.integers(-(10**7), 10**7))
def test_bounds_leave_nothing_out(unit: Unit, ns: int, near: int) -> None:
    scale = NS_PER_UNIT.get(unit, DAY_NS)
    for number in (ns // scale + near % 3, ns / scale, (ns + near) / scale):
        value = number + (2_440_587.5 if unit == "julian" else 0)
        found = read(Clock(unit), value)
        if found is not None and found >= ns:
            assert value >= raw_bound(unit, ns)
        if found is not None and found < ns:
            assert value < raw_end(unit, ns)


@given(st.text() | st.integers() | st.floats() | st.binary() | st.none() | st.booleans())
def test_anything_else_is_no_time(value: object) -> None:
    for unit in ("iso", *_NUMBERS):
        reading = Clock(unit).read(value)
        assert reading is None or FIRST_NS <= reading.ns < END_NS


@pytest.mark.parametrize(
    "text",
    ["2026-13-01", "2026-02-30 00:00:00", "20260101T000000", "2026-W01-1", "12:00", "now", "",
     "2026-01-01 25:00:00", "2026-01-01T00:00:00+99:00", "2026-01-01_00:00:00", "２０２６-01-01"],
)  # fmt: skip
def test_what_is_no_time_is_not_read(text: str) -> None:
    assert Clock("iso").read(text) is None


def test_a_zone_is_an_offset_a_name_or_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(Clock("iso", parse_zone("+11:00")), "1970-01-01 11:00:00") == 0
    assert read(Clock("iso", parse_zone("-0330")), "1969-12-31 20:30") == 0
    sydney = Clock("iso", parse_zone("Australia/Sydney"))
    assert read(sydney, "1970-01-01 10:00:00") == 0
    assert read(sydney, "1970-01-01") == -10 * 3600 * 10**9
    monkeypatch.setenv("TZ", "UTC-3")
    time.tzset()
    try:
        assert read(Clock("iso", parse_zone("local")), "1970-01-01 03:00:00.5") == 5 * 10**8
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_zone_that_is_none_is_refused_with_one_like_it() -> None:
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        parse_zone("Europ/Berlin")
    with pytest.raises(ValueError, match="want UTC, local"):
        parse_zone("../../etc/passwd")


def test_a_duration_is_a_number_from_zero_on() -> None:
    assert read_duration(1.5, 10**6) == 1_500_000
    assert read_duration(0, 1) == 0
    assert [read_duration(value, 1) for value in (-1, "1", None, True, float("inf"))] == [None] * 5


_WRITTEN = st.builds(
    lambda moment, between, precision, zone: moment.isoformat(between, precision) + zone,
    st.datetimes(),
    st.sampled_from("T "),
    st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["Z", "", "+00:00", "-11:30", "+0100", "1", "\n2026-11-20T19:27:35"]),
)


@given(
    st.lists(_WRITTEN, max_size=3) | st.lists(st.integers(0, 2**62) | _WRITTEN | st.floats(), max_size=3),
    st.sampled_from(["iso", *_NUMBERS]),
    st.sampled_from(["UTC", "+11:00", "Europe/Berlin"]),
)  # fmt: skip
def test_many_times_are_read_as_each_is(values: list[object], unit: Unit, zone: str) -> None:
    clock = Clock(unit, parse_zone(zone))
    each = [read(clock, value) for value in values]

    assert clock.read_all(values) == (None if None in each else each)
