"""The files that the systems of the seeds wrote, read by their built-in mappings."""

import json
from pathlib import Path
from typing import Any

import pytest

from whence.query import Query
from whence.sources.builtin import FORMATS, recognise
from whence.sources.jsonl import open_source
from whence.sources.source import SourceEvent

# As seed 001 shows its file.
TRACE = """\
{"trace_id":"alt_1705180800_a3f2","parent_id":null,"timestamp":"2026-01-13T14:00:00","hrm_layer":"altitude","operation":"transition","component":"altitude.py","input_summary":"L3→L2","output_summary":"success","duration_ms":5,"status":"success","metadata":{"reason":"user requested tactical"}}
{"trace_id":"foc_1705180801_b7c1","parent_id":"alt_1705180800_a3f2","timestamp":"2026-01-13T14:00:01","hrm_layer":"foc","operation":"focus.gate_check","component":"gates.py","input_summary":"WriteApprovalGate","output_summary":"allowed","duration_ms":2,"status":"blocked","metadata":{"user_consent":true}}
"""

LEARNING = {
    "event_id": "1c6f0d1e-0f5b-4f5e-9c55-0d4b1e4b8a01",
    "timestamp": "2026-01-13T14:00:00.250000+00:00",
    "event_type": "variable_weight_update",
    "data": {"variable": "hope", "from": 0.5, "to": 0.6},
}

DECISION = {
    "timestamp": 1768312800.125,
    "datetime_utc": "2026-01-13T14:00:00.125000Z",
    "action": "upgrade_proposal",
    "approved": False,
    "votes": {"constitutional": {"passed": False, "reason": "no"}},
    "subject": {"prompt_id": 17, "goal_type": "x"},
    "reason": "constitutional: no",
}


def read(folder: Path, text: str, **options: Any) -> list[SourceEvent]:
    path = folder / "lines.jsonl"
    path.write_text(text, encoding="utf-8")
    source = open_source(path, "lines", options)
    assert source.health().not_understood == 0
    return list(source.events())


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize("options", [{}, {"format": "trace"}])
def test_steps_become_spans_with_their_parents(tmp_path: Path, options: dict[str, Any]) -> None:
    first, second = read(tmp_path, TRACE, **options)

    assert (first.id, first.parent) == ("alt_1705180800_a3f2", None)
    assert (second.id, second.parent) == ("foc_1705180801_b7c1", first.id)
    assert (first.primitive, first.type) == ("altitude", "transition")
    assert (second.primitive, second.type) == ("focus", "gate_check")
    assert (first.duration, first.status, second.status) == (5_000_000, "success", "blocked")
    assert first.inferred == ("time",)
    assert first.relations == ()
    assert first.data == {
        "component": "altitude.py",
        "input_summary": "L3→L2",
        "output_summary": "success",
        "metadata": {"reason": "user requested tactical"},
        "text": "L3→L2 → success",
    }


def test_steps_whose_ids_collided_are_told_apart(tmp_path: Path) -> None:
    first, second, third = read(tmp_path, TRACE + TRACE.splitlines()[0] + "\n")

    assert {first.id, second.id} == {"alt_1705180800_a3f2", "alt_1705180800_a3f2#2"}
    assert third.parent == "alt_1705180800_a3f2"


def test_what_was_learnt_is_about_something(tmp_path: Path) -> None:
    trust = {**LEARNING, "event_id": "x", "event_type": "rule_activation", "data": {"rule_id": 4}}
    first, second = read(tmp_path, json.dumps(LEARNING) + "\n" + json.dumps(trust) + "\n")

    assert (first.primitive, first.type, first.target) == (
        "learning",
        "variable_weight_update",
        "hope",
    )
    assert (first.id, first.time) == (LEARNING["event_id"], "2026-01-13T14:00:00.250000000Z")
    assert first.data == {"data": LEARNING["data"]}
    assert first.inferred == ()
    assert (second.type, second.target) == ("rule_activation", "4")


def test_decisions_have_an_outcome(tmp_path: Path) -> None:
    agreed = {**DECISION, "approved": True, "subject": {}}
    first, second = read(tmp_path, json.dumps(DECISION) + "\n" + json.dumps(agreed) + "\n")

    assert (first.primitive, first.type, first.target) == ("decision", "upgrade_proposal", "17")
    assert (first.id, first.status, second.status) == ("lines.jsonl:1", "blocked", "success")
    assert first.time == "2026-01-13T14:00:00.125000000Z"
    assert first.data["text"] == "upgrade_proposal 17: constitutional: no"
    assert first.data["votes"] == DECISION["votes"]
    assert second.target is None


def test_a_days_files_of_decisions_are_one_source(tmp_path: Path) -> None:
    for day in ("2026-01-13", "2026-01-14"):
        (tmp_path / f"{day}.jsonl").write_text(json.dumps(DECISION) + "\n")
    source = open_source(tmp_path, "decisions", {"agent": "subject.goal_type"})

    assert [event.agent for event in source.events(Query(target="17"))] == ["x", "x"]
    assert source.health().note == "decisions"


def test_a_format_is_recognised_by_keys_that_all_lines_have() -> None:
    assert recognise([json.loads(line) for line in TRACE.splitlines()]) == "trace"
    assert recognise([LEARNING]) == "learning"
    assert recognise([DECISION]) == "decisions"
    assert recognise([DECISION, LEARNING]) is None
    assert recognise([{"timestamp": 1}]) is None
    assert recognise([]) is None
    assert list(FORMATS) == ["trace", "learning", "decisions"]
