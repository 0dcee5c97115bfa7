"""What the seed calls a trace event, made of whatever an event of the journal may be."""

import json
from typing import Any

import pytest

from tests.unit.tracing.tracing import Hostile, only
from whence.log import Log
from whence.tracing import TraceEvent
from whence.tracing.layers import as_name, code_of, layer_of, operation_of


@pytest.mark.parametrize(
    ("data", "metadata"),
    [
        (None, {}), ([1], {"value": [1]}), ({"a": 1}, {"a": 1}),
        ({"input": None, "output": ["x"], "attributes": 5}, {"attributes": 5}),
        ({"attributes": {"status": 1}, "b": 2}, {"status": 1, "b": 2}),
        ({"error": "text"}, {"error": "text"}), ({"error": {"type": "E", "message": ""}}, {"error": "E"}),
        ({"reason_blocked": "no"}, {"reason": "no"}),
        ({"reason_blocked": "no", "reason": "mine"}, {"reason": "mine"}),
    ],
)  # fmt: skip
def test_any_event_can_be_told_as_a_step(log: Log, data: Any, metadata: dict[str, Any]) -> None:
    log.emit("ops", "claim", data=data)

    told = TraceEvent.of(only(log))
    assert (told.hrm_layer, told.operation, told.status) == ("ops", "claim", "success")
    assert told.metadata == metadata
    assert json.loads(told.as_line())["metadata"] == metadata


def test_a_private_event_is_told_without_what_it_kept_back(log: Log) -> None:
    log.emit("memory", "write", data={"diary": "dear"}, private=True)

    assert TraceEvent.of(only(log)).metadata == {}


def test_long_summaries_of_other_programs_are_cut_too(log: Log) -> None:
    log.emit("ops", "claim", data={"input": "x" * 200})

    assert TraceEvent.of(only(log)).input_summary == "x" * 99 + "…"


def test_a_step_that_a_program_made_itself_can_be_written() -> None:
    event = TraceEvent("i", None, "t", "ops", "x", "", "", "", 0, "success", {"it": Hostile()})

    assert json.loads(event.as_line())["metadata"] == {
        "it": "<Hostile whose repr raised RuntimeError>"
    }


@pytest.mark.parametrize(
    ("layer", "operation", "name"),
    [
        ("altitude", "transition", "transition"), ("altitude", "altitude.transition", "transition"),
        ("altitude", "alt.transition", "transition"), ("altitude", "focus.route", "focus.route"),
        ("altitude", "altitude.", "altitude."), ("altitude", "", "step"), ("planner", "planner.a.b", "a.b"),
    ],
)  # fmt: skip
def test_an_operation_is_named_without_its_layer(layer: str, operation: str, name: str) -> None:
    assert operation_of(layer, operation) == name


def test_layers_have_codes_and_others_their_own_name() -> None:
    assert (layer_of(" alt "), layer_of(""), layer_of(5)) == ("altitude", "system", "5")
    assert (code_of("altitude"), code_of("planner"), code_of("§ §")) == ("alt", "planner", "_")
    assert len(code_of("x" * 500)) == 32
    assert as_name("a\ud800") == "a?"
