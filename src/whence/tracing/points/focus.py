"""What the focus layer does: it takes stances and lanes, checks gates and consent, routes signals."""

from collections.abc import Sequence
from typing import Any

from whence.tracing.points.calls import Facts, point
from whence.tracing.points.words import is_refusal, say_allowed, say_change


@point("focus")
def stance_change(
    from_stance: str, to_stance: str, gate: str | None = None, **metadata: Any
) -> Facts:
    """The stance changes, through a gate: `sensemaking→execution`."""
    data = {"from_stance": from_stance, "to_stance": to_stance, "gate": gate, **metadata}
    return Facts(say_change(from_stance, to_stance), "changed", data)


@point("focus")
def gate_check(
    gate_type: str,
    decision: bool | str | None = None,
    reason: str | None = None,
    **metadata: Any,
) -> Facts:
    """A gate is checked. A decision that refuses makes the status `blocked`."""
    said = say_allowed(decision)
    data = {"gate_type": gate_type, "decision": said, "reason": reason, **metadata}
    return Facts(gate_type, said, data, is_refusal(decision))


@point("focus")
def lane_switch(from_lane: str, to_lane: str, reason: str | None = None, **metadata: Any) -> Facts:
    """The work goes to another lane."""
    data = {"from_lane": from_lane, "to_lane": to_lane, "reason": reason, **metadata}
    return Facts(say_change(from_lane, to_lane), "switched", data)


@point("focus")
def consent_check(operation: str, allowed: bool | None = None, **metadata: Any) -> Facts:
    """Somebody's consent to an operation is looked for. Without it the status is `blocked`."""
    data = {"operation": operation, "allowed": allowed, **metadata}
    return Facts(operation, say_allowed(allowed), data, is_refusal(allowed))


@point("focus")
def route(
    signal_type: str,
    bundle: str | None = None,
    agents: Sequence[str] | None = None,
    **metadata: Any,
) -> Facts:
    """A signal is routed to a bundle of agents."""
    data = {"signal_type": signal_type, "bundle": bundle, "agents": agents, **metadata}
    return Facts(signal_type, bundle, data)
