"""Nothing is approved unless the rule holds and the record is on disk."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from whence.decisions import DecisionRefused, Gate, gate, read_recent
from whence.decisions.rules import at_least, veto, weighted
from whence.log import default
from whence.query import Query

_T, _F = True, False


@pytest.mark.parametrize(
    ("rule", "votes", "approved"),
    [
        ("all", {"a": _T, "b": _T}, True),
        ("all", {"a": _T, "b": _F}, False),
        ("all", {}, False),
        ("majority", {"a": _T, "b": _T, "c": _F}, True),
        ("majority", {"a": _T, "b": _F}, False),
        ("2 of 3", {"a": _T, "b": _T}, True),
        ("2 of 3", {"a": _T, "b": _F, "c": _F}, False),
        (at_least(1, of=2), {"a": _F, "b": _T}, True),
        (weighted({"a": 2, "b": 1}, 2), {"a": _T}, True),
        (weighted({"a": 2, "b": 1}, 2), {"b": _T}, False),
        (veto("a", otherwise="majority"), {"a": _F, "b": _T, "c": _T}, False),
        (veto("a", otherwise="majority"), {"b": _T, "c": _T}, False),
        (veto("a", otherwise="majority"), {"a": _T, "b": _T, "c": _F}, True),
    ],
)
def test_a_gate_opens_when_its_rule_holds(
    rule: Any, votes: dict[str, bool], approved: bool
) -> None:
    made = gate("upgrade", {"prompt_id": "p"}, rule=rule)
    with nullcontext() if approved else pytest.raises(DecisionRefused) as caught, made:
        for name, passed in votes.items():
            made.vote(name, passed, "because")
    [entry] = read_recent()

    assert (made.approved, entry["approved"]) == (approved, approved)
    if caught is not None:
        assert caught.value.decision_id == made.decision_id
        assert caught.value.reason == entry["reason"]
    assert entry["votes"] == {
        name: {"passed": passed, "reason": "because"} for name, passed in votes.items()
    }


def test_too_few_voters_never_pass() -> None:
    with pytest.raises(DecisionRefused, match="1 voted, want at least 2"):  # noqa: SIM117
        with gate("upgrade", {}, minimum=2) as made:
            made.vote("a", True)
    with pytest.raises(DecisionRefused, match="b: did not vote"):  # noqa: SIM117
        with gate("upgrade", {}, voters=["a", "b"]) as made:
            made.vote("a", True)


@pytest.mark.parametrize("passed", [1, "yes", None])
def test_what_merely_counts_as_true_is_no_vote(passed: Any) -> None:
    with pytest.raises(TypeError, match="passed is"):
        Gate("upgrade", {}).vote("a", passed)


def test_nobody_votes_twice_or_unasked_or_late() -> None:
    made = Gate("upgrade", {}, voters=["a"])
    with pytest.raises(ValueError, match="may not"):
        made.vote("b", True)
    made.vote("a", True)
    with pytest.raises(ValueError, match="voted already"):
        made.vote("a", True)
    made.decide()
    with pytest.raises(ValueError, match="after the decision"):
        made.vote("a", True)
    with pytest.raises(ValueError, match="decided already"):
        made.decide()


def test_a_gate_whose_record_cannot_be_kept_stays_shut(tmp_path: Path) -> None:
    (tmp_path / ".whence").mkdir()
    os.close(os.open(tmp_path / ".whence" / "journal", os.O_CREAT))
    made = Gate("upgrade", {})
    made.vote("a", True)

    with pytest.raises(DecisionRefused, match="could not be kept") as caught:
        made.decide()
    assert caught.value.decision_id is None
    assert not made.approved
    with pytest.raises(DecisionRefused, match="not approved"), made.execution():
        pass


def test_a_block_that_raises_is_a_refusal_on_record() -> None:
    with pytest.raises(KeyError), gate("upgrade", {}) as made:  # noqa: PT012
        made.vote("a", True)
        raise KeyError("probe")
    [entry] = read_recent()

    assert not made.approved
    assert (entry["approved"], entry["reason"]) == (False, "KeyError: 'probe'")


def test_execution_and_rollback_are_effects_of_the_decision() -> None:
    with gate("upgrade", {"prompt_id": "p"}) as made:
        made.vote("a", True)
    with made.execution() as began:
        inner = default().emit("ops", "apply")
    rolled = made.rollback("regret")
    events = {event.id: event for event in default().events(Query())}

    assert events[began].parent == made.decision_id
    assert events[inner].parent == began
    assert (events[rolled].parent, events[rolled].links) == (made.decision_id, (began,))
    ends = [
        event for event in events.values() if event.parent == began and event.duration is not None
    ]
    assert [event.status for event in ends] == ["success"]


def test_an_execution_that_fails_says_so() -> None:
    with gate("upgrade", {}) as made:
        made.vote("a", True)
    with pytest.raises(OSError, match="disk"), made.execution():
        raise OSError("disk")

    [end] = [event for event in default().events(Query(primitive="gate")) if event.status]
    assert end.status == "error"
