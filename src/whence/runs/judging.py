"""From what a run was and what came of executing it again to a verdict. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from whence.runs.capturing import CapturedStep
from whence.runs.compare import (
    Comparison,
    Difference,
    Kind,
    Tolerance,
    compare,
    format_path,
    join,
)

Word = Literal[
    "IDENTICAL", "WITHIN_TOLERANCE", "DIVERGED", "NOT_DETERMINISTIC", "ENVIRONMENT_CHANGED",
    "NOT_REPLAYABLE",
]  # fmt: skip

IS_FINE: frozenset[Word] = frozenset(["IDENTICAL", "WITHIN_TOLERANCE"])

STANDARD: dict[str, Any] = {"overlays": {}, "variables": {}, "trust": None, "forks": []}
"""What an output has where nothing was said."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is not as it was when the run was recorded."""

    what: str
    then: Any
    now: Any


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: its steps, where they are known, and what came out."""

    id: str | None
    steps: tuple[CapturedStep, ...] | None
    output: Any


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found. `reason` says it in words where there is more to say than the word.

    `differences` are the first of `count`; the left value is the recorded one, of a verdict
    NOT_DETERMINISTIC that of the first execution.
    """

    word: Word
    run: str
    name: str | None = None
    reason: str | None = None
    differences: tuple[Difference, ...] = ()
    count: int = 0
    tolerated: int = 0
    changes: tuple[Change, ...] = ()
    trust: Any = None
    seconds: float = 0.0
    printed: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether the run replays."""
        return self.word in IS_FINE

    @property
    def first(self) -> Difference | None:
        """The first difference."""
        return self.differences[0] if self.differences else None


def judge(
    recorded: Doing, executions: Sequence[Doing], tolerances: Sequence[Tolerance], unlike: Word
) -> tuple[Word, Comparison]:
    """Compare a run with its executions, and these with one another; return what shows the verdict.

    `unlike` is the word for what came out otherwise, the same each time.
    """
    first, *others = executions
    against = [compare_doings(recorded, each, tolerances) for each in executions]
    among = [compare_doings(first, each, tolerances) for each in others]
    # Among themselves first: what depends on luck may be as recorded, by luck.
    apart = next((each for each in among if not each.is_same), None)
    if apart is not None:
        return "NOT_DETERMINISTIC", apart
    worst = next((each for each in against if not each.is_same), None)
    if worst is not None:
        return unlike, worst
    loosest = max(against, key=lambda each: each.tolerated)
    return ("WITHIN_TOLERANCE" if loosest.tolerated else "IDENTICAL"), loosest


def compare_doings(one: Doing, other: Doing, tolerances: Sequence[Tolerance] = ()) -> Comparison:
    """Compare the steps, where both are known, then what came out."""
    ids = (one.id, other.id)
    renamed = (ids[0], ids[1]) if ids[0] is not None and ids[1] is not None else None
    left, right = one.output, other.output
    if other.steps is None or one.steps is None:
        # A runner that records no run returns what it pleases; what it leaves out was not said.
        left, right = _fill(left, right), _fill(right, left)
    parts = [compare(left, right, at=("output",), tolerances=tolerances, renamed=renamed)]
    if one.steps is not None and other.steps is not None:
        parts.insert(0, compare_steps(one.steps, other.steps, tolerances, renamed))
    return join(parts)


def _fill(output: Any, like: Any) -> Any:
    if not isinstance(output, Mapping) or not isinstance(like, Mapping):
        return output
    left_out = {key: value for key, value in STANDARD.items() if key in like and key not in output}
    return {**output, **left_out}


def compare_steps(
    one: Sequence[CapturedStep],
    other: Sequence[CapturedStep],
    tolerances: Sequence[Tolerance],
    renamed: tuple[str, str] | None,
) -> Comparison:
    """Compare steps one by one: by their states where both are known, else by their digests."""
    parts = []
    for index in range(max(len(one), len(other))):
        left = one[index] if index < len(one) else None
        right = other[index] if index < len(other) else None
        if left is not None and right is not None and _is_same(left, right):
            continue
        at = ("steps", index)
        if left is None or right is None:
            before, after = (
                None if each is None else {"step": each.name} for each in (left, right)
            )
            kind: Kind = "added" if left is None else "missing"
            parts.append(Comparison((Difference(at, kind, before, after),), 1))
            # The others that one has more would only be told after the first.
            break
        pair = [_show(each, both=left.has_state and right.has_state) for each in (left, right)]
        parts.append(compare(*pair, at=at, tolerances=tolerances, renamed=renamed))
    return join(parts)


def _is_same(left: CapturedStep, right: CapturedStep) -> bool:
    return left.name == right.name and left.digest == right.digest


def _show(step: CapturedStep, *, both: bool) -> dict[str, Any]:
    """A step as it is compared: by its state where that is known of both, else by its digest."""
    return {"step": step.name, **({"state": step.state} if both else {"digest": step.digest})}


def say_difference(found: Difference) -> str:
    """Where two values differ, as text: `output.overlays.hope was 0.5, is 0.6`."""
    place, left, right = say_sides(found)
    before = "was not there" if left is None else f"was {left}"
    return f"{place} {before}, is {'not there' if right is None else right}"


def say_sides(found: Difference) -> tuple[str, str | None, str | None]:
    """The place of a difference and both values as text, None for one that is not there."""
    left = None if found.kind == "added" else _say(found.left)
    right = None if found.kind == "missing" else _say(found.right)
    return format_path(found.path), left, right


_SHOWN_MAX = 80


def _say(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"
