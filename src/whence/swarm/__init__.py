"""What a swarm of agents does, as events: agents, channels, tasks, memories, discoveries.

    from whence import swarm

    task = swarm.ops.create_task("zealot-1", "task-abc123", description="Build payment system")
    swarm.ops.create_task("zealot-1", "task-sub1", "task-abc123")       # caused by the first
    swarm.bridge.send("haiku-1", "#payments", 43, content="Blocked on API key")
    swarm.emit("ops", "claim_task", agent_id="haiku-1", task_id="task-sub1")   # in seed 004's form

A function for each event that the seed lists, by primitive, and `emit` for these and any other.
All record to the process's default log, as `whence.emit` does; `Swarm(log)` has the same for another.
"""

from whence.swarm.handle import Swarm

_default = Swarm()

emit = _default.emit
created = _default.created
spawn = _default.spawn
bridge = _default.bridge
ops = _default.ops
memory = _default.memory
knowledge = _default.knowledge

__all__ = ["Swarm", "bridge", "created", "emit", "knowledge", "memory", "ops", "spawn"]
