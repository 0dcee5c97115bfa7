"""Sketches: quantiles within a per cent, merging in any order, and bytes that come back."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.errors import CorruptError
from whence.index.sketch import ACCURACY, Sketch

DURATIONS = st.one_of(
    st.integers(1, 10**13), st.integers(0, 50), st.integers(-(10**6), 10**6), st.integers(0, 2**80)
)
MANY = st.lists(DURATIONS, min_size=1, max_size=200)


def state(sketch: Sketch) -> tuple[int, int, int, int, dict[int, int]]:
    return sketch.count, sketch.total, sketch.low, sketch.high, dict(sketch.bins)


@given(values=MANY, q=st.floats(0, 1))
def test_quantiles_are_within_a_per_cent_of_the_exact_ones(values: list[int], q: float) -> None:
    exact = sorted(values)[math.floor(q * (len(values) - 1))]

    found = Sketch.of(values).quantile(q)

    assert found is not None
    assert abs(found - exact) <= ACCURACY * abs(exact)


@given(values=MANY)
def test_count_total_and_extremes_are_exact(values: list[int]) -> None:
    sketch = Sketch.of(values)

    assert (sketch.count, sketch.total) == (len(values), sum(values))
    assert (sketch.low, sketch.high) == (min(values), max(values))
    assert (sketch.quantile(0), sketch.quantile(1)) == (float(min(values)), float(max(values)))


@given(values=st.lists(DURATIONS, max_size=100), cuts=st.lists(st.integers(0, 100), max_size=5))
def test_merging_pieces_in_any_order_gives_the_whole(values: list[int], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(values)]
    pieces = [Sketch.of(values[start:end]) for start, end in pairwise(edges)]
    forward, backward = Sketch(), Sketch()
    for piece in pieces:
        forward.merge(piece)
    for piece in reversed(pieces):
        backward.merge(piece)

    assert state(forward) == state(backward) == state(Sketch.of(values))


@given(values=st.lists(DURATIONS, max_size=100))
def test_a_sketch_comes_back_from_its_bytes(values: list[int]) -> None:
    sketch = Sketch.of(values)

    assert state(Sketch.decode(sketch.encode())) == state(sketch)


@given(data=st.binary(max_size=40))
def test_bytes_that_are_no_sketch_are_refused_as_corrupt(data: bytes) -> None:
    try:
        Sketch.decode(data)
    except CorruptError:
        pass


def test_an_empty_sketch_has_no_quantiles() -> None:
    assert Sketch().quantile(0.5) is None


def test_a_share_beyond_all_is_refused() -> None:
    with pytest.raises(ValueError, match="want 0 to 1"):
        Sketch.of([1]).quantile(1.1)


def test_a_single_duration_takes_few_bytes() -> None:
    assert len(Sketch.of([2_000_000]).encode()) == 4
