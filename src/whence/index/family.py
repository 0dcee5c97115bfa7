"""Which event caused which, and which root each belongs to: from ids to places in the index.

An event names its parent, its trace (the root) and further causes by id. Most of them are among
the events just read, so a dictionary of recent ids answers; what it does not know is looked up
in the index, and what is not there yet waits in `missing`, to be tried again when new
events come: spans are written at their end, so children come before their parents.

The rule for roots: an event leads to the one that its trace names, or, where it names none, to its
parent; its root is where that path ends. The index always holds the end of the path, never a step
on it: when the end itself is found to lead on, all who had it as their root move with it.
"""

import sqlite3
from array import array
from collections import ChainMap, deque
from collections.abc import Callable, Sequence

from whence.index.schema import (
    ID,
    INT_MAX,
    LINK,
    PARENT,
    PARENT_AND_ROOT,
    TRACE,
    split_id,
)

_GENERATION_IDS = 40_000
_GENERATIONS = 6

Waiting = tuple[str, int, int]
"""A reference that is not answered: the id it names, its role, the event that makes it."""


class Family:
    """Answers references for one catch-up, whose events are numbered from `first` on.

    Events come in with `place`; `store` brings to the database what `place` could not answer
    within its batch. Until then the rows of that batch have to be in the database.
    """

    def __init__(self, db: sqlite3.Connection, first: int, *, has_indexes: bool) -> None:
        self._db = db
        self._first = first
        self._has_indexes = has_indexes
        # Recent ids: the latest few, which stay in the processor's cache, and older generations.
        # Looked up with None too, which is no one's id.
        self._young: dict[str | None, int] = {}
        self._older: deque[dict[str | None, int]] = deque(maxlen=_GENERATIONS)
        # For each event from `first` on, what it leads to; 0 for the end of a path.
        self._ways = array("I")
        # For each event from `first` on, whether others have it as their root.
        self._has_members = bytearray()
        self._waiting: list[Waiting] = []

    def place(
        self,
        first: int,
        ids: Sequence[str],
        parents: Sequence[str | None],
        traces: Sequence[str | None],
    ) -> tuple[list[int | None], list[int | None]]:
        """Take in a batch, numbered from `first` on; return its parents and its roots."""
        if len(self._young) > _GENERATION_IDS:
            self._older.appendleft(self._young)
            self._young = {}
        self._young.update(zip(ids, range(first, first + len(ids)), strict=True))
        found = list(map(self._young.get, parents))
        named = list(map(self._young.get, traces))
        for at, (parent, trace) in enumerate(zip(parents, traces, strict=True)):
            if parent is not None and found[at] is None:
                role = PARENT_AND_ROOT if trace is None else PARENT
                found[at] = self._recall(parent, role, first + at)
            if trace is not None and named[at] is None:
                named[at] = self._recall(trace, TRACE, first + at)
        ups = [
            up if trace is None else root
            for up, root, trace in zip(found, named, traces, strict=True)
        ]
        self._ways.extend(
            [0 if up is None or up == seq else up for seq, up in enumerate(ups, first)]
        )
        self._has_members.extend(bytes(len(ids)))
        return found, self._roots(first)

    def _recall(self, name: str, role: int, seq: int) -> int | None:
        """Look among the older ids; what is not there has to wait."""
        for ids in self._older:
            if name in ids:
                return ids[name]
        self._waiting.append((name, role, seq))
        return None

    def _roots(self, first: int) -> list[int | None]:
        """The ends of the paths from the events of a batch; None where that is itself."""
        ways, base, members = self._ways, self._first, self._has_members
        batch = ways[first - base :]
        for at, way in enumerate(batch):
            if way and (way < base or ways[way - base]):
                end = self._end(first + at)
                batch[at] = 0 if end == first + at else end
        for root in set(batch):
            if root >= base:
                members[root - base] = 1
        return [root or None for root in batch]

    def _end(self, seq: int) -> int:
        """Follow the path from `seq` to its end, and let all on it lead there directly."""
        ways, base = self._ways, self._first
        path: dict[int, None] = {}
        at = seq
        while at >= base and ways[at - base]:
            if at in path:
                # A circle of causes: the event where we met it counts as its end.
                ways[at - base] = 0
                path.pop(at)
                break
            path[at] = None
            at = ways[at - base]
        if at < base:
            at = stored_end(self._db, at)
        for step in path:
            if step != at:
                ways[step - base] = at
        return at

    def wait_for_links(self, seq: int, causes: tuple[str, ...]) -> None:
        """Note that an event names further causes."""
        self._waiting += [(cause, LINK, seq) for cause in dict.fromkeys(causes)]

    def store(self) -> None:
        """Answer what waits, as far as possible now; the rest goes to `missing`."""
        recent = ChainMap(self._young, *self._older)
        parents: list[tuple[int, int]] = []
        roots: list[tuple[int, int]] = []
        links: list[tuple[int, int]] = []
        moved: list[tuple[int]] = []
        missing: list[Waiting] = []
        for waiting in self._waiting:
            name, role, seq = waiting
            found = recent.get(name)
            if found is None and self._has_indexes:
                found = find_id(self._db, name)
            if found is None:
                missing.append(waiting)
                continue
            if role == LINK:
                links.append((found, seq))
                continue
            if role != TRACE:
                parents.append((found, seq))
            if role != PARENT:
                end = self._attach(seq, found)
                if end is not None:
                    roots.append((end, seq))
                    if self._has_members[seq - self._first]:
                        moved.append((seq,))
        write = self._db.executemany
        write("UPDATE entries SET parent = ? WHERE seq = ?", parents)
        write("UPDATE entries SET root = ? WHERE seq = ?", roots)
        write("INSERT OR IGNORE INTO links VALUES (?, ?)", links)
        write("INSERT OR IGNORE INTO moved VALUES (?)", moved)
        write("INSERT OR IGNORE INTO missing VALUES (?, ?, ?)", missing)
        self._waiting.clear()

    def _attach(self, seq: int, up: int) -> int | None:
        """Let `seq`, the end of its path until now, lead to `up`; return its root, if it has one."""
        base = self._first
        if self._ways[seq - base] or up == seq:
            return None
        end = self._end(up) if up >= base else stored_end(self._db, up)
        if end == seq:
            return None
        self._ways[seq - base] = end
        if end >= base:
            self._has_members[end - base] = 1
        return end


def find_id(db: sqlite3.Connection, event_id: str) -> int | None:
    """The first event of that id; None if no line holds it."""
    found = find_ids(db, event_id)
    return found[0] if found else None


def find_ids(db: sqlite3.Connection, event_id: str) -> list[int]:
    """All events of that id: more than one only if somebody gave it twice."""
    split = split_id(event_id)
    found: list[int] = []
    if split is not None and split[0] <= INT_MAX // 1_000_000:
        ours = "SELECT seq FROM entries WHERE time >= ? AND time <= ? AND rest = ?"
        start = split[0] * 1_000_000
        last = min(start + 999_999, INT_MAX)
        found = [seq for (seq,) in db.execute(ours, (start, last, split[1]))]
    found += [seq for (seq,) in db.execute("SELECT seq FROM odd_ids WHERE id = ?", (event_id,))]
    return sorted(found)


def stored_end(db: sqlite3.Connection, seq: int) -> int:
    """The end of the path from `seq`, by the stored roots."""
    return _follow(seq, lambda at: _stored_root(db, at))


def _stored_root(db: sqlite3.Connection, seq: int) -> int | None:
    found = db.execute("SELECT root FROM entries WHERE seq = ?", (seq,)).fetchone()
    return found[0] if found else None


def _follow(seq: int, root_of: Callable[[int], int | None]) -> int:
    met = {seq}
    while (root := root_of(seq)) is not None and root not in met:
        met.add(root)
        seq = root
    return seq


def settle(db: sqlite3.Connection, first: int) -> None:
    """Answer the references in `missing` that the events from `first` on make answerable.

    Needs the indexes. Takes time with the news or with what is missing, whichever is less.
    """
    news = db.execute("SELECT coalesce(max(seq), 0) + 1 - ? FROM entries", (first,)).fetchone()[0]
    probe = "SELECT count(*) FROM (SELECT 1 FROM missing LIMIT ?)"
    if db.execute(probe, (news + 1,)).fetchone()[0] > news:
        answered = _answers_among_news(db, first)
    else:
        rows = db.execute("SELECT id, role, seq FROM missing").fetchall()
        answered = [
            (name, role, seq, found)
            for name, role, seq in rows
            if (found := find_id(db, name)) is not None
        ]
    for name, role, seq, found in answered:
        _answer(db, name, role, seq, found)
    for (seq,) in db.execute("SELECT seq FROM moved").fetchall():
        _move_members(db, seq, stored_end(db, seq))
    db.execute("DELETE FROM moved")


def _answers_among_news(db: sqlite3.Connection, first: int) -> list[tuple[str, int, int, int]]:
    # CROSS JOIN keeps the order of the tables: each new event is looked up in `missing`.
    return db.execute(
        f"SELECT m.id, m.role, m.seq, e.seq FROM entries e CROSS JOIN missing m"
        f" ON m.id = {ID.format(e='e')} WHERE e.seq >= ? ORDER BY m.seq, m.role, e.seq",
        (first,),
    ).fetchall()


def _answer(db: sqlite3.Connection, name: str, role: int, seq: int, found: int) -> None:
    gone = db.execute(
        "DELETE FROM missing WHERE id = ? AND role = ? AND seq = ?", (name, role, seq)
    )
    if not gone.rowcount:
        # Two events bear the id, and the first of them was the answer.
        return
    if role == LINK:
        db.execute("INSERT OR IGNORE INTO links VALUES (?, ?)", (found, seq))
        return
    if role != TRACE:
        db.execute("UPDATE entries SET parent = ? WHERE seq = ?", (found, seq))
    if role != PARENT and found != seq and _stored_root(db, seq) is None:
        end = stored_end(db, found)
        if end != seq:
            db.execute("UPDATE entries SET root = ? WHERE seq = ?", (end, seq))
            _move_members(db, seq, end)


def _move_members(db: sqlite3.Connection, seq: int, end: int) -> None:
    if end != seq:
        db.execute("UPDATE entries SET root = ? WHERE root = ?", (end, seq))
