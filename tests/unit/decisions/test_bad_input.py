"""What should not be there is recorded truthfully or refused loudly, and never approved without a record."""

from typing import Any

import pytest

from whence.decisions import DecisionRefused, Gate, read_decisions, record_decision
from whence.decisions.bus import emit_event
from whence.log import default
from whence.query import Query


class _Evil:
    def __repr__(self) -> str:
        raise RuntimeError("no text for you")


class _EvilMapping(dict[str, Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("no keys for you")

    def items(self) -> Any:
        raise RuntimeError("no items for you")


def _cycle() -> Any:
    made: dict[str, Any] = {}
    made["self"] = [made]
    return made


def _deep() -> Any:
    made: Any = "bottom"
    for _ in range(5_000):
        made = [made]
    return made


_ODD = {
    "set": {1, 2}, "bytes": b"\x00\xff", "nan": float("nan"), "inf": [float("-inf")], "cycle": _cycle(),
    "deep": _deep(), "surrogate": "\ud800", "evil": _Evil(), "mapping": _EvilMapping(a=1), "huge": 10**5000,
    "lambda": lambda: None, "keys": {(1, 2): {None: 3}}, "marks": {"$marks": 1}, "class": _Evil, "text": "x" * 10_000_000,
}  # fmt: skip


@pytest.mark.parametrize("name", _ODD)
def test_a_subject_of_any_shape_is_decided_on_and_kept(name: str) -> None:
    gate = Gate("pay", {"it": _ODD[name], "prompt_id": "p"})
    gate.vote("ada", True)
    gate.decide()
    assert record_decision("pay", True, {"ada": {"passed": True}}, _ODD[name])
    [one, other] = read_decisions(default())

    assert (one.approved, one.subject["prompt_id"], one.id) == (True, "p", gate.decision_id)
    assert other.approved


@pytest.mark.parametrize("votes", [None, "all", 7, ["ada"], [None], {1: 2}, {"ada": "yes"}, _Evil(), _EvilMapping(), _cycle()])  # fmt: skip
def test_votes_of_any_shape_are_kept_as_they_are_and_approve_nothing_by_themselves(
    votes: Any,
) -> None:
    assert record_decision("pay", False, votes, {}) is True
    [decision] = read_decisions(default())

    assert not decision.approved


@pytest.mark.parametrize("approved", ["yes", [1], object(), _Evil()])
def test_a_verdict_that_merely_counts_as_true_is_refused(approved: Any) -> None:
    assert record_decision("pay", approved, {}, {}) is False
    assert read_decisions(default()) == []


@pytest.mark.parametrize("name", [None, 7, "", " ", b"ada", ["ada"]])
def test_a_voter_without_a_name_does_not_vote(name: Any) -> None:
    gate = Gate("pay", {})
    with pytest.raises((TypeError, ValueError)):
        gate.vote(name, True)
    with pytest.raises(DecisionRefused, match="nobody voted"):
        gate.decide()


@pytest.mark.parametrize("rule", [None, 3, "", "most", "0 of 3", "4 of 3", "2 of", "-1 of 2"])
def test_a_rule_that_is_none_is_refused_before_anybody_votes(rule: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Gate("pay", {}, rule=rule)


@pytest.mark.parametrize("action", [None, 7, "", "x" * 10_000, "a\nb", "\ud800", ["pay"]])
def test_an_action_of_any_shape_is_kept(action: Any) -> None:
    gate = Gate(action, {})
    gate.vote("ada", True)

    assert gate.decide()
    assert len(read_decisions(default())) == 1


@pytest.mark.parametrize("topic", ["", None, 7, "\ud800"])
def test_a_topic_that_is_none_is_refused(topic: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        emit_event(topic, {})
    assert list(default().events(Query(primitive="bus"))) == []
