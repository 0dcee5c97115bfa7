"""Amounts: short, never rounded up, and read back where they are times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.draw import format_ago, format_count, format_duration, format_size

US, MS, S = 1_000, 1_000_000, 1_000_000_000
MIN, H, DAY = 60 * S, 3_600 * S, 86_400 * S


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0ns"),
        (850, "850ns"),
        (1_200, "1.2µs"),
        (12_900, "12µs"),
        (5 * MS, "5ms"),
        (5 * MS + 90 * US, "5ms"),
        (9_990 * US, "9.9ms"),
        (999 * MS + 999 * US, "999ms"),
        (1_200 * MS, "1.2s"),
        (59_999 * MS, "59.9s"),
        (MIN, "1m 00s"),
        (3 * MIN + 4 * S, "3m 04s"),
        (H - 1, "59m 59s"),
        (2 * H + 5 * MIN, "2h 05m"),
        (3 * DAY + 4 * H, "3d 04h"),
        (4_000 * DAY, "4,000d 00h"),
        (-5 * MS, "-5ms"),
    ],
)
def test_durations(ns: int, text: str) -> None:
    assert format_duration(ns) == text
    assert format_duration(ns, ascii=True) == text.replace("µ", "u")


@given(ns=st.integers(-(10**30), 10**30))
def test_a_duration_in_ascii_is_ascii(ns: int) -> None:
    assert format_duration(ns, ascii=True).isascii()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1_023, "1,023 B"),
        (1_024, "1 KiB"),
        (1_536, "1.5 KiB"),
        (256 * 2**20, "256 MiB"),
        (2**20 - 1, "1,023 KiB"),
        (2**80, "1,048,576 EiB"),
        (-1_536, "-1.5 KiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert format_size(size) == text


def test_counts_carry_their_noun() -> None:
    assert format_count(1_234_567) == "1,234,567"
    assert format_count(1, "event") == "1 event"
    assert format_count(0, "event") == "0 events"
    assert format_count(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "now"),
        (S - 1, "now"),
        (S, "1 s ago"),
        (3 * MIN + 59 * S, "3 min ago"),
        (2 * H, "2 h ago"),
        (DAY, "1 day ago"),
        (29 * DAY, "29 days ago"),
        (31 * DAY, "1 month ago"),
        (800 * DAY, "2 years ago"),
        (-3 * MIN, "in 3 min"),
    ],
)
def test_ages(ns: int, text: str) -> None:
    now = 1_800_000_000 * S

    assert format_ago(now - ns, now) == text
