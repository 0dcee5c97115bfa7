"""Each promise of the writer alone, so that the loss of any one of them turns one test red."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.account import payload, read_back
from whence.errors import StoreError
from whence.journal.disk import Disk
from whence.journal.syncs import GroupSync, Ticket
from whence.journal.writer import QUEUE_MAX, Line
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock
from whence.testing.faults import FailingDisk, Fault
from whence.testing.power import SimulatedDisk

_PATIENCE_S = 60
"""Only so that waiting for ever turns red."""


def _emit(recorder: Recorder, key: str, **promise: Any) -> None:
    recorder.emit("test", "happened", data=payload(key, 0), **promise)


def test_a_durable_event_is_synced_by_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    recorder = Recorder(tmp_path)
    _emit(recorder, "main:0")
    assert synced == []

    _emit(recorder, "main:1", durability="disk")

    (segment,) = (tmp_path / "journal").iterdir()
    assert synced == [segment.stat().st_ino]
    recorder.close()


@pytest.mark.parametrize("promise", [{}, {"wait": True}])
def test_a_short_write_is_ended_and_its_line_written_again(
    promise: dict[str, Any], tmp_path: Path
) -> None:
    disk = FailingDisk()
    recorder = Recorder(tmp_path, disk=disk, clock=FixedClock())
    _emit(recorder, "main:0")
    disk.fault = Fault(operation="write", at=disk.calls["write"], error=0, how="half")

    _emit(recorder, "main:1", **promise)

    raw = next((tmp_path / "journal").iterdir()).read_bytes()
    assert raw.count(b'#\n{"id":"') == 1
    found = read_back(tmp_path)
    assert found.keys == ["main:0", "main:1"]
    assert (found.fragments, recorder.lost) == (1, 0)
    recorder.close()


def test_what_is_lost_is_told_when_writing_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FailingDisk()
    recorder = Recorder(tmp_path, disk=disk, clock=FixedClock())
    _emit(recorder, "main:0")
    disk.fault = Fault(operation="write", at=disk.calls["write"], error=errno.EIO)

    _emit(recorder, "main:1")
    _emit(recorder, "main:2")

    assert read_back(tmp_path).own("writer.gap") == [{"lost": 1, "reason": "Input/output error"}]
    assert len(caplog.records) == 1
    recorder.close()


def test_a_segment_whose_sync_failed_is_left_and_that_is_told(tmp_path: Path) -> None:
    disk = FailingDisk(Fault(operation="sync", at=0, error=errno.EIO))
    recorder = Recorder(tmp_path, disk=disk, clock=FixedClock())

    _emit(recorder, "main:0", durability="disk")

    assert read_back(tmp_path).own("segment.left") == [
        {"segment": "2026-11-20.0000", "why": "its sync failed"}
    ]
    recorder.close()


def test_a_disk_that_forgets_cannot_promise_to_remember() -> None:
    recorder = Recorder(Path("/log"), disk=SimulatedDisk(kind="tmpfs"), clock=FixedClock())

    with pytest.raises(StoreError, match="forgets at a power cut"):
        _emit(recorder, "main:0", durability="disk")
    recorder.close()


def test_beyond_the_queues_bound_callers_wait(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    writer = recorder._writer
    returned: list[int] = []

    def record() -> None:
        for number in range(2 * QUEUE_MAX):
            _emit(recorder, f"main:{number}")
            returned.append(number)

    thread = threading.Thread(target=record, daemon=True)
    with writer._lock:
        thread.start()
        # Not a race: while the lock is held here, it can come no further however long this lasts.
        thread.join(timeout=1)
        assert thread.is_alive()
        assert len(returned) <= QUEUE_MAX
    thread.join(timeout=_PATIENCE_S)

    assert len(returned) == 2 * QUEUE_MAX
    recorder.close()


class _Hooked:
    """A writer's lock; calls `hook` once when it has just become free."""

    def __init__(self, hook: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._hook: Callable[[], None] | None = hook

    def acquire(self, blocking: bool = True) -> bool:
        taken = self._lock.acquire(blocking)
        self._depth += taken
        return taken

    def release(self) -> None:
        self._depth -= 1
        is_free = self._depth == 0
        self._lock.release()
        hook = self._hook
        if is_free and hook is not None:
            self._hook = None
            hook()

    def _is_owned(self) -> bool:
        return self._lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


@pytest.mark.parametrize("promise", [{}, {"wait": True}, {"durability": "disk"}])
@pytest.mark.parametrize("is_behind_another", [False, True])
def test_a_line_that_is_left_as_the_lock_becomes_free_is_written(
    promise: dict[str, Any], is_behind_another: bool, tmp_path: Path
) -> None:
    """Another thread found the lock taken, and went home."""
    recorder = Recorder(tmp_path)
    _emit(recorder, "main:0")
    writer = recorder._writer

    def leave() -> None:
        writer._queue.append(Line(*recorder._make_own("left.behind", {}), None))

    if is_behind_another:
        leave()
    writer._lock = _Hooked(leave)  # type: ignore[assignment]

    _emit(recorder, "main:1", **promise)

    assert writer._queue == []
    assert len(read_back(tmp_path).own("left.behind")) == 1 + is_behind_another
    recorder.close()


def test_who_waits_is_served_when_the_leader_is_gone() -> None:
    """An exception took the leader out of its sync: the next one leads."""
    leading, joined = threading.Event(), threading.Event()

    class Once:
        def sync_written(self, tickets: list[Ticket]) -> None:
            if not leading.is_set():
                leading.set()
                joined.wait()
                raise KeyboardInterrupt

    group = GroupSync(Once())
    interrupted: list[bool] = []

    def lead() -> None:
        try:
            group.wait(Ticket())
        except KeyboardInterrupt:
            interrupted.append(True)

    first = threading.Thread(target=lead, daemon=True)
    second = threading.Thread(target=lambda: group.wait(Ticket()), daemon=True)
    first.start()
    assert leading.wait(_PATIENCE_S)
    second.start()
    while len(group._waiting) < 2:
        pass
    joined.set()
    for thread in (first, second):
        thread.join(timeout=_PATIENCE_S)
        assert not thread.is_alive(), "it waits for ever"

    assert interrupted == [True]


def test_the_real_disk_is_what_a_recorder_writes_to(tmp_path: Path) -> None:
    disk = Disk()
    fd = disk.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    assert disk.write(fd, b"abc") == disk.fstat(fd).st_size == 3
    disk.close(fd)
