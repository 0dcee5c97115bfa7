"""The tracer keeps the seed's promises, and breaks nothing whatever it is given."""

import asyncio
import contextlib
import enum
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

import whence
from tests.strategies import hostile_values
from tests.unit.recorder.recording import read_events
from tests.unit.tracing.tracing import Hostile, look_again, only, recorded
from whence.log import Log
from whence.recorder.receipt import Receipt
from whence.recorder.recorder import Recorder
from whence.tracing import TraceContext, TraceEvent, Tracer
from whence.tracing import tracer as of_the_process
from whence.tracing.layers import layer_of, make_id

_LAYERS = {
    "alt": "altitude", "foc": "focus", "rsn": "reasoning", "lrn": "learning", "mem": "memory",
    "sys": "system",
}  # fmt: skip


# -- what the seed promises ----------------------------------------------------------------------


def test_there_is_one_tracer(tracer: Tracer) -> None:
    assert Tracer() is tracer is of_the_process


def test_the_seeds_own_example_is_recorded_as_it_shows_it(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "transition", "altitude.py", "L3→L2") as ctx:
        if ctx:
            ctx.set_output("success", reason="user requested tactical")

    assert ctx is not None
    event = only(log)
    told = TraceEvent.of(event)
    assert told.trace_id == ctx.trace_id == event.id
    assert told.parent_id is None
    assert told.hrm_layer == "altitude"
    assert told.operation == "transition"
    assert told.component == "altitude.py"
    assert told.input_summary == "L3→L2"
    assert told.output_summary == "success"
    assert told.status == "success"
    assert told.metadata == {"reason": "user requested tactical"}


def test_a_single_event_is_recorded(traced: Tracer, log: Log) -> None:
    traced.event(
        hrm="foc", operation="gate_check", component="gates.py", input_data="WriteApprovalGate",
        output_data="allowed", metadata={"context": {"user_consent": True}},
    )  # fmt: skip

    told = TraceEvent.of(only(log))
    assert (told.hrm_layer, told.operation, told.status) == ("focus", "gate_check", "success")
    assert (told.input_summary, told.output_summary) == ("WriteApprovalGate", "allowed")
    assert told.metadata == {"context": {"user_consent": True}}
    assert told.duration_ms == 0


def test_criterion_parent_child_correlation_works(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "a") as a, traced.span("foc", "b") as b:
        c = traced.event("mem", "c")
    after = traced.event("sys", "after")

    assert a is not None
    assert b is not None
    found = {event.id: event for event in recorded(log)}
    assert found[str(c)].parent == b.id
    assert found[b.id].parent == a.id
    assert found[a.id].parent is found[str(after)].parent is None
    assert {found[str(each)].trace for each in (b.id, c)} == {a.id}


def test_criterion_the_flag_toggles_visibility(
    tracer: Tracer, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for word in ("0", "1", "0"):
        monkeypatch.setenv("DOPEJAR_TRACE", word)
        look_again(tracer)
        with tracer.span("alt", "transition") as ctx:
            seen.append(ctx is not None)

    assert seen == [False, True, False]
    assert len(recorded(log)) == 1


def test_threads_and_tasks_each_have_their_own_parents(traced: Tracer, log: Log) -> None:
    """The seed's one stack for the whole process mixed them up."""
    together = threading.Barrier(4)

    def work(number: int) -> tuple[str, str]:
        with traced.span("alt", "outer", input_data=number) as outer:
            together.wait()
            with traced.span("foc", "inner") as inner:
                together.wait()
        assert outer is not None
        assert inner is not None
        return outer.id, inner.id

    async def step(number: int) -> tuple[str, str]:
        with traced.span("alt", "outer") as outer:
            await asyncio.sleep(0)
            with traced.span("foc", "inner") as inner:
                await asyncio.sleep(0)
        assert outer is not None
        assert inner is not None
        return outer.id, inner.id

    async def gather() -> list[tuple[str, str]]:
        return list(await asyncio.gather(*map(step, range(4))))

    with ThreadPoolExecutor(4) as pool:
        pairs = [*pool.map(work, range(4)), *asyncio.run(gather())]

    found = {event.id: event for event in recorded(log)}
    assert len(found) == 16
    for outer, inner in pairs:
        assert found[inner].parent == outer
        assert found[outer].parent is None


@pytest.mark.parametrize(("code", "name"), [*_LAYERS.items()])
def test_both_spellings_of_layer_and_operation_are_one(
    traced: Tracer, log: Log, code: str, name: str
) -> None:
    for hrm, operation in (
        (code, "read"),
        (name, "read"),
        (code, f"{name}.read"),
        (name, f"{code}.read"),
    ):
        traced.event(hrm, operation)

    events = recorded(log)
    assert {(event.primitive, event.type) for event in events} == {(name, "read")}
    assert all(re.fullmatch(rf"{code}_\d{{10}}_[0-9a-f]{{16}}", event.id) for event in events)
    assert re.fullmatch(rf"{code}_\d{{10}}_[0-9a-f]{{16}}", traced.generate_id(code))


def test_ids_of_one_second_do_not_meet() -> None:
    """302 of the seed's ids, with 16 random bits, meet with probability one half."""
    ids = {make_id("altitude", 1_705_180_800_000_000_000, os.urandom) for _ in range(100_000)}
    seeds = {id[: len("alt_1705180800_") + 4] for id in ids}

    assert len(ids) == 100_000
    assert len(seeds) < 65_537


def test_summaries_are_cut_and_say_how_long_they_were(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "plan", "c" * 101, "i" * 5_000) as ctx:
        assert ctx is not None
        ctx.set_output("o" * 100)

    event = only(log)
    assert event.data["input"] == "i" * 99 + "…"
    assert event.data["output"] == "o" * 100
    assert event.data["$marks"] == {"/input": "cut=5000", "/component": "cut=101"}


def test_a_secret_that_a_cut_would_halve_is_replaced_whole(traced: Tracer, log: Log) -> None:
    secret = "sk-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    for size in range(60, 100):
        traced.event("sys", "execute", input_data="x" * size + f" {secret}")

    texts = [event.data["input"] for event in recorded(log)]
    assert len(texts) == 40
    assert [text for text in texts if "sk-abc" in text] == []


def test_an_exception_comes_out_unchanged_and_is_told(traced: Tracer, log: Log) -> None:
    error = ValueError("no such level")
    with pytest.raises(ValueError) as caught, traced.span("alt", "transition"):
        raise error

    assert caught.value is error
    event = only(log)
    assert event.status == "error"
    assert event.data["error"]["type"] == "ValueError"
    assert event.data["error"]["message"] == "no such level"
    assert "raise error" in event.data["error"]["stack"]
    assert TraceEvent.of(event).metadata == {"error": "no such level"}


def test_an_error_keeps_what_was_said_before_it(traced: Tracer, log: Log) -> None:
    """In the seed a value that is not JSON raised in `finally`, in place of the real exception."""

    def write() -> None:
        with traced.span("mem", "write") as ctx:
            assert ctx is not None
            ctx.set_output("half", thing=object(), numbers={1, 2})
            raise KeyError("session")

    with pytest.raises(KeyError, match="session"):
        write()

    event = only(log)
    assert event.data["output"] == "half"
    assert event.data["numbers"] == [1, 2]
    assert event.data["$marks"] == {"/thing": "repr"}


def test_a_step_can_be_blocked(traced: Tracer, log: Log) -> None:
    with traced.span("foc", "gate_check") as ctx:
        assert ctx is not None
        ctx.block("nobody agreed")

    event = only(log)
    assert event.status == "blocked"
    assert TraceEvent.of(event).metadata == {"reason": "nobody agreed"}


def test_durations_are_those_of_a_clock_that_nobody_sets(tracer: Tracer, folder: Path) -> None:
    """The wall clock of this log goes back an hour at each look."""
    hours = iter(range(100, 0, -1))
    other = whence.open(folder / "other")
    other._recorder = Recorder(folder / "other", clock=lambda: next(hours) * 3_600_000_000_000)
    tracer.use(other)
    tracer.enabled = True
    with tracer.span("alt", "a"), tracer.span("alt", "b"):
        pass
    other.recorder.close()
    for event in recorded(other):
        assert event.duration is not None
        assert 0 < event.duration < 3_600_000_000_000
    assert len(recorded(other)) == 2
    other.close()


def test_agent_target_and_metadata_are_recorded(traced: Tracer, log: Log) -> None:
    with traced.span(
        "mem", "write", agent="haiku-1", target="#payments", metadata={"tier": "warm"}
    ):
        traced.event("sys", "execute", agent="", target=str(7))

    step, event = recorded(log)
    assert (step.agent, step.target, step.data) == ("haiku-1", "payments", {"tier": "warm"})
    assert (event.agent, event.target) == (None, "7")


def test_values_that_would_hide_ours_stand_apart_and_are_found_again(
    traced: Tracer, log: Log
) -> None:
    given = {
        "component": 1, "input": 2, "output": 3, "error": 4, "reason_blocked": 5, "level": 6,
        "status": 7, "attributes": {"a": 8}, "text": 9, "$marks": 10,
    }  # fmt: skip
    with traced.span("alt", "plan", "mine", "in", metadata=given) as first:
        assert first is not None
        first.set_output("out")
    with traced.span("alt", "plan", "mine", "in") as second:
        assert second is not None
        second.set_output(
            "out", **{name: value for name, value in given.items() if name != "output"}
        )
    traced.event("alt", "plan", "mine", "in", "out", metadata=given)

    for event in recorded(log):
        told = TraceEvent.of(event)
        assert (told.component, told.input_summary, told.output_summary) == ("mine", "in", "out")
        assert told.status == "success"
        metadata = given if "output" in told.metadata else {**given, "output": None}
        assert {**told.metadata, "output": metadata["output"]} == metadata


@pytest.mark.parametrize("name", ["level", "status", "attributes"])
def test_also_a_name_that_only_steps_of_a_tracer_have(traced: Tracer, log: Log, name: str) -> None:
    with traced.span("alt", "plan", level="warn") as ctx:
        assert ctx is not None
        ctx.set_output("out", **{name: 3})

    assert only(log).data["level"] == "warn"
    assert TraceEvent.of(only(log)).metadata == {name: 3}


# -- bad input -----------------------------------------------------------------------------------


class _Level(enum.StrEnum):
    DEBUG = "debug"


class _Status(enum.StrEnum):
    BLOCKED = "blocked"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "5"), (0, "0"), (["a"], "['a']"), (b"x", "b'x'"), (math.nan, "nan"),
        ("\ud800x", "\ufffdx"), ("a\x00b", "a\x00b"), (False, "False"),
        (Hostile(), "<Hostile whose text raised RuntimeError>"),
    ],
)  # fmt: skip
def test_what_is_no_text_becomes_text(traced: Tracer, log: Log, value: Any, said: str) -> None:
    with traced.span("alt", "plan", value, value) as ctx:
        assert ctx is not None
        ctx.set_output(value)
    traced.event("alt", "plan", value, value, value)

    for event in recorded(log):
        assert [event.data[name] for name in ("component", "input", "output")] == [said] * 3
    assert log.recorder.lost == 0


@pytest.mark.parametrize("metadata", [[], 7, "text", [("a", 1)], Hostile()])
def test_metadata_that_is_no_mapping_is_kept_as_what_it_is(
    traced: Tracer, log: Log, metadata: Any
) -> None:
    traced.event("alt", "plan", metadata=metadata)
    with traced.span("alt", "plan", metadata=metadata):
        pass

    assert ["metadata" in event.data for event in recorded(log)] == [True, True]
    assert log.recorder.lost == 0


@given(value=hostile_values)
def test_any_value_anywhere_raises_nothing_and_is_recorded(value: Any) -> None:
    with _tracing() as (traced, log):
        with traced.span(value, value, value, value, metadata={"value": value}) as ctx:
            assert ctx is not None
            ctx.set_output(value, value=value)
            ctx.block(value)
        traced.event(value, value, value, value, value, value, {"value": value})
        with contextlib.suppress(ZeroDivisionError), traced.span("alt", "x", metadata=value):
            1 / 0  # noqa: B018

        assert log.recorder.lost == 0
        events = recorded(log)
    assert len(events) == 3
    for event in events:
        json.loads(TraceEvent.of(event).as_line())


@contextlib.contextmanager
def _tracing() -> Iterator[tuple[Tracer, Log]]:
    """A log in memory of the disk, for properties: they share one folder for all their examples."""
    import tempfile

    traced = Tracer()
    with tempfile.TemporaryDirectory() as name, whence.open(name) as log:
        traced.use(log)
        traced.enabled = True
        try:
            yield traced, log
        finally:
            traced.use(None)
            traced.enabled = None


@pytest.mark.parametrize("layer", ["", None, " ", "whence", "a b/c\n", "x" * 5_000, 7, "\ud800"])
def test_any_layer_raises_nothing(traced: Tracer, log: Log, layer: Any) -> None:
    with traced.span(layer, layer):
        traced.event(layer, layer)

    # One name is Whence's own, and nobody else may speak under it: that is counted.
    assert len(recorded(log)) + log.recorder.lost == 2
    assert (log.recorder.lost == 0) == (layer != "whence")


@pytest.mark.parametrize(
    ("status", "kept", "told"),
    [
        ("error", "error", "error"), (_Status.BLOCKED, "blocked", "blocked"), (None, "success", "success"),
        ("", "success", "success"), ("failed", None, "failed"), (404, None, "404"),
        (["x"], None, "['x']"), (Hostile(), None, "<Hostile whose text raised RuntimeError>"),
    ],
)  # fmt: skip
def test_a_status_of_any_type_is_told(
    traced: Tracer, log: Log, status: Any, kept: str | None, told: str
) -> None:
    traced.event("alt", "plan", status=status)

    assert only(log).status == kept
    assert TraceEvent.of(only(log)).status == told


@pytest.mark.parametrize("level", ["loud", None, 20, ["info"], Hostile()])
def test_a_level_of_any_type_counts_as_information(traced: Tracer, log: Log, level: Any) -> None:
    traced.event("alt", "plan", level=level)
    with traced.span("alt", "plan", level=level) as ctx:
        assert ctx is not None

    assert [len(event.data["level"]) > 0 or level is None for event in recorded(log)] == [True] * 2
    assert traced.event("alt", "plan", level=_Level.DEBUG) is None


def test_enormous_values_are_bounded(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "plan", input_data="x" * 10_000_000) as ctx:
        assert ctx is not None
        ctx.set_output("ä" * 10_000_000, blob="y" * 200_000)

    event = only(log)
    assert event.data["$marks"] == {"/input": "cut=10000000", "/output": "cut=10000000"}
    assert len(event.data["blob"]) == 200_000


def test_a_log_that_is_closed_meanwhile_breaks_nothing(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "outer") as outer:
        log.close()
        with traced.span("alt", "inner"):
            traced.event("alt", "event")
    with traced.span("alt", "after"):
        pass
    assert outer is not None


def test_a_folder_that_cannot_be_written_breaks_nothing(tracer: Tracer, folder: Path) -> None:
    (folder / "file").write_text("no folder")
    with whence.open(folder / "file" / "log") as other:
        tracer.use(other)
        tracer.enabled = True
        with tracer.span("alt", "outer"):
            tracer.event("alt", "event")


def test_settings_that_cannot_be_read_break_nothing(folder: Path) -> None:
    """In a process of its own, which has no log yet."""
    (folder / "whence.toml").write_text("[[[")
    code = (
        "from whence.tracing import tracer\n"
        "with tracer.span('alt', 'outer') as ctx:\n"
        "    print(ctx, tracer.event('alt', 'event'))\n"
        "tracer._look_at = 0.0\n"
        "print(tracer.event('alt', 'after a second'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "WHENCE_TRACE": "1"},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "None None\nNone\n")
    assert done.stderr.count("whence.toml") == 1


@pytest.mark.parametrize(("code", "status"), [(0, "success"), (None, "success"), (3, "error")])
def test_an_exit_inside_a_step_is_told(
    traced: Tracer, log: Log, code: int | None, status: str
) -> None:
    with pytest.raises(SystemExit), traced.span("alt", "execute"):
        raise SystemExit(code)

    assert only(log).status == status


def test_a_step_that_is_entered_or_left_twice_is_recorded_once(traced: Tracer, log: Log) -> None:
    span = traced.span("alt", "execute")
    assert isinstance(span, TraceContext)
    with span as first, span as second:
        assert first is second
    span.__exit__(None, None, None)
    span.set_output("too late")

    event = only(log)
    assert "output" not in event.data
    assert log.current_cause() is None


def test_a_step_that_is_entered_again_is_a_step_of_its_own(traced: Tracer, log: Log) -> None:
    step = traced.span("alt", "plan", "a.py", "in")
    with contextlib.suppress(KeyError), step as ctx:
        assert ctx is not None
        ctx.set_output("first", note="kept")
        raise KeyError("x")
    with step:
        pass

    first, second = read_events(log.folder)
    assert (first.status, second.status) == ("error", "success")
    assert first.id != second.id
    assert second.data == {"component": "a.py", "input": "in", "note": "kept"}


def test_an_output_may_be_named_and_values_may_have_any_name(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "a") as ctx:
        assert ctx is not None
        ctx.set_output(output="said")
    with traced.span("alt", "b") as ctx:
        assert ctx is not None
        ctx.set_output("said", output="mine", self="me")
        ctx.note(self="still me")

    first, second = read_events(log.folder)
    assert first.data == {"output": "said"}
    assert second.data["output"] == "said"
    assert second.data["attributes"] == {"output": "mine", "self": "me"}
    assert second.data["self"] == "still me"


def test_names_that_are_too_long_are_cut_and_metadata_is_not(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "a", agent="a" * 100_000, target="t" * 100_000):
        pass
    traced.event("alt", "b", agent="a" * 100_000, metadata={"m": "m" * 10_000})

    first, second = read_events(log.folder)
    assert first.agent == second.agent == "a" * 999 + "…"
    assert first.target == "t" * 999 + "…"
    assert second.data == {"m": "m" * 10_000}
    assert log.lost == 0


def test_the_seeds_logger_is_the_tracers(tracer: Tracer) -> None:
    assert tracer.logger.name == "dopejar.trace"


def test_a_generator_that_is_never_finished_is_recorded_when_it_goes(
    traced: Tracer, log: Log
) -> None:
    def steps() -> Generator[int, None, None]:
        with traced.span("alt", "generate"):
            yield 1
            yield 2

    waiting = steps()
    assert next(waiting) == 1
    waiting.close()

    event = only(log)
    assert (event.status, event.data["ended_by"]) == ("success", "GeneratorExit")


def test_a_forked_child_does_not_end_its_parents_steps(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "outer") as outer:
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                with traced.span("foc", "inner"):
                    pass
                assert outer is not None
                outer.__exit__(None, None, None)
                log.close()
                code = 0
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
    assert outer is not None

    events = {event.type: event for event in recorded(log)}
    assert len(recorded(log)) == 2
    assert events["inner"].parent == outer.id
    assert events["inner"].w != events["outer"].w


# -- what is private -----------------------------------------------------------------------------


def test_private_rules_hold_for_steps_and_events(tracer: Tracer, folder: Path) -> None:
    (folder / "whence.toml").write_text(
        '[tracing]\nmirror = true\n[[privacy.rule]]\nprimitive = "memory"\n'
    )
    with whence.open() as ruled:
        tracer.use(ruled)
        tracer.enabled = True
        with tracer.span("mem", "write", "c", "my diary") as ctx:
            assert ctx is not None
            assert ctx.input == ""
            ctx.set_output("dear diary", mood="dear")
        tracer.event("mem", "read", "c", "my diary", "dear diary", metadata={"mood": "dear"})
        tracer.event("alt", "plan", "c", "in the open")
        assert isinstance(ctx.id, Receipt)

        events = recorded(ruled)
        assert [event.private for event in events] == [True, True, False]
        assert [event.commit is None for event in events] == [False, False, True]
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"in the open" in written
    assert b"diary" not in written
    assert b"dear" not in written


def test_a_span_of_whence_and_a_step_hang_below_each_other(traced: Tracer, log: Log) -> None:
    with traced.span("alt", "a") as a, log.span("http.get") as get, traced.span("foc", "b") as b:
        pass

    assert a is not None
    assert b is not None
    found = {event.id: event for event in recorded(log)}
    assert (found[b.id].parent, found[get.id].parent) == (get.id, a.id)
    assert b.above is a


def test_layers_that_nobody_knows_keep_their_own_name() -> None:
    assert (layer_of("planner"), layer_of("alt"), layer_of(None)) == (
        "planner",
        "altitude",
        "system",
    )
    assert make_id("my layer/§", time.time_ns(), os.urandom).startswith("my_layer_")
