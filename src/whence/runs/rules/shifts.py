"""The moves of overlays and capital that a run tells, wherever in its output it does. Pure.

The seed's form: `{overlay, old_value, new_value, shift_type, rate | delta}` and
`{asset, old_value, new_value, delta}`. Their arithmetic can be checked to the last digit.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from whence.runs.rules.subject import AuditedRun, number

_SIGN = b'"old_value"'


class Shift(NamedTuple):
    """One move of one overlay or asset. `kind` is decay, adjustment or capital; `amount` its rate or delta."""

    path: str
    kind: str
    name: str
    old: float
    new: float
    amount: float


def find_shifts(run: AuditedRun) -> Iterator[Shift]:
    """Give the moves in the order in which the output tells them; those that are no numbers are left out."""
    # Most runs tell none, and then nobody walks through all they hold.
    if _SIGN not in run.raw:
        return
    stack: list[tuple[str, Any]] = [("output", run.output)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            shift = _read_shift(path, value)
            if shift is not None:
                yield shift
            inner = [(f"{path}.{key}", item) for key, item in value.items()]
        else:
            inner = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        stack += [each for each in reversed(inner) if isinstance(each[1], dict | list)]


def _read_shift(path: str, value: dict[str, Any]) -> Shift | None:
    if "overlay" in value:
        kind = value.get("shift_type")
        name, amount = value["overlay"], value.get("rate" if kind == "decay" else "delta")
    else:
        kind, name, amount = "capital", value.get("asset"), value.get("delta")
    numbers = [number(each) for each in (value.get("old_value"), value.get("new_value"), amount)]
    old, new, moved = numbers
    if kind not in ("decay", "adjustment", "capital") or not isinstance(name, str):
        return None
    if old is None or new is None or moved is None:
        return None
    return Shift(path, kind, name, old, new, moved)
