"""What a history attempted and was told, compared with what its journal holds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whence.event import OWN, Event
from whence.journal.blobs import fill
from whence.journal.reader import Reader
from whence.journal.seen import Seen

PROMISES: dict[str, dict[str, Any]] = {
    "os": {}, "wait": {"wait": True}, "disk": {"durability": "disk"},
}  # fmt: skip
"""What to pass to `emit` for each promise."""


@dataclass(frozen=True, slots=True)
class Found:
    """One journal as read back: events in the order of reading, each once."""

    events: list[Event]
    fragments: int
    seen: Seen

    def own(self, type: str) -> list[Any]:
        """The payloads of our own housekeeping events of one type."""
        return [e.data for e in self.events if e.primitive == OWN and e.type == type]

    @property
    def keys(self) -> list[str]:
        """The keys of the recorded events, in the order of reading."""
        return [event.data["key"] for event in self.events if event.primitive != OWN]

    def holes(self) -> int:
        """How many counts are missing below each writer's highest."""
        return sum(len(gap) for gaps in self.seen.missing().values() for gap in gaps)


def read_back(folder: Path) -> Found:
    """Read a journal whole, checking what must hold for every journal whatever happened to it."""
    reader = Reader(folder)
    try:
        lines: dict[tuple[str, int], Event] = {}
        for segment in reader.segments():
            for entry in reader.scan_segment(segment.name):
                event = entry.event
                if event is not None:
                    first = lines.setdefault((event.w, event.n), event)
                    assert first == event, f"two different events are {event.w} {event.n}"
        seen, events, fragments = Seen(), [], 0
        for entry in reader.scan():
            if entry.event is None:
                fragments += 1
                continue
            assert seen.add(entry.event.w, entry.event.n)
            events.append(fill(folder, entry.event))
        back = [entry.event for entry in reader.scan_back() if entry.event is not None]
    finally:
        reader.close()
    assert len(events) == len(lines) == len(back)
    for event in events:
        if event.primitive != OWN:
            assert event.data is not None, f"{event.id} has lost its payload"
            assert len(event.data["filling"]) == event.data["size"]
    return Found(events, fragments, seen)


@dataclass(slots=True)
class Account:
    """Keys of what was attempted, and of what was acknowledged with which promise.

    A key is `stream:serial`; a stream is one thread of one writer, whose order must be kept.
    """

    attempted: set[str] = field(default_factory=set)
    kept: dict[str, str] = field(default_factory=dict)

    def missing(self, found: Found, promises: Iterable[str] = ("os", "wait", "disk")) -> set[str]:
        """What was acknowledged with one of these promises and is not there."""
        wanted = {key for key, promise in self.kept.items() if promise in promises}
        return wanted.difference(found.keys)

    def check_honest(self, found: Found) -> None:
        """Nothing invented, nothing twice, each stream in its order."""
        keys = found.keys
        assert len(keys) == len(set(keys)), "an event is there twice"
        assert set(keys) <= self.attempted, "an event was invented"
        last: dict[str, int] = {}
        for key in keys:
            stream, _, serial = key.rpartition(":")
            assert last.get(stream, -1) < int(serial), f"{key} is out of order"
            last[stream] = int(serial)


def payload(key: str, size: int) -> dict[str, Any]:
    """A payload that carries its key, and that shows if any of it is missing."""
    return {"key": key, "size": size, "filling": "x" * size}


def writers_without_close(found: Found) -> set[str]:
    """Writers that ended without saying so: killed, or still there."""
    writers = {event.w for event in found.events}
    closed = {e.w for e in found.events if e.primitive == OWN and e.type == "writer.close"}
    return writers - closed


def serials(stream: str) -> Iterator[str]:
    """Keys of one stream, one after the other."""
    number = 0
    while True:
        yield f"{stream}:{number}"
        number += 1
