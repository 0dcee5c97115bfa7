"""Look-ups: from questions to rows of the index. Each reads by an index, never the whole table.

Rows come by (time, seq), where `seq` is the order in which the index read the events. The
indexes by target and agent know the time in ticks only, so their rows are put in order within
each tick after reading.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from whence.event import OWN, Event
from whence.index.database import BrokenError
from whence.index.family import find_id, find_ids, stored_end
from whence.index.names import Kind, Names, read_kinds
from whence.index.rollups import (
    Summary,
    count_kinds,
    minute_of,
    minute_start,
    minutes_with,
    read_rollups,
    timed_kinds,
)
from whence.index.rows import (
    PLACE_COLUMNS,
    POINT_COLUMNS,
    ROW_COLUMNS,
    Page,
    Place,
    Point,
    Row,
)
from whence.index.schema import (
    HEX,
    ID,
    INT_MAX,
    INT_MIN,
    PARENT,
    PARENT_AND_ROOT,
    TICK,
    TRACE,
    join_id,
    prefix_span,
    tick,
)
from whence.index.windows import between, is_far
from whence.journal.reader import Reader
from whence.query import Query, StepQuery, matches

_RARE = 100
"""Kinds are rare if this many times their events are still fewer than all."""


# What turning the cells of a row into values may raise, if they are not what we stored.
_WRONG = (LookupError, TypeError, ValueError, AttributeError)


class Filter(NamedTuple):
    """A query as SQL: the time as the index that drives has it, the conditions, their values."""

    time: str
    where: str
    values: tuple[int | bytes | str, ...]


class Lookup:
    """Answers from one connection. Remembers names, so make another after a catch-up."""

    def __init__(self, db: sqlite3.Connection, reader: Reader) -> None:
        self._db = db
        self._reader = reader
        self._version = -1
        self._kinds: dict[int, Kind] = {}
        # The filter of the query last asked, so that its next page need not gather again.
        self._filters: dict[Query, Filter | None] = {}
        # How many events there are of each kind; None until somebody needs it.
        self._counts: dict[int, int] | None = None
        self._agents = Names(db, "agents")
        self._targets = Names(db, "targets")
        self._segments = Names(db, "segments")

    def refresh(self) -> None:
        """Notice what a catch-up, here or in another process, has added."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._kinds = read_kinds(self._db)
            self._filters.clear()
            self._counts = None

    def forget(self) -> None:
        """Have the next `refresh` read again, after a catch-up through this very connection."""
        self._version = -1

    def page(self, query: Query, page: Page) -> list[Row]:
        """The rows that match, or a page of them."""
        return self._as_rows(self._find(ROW_COLUMNS, query, page))

    def places(self, query: Query, page: Page) -> list[Place]:
        """As `page`, for those who want no more than to read the events."""
        return self._as_places(self._find(PLACE_COLUMNS, query, page))

    def points(self, query: Query, page: Page) -> list[Point]:
        """As `page`, for those who want to know which events there are."""
        return self._as_points(self._find(POINT_COLUMNS, query, page))

    def _find(self, columns: str, query: Query, page: Page) -> list[Any]:
        wanted = self.filter(query)
        if wanted is None:
            return []
        if wanted.time == "time" and not is_far(query) and self._is_rare(query):
            return self._find_rare(columns, query, page)
        return self._find_page(columns, wanted, page)

    def _find_page(self, columns: str, wanted: Filter, page: Page) -> list[Any]:
        newest_first, size, after = page
        where, values = wanted.where, list(wanted.values)
        if after is not None:
            sign = "<" if newest_first else ">"
            # The first term is what an index can use.
            where += f" AND {wanted.time} {sign}= ? AND (+time, seq) {sign} (?, ?)"
            values += [tick(after[0]) if wanted.time == TICK else after[0], *after]
        way = "DESC" if newest_first else "ASC"
        exact = ", ".join(f"{name} {way}" for name in dict.fromkeys((wanted.time, "time", "seq")))
        if wanted.time != TICK:
            return self._select(columns, where, values, exact, size)
        # Sorting here what comes by tick is quicker than to let SQLite sort each tick,
        found = self._select(columns, where, values, f"{TICK} {way}", size)
        try:
            found.sort(reverse=newest_first)
            if len(found) == size > 0:
                # but of the last tick it must say which belong to this page.
                last = tick(found[-1][0])
                found = [cells for cells in found if tick(cells[0]) != last]
                where, values = f"{where} AND {TICK} = ?", [*values, last]
                found += self._select(columns, where, values, exact, size - len(found))
        except _WRONG as error:
            raise _broken(error) from error
        return found

    def _select(
        self, columns: str, where: str, values: list[int | bytes | str], order: str, size: int
    ) -> list[Any]:
        return self._db.execute(
            f"SELECT {columns} FROM entries e WHERE {where} ORDER BY {order} LIMIT ?",
            (*values, size),
        ).fetchall()

    def _is_rare(self, query: Query) -> bool:
        """Whether so few events are of the kinds wanted that looking for them by time is slow."""
        kinds = self.kinds_of(query)
        if len(kinds) == len(self._kinds):
            return False
        if self._counts is None:
            self._counts = count_kinds(self._db)
        found = sum(self._counts.get(kind, 0) for kind in kinds)
        return found * _RARE < sum(self._counts.values())

    def _find_rare(self, columns: str, query: Query, page: Page) -> list[Any]:
        """As `_find_page`, reading only the minutes in which the roll-ups count such an event."""
        newest_first, size, after = page
        since = INT_MIN if query.since is None else query.since
        until = INT_MAX + 1 if query.until is None else query.until
        first = minute_of(since if after is None or newest_first else max(since, after[0]))
        last = minute_of(until if after is None or not newest_first else min(until, after[0]))
        minutes = minutes_with(
            self._db, self.kinds_of(query), first, last + 1, newest_first=newest_first
        )
        rows: list[Any] = []
        for minute in minutes:
            start = max(since, minute_start(minute))
            wanted = self._make_filter(between(query, start, min(until, minute_start(minute + 1))))
            if wanted is not None:
                rows += self._find_page(columns, wanted, page._replace(size=size - len(rows)))
            if len(rows) == size:
                break
        return rows

    def filter(self, query: Query) -> Filter | None:
        """Turn a query into SQL; None where nothing can match."""
        if query not in self._filters:
            self._filters.clear()
            self._filters[query] = self._make_filter(query)
        return self._filters[query]

    def _make_filter(self, query: Query) -> Filter | None:
        numbers = self._names_of(query)
        kinds = self._kinds_of(query)
        if numbers is None or kinds is None:
            return None
        target, agent = numbers
        terms, values = [kinds] if kinds else [], list[int | bytes | str]()
        if query.parent is not None or query.trace is not None:
            # A family is small beside the journal: gather it, then filter and sort it. The unary
            # plus, here and below, keeps SQLite from choosing another index.
            time, drive = "+time", ""
            for text, members in ((query.parent, self._children_of), (query.trace, self._trace_of)):
                if text is not None:
                    terms.append("e.seq IN (SELECT value FROM json_each(?))")
                    values.append(json.dumps(members(text)))
        elif target is not None:
            time, drive = TICK, "target"
        elif agent is not None:
            time, drive = TICK, "agent"
        else:
            time, drive = "time", "time"
        for column, number in (("target", target), ("agent", agent)):
            if number is not None:
                terms.append(f"{column if drive == column else '+' + column} = ?")
                values.append(number)
        last = None if query.until is None else query.until - 1
        for sign, bound in ((">=", query.since), ("<=", last)):
            if bound is None:
                continue
            bound = min(max(bound, INT_MIN), INT_MAX)
            terms.append(f"{'time' if drive == 'time' else '+time'} {sign} ?")
            values.append(bound)
            if time == TICK:
                terms.append(f"{TICK} {sign} ?")
                values.append(tick(bound))
        if isinstance(query, StepQuery):
            terms.append(self._step(query))
        if is_far(query):
            terms.append("e.seq NOT IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(self._outside(query)))
        return Filter(time, " AND ".join(terms) or "1", tuple(values))

    def _step(self, query: StepQuery) -> str:
        """The condition on steps; a kind without a status may have some that are none."""
        if query.slow is not None:
            return f"+duration >= {min(query.slow, INT_MAX)}"
        untold = [number for number, (_, _, status) in self._kinds.items() if status is None]
        return f"(+duration IS NOT NULL OR +kind NOT IN ({', '.join(map(str, untold))}))"

    def _outside(self, query: Query) -> list[int]:
        """Events outside the bounds of a query, of those at the ends of time: only lines know."""
        rows = self._rows(
            f"SELECT {ROW_COLUMNS} FROM entries e WHERE time IN (?, ?)", (INT_MIN, INT_MAX)
        )
        events = self._reader.read_many(((row.segment, row.offset) for row in rows), fill=False)
        within = Query(since=query.since, until=query.until, own=True)
        return [
            row.seq
            for row, event in zip(rows, events, strict=True)
            if isinstance(event, Event) and not matches(within, event)
        ]

    def _names_of(self, query: Query) -> tuple[int | None, int | None] | None:
        numbers: list[int | None] = []
        for name, table in ((query.target, "targets"), (query.agent, "agents")):
            number = None if name is None else self.number_of(table, name)
            if name is not None and number is None:
                return None
            numbers.append(number)
        return numbers[0], numbers[1]

    def number_of(self, table: str, name: str) -> int | None:
        """The number of a name; None if no event bears it."""
        found = self._db.execute(f"SELECT number FROM {table} WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def kinds_of(self, query: Query) -> list[int]:
        """The kinds that a query lets through."""
        timed = timed_kinds(self._db) if isinstance(query, StepQuery) else None
        return [
            number
            for number, (primitive, type_, status) in self._kinds.items()
            if (query.shows_own or primitive != OWN)
            and query.primitive in (None, primitive)
            and query.type in (None, type_)
            and query.status in (None, status)
            and (timed is None or status is not None or number in timed)
        ]

    def kind(self, number: int) -> Kind:
        """The primitive, type and status behind a number."""
        return self._kinds[number]

    def _kinds_of(self, query: Query) -> str | None:
        """The condition on kinds, empty where all will do; None where none can match."""
        kinds = self.kinds_of(query)
        if not kinds:
            return None
        if len(kinds) == len(self._kinds):
            return ""
        others = [number for number in self._kinds if number not in set(kinds)]
        if len(others) < len(kinds):
            return f"+kind NOT IN ({', '.join(map(str, others))})"
        return f"+kind IN ({', '.join(map(str, kinds))})"

    def _children_of(self, event_id: str) -> list[int]:
        roles = f"role IN ({PARENT}, {PARENT_AND_ROOT})"
        found = self._seqs(f"SELECT seq FROM missing WHERE id = ? AND {roles}", event_id)
        for seq in find_ids(self._db, event_id):
            found += self._seqs("SELECT seq FROM entries WHERE parent = ?", seq)
        return found

    def _trace_of(self, event_id: str) -> list[int]:
        """A root and its tree; of another event, itself and those that name it as their trace."""
        found = self._seqs("SELECT seq FROM missing WHERE id = ? AND role = ?", event_id, TRACE)
        for seq in find_ids(self._db, event_id):
            end = stored_end(self._db, seq)
            tree = self._seqs("SELECT seq FROM entries WHERE root = ?", end)
            if end != seq:
                # The tree moved on to a root further up, so only the lines know who named this one.
                rows = self.rows(tree)
                events = self._reader.read_many(
                    ((row.segment, row.offset) for row in rows), fill=False
                )
                tree = [
                    row.seq
                    for row, event in zip(rows, events, strict=True)
                    if isinstance(event, Event) and event.trace == event_id
                ]
            found += [seq, *tree]
        return found

    def _seqs(self, statement: str, *values: int | str | bytes) -> list[int]:
        return [seq for (seq,) in self._db.execute(statement, values)]

    def by_id(self, event_id: str) -> Row | None:
        """The event of that id."""
        seq = find_id(self._db, event_id)
        return None if seq is None else next(iter(self.rows([seq])), None)

    def by_prefix(self, text: str, limit: int) -> list[Row]:
        """Events whose id begins like that, oldest first."""
        span = prefix_span(text)
        rows: list[Row] = []
        if span is not None:
            same = f"AND substr({ID.format(e='e')}, 1, {len(text)}) = ?" if len(text) > 13 else ""
            rows = self._rows(
                f"SELECT {ROW_COLUMNS} FROM entries e WHERE time >= ? AND time <= ?"
                f" AND typeof(e.rest) = 'blob' {same} ORDER BY time, seq LIMIT ?",
                (*span, *([text] if same else []), limit),
            )
        # No byte of a text is as high as 255, so what begins like that ends before it.
        odd = self._seqs(
            "SELECT seq FROM odd_ids WHERE id >= ? AND id < CAST(? AS TEXT) ORDER BY id LIMIT ?",
            text, text.encode() + b"\xff", limit,
        )  # fmt: skip
        return sorted([*rows, *self.rows(odd)], key=_when)[:limit]

    def by_suffix(self, text: str, limit: int) -> list[Row]:
        """Events whose id ends like that, the latest read first. Reads the whole table."""
        digits = text.replace("-", "")
        tail = digits[-12:]
        blob = ""
        values: list[int | bytes | str] = []
        if tail and set(tail) <= HEX:
            # Compare whole bytes first: making the id's text for every row is ten times slower.
            whole = bytes.fromhex(tail[len(tail) % 2 :])
            if whole:
                blob = f"substr(e.rest, {-len(whole)}) = ? AND"
                values.append(whole)
            same = f"substr({ID.format(e='e')}, {-len(text)}) = ?"
            rows = self._rows(
                f"SELECT {ROW_COLUMNS} FROM entries e NOT INDEXED"
                f" WHERE typeof(e.rest) = 'blob' AND {blob} {same} ORDER BY seq DESC LIMIT ?",
                (*values, text, limit),
            )
        else:
            rows = []
        raw = text.encode()
        # As bytes: of a text, SQLite sees no more than what comes before a NUL.
        odd = self._seqs(
            "SELECT seq FROM odd_ids WHERE substr(CAST(id AS BLOB), ?) = ?"
            " ORDER BY seq DESC LIMIT ?",
            -len(raw), raw, limit,
        )  # fmt: skip
        found = [*rows, *self.rows(odd)]
        return sorted(found, key=lambda row: row.seq, reverse=True)[:limit]

    def rows(self, seqs: Iterable[int]) -> list[Row]:
        """The rows of these numbers by (time, seq); numbers that there are none of are left out."""
        return sorted(
            self._rows(
                f"SELECT {ROW_COLUMNS} FROM json_each(?) j CROSS JOIN entries e ON e.seq = j.value",
                (json.dumps(sorted(set(seqs))),),
            ),
            key=_when,
        )

    def places_of(self, seqs: Iterable[int]) -> list[Place]:
        """The places of these numbers, as `rows` has them."""
        found = self._db.execute(
            f"SELECT {PLACE_COLUMNS} FROM json_each(?) j CROSS JOIN entries e ON e.seq = j.value",
            (json.dumps(sorted(set(seqs))),),
        )
        return self._as_places(sorted(found))

    def points_of(self, seqs: Iterable[int]) -> list[Point]:
        """The points of these numbers, in no order; those that there are none of are left out."""
        given = (json.dumps(sorted(set(seqs))),)
        return self._as_points(self._db.execute(POINTS_OF, given).fetchall())

    def points_on(self, target: int, limit: int) -> list[Point]:
        """The newest `limit` events on the target of that number, newest first."""
        return self._as_points(self._db.execute(POINTS_ON, (target, limit)).fetchall())

    def effects(self, seqs: Iterable[int]) -> list[Point]:
        """What these events caused directly, what has several of them as causes several times."""
        given = {"seqs": json.dumps(list(seqs))}
        return self._as_points(self._db.execute(EFFECTS, given).fetchall())

    def children(self, seqs: Iterable[int]) -> list[Row]:
        """What these events caused directly, as parents or through links."""
        given = (json.dumps(sorted(set(seqs))),)
        found = {seq for (seq,) in self._db.execute(CHILDREN, given)}
        found.update(seq for _, seq in self._db.execute(LINKED, given))
        return self.rows(found)

    def descendants(self, seqs: Iterable[int], limit: int) -> list[Row]:
        """All that these events caused, directly or not, the nearest `limit` of them."""
        given = sorted(set(seqs))
        values = (json.dumps(given), len(given) + limit)
        found = [seq for (seq,) in self._db.execute(DESCENDANTS, values)]
        return self.rows(found[len(given) :])

    def ancestors(self, seq: int) -> list[Row]:
        """The chain of parents, nearest first; stops at a circle."""
        path = [seq for (seq,) in self._db.execute(ANCESTORS, (seq,))][1:]
        rows = {row.seq: row for row in self.rows(path)}
        return [rows[step] for step in path]

    def links(self, seqs: Iterable[int]) -> list[tuple[int, int]]:
        """Pairs (cause, effect) of the links that lead to or from these events."""
        given = (json.dumps(sorted(set(seqs))),)
        pairs = set(self._db.execute(LINKED, given))
        pairs.update(self._db.execute(LINKS_TO, given))
        return sorted(pairs)

    def missing_parents(self, seqs: Iterable[int]) -> dict[int, str]:
        """By event: the id of its parent, where no line holds that."""
        roles = f"role IN ({PARENT}, {PARENT_AND_ROOT})"
        return dict(
            self._db.execute(
                "SELECT m.seq, m.id FROM json_each(?) j CROSS JOIN missing m ON m.seq = j.value"
                f" WHERE {roles}",
                (json.dumps(sorted(set(seqs))),),
            ).fetchall()
        )

    def names(self, table: str) -> list[str]:
        """All names of a table, in order."""
        return [name for (name,) in self._db.execute(f"SELECT name FROM {table} ORDER BY name")]

    def problems(self) -> list[tuple[str, int, int, str]]:
        """What was lost, and fragments by place: segment, offset, length, problem."""
        fragments = self._db.execute(
            "SELECT s.name, f.offset, f.length, f.problem FROM fragments f"
            " JOIN segments s ON s.number = f.segment ORDER BY 1, 2"
        ).fetchall()
        return [*self.losses(), *fragments]

    def losses(self) -> list[tuple[str, int, int, str]]:
        """Segments that were read once and are gone or were cut: segment, offset, length, problem."""
        return [
            (name, 0, had, "segment is gone")
            if kept is None
            else (name, kept, had - kept, f"segment was cut: had {had:,} bytes, has {kept:,}")
            for name, had, kept in self._db.execute(
                # One that came back shorter is not gone any more, but cut.
                "SELECT g.name, g.size, coalesce(g.kept, s.consumed)"
                " FROM gone g LEFT JOIN segments s ON s.name = g.name ORDER BY 1"
            )
        ]

    def consumed(self) -> dict[str, int]:
        """By segment: how many bytes of it were read."""
        return dict(self._db.execute("SELECT name, consumed FROM segments").fetchall())

    def segments(self) -> list[tuple[str, int, int]]:
        """By segment: name, bytes read, events met there first."""
        return self._db.execute(
            "SELECT s.name, s.consumed, coalesce(e.size, 0) FROM segments s LEFT JOIN"
            " (SELECT segment, count(*) AS size FROM entries GROUP BY segment) e"
            " ON e.segment = s.number ORDER BY 1"
        ).fetchall()

    def writers(self) -> list[tuple[str, int | None, int, bool, int]]:
        """All writers: name, when opened, when last heard of, whether closed, events lost."""
        return [
            (name, opened, last, bool(closed), lost)
            for name, opened, last, closed, lost in self._db.execute(
                "SELECT name, opened, last, closed, lost FROM writers ORDER BY last, name"
            )
        ]

    def read(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
        """Run a statement of this package."""
        return self._db.execute(statement, values).fetchall()

    def rollups(self, query: Query, low: int, high: int) -> Summary:
        """The stored roll-ups of the minutes [low, high), for the kinds that a query lets through."""
        return read_rollups(self._db, self.kinds_of(query), low, high)

    def cells(self, wanted: Filter) -> Iterator[tuple[int, int | None]]:
        """Kind and duration of each entry that matches, in no order."""
        statement = f"SELECT kind, duration FROM entries e WHERE {wanted.where}"
        return iter(self._db.execute(statement, wanted.values))

    def _rows(self, statement: str, values: Iterable[int | bytes | str]) -> list[Row]:
        return self._as_rows(self._db.execute(statement, tuple(values)).fetchall())

    def _as_rows(self, found: list[Any]) -> list[Row]:
        try:
            return list(map(self._row, found))
        except _WRONG as error:
            raise _broken(error) from error

    def _row(self, cells: tuple[Any, ...]) -> Row:
        time, seq, rest, kind, agent, target, parent, root, duration, segment, offset = cells
        primitive, type_, status = self._kinds[kind]
        return Row(
            seq,
            time,
            primitive,
            type_,
            self._agents[agent],
            self._targets[target],
            parent,
            root,
            status,
            duration,
            self._segments[segment] or "",
            offset,
            join_id(time, rest),
        )

    def _as_points(self, found: list[Point]) -> list[Point]:
        for time, seq, kind, *_ in found:
            if type(time) is not int or type(seq) is not int or kind not in self._kinds:
                raise BrokenError("index holds an event that it cannot hold")
        return found

    def _as_places(self, found: list[Any]) -> list[Place]:
        names = self._segments
        try:
            return [
                Place(time, seq, names[segment] or "", offset, rest)
                for time, seq, segment, offset, rest in found
            ]
        except _WRONG as error:
            raise _broken(error) from error


# CROSS JOIN fixes the order of the tables: from the few events given to the many of the index.
# Without it, SQLite from 3.41 on reads all entries at each step.
CHILDREN = "SELECT e.seq FROM json_each(?) j CROSS JOIN entries e ON e.parent = j.value"
LINKED = "SELECT l.cause, l.seq FROM json_each(?) j CROSS JOIN links l ON l.cause = j.value"
LINKS_TO = "SELECT l.cause, l.seq FROM json_each(?) j CROSS JOIN links l ON l.seq = j.value"
EFFECTS = f"""
SELECT {POINT_COLUMNS} FROM json_each(:seqs) j CROSS JOIN entries e ON e.parent = j.value
UNION ALL SELECT {POINT_COLUMNS} FROM json_each(:seqs) j
  CROSS JOIN links l ON l.cause = j.value CROSS JOIN entries e ON e.seq = l.seq
"""
POINTS_OF = f"SELECT {POINT_COLUMNS} FROM json_each(?) j CROSS JOIN entries e ON e.seq = j.value"
POINTS_ON = (
    f"SELECT {POINT_COLUMNS} FROM entries e WHERE target = ?"
    f" ORDER BY {TICK} DESC, time DESC, seq DESC LIMIT ?"
)
DESCENDANTS = """
WITH RECURSIVE tree(seq) AS (
  SELECT value FROM json_each(?)
  UNION SELECT e.seq FROM tree CROSS JOIN entries e ON e.parent = tree.seq
  UNION SELECT l.seq FROM tree CROSS JOIN links l ON l.cause = tree.seq
  LIMIT ?)
SELECT seq FROM tree
"""
ANCESTORS = """
WITH RECURSIVE path(seq) AS (
  SELECT ?
  UNION SELECT e.parent FROM path CROSS JOIN entries e ON e.seq = path.seq
  WHERE e.parent IS NOT NULL)
SELECT seq FROM path
"""


def _broken(error: Exception) -> BrokenError:
    return BrokenError(f"index holds a row that it cannot hold: {error!r}")


def _when(row: Row) -> tuple[int, int]:
    return row.time, row.seq
