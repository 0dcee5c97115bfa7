"""Makes the databases of a swarm's first days, of any size, and a journal of the same events.

Six databases in a `.space` folder, laid out and filled as the swarm's own programs did: 10,000 rows a day
by 50 agents, so that a larger store is longer, not denser. Once with no index but those of the primary
keys, once with one on each column of time, agent and target. The same size gives the same rows.
"""

import inspect
import random
import sqlite3
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import whence
from bench.measure import FOLDER
from whence.event import Event, format_time
from whence.line import encode_event
from whence.sources.space import feeds, open_source, tell

AGENTS = 50
CHANNELS = 200
ROWS_A_DAY = 10_000

_SCHEMAS = {
    "events": "CREATE TABLE events (id TEXT PRIMARY KEY, source TEXT, agent_id TEXT,"
    " event_type TEXT, data TEXT, timestamp INTEGER, session_id TEXT)",
    "bridge": "CREATE TABLE channels (id TEXT PRIMARY KEY, name TEXT, topic TEXT,"
    " created_at TEXT, notes TEXT, archived_at TEXT);"
    "CREATE TABLE messages (id TEXT PRIMARY KEY, channel_id TEXT, agent_id TEXT, content TEXT,"
    " created_at TEXT, priority TEXT);"
    "CREATE TABLE notes (note_id TEXT PRIMARY KEY, channel_id TEXT, agent_id TEXT, content TEXT,"
    " created_at TEXT);"
    "CREATE TABLE bookmarks (agent_id TEXT, channel_id TEXT, last_seen_id TEXT,"
    " PRIMARY KEY (agent_id, channel_id))",
    "memory": "CREATE TABLE memories (memory_id TEXT PRIMARY KEY, agent_id TEXT, topic TEXT,"
    " message TEXT, timestamp TEXT, created_at INTEGER, archived_at INTEGER, core INTEGER,"
    " source TEXT, bridge_channel TEXT, code_anchors TEXT, synthesis_note TEXT, supersedes TEXT,"
    " superseded_by TEXT);"
    "CREATE TABLE memory_links (link_id TEXT PRIMARY KEY, memory_id TEXT, parent_id TEXT,"
    " kind TEXT, created_at INTEGER)",
    "knowledge": "CREATE TABLE knowledge (knowledge_id TEXT PRIMARY KEY, domain TEXT,"
    " agent_id TEXT, content TEXT, confidence REAL, created_at TEXT, archived_at INTEGER)",
    "spawn": "CREATE TABLE agents (id TEXT PRIMARY KEY, name TEXT, self_description TEXT,"
    " archived_at TEXT, created_at TEXT);"
    "CREATE TABLE tasks (uuid7 TEXT PRIMARY KEY, identity TEXT, channel TEXT, input TEXT,"
    " output TEXT, stderr TEXT, constitution_hash TEXT, created_at TEXT, completed_at TEXT)",
    "ops": "CREATE TABLE tasks (id TEXT PRIMARY KEY, parent_id TEXT, description TEXT,"
    " assigned_to TEXT, status TEXT, handover TEXT, channel_id TEXT, created_at TEXT,"
    " completed_at TEXT)",
}
_INDEXED = {
    "events.events": "timestamp agent_id session_id",
    "bridge.channels": "name created_at",
    "bridge.messages": "created_at agent_id channel_id",
    "bridge.notes": "created_at agent_id channel_id",
    "bridge.bookmarks": "agent_id channel_id",
    "memory.memories": "created_at archived_at agent_id",
    "memory.memory_links": "memory_id parent_id",
    "knowledge.knowledge": "created_at archived_at agent_id",
    "spawn.agents": "name",
    "spawn.tasks": "created_at completed_at identity channel",
    "ops.tasks": "created_at completed_at assigned_to parent_id",
}
_SHARES = {
    "message": 45, "task": 20, "event": 15, "memory": 10, "discovery": 4, "note": 3, "link": 2, "run": 1,
}  # fmt: skip
_START_S = 1_760_000_000
_HOUR_S = 3_600
_OFFSET_S = 11 * _HOUR_S
"""The writer's machine stands at UTC+11, as the seed's did."""
_SUBTASKS_MAX = 3
_HELD_MAX = 20_000
_WORDS = (
    "deploy retry payment gateway timeout review merged blocked waiting handover stripe".split()
)
_SEGMENT_BYTES = 256 * 1024 * 1024
_WRITER = "space0space0"


class Stores(NamedTuple):
    """The folders of one size, and what to ask about."""

    rows: int
    bare: Path
    indexed: Path
    journal: Path
    """The folder of the log; the others are those of databases."""
    end_ns: int
    """When the last row was made."""


def make_stores(rows: int) -> Stores:
    """The stores with so many rows; made once, and anew when this file or what the source tells changes."""
    made_by = (sys.modules[__name__], feeds, tell)
    version = zlib.crc32("".join(map(inspect.getsource, made_by)).encode())
    folder = FOLDER / f"space-{rows}-{version:08x}"
    end_ns = (_START_S + rows * 86_400 // ROWS_A_DAY) * 1_000_000_000
    stores = Stores(rows, folder / "bare", folder / "indexed", folder / "journal", end_ns)
    done = folder / "done"
    if not done.exists():
        print(f"making stores of {rows:,} rows", file=sys.stderr)
        for each, is_indexed in ((stores.bare, False), (stores.indexed, True)):
            write_databases(each, rows, is_indexed=is_indexed)
        write_journal(stores.journal, stores.bare)
        done.touch()
    return stores


def some_tasks(stores: Stores, count: int) -> list[str]:
    """Tasks to ask about, each with subtasks, spread over the whole time."""
    with closing(sqlite3.connect(stores.indexed / "ops.db")) as database:
        roots = [
            row_id
            for (row_id,) in database.execute(
                "SELECT DISTINCT parent_id FROM tasks WHERE parent_id NOT NULL ORDER BY 1"
            )
        ]
    return random.Random(7).sample(roots, min(count, len(roots)))


# -- databases -------------------------------------------------------------------------------------


def write_databases(folder: Path, rows: int, *, is_indexed: bool) -> None:
    """Write all six, in WAL mode and closed again."""
    folder.mkdir(parents=True)
    databases = {name: sqlite3.connect(folder / f"{name}.db") for name in _SCHEMAS}
    for name, database in databases.items():
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(_SCHEMAS[name])
    held: dict[str, list[tuple[Any, ...]]] = {}
    for place, row in make_rows(rows):
        several = held.setdefault(place, [])
        several.append(row)
        if len(several) >= _HELD_MAX:
            _insert(databases, place, several)
    for place, several in held.items():
        _insert(databases, place, several)
    for name, database in databases.items():
        for place, columns in _INDEXED.items() if is_indexed else ():
            if place.startswith(f"{name}."):
                table = place.partition(".")[2]
                for column in columns.split():
                    database.execute(f"CREATE INDEX {table}_{column} ON {table} ({column})")
        database.commit()
        database.close()


def _insert(
    databases: dict[str, sqlite3.Connection], place: str, rows: list[tuple[Any, ...]]
) -> None:
    if rows:
        name, _, table = place.partition(".")
        marks = ", ".join("?" * len(rows[0]))
        databases[name].executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        databases[name].commit()
        rows.clear()


class _Swarm:
    """What the rows of a swarm have to do with each other."""

    def __init__(self, rng: random.Random, end_s: int) -> None:
        self.rng = rng
        self.end_s = end_s
        self.agents = [(make_id(_START_S, rng), f"agent-{number}") for number in range(AGENTS)]
        self.channels = [(make_id(_START_S, rng), f"chan-{number}") for number in range(CHANNELS)]
        self.is_awake = [False] * AGENTS
        self.seen: dict[int, str] = {}
        self.memories: list[str] = []
        self.root, self.subtasks = "", 0
        self.tasks = 0

    def later(self, seconds: float, likely: float) -> float | None:
        """Some hours after, if that is still before the end; only sometimes at all."""
        moment = seconds + self.rng.randrange(60, 6 * _HOUR_S)
        return moment if self.rng.random() < likely and moment < self.end_s else None

    def text(self, words: int) -> str:
        return " ".join(self.rng.choices(_WORDS, k=words))

    def first(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for row_id, name in self.agents:
            yield "spawn.agents", (row_id, name, "works on payments", None, local(_START_S))
        for row_id, name in self.channels:
            yield "bridge.channels", (row_id, name, self.text(3), utc(_START_S), None, None)

    def last(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for number, message in self.seen.items():
            for agent, _ in self.rng.sample(self.agents, 2):
                yield "bridge.bookmarks", (agent, self.channels[number][0], message)

    def row(self, kind: str, seconds: float) -> Iterator[tuple[str, tuple[Any, ...]]]:
        rng = self.rng
        who = rng.randrange(AGENTS)
        agent, name = self.agents[who]
        number = rng.randrange(CHANNELS)
        channel = self.channels[number][0]
        row_id = make_id(seconds, rng)
        match kind:
            case "message":
                to = f" @agent-{rng.randrange(AGENTS)}" if rng.random() < 0.05 else ""
                yield "bridge.messages", (
                    row_id, channel, agent, self.text(8) + to, utc(seconds), "normal",
                )  # fmt: skip
                self.seen[number] = row_id
            case "note":
                yield "bridge.notes", (row_id, channel, agent, self.text(6), utc(seconds))
            case "event":
                self.is_awake[who] = not self.is_awake[who]
                word = "wake" if self.is_awake[who] else "sleep"
                yield "events.events", (row_id, "spawn", agent, word, None, int(seconds), None)
            case "memory":
                archived = self.later(seconds, 0.2)
                yield "memory.memories", (
                    row_id, agent, f"topic-{number}", self.text(10), local(seconds), int(seconds),
                    archived and int(archived), 0, "manual", None, None, None, None, None,
                )  # fmt: skip
                self.memories = [*self.memories[-9:], row_id]
            case "link":
                if len(self.memories) > 1:
                    child, parent = self.memories[-1], self.memories[0]
                    yield "memory.memory_links", (row_id, child, parent, "evolves", int(seconds))
            case "discovery":
                archived = self.later(seconds, 0.05)
                yield "knowledge.knowledge", (
                    row_id, f"domain-{number % 20}", agent, self.text(12), 0.8, utc(seconds),
                    archived and int(archived),
                )  # fmt: skip
            case "run":
                ended = self.later(seconds, 0.9)
                yield "spawn.tasks", (
                    row_id, name, self.channels[number][1], self.text(10), self.text(10), None,
                    f"{rng.getrandbits(256):064x}", utc(seconds), ended and local(ended),
                )  # fmt: skip
            case _:
                yield "ops.tasks", self.task(agent, channel, seconds)

    def task(self, agent: str, channel: str, seconds: float) -> tuple[Any, ...]:
        row_id = f"task-{self.tasks:07x}"
        self.tasks += 1
        parent: str | None = self.root
        self.subtasks -= 1
        if self.subtasks < 0:
            parent, self.root, self.subtasks = None, row_id, self.rng.randrange(_SUBTASKS_MAX + 1)
        done = self.later(seconds, 0.8)
        status = "complete" if done else self.rng.choice(("open", "claimed", "blocked"))
        return (
            row_id, parent, self.text(5), agent, status, None, channel, utc(seconds),
            done and utc(done),
        )  # fmt: skip


def make_rows(rows: int, seed: int = 0) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give `database.table` and a row of it, as they were made one after the other."""
    rng = random.Random(seed)
    step = 86_400 / ROWS_A_DAY
    swarm = _Swarm(rng, _START_S + int(rows * step))
    yield from swarm.first()
    kinds, weights = [*_SHARES], [*_SHARES.values()]
    first = AGENTS + CHANNELS
    for number, kind in enumerate(rng.choices(kinds, weights, k=rows - first - 2 * CHANNELS)):
        yield from swarm.row(kind, _START_S + (first + number + rng.random()) * step)
    yield from swarm.last()


def make_id(seconds: float, rng: random.Random) -> str:
    digits = f"{int(seconds * 1000):012x}7{rng.getrandbits(12):03x}8{rng.getrandbits(60):015x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S")


def local(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds + _OFFSET_S, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds")


# -- the same in a journal -------------------------------------------------------------------------


def write_journal(folder: Path, databases: Path) -> None:
    """Write what the source tells as the lines that a program would have recorded, and index them.

    Ids are the source's; a subtask's parent, which the store implies, is the parent of its event.
    """
    rng = random.Random(0)
    journal = folder / "journal"
    journal.mkdir(mode=0o700, parents=True)
    day, number, size = "", 0, 0
    held: list[bytes] = []
    source = open_source(databases, "space", {})
    for count, line in enumerate(_lines(source.events(), rng)):
        today = line[line.index(b'"time":"') + 8 :][:10].decode()
        if today != day or size + len(line) > _SEGMENT_BYTES or not count % _HELD_MAX:
            _append(journal, day, number, held)
        if today != day or size + len(line) > _SEGMENT_BYTES:
            day, number, size = today, (number + 1 if today == day else 0), 0
        held.append(line)
        size += len(line)
    source.close()
    _append(journal, day, number, held)
    with whence.open(folder) as log:
        log.catch_up()


def _append(journal: Path, day: str, number: int, lines: list[bytes]) -> None:
    if lines:
        with (journal / f"{day}.{number:04d}.jsonl").open("ab") as file:
            file.writelines(lines)
        lines.clear()


def _lines(events: Iterator[Any], rng: random.Random) -> Iterator[bytes]:
    def line(count: int, fields: dict[str, Any], payload: bytes) -> bytes:
        event = Event(
            w=_WRITER, n=count, salt=f"{rng.getrandbits(96):024x}", payload=msgspec.Raw(payload), **fields
        )  # fmt: skip
        return encode_event(event) + b"\n"

    own = {"primitive": "whence", "time": format_time(_START_S * 1_000_000_000)}
    opened = {**own, "id": make_id(_START_S, rng), "type": "writer.open"}
    yield line(0, opened, b'{"format":1}')
    count = 0
    for count, event in enumerate(events, 1):
        parents = [each.id for each in event.relations if each.reason == "parent_id"]
        names = ("id", "time", "primitive", "type", "agent", "target")
        fields = {name: getattr(event, name) for name in names}
        yield line(
            count, {**fields, "parent": parents[0] if parents else None}, bytes(event.payload)
        )
    closed = {**own, "id": make_id(_START_S, rng), "type": "writer.close"}
    yield line(count + 1, closed, b'{"last":%d}' % count)
