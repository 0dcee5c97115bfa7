"""A traced function is what it was, and each call of it is a span, whatever kind of function it is."""

import asyncio
import functools
import gc
import inspect
import json
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from tests.unit.recorder.recording import by_type, read_events
from whence.event import Event
from whence.tracing import Tracer


@pytest.fixture
def log(tmp_path: Path) -> Iterator[whence.Log]:
    with whence.open(tmp_path / "log") as log:
        yield log


def only(log: whence.Log) -> Event:
    log.close()
    (event,) = read_events(log.folder)
    return event


class RefusedError(Exception):
    pass


# --- functions --------------------------------------------------------------------------------


def test_a_call_is_a_span(log: whence.Log) -> None:
    @whence.traced("altitude.plan", component="p.py", agent="haiku-1", target="#t", log=log)
    def plan(intent: str) -> str:
        log.emit("ops", "inside")
        return intent.upper()

    assert plan("x") == "X"
    log.close()
    found = by_type(log.folder)
    event = found["plan"]
    assert (event.primitive, event.agent, event.target) == ("altitude", "haiku-1", "t")
    assert event.data == {"component": "p.py"}
    assert event.status == "success"
    assert found["inside"].parent == event.id


def test_the_name_is_that_of_module_and_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the log is the default one of the moment of the call, not of the decoration."""

    class Planner:
        @whence.traced
        def plan(self) -> None: ...

    @whence.traced()
    def free() -> None: ...

    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "later"))
    whence.close()
    try:
        Planner().plan()
        free()
    finally:
        whence.close()

    here = "test_the_name_is_that_of_module_and_function"
    assert [(event.primitive, event.type) for event in read_events(tmp_path / "later")] == [
        ("test_decorator", f"{here}.Planner.plan"),
        ("test_decorator", f"{here}.free"),
    ]


def test_an_exception_comes_out_unchanged(log: whence.Log) -> None:
    problem = RefusedError("no")

    @whence.traced("a.b", log=log)
    def fail() -> None:
        raise problem

    with pytest.raises(RefusedError) as caught:
        fail()
    assert caught.value is problem
    assert problem.__cause__ is None
    assert problem.__context__ is None
    event = only(log)
    assert event.status == "error"
    assert event.data["error"]["type"] == "RefusedError"


def test_a_wrong_name_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="name"):
        whence.traced("")


@pytest.mark.parametrize("wrong", [5, object(), int, Planner := type("Planner", (), {})])
def test_what_is_no_function_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="want a function"):
        whence.traced("a.b")(wrong)


def test_arguments_and_result_are_kept_as_they_were(log: whence.Log) -> None:
    class Planner:
        @whence.traced("a.b", log=log, arguments=True, result=True)
        def plan(self, intent: str, *rest: int, options: dict[str, Any], **more: Any) -> list[int]:
            options["levels"].append(3)
            return [1]

    assert Planner().plan("x", 1, 2, options={"levels": [1], "password": "1234"}, z=None) == [1]
    assert only(log).data == {
        "arguments": {
            "intent": "x",
            "rest": [1, 2],
            "options": {"levels": [1], "password": "[redacted]"},
            "more": {"z": None},
        },
        "output": [1],
    } | {"$marks": only(log).data["$marks"]}


def test_wrong_arguments_fail_as_they_did(log: whence.Log) -> None:
    @whence.traced("a.b", log=log, arguments=True)
    def plan(intent: str) -> None: ...

    with pytest.raises(TypeError, match="intent"):
        plan()  # type: ignore[call-arg]


def test_members_of_a_class_stay_what_they_are(log: whence.Log) -> None:
    trace = whence.traced(log=log)

    class Thing:
        """A thing."""

        _level = 1

        @trace
        @classmethod
        def make(cls) -> "Thing":
            return cls()

        @classmethod
        @trace
        def make_inside(cls) -> "Thing":
            return cls()

        @trace
        @staticmethod
        def add(a: int, b: int) -> int:
            return a + b

        @trace  # type: ignore[prop-decorator]
        @property
        def level(self) -> int:
            """The level."""
            return self._level

        @level.setter
        def level(self, value: int) -> None:
            self._level = value

        @trace  # type: ignore[prop-decorator]
        @functools.cached_property
        def cached(self) -> int:
            return 7

        def raise_by(self, by: int) -> int:
            return self._level + by

        raise_one = trace(functools.partialmethod(raise_by, 1))

        @trace
        def __call__(self) -> int:
            return 9

    thing = Thing.make()
    Thing.make_inside()
    assert isinstance(Thing.__dict__["make"], classmethod)
    assert isinstance(Thing.__dict__["add"], staticmethod)
    assert Thing.add(1, 2) == 3
    assert thing.level == 1
    thing.level = 2
    assert thing.level == 2
    assert Thing.__dict__["level"].__doc__ == "The level."
    assert (thing.cached, thing.cached) == (7, 7)
    assert thing.raise_one() == 3
    assert thing() == 9
    log.close()
    names = [event.type.rpartition(".")[2] for event in read_events(log.folder)]
    assert names == [
        "make", "make_inside", "add", "level", "level", "cached", "raise_by", "__call__",
    ]  # fmt: skip


def test_partial_functions_and_objects_that_are_called(log: whence.Log) -> None:
    trace = whence.traced(log=log)

    def add(a: int, b: int) -> int:
        return a + b

    class Adder:
        def __call__(self, a: int) -> int:
            return a + 1

    @trace
    @functools.lru_cache
    def cached(a: int) -> int:
        log.emit("ops", "counted")
        return a

    more: Any = trace(functools.partial(add, 1))
    adder: Any = trace(Adder())
    assert more(2) == 3
    assert adder(1) == 2
    assert (cached(5), cached(5)) == (5, 5)
    assert more.__name__ == "add"
    assert adder.__name__ == "Adder"
    assert cached.__wrapped__.cache_info().hits == 1  # type: ignore[attr-defined]
    log.close()
    names = [event.type.rpartition(".")[2] for event in read_events(log.folder)]
    assert names == ["add", "Adder", "counted", "cached", "cached"]


def plain(a: int, *, b: str = "x") -> int:
    """Plain."""
    return a


async def coroutine(a: int, *, b: str = "x") -> int:
    """Plain."""
    return a


def generator(a: int, *, b: str = "x") -> Iterator[int]:
    """Plain."""
    yield a


async def async_generator(a: int, *, b: str = "x") -> AsyncIterator[int]:
    """Plain."""
    yield a


KINDS = [plain, coroutine, generator, async_generator]
ASKED: list[Callable[[Any], bool]] = [
    inspect.isfunction,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    asyncio.iscoroutinefunction,
]


@pytest.mark.parametrize("function", KINDS)
@pytest.mark.parametrize("given", [lambda f: f, lambda f: functools.partial(f, 1)])
def test_a_traced_function_is_of_the_kind_it_was(
    function: Callable[..., Any], given: Callable[[Any], Any], log: whence.Log
) -> None:
    trace: Any = Tracer().traced("alt") if function is plain else whence.traced(log=log)
    shown: Any = trace(given(function))

    assert [is_kind(shown) for is_kind in ASKED[1:]] == [is_kind(function) for is_kind in ASKED[1:]]
    assert inspect.signature(shown) == inspect.signature(given(function))
    assert shown.__name__ == function.__name__
    assert inspect.unwrap(shown) in (function, shown.__wrapped__)


# --- coroutines -------------------------------------------------------------------------------


def test_a_coroutine_is_a_span_from_its_first_step_to_its_last(log: whence.Log) -> None:
    @whence.traced("a.b", log=log, result=True)
    async def work(name: str) -> str:
        await asyncio.sleep(0)
        log.emit("ops", f"in_{name}")
        return name

    async def main() -> list[str]:
        return [*await asyncio.gather(work("left"), work("right"))]

    assert asyncio.run(main()) == ["left", "right"]
    log.close()
    events = read_events(log.folder)
    spans = {event.data["output"]: event.id for event in events if event.type == "b"}
    inside = {event.type: event.parent for event in events if event.primitive == "ops"}
    assert inside == {"in_left": spans["left"], "in_right": spans["right"]}


def test_a_coroutine_that_is_cancelled_is_an_error_and_stays_cancelled(log: whence.Log) -> None:
    @whence.traced("a.b", log=log)
    async def work() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert only(log).data["error"]["type"] == "CancelledError"


# --- generators -------------------------------------------------------------------------------


def make_echo(log: whence.Log, ends: list[object]) -> Callable[[], Generator[Any, Any, Any]]:
    """A generator that answers with whatever happens to it."""

    def echo() -> Generator[Any, Any, Any]:
        got: Any = "first"
        try:
            while got != "return":
                if got == "raise":
                    raise RefusedError("asked to")
                try:
                    got = yield ("got", got)
                except RefusedError as error:
                    got = f"caught {error}"
        finally:
            ends.append("ended")
        return "returned"

    return echo


def play(made: Generator[Any, Any, Any], moves: list[tuple[str, Any]]) -> list[Any]:
    """What comes out of a generator by a sequence of moves."""
    seen: list[Any] = []
    for move, value in moves:
        try:
            if move == "next":
                seen.append(next(made))
            elif move == "send":
                seen.append(made.send(value))
            elif move == "throw":
                seen.append(made.throw(value))
            else:
                made.close()
                seen.append("closed")
        except StopIteration as end:
            seen.append(("stop", end.value))
        except BaseException as error:  # noqa: BLE001 it is what is asked about
            seen.append((type(error), str(error)))
    return seen


PLAYS: list[list[tuple[str, Any]]] = [
    [("next", 0), ("send", 1), ("throw", RefusedError("x")), ("send", "return"), ("next", 0)],
    [("next", 0), ("send", "raise"), ("next", 0)],
    [("next", 0), ("throw", ValueError("y")), ("next", 0)],
    [("send", 5), ("next", 0), ("close", 0), ("next", 0)],
    [("close", 0), ("next", 0)],
    [("throw", RefusedError("x")), ("next", 0)],
    [("next", 0), ("throw", GeneratorExit()), ("next", 0)],
    [("next", 0), ("throw", StopIteration("z"))],
    [("next", 0), ("send", "return"), ("close", 0)],
]


@pytest.mark.parametrize("moves", PLAYS)
def test_a_traced_generator_answers_as_it_did(
    log: whence.Log, moves: list[tuple[str, Any]]
) -> None:
    ends: list[object] = []
    bare = make_echo(log, ends)
    traced = whence.traced("a.b", log=log)(make_echo(log, ends))

    assert play(traced(), moves) == play(bare(), moves)
    assert len(ends) % 2 == 0


def test_a_generator_is_no_cause_while_it_waits_and_goes_on_as_it_was(log: whence.Log) -> None:
    @whence.traced("a.numbers", log=log)
    def numbers() -> Iterator[int]:
        log.emit("ops", "begun")
        with log.span("a.inner"):
            yield 1
            log.emit("ops", "within")
            yield 2
        log.emit("ops", "after_inner")
        yield 3

    with log.span("a.main"):
        for number in numbers():
            with log.span(f"a.use_{number}"):
                log.emit("ops", f"used_{number}")
        log.emit("ops", "end")
    log.close()

    found = by_type(log.folder)
    by_id = {event.id: event.type for event in found.values()}
    parents = {name: by_id.get(event.parent or "") for name, event in found.items()}
    assert parents == {
        "main": None,
        "numbers": "main",
        "begun": "numbers",
        "inner": "numbers",
        "within": "inner",
        "after_inner": "numbers",
        "use_1": "main",
        "used_1": "use_1",
        "use_2": "main",
        "used_2": "use_2",
        "use_3": "main",
        "used_3": "use_3",
        "end": "main",
    }


def test_generators_that_take_turns_have_their_own_causes(log: whence.Log) -> None:
    @whence.traced("a.numbers", log=log, arguments=True)
    def numbers(name: str) -> Iterator[int]:
        for number in range(3):
            log.emit("ops", f"{name}_{number}")
            yield number

    with log.span("a.main") as main:
        for _ in zip(numbers("left"), numbers("right"), strict=False):
            log.emit("ops", "between", parent=None)
            assert log.current_cause() == main.id
    log.close()

    events = read_events(log.folder)
    spans = {e.data["arguments"]["name"]: e.id for e in events if e.type == "numbers"}
    for event in events:
        name = event.type.partition("_")[0]
        if name in spans:
            assert event.parent == spans[name]


def test_a_generator_that_is_never_finished_ends_when_it_goes(log: whence.Log) -> None:
    @whence.traced("a.numbers", log=log)
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    made = numbers()
    assert next(made) == 1
    never_begun = numbers()
    del made, never_begun
    gc.collect()
    event = only(log)
    assert event.status == "success"
    assert event.data == {"ended_by": "GeneratorExit"}


def test_the_result_of_a_generator_is_what_it_returns(log: whence.Log) -> None:
    @whence.traced("a.numbers", log=log, result=True)
    def numbers() -> Generator[int, None, str]:
        yield 1
        return "done"

    assert [*numbers()] == [1]
    assert only(log).data == {"output": "done"}


# --- async generators -------------------------------------------------------------------------


def test_a_traced_async_generator_answers_as_it_did(log: whence.Log) -> None:
    async def echo() -> AsyncIterator[Any]:
        got: Any = "first"
        while got != "return":
            await asyncio.sleep(0)
            if got == "raise":
                raise RefusedError("asked to")
            try:
                got = yield ("got", got)
            except RefusedError as error:
                got = f"caught {error}"

    async def play_async(made: Any, moves: list[tuple[str, Any]]) -> list[Any]:
        seen: list[Any] = []
        for move, value in moves:
            try:
                if move == "next":
                    seen.append(await anext(made))
                elif move == "send":
                    seen.append(await made.asend(value))
                elif move == "throw":
                    seen.append(await made.athrow(value))
                else:
                    seen.append(await made.aclose())
            except BaseException as error:  # noqa: BLE001 it is what is asked about
                seen.append((type(error), str(error)))
        return seen

    traced = whence.traced("a.b", log=log)(echo)
    tracer_off = Tracer().traced("alt")(echo)

    async def main() -> None:
        for moves in PLAYS:
            if any(isinstance(value, StopIteration) for _, value in moves):
                continue
            answers = await play_async(echo(), moves)
            assert await play_async(traced(), moves) == answers
            assert await play_async(tracer_off(), moves) == answers

    asyncio.run(main())


def test_an_async_generator_is_no_cause_while_it_waits(log: whence.Log) -> None:
    @whence.traced("a.numbers", log=log)
    async def numbers() -> AsyncIterator[int]:
        with log.span("a.inner"):
            yield 1
            await asyncio.sleep(0)
            log.emit("ops", "within")
        yield 2

    async def main() -> None:
        with log.span("a.main") as main:
            async for number in numbers():
                assert log.current_cause() == main.id
                log.emit("ops", f"used_{number}")

    asyncio.run(main())
    log.close()

    found = by_type(log.folder)
    assert found["inner"].parent == found["numbers"].id
    assert found["within"].parent == found["inner"].id
    assert found["used_1"].parent == found["used_2"].parent == found["main"].id


def test_an_async_generator_that_other_tasks_go_on_with(log: whence.Log) -> None:
    """Each step in a context of its own, as web servers do."""

    @whence.traced("a.numbers", log=log)
    async def numbers() -> AsyncIterator[int]:
        with log.span("a.inner"):
            yield 1
        log.emit("ops", "after")
        yield 2

    async def main() -> None:
        made = numbers()

        async def step() -> int:
            return await anext(made)

        assert await asyncio.create_task(step()) == 1
        assert await asyncio.create_task(step()) == 2
        assert log.current_cause() is None
        await made.aclose()  # type: ignore[attr-defined]
        assert log.current_cause() is None

    asyncio.run(main())
    log.close()
    found = by_type(log.folder)
    assert found["inner"].parent == found["numbers"].id
    assert found["after"].parent == found["numbers"].id
    assert found["numbers"].data == {"ended_by": "GeneratorExit"}


def test_an_async_generator_that_is_left_ends_its_span(log: whence.Log) -> None:
    @whence.traced("a.numbers", log=log)
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def main() -> None:
        async for _ in numbers():
            break
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert only(log).data == {"ended_by": "GeneratorExit"}


# --- the tracer's -----------------------------------------------------------------------------


def test_the_tracers_decorator_traces_where_tracing_is_on(
    log: whence.Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = Tracer()

    @tracer.traced("alt", arguments=True, result=True)
    def plan(intent: str) -> str:
        return intent.upper()

    @tracer.traced("mem", "memory.read", "store.py")
    def read() -> Iterator[int]:
        yield from (1, 2)

    tracer.use(log)
    try:
        tracer.enabled = False
        assert plan("x") == "X"
        assert [*read()] == [1, 2]
        tracer.enabled = True
        assert plan("x") == "X"
        assert [*read()] == [1, 2]
    finally:
        tracer.board.forced_on = None
        tracer.use(None)
    log.close()

    found = by_type(log.folder)
    assert found["plan"].primitive == "altitude"
    assert found["plan"].id.startswith("alt_")
    assert found["plan"].data["component"] == "test_decorator.py"
    assert found["plan"].data["arguments"] == {"intent": "x"}
    assert found["plan"].data["output"] == "X"
    assert found["read"].data == {"component": "store.py"}


def test_a_traced_function_leaves_nothing_behind(log: whence.Log) -> None:
    """What it was given is let go when it ends."""

    class Thing:
        pass

    @whence.traced("a.b", log=log)
    def work(thing: Thing) -> None: ...

    @whence.traced("a.c", log=log)
    def numbers(thing: Thing) -> Iterator[int]:
        yield 1

    thing = Thing()
    count = sys.getrefcount(thing)
    work(thing)
    assert [*numbers(thing)] == [1]
    assert sys.getrefcount(thing) == count
    assert json.dumps(read_events(log.folder)[0].data) == "{}"
