"""A span that stays open is written down while it is, so that a killed process leaves it visible."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.recorder.recording import by_type, read_events, recorder_in
from whence.recorder.recorder import Recorder

_KILLED = """
import sys, time
from pathlib import Path
from whence.recorder.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]))
with recorder.span("job.outer"), recorder.span(
    "layer.step", agent="haiku-1", target="#payments", input="L3", data={"a": 1}
) as span:
    span.note(b=2)
    print(span.id, flush=True)
    time.sleep(60)
"""


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_process_leaves_its_open_spans(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        span_id = child.stdout.readline().strip()
        wait_until(lambda: len(read_events(tmp_path)) == 2)
        child.send_signal(signal.SIGKILL)

    outer, inner = read_events(tmp_path)
    assert (inner.primitive, inner.type) == ("span", "open")
    assert (inner.agent, inner.target) == ("haiku-1", "payments")
    assert inner.links == (span_id,)
    assert inner.parent == outer.data["span"]
    assert inner.trace == outer.data["span"]
    assert inner.status is None
    assert inner.data["name"] == "layer.step"
    assert inner.data["age"] >= 1_000_000_000
    assert inner.data["data"] == {"a": 1, "input": "L3", "b": 2}


def test_it_is_told_once_and_the_span_still_ends(tmp_path: Path) -> None:
    with recorder_in(tmp_path) as recorder, recorder.span("layer.step") as span:
        wait_until(lambda: len(read_events(tmp_path)) == 1)
        time.sleep(0.6)

    told, ended = read_events(tmp_path)
    assert told.links == (span.id,)
    assert ended.id == span.id
    assert ended.data == {}


def test_a_short_span_is_not_told(tmp_path: Path) -> None:
    with recorder_in(tmp_path) as recorder:
        with recorder.span("layer.step"):
            time.sleep(0.3)
        assert not recorder.watch.open

    assert list(by_type(tmp_path)) == ["step"]


def test_what_is_open_when_the_log_closes_is_told(tmp_path: Path) -> None:
    with recorder_in(tmp_path) as recorder:
        recorder.span("layer.step").__enter__()

    (told,) = read_events(tmp_path)
    assert (told.type, told.data["name"]) == ("open", "layer.step")


def test_the_payload_of_a_private_one_stays_private(tmp_path: Path) -> None:
    with recorder_in(tmp_path) as recorder:
        recorder.span("layer.step", input="secret", private=True).__enter__()

    (told,) = read_events(tmp_path)
    assert told.private
    assert told.data is None


def test_the_thread_ends_where_nothing_is_open_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.recorder.watch._LOOK_EVERY_S", 0.001)
    with recorder_in(tmp_path) as recorder:
        for _ in range(3):
            with recorder.span("layer.step"):
                assert is_watched(recorder)
            wait_until(lambda: not is_watched(recorder))


def test_a_dropped_recorder_leaves_no_thread(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    with recorder.span("layer.step"):
        pass
    thread = recorder.watch._thread
    assert thread is not None
    del recorder

    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_sees_no_thread_and_both_sides_go_on(tmp_path: Path) -> None:
    with recorder_in(tmp_path) as recorder, recorder.span("layer.step"):
        assert is_watched(recorder)
        with warnings.catch_warnings():
            # From Python 3.12 on for any thread, also one that starts after the fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            code = 1
            try:
                no_thread = not is_watched(recorder)
                with recorder.span("layer.child"):
                    code = 0 if no_thread and is_watched(recorder) else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert is_watched(recorder)


def is_watched(recorder: Recorder) -> bool:
    thread = recorder.watch._thread
    return (
        recorder.watch.is_on
        and thread is not None
        and thread.is_alive()
        and thread in threading.enumerate()
    )
