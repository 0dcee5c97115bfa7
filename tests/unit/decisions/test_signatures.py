"""A signature fits one vote of one voter in one decision, and nothing else."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.decisions import DecisionRefused, Gate, read_decisions
from whence.decisions.decision import Decision, decision_of
from whence.decisions.signatures import (
    digest_subject,
    find_repeated,
    make_signer,
    parse_keys,
    state_vote,
    verify_votes,
)
from whence.errors import CorruptError, ProofError
from whence.log import default
from whence.query import Query

_ADA, _BOB, _EVE = make_signer("ada"), make_signer("bob"), make_signer("eve")
_TRUSTED = parse_keys([str(_ADA.verifier()), "", "# the other one", str(_BOB.verifier())])


def _decide(subject: Any = None, **options: Any) -> Decision:
    gate = Gate("upgrade", {"prompt_id": "p"} if subject is None else subject, **options)
    gate.sign("ada", True, "fine", key=_ADA)
    gate.sign("bob", True, key=_BOB)
    gate.vote("carl", True)
    gate.decide()
    return read_decisions(default())[-1]


def _states(decision: Decision) -> dict[str, str]:
    return {check.voter: check.state for check in verify_votes(decision, _TRUSTED)}


@pytest.mark.parametrize(
    "subject",
    [
        {"prompt_id": "p", "n": 1.5, "big": 10**30, "text": "ü\ud800", "nested": [{"a": None}]},
        [1, 2], "text", None, {1: 2}, {"token": "abcdef0123456789abcdef", "set": {3}, "nan": float("nan")},
        {"a": "x" * 100_000},
    ],
)  # fmt: skip
def test_votes_that_were_signed_are_valid_whatever_they_are_about(subject: Any) -> None:
    assert _states(_decide(subject)) == {"ada": "valid", "bob": "valid", "carl": "unsigned"}


def test_a_voter_nobody_knows_is_not_called_valid() -> None:
    gate = Gate("upgrade", {})
    gate.sign("eve", True, key=_EVE)
    gate.decide()

    assert _states(read_decisions(default())[-1]) == {"eve": "unknown"}


def test_a_key_of_somebody_elses_does_not_make_a_vote_of_a_known_voter() -> None:
    gate = Gate("upgrade", {})
    gate.vote("ada", True, signature=_EVE.sign(gate.statement("ada", True)))
    gate.decide()

    assert _states(read_decisions(default())[-1]) == {"ada": "invalid"}


def _change(decision: Decision, **fields: Any) -> Decision:
    return msgspec.structs.replace(decision, **fields)


def test_what_was_signed_fits_nothing_else() -> None:
    decision = _decide()
    votes = decision.votes
    changed = [
        _change(decision, gate="another"),
        _change(decision, gate=None),
        _change(decision, action="another"),
        _change(decision, subject={"prompt_id": "q"}),
        _change(decision, votes={**votes, "ada": {**votes["ada"], "passed": False}}),
        _change(decision, votes={**votes, "ada": {**votes["ada"], "reason": "other"}}),
        _change(decision, votes={**votes, "ada": {**votes["ada"], "signature": votes["bob"]["signature"]}}),
        _change(decision, votes={**votes, "ada": {**votes["ada"], "signature": "=="}}),
        _change(decision, votes={**votes, "ada": {**votes["ada"], "signature": 7}}),
        _change(decision, votes={**votes, "ada": {**votes["ada"], "passed": 1}}),
    ]  # fmt: skip

    assert _states(decision)["ada"] == "valid"
    assert [_states(each)["ada"] for each in changed] == ["invalid"] * len(changed)
    # A vote under another name is not that voter's.
    assert _states(_change(decision, votes={"bob": votes["ada"]})) == {"bob": "invalid"}


def test_no_field_can_move_into_the_next() -> None:
    assert state_vote("g", "a", "d", "v", True, "r") != state_vote("g", "ad", "", "v", True, "r")
    assert state_vote("g", 'a","d', "x", "v", True, "r") != state_vote(
        "g", "a", 'd","x', "v", True, "r"
    )


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)))  # fmt: skip
def test_the_digest_does_not_depend_on_the_order_of_keys(subject: Any) -> None:
    turned = dict(reversed(subject.items())) if isinstance(subject, dict) else subject

    assert digest_subject(turned) == digest_subject(subject)


def test_a_decision_recorded_again_is_named() -> None:
    decision = _decide()
    [event] = default().events(Query(primitive="decision"))
    default().emit("decision", "upgrade", data=event.data, status="success", wait=True)

    again = read_decisions(default())
    assert find_repeated(again) == {decision.gate}
    assert find_repeated([decision_of(event)]) == set()


# -- the gate --------------------------------------------------------------------------------------


def test_who_must_sign_votes_with_a_signature_that_fits_or_not_at_all() -> None:
    gate = Gate("upgrade", {}, keys=[str(_ADA.verifier())], rule="2 of 2", voters=["ada", "bob"])
    with pytest.raises(ProofError, match="without a signature"):
        gate.vote("ada", True)
    with pytest.raises(ProofError, match="does not fit"):
        gate.sign("ada", True, key=_EVE)
    with pytest.raises(ProofError, match="does not fit"):
        gate.vote("ada", True, signature=_ADA.sign(gate.statement("ada", False)))
    gate.vote("bob", True)
    # None of these counted.
    with pytest.raises(DecisionRefused, match="ada: did not vote"):
        gate.decide()


def test_who_must_sign_passes_once_the_signature_fits() -> None:
    gate = Gate("upgrade", {}, keys=[_ADA.verifier()])
    gate.sign("ada", True, key=_ADA)

    assert gate.decide()


def test_a_vote_that_the_record_would_not_keep_as_it_is_is_not_signed() -> None:
    gate = Gate("upgrade", {})
    with pytest.raises(ValueError, match="none could check it"):
        gate.sign("ada", True, "the password=hunter2hunter2 works", key=_ADA)


@pytest.mark.parametrize("lines", [["x"], ["# fine", "ada+00000000+AQ=="], [str(_ADA.text)]])
def test_a_line_that_is_no_key_is_named(lines: list[str]) -> None:
    with pytest.raises(CorruptError, match=f"line {len(lines)}"):
        parse_keys(lines)
