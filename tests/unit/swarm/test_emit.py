"""The seed's call form: what identifies the target is found, the rest is metadata."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.unit.recorder.recording import read_events
from tests.unit.swarm.swarming import last, said
from whence.swarm import Swarm
from whence.swarm.plans import LISTED, name_target

_KEYS = {
    "spawn": "session_id", "bridge": "channel_id", "ops": "task_id", "memory": "memory_id",
    "knowledge": "knowledge_id",
}  # fmt: skip

# --- targets --------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", LISTED, ids=lambda plan: f"{plan.primitive}.{plan.type}")
def test_a_listed_event_is_about_what_the_seed_says(folder: Path, swarm: Swarm, plan: Any) -> None:
    ids: dict[str, Any] = {
        f"{name}_id": f"{name}-1"
        for name in ("task", "channel", "memory", "knowledge", "session", "message", "spawned")
    }

    swarm.emit(plan.primitive, plan.type, agent_id="a", **ids)

    key = {"spawn": "spawned_id", "load": ""}.get(plan.type, _KEYS[plan.primitive])
    target: str | None = ids.pop(key, None)
    assert said(folder) == (plan.primitive, plan.type, "a", target, ids)


def test_a_message_is_about_its_channel(folder: Path, swarm: Swarm) -> None:
    swarm.emit("bridge", "send", agent_id="a", channel_id="#payments", message_id=43, content="x")

    assert said(folder) == ("bridge", "send", "a", "payments", {"message_id": 43, "content": "x"})


@pytest.mark.parametrize("primitive", _KEYS)
def test_an_event_that_the_seed_does_not_list_is_about_what_its_primitive_is(
    folder: Path, swarm: Swarm, primitive: str
) -> None:
    ids: dict[str, Any] = {_KEYS[primitive]: "x", "message_id": 5}

    swarm.emit(primitive, "other", **ids)

    assert said(folder) == (primitive, "other", None, "x", {"message_id": 5})


@pytest.mark.parametrize(
    ("primitive", "type", "metadata", "target"),
    [
        ("billing", "charge", {"invoice_id": "i-1", "amount": 5}, "i-1"),
        ("billing", "charge", {"invoice_id": 17}, "17"),
        ("billing", "charge", {"amount": 5}, None),
        ("billing", "charge", {"invoice_id": None}, None),
        ("billing", "charge", {"invoice_id": ["i-1"]}, None),
        ("billing", "charge", {"invoice_id": ""}, None),
        ("billing", "charge", {"invoice_id": True}, None),
        # Several fit none, unless one is spoken of.
        ("billing", "charge", {"invoice_id": "i-1", "customer_id": "c-1"}, None),
        ("billing", "charge_invoice", {"invoice_id": "i-1", "customer_id": "c-1"}, "i-1"),
        ("customers", "call", {"invoice_id": "i-1", "customer_id": "c-1"}, "c-1"),
        ("customer", "pay-invoice", {"invoice_id": "i-1", "customer_id": "c-1"}, None),
        # What something hangs on is not what happened.
        ("billing", "charge", {"invoice_id": "i-1", "parent_invoice_id": "i-0"}, "i-1"),
        ("billing", "charge", {"parent_invoice_id": "i-0"}, None),
    ],
)
def test_any_other_event_is_about_the_one_thing_that_fits(
    folder: Path,
    swarm: Swarm,
    primitive: str,
    type: str,
    metadata: dict[str, Any],
    target: str | None,
) -> None:
    swarm.emit(primitive, type, **metadata)

    event = last(folder)
    rest = {key: value for key, value in metadata.items() if str(value) != target}
    assert (event.target, event.data) == (target, rest)


def test_a_target_that_is_named_as_such_comes_first(folder: Path, swarm: Swarm) -> None:
    swarm.emit("ops", "claim_task", target_id="t-1", task_id="t-2")
    assert said(folder) == ("ops", "claim_task", None, "t-1", {"task_id": "t-2"})

    swarm.emit("billing", "charge", target_id="i-1", invoice_id="i-2")
    assert said(folder) == ("billing", "charge", None, "i-1", {"invoice_id": "i-2"})


@pytest.mark.parametrize("value", [42, uuid.UUID(int=5)])
def test_numbers_and_uuids_are_written_as_text(folder: Path, swarm: Swarm, value: Any) -> None:
    swarm.emit("ops", "create_task", task_id=value)

    assert last(folder).target == str(value)


# --- everything else ------------------------------------------------------------------------


def test_the_seeds_own_example(folder: Path, swarm: Swarm) -> None:
    parent_event = swarm.emit("ops", "create_task", task_id="parent")
    sub_event = swarm.emit("ops", "create_task", task_id="child", parent_event_id=parent_event)

    parent, child = read_events(folder)
    assert (parent.id, child.id) == (parent_event, sub_event)
    assert (child.target, child.parent) == ("child", parent_event)


def test_caused_by_is_another_word_for_the_parent(folder: Path, swarm: Swarm) -> None:
    swarm.emit("spawn", "spawn", agent_id="a", caused_by="x")
    assert last(folder).parent == "x"
    swarm.emit("spawn", "spawn", agent_id="a", caused_by="x", parent_event_id="x")
    assert last(folder).parent == "x"


def test_metadata_may_have_any_name(folder: Path, swarm: Swarm) -> None:
    data: dict[str, Any] = {
        "self": 1,
        "primitive": 2,
        "type": 3,
        "data": 4,
        "agent": 5,
        "plan": 6,
        "": 7,
    }

    swarm.emit("ops", "create_task", task_id="t", **data)

    assert last(folder).data == data


def test_what_the_caller_gives_is_not_changed(swarm: Swarm) -> None:
    given: dict[str, Any] = {
        "task_id": "t",
        "agent_id": "a",
        "links": ["x"],
        "nested": {"password": "x"},
    }
    before = repr(given)

    swarm.emit("ops", "create_task", **given)

    assert repr(given) == before


def test_a_promise_for_the_disk_is_no_metadata(folder: Path, swarm: Swarm) -> None:
    swarm.emit("ops", "create_task", task_id="t", durability="disk")

    assert last(folder).data == {}
    with pytest.raises(ValueError, match="durability is 'paper'"):
        swarm.emit("ops", "create_task", task_id="t", durability="paper")  # type: ignore[arg-type]


_names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9)
_metadata = st.dictionaries(
    st.text(max_size=9).filter(
        lambda key: (
            not key.endswith("_id") and key not in ("caused_by", "links", "private", "durability")
        )
    ),
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=9),
    max_size=4,
)


@given(
    plan=st.sampled_from([plan for plan in LISTED if plan.key]),
    agent=st.none() | _names,
    target=_names | st.integers(0, 99),
    parent=_names,
    links=st.lists(_names, max_size=2),
    metadata=_metadata,
)
def test_it_records_what_the_log_would_of_the_translated_arguments(
    tmp_path_factory: pytest.TempPathFactory,
    plan: Any,
    agent: str | None,
    target: Any,
    parent: str,
    links: list[str],
    metadata: dict[str, Any],
) -> None:
    with whence.open(tmp_path_factory.mktemp("log")) as log:
        Swarm(log).emit(
            plan.primitive, plan.type, agent_id=agent, parent_event_id=parent, links=links,
            **{plan.key: target}, **metadata,
        )  # fmt: skip
        log.emit(
            plan.primitive, plan.type, agent=agent, target=str(target), data=metadata or None,
            parent=parent, links=links,
        )  # fmt: skip

    ours, theirs = read_events(log.folder)
    for name in ("primitive", "type", "agent", "target", "data", "parent", "links", "private"):
        assert getattr(ours, name) == getattr(theirs, name)


# --- where ----------------------------------------------------------------------------------


def test_without_a_log_it_is_the_default_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        monkeypatch.setenv("WHENCE_DIR", str(tmp_path / name))
        created = whence.swarm.ops.create_task("a", "t")
        whence.swarm.emit("ops", "claim_task", agent_id="a", task_id="t")
        assert whence.swarm.created("t") == created
        whence.close()

        creation, claim = read_events(tmp_path / name)
        assert (creation.id, claim.parent) == (created, created)


def test_all_that_the_room_offers_is_there() -> None:
    assert all(getattr(whence.swarm, name) for name in whence.swarm.__all__)


# --- misuse ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan"), [plan for plan in LISTED if plan.is_required], ids=lambda plan: plan.type
)
def test_a_listed_event_without_its_target_is_refused(
    folder: Path, swarm: Swarm, plan: Any
) -> None:
    wanted = rf"{plan.primitive}\.{plan.type} has no target, want {plan.key} or target_id"
    with pytest.raises(TypeError, match=wanted):
        swarm.emit(plan.primitive, plan.type, agent="a", other_id="x")
    with pytest.raises(TypeError, match=wanted):
        name_target(plan, None, {})

    assert not folder.exists()


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"task_id": ["t"]}, TypeError, "task_id is list, want text, a whole number or a UUID"),
        ({"task_id": True}, TypeError, "task_id is bool"),
        ({"task_id": 0.5}, TypeError, "task_id is float"),
        ({"task_id": ""}, ValueError, "target is empty"),
        ({"task_id": "t", "agent_id": 5}, TypeError, "agent is int, want str"),
        ({"task_id": "t", "parent_event_id": 5}, TypeError, "parent is int, want str"),
        ({"task_id": "t", "parent_task_id": {}}, TypeError, "parent_task_id is dict"),
        ({"task_id": "t", "links": "x"}, TypeError, "links is str, want a list of ids"),
        ({"task_id": "t", "links": [5]}, TypeError, "link is int"),
        (
            {"task_id": "t", "parent_event_id": "x", "caused_by": "y"}, ValueError,
            "parent_event_id and caused_by name two causes",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_is_refused_with_what_is_wanted(
    swarm: Swarm, fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        swarm.emit("ops", "create_task", **fields)


def test_what_is_refused_is_not_remembered(folder: Path, swarm: Swarm) -> None:
    with pytest.raises(TypeError):
        swarm.emit("ops", "create_task", task_id="t", agent_id=5)  # type: ignore[arg-type]
    swarm.emit("ops", "claim_task", task_id="t")

    assert last(folder).parent is None
