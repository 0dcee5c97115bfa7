"""Trace points: every row of the seed's five tables is one call, with the data that it lists."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tracing.tracing import Hostile, only, recorded
from whence.log import Log
from whence.tracing import TraceEvent, Tracer, points
from whence.tracing.points import Point
from whence.tracing.points.words import say_level

_ROWS: list[tuple[Point[Any], dict[str, Any], str, str]] = [
    # What the seed calls it, the trace data that it lists, and the summaries.
    (points.altitude.transition, {"from_level": 3, "to_level": 2, "reason": "asked"}, "L3→L2", "success"),
    (points.altitude.evaluate, {"altitude": "L2", "verdict": "go", "confidence": 0.9}, "L2", "go"),
    (points.altitude.plan, {"altitude": 2, "intent": "tidy up", "plan_summary": "3 steps"}, "L2 tidy up", "3 steps"),
    (points.altitude.execute, {"altitude": 1, "action_type": "write_file"}, "L1 write_file", ""),
    (points.focus.stance_change, {"from_stance": "explore", "to_stance": "act", "gate": "G1"}, "explore→act", "changed"),
    (points.focus.gate_check, {"gate_type": "WriteApprovalGate", "decision": "allowed", "reason": "asked"}, "WriteApprovalGate", "allowed"),
    (points.focus.lane_switch, {"from_lane": "work", "to_lane": "home", "reason": "evening"}, "work→home", "switched"),
    (points.focus.consent_check, {"operation": "send_mail", "allowed": True}, "send_mail", "allowed"),
    (points.focus.route, {"signal_type": "request", "bundle": "core", "agents": ["ana", "ben"]}, "request", "core"),
    (points.reasoning.classify, {"input_type": "question", "confidence": 0.8}, "", "question"),
    (points.reasoning.route, {"strategy": "step by step", "reason": "hard"}, "", "step by step"),
    (points.reasoning.escalate, {"from_level": 1, "to_level": 2, "trigger": "unsure"}, "L1→L2", "escalated"),
    (points.learning.pattern_match, {"pattern_code": "P1", "confidence": 0.7}, "P1", "matched"),
    (points.learning.pattern_add, {"pattern_code": "P2", "source": "user"}, "P2", "added"),
    (points.learning.pattern_trim, {"pattern_code": "P1", "reason": "stale"}, "P1", "trimmed"),
    (points.learning.generalize, {"from_patterns": ["P1", "P2"], "to_pattern": "P3"}, "P1, P2", "P3"),
    (points.memory.read, {"namespace": "altitude", "key": "session", "tier": "hot"}, "altitude.session", "read"),
    (points.memory.write, {"namespace": "altitude", "key": "session", "tier": "warm", "tokens_saved": 45}, "altitude.session", "written"),
    (points.memory.promote, {"key": "session", "from_tier": "warm", "to_tier": "hot"}, "session warm→hot", "promoted"),
    (points.memory.demote, {"key": "session", "from_tier": "hot", "to_tier": "cold"}, "session hot→cold", "demoted"),
]  # fmt: skip
_NAMES = [f"{point.layer}.{point.operation}" for point, *_ in _ROWS]

_SEED = """
altitude.transition altitude.evaluate altitude.plan altitude.execute focus.stance_change
focus.gate_check focus.lane_switch focus.consent_check focus.route reasoning.classify
reasoning.route reasoning.escalate learning.pattern_match learning.pattern_add
learning.pattern_trim learning.generalize memory.read memory.write memory.promote memory.demote
"""


def test_there_is_a_point_for_every_row_of_the_seeds_tables() -> None:
    assert sorted(_NAMES) == sorted(_SEED.split())


@pytest.mark.parametrize(("point", "data", "said", "outcome"), _ROWS, ids=_NAMES)
def test_a_point_is_an_event_with_the_data_that_its_row_lists(
    point: Point[Any], data: dict[str, Any], said: str, outcome: str, traced: Tracer, log: Log
) -> None:
    event_id = point(**data)

    event = only(log)
    assert event.id == event_id
    assert f"{event.primitive}.{event.type}" == f"{point.layer}.{point.operation}"
    told = TraceEvent.of(event)
    assert (told.input_summary, told.output_summary, told.status) == (said, outcome, "success")
    assert told.metadata == data


@pytest.mark.parametrize(("point", "data", "said", "outcome"), _ROWS, ids=_NAMES)
def test_the_same_point_is_a_step_which_holds_what_happens_in_it(
    point: Point[Any], data: dict[str, Any], said: str, outcome: str, traced: Tracer, log: Log
) -> None:
    with point.span(**data) as step:
        inside = traced.event("sys", "inside")

    event, below = recorded(log)
    assert (below.id, below.parent) == (inside, event.id)
    assert event.id == step.id
    assert event.duration is not None
    told = TraceEvent.of(event)
    assert (told.input_summary, told.output_summary, told.status) == (said, outcome, "success")
    assert told.metadata == data


@pytest.mark.parametrize(("point", "data", "said", "outcome"), _ROWS, ids=_NAMES)
def test_what_is_known_later_is_as_if_it_had_been_given_at_once(
    point: Point[Any], data: dict[str, Any], said: str, outcome: str, traced: Tracer, log: Log
) -> None:
    known = [*data][:2] if point.operation in ("plan", "execute") else [*data][:1]
    if "→" in said:
        known = [name for name in data if name.startswith(("from_", "to_"))] + known
    if point.layer == "memory":
        known = [name for name in data if name != "tokens_saved"]
    with point.span(**{name: data[name] for name in known}) as step:
        step.note(**{name: value for name, value in data.items() if name not in known})

    told = TraceEvent.of(only(log))
    assert (told.output_summary, told.status) == (outcome, "success")
    assert told.metadata == data


def test_what_is_not_known_is_left_out(traced: Tracer, log: Log) -> None:
    points.memory.write("altitude", "session")

    assert TraceEvent.of(only(log)).metadata == {"namespace": "altitude", "key": "session"}


def test_off_a_point_does_nothing_and_gives_a_step_that_does_nothing(
    tracer: Tracer, log: Log
) -> None:
    assert points.altitude.transition(3, 2) is None
    with points.memory.write.span("altitude", "session") as step:
        step.note(tokens_saved=45)
        step.set_output("written")
        step.block("no")

    assert not step
    assert step.id is None
    assert recorded(log) == []


def test_the_component_is_the_file_that_calls_unless_it_says_otherwise(
    traced: Tracer, log: Log
) -> None:
    points.altitude.transition(3, 2)
    with points.altitude.transition.span(3, 2):
        pass
    points.altitude.transition(3, 2, component="governor")

    found = [event.data["component"] for event in recorded(log)]
    assert found == [Path(__file__).name, Path(__file__).name, "governor"]


def test_agent_target_level_and_summaries_are_the_events_own(traced: Tracer, log: Log) -> None:
    points.reasoning.classify(
        "question", 0.8, input="why is the sky blue?", output="a question", agent="haiku-1",
        target="task-1", level="warn", tokens_used=7,
    )  # fmt: skip

    event = only(log)
    assert (event.agent, event.target) == ("haiku-1", "task-1")
    assert event.data == {
        "input_type": "question", "confidence": 0.8, "tokens_used": 7, "level": "warn",
        "component": Path(__file__).name, "input": "why is the sky blue?", "output": "a question",
    }  # fmt: skip


def test_a_point_below_the_level_is_not_traced(traced: Tracer, log: Log) -> None:
    points.memory.read("a", "b", level="debug")
    with points.memory.read.span("a", "b", level="debug") as step:
        pass

    assert not step
    assert recorded(log) == []


@pytest.mark.parametrize("decision", [False, "denied", "Blocked", "rejected"])
def test_what_a_gate_refuses_is_blocked_with_its_reason(
    decision: bool | str, traced: Tracer, log: Log
) -> None:
    points.focus.gate_check("WriteApprovalGate", decision, reason="nobody asked")
    with points.focus.gate_check.span("WriteApprovalGate") as step:
        step.note(decision=decision, reason="nobody asked")

    for event in recorded(log):
        assert event.status == "blocked"
        told = TraceEvent.of(event)
        assert told.metadata["reason"] == "nobody asked"
        assert told.output_summary == ("denied" if decision is False else decision)


def test_without_consent_a_step_is_blocked(traced: Tracer, log: Log) -> None:
    points.focus.consent_check("send_mail", allowed=False)

    assert (only(log).status, only(log).data["allowed"]) == ("blocked", False)


def test_a_failing_step_does_not_say_that_it_was_done(traced: Tracer, log: Log) -> None:
    error = OSError("disk full")
    with pytest.raises(OSError) as caught, points.memory.write.span("altitude", "session"):
        raise error

    assert caught.value is error
    event = only(log)
    assert event.status == "error"
    assert "output" not in event.data


def test_a_step_may_say_its_outcome_in_other_words_and_be_blocked(traced: Tracer, log: Log) -> None:
    with points.memory.read.span("altitude", "session") as step:
        step.set_output("not there", tier="cold")
        step.block("no such key")
    with points.memory.read.span("altitude", "session", output="first") as step:
        step.note(output="not there", tier="cold")
        step.block("no such key")

    for event in recorded(log):
        told = TraceEvent.of(event)
        assert (told.output_summary, told.status) == ("not there", "blocked")
        assert told.metadata["tier"] == "cold"


def test_what_cannot_be_described_is_counted_and_raises_nothing(traced: Tracer, log: Log) -> None:
    """A program must not fail only where tracing is on."""
    before = log.recorder.lost
    points.altitude.transition(3)  # type: ignore[call-arg]
    points.altitude.transition(1, 2, "why", 4)  # type: ignore[call-arg]
    with points.altitude.plan.span(2) as step:  # type: ignore[call-arg]
        pass
    with points.altitude.transition.span(3, 2) as noted:
        noted.note(metadata={}, from_level=Hostile())

    assert not step
    assert log.recorder.lost == before + 3
    assert only(log).type == "transition"


def test_hostile_values_are_recorded_as_what_they_are(traced: Tracer, log: Log) -> None:
    points.altitude.transition(Hostile(), Hostile(), Hostile())  # type: ignore[arg-type]
    points.learning.generalize(["a", Hostile()], Hostile())  # type: ignore[list-item, arg-type]
    points.focus.gate_check(Hostile(), Hostile())  # type: ignore[arg-type]
    points.memory.write("a", "b", component=Hostile())
    with points.focus.gate_check.span("a", decision=False, reason=Hostile()):  # type: ignore[arg-type]
        pass

    events = recorded(log)
    assert [
        event.type for event in events
    ] == "transition generalize gate_check write gate_check".split()
    assert re.search("Hostile whose text raised RuntimeError", events[0].data["input"])


@pytest.mark.parametrize(
    ("level", "said"), [(3, "L3"), ("3", "L3"), ("L3", "L3"), ("life", "life"), (-1, "-1")]
)
def test_levels_are_said_as_the_seed_says_them(level: int | str, said: str) -> None:
    assert say_level(level) == said
