"""What may leave: nothing without consent, no field beyond its scope, and no refusal that tells what it withheld."""

import dataclasses
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.decisions import bus as buses
from whence.decisions.bus import emit_event
from whence.decisions.consent import (
    WITHHELD,
    ConsentGuard,
    ConsentRefused,
    Scope,
    may_leave,
    parse_scope,
    withhold,
)
from whence.log import default
from whence.query import Query


@pytest.mark.parametrize("scope", [*Scope])
@pytest.mark.parametrize("destination", [*Scope])
def test_data_goes_no_further_than_its_scope(scope: Scope, destination: Scope) -> None:
    assert may_leave(scope.text, destination.text) == (destination <= scope)


@pytest.mark.parametrize("unknown", [None, "", "everywhere", 4, "edge"])
def test_no_scope_or_an_unknown_one_is_edge_only(unknown: Any) -> None:
    assert parse_scope(unknown) is Scope.EDGE_ONLY


def test_a_destination_is_never_guessed() -> None:
    with pytest.raises(ValueError, match="destination is 'mars'"):
        emit_event("t", {}, destination="mars")


def test_without_consent_nothing_leaves_and_the_refusal_is_an_event() -> None:
    heard: list[Any] = []
    buses.default_bus.on("t", lambda _, data: heard.append(data))

    assert emit_event("t", {"scope": "public", "secretish": 1}, destination="federated") == 0
    [refusal] = default().events(Query(primitive="consent"))
    assert heard == []
    assert refusal.data == {"topic": "t", "destination": "federated", "scope": "edge_only"}
    assert list(default().events(Query(primitive="bus"))) == []


def test_fields_of_a_smaller_scope_are_withheld_however_deep() -> None:
    guard = ConsentGuard()
    guard.allow("t", "federated", {"subject.user_id": "edge_only", "email": "user_devices"})
    data = {
        "subject": {"user_id": "u", "prompt_id": "p", "people": [{"email": "e", "n": 1}]},
        "user_id": "kept",
    }
    released = guard.release("t", data, "federated")

    assert released == {
        "subject": {"user_id": WITHHELD, "prompt_id": "p", "people": [{"email": WITHHELD, "n": 1}]},
        "user_id": "kept",
    }
    assert data["subject"]["user_id"] == "u"  # type: ignore[index]
    assert guard.release("t", data, "edge_only") is data
    with pytest.raises(ConsentRefused, match="its scope is federated"):
        guard.release("t", data, "public")


def test_a_refusal_names_rules_and_nothing_of_the_data() -> None:
    guard = ConsentGuard()
    guard.allow("t", "federated", {"people.*": "edge_only"})
    guard.release("t", {"people": {"Ada Lovelace": 1, "Alan Turing": 2}}, "federated")
    [refusal] = default().events(Query(primitive="consent"))

    assert refusal.data["withheld"] == ["people.*"]
    assert refusal.data["count"] == 2
    assert b"Ada" not in bytes(refusal.payload)


@dataclasses.dataclass
class _Person:
    user_id: str
    age: int


class _Struct(msgspec.Struct):
    user_id: str
    age: int


class _Tuple(NamedTuple):
    user_id: str
    age: int


class _Opaque:
    """Its fields cannot be told apart, and its text has them all."""

    def __repr__(self) -> str:
        return "Opaque(user_id='u-1')"


class _Unreadable(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "person",
    [
        {"user_id": "u-1", "age": 3}, _Person("u-1", 3), _Struct("u-1", 3), [_Person("u-1", 3)],
        {"a": (_Struct("u-1", 3),)}, _Opaque(), [{"x": _Opaque()}], {"deep": [[[_Person("u-1", 3)]]]},
        _Unreadable(user_id="u-1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rule", ["user_id", "subject.*user_id"])
def test_a_field_is_found_in_whatever_carries_it(person: Any, rule: str) -> None:
    released, rules, size = withhold({"subject": person}, Scope.PUBLIC, {rule: "edge_only"})

    assert "u-1" not in msgspec.json.encode(released).decode()
    assert (len(rules), size) == (1, 1)


@pytest.mark.parametrize("rule", ["subject.user_id", "subject.*.user_id", "subject.0.user_id"])
def test_a_path_reaches_into_lists(rule: str) -> None:
    data = {"subject": [{"user_id": "u-1", "n": 1}]}
    released, rules, _ = withhold(data, Scope.PUBLIC, {rule: "edge_only"})

    assert released == {"subject": [{"user_id": WITHHELD, "n": 1}]}
    assert rules == [rule]


def test_what_one_call_says_only_narrows() -> None:
    guard = ConsentGuard()
    guard.allow("t", "federated", {"user_id": "edge_only", "city": "federated"})
    data = {"user_id": "u", "city": "c"}

    widened = guard.release("t", data, "federated", fields={"user_id": "public"})
    assert widened == {"user_id": WITHHELD, "city": "c"}
    narrowed = guard.release("t", data, "federated", fields={"city": "edge_only"})
    assert narrowed == {"user_id": WITHHELD, "city": WITHHELD}
    with pytest.raises(ConsentRefused):
        guard.release("t", data, "public", scope="public")
    with pytest.raises(ConsentRefused):
        guard.release("t", data, "federated", scope="edge_only")
    # Where nobody gave consent for the topic, it is whose data it is who says.
    assert guard.release("u", data, "public", scope="public") is data


def test_what_contains_itself_leaves_without_what_is_withheld() -> None:
    data: dict[str, Any] = {"user_id": "u-1"}
    data["self"] = data
    released, _, _ = withhold(data, Scope.PUBLIC, {"user_id": "edge_only"})

    assert "u-1" not in msgspec.json.encode(released).decode()


def test_consent_is_given_in_so_many_words() -> None:
    with pytest.raises(ValueError, match="destination is 'everyone'"):
        ConsentGuard().allow("t", "everyone")


_values = st.recursive(
    st.just("SECRET") | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "user_id", "user_id.x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_values)
def test_nothing_under_a_withheld_key_is_left_in_any_shape(value: Any) -> None:
    """A slow second opinion: walk what was released."""
    released, _, _ = withhold(value, Scope.PUBLIC, {"user_id": "edge_only"})

    def walk(each: Any) -> None:
        if isinstance(each, dict):
            for key, inner in each.items():
                assert key != "user_id" or inner == WITHHELD
                walk(inner)
        elif isinstance(each, list):
            for inner in each:
                walk(inner)

    walk(released)
