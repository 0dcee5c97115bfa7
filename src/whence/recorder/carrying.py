"""Causes taken to where the context does not go by itself: threads, pools, other processes.

Carried are the causes of all logs and the baggage, and nothing else of the context: what other
libraries keep there stays where they put it.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import update_wrapper
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from whence.recorder.context import Cause, Inherited, leave, send, variable_of, variables
from whence.recorder.headers import Entry

P = ParamSpec("P")
R = TypeVar("R")

baggage_variable: ContextVar[tuple[Entry, ...] | None] = ContextVar("whence.baggage", default=None)
"""What goes along with every request; None where nobody said, and the process's own holds."""


class Carried:
    """The causes and the baggage of the moment at which it is made."""

    __slots__ = ("_baggage", "_causes")

    def __init__(self) -> None:
        # In one step, as another thread may open a log meanwhile.
        known = list(variables.items())
        self._causes: dict[Path, Cause | None] = {
            folder: variable.get() for folder, variable in known
        }
        self._baggage = baggage_variable.get()

    def is_nothing(self) -> bool:
        """Whether a new thread has all this by itself."""
        return self._baggage is None and all(
            cause is None or isinstance(cause, Inherited) for cause in self._causes.values()
        )

    def run(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Call a function with these causes and this baggage."""
        tokens = [
            (variable, variable.set(cause))
            for variable, cause in [
                (variable_of(folder), cause) for folder, cause in self._causes.items()
            ]
        ]
        told = baggage_variable.set(self._baggage)
        try:
            return function(*args, **kwargs)
        finally:
            baggage_variable.reset(told)
            for variable, token in tokens:
                leave(variable, token)

    def __getstate__(self) -> tuple[dict[str, Cause | None], tuple[Entry, ...] | None]:
        causes: dict[str, Cause | None] = {
            str(folder): None if cause is None else send(cause)
            for folder, cause in self._causes.items()
        }
        return causes, self._baggage

    def __setstate__(self, state: tuple[dict[str, Cause | None], tuple[Entry, ...] | None]) -> None:
        causes, self._baggage = state
        self._causes = {Path(folder): cause for folder, cause in causes.items()}


class Bound(Generic[P, R]):
    """A function that runs with the causes that were carried to it, wherever it is called.

    Goes to another process if the function does.
    """

    def __init__(self, function: Callable[P, R], carried: Carried) -> None:
        update_wrapper(self, function)
        self._function = function
        self._carried = carried

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self._carried.run(self._function, *args, **kwargs)

    def __reduce__(self) -> tuple[object, ...]:
        return Bound, (self._function, self._carried)


def bind(function: Callable[P, R]) -> Bound[P, R]:
    """Have what `function` records caused by what is the cause here and now, wherever it is called.

    For threads, pools and processes: `pool.submit(bind(work), 1)`, `Process(target=bind(work))`.
    """
    if not callable(function):
        raise TypeError(f"function is {type(function).__name__}, want something to call")
    return Bound(function, Carried())
