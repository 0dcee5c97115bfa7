"""Reads a journal: from any place, forward, backward, and live. Never blocks a writer.

Bytes after a segment's last newline are not there yet. What is not an event is handed out as a
fragment with its place, never skipped in silence.
"""

import errno
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, count, islice, repeat
from operator import add
from pathlib import Path
from typing import NamedTuple

from whence.errors import CorruptError, FormatError, StoreError
from whence.event import OWN, Event
from whence.journal import blobs
from whence.journal.batch import decode_batch
from whence.journal.folder import FORMAT, journal_folder, segment_names, segment_path
from whence.journal.forks import watch_forks
from whence.journal.seen import Seen
from whence.line import (
    ENVELOPE_BYTES_MAX,
    INLINE_BYTES_MAX,
    decode_line,
    decode_lines,
    split_line,
)

_CHUNK_BYTES = 4 * 1024 * 1024
_LINE_GUESS_BYTES = 4096
# Lines read together: few enough that they stay in the processor's cache, and that one which is no
# event slows down few others.
_TOGETHER = 200
# Of a segment as much as tells its format: first a guess, then two lines at their longest, of which
# the first may be a fragment.
_START_BYTES = (2 * _LINE_GUESS_BYTES, 2 * (ENVELOPE_BYTES_MAX + INLINE_BYTES_MAX + 1024))
_BATCH_PLACES = 128
# Most lines are shorter, and what follows is read in vain.
_LOOK_UP_BYTES = 1024
_OPEN_FILES_MAX = 32
_READ_AGAIN = 3
# What a writer says first in a segment: in its first one, and in each later one.
_OPENING = ("writer.open", "segment.open")
# More than the start of a line up to its id, and less than what an erasure changes.
_HEAD_BYTES = 40


class Cursor(NamedTuple):
    """A place in the journal that stays valid: a segment and an offset in it."""

    segment: str
    offset: int


class Segment(NamedTuple):
    """A segment and how many bytes it has now."""

    name: str
    size: int


class Entry(NamedTuple):
    """A stretch of a segment: an event, or a fragment (`event` is None) and its `problem`."""

    segment: str
    offset: int
    length: int
    event: Event | None
    problem: str


Piece = tuple[int, int, Event | None, str]
"""An entry without its segment, as a plain tuple: offset, length, event, problem."""


class _Opened(NamedTuple):
    """A segment's descriptor, and which file it is of."""

    fd: int
    st_dev: int
    st_ino: int


@dataclass(slots=True)
class _Watched:
    """A followed segment: where to read on, how it begins, and how it looked when last read."""

    place: int
    head: bytes = b""
    state: tuple[int, int, int, int] | None = None


class Reader:
    """Reads the journal of one log's folder. Safe to share between threads."""

    def __init__(self, folder: Path, *, chunk_bytes: int = _CHUNK_BYTES) -> None:
        self.folder = folder
        self._chunk_bytes = chunk_bytes
        # The lock guards `_files`: descriptors by segment, the least lately used first.
        # Re-entrant, for a handler that reads or closes while it interrupts this very thread.
        self._lock = threading.RLock()
        self._is_reading = False
        self._files: OrderedDict[str, _Opened] = OrderedDict()
        watch_forks(self)

    def after_fork(self) -> None:
        """Begin anew in a forked child: whoever read in the parent does not exist here."""
        self._lock = threading.RLock()
        self._is_reading = False

    def close(self) -> None:
        """Give the descriptors back; reading opens them again.

        Does nothing inside a handler that interrupts a read, which still needs one of them.
        """
        with self._lock:
            while self._files and not self._is_reading:
                os.close(self._files.popitem()[1].fd)

    def segments(self) -> list[Segment]:
        """List the segments in the order of the journal, with their sizes; none is no error."""
        return [Segment(name, found.st_size) for name, found in self._look()]

    def _look(self) -> list[tuple[str, os.stat_result]]:
        root = journal_folder(self.folder)
        try:
            names = segment_names(os.listdir(root))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"cannot list {root}: {error.strerror}") from error
        looked = []
        for name in map(str, names):
            path = segment_path(self.folder, name)
            try:
                found = path.stat()
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ELOOP):
                    continue
                raise StoreError(f"cannot look at {path}: {error.strerror}") from error
            # A folder or a pipe with the name of a segment is somebody else's.
            if stat.S_ISREG(found.st_mode):
                looked.append((name, found))
        return looked

    def scan(self, start: Cursor | None = None) -> Iterator[Entry]:
        """Read forward from `start` to the end, an event written twice only once."""
        seen = Seen()
        for segment in self.segments():
            if start is not None and _order(segment.name) < _order(start.segment):
                continue
            begin = start.offset if start is not None and segment.name == start.segment else 0
            for entry in self.scan_segment(segment.name, begin):
                event = entry.event
                if event is None or seen.add(event.w, event.n):
                    yield entry

    def scan_segment(self, name: str, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Read one segment forward as it is, repeated lines included, up to its last newline."""
        for batch in self.scan_batches(name, start, end):
            for offset, length, event, problem in batch:
                yield Entry(name, offset, length, event, problem)

    def scan_batches(
        self, name: str, start: int = 0, end: int | None = None
    ) -> Iterator[list[Piece]]:
        """Read one segment forward in batches of some megabytes, for those in a hurry."""
        for offset, lines in self.scan_lines(name, start, end):
            yield _decode_lines(offset, lines)

    def scan_lines(
        self, name: str, start: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, list[bytes]]]:
        """Read one segment forward as bare lines, many at once, and the offset of their first."""
        carry, place = [b""], start
        while end is None or place < end:
            want = self._chunk_bytes if end is None else min(self._chunk_bytes, end - place)
            chunk = self._pread(name, want, place)
            if not chunk:
                return
            begin = place - sum(map(len, carry))
            place += len(chunk)
            if b"\n" not in chunk:
                carry.append(chunk)
                continue
            lines = (b"".join(carry) + chunk).split(b"\n")
            carry = [lines.pop()]
            yield begin, lines

    def scan_back(self, end: Cursor | None = None) -> Iterator[Entry]:
        """Read backward from `end`, newest line first, an event written twice only once.

        Of an event written twice this gives the later copy, where `scan` gives the earlier.
        """
        seen = Seen()
        for segment in reversed(self.segments()):
            if end is not None and _order(segment.name) > _order(end.segment):
                continue
            limit = end.offset if end is not None and segment.name == end.segment else segment.size
            stop = min(segment.size, self._line_end(segment.name, limit))
            for offset, lines in self.chunks_back(segment.name, stop):
                for piece in reversed(_decode_lines(offset, lines.split(b"\n")[:-1])):
                    event = piece[2]
                    if piece[0] < limit and (event is None or seen.add(event.w, event.n)):
                        yield Entry(segment.name, *piece)

    def chunks_back(
        self, name: str, end: int, chunk_bytes: int | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Read whole lines backward, as stretches of bytes with their offsets, last one first."""
        chunk_bytes = chunk_bytes or self._chunk_bytes
        carry, place = b"", end
        # A small first step, so that the last lines of a large journal come at once.
        step = min(chunk_bytes, 16 * _LINE_GUESS_BYTES)
        while place > 0:
            begin = max(0, place - step)
            chunk = self._pread(name, place - begin, begin)
            if place == end:
                chunk = chunk[: chunk.rfind(b"\n") + 1]
                if not chunk:
                    place = end = begin
                    continue
            cut = chunk.find(b"\n") + 1 if begin > 0 else 0
            if cut or begin == 0:
                whole = chunk[cut:] + carry
                if whole:
                    yield begin + cut, whole
                carry = chunk[:cut]
            else:
                carry = chunk + carry
            place, step = begin, chunk_bytes

    def read(self, segment: str, offset: int, *, fill: bool = True) -> Event:
        """Read the event whose line starts there, with its payload if that is in a blob.

        Without `fill` blobs are left alone.
        """
        problem: CorruptError | None = None
        # A line may be changing under us: an erasure writes over it in place. Then read it again.
        for _ in range(_READ_AGAIN):
            raw = self._line(segment, offset)
            try:
                try:
                    event = decode_line(raw)
                except CorruptError:
                    event = _first_event(raw)
                return blobs.fill(self.folder, event) if fill else event
            except CorruptError as error:
                problem = error
        raise CorruptError(f"{segment} at {offset}: {problem}") from problem

    def read_many(
        self, places: Iterable[tuple[str, int]], *, fill: bool = True
    ) -> Iterator[Event | CorruptError]:
        """Read the events at these places in this order; a broken one is its error."""
        places = iter(places)
        while batch := list(islice(places, _BATCH_PLACES)):
            yield from self.read_batch(batch, fill=fill)

    def read_batch(
        self, places: list[tuple[str, int]], *, fill: bool = True
    ) -> list[Event | CorruptError]:
        """As `read_many`, all at once."""
        found = decode_batch(self._lines(places))
        return [
            event or self._read_one(*place, fill=fill)
            for place, event in zip(places, found, strict=True)
        ]

    def _read_one(self, segment: str, offset: int, *, fill: bool) -> Event | CorruptError:
        try:
            return self.read(segment, offset, fill=fill)
        except CorruptError as error:
            return error

    def _lines(self, places: list[tuple[str, int]]) -> list[bytes]:
        """The lines at these places; empty where none can be had just now."""
        lines = [b""] * len(places)
        # Reading under the lock, as in `_pread`, and looking at each file once for all its lines.
        with self._lock:
            was_reading, self._is_reading = self._is_reading, True
            try:
                name, fd, begin, chunk = "", -1, 0, b""
                for at in sorted(range(len(places)), key=places.__getitem__):
                    segment, offset = places[at]
                    if segment != name:
                        name, fd, chunk = segment, self._file(segment), b""
                    # Neighbours often stand in what was read last.
                    end = chunk.find(b"\n", offset - begin)
                    if end < 0:
                        begin, chunk = offset, os.pread(fd, _LOOK_UP_BYTES, offset)
                        end = chunk.find(b"\n")
                    lines[at] = (
                        chunk[offset - begin : end] if end >= 0 else self._line(segment, offset)
                    )
            except (OSError, StoreError, CorruptError):
                # Said of the one place that it concerns, when that is read by itself.
                pass
            finally:
                self._is_reading = was_reading
        return lines

    def ends(self) -> dict[str, int]:
        """By segment, where its last whole line ends; what follows is still being written."""
        return {name: self._end_of_lines(name, found.st_size) for name, found in self._look()}

    def follow(
        self,
        start: Cursor | None = None,
        *,
        places: Mapping[str, int] | None = None,
        poll_s: float = 0.1,
    ) -> Iterator[Entry | None]:
        """Read on from `start` (by default the end) as lines arrive; None when there is no news.

        With `places`, as `ends` gave them, it goes on at each segment's own, and leaves alone what is older than all of them.

        All segments are watched, so a new day, a full segment and a late line in an old segment
        are all seen. After each None the next step waits `poll_s` seconds.
        """
        watched: dict[str, _Watched] = {}
        for name, found in self._look():
            try:
                place = self._first_place(name, found.st_size, start, places)
                if place is not None:
                    watched[name] = _Watched(place, self._head(name))
            except StoreError as error:
                # Removed since it was listed: what comes under its name is new.
                if not _is_gone(error):
                    raise
        seen = Seen()
        while True:
            for name, found in self._look():
                each = watched.setdefault(name, _Watched(0))
                state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
                if state == each.state:
                    continue
                try:
                    self._watch_again(name, found.st_size, each)
                    for batch in self.scan_batches(name, each.place, found.st_size):
                        for piece in batch:
                            event = piece[2]
                            each.place = piece[0] + piece[1] + 1
                            if event is None or seen.add(event.w, event.n):
                                yield Entry(name, *piece)
                except StoreError as error:
                    if _is_gone(error):
                        continue
                    raise
                each.state = state
            yield None
            time.sleep(poll_s)

    def _first_place(
        self, name: str, size: int, start: Cursor | None, places: Mapping[str, int] | None
    ) -> int | None:
        """Where to begin in a segment that is there already; None to read all of it."""
        if places is not None:
            is_older = bool(places) and _order(name) < min(map(_order, places))
            return places.get(name, size if is_older else None)
        if start is not None and _order(name) > _order(start.segment):
            return None
        if start is not None and name == start.segment:
            return start.offset
        return self._end_of_lines(name, size)

    def _end_of_lines(self, name: str, size: int) -> int:
        """Where the last whole line ends; what follows is still being written."""
        offset, lines = next(self.chunks_back(name, size), (0, b""))
        return offset + len(lines)

    def _watch_again(self, name: str, size: int, watched: "_Watched") -> None:
        """Begin anew where another file has the name: the folder was removed and made again.

        Told by its first bytes, since the system gives the number of a removed file to the next.
        """
        head = self._head(name)
        if size < watched.place or not head.startswith(watched.head):
            watched.place = 0
        watched.head = head

    def _head(self, name: str) -> bytes:
        return self._pread(name, _HEAD_BYTES, 0)

    def ends_line(self, name: str, end: int) -> bool:
        """Whether a line ends just before this place."""
        return self._pread(name, 1, end - 1) == b"\n"

    def check_format(self) -> None:
        """Refuse a journal that a newer Whence wrote; FormatError names both versions."""
        for segment in self.segments():
            check_start(lambda size, name=segment.name: self._pread(name, size, 0))  # type: ignore[misc]

    def _line_end(self, segment: str, offset: int) -> int:
        """Where the line ends that `offset` is in: it may be that of the second of two glued lines."""
        try:
            return offset + len(self._line(segment, offset)) + 1
        except CorruptError:
            return offset

    def _line(self, segment: str, offset: int) -> bytes:
        raw, size = b"", _LINE_GUESS_BYTES
        while True:
            chunk = self._pread(segment, size, offset + len(raw))
            if not chunk:
                raise CorruptError(f"{segment} has no whole line at {offset}")
            at = chunk.find(b"\n")
            if at >= 0:
                return raw + chunk[:at]
            raw += chunk
            size *= 4

    def _pread(self, name: str, size: int, offset: int) -> bytes:
        # Reading under the lock keeps another thread from closing the descriptor meanwhile.
        with self._lock:
            was_reading, self._is_reading = self._is_reading, True
            try:
                return os.pread(self._file(name), size, offset)
            except OSError as error:
                raise StoreError(
                    f"cannot read {segment_path(self.folder, name)} at {offset}: {error.strerror}"
                ) from error
            finally:
                self._is_reading = was_reading

    def _file(self, name: str) -> int:
        path = segment_path(self.folder, name)
        found = os.stat(path)
        opened = self._files.get(name)
        if opened is not None and (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino):
            # Another file has the name now. As long as this one is open its number is its own.
            del self._files[name]
            os.close(opened.fd)
            opened = None
        if opened is None:
            # A pipe in its place is not waited for.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            mine = os.fstat(fd)
            opened = self._files[name] = _Opened(fd, mine.st_dev, mine.st_ino)
            if len(self._files) > _OPEN_FILES_MAX:
                os.close(self._files.popitem(last=False)[1].fd)
        self._files.move_to_end(name)
        return opened.fd


def _is_gone(error: StoreError) -> bool:
    return isinstance(error.__cause__, FileNotFoundError)


def check_start(read: Callable[[int], bytes]) -> None:
    """Refuse a segment if its first event says that a newer Whence opened it.

    `read` gives as many of its first bytes as are asked for, or all there are.
    """
    for size in _START_BYTES:
        start = read(size)
        for line in start.split(b"\n")[:-1]:
            for piece in split_line(line):
                if piece.event is not None:
                    check_event_format(piece.event)
                    return
        if len(start) < size:
            return


def check_event_format(event: Event) -> None:
    """Refuse an event that says its journal's format is newer than ours."""
    if event.primitive != OWN or event.type not in _OPENING or not event.payload:
        return
    data = event.data
    found = data.get("format") if isinstance(data, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise FormatError(
            f"journal has format {found} (written by Whence {data.get('version')}), "
            f"this Whence reads format {FORMAT}: upgrade it"
        )


def _decode_lines(offset: int, lines: list[bytes]) -> list[Piece]:
    pieces: list[Piece] = []
    for at in range(0, len(lines), _TOGETHER):
        some = lines[at : at + _TOGETHER]
        block = decode_lines(some)
        if block is None:
            pieces += decode_pieces(offset, some)
        else:
            pieces += zip(line_offsets(offset, some), map(len, some), block.events, repeat(""))
        offset += sum(map(len, some)) + len(some)
    return pieces


def decode_pieces(offset: int, lines: list[bytes]) -> list[Piece]:
    """Read lines one by one, the first of which starts at `offset`: events and fragments."""
    return [
        (start + piece.offset, piece.length, piece.event, piece.problem)
        for start, raw in zip(line_offsets(offset, lines), lines, strict=True)
        for piece in split_line(raw)
    ]


def line_offsets(offset: int, lines: list[bytes]) -> list[int]:
    """Where lines start, the first of which starts at `offset`."""
    # Each line starts where those before it end, and a newline for each of them.
    return list(map(add, accumulate(map(len, lines[:-1]), initial=offset), count()))


def _first_event(raw: bytes) -> Event:
    piece = split_line(raw)[0]
    if piece.event is None:
        raise CorruptError(piece.problem)
    return piece.event


def _order(name: str) -> tuple[str, int]:
    day, _, number = name.partition(".")
    return day, int(number)
