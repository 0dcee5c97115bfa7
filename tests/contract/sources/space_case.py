"""Stores of a swarm in every era they had, as its own programs would have written them, at UTC+11."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.contract.sources.case import Case
from whence.sources.source import Source
from whence.sources.space import open_source

START = datetime(2025, 10, 22, 14, 0, 0, tzinfo=UTC)
OFFSET = timedelta(hours=11)

FIRST = {
    "events": "CREATE TABLE events (id INTEGER PRIMARY KEY, source TEXT, identity TEXT,"
    " event_type TEXT, data TEXT, timestamp INTEGER)",
    "bridge": "CREATE TABLE channels (id TEXT PRIMARY KEY, name TEXT, topic TEXT,"
    " created_at TEXT, notes TEXT, archived_at TEXT);"
    "CREATE TABLE messages (id INTEGER PRIMARY KEY, channel_id TEXT, sender TEXT, content TEXT,"
    " created_at TEXT, priority TEXT);"
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, channel_id TEXT, author TEXT, content TEXT,"
    " created_at TEXT);"
    "CREATE TABLE bookmarks (identity TEXT, channel_id TEXT, last_seen_id INTEGER)",
    "memory": "CREATE TABLE memories (uuid TEXT PRIMARY KEY, identity TEXT, topic TEXT,"
    " message TEXT, timestamp TEXT, created_at INTEGER, archived_at INTEGER)",
}
DOCUMENT = {
    "events": "CREATE TABLE events (id TEXT PRIMARY KEY, source TEXT, agent_id TEXT,"
    " event_type TEXT, data TEXT, timestamp INTEGER, session_id TEXT)",
    "bridge": "CREATE TABLE channels (id TEXT PRIMARY KEY, name TEXT, topic TEXT,"
    " created_at TEXT, notes TEXT, archived_at TEXT);"
    "CREATE TABLE messages (id TEXT PRIMARY KEY, channel_id TEXT, agent_id TEXT, content TEXT,"
    " created_at TEXT, priority TEXT);"
    "CREATE TABLE notes (note_id TEXT PRIMARY KEY, channel_id TEXT, agent_id TEXT, content TEXT,"
    " created_at TEXT);"
    "CREATE TABLE bookmarks (agent_id TEXT, channel_id TEXT, last_seen_id TEXT)",
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
    " completed_at TEXT); CREATE INDEX by_parent ON tasks (parent_id)",
}
NAMED = {
    **DOCUMENT,
    "events": DOCUMENT["events"].replace("(id", "(event_id"),
    "bridge": DOCUMENT["bridge"]
    .replace("messages (id", "messages (message_id")
    .replace("channels (id", "channels (channel_id"),
    "spawn": DOCUMENT["spawn"].replace("(id TEXT PRIMARY KEY, name", "(agent_id TEXT, identity"),
    "ops": DOCUMENT["ops"].replace("(id", "(task_id"),
}
ONE = {
    "space": "CREATE TABLE agents (agent_id TEXT PRIMARY KEY, identity TEXT, model TEXT, role TEXT,"
    " spawn_count INTEGER, created_at TEXT, last_active_at TEXT, archived_at TEXT);"
    "CREATE TABLE channels (channel_id TEXT PRIMARY KEY, name TEXT, topic TEXT,"
    " parent_channel_id TEXT, created_at TEXT, archived_at TEXT);"
    "CREATE TABLE spawns (id TEXT PRIMARY KEY, agent_id TEXT, parent_spawn_id TEXT,"
    " session_id TEXT, channel_id TEXT, constitution_hash TEXT, status TEXT, created_at TEXT,"
    " ended_at TEXT);"
    "CREATE TABLE messages (message_id TEXT PRIMARY KEY, channel_id TEXT, agent_id TEXT,"
    " content TEXT, created_at TEXT);"
    "CREATE TABLE bookmarks (reader_id TEXT, channel_id TEXT, last_read_id TEXT, updated_at TEXT);"
    "CREATE TABLE memories (memory_id TEXT PRIMARY KEY, agent_id TEXT, topic TEXT, source TEXT,"
    " message TEXT, core INTEGER, created_at TEXT, archived_at TEXT);"
    "CREATE TABLE knowledge (knowledge_id TEXT PRIMARY KEY, agent_id TEXT, domain TEXT,"
    " content TEXT, created_at TEXT, archived_at TEXT);"
    "CREATE TABLE tasks (task_id TEXT PRIMARY KEY, creator_id TEXT, agent_id TEXT, content TEXT,"
    " project TEXT, status TEXT, created_at TEXT, started_at TEXT, completed_at TEXT);"
    "CREATE INDEX by_channel ON messages (channel_id, created_at);"
    "CREATE INDEX by_agent ON spawns (agent_id, created_at)",
}

Rows = Iterable[tuple[str, str, Mapping[str, Any]]]
"""Database, table, and a row by its columns."""


def uuid7(seconds: float, number: int = 0) -> str:
    """An id made so long after the start; `number` tells ids of one moment apart."""
    ms = round((START.timestamp() + seconds) * 1000)
    digits = f"{ms:012x}7{number:03x}8{number:015x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def epoch(seconds: float) -> int:
    return int(START.timestamp() + seconds)


def utc(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


def utc_ms(seconds: float) -> str:
    moment = START + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def local(seconds: float, offset: timedelta = OFFSET) -> str:
    moment = (START + timedelta(seconds=seconds) + offset).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds")


def make_store(folder: Path, schemas: Mapping[str, str], rows: Rows = ()) -> None:
    """Write the databases, in WAL mode and closed again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas.items():
        with closing(sqlite3.connect(folder / f"{name}.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(schema)
    several: dict[str, list[tuple[str, list[Any]]]] = {}
    for name, table, row in rows:
        several.setdefault(name, []).append(insert(table, row))
    for name, statements in several.items():
        with closing(sqlite3.connect(folder / f"{name}.db")) as database, database:
            for sql, values in statements:
                database.execute(sql, values)


def insert(table: str, row: Mapping[str, Any]) -> tuple[str, list[Any]]:
    marks = ", ".join("?" * len(row))
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values())


_OWNER = """
import json, os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
for sql, values in json.loads(sys.argv[2]):
    database.execute(sql, values)
database.commit()
os._exit(0)
"""


def add_rows(folder: Path, rows: Rows) -> None:
    """Write rows in another process, which leaves its `-wal` behind."""
    for name, table, row in rows:
        statements = json.dumps([insert(table, row)])
        path = folder / f"{name}.db"
        subprocess.run([sys.executable, "-c", _OWNER, path, statements], check=True)


def first_rows() -> Rows:
    yield (
        "bridge",
        "channels",
        {"id": "c-1", "name": "payments", "topic": "pay", "created_at": utc(0)},
    )
    for number, (who, text) in enumerate(
        [
            ("zealot-1", "we need payments"),
            ("haiku-1", "blocked"),
            ("zealot-1", "@haiku-1 see .env"),
        ]
    ):
        message = {"id": number + 9, "channel_id": "c-1", "sender": who, "content": text}
        yield "bridge", "messages", {**message, "created_at": utc(60 * number)}
    note = {"id": 9, "channel_id": "c-1", "author": "haiku-1", "content": "keys"}
    yield "bridge", "notes", {**note, "created_at": utc(60)}
    yield "bridge", "bookmarks", {"identity": "haiku-1", "channel_id": "c-1", "last_seen_id": 11}
    for number, (who, kind) in enumerate(
        [("zealot-1", "wake"), ("zealot-1", "sleep"), ("haiku-1", "wake"), ("zealot-1", "wake")]
    ):
        event = {"id": number, "source": "spawn", "identity": who, "event_type": kind}
        yield "events", "events", {**event, "timestamp": epoch(60 * number)}
    memory = {"uuid": "m-1", "identity": "haiku-1", "topic": "payments", "message": "stripe"}
    times = {"timestamp": local(90), "created_at": epoch(90), "archived_at": epoch(120)}
    yield "memory", "memories", {**memory, **times}


def document_rows(named: Mapping[str, str] = {}) -> Rows:
    """The story of the seed. `named` gives the columns that were called otherwise later."""

    def called(table: str, **row: Any) -> dict[str, Any]:
        return {named.get(f"{table}.{name}", name): value for name, value in row.items()}

    zealot, haiku, channel = uuid7(0, 1), uuid7(0, 2), uuid7(1)
    for row_id, name in ((zealot, "zealot-1"), (haiku, "haiku-1")):
        yield "spawn", "agents", called("agents", id=row_id, name=name, created_at=local(0))
    run = {"uuid7": uuid7(2), "identity": "zealot-1", "channel": "payments", "input": "plan"}
    yield "spawn", "tasks", {**run, "created_at": utc(2), "completed_at": local(30)}
    yield "bridge", "channels", called(
        "channels", id=channel, name="payments", topic="pay", created_at=utc(1), archived_at=None
    )  # fmt: skip
    texts = ["we need payments", "blocked on API key", "@haiku-1: key in .env.example"]
    for number, text in enumerate(texts):
        who = haiku if number == 1 else zealot
        yield "bridge", "messages", called(
            "messages", id=uuid7(10 + 600 * number), channel_id=channel, agent_id=who,
            content=text, created_at=utc(10 + 600 * number), priority="normal",
        )  # fmt: skip
    note = {"note_id": uuid7(10, 3), "channel_id": channel, "agent_id": zealot, "content": "keys"}
    yield "bridge", "notes", {**note, "created_at": utc(10)}
    seen = {"agent_id": haiku, "channel_id": channel, "last_seen_id": uuid7(1210)}
    yield "bridge", "bookmarks", seen
    for number, (who, kind) in enumerate(
        [(zealot, "wake"), (zealot, "sleep"), (haiku, "wake"), (zealot, "wake"), (zealot, "sleep")]
    ):
        yield "events", "events", called(
            "events", id=uuid7(5 + 300 * number, 5), source="spawn", agent_id=who,
            event_type=kind, data=None, timestamp=epoch(5 + 300 * number),
        )  # fmt: skip
    old, new = uuid7(20), uuid7(40)
    for row_id, at, over in ((old, 20, {"superseded_by": new}), (new, 40, {"supersedes": old})):
        memory = {"memory_id": row_id, "agent_id": haiku, "topic": "payments", "message": "stripe"}
        archived = epoch(41) if row_id == old else None
        times = {"timestamp": local(at), "created_at": epoch(at), "archived_at": archived}
        yield "memory", "memories", {**memory, **times, **over}
    yield "memory", "memory_links", {"link_id": "l", "memory_id": new, "parent_id": old}
    known = {"knowledge_id": uuid7(50), "domain": "architecture", "agent_id": zealot}
    found = {"content": "keys", "created_at": utc(50), "archived_at": epoch(90)}
    yield "knowledge", "knowledge", {**known, **found}
    for row_id, parent, status, done in (
        ("task-abc123", None, "open", None),
        ("task-sub1", "task-abc123", "blocked", None),
        ("task-sub2", "task-abc123", "complete", utc(1800)),
    ):
        yield "ops", "tasks", called(
            "tasks", id=row_id, parent_id=parent, description="Build", assigned_to=haiku,
            status=status, channel_id=channel, created_at=utc(300), completed_at=done,
        )  # fmt: skip


LATER = {
    "events.id": "event_id", "messages.id": "message_id", "channels.id": "channel_id",
    "agents.id": "agent_id", "agents.name": "identity", "tasks.id": "task_id",
}  # fmt: skip
"""What columns were called a few days later."""


def one_rows() -> Rows:
    zealot, haiku, channel = uuid7(0, 1), uuid7(0, 2), uuid7(1)
    for row_id, name in ((zealot, "zealot-1"), (haiku, "haiku-1")):
        agent = {"agent_id": row_id, "identity": name, "model": "m", "created_at": local(0.003)}
        yield "space", "agents", agent
    for row_id, name, parent in ((channel, "payments", None), (uuid7(2), "cards", channel)):
        room = {"channel_id": row_id, "name": name, "parent_channel_id": parent}
        yield "space", "channels", {**room, "created_at": utc_ms(1), "archived_at": None}
    spawns = [(uuid7(3), zealot, None, local(30)), (uuid7(4), haiku, uuid7(3), None)]
    for number, (row_id, who, parent, end) in enumerate(spawns):
        spawn = {"id": row_id, "agent_id": who, "parent_spawn_id": parent, "status": "pending"}
        times = {"created_at": local(3 + number), "ended_at": end}
        yield "space", "spawns", {**spawn, **times}
    for number, text in enumerate(["we need payments", "@haiku-1 go", "mail a@haiku-1 @nobody"]):
        message = {"message_id": uuid7(10 * number, 7), "channel_id": channel, "agent_id": zealot}
        made = {"content": text, "created_at": utc_ms(10 * number)}
        yield "space", "messages", {**message, **made}
    mark = {"reader_id": haiku, "channel_id": channel, "last_read_id": uuid7(10, 7)}
    yield "space", "bookmarks", {**mark, "updated_at": utc_ms(12)}
    memory = {"memory_id": uuid7(20), "agent_id": haiku, "topic": "arch", "message": "stripe"}
    times = {"created_at": local(20), "archived_at": local(25)}
    yield "space", "memories", {**memory, **times}
    known = {"knowledge_id": uuid7(30), "agent_id": haiku, "domain": "arch", "content": "keys"}
    yield "space", "knowledge", {**known, "created_at": utc_ms(30), "archived_at": local(3000)}
    task = {"task_id": uuid7(40), "creator_id": zealot, "agent_id": haiku, "content": "Build"}
    times = {"created_at": local(40), "started_at": local(50), "completed_at": local(60)}
    yield "space", "tasks", {**task, "status": "done", **times}


def _case(
    name: str,
    schemas: Mapping[str, str],
    rows: Callable[[], Rows],
    more: tuple[str, str, Mapping[str, Any]],
    key: str,
    only: str = "",
) -> Case:
    database, table, row = more

    def make(folder: Path) -> Source:
        make_store(folder, schemas, rows())
        return open_source(folder / only if only else folder, name, {})

    def spoil(folder: Path) -> None:
        add_rows(folder, [(database, table, {**row, key: "unknown", "created_at": "some day"})])

    return Case(name=name, make=make, add=lambda folder: add_rows(folder, [more]), spoil=spoil)


_MESSAGE = {"channel_id": uuid7(1), "agent_id": uuid7(0, 2), "content": "done"}

CASES = [
    _case(
        "space-first", {**FIRST, "bridge": FIRST["bridge"].replace("id INTEGER PRIMARY KEY", "id")},
        first_rows,
        ("bridge", "messages", {
            "id": 77, "channel_id": "c-1", "sender": "haiku-1", "content": "x", "created_at": utc(9),
        }), "id",
    ),
    _case(
        "space-document", DOCUMENT, document_rows,
        ("bridge", "messages", {"id": uuid7(900), **_MESSAGE, "created_at": utc(900)}), "id",
    ),
    _case(
        "space-named", NAMED, lambda: document_rows(LATER),
        ("bridge", "messages", {"message_id": uuid7(9), **_MESSAGE, "created_at": utc(9)}),
        "message_id",
    ),
    _case(
        "space-one", ONE, one_rows,
        ("space", "messages", {"message_id": uuid7(99), **_MESSAGE, "created_at": utc_ms(99)}),
        "message_id", only="space.db",
    ),
]  # fmt: skip
