"""Functions whose calls are recorded as steps, of every kind that Python has.

    @whence.traced
    def plan(intent): ...

    @whence.traced("altitude.plan", agent="haiku-1", arguments=True)
    async def plan(intent): ...

A call is a span; a generator's lasts from its first value to its end and is no cause while it
waits. Functions stay what they are: their signature, their kind, what they return and raise.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from whence.log import Log, default
from whence.recorder.envelope import split_name
from whence.recorder.span import Span
from whence.tracing.spans import TraceContext, Tracer

F = TypeVar("F")

_Start = Callable[[tuple[Any, ...], Mapping[str, Any]], Span | None]
"""Makes the span of a call from its arguments; None where it is not traced."""

_Keep = Callable[[Any, Any], None]
"""Keeps with the span what came out."""

_ITEMS_MAX = 1_000
_DEPTH_MAX = 4


@overload
def traced(
    name: str | None = None,
    /,
    *,
    component: str | None = None,
    agent: str | None = None,
    target: str | None = None,
    log: Log | None = None,
    arguments: bool = False,
    result: bool = False,
) -> Callable[[F], F]: ...
@overload
def traced(function: F, /) -> F: ...
def traced(
    name: Any = None,
    /,
    *,
    component: str | None = None,
    agent: str | None = None,
    target: str | None = None,
    log: Log | None = None,
    arguments: bool = False,
    result: bool = False,
) -> Any:
    """Record each call of a function as a span, as `whence.span` does; use it as a decorator.

    The name is that of the module and the function where none is given. `arguments` and `result`
    keep what went in and what came out. Where no `log` is given it is the default one of the moment.
    """

    def decorate(function: Any) -> Any:
        told = name_of(function) if named is None else named
        tell = _make_tell(function) if arguments else _tell_nothing

        def start(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Span:
            return (log or default()).span(
                told, component=component, agent=agent, target=target, data=tell(args, kwargs)
            )

        return _wrap(function, start, Span.output if result else _keep_nothing)

    if name is None or isinstance(name, str):
        named = name
        if named is not None:
            split_name(named)
        return lambda function: _each(function, decorate)
    named = None
    return _each(name, decorate)


def traced_by(
    tracer: Tracer,
    hrm: str,
    operation: str | None = None,
    component: str | None = None,
    *,
    level: str = "info",
    agent: str | None = None,
    target: str | None = None,
    arguments: bool = False,
    result: bool = False,
) -> Callable[[F], F]:
    """Have a tracer trace each call of a function, where tracing is on at the call."""

    def decorate(function: Any) -> Any:
        told = _plain(function).__name__ if operation is None else operation
        where = _file_of(function) if component is None else component
        tell = _make_tell(function) if arguments else _tell_nothing

        def start(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Span | None:
            if not tracer.is_on(level):
                return None
            step = tracer.span(
                hrm,
                told,
                where,
                level=level,
                agent=agent,
                target=target,
                metadata=tell(args, kwargs),
            )
            return step if isinstance(step, TraceContext) else None

        return _wrap(function, start, TraceContext.set_output if result else _keep_nothing)

    return lambda function: _each(function, decorate)


def name_of(function: Any) -> str:
    """The name of a function's calls: the last part of its module's, and its own in there."""
    plain = _plain(function)
    module = (getattr(plain, "__module__", None) or "").rpartition(".")[2].strip("_")
    name = plain.__qualname__.replace("<locals>.", "")
    return f"{module}.{name}" if module else name


def _plain(function: Any) -> Any:
    """What has a name: the function that a partial one is of, the type of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if hasattr(function, "__qualname__") else type(function)


def _file_of(function: Any) -> str:
    code = getattr(inspect.unwrap(_plain(function)), "__code__", None)
    return "" if code is None else code.co_filename.rpartition("/")[2]


def _each(given: Any, decorate: Callable[[Any], Any]) -> Any:
    """Decorate the function, or each function that something like a property consists of."""
    if isinstance(given, classmethod | staticmethod):
        return type(given)(_each(given.__func__, decorate))
    if isinstance(given, property):
        fget, fset, fdel = (
            part and decorate(part) for part in (given.fget, given.fset, given.fdel)
        )
        return type(given)(fget, fset, fdel, given.__doc__)
    if isinstance(given, functools.cached_property):
        return type(given)(decorate(given.func))
    if isinstance(given, functools.partialmethod):
        return type(given)(decorate(given.func), *given.args, **given.keywords)
    if isinstance(given, type) or not callable(given):
        raise TypeError(f"cannot trace {given!r}, want a function")
    return decorate(given)


def _wrap(function: Any, start: _Start, keep: _Keep) -> Any:
    """The function with a span around each call, of the same kind as it is."""
    # An object that is called is of the kind that its `__call__` is.
    shown = function if hasattr(function, "__code__") else type(function).__call__
    wrap = next(
        (wrap for is_kind, wrap in _KINDS if is_kind(function) or is_kind(shown)), _wrap_function
    )
    wrapper = functools.wraps(function)(wrap(function, start, keep))
    if not hasattr(function, "__qualname__"):
        plain = _plain(function)
        wrapper.__name__, wrapper.__qualname__ = plain.__name__, plain.__qualname__
    return wrapper


def _wrap_function(function: Any, start: _Start, keep: _Keep) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        span = start(args, kwargs)
        if span is None:
            return function(*args, **kwargs)
        with span:
            result = function(*args, **kwargs)
            keep(span, result)
            return result

    return wrapper


def _wrap_coroutine(function: Any, start: _Start, keep: _Keep) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        span = start(args, kwargs)
        if span is None:
            return await function(*args, **kwargs)
        with span:
            result = await function(*args, **kwargs)
            keep(span, result)
            return result

    return wrapper


def _wrap_generator(function: Any, start: _Start, keep: _Keep) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        span = start(args, kwargs)
        if span is None:
            return (yield from generator)
        with span:
            go_on, given = generator.send, None
            while True:
                try:
                    value = go_on(given)
                except StopIteration as end:
                    keep(span, end.value)
                    return end.value
                span.pause()
                try:
                    given = yield value
                except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                    span.resume()
                    go_on, given = generator.throw, error
                else:
                    span.resume()
                    go_on = generator.send

    return wrapper


def _wrap_async_generator(function: Any, start: _Start, keep: _Keep) -> Any:  # noqa: ARG001 none comes out
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        span: Any = start(args, kwargs) or _NO_SPAN
        with span:
            go_on, given = generator.asend, None
            while True:
                try:
                    value = await go_on(given)
                except StopAsyncIteration:
                    return
                span.pause()
                try:
                    given = yield value
                except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                    span.resume()
                    go_on, given = generator.athrow, error
                else:
                    span.resume()
                    go_on = generator.asend

    return wrapper


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any, _Start, _Keep], Any]], ...] = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
    (inspect.isgeneratorfunction, _wrap_generator),
)


class _NoSpan:
    """Stands for the span of what is not traced."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def pause(self) -> None:
        """Nothing to do."""

    def resume(self) -> None:
        """Nothing to do."""


_NO_SPAN = _NoSpan()


def _keep_nothing(span: Any, result: Any) -> None:  # noqa: ARG001
    return None


def _tell_nothing(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:  # noqa: ARG001
    return None


def _make_tell(function: Any) -> Callable[[tuple[Any, ...], Mapping[str, Any]], dict[str, Any]]:
    """How to say what a function was called with, by the names of its parameters."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        signature = None
    names = [] if signature is None else [*signature.parameters]
    own = names[0] if names and names[0] in ("self", "cls") else None

    def tell(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if signature is None:
                found: dict[str, Any] = {"args": args, **kwargs}
            else:
                found = signature.bind(*args, **kwargs).arguments
        except TypeError:
            # The call itself will say so.
            return {}
        return {"arguments": {name: _copy(value) for name, value in found.items() if name != own}}

    return tell


def _copy(value: Any, depth: int = _DEPTH_MAX) -> Any:
    """A container as it is now: it is written when the call ends, which may change it."""
    kind = type(value)
    if depth and kind in (list, tuple, dict) and len(value) <= _ITEMS_MAX:
        if kind is dict:
            return {key: _copy(each, depth - 1) for key, each in value.copy().items()}
        return [_copy(each, depth - 1) for each in value]
    return value
