"""How a swarm records, as a type checker sees it. Type-checked, never run."""

from typing import assert_type
from uuid import UUID

import whence
from whence import swarm


def record_what_agents_do(log: whence.Log, task_id: UUID) -> None:
    """What identifies the target comes first; the rest has a name, or is metadata."""
    assert_type(swarm.spawn.wake("zealot-1", "session-42", session=42), str)
    sent = swarm.bridge.send("zealot-1", "#payments", 43, content="x", mood="calm")
    assert_type(sent, str)
    swarm.spawn.spawn("zealot-1", "haiku-1", caused_by=sent)
    swarm.spawn.spawn(agent_id="zealot-1", caused_by=sent)
    swarm.bridge.recv("zealot-1", "#payments", unreads=3)
    swarm.bridge.note("zealot-1", "#payments", content="x")
    swarm.ops.create_task("zealot-1", task_id, "parent", description="x", parent_event_id=sent)
    swarm.ops.decompose_task("zealot-1", task_id, subtasks=["a", 5])
    swarm.ops.decompose_task("zealot-1", task_id, subtasks=2)
    swarm.ops.claim_task(agent_id="haiku-1", task_id=7, links=[sent], private=True)
    swarm.ops.block_task("haiku-1", 7, reason="need API key")
    swarm.ops.complete_task("haiku-1", 7, result={"any": "value"})
    swarm.ops.reduce_task("haiku-1", 7)
    swarm.memory.add_entry("haiku-1", "m-1", "payments", content="x")
    swarm.memory.archive_entry("haiku-1", "m-1")
    swarm.memory.load("haiku-1", "payments", entries=12)
    swarm.knowledge.add_discovery("haiku-1", "k-1", "architecture")
    swarm.knowledge.archive_discovery("haiku-1", "k-1")
    assert_type(swarm.created(task_id), str | None)

    swarm.ops.claim_task("haiku-1")  # type: ignore[call-arg]
    swarm.ops.claim_task("haiku-1", ["t"])  # type: ignore[arg-type]
    swarm.ops.claim_task(5, "t")  # type: ignore[arg-type]
    swarm.ops.claim_task("haiku-1", "t", "more")  # type: ignore[call-arg]
    swarm.ops.claim_task("haiku-1", "t", private="yes")  # type: ignore[arg-type]
    swarm.bridge.recv("haiku-1", "#payments", unreads="3")  # type: ignore[arg-type]
    swarm.ops.decompose_task("haiku-1", "t", subtasks=0.5)  # type: ignore[arg-type]


def record_anything(log: whence.Log) -> None:
    """The seed's form takes any metadata, but checks what it knows."""
    task = swarm.emit("ops", "create_task", agent_id="zealot-1", task_id="t", urgent=True)
    assert_type(task, str)
    swarm.emit("billing", "charge", target_id=17, parent_event_id=task, durability="disk")
    whence.swarm.emit("billing", "charge", invoice_id="i-1", private=False)

    swarm.emit("ops")  # type: ignore[call-arg]
    swarm.emit("ops", 5)  # type: ignore[arg-type]
    swarm.emit("ops", "create_task", agent_id=5)  # type: ignore[arg-type]
    swarm.emit("ops", "create_task", durability="paper")  # type: ignore[arg-type]


def record_to_a_given_log(log: whence.Log) -> None:
    """A handle has what the room has."""
    mine = swarm.Swarm(log)
    assert_type(mine.emit("ops", "create_task", task_id="t"), str)
    assert_type(mine.ops.claim_task("haiku-1", "t"), str)
    assert_type(mine.created("t"), str | None)
    swarm.Swarm("folder")  # type: ignore[arg-type]


def record_in_private(log: whence.Log) -> None:
    """Spans can be private too."""
    with log.span("memory.search", private=True) as span:
        pass
    assert_type(span.id, str)
    log.span("memory.search", private="yes")  # type: ignore[arg-type]
