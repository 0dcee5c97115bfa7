"""What an audit notes down of many files, kept on disk so that memory does not grow with them.

A temporary SQLite database without a name, gone when it is closed. It also finds what only shows across
files, in one sorted pass each: never file against file.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from whence.runs.commitments import Save

_CACHE_KIB = 4 * 1024
_BATCH = 1_000
_INT_MAX = 2**63 - 1

_SCHEMA = """
CREATE TABLE files (file BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE runs (file BLOB PRIMARY KEY, id TEXT, sim TEXT, turn INTEGER) WITHOUT ROWID;
CREATE TABLE saves (
    event TEXT PRIMARY KEY, file BLOB, time TEXT, bytes INTEGER, salt TEXT, commitment TEXT
);
CREATE INDEX saves_by_file ON saves (file);
CREATE TABLE findings (rule TEXT, file BLOB, message TEXT, PRIMARY KEY (rule, file)) WITHOUT ROWID;
"""

_DUPLICATES = """
SELECT file, id, first FROM (
    SELECT file, id, first_value(file) OVER (PARTITION BY id ORDER BY file) AS first
    FROM runs WHERE id IS NOT NULL
) WHERE file <> first
"""

_TURNS = """
SELECT file, sim, turn, before, file_before FROM (
    SELECT file, sim, turn, lag(turn) OVER sorted AS before, lag(file) OVER sorted AS file_before
    FROM runs WHERE turn IS NOT NULL WINDOW sorted AS (PARTITION BY sim ORDER BY turn, file)
) WHERE before IS NOT NULL AND turn - before <> 1
"""

_ORPHANS = """
SELECT file, file IN (SELECT file FROM saves) FROM files
WHERE file NOT IN (SELECT file FROM saves WHERE commitment IS NOT NULL) ORDER BY file
"""
_MISSING = """
SELECT file, max(time) FROM saves WHERE file NOT IN (SELECT file FROM files) GROUP BY file ORDER BY file
"""


class TurnBreak(NamedTuple):
    """A turn that does not follow the one before it: one is missing, or both are the same."""

    file: str
    sim: str
    turn: int
    before: int
    file_before: str


class Ledger:
    """The notes of one audit. Close it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.executescript(_SCHEMA)
        # One long transaction, which nobody else waits for.
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Throw the notes away."""
        self._db.close()

    # -- noting ----------------------------------------------------------------------------------

    def add_files(self, names: Iterable[str]) -> None:
        """Note which files there are."""
        self._db.executemany(
            "INSERT OR IGNORE INTO files VALUES (?)", ((os.fsencode(name),) for name in names)
        )

    def add_saves(self, saves: Iterable[Save]) -> None:
        """Note what the journal says; what was noted already is not noted twice."""
        self._db.executemany(
            "INSERT OR IGNORE INTO saves VALUES (?, ?, ?, ?, ?, ?)",
            (
                (each.event, os.fsencode(each.file), each.time, each.bytes, each.salt, each.commit)
                for each in saves
            ),
        )  # fmt: skip

    def add_run(self, file: str, trace_id: object, sim: object, turn: object) -> None:
        """Note what has to fit together with other files."""
        known_id = _text(trace_id) if isinstance(trace_id, str) else None
        known_sim = _text(str(sim)) if isinstance(sim, str | int) else None
        is_turn = isinstance(turn, int) and not isinstance(turn, bool) and abs(turn) < _INT_MAX
        self._db.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)",
            (os.fsencode(file), known_id, known_sim, turn if is_turn and known_sim else None),
        )

    def add_finding(self, rule: str, file: str, message: str) -> None:
        """Note a finding; of one rule about one file there is but one, the first."""
        self._db.execute(
            "INSERT OR IGNORE INTO findings VALUES (?, ?, ?)",
            (rule, os.fsencode(file), _text(message)),
        )

    def drop_file(self, file: str) -> None:
        """Forget a file that is gone."""
        self._db.execute("DELETE FROM files WHERE file = ?", (os.fsencode(file),))

    def drop_finding(self, rule: str, file: str) -> None:
        """Take a finding back."""
        self._db.execute(
            "DELETE FROM findings WHERE rule = ? AND file = ?", (rule, os.fsencode(file))
        )

    # -- asking ----------------------------------------------------------------------------------

    def count_files(self) -> int:
        """How many files there are."""
        return int(self._db.execute("SELECT count(*) FROM files").fetchone()[0])

    def files(self) -> Iterator[str]:
        """Give the files by name; notes may be taken meanwhile."""
        last = b""
        while True:
            rows = self._db.execute(
                "SELECT file FROM files WHERE file > ? ORDER BY file LIMIT ?", (last, _BATCH)
            ).fetchall()
            yield from (os.fsdecode(name) for (name,) in rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1][0]

    def saves_of(self, file: str) -> list[Save]:
        """What the journal says of a file, oldest first."""
        rows = self._db.execute(
            "SELECT event, time, bytes, salt, commitment FROM saves WHERE file = ? ORDER BY rowid",
            (os.fsencode(file),),
        )
        return [
            Save(event=event, time=time, file=file, bytes=size, salt=salt, commit=commit)
            for event, time, size, salt, commit in rows
        ]

    def last_save(self) -> int:
        """A mark: what is noted of saves from here on is new."""
        return int(self._db.execute("SELECT coalesce(max(rowid), 0) FROM saves").fetchone()[0])

    def found_and_saved(self, rule: str, mark: int) -> list[str]:
        """Give the files with a finding of this rule that were saved again since the mark."""
        rows = self._db.execute(
            "SELECT DISTINCT file FROM saves JOIN findings USING (file)"
            " WHERE saves.rowid > ? AND rule = ?",
            (mark, rule),
        )
        return [os.fsdecode(file) for (file,) in rows]

    def duplicates(self) -> Iterator[tuple[str, str, str]]:
        """Give each file whose id another one has: the file, the id, the first that has it."""
        for file, trace_id, first in self._db.execute(_DUPLICATES):
            yield os.fsdecode(file), trace_id, os.fsdecode(first)

    def turn_breaks(self) -> Iterator[TurnBreak]:
        """Give the turns that do not follow the one before them."""
        for file, sim, turn, before, file_before in self._db.execute(_TURNS):
            yield TurnBreak(os.fsdecode(file), sim, turn, before, os.fsdecode(file_before))

    def orphans(self) -> Iterator[tuple[str, bool]]:
        """Give the files that nothing can be held against, and whether the journal knows them at all."""
        rows = self._db.execute(_ORPHANS)
        return ((os.fsdecode(file), bool(is_known)) for file, is_known in rows)

    def missing(self) -> Iterator[tuple[str, str]]:
        """Give the files that were saved and were not there, with the time of their last save."""
        return ((os.fsdecode(file), time) for file, time in self._db.execute(_MISSING))

    def findings(self, rule: str) -> Iterator[tuple[str, str]]:
        """Give what a rule found: file and message, by file."""
        rows: sqlite3.Cursor = self._db.execute(
            "SELECT file, message FROM findings WHERE rule = ? ORDER BY file", (rule,)
        )
        return ((os.fsdecode(file), message) for file, message in rows)

    def counts(self) -> dict[str, int]:
        """How many findings each rule has that has any."""
        rows: Iterable[tuple[str, Any]] = self._db.execute(
            "SELECT rule, count(*) FROM findings GROUP BY rule"
        )
        return {rule: int(count) for rule, count in rows}


def _text(text: str) -> str:
    """Text that SQLite can hold: half characters as escapes."""
    return text.encode(errors="backslashreplace").decode()
