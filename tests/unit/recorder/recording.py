"""What the tests of the recorder share: a recorder in a folder, and what it wrote there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whence.event import OWN, Event
from whence.journal.reader import Reader
from whence.recorder.recorder import Recorder


@contextmanager
def recorder_in(folder: Path, **options: Any) -> Iterator[Recorder]:
    """A recorder that is closed at the end."""
    recorder = Recorder(folder, **options)
    try:
        yield recorder
    finally:
        recorder.close()


def read_all(folder: Path) -> list[Event]:
    """Every event in the journal; what is not an event fails the test."""
    reader = Reader(folder)
    try:
        entries = list(reader.scan())
    finally:
        reader.close()
    # A single `#` ends what a failed write may have left.
    broken = [entry for entry in entries if entry.event is None and entry.length > 1]
    assert broken == []
    return [entry.event for entry in entries if entry.event is not None]


def read_events(folder: Path) -> list[Event]:
    """What was recorded, without housekeeping."""
    return [event for event in read_all(folder) if event.primitive != OWN]


def read_own(folder: Path, type: str) -> list[Event]:
    """The housekeeping events of one type."""
    return [event for event in read_all(folder) if (event.primitive, event.type) == (OWN, type)]


def by_type(folder: Path) -> dict[str, Event]:
    """What was recorded, by type; each type once."""
    events = read_events(folder)
    assert len({event.type for event in events}) == len(events)
    return {event.type: event for event in events}
