"""The tree of a log on disk: hashes by level, which bytes were taken in which order, and where each entry stands.

    tree/0 tree/1 …   32-byte hashes of complete ranges of 256^level leaves, side by side
    tree/ranges       a line for each stretch taken: segment, start, end, position of its first entry, how many entries
    tree/entries      8 bytes an entry: the number of its segment in the order of `ranges`, and its offset
    tree/lock         held by who seals or erases

Nothing here is signed: whoever verifies recomputes it. Files only grow, but for what a crash left above the signed size.
"""

import fcntl
import os
import weakref
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from whence.errors import CorruptError, ProofError, StoreError
from whence.journal.folder import parse_segment
from whence.proof.checkpoints import parse_number
from whence.proof.files import modes_of, open_file, replace_file, sync_folder, write_all
from whence.proof.tree import (
    HASH_BYTES,
    Hash,
    consistency_ranges,
    fold,
    fold_complete,
    inclusion_ranges,
    level_counts,
    new_hashes,
    pieces_of,
    tail_counts,
)

_OFFSET_BITS = 40
_PLACE = Struct(">Q")
_PLACES_TOGETHER = 65_536
_RANGES_TOGETHER = 1 << 20
_RANGE_BYTES_MAX = 256
_MERGED_MAX = 65_536
"""A stretch of so many entries is as much as one core should look at in one go."""
_LATEST_KEPT = 64
"""So many of the newest stretches are left as they are: who verifies an older head still finds its end among them."""
_TIDY_AFTER = 1_024


class Taken(NamedTuple):
    """A stretch [start, end) of a segment, the position of its first entry, and how many it has."""

    segment: str
    start: int
    end: int
    first: int
    size: int

    def __str__(self) -> str:
        return f"{self.segment} {self.start} {self.end} {self.first} {self.size}\n"


class TreeFolder:
    """The tree's files in a log's folder. One process writes, under `locked`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tree"
        self._modes = modes_of(folder)
        self._forget()

    def _forget(self) -> None:
        """Begin anew with what `ranges` holds."""
        # Up to where it was read, and as which file.
        self._known: list[Taken] = []
        self._known_bytes, self._known_file = 0, -1
        self._segments: dict[str, int] = {}
        self._stretches: dict[str, list[Taken]] = {}
        self._tidy_at = _TIDY_AFTER

    @contextmanager
    def locked(self, *, wait: bool = False) -> Iterator[bool]:
        """Hold the lock inside the block; False where another process has it and `wait` is not asked for."""
        try:
            if not self.path.is_dir():
                self.path.mkdir(mode=self._modes.folder, parents=True, exist_ok=True)
                self.path.chmod(self._modes.folder)
                sync_folder(self.path.parent)
            fd = self._take_lock(wait=wait)
        except OSError as error:
            raise StoreError(f"cannot lock {self.path}: {error.strerror}") from error
        if fd is None:
            yield False
            return
        _held.add(held := _Held(fd))
        try:
            yield True
        finally:
            held.close()

    def _take_lock(self, *, wait: bool) -> int | None:
        path = self.path / "lock"
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, self._modes.file)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Somebody may have removed the file meanwhile: then this is nobody's lock.
                if os.stat(path).st_ino == os.fstat(fd).st_ino:
                    return fd
            except BlockingIOError:
                os.close(fd)
                return None
            except FileNotFoundError:
                pass
            os.close(fd)

    # -- reading -----------------------------------------------------------------------------------

    def size(self) -> int:
        """How many leaves the files have, whole ones alone."""
        return self._file_size("0") // HASH_BYTES

    def hash(self, start: int, end: int) -> Hash:
        """The hash of a range that the tree has.

        Raises:
            ProofError: the files do not reach so far.
            StoreError: they cannot be read.
        """
        pieces = pieces_of(start, end)
        return fold(
            [fold_complete(self.read(each.level, each.first, each.size)) for each in pieces]
        )

    def inclusion(self, index: int, size: int) -> list[Hash]:
        """The proof that a leaf is in the tree of a size."""
        return [self.hash(*each) for each in inclusion_ranges(index, size)]

    def consistency(self, old: int, new: int) -> list[Hash]:
        """The proof that the tree of one size begins with that of another."""
        return [self.hash(*each) for each in consistency_ranges(old, new)]

    def read(self, level: int, first: int, size: int) -> bytes:
        """Read stored hashes."""
        content = self._pread(str(level), first * HASH_BYTES, size * HASH_BYTES)
        if len(content) != size * HASH_BYTES:
            raise ProofError(f"tree/{level} ends before hash {first + size}")
        return content

    def ranges(self) -> Sequence[Taken]:
        """What was taken, in this order; CorruptError if the file says something else."""
        file, size = self._look_at("ranges")
        if file != self._known_file or size < self._known_bytes:
            self._forget()
            self._known_file = file
        # Every place that is looked up comes by here: nothing is opened where nothing is new.
        while self._known_bytes < size and (
            content := self._pread("ranges", self._known_bytes, _RANGES_TOGETHER)
        ):
            # What follows the last newline was being written when somebody was killed.
            *lines, rest = content.split(b"\n")
            if len(rest) > _RANGE_BYTES_MAX:
                raise CorruptError(
                    f"tree/ranges: line {len(self._known) + len(lines) + 1} is too long"
                )
            for line in lines:
                self._know(_parse_taken(line, len(self._known) + 1))
            self._known_bytes += len(content) - len(rest)
            if len(content) < _RANGES_TOGETHER:
                break
        return self._known

    def reached(self) -> dict[str, int]:
        """Up to where each segment was taken."""
        self.ranges()
        return {name: stretches[-1].end for name, stretches in self._stretches.items()}

    def _know(self, taken: Taken) -> None:
        self._known.append(taken)
        self._segments.setdefault(taken.segment, len(self._segments))
        self._stretches.setdefault(taken.segment, []).append(taken)

    def place(self, position: int) -> tuple[str, int]:
        """Where the entry of a position stands: its segment and offset."""
        return next(self.places(position, position + 1))

    def places(self, start: int, end: int) -> Iterator[tuple[str, int]]:
        """The same for positions [start, end)."""
        self.ranges()
        segments = list(self._segments)
        for at in range(start, end, _PLACES_TOGETHER):
            size = min(_PLACES_TOGETHER, end - at)
            content = self._pread("entries", at * _PLACE.size, size * _PLACE.size)
            if len(content) != size * _PLACE.size:
                raise ProofError(f"tree/entries ends before entry {at + size}")
            for (packed,) in _PLACE.iter_unpack(content):
                number, offset = packed >> _OFFSET_BITS, packed & ((1 << _OFFSET_BITS) - 1)
                if number >= len(segments):
                    raise CorruptError("tree/entries names a segment that was never taken")
                yield segments[number], offset

    def find(self, segment: str, offset: int, size: int) -> int | None:
        """The position of the entry whose line starts there, of the first `size`; None if it is not sealed."""
        self.ranges()
        stretches = self._stretches.get(segment, [])
        at = bisect_right(stretches, offset, key=_start_of) - 1
        if at < 0 or offset >= stretches[at].end:
            return None
        low, high = stretches[at].first, min(stretches[at].first + stretches[at].size, size)
        while low < high:
            middle = (low + high) // 2
            found = self.place(middle)[1]
            if found == offset:
                return middle
            low, high = (middle + 1, high) if found < offset else (low, middle)
        return None

    # -- writing: under the lock -------------------------------------------------------------------

    def append(
        self, size: int, leaves: bytes, taken: Sequence[Taken], offsets: Sequence[tuple[str, int]]
    ) -> None:
        """Add leaves to a tree of `size`, and note where they come from. On disk when this returns.

        A crash leaves more than was signed, which `cut` takes away.
        """
        self.ranges()
        numbers = dict(self._segments)
        for each in taken:
            numbers.setdefault(each.segment, len(numbers))
        packed = b"".join(
            [_PLACE.pack(numbers[name] << _OFFSET_BITS | offset) for name, offset in offsets]
        )
        tails = [
            self.read(level, count - tail, tail)
            for level, (count, tail) in enumerate(
                zip(level_counts(size), tail_counts(size), strict=True)
            )
        ]
        self._grow("ranges", "".join(map(str, taken)).encode())
        self._grow("entries", packed)
        for level, gained in enumerate(new_hashes(tails, leaves)):
            self._grow(str(level), gained)
        sync_folder(self.path)

    def cut(self, size: int) -> None:
        """Take away what stands above a signed size: what a crash left."""
        ranges = self.ranges()
        kept = len(ranges)
        while kept and ranges[kept - 1].first + ranges[kept - 1].size > size:
            kept -= 1
        if kept < len(ranges) or self._file_size("ranges") > self._known_bytes:
            self._replace_ranges(ranges[:kept])
        counts = level_counts(size)
        for level in range(len(list(self._levels()))):
            self._truncate(str(level), (counts[level] if level < len(counts) else 0) * HASH_BYTES)
        self._truncate("entries", size * _PLACE.size)

    def tidy(self) -> None:
        """Put stretches together that follow each other, all of them signed: a second's work makes one, and a year has 31 million."""
        ranges = self.ranges()
        if len(ranges) < self._tidy_at:
            return
        merged: list[Taken] = []
        for each in ranges[:-_LATEST_KEPT]:
            if merged and _is_next(merged[-1], each):
                size = merged[-1].size + each.size
                merged[-1] = merged[-1]._replace(end=each.end, size=size)
            else:
                merged.append(each)
        self._replace_ranges([*merged, *ranges[-_LATEST_KEPT:]])
        self._tidy_at = len(self.ranges()) + _TIDY_AFTER

    def _replace_ranges(self, ranges: Sequence[Taken]) -> None:
        replace_file(self.path / "ranges", "".join(map(str, ranges)).encode(), self._modes.file)
        self._forget()

    def _levels(self) -> Iterator[str]:
        level = 0
        while os.path.exists(self.path / str(level)):
            yield str(level)
            level += 1

    def _grow(self, name: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            fd = os.open(self.path / name, flags, self._modes.file)
            try:
                if os.fstat(fd).st_size == 0:
                    # Whatever the umask says.
                    os.fchmod(fd, self._modes.file)
                write_all(fd, content)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path / name}: {error.strerror}") from error

    def _truncate(self, name: str, size: int) -> None:
        try:
            if self._file_size(name) > size:
                os.truncate(self.path / name, size)
        except OSError as error:
            raise StoreError(f"cannot cut {self.path / name}: {error.strerror}") from error

    def _file_size(self, name: str) -> int:
        return self._look_at(name)[1]

    def _look_at(self, name: str) -> tuple[int, int]:
        """Which file has a name now, and its size; of none, 0 and 0."""
        try:
            status = os.stat(self.path / name)
        except FileNotFoundError:
            return 0, 0
        except OSError as error:
            raise StoreError(f"cannot look at {self.path / name}: {error.strerror}") from error
        return status.st_ino, status.st_size

    def _pread(self, name: str, start: int, size: int) -> bytes:
        try:
            with open_file(self.path / name) as file:
                file.seek(start)
                parts = []
                while size > 0 and (part := file.read(min(size, 1 << 26))):
                    parts.append(part)
                    size -= len(part)
                return b"".join(parts)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"cannot read {self.path / name}: {error.strerror}") from error


class _Held:
    """A lock that is held, given back once, and at once in a forked child."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


_held: "weakref.WeakSet[_Held]" = weakref.WeakSet()


def _give_back() -> None:
    for held in list(_held):
        held.close()


os.register_at_fork(after_in_child=_give_back)


def _start_of(taken: Taken) -> int:
    return taken.start


def _is_next(before: Taken, each: Taken) -> bool:
    """Whether two stretches are one, of a size that is worth looking at in one go."""
    return (
        before.segment == each.segment
        and before.end == each.start
        and before.first + before.size == each.first
        and before.size + each.size <= _MERGED_MAX
    )


def _parse_taken(line: bytes, number: int) -> Taken:
    words = line.decode("ascii", "replace").split(" ")
    if len(words) != 5 or parse_segment(words[0]) is None:
        raise CorruptError(f"tree/ranges: line {number} is no range: {words!r:.80}")
    try:
        start, end, first, size = map(parse_number, words[1:])
    except CorruptError as error:
        raise CorruptError(f"tree/ranges: line {number}: {error}") from error
    return Taken(words[0], start, end, first, size)
