"""A disk that fails on cue, and that complains when it is misused.

It stands in front of another disk: the real one, or the simulated one of `whence.testing.power`.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from whence.journal.disk import Disk
from whence.journal.folder import FileSystem

Operation = Literal[
    "open", "write", "sync", "sync_folder", "read_start", "rename", "remove", "stat", "fstat",
    "close", "make_folder", "names", "file_system",
]  # fmt: skip

How = Literal["refused", "half", "done"]

_Result = TypeVar("_Result")


class MisuseError(AssertionError):
    """The code under test did what no code may do to a disk, whatever the disk answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Which call fails and how.

    The call number `at` (from 0) of `operation` fails with `error`, an errno. With `how`
    "refused" nothing was done; "half" means that a write took half of its bytes and says so,
    without an error; "done" that everything was done and yet reported as failed. `for_ever`
    goes on with every later call of the operation until the disk is healed.
    """

    operation: Operation
    at: int
    error: int
    how: How = "refused"
    for_ever: bool = False

    def __str__(self) -> str:
        error = "" if self.how == "half" else f" {os.strerror(self.error)}"
        until = " and all after" if self.for_ever else ""
        return f"{self.operation} {self.at}{until} {self.how}{error}"


class FailingDisk(Disk):
    """Fails as its `fault` says, until `heal` is called. Counts all `calls` by operation.

    Raises `MisuseError`, and keeps it in `complaints`, when a descriptor is used that is not open, a
    sync is tried again on a descriptor whose sync failed, or a segment is opened in a way that
    could overwrite what others append.
    """

    def __init__(self, fault: Fault | None = None, inner: Disk | None = None) -> None:
        self.fault = fault
        self.calls: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.struck = 0
        self._inner = inner or Disk()
        # The lock guards all of this, not the calls themselves.
        self._lock = threading.Lock()
        self._open: dict[int, Path] = {}
        self._unsyncable: set[int] = set()
        self.write = self._write

    def heal(self) -> None:
        """Fail no more."""
        self.fault = None

    @property
    def open_paths(self) -> list[Path]:
        """What is open now, so that a test can tell that nothing was left open."""
        return [*self._open.values()]

    def open(self, path: Path, flags: int, mode: int) -> int:
        """Open a file, making its name where `flags` say so."""
        is_segment = path.parent.name == "journal" and flags & (os.O_WRONLY | os.O_RDWR)
        if is_segment and (not flags & os.O_APPEND or flags & os.O_TRUNC):
            self._complain(f"{path} opened to write anywhere but at its end")

        def act() -> int:
            fd = self._inner.open(path, flags, mode)
            with self._lock:
                self._open[fd] = path
            return fd

        fault = self._strike("open")
        if fault is not None and fault.how == "done":
            # The name is made, but nobody has a descriptor.
            self.close_quietly(act())
        self._raise(fault, path)
        return act()

    def close_quietly(self, fd: int) -> None:
        """Close without counting the call or failing."""
        with self._lock:
            del self._open[fd]
        self._inner.close(fd)

    def _write(self, fd: int, data: bytes) -> int:
        self._check_open("write", fd)
        fault = self._strike("write")
        if fault is not None and fault.how == "half":
            return self._inner.write(fd, data[: len(data) // 2]) if len(data) > 1 else 0
        if fault is not None and fault.how == "done":
            self._inner.write(fd, data)
        self._raise(fault, self._open[fd])
        return self._inner.write(fd, data)

    def sync(self, fd: int) -> None:
        """Make what was written to a file survive."""
        self._check_open("sync", fd)
        if fd in self._unsyncable:
            self._complain(f"sync of {self._open[fd]} tried again after it failed")
        fault = self._strike("sync")
        if fault is not None:
            self._unsyncable.add(fd)
        self._perform(fault, self._open[fd], lambda: self._inner.sync(fd))

    def close(self, fd: int) -> None:
        """Give a descriptor back."""
        self._check_open("close", fd)
        fault = self._strike("close")
        with self._lock:
            path = self._open.pop(fd)
            self._unsyncable.discard(fd)
        # As on Linux: whatever is reported, the descriptor is gone.
        self._inner.close(fd)
        self._raise(fault, path)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder survive."""
        self._perform(self._strike("sync_folder"), path, lambda: self._inner.sync_folder(path))

    def read_start(self, path: Path, size: int) -> bytes:
        """Read the first bytes of a file."""
        fault = self._strike("read_start")
        return self._perform(fault, path, lambda: self._inner.read_start(path, size))

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name."""
        self._perform(self._strike("rename"), target, lambda: self._inner.rename(source, target))

    def remove(self, path: Path) -> None:
        """Take a name away."""
        self._perform(self._strike("remove"), path, lambda: self._inner.remove(path))

    def stat(self, path: Path) -> os.stat_result:
        """Look a name up."""
        return self._perform(self._strike("stat"), path, lambda: self._inner.stat(path))

    def fstat(self, fd: int) -> os.stat_result:
        """Look an open file up."""
        self._check_open("fstat", fd)
        path = self._open[fd]
        return self._perform(self._strike("fstat"), path, lambda: self._inner.fstat(fd))

    def make_folder(self, path: Path, mode: int) -> list[Path]:
        """Make a folder and what is missing above it; returns what was made."""
        fault = self._strike("make_folder")
        return self._perform(fault, path, lambda: self._inner.make_folder(path, mode))

    def names(self, path: Path) -> list[str]:
        """List the names in a folder."""
        return self._perform(self._strike("names"), path, lambda: self._inner.names(path))

    def file_system(self, path: Path) -> FileSystem:
        """Tell what holds the folder."""
        fault = self._strike("file_system")
        return self._perform(fault, path, lambda: self._inner.file_system(path))

    def _strike(self, operation: Operation) -> Fault | None:
        """Count a call; return the fault if it is to fail."""
        with self._lock:
            number = self.calls[operation]
            self.calls[operation] += 1
            fault = self.fault
            if fault is None or fault.operation != operation:
                return None
            if number == fault.at or (fault.for_ever and number > fault.at):
                self.struck += 1
                return fault
            return None

    def _perform(self, fault: Fault | None, path: Path, act: Callable[[], _Result]) -> _Result:
        if fault is not None and fault.how == "done":
            act()
        self._raise(fault, path)
        return act()

    def _raise(self, fault: Fault | None, path: Path) -> None:
        if fault is not None:
            raise OSError(fault.error, os.strerror(fault.error), str(path))

    def _check_open(self, operation: str, fd: int) -> None:
        if fd not in self._open:
            self._complain(f"{operation} on descriptor {fd}, which is not open")

    def _complain(self, text: str) -> None:
        self.complaints.append(text)
        raise MisuseError(text)
