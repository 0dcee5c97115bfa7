"""Who votes: a person once, however spelt; nobody unseen; nobody in place of who has a key."""

from typing import Any

import pytest

import whence
from whence.decisions import DecisionRefused, gate
from whence.decisions.bus import EventBus
from whence.decisions.consent import ConsentGuard
from whence.decisions.decision import Decision, decision_of, voters_of
from whence.decisions.record import read_verdict
from whence.decisions.rules import fold_name, weighted
from whence.decisions.signatures import make_signer, parse_keys, verify_votes
from whence.query import Query


@pytest.mark.parametrize("other", ["Ada", "ada ", "ADA", "a\u200bda", "ａｄａ"])
def test_one_who_is_written_another_way_is_the_same_voter(other: str) -> None:
    with pytest.raises(DecisionRefused), gate("pay", {}, rule="2 of 3") as made:  # noqa: PT012
        made.vote("ada", True)
        with pytest.raises(ValueError, match="in another spelling"):
            made.vote(other, True)
    with pytest.raises(DecisionRefused), gate("pay", {}, rule="2 of 3") as made:  # noqa: PT012
        made.vote("Jürgen", True)
        with pytest.raises(ValueError, match="in another spelling"):
            made.vote("Ju\u0308rgen", True)
    assert fold_name("Jürgen") != fold_name("Jurgen")


def test_another_spelling_needs_the_signature_all_the_same() -> None:
    ada = make_signer("ada")
    with pytest.raises(DecisionRefused), gate("pay", {}, keys=[ada.verifier()]) as made:  # noqa: SIM117
        with pytest.raises(ValueError, match="in another spelling"):
            made.vote("Ada", True)


@pytest.mark.parametrize("name", ["$nobody", "$marks", "\u200b", " "])
def test_nobody_votes_unseen(name: str) -> None:
    with (
        pytest.raises(DecisionRefused),
        gate("pay", {}) as made,
        pytest.raises(ValueError, match="voter"),
    ):
        made.vote(name, True)


def test_what_is_no_signature_is_no_vote() -> None:
    made = gate("pay", {})
    signature: Any = "text"
    with pytest.raises(TypeError, match="signature is str"):
        made.vote("ada", True, signature=signature)
    with pytest.raises(DecisionRefused):
        made.decide()


def test_the_action_cannot_change_after_the_votes() -> None:
    with pytest.raises(DecisionRefused, match="action changed"), gate("harmless", {}) as made:  # noqa: PT012
        made.vote("ada", True)
        made.action = "drop_database"


def test_what_was_decided_is_not_entered_again() -> None:
    with gate("pay", {}) as made:
        made.vote("ada", True)
    with pytest.raises(ValueError, match="decided already"), made:
        pass


@pytest.mark.parametrize("approved", [float("nan"), 0.1, -1, 2])
def test_what_is_neither_yes_nor_no_is_no_verdict(approved: float) -> None:
    with pytest.raises(TypeError, match="want bool"):
        read_verdict(approved)


def test_weights_that_no_float_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="weight"):
        weighted({"a": 10**400}, 10**400)


@pytest.mark.parametrize("timestamp", [1e300, -1e300, 10**400, 1e18, -1, True, float("inf"), "x"])
def test_a_moment_that_no_clock_shows_is_that_of_the_event(timestamp: Any) -> None:
    log = whence.open()
    data = {"timestamp": timestamp, "approved": True}
    log.emit("decision", "x", data=data)
    [event] = log.events(Query(primitive="decision"))
    assert decision_of(event).timestamp == event.time_ns / 1_000_000_000


def test_a_signature_that_was_taken_away_does_not_fit() -> None:
    ada = make_signer("ada")
    with gate("pay", {"amount": 1}, keys=[ada.verifier()]) as made:
        made.sign("ada", True, key=ada)
    log = whence.open()
    [event] = log.events(Query(primitive="decision"))
    decision = decision_of(event)
    trusted = parse_keys([str(ada.verifier())])
    assert [each.state for each in verify_votes(decision, trusted)] == ["valid"]
    forged = [
        {"ada": {"passed": True, "reason": ""}},
        {"Ada": {"passed": True, "reason": ""}},
        [{"name": "ada", "passed": True}],
    ]
    for votes in forged:
        checks = verify_votes(type(decision)(**{**_fields(decision), "votes": votes}), trusted)
        assert [each.state for each in checks] == ["invalid"], votes


def test_each_vote_of_a_list_is_read_with_its_own_voter() -> None:
    ada = make_signer("ada")
    trusted = parse_keys([str(ada.verifier()), str(make_signer("Ada").verifier())])
    decision = Decision(
        id="x", timestamp=0.0, datetime_utc="", action="pay", approved=True, gate="g",
        votes=["junk", {"passed": False}, {"name": "bob", "passed": False}, {"name": "ada", "passed": True}],
    )  # fmt: skip
    checks = [(each.voter, each.passed, each.state) for each in verify_votes(decision, trusted)]
    assert checks == [
        ("?", None, "invalid"), ("?", None, "invalid"), ("bob", False, "unsigned"), ("ada", True, "invalid"),
    ]  # fmt: skip
    assert voters_of(decision.votes) == ["bob", "ada"]


def test_two_keys_whose_names_are_one_person_are_both_believed() -> None:
    one, other = make_signer("ada"), make_signer("Ada")
    for signer in (one, other):
        with gate("pay", {"amount": 1}, keys=[signer.verifier()]) as made:
            made.sign(signer.name, True, key=signer)
        [event] = whence.open().events(Query(primitive="decision"), newest_first=True, limit=1)
        trusted = parse_keys([str(one.verifier()), str(other.verifier())])
        assert [each.state for each in verify_votes(decision_of(event), trusted)] == ["valid"]


def _fields(decision: Any) -> dict[str, Any]:
    return {name: getattr(decision, name) for name in decision.__struct_fields__}


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("user[email]", {"user[email]": "a@b.c"}),
        ("user.email", {"x": {"user.email": "a@b.c"}}),
        ("user_id", {"User_ID": "a@b.c"}),
        ("USER.*", {"user": {"email": "a@b.c"}}),
    ],
)
def test_a_field_is_found_under_whatever_name_it_has(rule: str, data: dict[str, Any]) -> None:
    guard = ConsentGuard()
    guard.allow("t", "federated", {rule: "edge_only"})
    assert "a@b.c" not in str(guard.release("t", data, "federated"))


def test_a_listener_ends_nobodys_program() -> None:
    bus, heard = EventBus(), list[str]()

    def leave(_topic: str, _data: Any) -> None:
        raise SystemExit(3)

    bus.on("a", leave)
    bus.on("a", lambda topic, _: heard.append(topic))
    assert bus.emit("a") == 1
    assert heard == ["a"]
