"""The few system calls that keep what is written, behind one seam that tests can make fail.

`Disk` is the real one. `whence.testing` has one that fails on cue and one that forgets what was
not synced.
"""

import fcntl
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from whence.journal.folder import FileSystem, check_file_system

_F_FULLFSYNC = getattr(fcntl, "F_FULLFSYNC", None)


class Disk:
    """System calls by their own names; every one raises `OSError` as `os` does."""

    def open(self, path: Path, flags: int, mode: int) -> int:
        """Open `path`, never inherited by programs that this one starts."""
        flags |= os.O_CLOEXEC
        if not flags & os.O_CREAT:
            return os.open(path, flags)
        try:
            fd = os.open(path, flags | os.O_EXCL, mode)
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            return os.open(path, flags, mode)
        try:
            # Whatever the umask is.
            os.fchmod(fd, mode)
        except BaseException:
            os.close(fd)
            raise
        return fd

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

    def read_start(self, path: Path, size: int) -> bytes:
        """Read the first bytes of a file, at most `size`; nothing of what is no file."""
        # Nobody waits here for the other end of a pipe.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.pread(fd, size, 0) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, replacing what had it."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Take a name away."""
        os.unlink(path)

    def stat(self, path: Path) -> os.stat_result:
        """Look a name up: itself, not what it may point to."""
        return os.stat(path, follow_symlinks=False)

    def fstat(self, fd: int) -> os.stat_result:
        """Look an open file up."""
        return os.fstat(fd)

    def close(self, fd: int) -> None:
        """Give a descriptor back."""
        os.close(fd)

    def make_folder(self, path: Path, mode: int) -> list[Path]:
        """Make a folder and what is missing above it; returns what was made, the topmost first."""
        missing = []
        above = path
        while above != above.parent and not above.is_dir():
            missing.append(above)
            above = above.parent
        made = []
        for folder in reversed(missing):
            try:
                os.mkdir(folder, mode if folder == path else 0o777)
            except FileExistsError:
                # Another process made it at this moment, and may be killed before it syncs it.
                if not folder.is_dir():
                    raise
            made.append(folder)
        if made:
            os.chmod(path, mode)
        return made

    def names(self, path: Path) -> list[str]:
        """List the names in a folder."""
        return os.listdir(path)

    def file_system(self, path: Path) -> FileSystem:
        """Look up what holds a folder; StoreError where a journal would not be safe."""
        return check_file_system(path)
