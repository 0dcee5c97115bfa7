"""The tree of a trace in numbers: what hangs below a step, which steps never ended, how long it all took.

A step that did not end has no event of its id, only a `span.open` linked to it. Each answer reads
by an index and gives no more rows than were asked for, so that a trace may be of any size.
"""

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from whence.index.lookup import Lookup
from whence.index.rows import Place
from whence.index.schema import LINK, PARENT, PARENT_AND_ROOT, TRACE
from whence.query import Query, StepQuery


class Knot(NamedTuple):
    """A place in a tree: an event by its `seq`, or what no line holds by its `id`."""

    seq: int | None
    id: str


class Extent(NamedTuple):
    """How much a stretch of a tree holds, and from when to when its steps last; None where it has none."""

    size: int
    errors: int
    start: int | None = None
    end: int | None = None
    slowest: int | None = None


# CROSS JOIN fixes the order of the tables, as in `lookup`.
_PARENTS = f"({PARENT}, {PARENT_AND_ROOT})"
_BELOW_EVENT = "entries e WHERE e.parent = :seq"
_BELOW_MISSING = (
    "(SELECT DISTINCT seq FROM missing WHERE id = :id AND role IN {roles}) m"
    " CROSS JOIN entries e ON e.seq = m.seq WHERE 1"
)
_IN_TRACE = "entries e WHERE e.root = :seq"
_ALL_PARENTS = f"({PARENT}, {TRACE}, {PARENT_AND_ROOT})"
_ENDED = "EXISTS (SELECT 1 FROM links l WHERE l.seq = e.seq)"
_OPENED = Query(primitive="span", type="open")


def _kinds(lookup: Lookup) -> str:
    """The kinds of `span.open`, which say of a step that it is open, as a list for SQL."""
    return ", ".join(str(kind) for kind in lookup.kinds_of(_OPENED) if not lookup.kind(kind)[2])


def _shown(lookup: Lookup) -> str:
    """The condition that leaves out what is told again: that a step was open which has ended."""
    return f"NOT (e.kind IN ({_kinds(lookup)}) AND e.duration IS NULL AND {_ENDED})"


def _below(knot: Knot) -> str:
    return _BELOW_MISSING.format(roles=_PARENTS) if knot.seq is None else _BELOW_EVENT


def _members(root: Knot) -> str:
    return _BELOW_MISSING.format(roles=_ALL_PARENTS) if root.seq is None else _IN_TRACE


def children(lookup: Lookup, knot: Knot, limit: int) -> list[int]:
    """The first `limit` events directly below, in the order in which they began."""
    statement = (
        f"SELECT e.seq FROM {_below(knot)} AND {_shown(lookup)} ORDER BY e.time, e.seq LIMIT :limit"
    )
    return [seq for (seq,) in lookup.read(statement, {**knot._asdict(), "limit": limit})]


def measure_children(lookup: Lookup, knot: Knot) -> Extent:
    """How many events hang directly below, how many failed, the longest duration."""
    return _measure(lookup, _below(knot), knot)


def measure_trace(lookup: Lookup, root: Knot) -> Extent:
    """The same for all events of a trace but its root."""
    return _measure(lookup, _members(root), root)


def _measure(lookup: Lookup, stretch: str, knot: Knot) -> Extent:
    errors = ", ".join(map(str, lookup.kinds_of(StepQuery(status="error"))))
    ((count, failed, start, end, slowest),) = lookup.read(
        f"SELECT count(*), coalesce(sum(e.kind IN ({errors})), 0), min(e.time),"
        " max(CASE WHEN e.duration IS NOT NULL THEN e.time + e.duration END), max(e.duration)"
        f" FROM {stretch} AND {_shown(lookup)}",
        knot._asdict(),
    )
    return Extent(count, failed, start, None if end is None else int(end), slowest)


def count_below(lookup: Lookup, knot: Knot, limit: int) -> int:
    """How many events hang below at any depth, counted up to `limit`."""
    first = children(lookup, knot, limit)
    return min(limit, len(first) + len(lookup.descendants(first, limit))) if first else 0


def parents_among(lookup: Lookup, seqs: Collection[int]) -> set[int]:
    """Those of these events that others hang below."""
    statement = (
        "SELECT j.value FROM json_each(:seqs) j"
        " WHERE EXISTS (SELECT 1 FROM entries e WHERE e.parent = j.value)"
    )
    return {seq for (seq,) in lookup.read(statement, {"seqs": json.dumps(list(seqs))})}


def orphans(lookup: Lookup, root: Knot, limit: int) -> list[tuple[int, str]]:
    """Events of a trace whose parent is nowhere told, with its id; oldest first."""
    told = (
        f"SELECT o.id FROM missing o CROSS JOIN entries oe ON oe.seq = o.seq"
        f" WHERE o.role = {LINK} AND oe.kind IN ({_kinds(lookup)})"
    )
    statement = (
        f"SELECT f.seq, p.id FROM (SELECT e.seq AS seq, e.time AS time FROM {_members(root)}"
        f" AND e.parent IS NULL AND {_shown(lookup)}) f"
        f" CROSS JOIN missing p ON p.seq = f.seq AND p.role IN {_PARENTS}"
        f" WHERE p.id <> :id AND p.id NOT IN ({told}) ORDER BY f.time, f.seq LIMIT :limit"
    )
    found = lookup.read(statement, {**root._asdict(), "limit": limit})
    return [(seq, parent) for seq, parent in found]


def unended(lookup: Lookup) -> list[int]:
    """The events that tell of open steps which have not ended, newest first."""
    statement = (
        f"SELECT DISTINCT e.seq FROM missing o CROSS JOIN entries e ON e.seq = o.seq"
        f" WHERE o.role = {LINK} AND e.kind IN ({_kinds(lookup)}) ORDER BY e.time DESC, e.seq DESC"
    )
    return [seq for (seq,) in lookup.read(statement, {})]


def find_unended(lookup: Lookup, text: str, limit: int, *, is_part: bool) -> list[tuple[int, str]]:
    """The same for the open step of that id, or of an id that begins or ends like that, with the id."""
    same = "o.id = :text"
    if is_part:
        size = len(text)
        same = f"(substr(o.id, 1, {size}) = :text OR substr(o.id, -{size}) = :text)"
    statement = (
        f"SELECT e.seq, o.id FROM missing o CROSS JOIN entries e ON e.seq = o.seq WHERE {same}"
        f" AND o.role = {LINK} AND e.kind IN ({_kinds(lookup)}) ORDER BY o.id, e.seq LIMIT :limit"
    )
    return [(seq, found) for seq, found in lookup.read(statement, {"text": text, "limit": limit})]


def slowest(lookup: Lookup, query: StepQuery, limit: int) -> list[Place]:
    """The steps that took longest, the longest first."""
    wanted = lookup.filter(query)
    if wanted is None:
        return []
    found = lookup.read(
        f"SELECT e.seq FROM entries e WHERE {wanted.where} AND e.duration IS NOT NULL"
        " ORDER BY e.duration DESC, e.seq LIMIT ?",
        (*wanted.values, limit),
    )
    places = {place.seq: place for place in lookup.places_of(seq for (seq,) in found)}
    return [places[seq] for (seq,) in found if seq in places]


def durations(lookup: Lookup, query: StepQuery) -> Sequence[tuple[int, int | None]]:
    """Kind and duration of each step that matches, in no order."""
    wanted = lookup.filter(query)
    return [] if wanted is None else list(lookup.cells(wanted))


def linked(lookup: Lookup, seq: int) -> list[tuple[int | None, str]]:
    """What an event is linked to: events, or ids that no line holds."""
    found: list[tuple[int | None, str]] = [
        (row.seq, row.id)
        for row in lookup.rows(cause for cause, effect in lookup.links([seq]) if effect == seq)
    ]
    statement = f"SELECT id FROM missing WHERE seq = :seq AND role = {LINK}"
    return [*found, *((None, id_) for (id_,) in lookup.read(statement, {"seq": seq}))]
