"""Whence: what happened, why, and can you prove it? A flight recorder for agents and simulations.

    log = whence.open()
    log.emit("ops", "create_task", agent="zealot-1", target="task-abc123")
    for row in log.timeline(target="task-abc123").rows:
        print(row.event.time, row.text)

`whence.emit`, `whence.span` and `whence.cause` do the same on the process's default log. What is
named here is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.errors import (
        ConflictError as ConflictError,
    )
    from whence.errors import (
        CorruptError as CorruptError,
    )
    from whence.errors import (
        FormatError as FormatError,
    )
    from whence.errors import (
        NotFoundError as NotFoundError,
    )
    from whence.errors import (
        PhraseError as PhraseError,
    )
    from whence.errors import (
        ProofError as ProofError,
    )
    from whence.errors import (
        StoreError as StoreError,
    )
    from whence.errors import (
        WhenceError as WhenceError,
    )
    from whence.event import Event as Event
    from whence.log import Log as Log
    from whence.log import cause as cause
    from whence.log import close as close
    from whence.log import emit as emit
    from whence.log import open as open  # noqa: A004 it is `whence.open`
    from whence.log import span as span
    from whence.query import Query as Query
    from whence.recorder.receipt import Receipt as Receipt

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
    **dict.fromkeys(("Log", "cause", "close", "emit", "open", "span"), "whence.log"),
    "Event": "whence.event",
    "Query": "whence.query",
    "Receipt": "whence.recorder.receipt",
}

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
    "emit",
    "open",
    "span",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return __all__
