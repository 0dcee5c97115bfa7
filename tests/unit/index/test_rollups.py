"""Roll-ups: few slots cover any window, and add up to what the entries hold."""

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from whence.index.rollups import Tally, plan_levels, read_rollups, split_window, summarise
from whence.index.schema import SCHEMA

MINUTE = 60 * 10**9
PER_LEVEL = (1, 60, 1440, 64 * 1440)


@given(low=st.integers(-5000, 50_000), length=st.integers(1, 20_000))
def test_a_window_is_covered_once_and_by_few_slots(low: int, length: int) -> None:
    spans = plan_levels(low, low + length)

    minutes = [
        minute
        for level, first, end in spans
        for minute in range(first * PER_LEVEL[level], end * PER_LEVEL[level])
    ]
    assert sorted(minutes) == list(range(low, low + length))
    assert sum(end - first for _, first, end in spans) <= 2 * 59 + 2 * 23 + 2 * 63 + length // 1440


def test_all_of_time_is_planned_at_once() -> None:
    window = split_window(None, None)

    assert window is not None
    assert len(plan_levels(*window)) < 10


def test_a_window_without_a_whole_minute_has_no_roll_ups() -> None:
    assert split_window(1, MINUTE) is None
    assert split_window(MINUTE - 1, MINUTE + 1) is None
    assert split_window(0, MINUTE) == (0, 1)


EVENTS = st.lists(
    st.tuples(
        st.integers(-3 * MINUTE, 3000 * MINUTE),
        st.integers(1, 3),
        st.none() | st.integers(0, 10**10),
    ),
    max_size=40,
)


@given(windows=st.lists(EVENTS, max_size=4), edges=st.tuples(*2 * [st.integers(-5, 3005)]))
def test_roll_ups_add_up_to_what_was_counted(
    windows: list[list[tuple[int, int, int | None]]], edges: tuple[int, int]
) -> None:
    low, high = min(edges), max(edges) + 1
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(SCHEMA)
    tally = Tally()
    for events in windows:
        times, kinds, durations = ([event[at] for event in events] for at in range(3))
        tally.add(times, kinds, durations)  # type: ignore[arg-type]
        tally.store(db)

    found = read_rollups(db, (1, 2, 3), low, high)

    exact = summarise(
        (kind, duration)
        for events in windows
        for time, kind, duration in events
        if low * MINUTE <= time < high * MINUTE
    )
    db.close()
    assert {kind: (count, dict(held.bins)) for kind, (count, held) in found.items()} == {
        kind: (count, dict(held.bins)) for kind, (count, held) in exact.items()
    }
    assert {kind: (held.total, held.low, held.high) for kind, (_, held) in found.items()} == {
        kind: (held.total, held.low, held.high) for kind, (_, held) in exact.items()
    }
