"""Time phrases: each means exactly one moment, or is refused with examples."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from whence.ask.times import (
    EXAMPLES,
    LastType,
    Moment,
    WhenTarget,
    finish_phrase,
    format_local,
    format_window,
    parse_phrase,
    zone_name,
)
from whence.ask.zones import find_zone
from whence.errors import NotFoundError, PhraseError

S = 1_000_000_000
MIN, H, DAY = 60 * S, 3_600 * S, 86_400 * S

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")

ZONES = [
    UTC,
    BERLIN,
    SHANGHAI,
    ZoneInfo("America/St_Johns"),
    ZoneInfo("Africa/Cairo"),
    ZoneInfo("Australia/Lord_Howe"),
    timezone(timedelta(hours=-11, minutes=-30)),
]
zones = st.sampled_from(ZONES)
moments = st.integers(-(2**63) + 2 * DAY, 2**63 - 1 - 2 * DAY)


def ns(text: str) -> int:
    """Read RFC 3339 with datetime, whole seconds only: the slow and obvious way."""
    return int(datetime.fromisoformat(text).timestamp()) * S


NOW = ns("2026-11-20T19:27:35+00:00") + 104_233_123  # a Friday; 20:27:35 in Berlin

ACCEPTED = {
    # Words and days: local midnight.
    "now": NOW,
    "today": ns("2026-11-20T00:00:00+01:00"),
    "yesterday": ns("2026-11-19T00:00:00+01:00"),
    "tomorrow": ns("2026-11-21T00:00:00+01:00"),
    "yesterday 14:00": ns("2026-11-19T14:00:00+01:00"),
    "today 9:30": ns("2026-11-20T09:30:00+01:00"),
    "tomorrow 00:00:01": ns("2026-11-21T00:00:01+01:00"),
    "today UTC": ns("2026-11-20T00:00:00+00:00"),
    "today +11:00": ns("2026-11-21T00:00:00+11:00"),
    "yesterday 14:00 Z": ns("2026-11-19T14:00:00+00:00"),
    # Dates and times.
    "2026-11-20": ns("2026-11-20T00:00:00+01:00"),
    "2026-7-1": ns("2026-07-01T00:00:00+02:00"),
    "2026-11-20 14:00": ns("2026-11-20T14:00:00+01:00"),
    "2026-11-20 14:00:05.123": ns("2026-11-20T14:00:05+01:00") + 123_000_000,
    "2026-11-20T14:00:05,5": ns("2026-11-20T14:00:05+01:00") + 500_000_000,
    "2026-11-20T14:00:05.123456789Z": ns("2026-11-20T14:00:05+00:00") + 123_456_789,
    "2026-11-20t14:00z": ns("2026-11-20T14:00:00+00:00"),
    "2026-11-20 14:00 UTC": ns("2026-11-20T14:00:00+00:00"),
    "2026-11-20 14:00 gmt": ns("2026-11-20T14:00:00+00:00"),
    "2026-11-20T14:00+11:00": ns("2026-11-20T14:00:00+11:00"),
    "2026-11-20 14:00 -0330": ns("2026-11-20T14:00:00-03:30"),
    "2026-11-20 14:00 +02": ns("2026-11-20T14:00:00+02:00"),
    "2026-11-20 +11:00": ns("2026-11-20T00:00:00+11:00"),
    "2026-11-20 14:00 CET": ns("2026-11-20T14:00:00+01:00"),
    "2026-11-20 14:00 Europe/Berlin": ns("2026-11-20T14:00:00+01:00"),
    "Fri 2026-11-20 14:00": ns("2026-11-20T14:00:00+01:00"),
    "friday, 2026-11-20": ns("2026-11-20T00:00:00+01:00"),
    "20261120T140005Z": ns("2026-11-20T14:00:05+00:00"),
    "20261120T1400": ns("2026-11-20T14:00:00+01:00"),
    "14:00": ns("2026-11-20T14:00:00+01:00"),
    "23:59:59": ns("2026-11-20T23:59:59+01:00"),
    "9:30:15 Z": ns("2026-11-20T09:30:15+00:00"),
    "1677-12-31 UTC": ns("1677-12-31T00:00:00+00:00"),
    # Spans.
    "-3h": NOW - 3 * H,
    "+1h": NOW + H,
    "- 3 h": NOW - 3 * H,
    "2h ago": NOW - 2 * H,
    "3h 20min ago": NOW - 3 * H - 20 * MIN,
    "3h20min ago": NOW - 3 * H - 20 * MIN,
    "-3h 20min": NOW - 3 * H - 20 * MIN,
    "1 hour, 5 minutes ago": NOW - H - 5 * MIN,
    "5min left": NOW + 5 * MIN,
    "1.5h ago": NOW - 90 * MIN,
    "300ms20s 5day ago": NOW - 300_000_000 - 20 * S - 5 * DAY,
    "5m ago": NOW - 5 * MIN,
    "2w ago": NOW - 14 * DAY,
    "1 month ago": NOW - 2_630_016 * S,
    "1y ago": NOW - 31_557_600 * S,
    "7us ago": NOW - 7_000,
    "7µs ago": NOW - 7_000,
    "7μs ago": NOW - 7_000,
    "7ns ago": NOW - 7,
    # Seconds since 1970.
    "@0": 0,
    "@1700000000": 1_700_000_000 * S,
    "@1700000000.25": 1_700_000_000 * S + 250_000_000,
    "@-1.5": -1_500_000_000,
    # Case and spaces.
    "  YESTERDAY   14:00  ": ns("2026-11-19T14:00:00+01:00"),
    "2H AGO": NOW - 2 * H,
    "\t-3h\n": NOW - 3 * H,
}

REFUSED = {
    "": "is empty",
    "  ": "is empty",
    "14": "bare number",
    "2026": "bare number",
    "20261120": "bare number",
    "1700000000.5": "bare number",
    "1/2/2026": "two dates",
    "01.02.2026": "two dates",
    "2026/1/2 14:00": "two dates",
    "26-11-20": "two digits",
    "26-11-20 14:00": "two digits",
    "monday": "weekday",
    "last Monday": "weekday",
    "next fri": "weekday",
    "5M ago": "minutes or months",
    "-5": "without a unit",
    "5 ago": "without a unit",
    "3h 5 ago": "without a unit",
    "-3h +5min": "goes on with '+5min'",
    "5 fortnights ago": "unit fortnights",
    "-3h ago": "goes on with 'ago'",
    "-3h \x1b[31m": "goes on with '\\x1b[31m'",
    "Thu 2026-11-20": "is a Friday",
    "Foo 2026-11-20": "is a Friday",
    "2026-11-20 14:00 PST": "zone PST",
    "2026-07-20 14:00 CET": "zone CET",
    "14:00 +01:75": "offset",
    "14:00 +25:00": "does not exist",
    "2026-02-29": "does not exist",
    "2026-13-01": "does not exist",
    "0000-01-01": "does not exist",
    "24:00": "does not exist",
    "23:59:60": "does not exist",
    "0001-01-01 +23:00": "does not exist",
    "9999-12-31": "1678 to 2261",
    "@99999999999999999": "1678 to 2261",
    "@-99999999999999999": "1678 to 2261",
    "999999999999999999y ago": "1678 to 2261",
    "+9999999999999w": "1678 to 2261",
    "99999-01-01": "not understood",
    "2026-11": "not understood",
    "2026-W47-5": "not understood",
    "14:00:05.1234567890": "not understood",
    "14:0": "not understood",
    "2pm": "not understood",
    "@": "not understood",
    "@@5": "not understood",
    "+": "not understood",
    "ago": "not understood",
    "2hago": "not understood",
    "now 14:00": "not understood",
    "last": "not understood",
    "last week": "not understood",
    "last night": "not understood",
    "today -2": "not understood",
    "wake": "not understood",
    "wake -0": "not understood",
    "wake -9999999": "not understood",
    "last wake -2": "not understood",
    "when task-sub1": "not understood",
    "when task sub1 created": "not understood",
    'when "task-sub1 created': "not understood",
    "lately": "not understood",
    "\u0661\u0664:\u0660\u0660": "not understood",
    "x" * 201: "longer than 200",
}


@pytest.mark.parametrize(("phrase", "expected"), ACCEPTED.items(), ids=map(repr, ACCEPTED))
def test_a_phrase_means_exactly_one_moment(phrase: str, expected: int) -> None:
    assert parse_phrase(phrase, NOW, BERLIN) == Moment(expected)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("Fri 2012-11-23 11:12:13", "2012-11-23T11:12:13+08:00"),
        ("2012-11-23 11:12:13 UTC", "2012-11-23T19:12:13+08:00"),
        ("2012-11-23T11:12+02:00", "2012-11-23T17:12:00+08:00"),
        ("2012-11-23", "2012-11-23T00:00:00+08:00"),
        ("11:12", "2012-11-23T11:12:00+08:00"),
        ("now", "2012-11-23T18:15:22+08:00"),
        ("today UTC", "2012-11-23T08:00:00+08:00"),
        ("yesterday", "2012-11-22T00:00:00+08:00"),
        ("+3h30min", "2012-11-23T21:45:22+08:00"),
        ("-5s", "2012-11-23T18:15:17+08:00"),
        ("11min ago", "2012-11-23T18:04:22+08:00"),
        ("@1395716396", "2014-03-25T10:59:56+08:00"),
    ],
)
def test_what_systemd_documents_means_the_same_here(phrase: str, expected: str) -> None:
    """The clock and zone of the examples in systemd.time(7), instants worked out by hand.

    (Two of its own lines for `UTC` and `@` are off by the zone; the instant is what counts.)
    """
    now = ns("2012-11-23T18:15:22+08:00")

    assert parse_phrase(phrase, now, SHANGHAI) == Moment(ns(expected))


@pytest.mark.parametrize(("phrase", "reason"), REFUSED.items(), ids=map(repr, REFUSED))
def test_what_is_not_understood_is_refused_with_a_reason_and_examples(
    phrase: str, reason: str
) -> None:
    with pytest.raises(PhraseError) as refused:
        parse_phrase(phrase, NOW, BERLIN)

    assert reason in str(refused.value)
    assert all(f"'{shown}'" in str(refused.value) for shown in EXAMPLES)


@pytest.mark.parametrize("phrase", EXAMPLES)
def test_the_examples_in_refusals_are_understood(phrase: str) -> None:
    parse_phrase(phrase, NOW, BERLIN)


@given(text=st.text(max_size=300), tz=zones, now=moments)
@example(text="0001-01-01", tz=SHANGHAI, now=NOW)
@example(text="9999-12-31 23:59:59.999999999 -23:59", tz=SHANGHAI, now=NOW)
def test_any_text_is_understood_or_refused(text: str, tz: tzinfo, now: int) -> None:
    check_understood_or_refused(text, tz, now)


WORDS = [
    *"now today yesterday tomorrow last next wake when created ago left utc Z CET - + @ : . , T".split(),
    *"mon friday 0 1 9 14 59 60 2026 9999 11 -11 14:00 2026-11-20 +11:00 h min M d month y ns".split(),
    "99999999999999999999", "'", '"', "İ", "K", "٣", "/", "\x00",
]  # fmt: skip


@given(
    parts=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["", " ", "  "])), max_size=7),
    tz=zones,
    now=moments,
)
def test_any_mix_of_the_grammar_is_understood_or_refused(
    parts: list[tuple[str, str]], tz: tzinfo, now: int
) -> None:
    check_understood_or_refused("".join(word + space for word, space in parts), tz, now)


def check_understood_or_refused(text: str, tz: tzinfo, now: int) -> None:
    try:
        meant = parse_phrase(text, now, tz)
    except PhraseError as refused:
        message = str(refused)
    else:
        assert not isinstance(meant, Moment) or -(2**63) <= meant.ns < 2**63
        message = ""
    assert message.isprintable()


@given(moment=moments, tz=zones, now=moments)
def test_what_is_written_reads_back(moment: int, tz: tzinfo, now: int) -> None:
    text = format_local(moment, tz, "ns")
    local = datetime.fromtimestamp(moment // S, tz)
    assume(local.fold == 0)  # a time that comes twice reads back as the first
    assume((local.utcoffset() or timedelta()).seconds % 60 == 0)

    assert parse_phrase(text, now, tz) == Moment(moment)


@given(moment=moments, tz=zones, now=moments)
def test_precision_cuts_and_never_rounds(moment: int, tz: tzinfo, now: int) -> None:
    whole = format_local(moment, tz, "ns")

    assert whole.startswith(format_local(moment, tz, "ms"))
    assert whole.startswith(format_local(moment, tz, "s"))


@given(
    parts=st.lists(
        st.tuples(st.integers(0, 999), st.sampled_from(["h", "min", "s", "ms"])),
        min_size=1,
        max_size=9,
    )
)
def test_spans_add_up_and_the_two_directions_mirror(parts: list[tuple[int, str]]) -> None:
    units = {"h": H, "min": MIN, "s": S, "ms": 1_000_000}
    total = sum(number * units[unit] for number, unit in parts)
    text = " ".join(f"{number}{unit}" for number, unit in parts)

    assert parse_phrase(f"{text} ago", NOW, UTC) == Moment(NOW - total)
    assert parse_phrase(f"-{text}", NOW, UTC) == Moment(NOW - total)
    assert parse_phrase(f"+{text}", NOW, UTC) == Moment(NOW + total)
    assert parse_phrase(f"{text} left", NOW, UTC) == Moment(NOW + total)


# --- clocks that change ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        # Skipped: 02:00 to 03:00 does not happen.
        ("2026-03-29 01:59:59", "2026-03-29T01:59:59+01:00"),
        ("2026-03-29 02:30", "2026-03-29T03:30:00+02:00"),
        ("2026-03-29 03:00", "2026-03-29T03:00:00+02:00"),
        # Twice: 02:00 to 03:00 happens in summer time, then again in winter time.
        ("2026-10-25 02:30", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25 02:30 CEST", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25 02:30 CET", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25 02:30 +01:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25 03:00", "2026-10-25T03:00:00+01:00"),
    ],
)
def test_skipped_times_move_on_and_double_times_are_the_first(phrase: str, expected: str) -> None:
    assert parse_phrase(phrase, NOW, BERLIN) == Moment(ns(expected))


def test_yesterday_is_a_day_of_the_calendar_even_if_it_has_25_hours() -> None:
    now = ns("2026-10-26T12:00:00+01:00")

    assert parse_phrase("yesterday", now, BERLIN) == Moment(ns("2026-10-25T00:00:00+02:00"))
    assert parse_phrase("1 day ago", now, BERLIN) == Moment(now - DAY)


def test_a_day_whose_midnight_is_skipped_begins_when_the_clocks_land() -> None:
    """Cairo goes from 00:00 to 01:00 on 24 April 2026."""
    cairo = ZoneInfo("Africa/Cairo")
    now = ns("2026-04-24T12:00:00+03:00")

    assert parse_phrase("today", now, cairo) == Moment(ns("2026-04-24T01:00:00+03:00"))


# --- phrases that name recorded events ------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "asked"),
    [
        ("last wake", LastType(types=("wake",))),
        ("LAST  Sleep", LastType(types=("Sleep",))),
        ("last create_task", LastType(types=("create_task",))),
        ("last claimed", LastType(types=("claim_task", "claimed"))),
        ("last writer.close", LastType(types=("writer.close",))),
        ("wake -2", LastType(types=("wake",), back=2)),
        ("wake  -1", LastType(types=("wake",))),
        ("woke -3", LastType(types=("wake", "woke"), back=3)),
        (
            "when task-sub1 created",
            WhenTarget(target="task-sub1", types=("create_task", "created")),
        ),
        (
            "When Task-Sub1 COMPLETED",
            WhenTarget(target="Task-Sub1", types=("complete_task", "COMPLETED")),
        ),
        ("when #payments send", WhenTarget(target="#payments", types=("send",))),
        (
            "when m1 added",
            WhenTarget(target="m1", types=("add_entry", "add_discovery", "added")),
        ),
        (
            'when "the  big task" blocked',
            WhenTarget(target="the  big task", types=("block_task", "blocked")),
        ),
        ("when 'a \"b\"' x.y", WhenTarget(target='a "b"', types=("x.y",))),
    ],
)
def test_a_phrase_about_events_says_what_to_look_up(
    phrase: str, asked: LastType | WhenTarget
) -> None:
    assert parse_phrase(phrase, NOW, BERLIN) == asked


@given(times=st.lists(moments, min_size=1), data=st.data())
def test_the_answer_is_the_newest_that_was_asked_for(times: list[int], data: st.DataObject) -> None:
    back = data.draw(st.integers(1, len(times)))

    assert finish_phrase(LastType(types=("wake",), back=back), times) == Moment(
        sorted(times)[len(times) - back]
    )
    assert finish_phrase(WhenTarget(target="t", types=("wake",)), times) == Moment(max(times))


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("2026-11-20 14:00 Asia/Tokyo", "2026-11-20T14:00:00+09:00"),
        ("2026-11-20T14:00 asia/tokyo", "2026-11-20T14:00:00+09:00"),
        ("9:30 Asia/Tokyo", "2026-11-21T09:30:00+09:00"),
        ("today America/Los_Angeles", "2026-11-20T00:00:00-08:00"),
        ("2026-11-20 14:00 Europe/Berlin", "2026-11-20T14:00:00+01:00"),
        ("2026-07-01 CEST", "2026-07-01T00:00:00+02:00"),
    ],
)
def test_a_zone_of_the_database_may_stand_behind_a_time(phrase: str, expected: str) -> None:
    """Day words mean the day there, as in systemd."""
    assert parse_phrase(phrase, NOW, BERLIN, find_zone) == Moment(ns(expected))


@pytest.mark.parametrize("name", ["Asia", "Mars/Olympus", "../etc/passwd", "/etc/localtime", ""])
def test_what_is_no_zone_is_not_found(name: str) -> None:
    assert find_zone(name) is None


def test_a_zone_that_nobody_knows_is_refused() -> None:
    for known in ((), (find_zone,)):
        with pytest.raises(PhraseError, match="has the zone Mars/Olympus, which is not UTC"):
            parse_phrase("14:00 Mars/Olympus", NOW, BERLIN, *known)
    with pytest.raises(PhraseError, match="has the zone CET"):
        parse_phrase("2026-07-20 14:00 CET", NOW, BERLIN, find_zone)
    with pytest.raises(PhraseError, match="has the zone Asia/Tokyo"):
        parse_phrase("14:00 Asia/Tokyo", NOW, BERLIN)


def test_what_was_never_recorded_is_not_found() -> None:
    with pytest.raises(NotFoundError, match=r"^no wake is recorded$"):
        finish_phrase(LastType(types=("wake",)), [])
    with pytest.raises(NotFoundError, match="counts back 2 wake events, and only 1 is recorded"):
        finish_phrase(LastType(types=("wake",), back=2), [NOW])
    with pytest.raises(NotFoundError, match="no block_task or blocked is recorded for task-sub1"):
        finish_phrase(WhenTarget(target="task-sub1", types=("block_task", "blocked")), [])


# --- writing --------------------------------------------------------------------------------------


def test_moments_are_written_as_local_clocks_show_them() -> None:
    assert format_local(NOW, BERLIN) == "2026-11-20 20:27:35"
    assert format_local(NOW, BERLIN, "ms") == "2026-11-20 20:27:35.104"
    assert format_local(NOW, UTC, "ns") == "2026-11-20 19:27:35.104233123"
    assert format_local(-1, UTC, "ns") == "1969-12-31 23:59:59.999999999"


@pytest.mark.parametrize("tz", ZONES)
def test_a_moment_that_no_calendar_holds_is_still_written(tz: tzinfo) -> None:
    assert format_local(10**30, tz, "ms") == "@1000000000000000000000.000"
    assert format_local(-(10**22), tz) == "@-10000000000000"


@pytest.mark.parametrize(
    ("since", "until", "text"),
    [
        (NOW, None, "from 2026-11-20 20:27:35 to now (Europe/Berlin)"),
        (None, NOW, "from the beginning to 2026-11-20 20:27:35 (Europe/Berlin)"),
        (None, None, "from the beginning to now (Europe/Berlin)"),
        (NOW - H, NOW, "from 2026-11-20 19:27:35 to 2026-11-20 20:27:35 (Europe/Berlin)"),
        (
            NOW - 5,
            NOW,
            "from 2026-11-20 20:27:35.104233118 to 2026-11-20 20:27:35.104233123 (Europe/Berlin)",
        ),
        (
            ns("2026-10-25T02:30:00+02:00"),
            ns("2026-10-25T02:30:00+01:00"),
            "from 2026-10-25 02:30:00+02:00 to 2026-10-25 02:30:00+01:00 (Europe/Berlin)",
        ),
        (10**30, None, "from @1000000000000000000000 to now (Europe/Berlin)"),
    ],
)
def test_a_window_is_echoed_as_it_was_understood(
    since: int | None, until: int | None, text: str
) -> None:
    assert format_window(since, until, BERLIN) == text


class NamelessZone(tzinfo):
    """As ZoneInfo is when it was read from a file without a key."""

    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None) -> None:
        return None


def test_zones_are_named_by_what_is_known_of_them() -> None:
    assert zone_name(BERLIN) == "Europe/Berlin"
    assert zone_name(UTC) == "UTC"
    assert zone_name(timezone(timedelta(hours=2))) == "UTC+02:00"
    assert zone_name(NamelessZone()) == "local time"


def test_a_nameless_zone_has_no_name_to_be_called_by() -> None:
    with pytest.raises(PhraseError, match="zone CET"):
        parse_phrase("14:00 CET", NOW, NamelessZone())
