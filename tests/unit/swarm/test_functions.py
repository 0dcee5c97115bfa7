"""Each event that the seed lists has a function, and reads as in the seed's timelines."""

from pathlib import Path
from typing import Any

import pytest

import whence
from tests.unit.swarm.swarming import said
from whence.swarm import Swarm

# What is called, with what; what is recorded; and what the timeline of all says.
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str | None, Any, str]] = [
    ("spawn.wake", ("a", "s-1"), {"session": 42}, "s-1", {"session": 42}, "a woke (session 42)"),
    ("spawn.wake", ("a", 42), {}, "42", {}, "a woke (session 42)"),
    ("spawn.wake", ("a",), {}, None, {}, "a woke"),
    ("spawn.sleep", ("a", "s-1"), {"session": 42}, "s-1", {"session": 42}, "a sleep"),
    ("spawn.spawn", ("a", "b"), {"role": "x"}, "b", {"role": "x"}, "a spawned b"),
    (
        "bridge.send", ("a", "#payments", 43), {"content": "Blocked on API key"}, "payments",
        {"message_id": 43, "content": "Blocked on API key"},
        'a posted to #payments: "Blocked on API key"',
    ),
    (
        "bridge.recv", ("a", "payments"), {"unreads": 3}, "payments", {"unreads": 3},
        "a read #payments (3 unreads)",
    ),
    (
        "bridge.note", ("a", "payments"), {"content": "x"}, "payments", {"content": "x"},
        'a noted in #payments: "x"',
    ),
    (
        "ops.create_task", ("a", "t", "up"), {"description": "Build"}, "t",
        {"parent_task_id": "up", "description": "Build"}, "t created by a",
    ),
    (
        "ops.decompose_task", ("a", "t"), {"subtasks": ["t1", "t2", "t3"]}, "t",
        {"subtasks": ["t1", "t2", "t3"]}, "t decomposed into 3 subtasks",
    ),
    (
        "ops.decompose_task", ("a", "t"), {"subtasks": 3}, "t", {"subtasks": 3},
        "t decomposed into 3 subtasks",
    ),
    ("ops.claim_task", ("a", "t"), {}, "t", {}, "t claimed by a"),
    (
        "ops.block_task", ("a", "t"), {"reason": "need API key"}, "t", {"reason": "need API key"},
        "t blocked (reason: need API key)",
    ),
    ("ops.complete_task", ("a", "t"), {"result": "ok"}, "t", {"result": "ok"}, "t completed"),
    ("ops.reduce_task", ("a", "t"), {"result": "ok"}, "t", {"result": "ok"}, 't reduced by a: "ok"'),
    (
        "memory.add_entry", ("a", "a:notes", "payments"), {"content": "stripe config issue"},
        "a:notes", {"topic": "payments", "content": "stripe config issue"},
        'a added "stripe config issue"',
    ),
    ("memory.archive_entry", ("a", "m"), {"reason": "old"}, "m", {"reason": "old"}, "a archived m"),
    (
        "memory.load", ("a", "payments"), {"entries": 12}, None,
        {"topic": "payments", "entries": 12}, "a loaded 12 entries (topic: payments)",
    ),
    (
        "knowledge.add_discovery", ("a", "k", "architecture"), {}, "k", {"domain": "architecture"},
        "a added domain=architecture",
    ),
    (
        "knowledge.archive_discovery", ("a", "k"), {"reason": "wrong"}, "k", {"reason": "wrong"},
        "a archived k",
    ),
]  # fmt: skip


def function(swarm: Swarm, name: str) -> Any:
    primitive, _, type = name.partition(".")
    return getattr(getattr(swarm, primitive), type)


@pytest.mark.parametrize(("name", "given", "named", "target", "data", "text"), CALLS)
def test_a_function_records_its_event(
    folder: Path,
    log: whence.Log,
    swarm: Swarm,
    name: str,
    given: tuple[Any, ...],
    named: dict[str, Any],
    target: str | None,
    data: Any,
    text: str,
) -> None:
    event_id = function(swarm, name)(*given, **named)

    assert said(folder) == (*name.split("."), "a", target, data)
    [row] = log.timeline().rows
    assert (row.event.id, row.text) == (event_id, text)


def test_every_event_of_the_seed_has_its_function() -> None:
    listed = set(
        "spawn.wake spawn.sleep spawn.spawn bridge.send bridge.recv bridge.note ops.create_task"
        " ops.claim_task ops.complete_task ops.block_task ops.reduce_task memory.add_entry"
        " memory.archive_entry knowledge.add_discovery knowledge.archive_discovery".split()
    )

    assert listed < {call[0] for call in CALLS}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("spawn.wake", "agent_id session_id"),
        ("spawn.sleep", "agent_id session_id"),
        ("spawn.spawn", "agent_id caused_by"),
        ("bridge.send", "agent_id channel_id message_id"),
        ("bridge.recv", "agent_id channel_id"),
        ("bridge.note", "agent_id channel_id"),
        ("ops.create_task", "agent_id task_id parent_task_id"),
        ("ops.claim_task", "agent_id task_id"),
        ("ops.complete_task", "agent_id task_id"),
        ("ops.block_task", "agent_id task_id"),
        ("ops.reduce_task", "agent_id task_id"),
        ("memory.add_entry", "agent_id memory_id topic"),
        ("memory.archive_entry", "agent_id memory_id"),
        ("knowledge.add_discovery", "agent_id knowledge_id domain"),
        ("knowledge.archive_discovery", "agent_id knowledge_id"),
    ],
)
def test_arguments_have_the_seeds_names_and_the_general_form_takes_them_too(
    folder: Path, swarm: Swarm, name: str, arguments: str
) -> None:
    given: dict[str, Any] = {argument: f"the-{argument}" for argument in arguments.split()}

    function(swarm, name)(**given)
    by_function = said(folder)
    swarm.emit(*name.split("."), **given)

    assert said(folder) == by_function


@pytest.mark.parametrize("name", sorted({call[0] for call in CALLS}))
def test_every_function_takes_a_cause_links_privacy_and_metadata(
    folder: Path, log: whence.Log, swarm: Swarm, name: str
) -> None:
    call = next(call for call in CALLS if call[0] == name)
    cause = log.emit("test", "cause")

    receipt = function(swarm, name)(
        *call[1], parent_event_id=cause, links=["l-1"], private=True, note="n"
    )

    event = next(event for event in log.events(whence.Query(type=call[0].split(".")[1])))
    assert (event.parent, event.links, event.private) == (cause, ("l-1",), True)
    assert receipt.check(event)
    assert b'"note":"n"' in receipt.payload
