"""The tables of the index, and how ids and times are packed into them.

The index is derived: whatever it holds can be made again from the journal. So a change here
needs no migration; a file with another schema is thrown away and built anew.

`entries` has a row of integers for each event: names are interned, and the payload stays in the
journal, at `offset` of `segment`. An id of our own making is kept as its last ten bytes, since its
first six are the milliseconds of `time`; any other id is kept whole, as text. The indexes by
target and by agent hold the time in ticks of 134 ms, in four bytes instead of eight.
"""

import re
import zlib

FILE_NAME = "index.sqlite"

TICK_BITS = 27
TICK_ZERO = 15_300_000_000
"""A tick near the start of 2035, so that those of 2026 to 2044 fit into four bytes."""

TICK = f"((time >> {TICK_BITS}) - {TICK_ZERO})"

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
HEX = frozenset("0123456789abcdef")
_UUID_DASHES = (8, 13, 18, 23)

# What `missing` says about an event: which of its references no line has answered yet.
PARENT, TRACE, LINK, PARENT_AND_ROOT = range(4)
"""`PARENT_AND_ROOT` is a parent through which, for want of a trace, the root is found too."""

ID = """CASE typeof({e}.rest) WHEN 'text' THEN {e}.rest ELSE printf(
  '%08x-%04x-%s-%s-%s', {e}.time / 1000000 >> 16, {e}.time / 1000000 & 65535,
  lower(substr(hex({e}.rest), 1, 4)), lower(substr(hex({e}.rest), 5, 4)),
  lower(substr(hex({e}.rest), 9))) END"""
"""The id of a row as SQL; `{e}` stands for the table's alias."""

_TABLES = """
CREATE TABLE state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE segments (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, consumed INTEGER NOT NULL,
  first_offset INTEGER, first_id TEXT);
CREATE TABLE gone (
  name TEXT PRIMARY KEY, size INTEGER NOT NULL, kept INTEGER) WITHOUT ROWID;
CREATE TABLE fragments (
  segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
  problem TEXT NOT NULL, PRIMARY KEY (segment, offset)) WITHOUT ROWID;
CREATE TABLE writers (
  name TEXT PRIMARY KEY, ranges TEXT NOT NULL, lost INTEGER NOT NULL, opened INTEGER,
  last INTEGER NOT NULL, closed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE kinds (
  number INTEGER PRIMARY KEY, primitive TEXT NOT NULL, type TEXT NOT NULL, status TEXT);
CREATE TABLE agents (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE targets (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, rest NOT NULL, kind INTEGER NOT NULL,
  agent INTEGER, target INTEGER, parent INTEGER, root INTEGER, duration INTEGER,
  segment INTEGER NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE odd_ids (id TEXT, seq INTEGER, PRIMARY KEY (id, seq)) WITHOUT ROWID;
CREATE TABLE links (cause INTEGER, seq INTEGER, PRIMARY KEY (cause, seq)) WITHOUT ROWID;
CREATE INDEX links_by_seq ON links (seq);
CREATE TABLE missing (
  id TEXT, role INTEGER, seq INTEGER, PRIMARY KEY (id, role, seq)) WITHOUT ROWID;
CREATE INDEX missing_by_seq ON missing (seq);
CREATE TABLE moved (seq INTEGER PRIMARY KEY);
CREATE TABLE rollups (
  kind INTEGER, level INTEGER, slot INTEGER, count INTEGER NOT NULL, durations BLOB,
  PRIMARY KEY (kind, level, slot)) WITHOUT ROWID;
"""


def _events_view(create: str, metadata: str) -> str:
    """The seed's schema over our tables: its columns, in its order, time in whole seconds."""
    return f"""
{create} events AS SELECT
  {ID.format(e="e")} AS id,
  e.time / 1000000000 - (e.time % 1000000000 < 0) AS timestamp,
  k.primitive AS primitive, k.type AS event_type,
  (SELECT name FROM agents WHERE number = e.agent) AS agent_id,
  (SELECT name FROM targets WHERE number = e.target) AS target_id,
  CASE WHEN e.parent IS NULL
    THEN (SELECT id FROM missing WHERE seq = e.seq AND role IN ({PARENT}, {PARENT_AND_ROOT}))
    ELSE (SELECT {ID.format(e="p")} FROM entries p WHERE p.seq = e.parent)
  END AS parent_event_id,
  {metadata} AS metadata
FROM entries e CROSS JOIN kinds k ON k.number = e.kind;
"""


LIVE_EVENTS_VIEW = _events_view("CREATE TEMP VIEW", "whence_payload(e.segment, e.offset)")
"""Hides the stored view for one connection, and reads payloads from the journal."""

# Made when the first load is done: sorting once is faster and packs better than inserting.
INDEXES = {
    "entries_by_time": "CREATE INDEX entries_by_time ON entries (time)",
    "entries_by_target": (
        f"CREATE INDEX entries_by_target ON entries (target, {TICK}) WHERE target IS NOT NULL"
    ),
    "entries_by_agent": (
        f"CREATE INDEX entries_by_agent ON entries (agent, {TICK}) WHERE agent IS NOT NULL"
    ),
    "entries_by_parent": (
        "CREATE INDEX entries_by_parent ON entries (parent) WHERE parent IS NOT NULL"
    ),
    "entries_by_root": "CREATE INDEX entries_by_root ON entries (root) WHERE root IS NOT NULL",
}

SCHEMA = _TABLES + _events_view("CREATE VIEW", "NULL")
"""What a new file is made with."""

VERSION = zlib.crc32("".join((SCHEMA, *INDEXES.values())).encode()) >> 1
"""Kept as `user_version`: any change of the schema makes another one."""

_OUR_ID = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})", re.ASCII
).fullmatch


def tick(time_ns: int) -> int:
    """The tick that a time falls into, as `TICK` computes it."""
    return (time_ns >> TICK_BITS) - TICK_ZERO


def split_id(event_id: str) -> tuple[int, bytes] | None:
    """The milliseconds and the ten bytes after them of a UUID; None for any other text."""
    found = _OUR_ID(event_id)
    if found is None:
        return None
    return int(found[1] + found[2], 16), bytes.fromhex(found[3] + found[4] + found[5])


def join_id(time_ns: int, rest: bytes | str) -> str:
    """The id of a row: undoes `split_id`, or gives the text itself."""
    if isinstance(rest, str):
        return rest
    ms = time_ns // 1_000_000
    tail = rest.hex()
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-{tail[:4]}-{tail[4:8]}-{tail[8:]}"


def prefix_span(text: str) -> tuple[int, int] | None:
    """The first and last time that ids of our form with this prefix can have; None if none can."""
    for at, letter in enumerate(text):
        if (letter == "-") != (at in _UUID_DASHES) or (letter != "-" and letter not in HEX):
            return None
    digits = text[:13].replace("-", "")
    if len(text) > 36:
        return None
    free = 4 * (12 - len(digits))
    low = int(digits or "0", 16) << free
    first, end = low * 1_000_000, (low + (1 << free)) * 1_000_000
    return (first, min(end - 1, INT_MAX)) if first <= INT_MAX else None
