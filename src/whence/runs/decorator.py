"""`@whence.simulation`: each call of a function is a run, its arguments what goes in, its result what comes out.

    @whence.simulation
    def forecast(population: int, turns: int = 3) -> dict: ...

The function is its own runner: a replay calls it with the recorded arguments.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from whence.log import Log, default
from whence.runs.recording import Run
from whence.runs.runners import TAKES_BOUND

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def simulation(
    function: None = None,
    /,
    *,
    name: str | None = None,
    seed: str | None = None,
    keep: bool = False,
    log: Log | None = None,
) -> Callable[[Function], Function]: ...


@overload
def simulation(function: Function, /) -> Function: ...


def simulation(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    seed: str | None = "seed",
    keep: bool = False,
    log: Log | None = None,
) -> Function | Callable[[Function], Function]:
    """Make each call a run, named as the function is, of the default log or of `log`.

    The argument called `seed` is the run's seed, if there is one; `seed` names another. Coroutine functions
    are runs until they have been awaited. The function's result, arguments and errors stay as they are.

    Raises:
        TypeError: it is a generator, whose end nobody may see, or no function.
    """

    def decorate(wrapped: Function) -> Function:
        return _decorate(wrapped, name or wrapped.__name__, seed, keep, log)

    return decorate if function is None else decorate(function)


def _decorate(
    function: Function, name: str, seed: str | None, keep: bool, log: Log | None
) -> Function:
    if not inspect.isroutine(function):
        raise TypeError(f"a simulation is a function, not {type(function).__name__}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} is a generator; a simulation returns what came out")
    signature = inspect.signature(function)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        # The object that a method is called on is no input.
        given.pop("self", None)
        return Run(
            log or default(), name, given,
            seed=given.get(seed) if seed else None, runner=recorded, keep=keep,
        )  # fmt: skip

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def recorded(*args: Any, **kwargs: Any) -> Any:
            with begin(args, kwargs) as run:
                value = await function(*args, **kwargs)
                run.result(value)
            return value
    else:

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            with begin(args, kwargs) as run:
                value = function(*args, **kwargs)
                run.result(value)
            return value

    setattr(recorded, TAKES_BOUND, True)
    return recorded  # type: ignore[return-value] # it takes and gives what the function does
