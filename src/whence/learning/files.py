"""Files that are written for others: there as a whole, or as they were before."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from whence.errors import StoreError


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file that only its owner can read, in place of one of that name; it survives a power cut.

    Raises:
        StoreError: it could not be written; what was there is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(fd)
        os.rename(temporary, path)
    except BaseException as error:
        # Whatever the pieces raise, and Ctrl-C: half a file must not stay.
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise StoreError(f"cannot write {path}: {error.strerror}") from error
        raise
