"""From the seed's call form to `log.emit`: the target found, causes filled in, the rest metadata.

Nothing is copied on the way: the dictionary that Python makes of a call's own keywords becomes the
payload.
"""

import os
import threading
from pathlib import Path
from time import monotonic_ns
from typing import Any, Protocol
from weakref import WeakValueDictionary

from whence.log import Log, default
from whence.query import clean_target
from whence.settings import Durability
from whence.swarm.history import read_steps
from whence.swarm.plans import Id, Plan, get_plan, make_plan, name_target, write_id
from whence.swarm.tasks import Task, Tasks

# What every event may have beside metadata, but most have not: looked for all at once.
_RARE = frozenset(["target_id", "caused_by", "links", "private", "durability"])
# How much of the journal's end is searched for what other processes did; and after a search in vain,
# how many times as long as it took, but no longer than the other, there is none for a step's sake.
_LOOK_BACK_BYTES = 4 * 1024 * 1024
_LOOK_BACK_PAUSE = 100
_LOOK_BACK_PAUSE_NS_MAX = 1_000_000_000

# By folder, so that all handles of one log have the same memory; it goes when the last of them does.
# The lock guards it. Re-entrant, for a handler that interrupts its holder and records too.
_tasks_by_folder: "WeakValueDictionary[Path, Tasks]" = WeakValueDictionary()
_lock = threading.RLock()


class Emit(Protocol):
    """How to record one event in the seed's form; `Emitter._emit` tells the rest."""

    def __call__(
        self,
        primitive: str,
        type: str,
        /,
        *,
        agent_id: str | None = None,
        target_id: Id | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        durability: Durability | None = None,
        **metadata: Any,
    ) -> str:
        """Record one event and return its id."""
        ...


class Record(Protocol):
    """How the functions of one primitive record; `Emitter.record` tells the rest."""

    def __call__(
        self,
        plan: Plan,
        agent: str | None,
        target: Id | None,
        data: dict[str, Any],
        parent: str | None,
        private: bool | None,
    ) -> str:
        """Record one event and return its id."""
        ...


class Emitter:
    """Records a swarm's events to one log, or to the process's default log. Safe as that is."""

    def __init__(self, log: Log | None = None) -> None:
        self._log = log
        # Of the log used last: the default one may be closed and another opened.
        self._memory: tuple[Log | None, Tasks] = (None, Tasks())
        self.emit: Emit = self._emit

    def _emit(self, primitive: str, type: str, /, **metadata: Any) -> str:
        """Record one event and return its id.

        The target is `target_id`, else what the event is about by its primitive and type: `task_id`
        of ops, `channel_id` of bridge, `memory_id` and `knowledge_id` of entries, `session_id` of
        spawn, otherwise the one `<something>_id` that fits. `caused_by` is another word for
        `parent_event_id`; `links`, `private` and `durability` are those of `Recorder.emit`. Everything
        else is metadata and becomes the payload.

        Raises:
            TypeError: an event that the seed lists lacks its target, or an id is none.
            ValueError: the envelope cannot hold what is given, or two causes are named as one.
        """
        # What `Emit` declares is not declared here: Python would compare each key of the metadata with
        # the name of each declared argument.
        plan = get_plan((primitive, type)) or make_plan(primitive, type)
        agent = metadata.pop("agent_id", None)
        parent = metadata.pop("parent_event_id", None)
        target = metadata.pop(plan.key, None)
        return self.record(plan, agent, target, metadata, parent, None)

    def record(
        self,
        plan: Plan,
        agent: str | None,
        target: Id | None,
        data: dict[str, Any],
        parent: str | None,
        private: bool | None,
    ) -> str:
        """Record an event. `data` is ours to change, and may hold more than metadata."""
        links: tuple[str, ...] = ()
        durability = None
        if not _RARE.isdisjoint(data):
            target, parent, private, links, durability = _take_rare(
                plan, target, data, parent, private
            )
        name = target if target.__class__ is str else name_target(plan, target, data)
        log = self._log or default()
        step = plan.step
        if step is None or name is None:
            return log.emit(
                plan.primitive, plan.type, agent=agent, target=name, data=data or None,
                parent=parent, links=links, private=private, durability=durability,
            )  # fmt: skip
        if "#" in name:
            name = clean_target(name)
        memory = self._memory
        tasks = memory[1] if memory[0] is log else self._remember(log)
        task = tasks.get(name) if step != "create_task" else None
        if parent is None:
            around = log.cause_around()
            if step == "create_task":
                cause = _creation_above(log, tasks, data, is_sought=around is None)
            else:
                cause = None if task is None else task.cause_of(step)
                if (
                    (task is None or cause is task.created)
                    and around is None
                    and monotonic_ns() >= tasks.look_due_ns
                ):
                    # Another process may know something nearer, or all of it.
                    task = _look_back(log, tasks, name, task)
                    cause = None if task is None else task.cause_of(step)
            if cause is not None:
                if around is None:
                    parent = cause
                elif around != cause and cause not in links:
                    links = (*links, cause)
        event_id = log.emit(
            plan.primitive, plan.type, agent=agent, target=name, data=data or None,
            parent=parent, links=links, private=private, durability=durability,
        )  # fmt: skip
        # As plain text: the receipt of a private event holds what it says.
        plain_id = event_id if event_id.__class__ is str else str(event_id)
        (task or tasks.add(name)).note(step, plain_id)
        return event_id

    def created(self, task_id: Id) -> str | None:
        """The id of the event that created a task, also in another process; None if there is none.

        Reads the journal backward until it is found, however far back. From then on this process
        knows the task: its next claim, block or completion follows what was recorded of it so far.
        """
        log = self._log or default()
        name = clean_target(write_id("task_id", task_id))
        tasks = self._remember(log)
        known = tasks.get(name) or tasks.add(name)
        if known.created is None:
            known.replay(read_steps(log.folder, name))
        return known.created

    def _remember(self, log: Log) -> Tasks:
        with _lock:
            tasks = _tasks_by_folder.setdefault(log.folder, Tasks())
            self._memory = (log, tasks)
        return tasks


def _creation_above(log: Log, tasks: Tasks, data: dict[str, Any], *, is_sought: bool) -> str | None:
    """The creation of the parent task, if one is named; another process's only if it is sought."""
    named = data.get("parent_task_id")
    if named is None:
        return None
    name = clean_target(write_id("parent_task_id", named))
    above = tasks.get(name)
    if is_sought and (above is None or (above.created is None and not above.is_sought)):
        above = above or tasks.add(name)
        above.is_sought = True
        # All steps and not the new ones alone: the creation may stand before what is known.
        above.replay(read_steps(log.folder, name, _LOOK_BACK_BYTES))
    return None if above is None else above.created


def _look_back(log: Log, tasks: Tasks, name: str, known: Task | None) -> Task | None:
    """What is known of a task, with what other processes did to it since."""
    start_ns = monotonic_ns()
    steps = read_steps(log.folder, name, _LOOK_BACK_BYTES, known)
    if steps:
        known = known or tasks.add(name)
        known.replay(steps)
    else:
        end_ns = monotonic_ns()
        pause_ns = min(_LOOK_BACK_PAUSE * (end_ns - start_ns), _LOOK_BACK_PAUSE_NS_MAX)
        tasks.look_due_ns = end_ns + pause_ns
    return known


def _take_rare(
    plan: Plan,
    target: Id | None,
    data: dict[str, Any],
    parent: str | None,
    private: bool | None,
) -> tuple[Id | None, str | None, bool | None, Any, Durability | None]:
    """Take out of the metadata what is none."""
    named = data.pop("target_id", None)
    if named is not None:
        if target is not None:
            data[plan.key] = target
        target = named
    cause = data.pop("caused_by", None)
    if None not in (cause, parent) and cause != parent:
        raise ValueError(
            "parent_event_id and caused_by name two causes, want one; name others as links"
        )
    links = data.pop("links", None)
    return (
        target,
        parent if cause is None else cause,
        data.pop("private", private),
        () if links is None else links if isinstance(links, str) else tuple(links),
        data.pop("durability", None),
    )


def _after_fork() -> None:
    """Begin with a lock that no thread of the parent holds."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
