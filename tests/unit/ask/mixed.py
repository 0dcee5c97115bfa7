"""A journal and sources in memory, asked together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from whence.ask.asked import Sources
from whence.ask.stores import Stores
from whence.event import format_time
from whence.index import Index
from whence.journal.reader import Reader
from whence.recorder.recorder import Recorder
from whence.sources.source import Relation, SourceEvent
from whence.testing.clock import FixedClock
from whence.testing.memory import MemorySource

START_NS = 1_795_000_000_000_000_000
SECOND = 1_000_000_000


def told(
    event_id: str,
    second: float,
    primitive: str,
    type: str,
    *,
    source: str = "memory",
    because: tuple[tuple[str, str], ...] = (),
    data: dict[str, Any] | None = None,
    **fields: Any,
) -> SourceEvent:
    """An event of a source, so many seconds after the start; `because` are reasons and ids."""
    return SourceEvent(
        id=event_id,
        time=format_time(START_NS + round(second * SECOND)),
        primitive=primitive,
        type=type,
        source=source,
        payload=msgspec.Raw(msgspec.json.encode(data or {})),
        relations=tuple(Relation(reason, cause) for reason, cause in because),
        **fields,
    )


@contextmanager
def stores_of(folder: Path, *sources: MemorySource) -> Iterator[tuple[Stores, list[str]]]:
    """The log in `folder`, if anything is recorded there, and these sources; and what is noted."""
    notes: list[str] = []
    reader = Reader(folder)
    index = Index.open(folder, reader) if reader.segments() else None
    if index is not None:
        index.catch_up()
    asked = Sources(sources, notes.append)
    yield Stores(index=index, reader=reader, note=notes.append, sources=asked), notes
    if index is not None:
        index.close()
    reader.close()


@contextmanager
def recording(folder: Path) -> Iterator[tuple[Recorder, FixedClock]]:
    """A recorder whose clock begins where that of the sources does."""
    clock = FixedClock(format_time(START_NS))
    recorder = Recorder(folder, clock=clock)
    yield recorder, clock
    recorder.close()
