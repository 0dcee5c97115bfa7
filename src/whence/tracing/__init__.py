"""Steps of a layered assistant, traced where that is switched on: seed 001 without its faults.

    from whence.tracing import tracer

    with tracer.span("alt", "transition", "altitude.py", "L3→L2") as ctx:
        if ctx:
            ctx.set_output("success", reason="user requested tactical")

Off unless `WHENCE_TRACE=1`, `--trace` (`add_argument`) or the settings say so. `whence.span` is the
same for programs of any shape, and always records.
"""

from whence.tracing.events import TraceEvent
from whence.tracing.flag import add_argument
from whence.tracing.spans import TraceContext, Tracer

tracer = Tracer()

__all__ = ["TraceContext", "TraceEvent", "Tracer", "add_argument", "tracer"]
