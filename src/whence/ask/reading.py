"""From rows of the index to the events they stand for; a line that cannot be read is noted."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from whence.event import Event
from whence.index import Row
from whence.journal.reader import Reader

Note = Callable[[str], None]
"""Takes a remark for the person who asked."""

_BATCH_ROWS = 256


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
