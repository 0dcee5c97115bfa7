"""How steps are traced, as a type checker sees it: checked, never run."""

from typing import assert_type

from whence.tracing import TraceContext, TraceEvent, add_argument, points, tracer
from whence.tracing.points import Facts, Step, point

__all__ = ["add_argument"]

with tracer.span("alt", "transition", "altitude.py", "L3→L2", level="debug") as ctx:
    assert_type(ctx, TraceContext | None)
    if ctx:
        ctx.set_output("success", reason="asked")
        ctx.block("no")
assert_type(tracer.event("foc", "gate_check", metadata={"reason": "asked"}), str | None)

assert_type(points.altitude.transition(3, "L2", reason="asked", agent="haiku-1"), str | None)
with points.memory.write.span("altitude", "session", tokens_saved=45) as step:
    assert_type(step, Step)
points.altitude.transition(3)  # type: ignore[call-arg]
points.memory.write("altitude", "session", tokens_saved="many")  # type: ignore[arg-type]
points.altitude.plan(from_level=3)  # type: ignore[call-arg]


@point("planner")
def split(goal: str, parts: int | None = None) -> Facts:
    """A point of a layer of one's own keeps its arguments."""
    return Facts(goal, parts, {"goal": goal})


split("tidy up", parts=3)
split(3)  # type: ignore[arg-type]


def show(event: TraceEvent) -> str:
    """The fields of the seed."""
    return f"{event.hrm_layer}.{event.operation}: {event.input_summary} {event.metadata}"
