"""How a program traces, as a type checker sees it. Type-checked, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import whence
from whence.tracing import bind, carry, tracer


@whence.traced
def plain(number: int) -> str:
    """A decorated function keeps its type."""
    return str(number)


@whence.traced("a.b", agent="haiku-1", arguments=True)
async def coroutine(number: int) -> str:
    """So does one that is named."""
    return str(number)


@whence.traced()
def generator() -> Iterator[int]:
    """And one of another kind."""
    yield 1


@tracer.traced("alt", "plan", level="debug")
async def async_generator() -> AsyncIterator[int]:
    """Also where tracing can be off."""
    yield 1


class Planner:
    """Methods too."""

    @whence.traced
    def plan(self, intent: str) -> int:
        """A method."""
        return len(intent)


async def use(headers: dict[str, str]) -> None:
    """What is called is what was written."""
    assert_type(plain(1), str)
    plain("1")  # type: ignore[arg-type]
    assert_type(await coroutine(1), str)
    assert_type(generator(), Iterator[int])
    assert_type(async_generator(), AsyncIterator[int])
    assert_type(Planner().plan("x"), int)
    assert_type(bind(plain)(1), str)
    bind(plain)("1")  # type: ignore[arg-type]
    carry.inject(headers)
    with carry.extract(headers) as cause, carry.with_baggage(user="alice"):
        assert_type(cause, str | None)
    assert_type(carry.environment(), dict[str, str])
    assert_type(carry.baggage(), dict[str, str])
