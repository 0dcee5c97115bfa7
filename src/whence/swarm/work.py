"""`swarm.ops`: tasks, from their creation to their end."""

from collections.abc import Sequence
from typing import Any

from whence.swarm.emitter import Record
from whence.swarm.plans import (
    BLOCK_TASK,
    CLAIM_TASK,
    COMPLETE_TASK,
    CREATE_TASK,
    DECOMPOSE_TASK,
    REDUCE_TASK,
    Id,
)


class Ops:
    """Tasks; the task is the target. Causes are filled in where this process knows or finds them.

    A subtask is caused by its parent's creation, a claim by the block that it answers, else by the
    creation, and what follows by the claim. `parent_event_id` says otherwise; inside a span or a `cause`
    that one is the parent, and the task's own cause a link.
    """

    def __init__(self, record: Record) -> None:
        self._record = record

    def create_task(
        self,
        agent_id: str,
        task_id: Id,
        parent_task_id: Id | None = None,
        *,
        description: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """A task is made, perhaps as a part of another one."""
        if parent_task_id is not None:
            metadata["parent_task_id"] = parent_task_id
        if description is not None:
            metadata["description"] = description
        return self._record(CREATE_TASK, agent_id, task_id, metadata, parent_event_id, private)

    def decompose_task(
        self,
        agent_id: str,
        task_id: Id,
        *,
        subtasks: Sequence[Id] | int | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """A task is split into subtasks: how many, or which."""
        if subtasks is not None:
            metadata["subtasks"] = subtasks
        return self._record(DECOMPOSE_TASK, agent_id, task_id, metadata, parent_event_id, private)

    def claim_task(
        self,
        agent_id: str,
        task_id: Id,
        *,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent takes a task on."""
        return self._record(CLAIM_TASK, agent_id, task_id, metadata, parent_event_id, private)

    def block_task(
        self,
        agent_id: str,
        task_id: Id,
        *,
        reason: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """A task cannot go on."""
        if reason is not None:
            metadata["reason"] = reason
        return self._record(BLOCK_TASK, agent_id, task_id, metadata, parent_event_id, private)

    def complete_task(
        self,
        agent_id: str,
        task_id: Id,
        *,
        result: Any = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """A task is done."""
        if result is not None:
            metadata["result"] = result
        return self._record(COMPLETE_TASK, agent_id, task_id, metadata, parent_event_id, private)

    def reduce_task(
        self,
        agent_id: str,
        task_id: Id,
        *,
        result: Any = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """The results of a task's parts become one."""
        if result is not None:
            metadata["result"] = result
        return self._record(REDUCE_TASK, agent_id, task_id, metadata, parent_event_id, private)
