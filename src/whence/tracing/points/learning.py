"""What the learning layer does: it finds, adds, trims and generalises patterns."""

from collections.abc import Sequence
from typing import Any

from whence.tracing.layers import as_text
from whence.tracing.points.calls import Facts, point


@point("learning")
def pattern_match(pattern_code: str, confidence: float | None = None, **metadata: Any) -> Facts:
    """A pattern is recognised."""
    data = {"pattern_code": pattern_code, "confidence": confidence, **metadata}
    return Facts(pattern_code, "matched", data)


@point("learning")
def pattern_add(pattern_code: str, source: str | None = None, **metadata: Any) -> Facts:
    """A new pattern is learnt."""
    return Facts(
        pattern_code, "added", {"pattern_code": pattern_code, "source": source, **metadata}
    )


@point("learning")
def pattern_trim(pattern_code: str, reason: str | None = None, **metadata: Any) -> Facts:
    """A pattern is given up."""
    data = {"pattern_code": pattern_code, "reason": reason, **metadata}
    return Facts(pattern_code, "trimmed", data)


@point("learning")
def generalize(
    from_patterns: Sequence[str], to_pattern: str | None = None, **metadata: Any
) -> Facts:
    """Several patterns become one."""
    named = (
        from_patterns if isinstance(from_patterns, str) else ", ".join(map(as_text, from_patterns))
    )
    data = {"from_patterns": from_patterns, "to_pattern": to_pattern, **metadata}
    return Facts(named, to_pattern, data)
