"""What turns a description of one operation into a trace point: an event, or a step.

A point is written as a function from what a caller knows to `Facts`. It is called only where
tracing is on, and may fail: that costs the event, which is counted, and never the program.
"""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any, Generic, NamedTuple, ParamSpec, Self

from whence.tracing.spans import TraceContext, Tracer

P = ParamSpec("P")


class Facts(NamedTuple):
    """What is known of an operation: its summaries, its data, and whether it was refused."""

    input: object
    output: object
    data: dict[str, Any]
    refused: bool = False


class Point(Generic[P]):
    """One operation of one layer. Call it for an event; `span` is the same as a step that takes time.

    Beside its own arguments each takes any others, which are kept with it. Of these `component`
    (by default the caller's file), `agent`, `target`, `level`, `input` and `output` are the event's own.
    """

    def __init__(self, layer: str, describe: Callable[P, Facts]) -> None:
        self.layer = layer
        self.operation = describe.__name__
        self.__doc__ = describe.__doc__
        self.__wrapped__ = describe
        self._names = describe.__code__.co_varnames[: describe.__code__.co_argcount]
        self._tracer = Tracer()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> str | None:
        """Trace an event. Returns its id, or None where tracing is off."""
        tracer = self._tracer
        if not tracer.is_on(kwargs.get("level", "info")):
            return None
        try:
            own = _take(_EVENTS_OWN, kwargs)
            said = own and _take(_SUMMARIES, own)
            facts = self.__wrapped__(*args, **kwargs)
            component = own.pop("component", None) if own else None
            return tracer.event(
                self.layer, self.operation,
                _name_file(sys._getframe(1)) if component is None else component,
                said.get("input", facts.input),
                said.get("output", facts.output),
                "blocked" if facts.refused else "success", _leave_out_unknown(facts.data), **own,
            )  # fmt: skip
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            tracer.lose(problem)
            return None

    def span(self, *args: P.args, **kwargs: P.kwargs) -> AbstractContextManager["Step"]:
        """Trace a step: use it as a context manager. What it gives is false where tracing is off."""
        tracer = self._tracer
        if not tracer.is_on(kwargs.get("level", "info")):
            return _OFF
        try:
            own = _take(_EVENTS_OWN, kwargs)
            said = own and _take(_SUMMARIES, own)
            facts = self.__wrapped__(*args, **kwargs)
            component = own.pop("component", None) if own else None
            context = tracer.span(
                self.layer, self.operation,
                _name_file(sys._getframe(1)) if component is None else component,
                said.get("input", facts.input),
                metadata=_leave_out_unknown(facts.data), **own,
            )  # fmt: skip
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            tracer.lose(problem)
            return _OFF
        if not isinstance(context, TraceContext):
            return _OFF
        known = dict(zip(self._names, args, strict=False)) | kwargs
        return _Traced(context, facts, said.get("output"), self.__wrapped__, known, tracer)


def point(layer: str) -> Callable[[Callable[P, Facts]], Point[P]]:
    """Make a trace point of a function that describes an operation of `layer`."""

    def make(describe: Callable[P, Facts]) -> Point[P]:
        return Point(layer, describe)

    return make


class Step:
    """A step of a trace point. True where it is traced; where it is not, all it does is nothing."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    @property
    def id(self) -> str | None:
        """The id of the step's event; None where it is not traced."""
        return None

    def note(self, **facts: Any) -> None:
        """Say what is known only now: the point's own arguments by their names, or anything else."""

    def set_output(self, output: Any, **facts: Any) -> None:
        """Say what came out, in other words than the point's own; and as `note`."""

    def block(self, reason: Any) -> None:
        """Say that the step was not allowed to go on, and why."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the step; an exception comes out unchanged."""


_OFF = Step()


class _Traced(Step):
    """A step that is traced: each `note` has the point describe it once more, with what is known now."""

    __slots__ = ("_context", "_describe", "_facts", "_known", "_output", "_tracer")

    def __init__(
        self,
        context: TraceContext,
        facts: Facts,
        output: Any,
        describe: Callable[..., Facts],
        known: dict[str, Any],
        tracer: Tracer,
    ) -> None:
        self._context = context
        self._facts = facts
        self._describe = describe
        self._tracer = tracer
        self._output = output
        self._known = known

    def __bool__(self) -> bool:
        return True

    @property
    def id(self) -> str | None:
        return self._context.id

    def note(self, **facts: Any) -> None:
        self._output = facts.pop("output", self._output)
        self._known |= facts
        try:
            self._facts = described = self._describe(**self._known)
            self._context.note(**_leave_out_unknown(described.data))
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self._tracer.lose(problem)

    def set_output(self, output: Any, **facts: Any) -> None:
        self._output = output
        if facts:
            self.note(**facts)

    def block(self, reason: Any) -> None:
        self._context.block(reason)

    def __enter__(self) -> Self:
        self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        output = self._facts.output if self._output is None else self._output
        # What a point says of its end is not true of one that failed.
        if (error is None or self._output is not None) and output is not None:
            self._context.set_output(output)
        if self._facts.refused and error is None:
            self._context.block(self._facts.data.get("reason", output))
        self._context.__exit__(kind, error, traceback)


_SUMMARIES = frozenset(["input", "output"])
_EVENTS_OWN = _SUMMARIES | {"component", "agent", "target", "level"}
"""What a caller may say of any event, beside the point's own arguments."""


@lru_cache(1_000)
def _base_name(path: str) -> str:
    return os.path.basename(path)


def _take(names: frozenset[str], given: dict[str, Any]) -> dict[str, Any]:
    """Take out of what is given what has one of these names."""
    if names.isdisjoint(given):
        return {}
    return {name: given.pop(name) for name in names if name in given}


def _leave_out_unknown(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


def _name_file(frame: FrameType) -> str:
    """The name of the file that a frame runs."""
    return _base_name(frame.f_code.co_filename)
