"""Loads one journal into one index and tells what it cost, as a process of its own.

`python -m bench.load whence FOLDER DATABASE` fills Whence's own index; `seed` in its place fills
the table of the seed's design, from lines read and decoded in the same way.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from bench.measure import peak_mb
from whence.event import parse_time
from whence.index import Index
from whence.journal.reader import Reader

_SEED_SCHEMA = """
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    timestamp INTEGER NOT NULL,
    primitive TEXT NOT NULL,
    event_type TEXT NOT NULL,
    agent_id TEXT,
    target_id TEXT,
    parent_event_id TEXT,
    metadata TEXT
);
CREATE INDEX idx_trace_agent ON events(agent_id, timestamp);
CREATE INDEX idx_trace_target ON events(target_id, timestamp);
CREATE INDEX idx_trace_causality ON events(parent_event_id);
CREATE INDEX idx_trace_time ON events(timestamp DESC);
CREATE INDEX idx_trace_primitive ON events(primitive, timestamp);
"""


class Load(NamedTuple):
    """What loading cost."""

    events: int
    cpu_s: float
    bytes: int
    peak_mb: float


def load_whence(folder: Path) -> tuple[int, Path]:
    """Build Whence's index anew; return how many events it took in, and its file."""
    for old in folder.glob("index.sqlite*"):
        old.unlink()
    with Index.open(folder, Reader(folder)) as index:
        events = index.catch_up().events
        path = index.path
    return events, path


def load_seed(folder: Path, database: Path) -> tuple[int, Path]:
    """Fill the seed's table, a transaction for each batch that the reader gives."""
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -65536")
    db.executescript(_SEED_SCHEMA)
    events = 0
    for rows in _seed_rows(Reader(folder)):
        db.execute("BEGIN")
        db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
        events += len(rows)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return events, database


def _seed_rows(reader: Reader) -> Iterator[list[tuple[Any, ...]]]:
    names = attrgetter("primitive", "type", "agent", "target", "parent")
    for segment in reader.segments():
        for batch in reader.scan_batches(segment.name, 0, segment.size):
            yield [
                (event.id, parse_time(event.time), *names(event), bytes(event.payload).decode())
                for _, _, event, _ in batch
                if event is not None
            ]


def main() -> None:
    which, folder, database = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    start = time.process_time()
    events, path = load_whence(folder) if which == "whence" else load_seed(folder, database)
    cpu_s = time.process_time() - start
    print(json.dumps(Load(events, cpu_s, path.stat().st_size, peak_mb())))


if __name__ == "__main__":
    main()
