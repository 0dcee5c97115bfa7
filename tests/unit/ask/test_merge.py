"""Merging is a stable sort, and lazy."""

from collections.abc import Iterator
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from whence.ask.merge import merge_by_time

Item = tuple[int, int, int]
"""A time, the stream it is in, and its place there."""

STREAMS = st.lists(st.lists(st.integers(0, 5)).map(sorted), max_size=5).map(
    lambda times: [
        [(time, number, place) for place, time in enumerate(stream)]
        for number, stream in enumerate(times)
    ]
)


def time_of(item: Item) -> int:
    return item[0]


@given(STREAMS)
def test_merging_is_a_stable_sort(streams: list[list[Item]]) -> None:
    assert list(merge_by_time(streams, time_of)) == sorted(chain(*streams), key=time_of)


@given(STREAMS)
def test_newest_first_is_the_other_way_round(streams: list[list[Item]]) -> None:
    turned = [stream[::-1] for stream in streams]

    newest_first = list(merge_by_time(turned, time_of, newest_first=True))

    assert newest_first == list(merge_by_time(streams, time_of))[::-1]


def test_only_one_item_is_read_ahead() -> None:
    read: list[int] = []

    def stream() -> Iterator[int]:
        for time in range(1_000):
            read.append(time)
            yield time

    merged = merge_by_time([stream(), iter([5_000])], int)
    for _ in range(3):
        next(merged)

    assert len(read) <= 4
