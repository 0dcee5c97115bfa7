"""An event names as its cause the span or `cause` around it: in threads, tasks and executors too."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.recorder.recording import by_type, recorder_in
from whence.recorder.recorder import Recorder


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with recorder_in(tmp_path) as recorder:
        yield recorder


def test_without_anything_around_it_an_event_is_a_root(recorder: Recorder) -> None:
    recorder.emit("ops", "alone")
    recorder.close()

    alone = by_type(recorder.folder)["alone"]
    assert alone.parent is None
    assert alone.trace is None
    assert recorder.current_cause() is None


def test_inside_a_root_span_its_id_is_parent_and_trace(recorder: Recorder) -> None:
    with recorder.span("layer.outer") as outer:
        assert recorder.current_cause() == outer.id
        recorder.emit("ops", "inside")
        with recorder.span("layer.inner") as inner:
            recorder.emit("ops", "deep")
        recorder.emit("ops", "after")
    recorder.close()

    found = by_type(recorder.folder)
    assert (found["outer"].parent, found["outer"].trace) == (None, None)
    assert (found["inside"].parent, found["inside"].trace) == (outer.id, outer.id)
    assert (found["inner"].parent, found["inner"].trace) == (outer.id, outer.id)
    assert (found["deep"].parent, found["deep"].trace) == (inner.id, outer.id)
    assert (found["after"].parent, found["after"].trace) == (outer.id, outer.id)


def test_a_parent_from_elsewhere_leaves_the_trace_open(recorder: Recorder) -> None:
    """Its root is not known here; the index finds it."""
    with recorder.span("layer.outer") as outer:
        recorder.emit("ops", "elsewhere", parent="far-away")
        recorder.emit("ops", "same", parent=outer.id)
    recorder.emit("ops", "outside", parent="far-away")
    recorder.close()

    found = by_type(recorder.folder)
    assert (found["elsewhere"].parent, found["elsewhere"].trace) == ("far-away", None)
    assert (found["same"].parent, found["same"].trace) == (outer.id, outer.id)
    assert (found["outside"].parent, found["outside"].trace) == ("far-away", None)


def test_a_cause_is_the_parent_of_what_is_inside_and_leaves_the_trace_open(
    recorder: Recorder,
) -> None:
    with recorder.cause("message-1"):
        assert recorder.current_cause() == "message-1"
        recorder.emit("ops", "answer")
        with recorder.span("layer.step") as step:
            recorder.emit("ops", "deep")
        recorder.emit("ops", "other", parent="message-2")
    recorder.emit("ops", "after")
    recorder.close()

    found = by_type(recorder.folder)
    assert (found["answer"].parent, found["answer"].trace) == ("message-1", None)
    assert (found["step"].parent, found["step"].trace) == ("message-1", None)
    assert (found["deep"].parent, found["deep"].trace) == (step.id, None)
    assert (found["other"].parent, found["other"].trace) == ("message-2", None)
    assert (found["after"].parent, found["after"].trace) == (None, None)


def test_a_cause_inside_a_span_holds_until_it_ends(recorder: Recorder) -> None:
    with recorder.span("layer.outer") as outer:
        with recorder.cause("message-1"), recorder.cause("message-2"):
            recorder.emit("ops", "inside")
        recorder.emit("ops", "after")
    recorder.close()

    found = by_type(recorder.folder)
    assert (found["inside"].parent, found["inside"].trace) == ("message-2", None)
    assert (found["after"].parent, found["after"].trace) == (outer.id, outer.id)


def test_a_cause_ends_also_with_an_exception(recorder: Recorder) -> None:
    with pytest.raises(LookupError), recorder.cause("message-1"):
        raise LookupError
    assert recorder.current_cause() is None


@pytest.mark.parametrize("wrong", [None, 5, b"id"])
def test_a_cause_is_named_by_an_id(recorder: Recorder, wrong: str) -> None:
    with pytest.raises(TypeError, match="event_id"):
        recorder.cause(wrong)
    with pytest.raises(ValueError, match="event_id is empty"):
        recorder.cause("")


def test_a_private_event_can_be_a_cause_and_a_parent(recorder: Recorder) -> None:
    """What the caller gets for it is its id, and more."""
    receipt = recorder.emit("ops", "secret", private=True)
    with recorder.cause(receipt):
        recorder.emit("ops", "inside")
    recorder.emit("ops", "named", parent=receipt, links=[receipt])
    recorder.close()

    found = by_type(recorder.folder)
    assert found["inside"].parent == found["secret"].id
    assert found["named"].parent == found["secret"].id
    assert found["named"].links == (found["secret"].id,)


def test_two_logs_have_causes_of_their_own(tmp_path: Path) -> None:
    with (
        recorder_in(tmp_path / "a") as first,
        recorder_in(tmp_path / "b") as second,
        first.span("layer.step"),
        second.cause("message-1"),
    ):
        first.emit("ops", "here")
        second.emit("ops", "there")

    found = by_type(tmp_path / "a")
    assert found["here"].parent == found["step"].id
    assert by_type(tmp_path / "b")["there"].parent == "message-1"


# --- threads, tasks, executors --------------------------------------------------------------


def test_threads_have_causes_of_their_own(recorder: Recorder) -> None:
    both_open = threading.Barrier(2)

    def work(name: str) -> None:
        with recorder.span(f"layer.{name}"):
            both_open.wait()
            recorder.emit("ops", f"in_{name}")
            both_open.wait()

    with recorder.span("layer.main"):
        threads = [threading.Thread(target=work, args=(name,)) for name in ("left", "right")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    recorder.close()

    found = by_type(recorder.folder)
    assert found["in_left"].parent == found["left"].id
    assert found["in_right"].parent == found["right"].id
    assert found["left"].parent is None
    assert found["right"].parent is None


def test_an_executor_that_copies_the_context_hands_the_cause_on(recorder: Recorder) -> None:
    with ThreadPoolExecutor(1) as pool, recorder.span("layer.main") as main:
        context = contextvars.copy_context()
        pool.submit(context.run, recorder.emit, "ops", "copied").result()
        pool.submit(recorder.emit, "ops", "bare").result()
    recorder.close()

    found = by_type(recorder.folder)
    assert (found["copied"].parent, found["copied"].trace) == (main.id, main.id)
    assert found["bare"].parent is None


def test_tasks_inherit_the_cause_and_then_have_their_own(recorder: Recorder) -> None:
    async def work(name: str, opened: asyncio.Barrier) -> None:
        recorder.emit("ops", f"before_{name}")
        with recorder.span(f"layer.{name}"):
            await opened.wait()
            recorder.emit("ops", f"in_{name}")
            await asyncio.sleep(0)
        recorder.emit("ops", f"after_{name}")

    async def main() -> None:
        opened = asyncio.Barrier(2)
        with recorder.span("layer.main"):
            await asyncio.gather(work("left", opened), work("right", opened))
            recorder.emit("ops", "done")
            await asyncio.to_thread(recorder.emit, "ops", "in_thread")

    asyncio.run(main())
    recorder.close()

    found = by_type(recorder.folder)
    for name in ("left", "right"):
        assert found[name].parent == found["main"].id
        assert found[f"in_{name}"].parent == found[name].id
        assert found[f"before_{name}"].parent == found["main"].id
        assert found[f"after_{name}"].parent == found["main"].id
    assert found["done"].parent == found["main"].id
    assert found["in_thread"].parent == found["main"].id
    assert {event.trace for event in found.values()} == {None, found["main"].id}


def test_a_task_that_outlives_its_span_still_names_it(recorder: Recorder) -> None:
    async def late(go: asyncio.Event) -> None:
        await go.wait()
        with recorder.span("layer.step"):
            pass
        recorder.emit("ops", "late")

    async def main() -> None:
        go = asyncio.Event()
        with recorder.span("layer.main"):
            task = asyncio.create_task(late(go))
        recorder.emit("ops", "between")
        go.set()
        await task

    asyncio.run(main())
    recorder.close()

    found = by_type(recorder.folder)
    assert found["late"].parent == found["main"].id
    assert found["step"].parent == found["main"].id
    assert found["between"].parent is None


# --- ends in another place than it began ------------------------------------------------------


@pytest.mark.parametrize("kind", ["span", "cause"])
def test_what_ends_in_another_context_ends_quietly(recorder: Recorder, kind: str) -> None:
    block = recorder.span("layer.step") if kind == "span" else recorder.cause("message-1")
    contextvars.copy_context().run(block.__enter__)

    with recorder.span("layer.here") as here:
        block.__exit__(None, None, None)
        assert recorder.current_cause() == here.id

    assert recorder.current_cause() is None


@pytest.mark.parametrize("kind", ["span", "cause"])
def test_an_async_generator_closed_by_another_task_ends_quietly(
    recorder: Recorder, kind: str
) -> None:
    async def numbers() -> AsyncIterator[int]:
        with recorder.span("layer.numbers") if kind == "span" else recorder.cause("message-1"):
            yield 1
            yield 2

    async def main() -> None:
        generator = numbers()

        async def first() -> int:
            return await anext(generator)

        assert await asyncio.create_task(first()) == 1
        await generator.aclose()  # type: ignore[attr-defined]
        recorder.emit("ops", "after")

    asyncio.run(main())
    recorder.close()

    assert by_type(recorder.folder)["after"].parent is None


def test_a_generator_that_is_never_finished_ends_when_it_goes(recorder: Recorder) -> None:
    def numbers() -> Iterator[int]:
        with recorder.span("layer.numbers"):
            yield 1
            yield 2

    generator = numbers()
    assert next(generator) == 1
    del generator
    recorder.emit("ops", "after")
    recorder.close()

    found = by_type(recorder.folder)
    assert found["numbers"].status == "success"
    assert found["numbers"].data["ended_by"] == "GeneratorExit"
    assert found["after"].parent is None


@pytest.mark.parametrize("run", [lambda work: work(), contextvars.copy_context().run])
def test_a_span_ended_twice_is_one_event(
    recorder: Recorder, run: Callable[[Callable[[], object]], object]
) -> None:
    span = recorder.span("layer.step")
    span.__enter__()
    run(lambda: span.__exit__(None, None, None))
    run(lambda: span.__exit__(None, None, None))
    recorder.close()

    assert list(by_type(recorder.folder)) == ["step"]
