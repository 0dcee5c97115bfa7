"""The benchmarks' own arithmetic, and that every promised figure is measured."""

from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import make_plan
from bench.measure import Finding, interleave, median_of, median_ratio, percentile
from bench.report import write_table
from bench.suite import BENCHMARKS
from bench.targets import TARGETS, Target, format_value


def test_contenders_take_turns_and_the_first_turns_do_not_count() -> None:
    turns: list[str] = []

    def contender(name: str) -> int:
        turns.append(name)
        return len(turns)

    results = interleave({name: partial(contender, name) for name in "ab"}, 3, warm_up=2)

    assert turns == ["a", "b"] * 5
    assert results == {"a": [5, 7, 9], "b": [6, 8, 10]}


def test_a_ratio_is_taken_within_each_round() -> None:
    """A round in which the whole machine is slow counts as any other."""
    assert median_ratio([1, 20, 3], [2, 40, 2]) == 0.5


def test_rounds_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1, 2], [1])


def test_the_median_of_a_part_is_that_of_the_rounds() -> None:
    assert median_of(["aaaa", "a", "aa"], len) == 2


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=1),
    percent=st.integers(1, 100),
)
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(
    values: list[int], percent: int
) -> None:
    found = percentile(values, percent)

    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_every_promised_figure_is_measured_by_one_benchmark() -> None:
    measured = Counter(key for benchmark in BENCHMARKS for key in benchmark.keys)

    assert measured == Counter(target.key for target in TARGETS)


def test_the_promised_limits_are_all_there() -> None:
    limits = {target.key: target.limit for target in TARGETS}

    assert limits == {
        "emit.caller.otel": 0.18, "emit.total.otel": 0.08,
        "emit.structlog": 0.6, "emit.eliot": 0.6, "emit.logging": 0.35,
        "threads.cpu": 1.3, "threads.p99": 20,
        "swarm.emit": 1.15, "swarm.claim": 1.25,
        "span.caller.otel": 0.18, "span.total.otel": 0.08,
        "span.eliot": 0.5, "span.structlog": 0.6, "span.nothing": 1,
        "span.off": 0.3, "span.p99": 5, "spans.first": 300, "spans.memory": 100,
        "durable.bare": 0.8, "durable.threads": 6, "durable.asyncio": 15, "durable.sqlite": 8,
        "processes.2": 0.9, "processes.4": 0.9,
        "index.rate": 110_000, "index.bytes": 130, "index.memory": 400,
        "ask.timeline": 1, "ask.last": 1, "ask.id": 1, "ask.hour": 1, "ask.causality": 2,
        "ask.statistics": 40, "ask.find": 1000,
        "ask10.timeline": 3, "ask10.last": 3, "ask10.id": 3, "ask10.hour": 3,
        "ask10.causality": 6, "ask10.statistics": 120, "ask10.find": 3000,
        "source.task.indexed": 100, "source.task.bare": 2000,
        "source.first.indexed": 300, "source.first.bare": 300, "source.memory": 200,
        "run.save": 1.5, "run.step": 10, "replay.one": 300, "replay.many": 0.85,
        "audit.rate": 2000, "audit.memory": 10, "audit.many": 1.3,
        "trust.update": 5, "trust.report": 1000, "trust.open": 200,
        "decision.bare": 1.2, "decision.threads": 6, "bus.rate": 100_000, "bus.across": 50,
        "seal.rate": 200_000, "seal.slows": 1.1, "verify.rate": 150_000, "verify.two": 1.7, "proof.open": 1000,
        "proof.one": 5, "proof10.open": 1000, "proof10.one": 5, "tree.bytes": 41, "erase.one": 2000, "erase.many": 10_000,
        "command.version": 5, "command.ref": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("is_least", "below", "at", "above"), [(False, True, True, False), (True, False, True, True)]
)
def test_a_target_is_met_on_its_own_side(
    is_least: bool, below: bool, at: bool, above: bool
) -> None:
    target = Target("key", "what", "peer", 10, "ms", is_least)

    assert [target.is_met(value) for value in (9, 10, 11)] == [below, at, above]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0754, "×", "0.0754×"),
        (14.32, "×", "14.32×"),
        (20, "µs", "20 µs"),
        (0.27, "ms", "0.27 ms"),
        (110_000, "events", "110,000 events"),
    ],
)
def test_a_figure_shows_the_digits_that_mean_something(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_a_row_tells_whether_its_promise_is_kept() -> None:
    kept = Finding("threads.cpu", 1.01, "3.7 µs", "3.6 µs")
    broken = Finding("threads.p99", 21.1, "21.1 µs")

    head, _, *rows = write_table([kept, broken]).splitlines()

    assert [line.split("|")[6].strip() for line in (head, *rows)] == ["met", "yes", "**no**"]


def test_a_quick_run_is_a_small_one() -> None:
    quick, usual = make_plan(["--quick"])[0], make_plan([])[0]

    assert quick.rounds < usual.rounds
    assert quick.events < usual.events == 1_000_000
