"""What the reasoning layer does: it classifies, chooses a strategy, escalates."""

from typing import Any

from whence.tracing.points.calls import Facts, point
from whence.tracing.points.words import Level, say_change, say_level


@point("reasoning")
def classify(
    input_type: str | None = None, confidence: float | None = None, **metadata: Any
) -> Facts:
    """An input is found to be of a type; give the input itself as `input`."""
    data = {"input_type": input_type, "confidence": confidence, **metadata}
    return Facts(None, input_type, data)


@point("reasoning")
def route(strategy: str | None = None, reason: str | None = None, **metadata: Any) -> Facts:
    """A strategy is chosen; give what it is chosen for as `input`."""
    data = {"strategy": strategy, "reason": reason, **metadata}
    return Facts(None, strategy, data)


@point("reasoning")
def escalate(
    from_level: Level, to_level: Level, trigger: str | None = None, **metadata: Any
) -> Facts:
    """A question is handed to another level."""
    change = say_change(say_level(from_level), say_level(to_level))
    data = {"from_level": from_level, "to_level": to_level, "trigger": trigger, **metadata}
    return Facts(change, "escalated", data)
