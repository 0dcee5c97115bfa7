"""Whatever interrupts a recording call, wherever: an exception, or a handler that records.

Python runs signal handlers, and raises KeyboardInterrupt, only between certain instructions: after
calls, at the start of functions and of each turn of a loop. A trace function stands at every one
of them in turn, so "anywhere" is not left to chance.
"""

import errno
import gc
import opcode
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest

import whence
from tests.crash.account import PROMISES, Account, Found, payload, read_back
from whence.errors import StoreError
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock
from whence.testing.faults import FailingDisk, Fault
from whence.testing.power import SimulatedDisk

_FOLDER = Path("/simulated/log")
_ROOMS = tuple(str(Path(whence.__file__).parent / room) for room in ("journal", "recorder"))
_AFTER = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "RESUME", "JUMP_BACKWARD"}


class _Anywhere:
    """Does something at the moment number `at` of those in which a handler may run."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.has_acted = False
        self._left = at
        self._act = act
        self._last: dict[FrameType, str] = {}

    def __enter__(self) -> Self:
        # What other tests left to finalizers is not to run in here.
        gc.collect()
        gc.disable()
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._before)
        gc.enable()

    def _enter_frame(self, frame: FrameType, event: str, value: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_ROOMS):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, value: Any) -> Any:
        if event != "opcode" or self.has_acted:
            return self._step
        last = self._last.get(frame)
        self._last[frame] = opcode.opname[frame.f_code.co_code[frame.f_lasti]]
        if last in _AFTER:
            if self._left == 0:
                self.has_acted = True
                self._act()
            self._left -= 1
        return self._step


class _Log:
    """A recorder on a simulated disk, with an account of what it was asked and has promised."""

    def __init__(self, disk: Disk | None = None) -> None:
        self.simulated = SimulatedDisk()
        self.disk = FailingDisk(inner=self.simulated)
        self.clock = FixedClock()
        self.recorder = Recorder(
            _FOLDER, disk=self.disk, clock=self.clock, layout=Layout(segment_bytes=2000)
        )
        self.account = Account()
        self._serials = dict.fromkeys(["main", "handler", "thread"], 0)

    def emit(self, stream: str, promise: str = "os", size: int = 10) -> str:
        key = f"{stream}:{self._serials[stream]}"
        self._serials[stream] += 1
        self.account.attempted.add(key)
        self.recorder.emit("test", "happened", data=payload(key, size), **PROMISES[promise])
        self.account.kept[key] = promise
        return key

    def finish(self, folder: Path) -> Found:
        """Record on as if nothing had been, from here and from another thread, and close."""
        self.emit("main")
        other = threading.Thread(target=self._go_on, daemon=True)
        other.start()
        other.join(timeout=60)
        assert not other.is_alive(), "another thread waits for ever"
        self.emit("main", "disk")
        self.recorder.close()
        return self.read(self.simulated, folder)

    def read(self, disk: SimulatedDisk, folder: Path) -> Found:
        disk.write_to(folder)
        found = read_back(folder / _FOLDER.relative_to("/"))
        self.account.check_honest(found)
        return found

    def _go_on(self) -> None:
        for promise in ("os", "wait", "disk"):
            self.emit("thread", promise)


def _begun() -> _Log:
    log = _Log()
    for promise in ("os", "disk", "os"):
        log.emit("main", promise)
    return log


def _torn() -> _Log:
    log = _begun()
    log.disk.fault = Fault(operation="write", at=log.disk.calls["write"], error=errno.ENOSPC)
    log.emit("main")
    return log


def _full() -> _Log:
    log = _begun()
    log.emit("main", size=3000)
    log.clock.advance(2)
    return log


def _unsyncable() -> _Log:
    log = _begun()
    log.disk.fault = Fault(operation="sync", at=log.disk.calls["sync"], error=errno.EIO)
    return log


_SCENES: dict[str, tuple[Callable[[], _Log], Callable[[_Log], object]]] = {
    "the first event": (_Log, lambda log: log.emit("main")),
    "an event": (_begun, lambda log: log.emit("main")),
    "a waiting event": (_begun, lambda log: log.emit("main", "wait")),
    "a durable event": (_begun, lambda log: log.emit("main", "disk")),
    "a blob": (_begun, lambda log: log.emit("main", size=70_000)),
    "an event after a lost one": (_torn, lambda log: log.emit("main")),
    "an event that rotates": (_full, lambda log: log.emit("main")),
    "a durable event that rotates": (_full, lambda log: log.emit("main", "disk")),
    "a failing sync": (_unsyncable, lambda log: log.emit("main", "disk")),
}

_STRIDES = {"an event": 1, "a waiting event": 1, "a durable event": 1}
"""How many moments a short run goes on at a time, where not 5: a full run tries every one."""


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("CRITICAL", logger="whence")
    # So that each of many collections looks at what came since alone.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("scene", _SCENES)
def test_an_exception_anywhere_leaves_a_sound_log(scene: str, tmp_path: Path, full: bool) -> None:
    """No count is used twice, nothing acknowledged is lost, and nobody waits for ever."""
    begin, act = _SCENES[scene]

    def interrupt() -> None:
        raise KeyboardInterrupt

    def interrupt_everywhere() -> None:
        at = 0
        while True:
            log = begin()
            lost = log.recorder.lost
            with _Anywhere(at, interrupt) as anywhere:
                try:
                    act(log)
                except KeyboardInterrupt:
                    pass

            found = log.finish(tmp_path / str(at))
            missing = log.account.missing(found)
            assert len(missing) <= lost, f"interrupted at moment {at}"
            assert log.disk.complaints == []
            if not anywhere.has_acted:
                break
            at += 1 if full else _STRIDES.get(scene, 5)
        assert at > 10

    # In a thread of its own: what a trace function raises, Python goes on handling for ever.
    _in_time(interrupt_everywhere)


@pytest.mark.parametrize("promise", ["os", "wait", "disk"])
@pytest.mark.parametrize("scene", _SCENES)
def test_a_handler_anywhere_may_record(
    scene: str, promise: str, tmp_path: Path, full: bool
) -> None:
    """What a handler records is kept as what it interrupts is; `disk` is kept or refused."""
    begin, act = _SCENES[scene]

    at = 0
    while True:
        log = begin()
        lost = log.recorder.lost
        survivors: list[tuple[str, SimulatedDisk]] = []

        def record(log: _Log = log, survivors: Any = survivors) -> None:
            try:
                key = log.emit("handler", promise)
            except StoreError:
                assert promise == "disk"
            else:
                if promise == "disk":
                    survivors.append((key, log.simulated.power_cut(1)))

        with _Anywhere(at, record) as anywhere:
            act(log)

        found = log.finish(tmp_path / str(at))
        assert len(log.account.missing(found)) <= lost, f"interrupted at moment {at}"
        assert log.disk.complaints == []
        for key, survivor in survivors:
            assert key in log.read(survivor, tmp_path / f"{at}-cut").keys
        if not anywhere.has_acted:
            break
        at += 1 if full else _STRIDES.get(scene, 5)
    assert at > 10


def _in_time(act: Callable[[], None]) -> None:
    """Run in a thread of its own, so that waiting for ever turns red."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=300)
    assert not thread.is_alive(), "it waits for ever"
    if errors:
        raise errors[0]


@pytest.mark.parametrize("promise", ["os", "wait", "disk"])
def test_closing_anywhere_in_a_call_leaves_a_sound_log(promise: str, tmp_path: Path) -> None:
    """As a handler of SIGTERM might: what is lost then is counted, and nothing is torn."""

    def close_at(at: int) -> bool:
        log = _begun()
        with _Anywhere(at, log.recorder.close) as anywhere:
            try:
                log.emit("main", promise)
            except StoreError:
                assert promise == "disk"
        log.recorder.close()

        found = log.read(log.simulated, tmp_path / str(at))
        assert len(log.account.missing(found)) <= log.recorder.lost
        assert log.disk.open_paths == []
        return anywhere.has_acted

    def close_everywhere() -> None:
        at = 0
        while close_at(at):
            at += 1
        assert at > 10

    _in_time(close_everywhere)


@pytest.mark.parametrize("promise", ["os", "disk"])
def test_a_handler_anywhere_in_a_close_may_record(promise: str, tmp_path: Path) -> None:
    """What comes too late is counted, or refused where it was to be durable."""

    def record_at(at: int) -> bool:
        log = _begun()

        def record() -> None:
            try:
                log.emit("handler", promise)
            except StoreError:
                assert promise == "disk"

        with _Anywhere(at, record) as anywhere:
            log.recorder.close()
        log.recorder.close()

        found = log.read(log.simulated, tmp_path / str(at))
        assert len(log.account.missing(found)) <= log.recorder.lost
        assert log.account.missing(found, ["disk"]) == set()
        assert log.disk.open_paths == []
        return anywhere.has_acted

    def record_everywhere() -> None:
        at = 0
        while record_at(at):
            at += 1
        assert at > 10

    _in_time(record_everywhere)
