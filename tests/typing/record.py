"""How a program records, as a type checker sees it. Type-checked, never run."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, assert_type

import whence
from whence.log import Log
from whence.recorder.span import Span


def open_logs(folder: Path) -> None:
    """A log is opened in several ways."""
    assert_type(whence.open(), Log)
    assert_type(whence.open("logs"), Log)
    assert_type(whence.open(folder, durability="disk", read_only=True), Log)
    with whence.open() as log:
        assert_type(log, whence.Log)
    whence.open(5)  # type: ignore[arg-type]
    whence.open(durability="paper")  # type: ignore[arg-type]


def record_events(log: whence.Log, payload: dict[str, object], causes: list[str]) -> None:
    """An event has a primitive and a type; everything else has a name."""
    assert_type(log.emit("ops", "create_task"), str)
    task = log.emit(
        "ops",
        "create_task",
        agent="zealot-1",
        target="task-abc123",
        data=payload,
        parent=None,
        links=causes,
        status="success",
        duration=5,
        private=False,
        durability="disk",
        wait=True,
    )
    log.emit("ops", "claim_task", parent=task, links=(task,), data=[1, "two", None])
    log.emit("ops", "anything", data=object())

    log.emit("ops")  # type: ignore[call-arg]
    log.emit("ops", "step", "haiku-1")  # type: ignore[call-arg]
    log.emit("ops", None)  # type: ignore[arg-type]
    log.emit("ops", "step", agent=5)  # type: ignore[arg-type]
    log.emit("ops", "step", status="fine")  # type: ignore[arg-type]
    log.emit("ops", "step", duration=0.5)  # type: ignore[arg-type]
    log.emit("ops", "step", payload={})  # type: ignore[call-arg]
    log.emit("ops", "step", durability="paper")  # type: ignore[arg-type]


async def record_from_a_task(log: whence.Log) -> None:
    """An event loop is not held up by the disk."""
    assert_type(await log.emit_async("ops", "step", agent="haiku-1", data={"a": 1}), str)
    await log.emit_async("ops", "step", wait=True)  # type: ignore[call-arg]


def record_spans(log: whence.Log, inputs: Iterable[int]) -> str:
    """A span is open inside its block, which keeps its errors."""
    with log.span("altitude.transition", component="altitude.py", input="L3→L2") as span:
        assert_type(span, Span)
        assert_type(span.id, str)
        span.output("success", reason="user requested tactical")
        span.output({"any": "value"})
        span.note(tokens=5)
        span.block("not allowed")
        log.span(5)  # type: ignore[arg-type]
        log.span("layer.step", data=[1])  # type: ignore[arg-type]
        return "a checker knows that this returns"


def record_causes(log: whence.Log, message: str) -> None:
    """What is recorded inside names the event as its cause."""
    assert_type(log.cause, Callable[[str], AbstractContextManager[None]])
    with log.cause(message):
        log.emit("ops", "step")
    log.cause(5)  # type: ignore[arg-type]
    assert_type(log.current_cause(), str | None)
    assert_type(log.lost, int)


def record_in_private(log: whence.Log, event: whence.Event) -> bool:
    """A private event's id is a receipt, and is text like any id."""
    receipt = log.emit("ops", "secret", data={"who": "…"}, private=True)
    if isinstance(receipt, whence.Receipt):
        assert_type(receipt.salt, str)
        assert_type(receipt.payload, bytes)
        log.emit("ops", "step", parent=receipt)
        return receipt.check(event)
    return False


def record_to_the_default_log(payload: dict[str, Any]) -> None:
    """The same on the log of the process."""
    assert_type(whence.emit("ops", "step", agent="haiku-1", data=payload), str)
    with whence.span("layer.step") as span, whence.cause(span.id):
        span.output("done")
    whence.emit("ops", "step", agent=5)  # type: ignore[arg-type]
