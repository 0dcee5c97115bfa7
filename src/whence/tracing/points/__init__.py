"""Trace points: one call for each thing that a layered assistant does, as seed 001 lists them.

    from whence.tracing import points

    points.altitude.transition(3, 2, reason="user requested tactical")

    with points.memory.write.span("altitude", "session", tier="warm") as step:
        ...
        step.note(tokens_saved=45)

Each point is a function that traces an event, and its `span` takes the same arguments and traces
what happens in its block; `note` gives what is known only later. Off, both are one look at a clock.
"""

from whence.tracing.points import altitude, focus, learning, memory, reasoning
from whence.tracing.points.calls import Facts, Point, Step, point

__all__ = [
    "Facts",
    "Point",
    "Step",
    "altitude",
    "focus",
    "learning",
    "memory",
    "point",
    "reasoning",
]
