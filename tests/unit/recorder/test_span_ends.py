"""Spans that end in another order, place, process or time than they should: told truthfully still."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from tests.unit.recorder.recording import by_type, read_events, recorder_in
from whence.recorder.recorder import Recorder


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with recorder_in(tmp_path) as recorder:
        yield recorder


# --- order ------------------------------------------------------------------------------------


def test_a_span_that_outlives_the_one_around_it_leaves_no_ended_cause(recorder: Recorder) -> None:
    with recorder.span("a.main") as main:
        outer, inner, innermost = (
            recorder.span(f"a.{name}") for name in ("outer", "inner", "most")
        )
        outer.__enter__()
        inner.__enter__()
        innermost.__enter__()
        outer.__exit__(None, None, None)
        assert recorder.current_cause() == innermost.id
        innermost.__exit__(None, None, None)
        assert recorder.current_cause() == inner.id
        inner.__exit__(None, None, None)
        assert recorder.current_cause() == main.id
    assert recorder.current_cause() is None
    recorder.close()

    found = by_type(recorder.folder)
    assert found["inner"].parent == found["outer"].id
    assert found["most"].parent == found["inner"].id


def test_all_may_end_from_the_outside_in(recorder: Recorder) -> None:
    spans = [recorder.span(f"a.step_{number}") for number in range(5)]
    for span in spans:
        span.__enter__()
    for span in spans:
        span.__exit__(None, None, None)
        assert recorder.current_cause() in (None, spans[-1].id)
    assert recorder.current_cause() is None


def test_generators_that_hold_spans_open_may_end_in_any_order(recorder: Recorder) -> None:
    """Not decorated: what is open in one is the cause of what its user does, but never after it ended."""

    def rows(name: str) -> Iterator[int]:
        with recorder.span(f"a.{name}"):
            yield 1

    with recorder.span("a.main") as main:
        for _ in zip(rows("left"), rows("right"), strict=False):
            pass
        assert recorder.current_cause() == main.id
    assert recorder.current_cause() is None


def test_a_span_that_pauses_goes_back_past_what_ended_meanwhile(recorder: Recorder) -> None:
    with recorder.span("a.main") as main:
        outer, inner = recorder.span("a.outer"), recorder.span("a.inner")
        outer.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)
        inner.pause()
        assert recorder.current_cause() == main.id
        inner.resume()
        assert recorder.current_cause() == inner.id
        inner.__exit__(None, None, None)
        assert recorder.current_cause() == main.id


def test_pausing_twice_is_pausing_once(recorder: Recorder) -> None:
    with recorder.span("a.main") as main, recorder.span("a.outer") as outer:
        with recorder.span("a.inner") as inner:
            outer.pause()
            outer.pause()
            assert recorder.current_cause() == main.id
            outer.resume()
            outer.resume()
            assert recorder.current_cause() == inner.id
        assert recorder.current_cause() == outer.id
    assert recorder.current_cause() is None


def test_a_span_that_ends_while_it_pauses_stays_away(recorder: Recorder) -> None:
    with recorder.span("a.main") as main:
        span = recorder.span("a.step")
        span.__enter__()
        span.pause()
        span.__exit__(None, None, None)
        span.resume()
        span.pause()
        assert recorder.current_cause() == main.id


# --- place ------------------------------------------------------------------------------------


def test_a_span_that_ends_in_another_thread_is_one_event_and_no_cause_there(
    recorder: Recorder,
) -> None:
    span = recorder.span("a.step")
    span.__enter__()

    def end() -> None:
        with recorder.span("a.there"):
            span.__exit__(None, None, None)
            recorder.emit("ops", "inside")
        span.__exit__(None, None, None)
        recorder.emit("ops", "after")

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    recorder.close()

    found = by_type(recorder.folder)
    assert found["inside"].parent == found["there"].id
    assert found["after"].parent is None
    assert found["step"].status == "success"


# --- the log ----------------------------------------------------------------------------------


def test_a_log_that_is_closed_and_opened_again_inside_a_span_goes_on_in_it(tmp_path: Path) -> None:
    log = whence.open(tmp_path / "log")
    with log.span("a.step") as step:
        log.close()
        with whence.open(tmp_path / "log") as again:
            again.emit("ops", "inside")
        assert again.current_cause() == step.id
    log.close()

    # It ended when its log was closed: it was told then that it is open, and its end is counted.
    found = by_type(tmp_path / "log")
    assert found["inside"].parent == step.id
    assert found["open"].links == (step.id,)
    assert log.lost == 1


# --- the process ------------------------------------------------------------------------------


def test_what_a_forked_child_does_inside_a_span_is_caused_by_it(recorder: Recorder) -> None:
    with recorder.span("a.step"):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with recorder.span("a.child"):
                    recorder.emit("ops", "deep")
                recorder.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        recorder.emit("ops", "here")
    recorder.close()

    found = by_type(recorder.folder)
    assert found["child"].parent == found["here"].parent == found["step"].id
    assert found["deep"].parent == found["child"].id


@pytest.mark.parametrize(
    ("code", "status"), [(None, "success"), (0, "success"), (3, "error"), ("why", "error")]
)
def test_a_program_that_exits_in_a_traced_function_exits(
    tmp_path: Path, code: object, status: str
) -> None:
    with whence.open(tmp_path / "log") as log:

        @whence.traced("a.main", log=log)
        def main() -> None:
            sys.exit(code)  # type: ignore[arg-type]

        with pytest.raises(SystemExit) as caught:
            main()
    assert caught.value.code == code
    (event,) = read_events(tmp_path / "log")
    assert event.status == status


# --- time -------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_changes_no_duration_and_no_tree(tmp_path: Path) -> None:
    now = 1_795_203_655_000_000_000
    clock = iter([now, now, now - 10**15, now - 10**15, now - 2 * 10**15, now - 2 * 10**15])
    with (
        recorder_in(tmp_path, clock=lambda: next(clock, now - 3 * 10**15)) as recorder,
        recorder.span("a.outer") as outer,
        recorder.span("a.inner") as inner,
    ):
        recorder.emit("ops", "deep")

    found = by_type(tmp_path)
    assert found["inner"].parent == outer.id
    assert found["deep"].parent == inner.id
    for name in ("outer", "inner"):
        duration = found[name].duration
        assert duration is not None
        # Not the hundreds of hours that the clock went back.
        assert 0 <= duration < 10**12
