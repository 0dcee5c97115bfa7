"""Where the events of one file of lines stand, in a few dozen bytes each: time, place, and marks of names.

A mark is the hash of a name: what has it probably has the name, and whoever reads the line makes sure. Files
grow, are cut, replaced and removed while we look; each `update` reads only what is new.
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from operator import le
from pathlib import Path
from typing import IO, Any

from whence.errors import CorruptError, StoreError
from whence.sources.glance import Key as GlanceKey
from whence.sources.glance import Needle
from whence.sources.lines import (
    Line,
    decode_line,
    make_line,
    open_lines,
    read_lines,
    read_pieces,
    split_lines,
)
from whence.sources.rows import Key
from whence.sources.understanding import Skimmed, Understanding

_NS_PER_S = 10**9
_PRINT = 256
"""So many bytes before the end that was read tell whether the file only grew."""


def mark(name: str | None) -> int:
    """What stands for a name; 0 for none."""
    return 0 if name is None else hash(name) or 1


def _mark_all(names: Sequence[str | None]) -> list[int]:
    found = list(map(hash, names))
    return list(map(mark, names)) if 0 in found or None in names else found


class Offsets:
    """The events of one file, by their number in it from 0."""

    def __init__(self, path: Path, name: str, understanding: Understanding) -> None:
        self.path = path
        self.name = name
        """What the file is called in places: `2026-11-20.jsonl:17`."""
        self.problem = ""
        """Why it could not be read to its end."""
        self.understanding = understanding
        self._has_ids = bool(understanding.reader.mapping.ids)
        self._has_relations = bool(understanding.reader.mapping.relations)
        self.not_understood = 0
        self.is_ordered = True
        """Whether the events stand in order of time."""
        self.newest_ns: int | None = None
        self.marks: dict[str, array[int]] = {name: array("q") for name in understanding.names()}
        self.ids = array("q")
        """Marks of the ids that the lines give themselves; none if they give none."""
        self.repeats = array("I")
        """How many events before each have the same id; empty if none has. Kept by whoever knows all files."""
        self._related, self._relating = array("q"), array("I")
        self._seconds, self._nanos = array("q"), array("I")
        self._offsets, self._sizes, self._lines = array("q"), array("I"), array("I")
        self._count = 0
        self._end = 0
        self._print = b""
        self._state: tuple[int, ...] = ()
        self._open_line: bool | None = None
        """Of a last line without an end: whether it is an event. It may be longer the next time."""

    def __len__(self) -> int:
        return len(self._seconds)

    def is_replaced(self) -> bool:
        """Whether another file stands there, or this one was cut: what is known of it is of no use then.

        Raises:
            StoreError: it cannot be read.
        """
        with open_lines(self.path) as file:
            found = os.fstat(file.fileno())
            if _state_of(found) == self._state:
                return False
            return self._state[:2] != (found.st_dev, found.st_ino) or not self._is_continued(
                file, found.st_size
            )

    def update(self) -> bool:
        """Read what was written since the last time; whether there was any.

        Raises:
            StoreError: it cannot be read.
        """
        with open_lines(self.path) as file:
            state = _state_of(os.fstat(file.fileno()))
            if state == self._state:
                return False
            self._forget_open_line()
            self.problem = ""
            try:
                self._read_on(file)
                file.seek(max(0, self._end - _PRINT))
                self._print = file.read(self._end - file.tell())
            except CorruptError as error:
                # What stands before the damage was read.
                self.problem = str(error)
            self._state = state
        return True

    def sift(self, needle: Needle, at_most: int) -> set[str | None] | None:
        """Read only the lines that `needle` finds, in place of `update`; their ids, None if they are more.

        Raises:
            StoreError: it cannot be read.
        """
        ids: set[str | None] = set()
        with open_lines(self.path) as file:
            self._state = _state_of(os.fstat(file.fileno()))
            try:
                for piece in read_pieces(file, self.path):
                    if isinstance(piece, Line):
                        ids.add(self._take(piece))
                    else:
                        ids.update(self._sift_block(piece, needle))
                    if len(self) > at_most:
                        return None
            except CorruptError as error:
                self.problem = str(error)
        return ids

    def _sift_block(self, block: bytes, needle: Needle) -> Iterator[str | None]:
        start, counted = self._end, 0
        for begin, end in needle.lines(block):
            self._count += block.count(b"\n", counted, begin)
            yield self._take(make_line(block[begin:end], start + begin))
            counted = end
        self._count += block.count(b"\n", counted)
        self._end = start + len(block)

    def has_others(self, key: GlanceKey, spelled: set[bytes]) -> bool:
        """Whether lines that were left out by `sift` may have ids that are spelled so.

        Raises:
            StoreError: it cannot be read, or is another by now.
        """
        end, own = 0, 0
        with self.open() as file:
            try:
                for piece in read_pieces(file, self.path):
                    if isinstance(piece, Line):
                        # It was taken, or is too long to be an event.
                        end = piece.end
                        continue
                    values = key.values(piece)
                    if values is None:
                        return True
                    end += len(piece)
                    before, own = own, bisect_left(self._offsets, end)
                    if spelled.isdisjoint(values):
                        continue
                    if sum(map(spelled.__contains__, values)) > own - before:
                        return True
            except CorruptError:
                # What stands before the damage was read.
                return False
        return False

    def is_current(self) -> bool:
        """Whether the file is as it was when it was read; StoreError if it cannot be looked at."""
        with open_lines(self.path) as file:
            return _state_of(os.fstat(file.fileno())) == self._state

    def ns(self, number: int) -> int:
        """The time of an event."""
        return self._seconds[number] * _NS_PER_S + self._nanos[number]

    def place(self, number: int) -> str:
        """Where an event stands."""
        return f"{self.name}:{self._lines[number]}"

    def size(self, number: int) -> int:
        """How many bytes an event's line has."""
        return self._sizes[number]

    def at_line(self, line: int) -> int | None:
        """The event that stands in a line, counted from 1."""
        number = bisect_left(self._lines, line)
        return number if number < len(self) and self._lines[number] == line else None

    @property
    def is_packed(self) -> bool:
        """Whether it can only be read forward."""
        return self.path.suffix == ".gz"

    def open(self) -> IO[bytes]:
        """Open the file that was read; StoreError if it is another by now."""
        file = open_lines(self.path)
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) != self._state[:2]:
            file.close()
            raise self._changed()
        return file

    def load(self, file: IO[bytes], number: int) -> tuple[dict[str, Any], Key]:
        """Read an event's line again, from the file that `open` gave.

        Raises:
            StoreError: it says something else by now.
        """
        # An event of a line without an end is forgotten while that line is read again.
        offset = self._offsets[number] if number < len(self) else -1
        line = next(read_lines(file, self.path, offset), None) if offset >= 0 else None
        if line is not None:
            found = self.understanding.read(line, self.place(number))
            if not isinstance(found, str) and found[1].ns == self.ns(number):
                return found
        raise self._changed()

    def find(self, name: str, value: str) -> Iterator[int]:
        """The numbers of the events that probably have that name, in their order."""
        return _find(self.marks[name], mark(value)) if name in self.marks else iter(())

    def find_id(self, event_id: str) -> Iterator[int]:
        """The numbers of the events whose line probably gives that id."""
        return _find(self.ids, mark(event_id))

    def find_related(self, event_id: str) -> Iterator[int]:
        """The numbers of the events that are probably related to that one."""
        return (self._relating[place] for place in _find(self._related, mark(event_id)))

    def between(self, since: int | None, until: int | None) -> range:
        """The numbers of the events in [since, until), if they are ordered; of all otherwise."""
        numbers = range(len(self))
        if not self.is_ordered:
            return numbers
        start = 0 if since is None else bisect_left(numbers, since, key=self.ns)
        return numbers[start : None if until is None else bisect_left(numbers, until, key=self.ns)]

    def by_time(self, numbers: Sequence[int], *, newest_first: bool) -> Iterable[int]:
        """Put the numbers of events, which are in their order, in that of time."""
        if self.is_ordered:
            return numbers[::-1] if newest_first else numbers
        return self._sort(numbers, newest_first)

    def _sort(self, numbers: Sequence[int], newest_first: bool) -> Iterator[int]:
        # By the second at once, and those of one when they are asked for: the first come early.
        second, nano = self._seconds.__getitem__, self._nanos.__getitem__
        for _, same in groupby(sorted(numbers, key=second, reverse=newest_first), second):
            yield from sorted(same, key=nano, reverse=newest_first)

    def raw(self) -> Iterator[tuple[int, Line, str]]:
        """The lines that are not understood, each with its number and what is wrong with it."""
        with open_lines(self.path) as file:
            for number, line in enumerate(read_lines(file, self.path), start=1):
                if _is_there(line):
                    found = self.understanding.read(line, "")
                    if isinstance(found, str):
                        yield number, line, found

    def _read_on(self, file: IO[bytes]) -> None:
        for piece in read_pieces(file, self.path, self._end):
            if isinstance(piece, Line):
                self._take(piece)
            else:
                self._take_all(piece)

    def _is_continued(self, file: IO[bytes], size: int) -> bool:
        """Whether all that was read still stands there."""
        if self.is_packed or size < self._end:
            return False
        file.seek(self._end - len(self._print))
        return file.read(len(self._print)) == self._print

    def _forget_open_line(self) -> None:
        if self._open_line is None:
            return
        if self._open_line:
            for each in (self._seconds, self._nanos, self._offsets, self._sizes, self._lines):
                each.pop()
            if self.ids:
                self.ids.pop()
            for each in self.marks.values():
                each.pop()
            while self._relating and self._relating[-1] == len(self):
                self._relating.pop()
                self._related.pop()
        else:
            self.not_understood -= 1
        self._count -= 1
        self._open_line = None

    def _take_all(self, block: bytes) -> None:
        skimmed = self.understanding.skim(block)
        if skimmed is None:
            for line in split_lines(block, self._end):
                self._take(line)
        else:
            self._add_all(skimmed)

    def _take(self, line: Line) -> str | None:
        """Keep what there is to keep of a line; the event's id, if it is one."""
        is_there = _is_there(line)
        event_id = None
        if line.is_ended or is_there:
            self._count += 1
            event_id = self._add(line) if is_there else None
            if line.is_ended:
                self._end = line.end
            else:
                self._open_line = event_id is not None if is_there else None
        return event_id

    def _add(self, line: Line) -> str | None:
        found = self.understanding.read(line, "")
        if isinstance(found, str):
            self.not_understood += 1
            return None
        row, key = found
        if self.newest_ns is None or key.ns >= self.newest_ns:
            self.newest_ns = key.ns
        else:
            self.is_ordered = False
        number = len(self)
        second, nano = divmod(key.ns, _NS_PER_S)
        self._seconds.append(second)
        self._nanos.append(nano)
        self._offsets.append(line.offset)
        self._sizes.append(line.end - line.offset)
        self._lines.append(self._count)
        if self._has_ids:
            self.ids.append(mark(key.id))
        for name, value in self.understanding.names_of(row).items():
            self.marks[name].append(mark(value))
        if self._has_relations:
            for relation in self.understanding.reader.relations(row):
                self._related.append(mark(relation.id))
                self._relating.append(number)
        return key.id

    def _add_all(self, skimmed: Skimmed) -> None:
        times, first = skimmed.times, len(self)
        if self.is_ordered:
            before = times[0] if self.newest_ns is None else self.newest_ns
            self.is_ordered = before <= times[0] and all(map(le, times, times[1:]))
        self.newest_ns = max(times) if self.newest_ns is None else max(self.newest_ns, *times)
        self._seconds.extend([ns // _NS_PER_S for ns in times])
        self._nanos.extend([ns % _NS_PER_S for ns in times])
        *offsets, self._end = accumulate(skimmed.sizes, initial=self._end)
        self._offsets.extend(offsets)
        self._sizes.extend(skimmed.sizes)
        self._lines.extend(range(self._count + 1, self._count + 1 + len(times)))
        self._count += len(times)
        self.ids.extend(_mark_all(skimmed.ids))
        for name, values in skimmed.names.items():
            self.marks[name].extend(_mark_all(values))
        for number, related in enumerate(skimmed.relations, start=first):
            self._related.extend(map(mark, related))
            self._relating.extend([number] * len(related))

    def _changed(self) -> StoreError:
        return StoreError(f"{self.path} was changed while it was read; ask again")


def _is_there(line: Line) -> bool:
    """Whether a line says something. One without an end does if nothing can follow what it says."""
    if line.is_ended:
        return line.data != b"\n" and (line.is_too_long or not line.data.isspace())
    return not isinstance(decode_line(line.data), str)


def _state_of(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _find(marks: "array[int]", wanted: int) -> Iterator[int]:
    place = -1
    while True:
        try:
            place = marks.index(wanted, place + 1)
        except ValueError:
            return
        yield place
