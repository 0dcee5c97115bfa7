"""What an event is caused by when nobody says: the span or cause around it.

Each log has one context variable, so threads, asyncio tasks and executors each have their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from whence.recorder.envelope import quote


class Cause:
    """The event that what is recorded now comes from, and its root where that is known.

    `text` is both as they stand in an envelope, or "" until somebody needs it.
    """

    __slots__ = ("id", "text", "trace")

    def __init__(self, id: str, trace: str | None) -> None:
        self.id = id
        self.trace = trace
        self.text = ""

    def write(self) -> str:
        """Write what names this cause in an envelope, and keep it."""
        text = f',"parent":{quote(self.id)}'
        if self.trace is not None:
            text += f',"trace":{quote(self.trace)}'
        self.text = text
        return text


CauseVar = ContextVar[Cause | None]


def make_variable() -> CauseVar:
    """Make the variable of one log."""
    return ContextVar("whence.cause", default=None)


@contextmanager
def caused_by(variable: CauseVar, event_id: str) -> Iterator[None]:
    """Have everything recorded inside name `event_id` as its cause. Its root stays open."""
    token = variable.set(Cause(event_id, None))
    try:
        yield
    finally:
        leave(variable, token)


def leave(variable: CauseVar, token: Token[Cause | None]) -> None:
    """Go back to the cause that held before `token` was given out. Never raises."""
    try:
        variable.reset(token)
    except (ValueError, RuntimeError):
        # Ended in another context than it began in, as a generator may be: that one is not ours.
        # Or left already, by a span that pauses.
        pass
