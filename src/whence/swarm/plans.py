"""What each event of a swarm is about: which of the caller's words is its target. Pure.

The events of seed 004 are listed. Another event of its primitives is about what that primitive's
events are about, and any other about the one `<something>_id` that it names; of several, the one
that its primitive or type speaks of.
"""

import re
from typing import Any
from uuid import UUID

import msgspec

Id = str | int | UUID
"""What a system calls its things; written as text."""

_IDS = (str, int, UUID)
_PLANS_MAX = 10_000


class Plan(msgspec.Struct, frozen=True):
    """How the events of one primitive and type are recorded.

    `key` is the argument that names the target, empty if there is none. `step` is set for what
    happens to a task and is remembered.
    """

    primitive: str
    type: str
    key: str
    is_listed: bool = False
    is_required: bool = False
    step: str | None = None


_KEYS = {
    "spawn": "session_id",
    "bridge": "channel_id",
    "ops": "task_id",
    "memory": "memory_id",
    "knowledge": "knowledge_id",
}


def _listed(primitive: str, type: str, *, key: str = "", required: bool = True) -> Plan:
    step = type if primitive == "ops" else None
    return Plan(primitive, type, key or _KEYS[primitive], True, required, step)


WAKE = _listed("spawn", "wake", required=False)
SLEEP = _listed("spawn", "sleep", required=False)
SPAWN = _listed("spawn", "spawn", key="spawned_id", required=False)
SEND = _listed("bridge", "send")
RECV = _listed("bridge", "recv")
NOTE = _listed("bridge", "note")
CREATE_TASK = _listed("ops", "create_task")
DECOMPOSE_TASK = _listed("ops", "decompose_task")
CLAIM_TASK = _listed("ops", "claim_task")
BLOCK_TASK = _listed("ops", "block_task")
COMPLETE_TASK = _listed("ops", "complete_task")
REDUCE_TASK = _listed("ops", "reduce_task")
ADD_ENTRY = _listed("memory", "add_entry")
ARCHIVE_ENTRY = _listed("memory", "archive_entry")
LOAD = Plan("memory", "load", "", is_listed=True)
ADD_DISCOVERY = _listed("knowledge", "add_discovery")
ARCHIVE_DISCOVERY = _listed("knowledge", "archive_discovery")

LISTED = (
    WAKE, SLEEP, SPAWN, SEND, RECV, NOTE, CREATE_TASK, DECOMPOSE_TASK, CLAIM_TASK, BLOCK_TASK,
    COMPLETE_TASK, REDUCE_TASK, ADD_ENTRY, ARCHIVE_ENTRY, LOAD, ADD_DISCOVERY, ARCHIVE_DISCOVERY,
)  # fmt: skip

_plans = {(plan.primitive, plan.type): plan for plan in LISTED}
get_plan = _plans.get


def make_plan(primitive: str, type: str) -> Plan:
    """Plan for events that no seed lists, and remember it."""
    plan = Plan(primitive, type, _KEYS.get(primitive, ""))
    if len(_plans) < _PLANS_MAX:
        _plans[primitive, type] = plan
    return plan


def _named_thing(plan: Plan, metadata: dict[str, Any]) -> str | None:
    names = [name for name in metadata if name[-3:] == "_id"]
    if names:
        names = [name for name in names if name[:7] != "parent_" and _is_id(metadata[name])]
    if len(names) > 1:
        words = set(re.split(r"[\W_]+", f"{plan.primitive} {plan.type}".lower()))
        names = [name for name in names if not words.isdisjoint((name[:-3], f"{name[:-3]}s"))]
    return names[0] if len(names) == 1 else None


def _is_id(value: object) -> bool:
    return isinstance(value, _IDS) and not isinstance(value, bool) and value != ""


def name_target(plan: Plan, target: object, metadata: dict[str, Any]) -> str | None:
    """Write a target as text, which is taken out of the metadata if it is not given.

    TypeError for what is no id, or if a listed event lacks its target.
    """
    name = plan.key or "target_id"
    if target is None and not plan.is_listed:
        name = _named_thing(plan, metadata) or name
        target = metadata.pop(name, None)
    if target is not None:
        return write_id(name, target)
    if plan.is_required:
        raise TypeError(f"{plan.primitive}.{plan.type} has no target, want {name} or target_id")
    return None


def write_id(name: str, value: object) -> str:
    """Write an id as text; TypeError for what is none."""
    if isinstance(value, str):
        return value
    if not _is_id(value):
        raise TypeError(f"{name} is {type(value).__name__}, want text, a whole number or a UUID")
    return str(value)
