"""From rows of the index to the events they stand for; what cannot be read is said."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from whence.event import Event
from whence.index import Index, Row
from whence.index.schema import FILE_NAME
from whence.journal.reader import Reader

Note = Callable[[str], None]
"""Takes a remark for the person who asked."""

_BATCH_ROWS = 256
_PROBLEMS_TOLD = 3


def has_remains(folder: Path) -> bool:
    """Whether an index or blobs tell of a journal that may have lost its segments."""
    try:
        blobs = os.listdir(folder / "blobs")
    except OSError:
        blobs = []
    return os.path.lexists(folder / FILE_NAME) or any(not name.startswith(".") for name in blobs)


def say_problems(index: Index) -> Iterator[str]:
    """Put in words what the journal lost and what in it is no event, the first of it by place."""
    losses, problems = index.losses(), index.problems()
    for number, (segment, offset, length, problem) in enumerate(problems[:_PROBLEMS_TOLD]):
        if number < len(losses):
            yield f"{segment}: {problem}"
        else:
            yield f"{segment} at {offset}: {length} bytes are not an event: {problem}"
    if len(problems) > _PROBLEMS_TOLD:
        yield f"{len(problems):,} places in the journal are not events; `whence doctor` lists them"


def read_events(reader: Reader, rows: Iterable[Row], note: Note) -> Iterator[tuple[Row, Event]]:
    """Read the events of these rows, in their order and some at a time."""
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH_ROWS)):
        events = reader.read_many((row.segment, row.offset) for row in batch)
        for row, event in zip(batch, events, strict=True):
            if isinstance(event, Event):
                yield row, event
            else:
                note(f"cannot read event {row.id}: {event}")
