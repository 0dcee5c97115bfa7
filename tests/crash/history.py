"""A scripted history that uses every promise, large payloads, rotation, a fork and a close."""

from pathlib import Path

from tests.crash.account import PROMISES, Account, payload, serials
from whence.errors import StoreError
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock

FOLDER = Path("/simulated/log")
_LARGE = 70_000


class History:
    """Runs the same calls on any disk and keeps account of what was asked and promised.

    `lost` is what all its writers say they have lost, `refused` how often `disk` was refused.
    """

    def __init__(self, disk: Disk, folder: Path = FOLDER, *, durability: str = "") -> None:
        self.account = Account()
        self.clock = FixedClock("2026-11-20T23:59:50.000000000Z")
        self.refused = 0
        self.writers = 1
        self._before = 0
        self._promise = durability
        self._disk = disk
        self._folder = folder
        self._serials = serials("0")
        self._recorder = self._open()

    def _open(self) -> Recorder:
        layout = Layout(segment_bytes=4096)
        return Recorder(self._folder, disk=self._disk, layout=layout, clock=self.clock)

    @property
    def lost(self) -> int:
        return self._before + self._recorder.lost

    @property
    def lost_since_fork(self) -> int:
        return self._recorder.lost

    def run(self) -> None:
        """The history proper: about forty events over five segments and three days."""
        self.emit("os")
        self.emit("os", 200)
        self.emit("wait")
        self.emit("disk")
        self.emit("os", _LARGE)
        self.emit("os", 5000)
        self.clock.advance(1.5)
        for _ in range(3):
            self.emit("os", 100)
            self.emit("disk", 100)
        self.emit("disk", _LARGE)
        # Past midnight, and a little back.
        self.clock.advance(10)
        self.emit("os", 10)
        self.clock.advance(-5)
        self.emit("os", 10)
        self.emit("disk", 3000)
        self.clock.advance(6)
        self.emit("os", 3000)
        self.clock.advance(2)
        self.emit("disk", 10)
        self.emit("wait", 10)
        self.fork()
        for _ in range(3):
            self.emit("os", 1000)
        self.emit("disk", 1000)
        self.clock.advance(1.5)
        self.emit("os", 1000)
        self.emit("wait", _LARGE)
        self.clock.advance(86_400)
        self.emit("disk")
        self.emit("os")

    def emit(self, promise: str, size: int = 0) -> None:
        """Record one event; `promise` is os, wait or disk."""
        promise = self._promise or promise
        key = next(self._serials)
        self.account.attempted.add(key)
        try:
            self._recorder.emit(
                "test", "happened", target="task-1", data=payload(key, size), **PROMISES[promise]
            )
        except StoreError:
            assert promise == "disk"
            self.refused += 1
        else:
            self.account.kept[key] = promise

    def fork(self) -> None:
        """Go on as the child of a fork would: the parent's writer says no more."""
        self._before += self._recorder.lost
        self._recorder.after_fork()
        self._begin_stream()

    def close(self) -> None:
        self._recorder.close()

    def reopen(self) -> None:
        """Go on as the next process would."""
        self._before += self._recorder.lost
        self._recorder = self._open()
        self._begin_stream()

    def recover(self, disk: Disk) -> None:
        """Go on as the first process does after a power cut; `disk` is what that left."""
        self._disk = disk
        self.reopen()

    def _begin_stream(self) -> None:
        self._serials = serials(str(self.writers))
        self.writers += 1
