"""A span says how long a step took, how it ended and what came of it, and changes nothing."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import hostile_values
from tests.unit.recorder.recording import by_type, read_events, read_own, recorder_in
from whence.errors import StoreError
from whence.event import Event
from whence.journal.disk import Disk
from whence.recorder.recorder import Recorder


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with recorder_in(tmp_path) as recorder:
        yield recorder


def only_event(recorder: Recorder) -> Event:
    recorder.close()
    (event,) = read_events(recorder.folder)
    return event


def test_a_span_is_written_when_it_ends_with_what_was_said(recorder: Recorder) -> None:
    with recorder.span(
        "altitude.transition",
        component="altitude.py",
        input="L3→L2",
        agent="haiku-1",
        target="#payments",
        links=["cause-1", "cause-2"],
        data={"extra": [1]},
    ) as span:
        assert read_events(recorder.folder) == []
        span.output("success", reason="user requested tactical")

    event = only_event(recorder)
    assert (event.id, event.primitive, event.type) == (span.id, "altitude", "transition")
    assert (event.agent, event.target, event.links) == (
        "haiku-1",
        "payments",
        ("cause-1", "cause-2"),
    )
    assert event.status == "success"
    assert event.duration is not None
    assert event.duration >= 0
    assert event.data == {
        "extra": [1],
        "component": "altitude.py",
        "input": "L3→L2",
        "output": "success",
        "reason": "user requested tactical",
    }


def test_the_time_of_a_span_is_its_beginning(tmp_path: Path) -> None:
    now = 1_795_203_655_000_000_000
    clock = iter(range(now, now + 10**12, 10**9))
    with (
        recorder_in(tmp_path, clock=clock.__next__) as recorder,
        recorder.span("layer.step") as span,
    ):
        recorder.emit("ops", "inside")

    found = by_type(tmp_path)
    assert found["step"].time_ns == now
    assert found["step"].id == span.id
    assert found["inside"].time_ns > now


@pytest.mark.parametrize(
    ("name", "primitive", "type"),
    [
        ("altitude.transition", "altitude", "transition"),
        ("a.b.c", "a", "b.c"),
        ("plain", "span", "plain"),
        ("é→.\n", "é→", "\n"),
        ("a. ", "a", " "),
    ],
)
def test_a_name_splits_at_its_first_dot(
    recorder: Recorder, name: str, primitive: str, type: str
) -> None:
    with recorder.span(name):
        pass

    event = only_event(recorder)
    assert (event.primitive, event.type) == (primitive, type)


@pytest.mark.parametrize("name", ["", ".", ".type", "primitive.", "\ud800.type", "a.\udfff"])
def test_a_name_that_says_nothing_is_refused_at_once(recorder: Recorder, name: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|lone surrogate"):
        recorder.span(name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None},
        {"name": b"a.b"},
        {"agent": 5},
        {"target": 5},
        {"links": "id-1"},
        {"links": [5]},
        {"data": 5},
    ],
)
def test_wrong_use_is_refused_before_the_step_begins(
    recorder: Recorder, wrong: dict[str, Any]
) -> None:
    """At its end the error would hide what happened inside."""
    with pytest.raises(TypeError):
        recorder.span(**{"name": "layer.step"} | wrong)


def test_a_span_is_entered_once(recorder: Recorder) -> None:
    with recorder.span("layer.step") as span:
        with pytest.raises(ValueError, match="was entered before"):
            span.__enter__()
        assert recorder.current_cause() == span.id
    with pytest.raises(ValueError, match="was entered before"):
        span.__enter__()
    assert recorder.current_cause() is None
    assert only_event(recorder).status == "success"


def test_a_span_that_was_never_opened_ends_as_nothing(recorder: Recorder) -> None:
    recorder.span("layer.step").__exit__(None, None, None)
    recorder.close()

    assert read_events(recorder.folder) == []


# --- how it ends ----------------------------------------------------------------------------


class _UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "described"),
    [
        (LookupError("no such task"), {"type": "LookupError", "message": "no such task"}),
        (KeyboardInterrupt(), {"type": "KeyboardInterrupt", "message": ""}),
        (SystemExit(3), {"type": "SystemExit", "message": "3"}),
        (
            _UnprintableError(),
            {"type": "_UnprintableError", "message": "<its message raised RuntimeError>"},
        ),
        (StoreError("disk full"), {"type": "StoreError", "message": "disk full"}),
    ],
)
def test_an_exception_makes_it_an_error_and_comes_out_unchanged(
    recorder: Recorder, error: BaseException, described: dict[str, str]
) -> None:
    with pytest.raises(type(error)) as raised, recorder.span("layer.step"):
        raise error

    assert raised.value is error
    assert error.__context__ is None
    assert not hasattr(error, "__notes__")
    event = only_event(recorder)
    assert event.status == "error"
    told = event.data["error"]
    stack = told.pop("stack")
    assert told == described
    assert "test_an_exception_makes_it_an_error" in stack


@pytest.mark.parametrize("error", [GeneratorExit(), SystemExit(), SystemExit(0)])
def test_nothing_went_wrong_where_nobody_wanted_more(
    recorder: Recorder, error: BaseException
) -> None:
    with pytest.raises(type(error)), recorder.span("layer.step"):
        raise error

    event = only_event(recorder)
    assert event.status == "success"
    assert event.data == {"ended_by": type(error).__name__}


def test_of_a_deep_stack_the_end_is_kept_and_marked(recorder: Recorder) -> None:
    def dig(levels: int) -> None:
        if levels:
            dig(levels - 1)
        raise LookupError("x" * 20_000 + " at the bottom")

    with pytest.raises(LookupError), recorder.span("layer.step"):
        dig(100)

    data = only_event(recorder).data
    assert len(data["error"]["stack"]) == 8_000
    assert data["error"]["stack"].startswith("…")
    assert data["error"]["stack"].endswith(" at the bottom\n")
    assert data["$marks"]["/error/stack"].startswith("cut=2")


def test_a_span_that_pauses_is_no_cause_until_it_goes_on(recorder: Recorder) -> None:
    with recorder.span("layer.outer") as outer, recorder.span("layer.step") as span:
        span.pause()
        assert recorder.current_cause() == outer.id
        span.resume()
        assert recorder.current_cause() == span.id
    assert recorder.current_cause() is None


def test_a_step_can_be_blocked(recorder: Recorder) -> None:
    with recorder.span("gate.check") as span:
        span.block("no second vote")

    event = only_event(recorder)
    assert event.status == "blocked"
    assert event.data == {"reason_blocked": "no second vote"}


def test_an_exception_counts_more_than_a_block(recorder: Recorder) -> None:
    span = recorder.span("gate.check")
    span.block("no second vote")
    with pytest.raises(LookupError), span:
        raise LookupError

    assert only_event(recorder).status == "error"


class _FullDisk(Disk):
    """Takes nothing more once `is_full`."""

    def __init__(self) -> None:
        self.is_full = False
        self._take = self.write
        self.write = self._write

    def _write(self, fd: int, data: bytes) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return self._take(fd, data)


def test_a_promise_that_cannot_be_kept_does_not_hide_the_programs_error(tmp_path: Path) -> None:
    disk = _FullDisk()
    with recorder_in(tmp_path, disk=disk, durability="disk") as recorder:
        recorder.emit("ops", "first")
        disk.is_full = True
        with pytest.raises(LookupError), recorder.span("layer.step"):
            raise LookupError
        with pytest.raises(StoreError), recorder.span("layer.step"):
            pass
        disk.is_full = False

    assert recorder.lost == 2
    assert list(by_type(tmp_path)) == ["first"]
    (gap,) = read_own(tmp_path, "writer.gap")
    assert gap.data["lost"] == 2


def test_an_envelope_over_its_size_is_wrong_use_but_hides_no_error(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="envelope has"), recorder.span("layer.a" * 10_000):
        pass
    with pytest.raises(LookupError), recorder.span("layer.a" * 10_000):
        raise LookupError

    assert recorder.lost == 1
    assert recorder.current_cause() is None


# --- what is said ---------------------------------------------------------------------------


def test_values_that_would_hide_our_own_stand_apart(recorder: Recorder) -> None:
    with recorder.span("layer.step", component="a.py", input="in") as span:
        span.output("out", component="b.py", input="other", more=1)
        span.note(error="not one", again=2)

    event = only_event(recorder)
    assert event.status == "success"
    assert event.data == {
        "component": "a.py",
        "input": "in",
        "output": "out",
        "attributes": {
            "component": "b.py",
            "input": "other",
            "more": 1,
            "error": "not one",
            "again": 2,
        },
    }


@pytest.mark.parametrize("kept", [{"a": 1}, 5, None, [1]])
def test_attributes_of_the_callers_own_are_kept_and_not_written_to(
    recorder: Recorder, kept: Any
) -> None:
    data = {"attributes": kept}
    before = json.dumps(data)
    with recorder.span("layer.step", data=data) as span:
        span.note(output="x")

    expected = (
        {**kept, "output": "x"} if isinstance(kept, dict) else {"attributes": kept, "output": "x"}
    )
    assert json.dumps(data) == before
    assert only_event(recorder).data == {"attributes": expected}


def test_the_callers_data_is_not_changed(recorder: Recorder) -> None:
    data: dict[str, Any] = {"list": [1], "nested": {"a": 1}}
    with recorder.span("layer.step", input={"x": [1]}, data=data) as span:
        span.output("out", list=[2])
        span.block("why")

    assert data == {"list": [1], "nested": {"a": 1}}


def test_nothing_said_is_an_empty_payload(recorder: Recorder) -> None:
    with recorder.span("layer.step") as span:
        span.output()
        span.output(None)

    assert only_event(recorder).data == {}


@given(st.data())
def test_no_value_ever_raises(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with recorder_in(folder) as recorder:
        with recorder.span("layer.step", input=data.draw(hostile_values)) as span:
            span.output(data.draw(hostile_values), value=data.draw(hostile_values))
            span.block(data.draw(hostile_values))
        assert recorder.lost == 0

    (event,) = read_events(folder)
    assert isinstance(event.data, dict)


def test_a_span_around_a_fork_is_written_by_the_process_it_began_in(recorder: Recorder) -> None:
    with recorder.span("ops.step") as span:
        child = os.fork()
        if child == 0:
            recorder.emit("ops", "inside_the_child", data={"who": "the child, for one"})
    if child == 0:
        recorder.close()
        os._exit(0)
    os.waitpid(child, 0)

    recorder.close()
    events = read_events(recorder.folder)
    assert [event.id for event in events if event.type == "step"] == [span.id]
    assert [event.parent for event in events if event.type == "inside_the_child"] == [span.id]
