"""The few system calls that keep what is written, behind one seam that tests can make fail.

`Disk` is the real one. `whence.testing` has one that fails on cue and one that forgets what was
not synced.
"""

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path

from whence.journal.folder import FileSystem, check_file_system

_F_FULLFSYNC = getattr(fcntl, "F_FULLFSYNC", None)


class Disk:
    """System calls by their own names; every one raises `OSError` as `os` does."""

    def open(self, path: Path, flags: int, mode: int) -> int:
        """Open `path`, never inherited by programs that this one starts."""
        return os.open(path, flags | os.O_CLOEXEC, mode)

    # Writes and returns how much was taken, which may be less than all. Not wrapped in a method:
    # every event passes here, and a Python call more would cost it a tenth.
    write: Callable[[int, bytes], int] = staticmethod(os.write)

    def sync(self, fd: int) -> None:
        """Return when what was written to `fd` survives a power cut."""
        if sys.platform == "darwin" and _F_FULLFSYNC is not None:
            fcntl.fcntl(fd, _F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in the folder survive a power cut."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, replacing what had it."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Take a name away."""
        os.unlink(path)

    def stat(self, path: Path) -> os.stat_result:
        """Look a name up."""
        return os.stat(path)

    def fstat(self, fd: int) -> os.stat_result:
        """Look an open file up."""
        return os.fstat(fd)

    def close(self, fd: int) -> None:
        """Give a descriptor back."""
        os.close(fd)

    def make_folder(self, path: Path, mode: int) -> bool:
        """Make a folder and its parents; False if it was there."""
        if path.is_dir():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            return False
        os.chmod(path, mode)
        return True

    def names(self, path: Path) -> list[str]:
        """List the names in a folder."""
        return os.listdir(path)

    def file_system(self, path: Path) -> FileSystem:
        """Look up what holds a folder; StoreError where a journal would not be safe."""
        return check_file_system(path)
