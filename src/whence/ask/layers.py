"""How often the steps of each layer happened, how long they took, and which took longest.

Quantiles are exact where the durations themselves are read: of the newest so many steps, and of
a window with at most `EXACT_MAX` of them. Of more they come from the roll-ups, within one per cent.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nlargest
from math import ceil

import msgspec

from whence.ask.steps import Step, Teller
from whence.ask.stores import Stores
from whence.index import Lookup, Row
from whence.index import spans as rows
from whence.index.names import Kind
from whence.index.sketch import Sketch
from whence.query import StepQuery

EXACT_MAX = 10_000


class Bin(msgspec.Struct, frozen=True):
    """How many durations lie in [low, high), in nanoseconds."""

    low: int
    high: int
    count: int


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer, or one operation of it, in numbers. Durations are nanoseconds; None where none is known.

    `count` is of all steps, `timed` of those that took time.
    """

    layer: str
    operation: str | None = None
    count: int
    timed: int
    errors: int
    blocked: int
    total: int
    mean: int | None
    p50: int | None
    p95: int | None
    p99: int | None
    low: int | None
    high: int | None
    histogram: tuple[Bin, ...] = ()


class Layers(msgspec.Struct, frozen=True, kw_only=True):
    """Layers by name, and the slowest steps, the slowest first. `count` is of all steps."""

    layers: tuple[Layer, ...]
    slowest: tuple[Step, ...]
    count: int
    is_exact: bool


class _Heap:
    """What is known of one layer or operation: its durations, or a summary of them."""

    def __init__(self) -> None:
        self.count = self.errors = self.blocked = 0
        self.durations = array("q")
        self.sketch: Sketch | None = None

    def add(self, status: str | None, duration: int | None) -> None:
        self.count += 1
        self.errors += status == "error"
        self.blocked += status == "blocked"
        if duration is not None:
            self.durations.append(duration)

    def add_up(self, count: int, errors: int, blocked: int, sketch: Sketch) -> None:
        self.count += count
        self.errors += errors
        self.blocked += blocked
        self.sketch = self.sketch or Sketch()
        self.sketch.merge(sketch)

    def describe(self, layer: str, operation: str | None) -> Layer:
        values = sorted(self.durations)
        sketch = self.sketch
        timed = len(values) if sketch is None else sketch.count
        total = sum(values) if sketch is None else sketch.total

        def quantile(q: float) -> int | None:
            if not timed:
                return None
            if sketch is None:
                return values[max(0, ceil(q * timed) - 1)]
            found = sketch.quantile(q)
            return None if found is None else round(found)

        spread = ((value, 1) for value in values) if sketch is None else sketch.spread()
        return Layer(
            layer=layer, operation=operation, count=self.count, timed=timed, errors=self.errors,
            blocked=self.blocked, total=total, mean=total // timed if timed else None,
            p50=quantile(0.5), p95=quantile(0.95), p99=quantile(0.99),
            low=quantile(0.0), high=quantile(1.0),
            histogram=tuple(make_bins(spread)) if operation is not None else (),
        )  # fmt: skip


_Names = tuple[str, str | None]


def summarise(
    stores: Stores,
    teller: Teller,
    query: StepQuery,
    *,
    last: int | None,
    slowest: int,
    by_operation: bool,
) -> Layers:
    """Summarise steps; see `Spans.layers`."""
    index = stores.index
    if index is None:
        return Layers(layers=(), slowest=(), count=0, is_exact=True)
    heaps: dict[_Names, _Heap] = {}
    is_exact = True

    def heap_of(primitive: str, type_: str) -> _Heap:
        return heaps.setdefault((primitive, type_ if by_operation else None), _Heap())

    if last is not None:
        longest = nlargest(
            slowest, _gather(index.find(query, newest_first=True, limit=last), heap_of)
        )
        seqs = [-number for _, number in longest]
    else:
        counted = index.statistics(query)
        is_exact = sum(one.count for one in counted) <= EXACT_MAX
        if is_exact:
            for kind, duration in index.ask(lambda lookup: _read_cells(lookup, query)):
                heap_of(kind[0], kind[1]).add(kind[2], duration)
        else:
            for one in counted:
                heap = heap_of(one.primitive, one.type)
                heap.add_up(one.count, one.errors, one.blocked, one.durations)
        seqs = [
            place.seq for place in index.ask(lambda lookup: rows.slowest(lookup, query, slowest))
        ]
    told = dict(teller.read(seqs))
    described = sorted(
        (heap.describe(*names) for names, heap in heaps.items() if heap.count),
        key=lambda layer: (layer.layer, layer.operation or ""),
    )
    return Layers(
        layers=tuple(described),
        slowest=tuple(told[seq] for seq in seqs if seq in told),
        count=sum(layer.count for layer in described),
        is_exact=is_exact,
    )


def _gather(
    found: Iterable[Row], heap_of: Callable[[str, str], _Heap]
) -> Iterator[tuple[int, int]]:
    """Add rows to their heaps; give the duration of each that has one, and its number, negated."""
    for row in found:
        heap_of(row.primitive, row.type).add(row.status, row.duration)
        if row.duration is not None:
            yield row.duration, -row.seq


def _read_cells(lookup: Lookup, query: StepQuery) -> list[tuple[Kind, int | None]]:
    found = rows.durations(lookup, query)
    return [(lookup.kind(kind), duration) for kind, duration in found]


# -- histograms ------------------------------------------------------------------------------------

_DIGITS = (1, 2, 5)


def make_bins(values: Iterable[tuple[int, int]]) -> Iterator[Bin]:
    """Count durations, pairs of one and how often, in bins that end at 1, 2, 5, 10, 20 and so on.

    All bins from the first to the last that holds one come out, empty ones too.
    """
    counts: dict[int, int] = {}
    for value, count in values:
        number = bisect_right(_EDGES, max(value, 0)) - 1
        counts[number] = counts.get(number, 0) + count
    if counts:
        for number in range(min(counts), max(counts) + 1):
            yield Bin(_EDGES[number], _EDGES[number + 1], counts.get(number, 0))


_EDGES: Sequence[int] = (0, *(digit * 10**power for power in range(20) for digit in _DIGITS))
