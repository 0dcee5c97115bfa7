"""Times of one form whose text sorts as they do, ids that tell their time, checked fields."""

import enum
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import reference
from tests.strategies import (
    YEAR_1_NS,
    YEAR_9999_NS,
    broken_texts,
    events,
    names,
    payloads,
    times_ns,
)
from whence.event import (
    STATUSES,
    Event,
    check_status,
    check_text,
    decode_json,
    format_second,
    format_time,
    id_time_ms,
    parse_time,
)

TIME = "2026-11-20T19:27:35.104233123Z"

# --- times ----------------------------------------------------------------------------------


@given(times_ns)
def test_a_time_comes_back_as_it_was(ns: int) -> None:
    text = format_time(ns)

    assert reference.is_time(text)
    assert parse_time(text) == ns


@pytest.mark.parametrize("year", [*range(1, 1100, 7), *range(1890, 2120), *range(2120, 10_000, 61)])
def test_the_first_and_last_moment_of_a_year_come_back(year: int) -> None:
    first = datetime(year, 1, 1, tzinfo=UTC)
    seconds = (first - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)

    assert format_time(seconds * 10**9) == f"{year:04d}-01-01T00:00:00.000000000Z"
    assert parse_time(f"{year:04d}-01-01T00:00:00.000000000Z") == seconds * 10**9
    if year > 1:
        before = f"{year - 1:04d}-12-31T23:59:59.999999999Z"
        assert format_time(seconds * 10**9 - 1) == before
        assert parse_time(before) == seconds * 10**9 - 1


@given(times_ns, times_ns | st.integers(-(10**10), 10**10))
def test_the_order_of_texts_is_the_order_of_times(first: int, other: int) -> None:
    second = other if other >= YEAR_1_NS else first
    second = min(max(first + second if abs(second) <= 10**10 else second, YEAR_1_NS), YEAR_9999_NS)

    assert (format_time(first) < format_time(second)) == (first < second)
    assert (format_time(first) == format_time(second)) == (first == second)


@pytest.mark.parametrize(
    "ns",
    [YEAR_1_NS - 1, YEAR_9999_NS + 1, 10**30, -(10**30)],
    ids=["0000", "10000", "far", "long ago"],
)
def test_a_moment_outside_four_digits_of_years_is_refused(ns: int) -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        format_time(ns)


def test_a_second_is_the_start_of_a_time() -> None:
    assert format_second(0) == "1970-01-01T00:00:00."
    assert TIME.startswith(format_second(parse_time(TIME) // 10**9))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " " * 30,
        TIME[:-1],
        TIME + "Z",
        TIME + "\n",
        " " + TIME[1:],
        TIME[:-1] + "z",
        TIME[:-1] + " ",
        TIME.replace("T", " "),
        TIME.replace("T", "t"),
        TIME.replace(".", ","),
        TIME.replace("Z", "+00:00"),
        TIME.replace("123Z", "+00:00Z")[:30],
        TIME.replace("2026-", "2026/"),
        "2026-11-20T19:27:35.104233Z",
        "2026-11-20T19:27:35.10423312３Z",
        "2026-11-20T19:27:35.1042331²³Z",
        "２026-11-20T19:27:35.104233123Z",
        "2026-11-20T19:27:35.10423-123Z",
        "2026-11-20T19:27:35.10423 123Z",
        "2026-11-20T19:27:35.1042_3123Z",
        "2026-11-20T19:27:60.104233123Z",
        "2016-12-31T23:59:60.000000000Z",
        "2026-11-20T19:27:61.104233123Z",
        "2026-11-20T19:60:35.104233123Z",
        "2026-11-20T24:00:00.000000000Z",
        "2026-11-00T19:27:35.104233123Z",
        "2026-11-31T19:27:35.104233123Z",
        "2026-00-20T19:27:35.104233123Z",
        "2026-13-20T19:27:35.104233123Z",
        "2026-02-29T19:27:35.104233123Z",
        "1900-02-29T19:27:35.104233123Z",
        "0000-01-01T00:00:00.000000000Z",
        "-001-01-01T00:00:00.000000000Z",
        "+026-11-20T19:27:35.104233123Z",
        "10000-01-01T00:00:00.00000000Z",
        "10000-01-01T00:00:00.000000000Z",
        "2026-1-020T19:27:35.104233123Z",
        "2026-11-20T9:027:35.104233123Z",
        "2026-11-20T19:27: 5.104233123Z",
        "2026-W47-5T19:27:35.104233123Z",
    ],
)
def test_a_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@given(st.integers(0, len(TIME) - 1), st.characters())
def test_whatever_stands_in_a_time_the_reference_agrees(at: int, char: str) -> None:
    text = TIME[:at] + char + TIME[at + 1 :]
    try:
        ns = parse_time(text)
    except ValueError:
        assert not reference.is_time(text)
    else:
        assert format_time(ns) == text


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_wrong_value(text: str) -> None:
    try:
        parse_time(text)
    except ValueError:
        assert not reference.is_time(text)
    else:
        assert reference.is_time(text)


# --- payloads -------------------------------------------------------------------------------


@given(events())
def test_the_payload_of_an_event_is_decoded_where_it_is_here(event: Event) -> None:
    assert event.data == (json.loads(bytes(event.payload)) if event.salt else None)
    assert event.time == format_time(event.time_ns)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"1e999", "1e999"),
        (b"[1, -1e999, 1.5]", [1, "-1e999", 1.5]),
        (b'{"a":1e400}', {"a": "1e400"}),
        (b"1" * 10_000, "1" * 10_000),
        (b"[-" + b"1" * 10_000 + b"]", ["-" + "1" * 10_000]),
        (b"[1e999,0.1,12345678901234567890123]", ["1e999", 0.1, 12345678901234567890123]),
    ],
)
def test_a_number_too_large_to_hold_is_its_text(raw: bytes, value: object) -> None:
    assert decode_json(raw) == value


@given(payloads)
def test_json_comes_back_as_it_was(value: object) -> None:
    assert decode_json(json.dumps(value).encode()) == value


# --- ids ------------------------------------------------------------------------------------


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_an_id_of_ours_tells_its_time(ms: int, rest: int) -> None:
    number = ms << 80 | 7 << 76 | rest >> 62 << 64 | 2 << 62 | rest & (2**62 - 1)

    assert id_time_ms(str(uuid.UUID(int=number))) == ms


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "task-abc123",
        str(uuid.UUID(int=0)),
        "0199aa00-0000-4000-8000-000000000001",
        "0199aa00-0000-7000-c000-000000000001",
        "0199AA00-0000-7000-8000-000000000001",
        "0_99aa00-0000-7000-8000-000000000001",
        " 199aa00-0000-7000-8000-000000000001",
        "0199aa00-0000-7000-8000-00000000000g",
        "0199aa00-0000-7000-8000-000000000001\n",
        "0199aa00+0000-7000-8000-000000000001",
    ],
)
def test_an_id_of_another_form_tells_no_time(event_id: str) -> None:
    assert id_time_ms(event_id) is None


# --- checks ---------------------------------------------------------------------------------


@given(names)
def test_text_that_can_be_written_is_kept(text: str) -> None:
    assert check_text("agent", text) == text


@given(broken_texts)
def test_text_that_no_file_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="agent holds a lone surrogate"):
        check_text("agent", text)


@pytest.mark.parametrize("value", [None, 1, b"ops", ["ops"], object()])
def test_what_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"agent is {type(value).__name__}, want str"):
        check_text("agent", value)


def test_empty_text_is_refused() -> None:
    with pytest.raises(ValueError, match="agent is empty"):
        check_text("agent", "")


class _Kind(enum.StrEnum):
    ERROR = "error"


@pytest.mark.parametrize("value", [_Kind.ERROR, type("Name", (str,), {})("error")])
def test_text_of_a_subclass_becomes_plain_text(value: str) -> None:
    """Else it would be written as its class likes to be written."""
    assert type(check_text("agent", value)) is str
    assert check_text("agent", value) == "error"
    assert type(check_status(value)) is str
    assert check_status(value) == "error"


@pytest.mark.parametrize("status", [None, *STATUSES])
def test_a_status_is_one_of_three_or_none(status: str | None) -> None:
    assert check_status(status) == status


@pytest.mark.parametrize("status", ["", "ok", "Success", "success ", 0, False, ["error"]])
def test_another_status_is_refused(status: object) -> None:
    with pytest.raises(ValueError, match="want success, error or blocked"):
        check_status(status)
