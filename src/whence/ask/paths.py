"""From a graph of causes to a tree of them. Pure; nothing recurses, so a chain may be of any length.

As in seed 004's example, a task's creation and the claim that it caused are one node:
`ops task-sub1 (claimed by haiku-1)`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from whence.index import Row

SEEN, CYCLE = "seen above", "cycle"

Effects = dict[int, list[int]]
"""By event: what it caused, in the order of the tree."""

Node = TypeVar("Node")


class Visit(NamedTuple):
    """One step of a walk through the graph: an event at its place in the tree, below its `cause`."""

    seq: int
    depth: int
    note: str
    more: int
    cause: int | None = None


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
        cause = next(reversed(path), None)
        if seq in met:
            visits.append(Visit(seq, level, CYCLE if seq in path else SEEN, 0, cause))
            continue
        met.add(seq)
        below = effects.get(seq, ())
        kept = below if width is None else below[:width]
        if depth is not None and level >= depth:
            kept = ()
        visits.append(Visit(seq, level, "", len(below) - len(kept), cause))
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
