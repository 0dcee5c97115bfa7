"""What a process remembers of a swarm's tasks, so that their events find their causes.

Only ids of events are kept, and of the tasks that were touched last. Nothing here takes a lock: each
step is a single operation on a dictionary or an attribute, so threads lose nothing of each other's
and a forked child finds it whole.
"""

from collections import OrderedDict

_TASKS_MAX = 10_000


class Task:
    """The events of one task that others follow from; None where this process knows of none."""

    __slots__ = ("blocked", "claimed", "created", "is_sought")

    def __init__(self) -> None:
        self.created: str | None = None
        self.claimed: str | None = None
        self.blocked: str | None = None
        """The block that nothing has answered yet."""
        self.is_sought = False
        """Whether its creation was looked for already, for a subtask's sake."""

    def cause_of(self, step: str) -> str | None:
        """What the next step follows from: a claim from the block that it answers, and so on."""
        if step == "claim_task":
            return self.blocked or self.created
        return self.created if step == "decompose_task" else self.claimed or self.created

    def is_known(self, event_id: str) -> bool:
        """Whether this event is remembered."""
        return event_id in (self.created, self.claimed, self.blocked)

    def note(self, step: str, event_id: str) -> None:
        """Remember that a step was taken."""
        if step == "claim_task":
            self.claimed, self.blocked = event_id, None
        elif step == "create_task":
            self.created, self.claimed, self.blocked = event_id, None, None
        elif step == "block_task":
            self.blocked = event_id
        elif step == "complete_task":
            self.blocked = None

    def replay(self, steps: list[tuple[str, str]]) -> None:
        """Remember steps of others, the first one first."""
        after = Task()
        after.created, after.claimed, after.blocked = self.created, self.claimed, self.blocked
        for step, event_id in steps:
            after.note(step, event_id)
        self.created, self.claimed, self.blocked = after.created, after.claimed, after.blocked


class Tasks:
    """The tasks of one log, by id. Share it between threads."""

    def __init__(self) -> None:
        self.look_due_ns = 0
        """Until then the journal is not asked again what others did."""
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._find = self._tasks.get
        self._touch = self._tasks.move_to_end

    def get(self, task_id: str) -> Task | None:
        """What is known of a task, which counts as touched."""
        task = self._find(task_id)
        if task is not None:
            try:
                self._touch(task_id)
            except KeyError:
                # Another thread's task took its place just now.
                pass
        return task

    def add(self, task_id: str) -> Task:
        """Begin to remember a task."""
        task = self._tasks.setdefault(task_id, Task())
        if len(self._tasks) > _TASKS_MAX:
            self._tasks.popitem(last=False)
        return task
