"""True times from rows whose columns are partly UTC and partly local."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.event import format_time
from whence.sources.space.clocks import (
    NS_PER_DAY,
    Moment,
    Row,
    Stamp,
    Zone,
    created_ns,
    date_text,
    find_offset,
    find_time,
    first_id,
    looks_like_uuid7,
    machine_offset,
    offset_of_row,
    read_stamp,
)

OFFSETS = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters))
INSTANTS = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
DELAYS = st.timedeltas(timedelta(0), timedelta(days=400))


def make_id(moment: datetime) -> str:
    digits = f"{ns_of(moment) // 1_000_000:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def ns_of(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000


def local(moment: datetime, offset: timedelta) -> str:
    return (moment + offset).replace(tzinfo=None).isoformat(timespec="microseconds")


def never(_: int) -> int:
    raise AssertionError("the row tells its offset")


@given(
    made=INSTANTS,
    offset=OFFSETS,
    delay=DELAYS,
    late=st.timedeltas(max_value=timedelta(minutes=7), min_value=timedelta(minutes=-7)),
)
def test_a_local_time_of_any_zone_comes_back_true(
    made: datetime, offset: timedelta, delay: timedelta, late: timedelta
) -> None:
    """The id tells the row's offset, even if the row was written minutes beside it."""
    row = Row(
        make_id(made), local(made + late, offset), None, local(made + delay, offset),
        Zone.LOCAL, Zone.LOCAL,
    )  # fmt: skip

    assert find_time(row, never) == Moment(ns_of(made + delay), is_inferred=False)
    created = find_time(row._replace(later=None), never)
    assert created == Moment(ns_of(made) // 1_000_000 * 1_000_000, is_inferred=False)


@given(made=INSTANTS, offset=OFFSETS)
def test_seconds_beside_local_text_tell_the_offset_too(made: datetime, offset: timedelta) -> None:
    row = Row("m-1", int(made.timestamp()), local(made, offset), None, Zone.LOCAL)

    assert offset_of_row(row) == offset // timedelta(microseconds=1) * 1_000


@given(made=INSTANTS, offset=OFFSETS)
def test_without_an_id_the_fallback_tells_and_the_time_is_inferred(
    made: datetime, offset: timedelta
) -> None:
    row = Row("task-1", local(made, offset), None, None, Zone.LOCAL)

    told = find_time(row, lambda _: offset // timedelta(microseconds=1) * 1_000)

    assert told == Moment(ns_of(made), is_inferred=True)


def test_an_offset_is_not_learnt_from_a_time_that_sqlite_wrote() -> None:
    """`strftime` writes UTC with three digits: its difference to the id says nothing of the writer."""
    made = datetime(2026, 11, 20, 19, 44, 10, 370_000, tzinfo=UTC)
    row = Row(make_id(made), "2026-11-20T19:44:10.370", None, local(made, timedelta(hours=11)),
              Zone.LOCAL, Zone.LOCAL)  # fmt: skip

    assert offset_of_row(row) is None
    assert find_time(row, lambda _: 11 * 3_600 * 10**9) == Moment(ns_of(made), is_inferred=True)


@pytest.mark.parametrize(
    ("value", "stamp"),
    [
        (1761141600, Stamp(1761141600 * 10**9, is_absolute=True)),
        (1761141600.25, Stamp(1761141600_250_000_000, is_absolute=True)),
        ("1761141600", Stamp(1761141600 * 10**9, is_absolute=True)),
        ("2025-10-22 14:00:00", Stamp(1761141600 * 10**9, is_absolute=False)),
        ("2025-10-22T14:00:00.123", Stamp(1761141600_123_000_000, is_absolute=False, digits=3)),
        ("2025-10-22T14:00:00.000123", Stamp(1761141600_000_123_000, is_absolute=False, digits=6)),
        ("2025-10-22T14:00:00Z", Stamp(1761141600 * 10**9, is_absolute=True)),
        ("2025-10-23T01:00:00+11:00", Stamp(1761141600 * 10**9, is_absolute=True)),
        ("0001-01-01T00:00:00+14:00", Stamp(-62135647200 * 10**9, is_absolute=True)),
    ],
)  # fmt: skip
def test_stored_times_are_read_as_they_stand(value: object, stamp: Stamp) -> None:
    assert read_stamp(value) == stamp


@pytest.mark.parametrize(
    "value",
    [None, "", "some day", "2025-10-22", "2025-13-22 14:00:00", b"2025", "20251022T140000",
     float("nan"), float("inf"), 2**62, "9" * 18,
        "2025-10-22T14:00:00+20:00", "٢٠٢٥-10-22 14:00:00"],
)  # fmt: skip
def test_what_is_no_time_is_none(value: object) -> None:
    assert read_stamp(value) is None


def test_an_id_that_only_looks_like_a_uuid7_dates_nothing() -> None:
    likeness = "0zzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz"

    assert looks_like_uuid7(likeness)
    assert created_ns(likeness) is None
    assert find_time(Row(likeness, "2025-10-22 14:00:00", None), never) is None


def test_an_offset_that_no_zone_has_is_none() -> None:
    assert find_offset(15 * 3_600 * 10**9, 0) is None
    assert find_offset(-13 * 3_600 * 10**9, 0) is None


@given(one=INSTANTS, other=INSTANTS)
def test_ids_sort_as_their_times(one: datetime, other: datetime) -> None:
    since, ms = first_id(ns_of(other)), 1_000_000

    assert (make_id(one) >= since) == (ns_of(one) // ms * ms >= ns_of(other))


def test_a_day_is_text_as_it_is_stored() -> None:
    assert date_text(1761141600 * 10**9) == "2025-10-22"
    assert date_text(-(2**63)) == "1677-09-21"
    assert date_text(10**9 * NS_PER_DAY) is None
    assert format_time(1761141600 * 10**9).startswith("2025-10-22")


def test_this_machines_zone_knows_its_summers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        assert machine_offset(ns_of(datetime(2026, 1, 5, tzinfo=UTC))) == 3_600 * 10**9
        assert machine_offset(ns_of(datetime(2026, 7, 5, tzinfo=UTC))) == 7_200 * 10**9
        assert machine_offset(2**80) == 0
    finally:
        monkeypatch.undo()
        time.tzset()
