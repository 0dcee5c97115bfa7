"""What learning events say of change: of which variable, rule, overlay or asset, from what to what. Pure.

Events of any shape are read: one that says nothing of a change is still something that happened, under its type.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from whence.event import Event

PRIMITIVE = "learning"

KINDS = ("variable", "rule", "overlay", "capital", "trust", "effectiveness", "forecast", "event")
"""What can change, in the order in which it is shown; an `event` is what says nothing of a change."""

WEIGHT, OVERLAY, CAPITAL = "variable_weight_update", "overlay_shift", "capital_shift"
ACTIVATION, METRICS = "rule_activation", "bayesian_trust_metrics"

_SHAPES: dict[str, tuple[str, str, str, str]] = {
    WEIGHT: ("variable", "variable", "from", "to"),
    OVERLAY: ("overlay", "overlay", "old_value", "new_value"),
    CAPITAL: ("capital", "asset", "old_value", "new_value"),
    ACTIVATION: ("rule", "rule_id", "", "success"),
    METRICS: ("trust", "key", "", "trust"),
    "rule_effectiveness": ("effectiveness", "rule_id", "", "success_rate"),
    "forecast_scored": ("forecast", "forecast_id", "", "score"),
}
"""By type: the kind of what changed, and the keys of its name, its value before and after."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `value` is what it came to, for a rule 1 where it did well and 0 where not."""

    event_id: str
    time_ns: int
    type: str
    kind: str
    name: str
    before: float | None = None
    value: float | None = None
    variable: str | None = None
    rule: str | None = None


class Course:
    """How one thing changed over time: its points, newest last, and how many there were in all.

    With `kept` only so many of the newest are remembered. A rule's value is its share of successes so far.
    """

    def __init__(self, kind: str, name: str, kept: int | None = None) -> None:
        self.kind = kind
        self.name = name
        self.size = 0
        self.first: float | None = None
        self.points: deque[tuple[int, float | None, str]] = deque(maxlen=kept)
        self._successes = 0.0
        self._trials = 0

    @property
    def last(self) -> float | None:
        """What it came to."""
        return self.points[-1][1] if self.points else None

    def add(self, change: Change) -> None:
        """Take the next change."""
        value = change.value
        if self.kind == "rule" and value is not None:
            self._trials += 1
            self._successes += value
            value = self._successes / self._trials
        if not self.size:
            self.first = value if change.before is None else change.before
        self.size += 1
        self.points.append((change.time_ns, value, change.event_id))


def read_change(event: Event) -> Change | None:
    """What an event of the learning log says; None for a step of a tracer's learning layer."""
    if event.primitive != PRIMITIVE or event.duration is not None:
        return None
    data = learnt_of(event)
    kind, name_key, before_key, after_key = _SHAPES.get(event.type, ("event", "", "", ""))
    name = _text(data.get(name_key)) or event.target
    if kind == "event" or name is None:
        kind, name = "event", event.type
    return Change(
        event_id=event.id, time_ns=event.time_ns, type=event.type, kind=kind, name=name,
        before=read_number(data.get(before_key)), value=read_number(data.get(after_key)),
        variable=_text(data.get("variable")) or _text(data.get("variable_id")),
        rule=_text(data.get("rule_id")),
    )  # fmt: skip


def gather(changes: Iterable[Change], kept: int | None = None) -> list[Course]:
    """The course of each thing that changed, by kind, and within it those that changed most first."""
    courses: dict[tuple[str, str], Course] = {}
    for change in changes:
        place = change.kind, change.name
        course = courses.get(place)
        if course is None:
            course = courses[place] = Course(*place, kept)
        course.add(change)
    return sorted(courses.values(), key=lambda one: (KINDS.index(one.kind), -one.size, one.name))


def learnt_of(event: Event) -> dict[str, Any]:
    """What was learnt, which stands beside its context; empty where it is gone or of another shape."""
    data = event.data
    if isinstance(data, dict) and isinstance(data.get("data"), dict):
        data = data["data"]
    return data if isinstance(data, dict) else {}


def read_number(value: object) -> float | None:
    """A finite number, also a bool as 0 or 1; None for anything else."""
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def thin(
    points: Sequence[tuple[int, float | None, str]], most: int
) -> list[tuple[int, float, str]]:
    """At most so many of the points that have a value: of each stretch its lowest and its highest, and both ends.

    No point is made up: each is one that an event stands for.
    """
    known = [(when, value, event_id) for when, value, event_id in points if value is not None]
    if len(known) <= most:
        return known
    stretches = max(1, (most - 2) // 2)
    chosen = {0, len(known) - 1}
    for stretch in range(stretches):
        share = range(stretch * len(known) // stretches, (stretch + 1) * len(known) // stretches)
        chosen.add(min(share, key=lambda at: known[at][1]))
        chosen.add(max(share, key=lambda at: known[at][1]))
    return [known[at] for at in sorted(chosen)]


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value)
