"""The fold of a journal's trust events, kept up to date: what is new is read, the rest remembered.

What was folded is kept in `trust.snapshot` in the log's folder, so that opening does not read everything. It is
derived: deleted, broken, or of another journal or half-life, it is made anew from the journal.

Erasing leaves the journal as long as it was, so it also leaves a mark, `trust.erased`: what was folded before a mark
is folded anew, and a snapshot of before is nobody's.
"""

import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from whence.errors import CorruptError, StoreError
from whence.event import Event
from whence.journal import blobs
from whence.journal.reader import Reader, decode_pieces
from whence.learning.evidence import PRIMITIVE, Evidence, Fold, is_possible
from whence.learning.files import write_whole
from whence.line import decode_lines

FILE_NAME = "trust.snapshot"
MARK_NAME = "trust.erased"
_FORMAT = 2
_MARK = f'"primitive":"{PRIMITIVE}"'.encode()
_SAVE_AFTER = 20_000
"""So many events are read before it is worth to keep what they came to."""
_HEAD_BYTES = 200
_NO_MARK = (0, 0)
_TOGETHER = 512
"""Lines decoded at once."""


class _Snapshot(msgspec.Struct, array_like=True):
    version: int
    half_life_s: float | None
    head: bytes
    """How the journal begins, so that a snapshot of another one is not taken for its own."""
    places: dict[str, int]
    writers: dict[str, int]
    keys: dict[str, Evidence]
    mark: tuple[int, int]
    """The newest erasure before it was folded."""


class State:
    """The trust state of one log. Safe for threads and forks.

    `read_only` reads a snapshot and writes none; `anew` goes by the journal alone.
    """

    def __init__(
        self,
        folder: Path,
        half_life_s: float | None = None,
        *,
        read_only: bool = False,
        anew: bool = False,
    ) -> None:
        self.folder = folder
        self.half_life_s = half_life_s
        self._read_only = read_only or anew
        self._anew = anew
        self._reader = Reader(folder)
        # The lock guards all below.
        self._lock = threading.RLock()
        self._process = 0
        self._mark = _NO_MARK
        self._clear()

    def _clear(self) -> None:
        self._fold = Fold(self.half_life_s)
        # By segment, up to where it was read: more than the newest may still grow.
        self._places: dict[str, int] = {}
        # By writer, its newest count: an event may be written twice.
        self._writers: dict[str, int] = {}
        self._head = b""
        self._unsaved = 0

    def fold(self) -> Fold:
        """All there is by now. Not a copy: look at it, and let go."""
        with self._lock:
            if self._process != os.getpid():
                is_first = self._process == 0
                self._process = os.getpid()
                if is_first and not self._anew:
                    self._load()
            self._catch_up()
            if self._unsaved > _SAVE_AFTER + len(self._fold.keys) // 4:
                self.save()
            return self._fold

    def save(self) -> None:
        """Keep what was folded. What cannot be kept is folded again the next time."""
        if self._read_only:
            return
        with self._lock:
            self._unsaved = 0
            try:
                packed = msgspec.msgpack.encode(
                    _Snapshot(
                        _FORMAT, self.half_life_s, self._head, self._places, self._writers,
                        self._fold.keys, self._mark,
                    )
                )  # fmt: skip
            except OverflowError:
                # Somebody's clock is centuries ahead.
                return
        content = zlib.crc32(packed).to_bytes(4, "big") + packed
        temporary = self.folder / f".{os.urandom(8).hex()}.tmp"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(content)
            os.rename(temporary, self.folder / FILE_NAME)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)

    def save_rest(self, least: int = 1_000) -> None:
        """Keep what was folded since the last time, if it is worth it."""
        if self._unsaved >= least and self._process == os.getpid():
            self.save()

    def _load(self) -> None:
        try:
            content = (self.folder / FILE_NAME).read_bytes()
            packed = content[4:]
            if zlib.crc32(packed).to_bytes(4, "big") != content[:4]:
                return
            found = msgspec.msgpack.decode(packed, type=_Snapshot)
        except (OSError, msgspec.MsgspecError, RecursionError, ValueError):
            return
        if (found.version, found.half_life_s) != (_FORMAT, self.half_life_s):
            return
        mark = _read_mark(self.folder)
        if found.mark != mark:
            return
        if min(found.places.values(), default=0) < 0:
            return
        if not all(map(is_possible, found.keys.values())):
            return
        self._fold.keys = found.keys
        self._places, self._writers, self._head = found.places, found.writers, found.head
        self._mark = mark

    def _catch_up(self) -> None:
        # Before the journal is read: lines are written over first, and then the mark is left.
        mark = _read_mark(self.folder)
        if mark != self._mark:
            self._clear()
            self._mark = mark
        segments = self._reader.segments()
        sizes = {segment.name: segment.size for segment in segments}
        is_shorter = any(sizes.get(name, at) < at for name, at in self._places.items())
        if is_shorter or (self._places and self._head != self._read_head()):
            # Somebody cut it, or it is another journal.
            self._clear()
        if not self._head and segments:
            self._head = self._read_head()
        for segment in segments:
            start = self._places.get(segment.name, 0)
            if segment.size > start:
                self._read(segment.name, start)

    def _read_head(self) -> bytes:
        for segment in self._reader.segments():
            for _, lines in self._reader.scan_lines(segment.name, 0, _HEAD_BYTES * 20):
                return lines[0][:_HEAD_BYTES] if lines else b""
        return b""

    def _read(self, name: str, start: int) -> None:
        for offset, lines in self._reader.scan_lines(name, start):
            for event in _events([line for line in lines if _MARK in line]):
                if event.primitive == PRIMITIVE and event.n > self._writers.get(event.w, -1):
                    self._writers[event.w] = event.n
                    self._unsaved += 1
                    self._fold.add(self._fill(event))
            self._places[name] = offset + sum(map(len, lines)) + len(lines)

    def _fill(self, event: Event) -> Event:
        try:
            return blobs.fill(self.folder, event)
        except (CorruptError, StoreError):
            # What it said is gone, and `whence doctor` says so.
            return event


def _read_mark(folder: Path) -> tuple[int, int]:
    """Which erasure of trust events was the newest: which file is its mark, so that whoever may read need not own it."""
    try:
        found = os.stat(folder / MARK_NAME)
    except OSError:
        return _NO_MARK
    return found.st_mtime_ns, found.st_ino


def forget(folder: Path) -> None:
    """Let nobody go by what was folded before now, here or in another process; the journal is what is left.

    Raises:
        StoreError: it could not be made so.
    """
    write_whole(folder / MARK_NAME, [os.urandom(8)])
    try:
        (folder / FILE_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot remove {FILE_NAME}: {error.strerror}") from error


def _events(lines: list[bytes]) -> Iterator[Event]:
    for at in range(0, len(lines), _TOGETHER):
        some = lines[at : at + _TOGETHER]
        block = decode_lines(some)
        if block is not None:
            yield from block.events
        else:
            yield from (event for _, _, event, _ in decode_pieces(0, some) if event is not None)
