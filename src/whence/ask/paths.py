"""From a graph of causes to a tree of them. Pure; nothing recurses, so a chain may be of any length.

As in seed 004's example, a task's creation and the claim that it caused are one node:
`ops task-sub1 (claimed by haiku-1)`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from whence.index import Row

SEEN, CYCLE = "seen above", "cycle"

Effects = dict[int, list[int]]
"""By event: what it caused, in the order of the tree."""

Node = TypeVar("Node")


class Visit(NamedTuple):
    """One step of a walk through the graph: an event at its place in the tree, below its `cause`.

    `more` counts the effects that limits left out, `hidden` all events that are missing for that.
    """

    seq: int
    depth: int
    note: str
    more: int
    cause: int | None = None
    hidden: int = 0


def tie(rows: Mapping[int, Row], pairs: Iterable[tuple[int, int]]) -> Effects:
    """Order pairs (cause, effect) of these rows: each cause's effects in order of time."""
    effects: Effects = {}
    known = ((cause, effect) for cause, effect in pairs if cause in rows and effect in rows)
    for cause, effect in sorted(known, key=lambda pair: when(rows[pair[1]])):
        effects.setdefault(cause, []).append(effect)
    return effects


def when(row: Row) -> tuple[int, int]:
    """The order of rows: by time, and at the same moment as the journal has them."""
    return row.time, row.seq


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
        effects[seq] = sorted(merged, key=lambda at: when(rows[at]))
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
    ordered = sorted((row for row in rows.values() if row.seq not in inside), key=when)
    roots = [row.seq for row in ordered if row.seq not in caused]
    reached = _reach(roots, effects, set())
    for row in ordered:
        if row.seq not in reached:
            roots.append(row.seq)
            _reach([row.seq], effects, reached)
    return sorted(roots, key=lambda seq: when(rows[seq]))


def _reach(roots: list[int], effects: Mapping[int, Sequence[int]], reached: set[int]) -> set[int]:
    """Add to `reached` these roots and all that comes of them."""
    waiting = [*roots]
    while waiting:
        seq = waiting.pop()
        if seq not in reached:
            reached.add(seq)
            waiting.extend(effects.get(seq, ()))
    return reached


def find_way(asked: Iterable[int], effects: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """The events that were asked about and all that led to them, each with its steps to the nearest asked."""
    causes: Effects = {}
    for cause, below in effects.items():
        for effect in below:
            causes.setdefault(effect, []).append(cause)
    way = dict.fromkeys(asked, 0)
    waiting = deque(way)
    while waiting:
        seq = waiting.popleft()
        for cause in causes.get(seq, ()):
            if cause not in way:
                way[cause] = way[seq] + 1
                waiting.append(cause)
    return way


def walk(
    roots: Sequence[int],
    effects: Mapping[int, Sequence[int]],
    *,
    way: Mapping[int, int] = {},
    depth: int | None = None,
    width: int | None = None,
) -> list[Visit]:
    """Go through the graph in the order of reading, entering each event once.

    Roots have depth 0 and are all visited. Below the events of the `way`, and below roots, `depth` levels of
    effects are visited, and of each event at most `width`, those nearest to what was asked before others; so
    whatever the limits something that was asked is visited. An event that is left out counts as hidden
    once: where it is missing first.
    """
    visits: list[Visit] = []
    met: set[int] = set()
    cut: list[tuple[int, list[int]]] = []
    path: dict[int, None] = {}
    stack = [(seq, 0, 0) for seq in reversed(roots)]
    while stack:
        seq, level, distance = stack.pop()
        while len(path) > level:
            path.popitem()
        cause = next(reversed(path), None)
        if seq in met:
            visits.append(Visit(seq, level, CYCLE if seq in path else SEEN, 0, cause))
            continue
        met.add(seq)
        below = effects.get(seq, ())
        is_deepest = depth is not None and distance >= depth
        kept = _choose([at for at in below if at in way] if is_deepest else below, way, width)
        if len(kept) < len(below):
            chosen = {*kept}
            cut.append((len(visits), [at for at in below if at not in chosen]))
        visits.append(Visit(seq, level, "", len(below) - len(kept), cause))
        path[seq] = None
        stack.extend((at, level + 1, 0 if at in way else distance + 1) for at in reversed(kept))
    for place, left_out in cut:
        before = len(met)
        _reach(left_out, effects, met)
        visits[place] = visits[place]._replace(hidden=len(met) - before)
    return visits


def _choose(below: Sequence[int], way: Mapping[int, int], width: int | None) -> Sequence[int]:
    """The first `width` of these effects, in their order; those of the way before others, one at least."""
    if width is None or len(below) <= width:
        return below
    # Nearest first: whatever circles there are, each step leads on to what was asked.
    first = sorted((at for at in below if at in way), key=way.__getitem__)[: max(width, 1)]
    others = [at for at in below if at not in way][: max(width - len(first), 0)]
    chosen = {*first, *others}
    return [at for at in below if at in chosen]


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
