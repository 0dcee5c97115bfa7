"""From rows of the index to the events they stand for; what cannot be read is said."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from whence.errors import CorruptError, StoreError
from whence.event import Event
from whence.journal import blobs
from whence.journal.reader import Reader, check_event_format
from whence.line import split_line

if TYPE_CHECKING:
    from whence.index import Index, Place, Row

R = TypeVar("R", "Row", "Place")

Note = Callable[[str], None]
"""Takes a remark for the person who asked."""

# Few enough that their lines and events stay in the processor's cache.
_BATCH_ROWS = 128
_PROBLEMS_TOLD = 3
_FORMATS_BYTES = 128 * 1024 * 1024
_OPENED = b'"primitive":"whence","type":"writer.open"'


def has_remains(folder: Path) -> bool:
    """Whether an index or blobs tell of a journal that may have lost its segments."""
    # Asked only where there are no segments; dear to load.
    from whence.index.schema import FILE_NAME

    try:
        names = os.listdir(folder / "blobs")
    except OSError:
        names = []
    return os.path.lexists(folder / FILE_NAME) or any(not name.startswith(".") for name in names)


def say_problem(segment: str, offset: int, length: int, problem: str) -> str:
    """Name a place in the journal that is no event."""
    reason = problem.removeprefix("not an event: ")
    return f"{segment} at {offset}: {length} bytes are not an event: {reason}"


def say_problems(index: "Index") -> Iterator[str]:
    """Put in words what the journal lost and what in it is no event, the first of it by place."""
    losses, problems = index.losses(), index.problems()
    for number, (segment, offset, length, problem) in enumerate(problems[:_PROBLEMS_TOLD]):
        if number < len(losses):
            yield f"{segment}: {problem}"
        else:
            yield say_problem(segment, offset, length, problem)
    if len(problems) > _PROBLEMS_TOLD:
        yield f"{len(problems):,} places in the journal are not events; `whence doctor` lists them"


def fill(folder: Path, event: Event, note: Note) -> Event:
    """Give an event the payload that its blob holds; where that cannot be had, say so and go on."""
    try:
        filled = blobs.fill(folder, event)
    except (CorruptError, StoreError) as error:
        note(f"payload of event {event.id} is not shown: {error}")
        return event
    if filled.blob is not None and not filled.payload:
        note(f"payload of event {event.id} is not shown: blob {event.commit} is gone")
    return filled


def read_events(reader: Reader, rows: "Iterable[R]", note: Note) -> "Iterator[tuple[R, Event]]":
    """Read the events of these rows or places, in their order and some at a time."""
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH_ROWS)):
        events = reader.read_batch([(row.segment, row.offset) for row in batch], fill=False)
        for row, event in zip(batch, events, strict=True):
            if isinstance(event, Event):
                yield row, event if event.blob is None else fill(reader.folder, event, note)
            else:
                note(f"cannot read event {row.id}: {event}")


def check_newest_formats(reader: Reader) -> None:
    """Refuse a journal that a newer Whence writes: the first lines, and the newest of all lines.

    A journal may be so large that reading all of it would hold up an answer that needs only its end.

    Raises:
        FormatError: names both versions.
    """
    reader.check_format()
    left = _FORMATS_BYTES
    for segment in reversed(reader.segments()):
        for _, lines in reader.chunks_back(segment.name, segment.size):
            check_formats(lines)
            left -= len(lines)
            if left <= 0:
                return


def check_formats(lines: bytes) -> None:
    """Refuse whole lines among which a newer Whence says that it opened the journal."""
    at = lines.find(_OPENED)
    while at >= 0:
        end = lines.find(b"\n", at)
        for piece in split_line(lines[lines.rfind(b"\n", 0, at) + 1 : end]):
            if piece.event is not None:
                check_event_format(piece.event)
        at = lines.find(_OPENED, end)
