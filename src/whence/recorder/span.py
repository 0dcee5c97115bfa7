"""A span: an event with a duration, written when it ends, and the cause of what happens inside."""

import time
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from whence.errors import StoreError
from whence.event import Status
from whence.recorder.context import Cause, leave

if TYPE_CHECKING:
    from whence.recorder.recorder import Recorder

_OWN_KEYS = frozenset(["component", "input", "output", "error", "reason_blocked"])


class Span:
    """One step of a program. Use it as a context manager; it ends when the block does.

    An exception that leaves the block makes it an error and comes out unchanged. After the block the
    `id` of a private one is its `Receipt`.
    """

    __slots__ = (
        "_cause", "_data", "_extras", "_forks", "_names", "_private", "_recorder", "_start_ns",
        "_status", "_time_ns", "_token", "id",
    )  # fmt: skip

    def __init__(
        self,
        recorder: "Recorder",
        names: str,
        extras: str,
        data: dict[str, Any],
        private: bool = False,
    ) -> None:
        self._recorder = recorder
        self._names = names
        self._extras = extras
        self._data = data
        self._private = private
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
        data = self._data
        if _OWN_KEYS.isdisjoint(attributes):
            data.update(attributes)
        else:
            # What is there may be the caller's own, so it is not written to.
            kept = data.get("attributes", {})
            others = kept if isinstance(kept, dict) else {"attributes": kept}
            data["attributes"] = {**others, **attributes}

    def block(self, reason: str) -> None:
        """Say that the step was not allowed to go on, and why."""
        self._status = "blocked"
        self._data["reason_blocked"] = reason

    def __enter__(self) -> Self:
        if self._token is not None:
            raise ValueError("span is open already")
        recorder = self._recorder
        self._forks = recorder.forks
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
        leave(recorder.cause_variable, token)
        if recorder.forks != self._forks:
            # A forked child leaves the block too; the parent, whose span it is, writes it.
            return
        if error is not None:
            self._status = "error"
            self._data["error"] = describe_error(error)
        extras = f',"status":"{self._status}","duration":{duration}{self._extras}'
        try:
            self.id = recorder.record(
                self.id, self._time_ns, self._names, self._cause, extras, self._data, self._private
            )
        except (StoreError, ValueError) as problem:
            if error is None:
                raise
            # The program's own error must come out, not ours. A StoreError was counted already.
            if isinstance(problem, ValueError):
                recorder.lose(str(problem))


def describe_error(error: BaseException) -> dict[str, str]:
    """The type and message of an exception, also of one whose `str` fails."""
    try:
        message = str(error)
    except Exception as problem:  # noqa: BLE001 - it is not ours, and may raise anything
        message = f"<its message raised {type(problem).__name__}>"
    return {"type": type(error).__qualname__, "message": message}
