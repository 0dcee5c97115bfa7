"""Sampling: a trace is kept or not when it begins; what went wrong or was slow is kept in any case."""

from pathlib import Path

import pytest

from tests.unit.tracing.tracing import look_again, recorded
from whence.log import Log
from whence.tracing import Tracer


@pytest.fixture
def sampled(tracer: Tracer, folder: Path) -> Tracer:
    """A tracer that samples nothing, and finds slow what takes an hour."""
    _set(tracer, folder, 'sample = 0.0\nslow = "1h"\n')
    return tracer


def _set(tracer: Tracer, folder: Path, table: str) -> None:
    (folder / "whence.toml").write_text(f"[tracing]\nenabled = true\n{table}")
    look_again(tracer)


def _types(log: Log) -> list[str]:
    return [event.type for event in recorded(log)]


def test_nothing_is_kept_of_traces_that_are_not_sampled(sampled: Tracer, log: Log) -> None:
    with sampled.span("alt", "outer") as outer, sampled.span("foc", "inner"):
        assert sampled.event("mem", "event") is None
    assert sampled.event("sys", "alone") is None

    assert outer is not None
    assert _types(log) == []
    assert sampled.not_sampled == 4


def test_control_everything_is_kept_where_nobody_samples(
    tracer: Tracer, folder: Path, log: Log
) -> None:
    _set(tracer, folder, "")
    with tracer.span("alt", "outer"), tracer.span("foc", "inner"):
        tracer.event("mem", "event")
    tracer.event("sys", "alone")

    assert _types(log) == ["outer", "inner", "event", "alone"]
    assert tracer.not_sampled == 0


def test_about_the_rate_of_traces_is_kept_each_of_them_whole(
    tracer: Tracer, folder: Path, log: Log
) -> None:
    _set(tracer, folder, "sample = 0.25\n")
    for _ in range(1_000):
        with tracer.span("alt", "outer"), tracer.span("foc", "inner"):
            tracer.event("mem", "event")

    kept = recorded(log)
    roots = {event.id for event in kept if event.parent is None}
    # Twelve standard deviations to each side: it does not happen by chance.
    assert 90 < len(roots) < 410
    assert len(kept) == 3 * len(roots)
    assert {event.trace for event in kept} <= {None, *roots}
    assert tracer.not_sampled == 3_000 - len(kept)


def test_an_error_is_kept_with_all_around_it_and_what_was_not_is_counted(
    sampled: Tracer, log: Log
) -> None:
    with sampled.span("alt", "outer"):
        with sampled.span("foc", "before"):
            sampled.event("mem", "before")
        with pytest.raises(OSError, match="full"), sampled.span("foc", "inner"):
            raise OSError("full")
        with sampled.span("foc", "after"):
            pass

    events = {event.type: event for event in recorded(log)}
    # From the error on the trace is worth keeping.
    assert [*events] == ["outer", "inner", "after"]
    assert events["inner"].status == "error"
    assert events["inner"].parent == events["outer"].id
    assert events["outer"].data == {"not_sampled": 2}


def test_what_is_blocked_or_failed_is_kept_also_as_an_event(sampled: Tracer, log: Log) -> None:
    with sampled.span("alt", "outer"):
        sampled.event("foc", "denied", status="blocked")
    sampled.event("sys", "broken", status="error")
    sampled.event("sys", "odd", status="failed")
    with sampled.span("foc", "refused") as ctx:
        assert ctx is not None
        ctx.block("no")

    assert _types(log) == ["outer", "denied", "broken", "odd", "refused"]


def test_what_is_slow_is_kept_with_all_around_it(tracer: Tracer, folder: Path, log: Log) -> None:
    _set(tracer, folder, "sample = 0.0\nslow = 0\n")
    with tracer.span("alt", "outer"), tracer.span("foc", "inner"):
        pass

    assert _types(log) == ["outer", "inner"]


def test_control_without_a_limit_nothing_is_slow(tracer: Tracer, folder: Path, log: Log) -> None:
    _set(tracer, folder, "sample = 0.0\n")
    with tracer.span("alt", "outer"), tracer.span("foc", "inner"):
        pass

    assert _types(log) == []


def test_what_is_not_kept_is_not_told_while_it_is_open(sampled: Tracer, log: Log) -> None:
    """It would stand there as unfinished for ever."""
    with sampled.span("alt", "outer"):
        log.recorder.watch.tell(after_ns=0)

    assert list(log.events()) == []


def test_what_is_slow_already_is_told_and_then_kept(tracer: Tracer, folder: Path, log: Log) -> None:
    _set(tracer, folder, "sample = 0.0\nslow = 0\n")
    with tracer.span("alt", "outer") as outer, tracer.span("foc", "inner") as inner:
        log.recorder.watch.tell(after_ns=0)
        # Whatever is said meanwhile: what was told has to end.
        _set(tracer, folder, "sample = 0.0\n")
        tracer.look()

    assert outer is not None
    assert inner is not None
    told = [event for event in log.events() if event.primitive == "span"]
    assert {event.links for event in told} == {(outer.id,), (inner.id,)}
    assert _types(log) == ["outer", "inner"]


def test_a_program_may_keep_a_trace(sampled: Tracer, log: Log) -> None:
    with sampled.span("alt", "outer"), sampled.span("foc", "inner") as ctx:
        assert ctx is not None
        ctx.keep()

    assert _types(log) == ["outer", "inner"]


def test_spans_of_whence_are_always_recorded_and_pass_on_what_was_chosen(
    sampled: Tracer, log: Log
) -> None:
    with sampled.span("alt", "outer"), log.span("http.get"):
        with sampled.span("foc", "inner"):
            pass
        sampled.event("mem", "event")

    assert _types(log) == ["get"]
    assert sampled.not_sampled == 3
