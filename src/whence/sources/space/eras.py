"""Which tables and columns mean what, in every era of the store. Pure.

Eras are told by columns, never by `user_version`, which says nothing. A role is what we need to know of a
row; its columns are the names it has had. Only names of this file ever become part of a statement.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from whence.sources.space.clocks import Zone

NAMES = ("events", "bridge", "memory", "knowledge", "spawn", "ops")
"""The databases of a `.space` folder, without `.db`."""
ONE = "space"
"""The one database that came later."""


class Kind(NamedTuple):
    """A kind of row: its table, the columns of each role, and what text without a zone means."""

    name: str
    table: str
    columns: Mapping[str, tuple[str, ...]]
    needs: tuple[str, ...] = ()
    """A table of this name without any of these columns is another kind."""
    lacks: tuple[str, ...] = ()
    """A table of this name with one of these columns is another kind."""
    zones: Mapping[str, Zone] = {}


_AGENT = ("agent_id", "identity", "sender")
_LOCAL = {"created": Zone.LOCAL, "archived": Zone.LOCAL, "ended": Zone.LOCAL}
_RUN_MARKS = ("uuid7", "input", "stderr", "constitution_hash")
_LATE_TASK_MARKS = ("creator_id", "started_at")
_TASK = {
    "id": ("task_id", "id"), "parent": ("parent_id", "parent_task_id"),
    "description": ("description", "content"), "creator": ("creator_id", "created_by"),
    "agent": ("assigned_to", "agent_id"), "status": ("status",), "handover": ("handover",),
    "channel": ("channel_id",), "project": ("project",), "created": ("created_at",),
    "started": ("started_at",), "completed": ("completed_at",),
}  # fmt: skip

KINDS: tuple[Kind, ...] = (
    Kind("event", "events", {
        "id": ("event_id", "id"), "source": ("source",), "agent": _AGENT, "type": ("event_type",),
        "data": ("data",), "session": ("session_id",), "created": ("timestamp", "created_at"),
    }),
    Kind("channel", "channels", {
        "id": ("channel_id", "id"), "name": ("name",), "topic": ("topic", "context"),
        "parent": ("parent_channel_id",), "created": ("created_at",), "archived": ("archived_at",),
    }, zones={"archived": Zone.FORM}),
    Kind("message", "messages", {
        "id": ("message_id", "id"), "channel": ("channel_id",), "agent": _AGENT,
        "content": ("content",), "priority": ("priority",), "created": ("created_at",),
    }),
    Kind("note", "notes", {
        "id": ("note_id", "id"), "channel": ("channel_id",), "agent": (*_AGENT, "author"),
        "content": ("content",), "created": ("created_at",),
    }),
    Kind("bookmark", "bookmarks", {
        "agent": (*_AGENT, "reader_id"), "channel": ("channel_id",),
        "seen": ("last_seen_id", "last_read_id"), "created": ("updated_at",),
    }),
    Kind("memory", "memories", {
        "id": ("memory_id", "uuid", "id"), "agent": _AGENT, "topic": ("topic",),
        "message": ("message",), "origin": ("source",), "core": ("core",),
        "note": ("synthesis_note",), "supersedes": ("supersedes",), "successor": ("superseded_by",),
        "witness": ("timestamp",), "created": ("created_at",), "archived": ("archived_at",),
    }, zones=_LOCAL),
    Kind("discovery", "knowledge", {
        "id": ("knowledge_id", "id"), "agent": (*_AGENT, "contributor"), "domain": ("domain",),
        "content": ("content",), "confidence": ("confidence",), "created": ("created_at",),
        "archived": ("archived_at",),
    }, zones={"archived": Zone.LOCAL}),
    Kind("agent", "agents", {
        "id": ("agent_id", "id"), "name": ("identity", "name"), "model": ("model",),
        "role": ("role",), "description": ("self_description",), "created": ("created_at",),
        "archived": ("archived_at",),
    }, zones=_LOCAL),
    Kind("spawn", "spawns", {
        "id": ("spawn_id", "id"), "agent": _AGENT, "parent": ("parent_spawn_id",),
        "session": ("session_id",), "channel": ("channel_id",), "status": ("status",),
        "created": ("created_at",), "ended": ("ended_at",),
    }, zones=_LOCAL),
    Kind("run", "tasks", {
        "id": ("uuid7", "task_id", "id"), "agent": _AGENT, "channel": ("channel_id", "channel"),
        "input": ("input",), "output": ("output",), "created": ("created_at",),
        "ended": ("completed_at",),
    }, needs=_RUN_MARKS, zones={"created": Zone.FORM, "ended": Zone.LOCAL}),
    Kind("task", "tasks", _TASK, needs=_LATE_TASK_MARKS, lacks=_RUN_MARKS, zones={
        "created": Zone.LOCAL, "started": Zone.LOCAL, "completed": Zone.LOCAL,
    }),
    Kind("task", "tasks", _TASK, lacks=(*_RUN_MARKS, *_LATE_TASK_MARKS)),
    Kind("link", "memory_links", {"id": ("memory_id",), "parent": ("parent_id",)}),
)  # fmt: skip
"""Memories kept UTC seconds where they have a `timestamp` beside, and local text later on."""


class Table(NamedTuple):
    """A table as it was found."""

    kind: str
    name: str
    columns: Mapping[str, tuple[str, ...]]
    """The columns that are there, of each role that has one."""
    zones: Mapping[str, Zone]
    borrowed: Mapping[str, str] = {}
    """SQL for roles that another table tells."""
    is_numbered: bool = False
    """Whether `rowid` is the number of a row."""

    def has(self, role: str) -> bool:
        """Whether rows tell that at all."""
        return role in self.columns

    def zone(self, role: str) -> Zone:
        """What text without a zone means there."""
        return self.zones.get(role, Zone.UTC)


_NEEDED = {
    "bookmark": ("agent", "channel", "seen"),
    "link": ("id", "parent"),
    "event": ("id", "type"),
    "channel": ("id", "name"),
    "agent": ("id", "name"),
    "message": ("id", "channel"),
    "note": ("id", "channel"),
}


def find_tables(
    tables: Mapping[str, tuple[str, ...]],
    indexed: Collection[tuple[str, str]] = (),
    numbered: Collection[str] = (),
) -> tuple[list[Table], list[str]]:
    """Tell what each table is, and which of those that we know lack columns that they need.

    `indexed` has the columns of tables that an index begins with, `numbered` the tables whose rows have numbers.
    """
    found: list[Table] = []
    problems: list[str] = []
    known = {name.lower(): columns for name, columns in tables.items()}
    counted = {name.lower() for name in numbered}
    for kind in KINDS:
        columns = {column.lower() for column in known.get(kind.table, ())}
        if not columns or columns.intersection(kind.lacks):
            continue
        if kind.needs and not columns.intersection(kind.needs):
            continue
        there = {
            role: present
            for role, names in kind.columns.items()
            if (present := tuple(name for name in names if name in columns))
        }
        missing = [role for role in _NEEDED.get(kind.name, ("id",)) if role not in there]
        if missing:
            wanted = " or ".join(kind.columns[missing[0]])
            problems.append(f"table {kind.table} has no column {wanted}")
        else:
            is_numbered = kind.table in counted and "rowid" not in columns
            found.append(Table(kind.name, kind.table, there, kind.zones, {}, is_numbered))
    return [_lend(table, found, indexed) for table in found], problems


def _lend(table: Table, others: list[Table], indexed: Collection[tuple[str, str]]) -> Table:
    """Let a table tell what others say of its rows."""
    if table.kind == "spawn" and table.has("parent") and table.has("agent"):
        # Without an index each row would be compared with all.
        is_led = (table.name, table.columns["id"][0]) in indexed
        return _lend_spawner(table) if is_led else table
    # A read position without a time of its own: not before the message that was read last.
    if table.kind != "bookmark" or table.has("created"):
        return table
    seen = f'r."{table.columns["seen"][0]}"'
    borrowed = {"time_id": seen}
    for other in others:
        if other.kind == "message" and other.has("created"):
            row_id, created = other.columns["id"][0], other.columns["created"][0]
            borrowed["created"] = (
                f'(SELECT m."{created}" FROM "{other.name}" AS m WHERE m."{row_id}" = {seen})'
            )
    return table._replace(borrowed=borrowed)


def _lend_spawner(table: Table) -> Table:
    """A spawn says whose it is; who spawned is whose the spawn above it is."""
    names = [f'p."{column}"' for column in table.columns["agent"]]
    agent = names[0] if len(names) == 1 else f"COALESCE({', '.join(names)})"
    row_id, above = table.columns["id"][0], table.columns["parent"][0]
    spawner = f'(SELECT {agent} FROM "{table.name}" AS p WHERE p."{row_id}" = r."{above}")'
    return table._replace(borrowed={"spawner": spawner})


def name_era(tables: list[Table], *, is_one: bool) -> str:
    """Say in words how old the form of the store is."""
    if is_one:
        return "one space.db"
    marks = {column for table in tables for names in table.columns.values() for column in names}
    if "sender" in marks:
        return "columns `identity` and `sender`"
    if marks & {"message_id", "event_id"}:
        return "columns named after their table"
    return "columns `agent_id` and `id`"
