"""Small files that are there whole or as they were, and survive a power cut; and others' files, which may be anything."""

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from whence.errors import StoreError


def open_file(path: Path) -> BufferedReader:
    """Open a plain file for reading; OSError for all else that can have its name: a pipe would be waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read_file(path: Path, at_most: int = -1) -> bytes | None:
    """Read a plain file, or so much of it; None if there is none, StoreError if it cannot be read."""
    try:
        with open_file(path) as file:
            return file.read(at_most)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


class Modes(NamedTuple):
    """Who may read what a sealer writes."""

    file: int = 0o600
    folder: int = 0o700


def modes_of(folder: Path) -> Modes:
    """Those of a log: its group reads where the log's folder lets it."""
    try:
        is_shared = os.stat(folder).st_mode & stat.S_IRGRP
    except OSError:
        return Modes()
    # The group of what is made inside is that of the folder.
    return Modes(0o640, 0o2750) if is_shared else Modes()


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file in place of what has its name; StoreError if it could not be written, and nothing has changed."""
    temporary = path.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.fchmod(fd, mode)
            write_all(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise StoreError(f"cannot write {path}: {error.strerror}") from error


def write_all(fd: int, content: bytes) -> None:
    """Write bytes, however often it takes."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut; StoreError if that cannot be promised."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StoreError(f"cannot sync {path}: {error.strerror}") from error
