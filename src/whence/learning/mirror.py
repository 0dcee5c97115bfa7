"""The seed's learning log: one JSON line for each event, besides the journal, as its readers know it."""

import errno
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

from whence.errors import StoreError

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_MODE = 0o600

# Lines of one process do not cut into each other; those of several cannot, as each is one write.
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def append(path: Path, entry: dict[str, Any]) -> None:
    """Append a line that survives a power cut, to a file that its owner alone may read.

    Raises:
        StoreError: it could not be kept there.
    """
    line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    try:
        with _lock:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, _FLAGS, _MODE)
            try:
                found = os.fstat(fd)
                # A device is everybody's: what it allows is not ours to change.
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(errno.EINVAL, "not a file")
                if found.st_mode & 0o077:
                    # Also a file that was there before, with whatever it allowed.
                    os.fchmod(fd, _MODE)
                _write(fd, line)
                os.fsync(fd)
            finally:
                os.close(fd)
    except OSError as error:
        raise StoreError(f"cannot write to {path}: {error.strerror}") from error


def _write(fd: int, line: bytes) -> None:
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        # A line that was torn: it must not take this one with it.
        line = b"\n" + line
    while line:
        line = line[os.write(fd, line) :]
