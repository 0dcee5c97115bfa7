"""Where a named subscriber of the bus is in the journal, in a file of its own that one process holds.

The file has two records of the same size, written in turn, each with its number and a checksum: whenever the process
is killed or the power fails, one of them is whole. A file in which none is whole is never taken for a beginning.
"""

import fcntl
import os
import re
import zlib
from pathlib import Path
from typing import Self

import msgspec

from whence.errors import ConflictError, CorruptError, StoreError
from whence.journal.reader import Reader

FOLDER_NAME = "subscribers"

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII).fullmatch
_RECORD_BYTES = 4096
_CHECKSUM_BYTES = 8
_SEGMENTS_KEPT = 60
"""So many of the newest segments may still grow by a late line; what is older is done with."""


class _Record(msgspec.Struct, array_like=True):
    number: int
    places: dict[str, int]


class Place:
    """A subscriber's place: by segment, up to where it has heard. Use it with `with`.

    One that has no name is not kept, and begins at the end of the journal; so does a new one, which is kept at once.

    Raises:
        ValueError: the name cannot be one.
        ConflictError: another process is this subscriber.
        CorruptError: the file tells no place.
        StoreError: it cannot be read or written.
    """

    def __init__(self, folder: Path, name: str | None) -> None:
        if name is not None and not _NAME(name):
            raise ValueError(f"subscriber is {name!r}, want letters, digits, dots and dashes")
        self._folder = folder
        self._path = None if name is None else folder / FOLDER_NAME / name
        self._fd = -1
        self._number = 0
        self.places: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            content = self._take()
            found = _newest(content)
            if found is not None:
                self._number, self.places = found.number, found.places
            elif content.strip(b"\0"):
                raise CorruptError(
                    f"{self._path} tells no place; removed, the subscriber begins anew at the journal's end"
                )
            else:
                self.places = _ends(self._folder)
                self.keep()
        except BaseException:
            self.__exit__()
            raise
        return self

    def move(self, segment: str, offset: int) -> None:
        """Have heard all of a segment up to there."""
        self.places[segment] = offset

    def keep(self) -> None:
        """Write the place down: what was heard up to now is not told again."""
        if self._fd < 0:
            return
        for name in sorted(self.places)[:-_SEGMENTS_KEPT]:
            del self.places[name]
        self._number += 1
        packed = msgspec.json.encode(_Record(self._number, self.places))
        content = packed.ljust(_RECORD_BYTES - _CHECKSUM_BYTES - 1) + _checksum(packed) + b"\n"
        try:
            os.pwrite(self._fd, content, self._number % 2 * _RECORD_BYTES)
        except OSError as error:
            raise StoreError(f"cannot write to {self._path}: {error.strerror}") from error

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _take(self) -> bytes:
        """Hold the file and read it; nothing where there is none."""
        if self._path is None:
            return b""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.pread(self._fd, 2 * _RECORD_BYTES + 1, 0)
        except BlockingIOError as error:
            raise ConflictError(f"{self._path.name} is followed by another process") from error
        except OSError as error:
            raise StoreError(f"cannot use {self._path}: {error.strerror}") from error


def _newest(content: bytes) -> _Record | None:
    """The newer of the records that are whole."""
    found = []
    for start in (0, _RECORD_BYTES):
        raw = content[start : start + _RECORD_BYTES]
        packed, end = raw[: -_CHECKSUM_BYTES - 1].rstrip(), raw[-_CHECKSUM_BYTES - 1 :]
        if len(raw) == _RECORD_BYTES and end == _checksum(packed) + b"\n":
            try:
                found.append(msgspec.json.decode(packed, type=_Record))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return max(found, key=lambda record: record.number, default=None)


def _checksum(packed: bytes) -> bytes:
    return b"%08x" % zlib.crc32(packed)


def _ends(folder: Path) -> dict[str, int]:
    """Where each segment ends now."""
    reader = Reader(folder)
    try:
        return reader.ends()
    finally:
        reader.close()
