"""Rows put in order with bounded memory: the same in a file as in memory."""

import tracemalloc
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.sources import ordering
from whence.sources.ordering import Item, put_days_in_order, put_in_order, put_ties_in_order
from whence.sources.times import DAY_NS, END_NS, FIRST_NS

_IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=3)
_ROWS = st.tuples(st.none() | st.integers() | st.floats(allow_nan=False) | st.binary() | st.text())
_ITEMS = st.lists(st.tuples(st.integers(-3, 3) | st.integers(FIRST_NS, END_NS), _IDS, _ROWS))


def _key(item: Item) -> tuple[int, str]:
    return item[:2]


@given(_ITEMS, st.booleans(), st.integers(1, 4))
def test_many_items_come_in_the_order_of_few(
    items: list[Item], newest_first: bool, held: int
) -> None:
    with patch.object(ordering, "HELD", held):
        found = list(put_in_order(items, newest_first=newest_first))

    assert [*map(_key, found)] == sorted(map(_key, items), reverse=newest_first)
    assert sorted(map(repr, found)) == sorted(map(repr, items))


@given(_ITEMS, st.booleans(), st.integers(1, 4))
def test_ties_come_by_their_ids(items: list[Item], newest_first: bool, held: int) -> None:
    by_time = sorted(items, key=lambda item: item[0], reverse=newest_first)

    with patch.object(ordering, "HELD", held):
        found = list(put_ties_in_order(by_time, newest_first=newest_first))

    assert [*map(_key, found)] == sorted(map(_key, items), reverse=newest_first)


@given(_ITEMS, st.booleans(), st.integers(1, 4))
def test_those_of_one_second_may_come_in_any_order(
    items: list[Item], newest_first: bool, held: int
) -> None:
    by_second = sorted(items, key=lambda item: item[0] // 10**9, reverse=newest_first)

    with patch.object(ordering, "HELD", held):
        found = list(put_ties_in_order(by_second, newest_first=newest_first, unit_ns=10**9))

    assert [*map(_key, found)] == sorted(map(_key, items), reverse=newest_first)


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-1, 1.99), _IDS)), st.booleans())
def test_days_come_when_they_are_over(
    told: list[tuple[int, float, str]], newest_first: bool
) -> None:
    """A row of a day in some zone is, in UTC, of the day before, of that or of the one after."""
    items = [(int((day + shift) * DAY_NS), name, day) for day, shift, name in told]
    by_day = sorted(items, key=lambda item: item[2], reverse=newest_first)

    with patch.object(ordering, "HELD", 3):
        found = list(put_days_in_order(by_day, int, newest_first=newest_first))

    assert [*map(_key, found)] == sorted(map(_key, items), reverse=newest_first)


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_first_of_many_days_comes_before_the_last_is_read(newest_first: bool) -> None:
    read: list[int] = []

    def watched() -> Iterator[Item]:
        for day in range(9, -1, -1) if newest_first else range(10):
            read.append(day)
            yield day * DAY_NS, "x", day

    next(put_days_in_order(watched(), int, newest_first=newest_first))

    assert len(read) == 3


def test_long_rows_are_not_held_until_there_are_many() -> None:
    items = ((n * 7 % 2_000, str(n), str(n).zfill(30_000)) for n in range(2_000))
    tracemalloc.start()

    found = [(ns, item_id) for ns, item_id, _ in put_in_order(items)]

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == sorted(found)
    assert len(found) == 2_000
    assert peak < 40_000_000
