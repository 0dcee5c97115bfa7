"""A span: an event with a duration, written when it ends, and the cause of what happens inside."""

import time
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

from whence.event import Status
from whence.recorder.context import Cause

if TYPE_CHECKING:
    from whence.recorder.recorder import Recorder

_OWN_KEYS = frozenset(["component", "input", "output", "error", "reason_blocked"])


class Span:
    """One step of a program. Use it as a context manager; it ends when the block does.

    An exception that leaves the block makes it an error and comes out unchanged.
    """

    __slots__ = (
        "_agent", "_data", "_links", "_name", "_recorder", "_start_ns", "_status", "_target",
        "_time_ns", "_token", "_cause", "id",
    )  # fmt: skip

    def __init__(
        self,
        recorder: "Recorder",
        name: str,
        *,
        agent: str | None,
        target: str | None,
        links: tuple[str, ...],
        data: dict[str, Any],
    ) -> None:
        self._recorder = recorder
        self._name = name
        self._agent = agent
        self._target = target
        self._links = links
        self._data = data
        self._status: Status = "success"
        self._token: Token[Cause | None] | None = None
        self.id = ""

    def output(self, text: Any = None, **attributes: Any) -> None:
        """Say what came out, and anything else worth keeping."""
        if text is not None:
            self._data["output"] = text
        self.note(**attributes)

    def note(self, **attributes: Any) -> None:
        """Keep more values with the span."""
        if _OWN_KEYS.isdisjoint(attributes):
            self._data.update(attributes)
        else:
            self._data.setdefault("attributes", {}).update(attributes)

    def block(self, reason: str) -> None:
        """Say that the step was not allowed to go on, and why."""
        self._status = "blocked"
        self._data["reason_blocked"] = reason

    def __enter__(self) -> "Span":
        recorder = self._recorder
        self._time_ns = now = recorder.clock()
        self.id = event_id = recorder.make_id(now)
        variable = recorder.cause_variable
        self._cause = cause = variable.get()
        # A root is the trace of what is below it; below a cause from elsewhere the root is open.
        trace = event_id if cause is None else cause.trace
        self._token = variable.set(Cause(event_id, trace))
        self._start_ns = time.perf_counter_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        token = self._token
        if token is None:
            return
        duration = time.perf_counter_ns() - self._start_ns
        self._token = None
        recorder = self._recorder
        try:
            recorder.cause_variable.reset(token)
        except ValueError:
            # Ended in another context than it began in, as a generator may be: that one is not ours.
            pass
        if error is not None:
            self._status = "error"
            self._data["error"] = describe_error(error)
        recorder.write_span(
            self.id, self._time_ns, self._name, self._cause, self._agent, self._target,
            self._status, duration, self._links, self._data,
        )  # fmt: skip


def describe_error(error: BaseException) -> dict[str, str]:
    """The type and message of an exception, also of one whose `str` fails."""
    try:
        message = str(error)
    except Exception as problem:
        message = f"<its message raised {type(problem).__name__}>"
    return {"type": type(error).__qualname__, "message": message}
