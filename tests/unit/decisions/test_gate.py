"""Nothing is approved unless the rule holds and the record is on disk."""

import os
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

import whence
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


def test_a_refusal_that_is_caught_inside_is_raised_at_the_end_of_the_block() -> None:
    ran = False
    made = gate("upgrade", {})
    with pytest.raises(DecisionRefused, match="a: no"):  # noqa: PT012 the block is what is tested
        with made:
            made.vote("a", False, "no")
            with suppress(DecisionRefused):
                made.decide()
        ran = True

    assert not ran
    assert not made.approved


def test_a_record_that_could_not_be_kept_is_not_forgotten_either(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = whence.open(tmp_path / "log")
    made = Gate("upgrade", {}, log=log)
    (tmp_path / "log").symlink_to(tmp_path / "file")
    ran = False
    with pytest.raises(DecisionRefused, match="could not be kept"):  # noqa: PT012
        with made:
            made.vote("a", True)
            with suppress(DecisionRefused):
                made.decide()
        ran = True

    assert not ran


def test_what_was_voted_on_is_what_is_approved() -> None:
    subject = {"amount": 1, "to": ["a"]}
    made = gate("pay", subject)
    with (  # noqa: PT012
        pytest.raises(
            DecisionRefused, match="the subject or the action changed while it was voted on"
        ),
        made,
    ):
        made.vote("a", True)
        subject["to"] = ["mallory"]
    [entry] = read_recent()

    assert not entry["approved"]
    assert not made.approved


def test_a_forked_child_decides_nothing() -> None:
    made = Gate("upgrade", {})
    made.vote("a", True)
    child = os.fork()
    if child == 0:
        refused = 0
        for act in (
            made.decide,
            lambda: made.vote("b", True),
            lambda: made.__exit__(None, None, None),
        ):
            try:
                act()
            except DecisionRefused:
                refused += 1
            except BaseException:  # noqa: BLE001 a child never goes on with the tests
                os._exit(9)
        os._exit(refused)
    _, status = os.waitpid(child, 0)
    made.decide()

    assert os.waitstatus_to_exitcode(status) == 3
    assert len(read_recent()) == 1


def test_what_was_refused_cannot_be_taken_back() -> None:
    made = Gate("upgrade", {})
    made.vote("a", False)
    with pytest.raises(DecisionRefused):
        made.decide()
    with pytest.raises(ValueError, match="nothing was approved"):
        made.rollback()


def test_a_voter_who_is_named_twice_counts_for_nobody() -> None:
    with pytest.raises(ValueError, match="voters name a more than once"):
        Gate("upgrade", {}, rule="2 of 3", voters=["a", "a", "b"])


def test_more_votes_than_a_rule_counts_are_named_as_the_reason() -> None:
    made = Gate("upgrade", {}, rule="2 of 3")
    for name, passed in {"a": True, "b": True, "c": True, "d": False}.items():
        made.vote(name, passed)
    with pytest.raises(DecisionRefused, match="4 voted, want no more than 3; d: did not pass"):
        made.decide()
