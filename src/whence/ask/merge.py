"""Streams of events merged into one by time. Pure, lazy, and stable: as sorting all of them would be.

At the same moment the event of an earlier stream comes first, so a journal that is named first stands
before its sources; newest first is exactly the other way round.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Time = TypeVar("Time", int, str)
"""Nanoseconds, or an event's time as it is written, whose order is that of time."""


def merge_by_time(
    streams: Iterable[Iterable[Item]],
    time_of: Callable[[Item], Time],
    *,
    newest_first: bool = False,
) -> Iterator[Item]:
    """Merge streams that are each in order of time, or each in the opposite order if `newest_first`.

    No more is taken of a stream than one item beyond what has been given.
    """
    if newest_first:
        return heapq.merge(*reversed(list(streams)), key=time_of, reverse=True)
    return heapq.merge(*streams, key=time_of)
