"""What the altitude layer does: it changes its level, evaluates and makes plans, executes."""

from typing import Any

from whence.tracing.points.calls import Facts, point
from whence.tracing.points.words import Level, say_change, say_level


@point("altitude")
def transition(
    from_level: Level, to_level: Level, reason: str | None = None, **metadata: Any
) -> Facts:
    """The level changes: `L3→L2`."""
    change = say_change(say_level(from_level), say_level(to_level))
    data = {"from_level": from_level, "to_level": to_level, "reason": reason, **metadata}
    return Facts(change, "success", data)


@point("altitude")
def evaluate(
    altitude: Level,
    verdict: str | None = None,
    confidence: float | None = None,
    **metadata: Any,
) -> Facts:
    """A plan is evaluated at an altitude, with a verdict."""
    data = {"altitude": altitude, "verdict": verdict, "confidence": confidence, **metadata}
    return Facts(say_level(altitude), verdict, data)


@point("altitude")
def plan(altitude: Level, intent: str, plan_summary: str | None = None, **metadata: Any) -> Facts:
    """A plan is made at an altitude, for an intent."""
    data = {"altitude": altitude, "intent": intent, "plan_summary": plan_summary, **metadata}
    return Facts(f"{say_level(altitude)} {intent}", plan_summary, data)


@point("altitude")
def execute(altitude: Level, action_type: str, **metadata: Any) -> Facts:
    """An action begins at an altitude."""
    data = {"altitude": altitude, "action_type": action_type, **metadata}
    return Facts(f"{say_level(altitude)} {action_type}", None, data)
