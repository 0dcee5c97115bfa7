"""A span: an event with a duration, written when it ends, and the cause of what happens inside."""

import time
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from whence.errors import StoreError
from whence.event import Status
from whence.recorder.context import Cause, leave
from whence.recorder.payload import Cut

if TYPE_CHECKING:
    from whence.recorder.recorder import Recorder

_FRAMES_MAX = -50
"""Of a deep stack the end counts: where it was raised."""

_STACK_MAX = 8_000

_perf_counter_ns = time.perf_counter_ns


class _Instead:
    """Stands for a token: what to go back to, where a span outlives the one around it."""

    __slots__ = ("cause",)

    def __init__(self, cause: Cause | None) -> None:
        self.cause = cause


class Span(Cause):
    """One step of a program. Use it as a context manager; it ends when the block does.

    An exception that leaves the block makes it an error and comes out unchanged. After the block the
    `id` of a private one is its `Receipt`.
    """

    own_keys: ClassVar = frozenset(["component", "input", "output", "error", "reason_blocked"])
    """What a span says of itself: a caller's values of these names stand below `attributes`."""

    # What is recorded inside has this very object as its cause, which saves making one.
    __slots__ = (
        "_cause", "_data", "_extras", "_forks", "_inner", "_is_told", "_names", "_private",
        "_recorder", "_start_ns", "_status", "_time_ns", "_token",
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
        self._token: Token[Cause | None] | _Instead | None = None
        # While it pauses: what was the cause just before, itself or a span inside.
        self._inner: Cause | None = None
        self.id = self.text = ""

    def output(self, text: Any = None, /, **attributes: Any) -> None:
        """Say what came out, and anything else worth keeping."""
        if text is not None:
            self._data["output"] = text
        self.note(**attributes)

    def note(self, /, **attributes: Any) -> None:
        """Keep more values with the span."""
        data = self._data
        if self.own_keys.isdisjoint(attributes):
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
        if self.id:
            # It would tell of two steps, or again what came of the first.
            raise ValueError("span was entered before; each step needs one of its own")
        recorder = self._recorder
        self._forks = recorder.forks
        self._time_ns = now = recorder.clock()
        self.id = event_id = recorder.make_id(now)
        variable = recorder.cause_variable
        self._cause = cause = variable.get()
        # A root is the trace of what is below it; below a cause from elsewhere the root is open.
        self.trace = event_id if cause is None else cause.trace
        self._token = variable.set(self)
        self._is_told = False
        self._start_ns = _perf_counter_ns()
        watch = recorder.watch
        watch.open[self] = None
        if not watch.is_on:
            watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end_ns = _perf_counter_ns()
        token = self._token
        if token is None:
            return
        self._token = None
        duration = end_ns - self._start_ns
        recorder = self._recorder
        recorder.watch.open.pop(self, None)
        variable = recorder.cause_variable
        if variable.get() is self:
            # As `leave`, whose call would cost more.
            try:
                variable.reset(token)  # type: ignore[arg-type] # see the TypeError
            except (ValueError, RuntimeError, TypeError):
                # Ended in another context than it went on in, or what was around it ended before.
                variable.set(self._behind(token))
        else:
            self._step_out(variable.get(), self._behind(token))
        if recorder.forks != self._forks:
            # A forked child leaves the block too; the parent, whose span it is, writes it.
            return
        if error is not None:
            self._note_end(error)
        try:
            self._keep(duration)
        except (StoreError, ValueError) as problem:
            if error is None:
                raise
            # The program's own error must come out, not ours. A StoreError was counted already.
            if isinstance(problem, ValueError):
                recorder.lose(str(problem))

    def _keep(self, duration: int) -> None:
        """Record what happened."""
        cause = self._cause
        extras = (
            f"{(cause.text or cause.write()) if cause is not None else ''}"
            f',"status":"{self._status}","duration":{duration}{self._extras}'
        )
        self.id = self._recorder.record(
            self.id, self._time_ns, duration, self._names, extras, self._data, self._private
        )

    def _behind(self, token: object) -> Cause | None:
        """What is the cause again when this span ends."""
        return token.cause if isinstance(token, _Instead) else self._cause

    def _step_out(self, innermost: Cause | None, behind: Cause | None) -> None:
        """Let what was opened in here, and is open still, go back to what is behind this span."""
        step, below = innermost, None
        while step is not None and step is not self:
            step, below = step.outer(), step
        if step is self and isinstance(below, Span) and below._token is not None:
            below._token = _Instead(behind)

    def outer(self) -> Cause | None:
        """The cause around this span."""
        return self._cause

    def pause(self) -> None:
        """Stop being the cause of what is recorded here, as while a generator waits; `resume` goes on."""
        if self._token is not None and self._inner is None:
            variable = self._recorder.cause_variable
            self._inner = variable.get()
            if isinstance(self._token, _Instead):
                variable.set(self._token.cause)
            else:
                leave(variable, self._token)

    def resume(self) -> None:
        """Go on after `pause`, here: with this span, or one that was opened in it, as the cause."""
        inner, self._inner = self._inner, None
        if self._token is not None and inner is not None:
            variable = self._recorder.cause_variable
            self._token = variable.set(self)
            if inner is not self:
                variable.set(inner)

    def _note_end(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit) or (
            isinstance(error, SystemExit) and error.code in (None, 0)
        ):
            # Nothing went wrong: nobody wanted more.
            self._data["ended_by"] = type(error).__name__
        else:
            self._status = "error"
            self._data["error"] = describe_error(error)

    def tell_open(self, now_ns: int, after_ns: int) -> None:
        """Write `span.open`, once, if it was open for as long as `after_ns`. Never raises."""
        age = now_ns - self._start_ns
        if self._is_told or age < after_ns:
            return
        self._is_told = True
        try:
            self._recorder.record_open(
                self.id, self._time_ns, age, self._names, self._cause, self._data, self._private
            )
        except (StoreError, ValueError) as problem:
            if isinstance(problem, ValueError):
                self._recorder.lose(str(problem))


def describe_error(error: BaseException) -> dict[str, Any]:
    """The type, message and stack of an exception, also of one whose `str` fails."""
    import traceback

    try:
        message = str(error)
    except Exception as problem:  # noqa: BLE001 - it is not ours, and may raise anything
        message = f"<its message raised {type(problem).__name__}>"
    described = {"type": type(error).__qualname__, "message": message}
    try:
        lines = traceback.format_exception(error, limit=_FRAMES_MAX)
    except Exception:  # noqa: BLE001 - the same: its text is asked for once more
        lines = traceback.format_tb(error.__traceback__, _FRAMES_MAX)
    return {**described, "stack": Cut.end("".join(lines), _STACK_MAX)}
