import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.account import payload, read_back
from whence.errors import StoreError
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.journal.syncs import AsyncSync, GroupSync, Ticket
from whence.journal.writer import Line
from whence.recorder.recorder import Recorder

_PATIENCE_S = 60
"""Only so that waiting for ever turns red."""


class _Hooked(Disk):
    """Calls `on_sync` and `on_close` in the middle, as what interrupts that call would."""

    def __init__(self) -> None:
        self.on_sync: Callable[[], object] = lambda: None
        self.on_close: Callable[[], object] = lambda: None

    def sync(self, fd: int) -> None:
        self.on_sync()
        super().sync(fd)

    def close(self, fd: int) -> None:
        super().close(fd)
        self.on_close()


def _start(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def _join(thread: threading.Thread) -> None:
    thread.join(timeout=_PATIENCE_S)
    assert not thread.is_alive(), "it waits for ever"


def _emit_durable(recorder: Recorder, key: str) -> None:
    recorder.emit("test", "happened", data=payload(key, 0), durability="disk")


def test_closing_inside_a_wait_for_the_disk_returns_at_once(tmp_path: Path) -> None:
    """As a handler of SIGTERM does; the log is then closed by who closes it afterwards."""
    disk = _Hooked()
    recorder = Recorder(tmp_path, disk=disk)
    disk.on_sync = recorder.close

    _join(_start(lambda: _emit_durable(recorder, "main:0")))
    recorder.close()

    found = read_back(tmp_path)
    assert found.keys == ["main:0"]
    assert len(found.own("writer.close")) == 1


def test_who_keeps_others_from_syncing_cannot_wait_itself() -> None:
    group = GroupSync(_Never())
    refused: list[Exception] = []

    def wait_inside() -> None:
        with group.stopped():
            assert group.is_inside()
            try:
                group.wait(Ticket())
            except StoreError as error:
                refused.append(error)

    _join(_start(wait_inside))
    assert "interrupts a wait" in str(refused[0])
    assert not group.is_inside()


class _Never:
    def sync_written(self, tickets: list[Ticket]) -> None:
        raise AssertionError("nobody is to sync")


def test_the_thread_that_syncs_survives_what_nobody_foresaw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = _Hooked()
    recorder = Recorder(tmp_path, disk=disk)

    def fail() -> None:
        disk.on_sync = lambda: None
        raise MemoryError

    disk.on_sync = fail

    async def main() -> None:
        with pytest.raises(StoreError, match="its thread failed"):
            await recorder.emit_async("test", "happened", data=payload("main:0", 0))
        second = recorder.emit_async("test", "happened", data=payload("main:1", 0))
        await asyncio.wait_for(second, _PATIENCE_S)

    with caplog.at_level(logging.WARNING, logger="whence"):
        asyncio.run(main())
    recorder.close()

    assert read_back(tmp_path).keys == ["main:0", "main:1"]
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_a_thread_that_cannot_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Ticket] = []
    served = threading.Event()

    class Kept:
        def sync_written(self, tickets: list[Ticket]) -> None:
            pass

    def tell(tickets: list[Ticket]) -> None:
        told.extend(tickets)
        served.set()

    syncs = AsyncSync(GroupSync(Kept()))
    tickets = [Ticket(), Ticket()]
    with monkeypatch.context() as patch:

        def refuse(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StoreError, match="cannot start the thread"):
            syncs.ask(tickets[0], tell)
    syncs.ask(tickets[1], tell)
    assert served.wait(_PATIENCE_S)
    syncs.close()

    assert told == tickets


def test_a_finalizer_in_the_thread_that_syncs_may_close() -> None:
    """A thread cannot wait for its own end."""

    class Kept:
        def sync_written(self, tickets: list[Ticket]) -> None:
            pass

    errors: list[Exception] = []
    closed = threading.Event()

    def close(tickets: list[Ticket]) -> None:
        try:
            syncs.close()
        except RuntimeError as error:
            errors.append(error)
        closed.set()

    syncs = AsyncSync(GroupSync(Kept()))
    syncs.ask(Ticket(), close)

    assert closed.wait(_PATIENCE_S)
    assert errors == []


def test_a_handler_that_interrupts_the_end_of_a_sync_leaves_no_line_behind(tmp_path: Path) -> None:
    """What it records while a segment that was left is given back is written before the return."""
    disk = _Hooked()
    recorder = Recorder(tmp_path, disk=disk, layout=Layout(segment_bytes=4096))
    _emit_durable(recorder, "main:0")
    writer = recorder._writer
    # Somebody on the way to wait for a line: the segment that holds it stays open when it is left.
    recorder.emit("test", "happened", data=payload("main:1", 5000))
    own = recorder._make_own("writer.gap", {"lost": 0, "reason": ""})
    writer._queue.append(Line(*own, Ticket()))
    recorder.emit("test", "happened", data=payload("main:2", 0))
    writer._check_due_ns = 0

    def record() -> None:
        disk.on_close = lambda: None
        recorder.emit("test", "happened", data=payload("handler:0", 0))

    disk.on_close = record
    _emit_durable(recorder, "main:3")

    assert writer._queue == []
    assert "handler:0" in read_back(tmp_path).keys
    recorder.close()
