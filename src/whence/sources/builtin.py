"""Mappings for the files that the systems of the seeds wrote, by name or by the keys of their lines. Pure.

`trace` is the tracing file of seed 001 (one line for each step), `learning` the learning log of seed 002, and
`decisions` the daily decision files of seed 003.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from whence.query import LAYERS

TARGET = "(target)"
"""The key under which an object gets the target that was found in it; no file has it."""

Object = dict[str, Any]

_LEARNT = ("variable", "rule_id", "overlay", "asset", "key", "forecast_id", "variable_id")
"""What a learning event is about: the first of these in its data."""

_DECIDED = ("prompt_id", "agent_id", "task_id", "proposal_id", "id")
"""What a decision is about: the first of these in its subject."""


class Format(NamedTuple):
    """A kind of file: the keys that every line has, its mapping as somebody would write it.

    `prepare` is done to each object before the mapping sees it; `looks_at` are the keys that it reads.
    """

    keys: frozenset[str]
    options: Mapping[str, Any]
    prepare: Callable[[Object], Object]
    looks_at: tuple[str, ...] = ()


def recognise(objects: Iterable[Object]) -> str | None:
    """The format whose keys all of these objects have; None if there is none, or no object."""
    common: set[str] | None = None
    for each in objects:
        common = set(each) if common is None else common & set(each)
    fitting = (name for name, each in FORMATS.items() if common and each.keys <= common)
    return next(fitting, None)


def keep(row: Object) -> Object:
    """What is done to the objects of files that are no built-in format: nothing."""
    return row


def _prepare_trace(row: Object) -> Object:
    """Bring `altitude.transition` and `transition` together: the layer is told by itself."""
    layer, operation = row.get("hrm_layer"), row.get("operation")
    if isinstance(layer, str) and isinstance(operation, str):
        before, dot, after = operation.partition(".")
        if dot and after and before in (layer, LAYERS.get(layer)):
            return row | {"operation": after}
    return row


def _prepare_learning(row: Object) -> Object:
    return _add_target(row, row.get("data"), _LEARNT)


def _prepare_decision(row: Object) -> Object:
    return _add_target(row, row.get("subject"), _DECIDED)


def _add_target(row: Object, about: Any, names: Iterable[str]) -> Object:
    if isinstance(about, dict):
        for name in names:
            if isinstance(about.get(name), str | int):
                return row | {TARGET: about[name]}
    return row


FORMATS: dict[str, Format] = {
    "trace": Format(
        frozenset({"trace_id", "timestamp", "hrm_layer", "operation", "duration_ms", "status"}),
        {
            "id": "trace_id",
            "parent": "parent_id",
            "time": "timestamp",
            # They are written without a zone, by the clock of the machine that wrote them.
            "zone": "local",
            "primitive": "hrm_layer",
            "primitives": LAYERS,
            "type": "operation",
            "duration": "duration_ms",
            "status": "status",
            "text": "{input_summary} → {output_summary}",
        },
        _prepare_trace,
        ("hrm_layer", "operation"),
    ),
    "learning": Format(
        frozenset({"event_id", "timestamp", "event_type", "data"}),
        {
            "id": "event_id",
            "time": "timestamp",
            "zone": "UTC",
            "primitive": {"is": "learning"},
            "type": "event_type",
            "target": TARGET,
        },
        _prepare_learning,
        ("data",),
    ),
    "decisions": Format(
        frozenset({"timestamp", "action", "approved", "votes", "subject"}),
        {
            "time": "timestamp",
            "unit": "s",
            "primitive": {"is": "decision"},
            "type": "action",
            "target": TARGET,
            "status": "approved",
            "statuses": {"true": "success", "false": "blocked"},
            "text": "{type} {target}: {reason}",
        },
        _prepare_decision,
        ("subject",),
    ),
}
