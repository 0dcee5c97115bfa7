"""How long layers took: counts, quantiles, histograms, and which steps were slowest."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.index.lines import BASE_NS, append, make_line
from whence.ask import layers as layers_module
from whence.ask.layers import Layers, make_bins
from whence.log import Log
from whence.query import StepQuery

MS = 1_000_000
_SECOND = 10**9


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """150 steps of one layer that take 1 to 150 ms, 30 of another, and events that are no steps."""
    lines = [
        make_line(
            n,
            time=BASE_NS + n * _SECOND,
            primitive="altitude",
            type="transition" if n % 3 else "plan",
            status="error" if n in (7, 9) else "success",
            duration=(n + 1) * MS,
        )
        for n in range(150)
    ]
    lines += [
        make_line(
            n,
            time=BASE_NS + n * _SECOND,
            primitive="focus",
            type="gate_check",
            status="blocked" if n % 2 else "success",
        )
        for n in range(150, 180)
    ]
    lines += [make_line(n, time=BASE_NS + n * _SECOND) for n in range(180, 190)]
    append(tmp_path, lines)
    with Log(tmp_path, read_only=True) as log:
        yield log


def _numbers(found: Layers) -> dict[str, tuple[int, ...]]:
    return {
        f"{one.layer}.{one.operation}" if one.operation else one.layer: (
            one.count, one.timed, one.errors, one.blocked
        )
        for one in found.layers
    }  # fmt: skip


def test_layers_are_counted_with_what_failed_and_what_was_blocked(log: Log) -> None:
    for last in (None, 1000):
        found = log.spans().layers(last=last)

        assert _numbers(found) == {"altitude": (150, 150, 2, 0), "focus": (30, 0, 0, 15)}
        assert found.count == 180


def test_quantiles_are_those_of_the_durations_themselves(log: Log) -> None:
    altitude, focus = log.spans().layers().layers

    assert (altitude.p50, altitude.p95, altitude.p99) == (75 * MS, 143 * MS, 149 * MS)
    assert (altitude.low, altitude.high) == (MS, 150 * MS)
    assert altitude.mean == 75_500_000
    assert (focus.mean, focus.p50, focus.p99, focus.high) == (None, None, None, None)


def test_of_many_steps_summaries_say_nearly_the_same(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = log.spans().layers()
    monkeypatch.setattr(layers_module, "EXACT_MAX", 100)

    found = log.spans().layers()

    assert exact.is_exact
    assert not found.is_exact
    assert _numbers(found) == _numbers(exact)
    for one, other in zip(found.layers[:1], exact.layers[:1], strict=True):
        assert (one.mean, one.low, one.high) == (other.mean, other.low, other.high)
        assert one.p95 == pytest.approx(other.p95, rel=0.03)
    assert [step.id for step in found.slowest] == [step.id for step in exact.slowest]


def test_of_a_kind_that_has_no_status_only_what_took_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        make_line(n, time=BASE_NS + n * _SECOND, duration=n if n % 4 == 0 else None)
        for n in range(200)
    ]
    append(tmp_path, lines)
    with Log(tmp_path, read_only=True) as log:
        exact = log.spans().layers()
        monkeypatch.setattr(layers_module, "EXACT_MAX", 0)
        from_rollups = log.spans().layers()

    assert _numbers(exact) == _numbers(from_rollups) == {"ops": (50, 50, 0, 0)}


def test_only_the_newest_steps_are_meant_where_a_number_is_given(log: Log) -> None:
    assert _numbers(log.spans().layers(last=31)) == {
        "altitude": (1, 1, 0, 0), "focus": (30, 0, 0, 15)
    }  # fmt: skip
    assert log.spans().layers(last=0).layers == ()


def test_a_window_a_layer_an_operation_or_a_duration_can_be_asked_for(log: Log) -> None:
    window = StepQuery(since=BASE_NS + 140 * _SECOND, until=BASE_NS + 160 * _SECOND)

    assert _numbers(log.spans().layers(window)) == {
        "altitude": (10, 10, 0, 0), "focus": (10, 0, 0, 5)
    }  # fmt: skip
    assert _numbers(log.spans().layers(StepQuery(primitive="foc"))) == {"focus": (30, 0, 0, 15)}
    assert _numbers(log.spans().layers(StepQuery(slow=149 * MS))) == {"altitude": (2, 2, 0, 0)}
    plan = StepQuery(type="plan")
    assert _numbers(log.spans().layers(plan, by_operation=True)) == {
        "altitude.plan": (50, 50, 1, 0)
    }


def test_the_slowest_come_first(log: Log) -> None:
    for last in (None, 1000):
        found = log.spans().layers(last=last, slowest=3)
        assert [step.age for step in found.slowest] == [150 * MS, 149 * MS, 148 * MS]
    assert log.spans().layers(slowest=0).slowest == ()


def test_an_operation_has_a_histogram(log: Log) -> None:
    found = log.spans().layers(StepQuery(type="transition"), by_operation=True)

    (one,) = found.layers
    assert [msgspec.structs.astuple(each) for each in one.histogram] == [
        (2 * MS, 5 * MS, 2), (5 * MS, 10 * MS, 4), (10 * MS, 20 * MS, 6), (20 * MS, 50 * MS, 20),
        (50 * MS, 100 * MS, 34), (100 * MS, 200 * MS, 34),
    ]  # fmt: skip


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50))
def test_every_duration_is_in_the_bin_that_holds_it(values: list[int]) -> None:
    bins = list(make_bins((value, 1) for value in values))

    assert sum(each.count for each in bins) == len(values)
    for each in bins:
        assert each.count == sum(each.low <= max(value, 0) < each.high for value in values)
    for before, after in pairwise(bins):
        assert before.high == after.low
