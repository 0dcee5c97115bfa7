"""Causality: what led to something and what came of it, as a tree from the first causes down.

Causes are explicit: an event's parent, and the further causes that it links to. The tree holds the
paths from the first causes to what was asked for, and below that all its effects; what else came of
a cause on the way is another story. An event that is reached twice is told once and named
again where it comes up later; so circles end. A cause that no line holds is said at its effect.

As in seed 004's example, a task's creation and the claim that it caused are one node:
`ops task-sub1 (claimed by haiku-1)`.

`find_roots`, `fold_claims`, `walk` and `assemble` are pure; none of them recurses, so a chain of causes may
be as long as it likes.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from whence.ask.phrases import claimed_label, node_label
from whence.ask.reading import Note, read_events
from whence.ask.references import Subject
from whence.ask.timeline import subject_as_json
from whence.event import Event
from whence.index import Index, Row
from whence.journal.reader import Reader
from whence.query import Query, event_as_json

EVENTS_MAX = 10_000
"""The most effects in one tree; of more, the nearest."""

STARTS_MAX = 1_000
"""The most events of one target, agent or trace that a tree starts from: the newest."""

SEEN, CYCLE = "seen above", "cycle"

Effects = dict[int, list[int]]
"""By event: what it caused, in the order of the tree."""


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One event of the tree, and below it what it caused.

    `event` is None where its line cannot be read. `also` are events told in the same node. `note` is
    empty, `seen above`, `cycle`, or says which parent and links are missing, as `missing` does by id.
    `more` counts direct effects that the limits left out. `is_asked` marks what the question was about.
    """

    id: str
    event: Event | None
    text: str
    note: str = ""
    missing: tuple[str, ...] = ()
    also: tuple[Event, ...] = ()
    more: int = 0
    is_asked: bool = False
    children: tuple["Node", ...] = ()

    def __repr__(self) -> str:
        return f"Node({self.id!r}, {self.text!r}, {len(self.children)} children)"


class Causality(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to "why?": the first causes, each with its effects.

    Unless `is_complete`, there are more events than the tree may hold, and `more` counts only some.
    """

    subject: Subject
    roots: tuple[Node, ...]
    is_complete: bool = True

    def nodes(self) -> Iterator[tuple[int, Node]]:
        """All nodes in the order of reading, causes before effects, each with its depth from 0."""
        stack = [(0, node) for node in reversed(self.roots)]
        while stack:
            depth, node = stack.pop()
            yield depth, node
            stack.extend((depth + 1, child) for child in reversed(node.children))

    def as_json(self) -> dict[str, Any]:
        """Lay the tree out for a program: a flat list in reading order. Keys are only added.

        A node's `cause` is the place in the list of the node above it.
        """
        listed: list[dict[str, Any]] = []
        path: list[int] = []
        for depth, node in self.nodes():
            del path[depth:]
            listed.append(
                {
                    **(event_as_json(node.event) if node.event is not None else {"id": node.id}),
                    "text": node.text,
                    "depth": depth,
                    "cause": path[-1] if path else None,
                    "note": node.note or None,
                    "also": [event.id for event in node.also],
                    "more": node.more,
                    "is_asked": node.is_asked,
                    "missing": [*node.missing],
                }
            )
            path.append(len(listed) - 1)
        return {
            "subject": subject_as_json(self.subject),
            "nodes": listed,
            "is_complete": self.is_complete,
        }


class Visit(NamedTuple):
    """One step of a walk through the graph: an event at its place in the tree."""

    seq: int
    depth: int
    note: str
    more: int


def make_causality(
    index: Index,
    reader: Reader,
    subject: Subject,
    *,
    depth: int | None,
    width: int | None,
    note: Note,
) -> Causality:
    """Build the tree of causes and effects of `subject`.

    `depth` is how many levels of effects are told below the first causes, `width` how many effects of
    one event.
    """
    starts = _find_starts(index, subject)
    effects_of_starts = index.descendants([row.seq for row in starts], EVENTS_MAX)
    rows = _climb(index, starts)
    asked = {row.seq for row in starts}
    rows.update((row.seq, row) for row in effects_of_starts)
    effects = _tie(rows, index.links(rows))
    also = fold_claims(rows, effects)
    missing_parent = index.missing_parent(rows)
    known = {row.id for row in rows.values()}
    roots = find_roots(rows, effects, also)
    visits = walk(roots, effects, depth=depth, width=width)
    shown = {visit.seq: rows[visit.seq] for visit in visits}
    told = {also[seq]: rows[also[seq]] for seq in shown if seq in also}
    events = {
        row.seq: event for row, event in read_events(reader, {**shown, **told}.values(), note)
    }

    def make(visit: Visit, children: tuple[Node, ...]) -> Node:
        seq = visit.seq
        event, claim = events.get(seq), events.get(also.get(seq, -1))
        missing: dict[str, str] = {}
        if not visit.note:
            if seq in missing_parent:
                missing[missing_parent[seq]] = "parent"
            for link in _missing_links(index, known, event, claim):
                missing.setdefault(link, "link")
        return Node(
            id=rows[seq].id, event=event, text=_text(rows[seq], event, claim),
            note=visit.note or ", ".join(f"missing {what} {id}" for id, what in missing.items()),
            missing=tuple(missing), also=(claim,) if claim is not None else (), more=visit.more,
            is_asked=seq in asked or also.get(seq) in asked, children=children,
        )  # fmt: skip

    return Causality(
        subject=subject,
        roots=assemble(visits, make),
        is_complete=len(starts) < STARTS_MAX and len(effects_of_starts) < EVENTS_MAX,
    )


def _text(row: Row, event: Event | None, claim: Event | None) -> str:
    if event is None:
        return f"{row.primitive} {row.type} (cannot be read)"
    return node_label(event) if claim is None else claimed_label(event, claim)


def _missing_links(index: Index, known: Collection[str], *told: Event | None) -> list[str]:
    """The links of these events that no line holds; those to `known` ones need no look."""
    links = dict.fromkeys(link for event in told if event is not None for link in event.links)
    return [link for link in links if link not in known and index.by_id(link) is None]


def _find_starts(index: Index, subject: Subject) -> list[Row]:
    """The events that the question is about, by time."""
    if subject.event is not None:
        return [subject.event]
    queries = {
        "target": [Query(target=subject.name, own=True)],
        "agent": [Query(agent=subject.name, own=True)],
        "both": [Query(target=subject.name, own=True), Query(agent=subject.name, own=True)],
        "trace": [Query(trace=subject.name, own=True)],
    }[subject.kind]
    found = {
        row.seq: row
        for query in queries
        for row in index.find(query, newest_first=True, limit=STARTS_MAX)
    }
    return sorted(found.values(), key=_when)


def _climb(index: Index, starts: Iterable[Row]) -> dict[int, Row]:
    """The starts and all that led to them, through parents and links."""
    known: dict[int, Row] = {}
    waiting = deque(starts)
    while waiting:
        row = waiting.popleft()
        if row.seq in known:
            continue
        known[row.seq] = row
        chain = [row]
        if row.parent is not None and row.parent not in known:
            chain += index.ancestors(row.seq)
            known.update((above.seq, above) for above in chain)
        among = {above.seq for above in chain}
        linked = {cause for cause, effect in index.links(among) if effect in among}
        waiting.extend(index.rows(linked - known.keys()))
    return known


def _tie(rows: Mapping[int, Row], links: Iterable[tuple[int, int]]) -> Effects:
    """Tie these events together by parents and links, effects in order of time."""
    pairs = {(row.parent, row.seq) for row in rows.values() if row.parent in rows}
    pairs.update((cause, effect) for cause, effect in links if cause in rows and effect in rows)
    effects: Effects = {}
    for cause, effect in sorted(pairs, key=lambda pair: _when(rows[pair[1]])):
        if cause is not None:
            effects.setdefault(cause, []).append(effect)
    return effects


def _when(row: Row) -> tuple[int, int]:
    return row.time, row.seq


# -- pure: from a graph to a tree ----------------------------------------------------------------


def fold_claims(rows: Mapping[int, Row], effects: Effects) -> dict[int, int]:
    """Fold the first claim of a task into its creation, where that caused it: creation → claim.

    The claim's effects become the creation's. Changes `effects`.
    """
    also: dict[int, int] = {}
    for seq, row in rows.items():
        if row.type != "create_task" or row.target is None:
            continue
        below = effects.get(seq, [])
        claim = next((at for at in below if _is_claim_of(rows[at], row)), None)
        if claim is None:
            continue
        also[seq] = claim
        below.remove(claim)
        merged = {*below, *effects.pop(claim, [])} - {seq}
        effects[seq] = sorted(merged, key=lambda at: _when(rows[at]))
    if also:
        creation_of = {claim: seq for seq, claim in also.items()}
        for cause, below in effects.items():
            named = dict.fromkeys(creation_of.get(at, at) for at in below)
            effects[cause] = [at for at in named if at != cause or at in below]
    return also


def _is_claim_of(claim: Row, create: Row) -> bool:
    return (
        claim.type == "claim_task"
        and claim.target == create.target
        and claim.parent == create.seq
        and claim.primitive == create.primitive
    )


def find_roots(
    rows: Mapping[int, Row], effects: Mapping[int, Sequence[int]], folded: Mapping[int, int]
) -> list[int]:
    """The events that nothing here caused, by time; of a circle that nothing leads to, its oldest."""
    inside = set(folded.values())
    caused = {effect for cause, below in effects.items() for effect in below if effect != cause}
    ordered = sorted((row for row in rows.values() if row.seq not in inside), key=_when)
    roots = [row.seq for row in ordered if row.seq not in caused]
    reached = _reach(roots, effects, set())
    for row in ordered:
        if row.seq not in reached:
            roots.append(row.seq)
            _reach([row.seq], effects, reached)
    return sorted(roots, key=lambda seq: _when(rows[seq]))


def _reach(roots: list[int], effects: Mapping[int, Sequence[int]], reached: set[int]) -> set[int]:
    """Add to `reached` all that comes of these roots."""
    waiting = [*roots]
    while waiting:
        seq = waiting.pop()
        if seq not in reached:
            reached.add(seq)
            waiting.extend(effects.get(seq, ()))
    return reached


def walk(
    roots: Sequence[int],
    effects: Mapping[int, Sequence[int]],
    *,
    depth: int | None = None,
    width: int | None = None,
) -> list[Visit]:
    """Go through the graph in the order of reading, entering each event once.

    Roots have depth 0 and are all visited. At `depth` effects are only counted, and of each event at
    most `width` are visited.
    """
    visits: list[Visit] = []
    met: set[int] = set()
    path: dict[int, None] = {}
    stack = [(seq, 0) for seq in reversed(roots)]
    while stack:
        seq, level = stack.pop()
        while len(path) > level:
            path.popitem()
        if seq in met:
            visits.append(Visit(seq, level, CYCLE if seq in path else SEEN, 0))
            continue
        met.add(seq)
        below = effects.get(seq, ())
        kept = below if width is None else below[:width]
        if depth is not None and level >= depth:
            kept = ()
        visits.append(Visit(seq, level, "", len(below) - len(kept)))
        path[seq] = None
        stack.extend((child, level + 1) for child in reversed(kept))
    return visits


def assemble(
    visits: Sequence[Visit], make: Callable[[Visit, tuple[Node, ...]], Node]
) -> tuple[Node, ...]:
    """Make a tree of nodes from a walk: the deepest first, so that each gets its children whole."""
    levels: list[list[Node]] = [[]]
    for visit in reversed(visits):
        while len(levels) <= visit.depth + 1:
            levels.append([])
        children = tuple(reversed(levels[visit.depth + 1]))
        levels[visit.depth + 1] = []
        levels[visit.depth].append(make(visit, children))
    return tuple(reversed(levels[0]))
