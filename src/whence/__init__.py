"""Whence: what happened, why, and can you prove it? A flight recorder for agents and simulations.

    log = whence.open()
    log.emit("ops", "create_task", agent="zealot-1", target="task-abc123")
    for row in log.timeline(target="task-abc123").rows:
        print(row.event.time, row.text)

`whence.emit`, `whence.span` and `whence.cause` do the same on the process's default log. What is
named here is loaded when it is first used.
"""

# As `typing` has it, which takes longer to load than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from whence import decisions, learning, runs, swarm
    from whence.errors import (
        ConflictError,
        CorruptError,
        FormatError,
        NotFoundError,
        PhraseError,
        ProofError,
        StoreError,
        WhenceError,
    )
    from whence.event import Event
    from whence.log import Log, cause, close, emit, open, run, span  # noqa: A004 `whence.open`
    from whence.query import Query
    from whence.recorder.receipt import Receipt
    from whence.runs.decorator import simulation
    from whence.runs.runners import runner
    from whence.tracing.decorator import traced

__version__ = "0.1.0"

_ERRORS = (
    "ConflictError",
    "CorruptError",
    "FormatError",
    "NotFoundError",
    "PhraseError",
    "ProofError",
    "StoreError",
    "WhenceError",
)
_HOMES = {
    **dict.fromkeys(_ERRORS, "whence.errors"),
    **dict.fromkeys(("Log", "cause", "close", "emit", "open", "run", "span"), "whence.log"),
    "Event": "whence.event",
    "Query": "whence.query",
    "Receipt": "whence.recorder.receipt",
    "runner": "whence.runs.runners",
    "simulation": "whence.runs.decorator",
    "traced": "whence.tracing.decorator",
}

_ROOMS = ("decisions", "learning", "runs", "swarm")

__all__ = [
    "ConflictError",
    "CorruptError",
    "Event",
    "FormatError",
    "Log",
    "NotFoundError",
    "PhraseError",
    "ProofError",
    "Query",
    "Receipt",
    "StoreError",
    "WhenceError",
    "__version__",
    "cause",
    "close",
    "decisions",
    "emit",
    "learning",
    "open",
    "run",
    "runner",
    "runs",
    "simulation",
    "span",
    "swarm",
    "traced",
]


if not TYPE_CHECKING:

    def __getattr__(name):
        home = _HOMES.get(name)
        if home is None and name not in _ROOMS:
            raise AttributeError(f"module 'whence' has no attribute {name!r}")
        from importlib import import_module

        if home is None:
            return import_module(f"whence.{name}")
        value = globals()[name] = getattr(import_module(home), name)
        return value

    def __dir__():
        return __all__
