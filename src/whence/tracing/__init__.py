"""Steps of a layered assistant, traced where that is switched on: seed 001 without its faults.

    from whence.tracing import tracer

    with tracer.span("alt", "transition", "altitude.py", "L3→L2") as ctx:
        if ctx:
            ctx.set_output("success", reason="user requested tactical")

Off unless `WHENCE_TRACE=1`, `--trace` (`add_argument`) or the settings say so. `whence.span` is the
same for programs of any shape, and always records.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from whence.tracing.events import TraceEvent
from whence.tracing.flag import add_argument
from whence.tracing.spans import TraceContext, Tracer

if TYPE_CHECKING:
    from whence.recorder.carrying import bind
    from whence.recorder.threads import follow_threads
    from whence.tracing import carry, points
    from whence.tracing.handler import Handler

tracer = Tracer()

_HOMES = {
    "Handler": "whence.tracing.handler",
    "bind": "whence.recorder.carrying",
    "carry": "whence.tracing.carry",
    "follow_threads": "whence.recorder.threads",
    "points": "whence.tracing.points",
}
"""What not every program needs: loaded when it is first used."""

__all__ = [
    "Handler",
    "TraceContext",
    "TraceEvent",
    "Tracer",
    "add_argument",
    "bind",
    "carry",
    "follow_threads",
    "points",
    "tracer",
]


if not TYPE_CHECKING:

    def __getattr__(name):
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'whence.tracing' has no attribute {name!r}")
        module = import_module(home)
        value = globals()[name] = getattr(module, name, module)
        return value
