"""Payloads too large for a line: one file each, named by their commitment.

A blob's first line is its salt, the rest its payload, so the name can be checked from the
content. It is on disk before the line that names it.
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from whence.errors import CorruptError, StoreError
from whence.event import Event
from whence.journal.disk import Disk
from whence.journal.place import Layout, make_shared_folder, share
from whence.line import commitment, payload_problem

_NAME = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII).fullmatch


def blob_path(folder: Path, commit: str) -> Path:
    """The file of a blob; ValueError for a commitment that is none, so no path can slip in."""
    if not _NAME(commit):
        raise ValueError(f"commitment is {commit!r}, want 43 characters of base64url")
    return folder / "blobs" / commit


def write_blob(folder: Path, disk: Disk, layout: Layout, salt: str, payload: bytes) -> str:
    """Keep a payload so that it survives a power cut, and return its commitment."""
    commit = commitment(salt, payload)
    path = blob_path(folder, commit)
    try:
        # From here on a crash leaves a whole blob under a name that no line knows: collected later.
        keep_file(disk, layout, path, salt.encode() + b"\n" + payload, [folder, path.parent])
    except OSError as error:
        raise StoreError(f"cannot keep blob {path}: {error.strerror}") from error
    return commit


def keep_file(
    disk: Disk, layout: Layout, path: Path, content: bytes, folders: Sequence[Path]
) -> None:
    """Write a file so that it is there whole or not at all, and survives a power cut on return.

    `folders` are those of the log that lead to it, the outermost first; missing ones are made.

    Raises:
        OSError: it could not be kept; what had the name before has it still.
    """
    temporary = path.with_name(f".{os.urandom(8).hex()}.tmp")
    # Also the outermost's own name: who made it may have been killed before it could sync it.
    holders = list(folders[:-1])
    for each in folders:
        holders += make_shared_folder(disk, each, layout)[0]
    try:
        _write_file(disk, layout, temporary, content)
        disk.rename(temporary, path)
    except OSError:
        _remove(disk, temporary)
        raise
    for each in dict.fromkeys([path.parent, *holders]):
        disk.sync_folder(each)


def _write_file(disk: Disk, layout: Layout, path: Path, content: bytes) -> None:
    fd = disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, layout.file_mode)
    try:
        _write_all(disk, fd, content)
        disk.sync(fd)
    finally:
        _close(disk, fd)
    share(path, layout.file_mode, layout.group)


def _write_all(disk: Disk, fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = disk.write(fd, bytes(view))
        if not written:
            raise OSError(errno.EIO, "write took nothing")
        view = view[written:]


def _close(disk: Disk, fd: int) -> None:
    try:
        disk.close(fd)
    except OSError:
        # What was written is synced, or that has failed already; the descriptor is gone.
        pass


def _remove(disk: Disk, path: Path) -> None:
    try:
        disk.remove(path)
    except OSError:
        # It takes room and holds nothing that a line names.
        pass


def read_blob(folder: Path, commit: str) -> tuple[str, bytes] | None:
    """Read a blob's salt and payload; None where the file is gone, CorruptError if it was changed."""
    path = blob_path(folder, commit)
    try:
        content = _read_file(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read blob {path}: {error.strerror}") from error
    salt, _, payload = content.partition(b"\n")
    if commitment(salt.decode("latin-1"), payload) != commit:
        raise CorruptError(f"blob {commit} does not match its name")
    problem = payload_problem(payload)
    if problem:
        # Whoever wrote the line wrote this too: it matches, and is no payload all the same.
        raise CorruptError(f"blob {commit} {problem}")
    return salt.decode("latin-1"), payload


def _read_file(path: Path) -> bytes:
    # Nobody waits here for the other end of a pipe.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        with open(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


def fill(folder: Path, event: Event) -> Event:
    """Give an event the payload that its blob holds; unchanged where there is none to give."""
    if event.blob is None or event.commit is None or event.payload:
        return event
    found = read_blob(folder, event.commit)
    if found is None:
        return event
    return msgspec.structs.replace(event, payload=msgspec.Raw(found[1]))
