"""The tree of a trace, given line by line from the first cause down.

Found by parents alone: a step has one, so the tree needs no memory of what was told. Only the steps
between the root and the line that is told now are held, and few beside each.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, TypeVar

import msgspec

from whence.ask.phrases import shorten
from whence.ask.references import (
    CANDIDATES_MAX,
    LAST,
    LOOKED_AT_MAX,
    PART_MIN,
    describe_row,
)
from whence.ask.steps import Step, Teller
from whence.ask.stores import Stores
from whence.errors import NotFoundError
from whence.event import ID_BYTES_MAX, OWN
from whence.index import Index, Lookup, Row
from whence.index import spans as rows
from whence.index.spans import Extent, Knot
from whence.query import Query, StepQuery

_ABOVE_MAX = 20
"""So many steps between the root and the one asked about are told."""

_BATCH = 64
_COUNTED_MAX = 10_000

T = TypeVar("T")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a tree. Depth counts from 0; `is_last` among those below the same parent.

    Without a step it is a parent of which nothing is recorded, whose id is `missing`, or stands for
    `folded` others, with `is_more` at least that many. `orphan_of` is the parent that an event names
    which hangs here because that one is not recorded.
    """

    depth: int
    is_last: bool
    step: Step | None = None
    is_asked: bool = False
    missing: str | None = None
    orphan_of: str | None = None
    folded: int = 0
    failed: int = 0
    is_more: bool = False
    is_below: bool = False
    is_beside: bool = False


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The tree of a trace. `start` and `end` say from when to when its steps last.

    `count` and `errors` are of the whole trace; `nodes` reads it as one iterates.
    """

    id: str
    start: int
    end: int
    count: int
    errors: int
    nodes: Callable[[], Iterator[Node]]


def make_trace(stores: Stores, teller: Teller, reference: str, *, width: int, depth: int) -> Trace:
    """Tell the tree of the step that a reference means; see `Spans.trace`."""
    index = stores.need(reference)
    is_last = reference.strip() == LAST
    asked = _last(index, teller) if is_last else _find(index, reference.strip())
    walk = _Walk(index, stores, teller, asked, width, depth)
    if is_last and walk.root != asked:
        # Whoever wants the last trace wants all of it.
        walk = _Walk(index, stores, teller, walk.root, width, depth)
    extent = index.ask(lambda lookup: rows.measure_trace(lookup, walk.root), by_seq=True)
    first = next(iter(walk.tell([walk.root])), None)
    start, end = extent.start, extent.end
    count, errors = extent.size, extent.errors
    if first is not None:
        start = first.start if start is None else min(start, first.start)
        end = first.end if end is None else max(end, first.end or end)
        # What tells that the root is open is no part of the tree below it.
        count += 1
        errors += first.event.status == "error"
    start = start or 0
    return Trace(
        id=walk.root.id, start=start, end=max(start, end or start), count=count, errors=errors,
        nodes=walk.nodes,
    )  # fmt: skip


# -- which step is meant ---------------------------------------------------------------------------


def _last(index: Index, teller: Teller) -> Knot:
    """The step that began last, whether it ended or not."""
    found = [
        (row.time, Knot(row.seq, row.id))
        for row in index.find(StepQuery(), newest_first=True, limit=1)
    ]
    newest_open = list(islice(iter(index.ask(rows.unended)), 1))
    found += [(step.start, Knot(None, step.id)) for _, step in teller.read(newest_open)]
    if not found:
        raise NotFoundError("there is no last step: none is recorded")
    return max(found, key=itemgetter(0))[1]


def _find(index: Index, text: str) -> Knot:
    """The step of that id or unique part of one; NotFoundError says what else it may be."""
    if not text or len(text.encode()) > ID_BYTES_MAX:
        raise NotFoundError(f"no step has the id {shorten(text, 80)!r}")
    row = index.by_id(text)
    if row is not None:
        return _meant(index, row)
    if index.ask(lambda lookup: rows.find_unended(lookup, text, 1, is_part=False)):
        return Knot(None, text)
    if next(index.find(Query(trace=text), limit=1), None) is not None:
        return Knot(None, text)
    if next(index.find(Query(parent=text), limit=1), None) is not None:
        return Knot(None, text)
    found = _find_parts(index, text) if len(text) >= PART_MIN else {}
    if len(found) == 1:
        return next(iter(found))
    if found:
        several = f"{len(found)}" if len(found) < LOOKED_AT_MAX else f"{LOOKED_AT_MAX} or more"
        raise NotFoundError(
            f"{shorten(text, 80)!r} is ambiguous: {several} steps have ids like that",
            list(found.values())[:CANDIDATES_MAX],
            is_ambiguous=True,
            more=max(len(found) - CANDIDATES_MAX, 0),
        )
    raise NotFoundError(f"no step has an id like {shorten(text, 80)!r}")


def _find_parts(index: Index, text: str) -> dict[Knot, str]:
    """The steps whose id begins or ends like that, and which they are."""
    events = [*index.by_prefix(text, LOOKED_AT_MAX), *index.by_suffix(text, LOOKED_AT_MAX)]
    found = {
        _meant(index, row): describe_row(row)
        for row in [row for row in events if row.primitive != OWN] or events
    }
    unended = index.ask(lambda lookup: rows.find_unended(lookup, text, LOOKED_AT_MAX, is_part=True))
    for _, step_id in unended:
        found[Knot(None, step_id)] = f"{step_id} (unfinished)"
    return found


def _meant(index: Index, row: Row) -> Knot:
    """The event itself; of what tells that a step is open, that step."""
    if (row.primitive, row.type, row.status) != ("span", "open", None):
        return Knot(row.seq, row.id)
    links = index.ask(lambda lookup: rows.linked(lookup, row.seq), by_seq=True)
    return next((Knot(seq, step_id) for seq, step_id in links), Knot(row.seq, row.id))


# -- the tree ----------------------------------------------------------------------------------------


class _Walk:
    """Goes through a tree from the root down."""

    def __init__(
        self, index: Index, stores: Stores, teller: Teller, asked: Knot, width: int, depth: int
    ) -> None:
        self._index = index
        self._stores = stores
        self._teller = teller
        self._asked = asked
        self._width = width
        self._depth = depth
        self._above = index.ask(lambda lookup: _above(lookup, asked), by_seq=True)
        self.root = self._above[-1] if self._above else asked

    def tell(self, knots: list[Knot]) -> Iterator[Step]:
        """The steps of these places, those of which nothing is recorded left out."""
        for knot in knots:
            seqs = [knot.seq] if knot.seq is not None else self._openings(knot.id)
            yield from islice((step for _, step in self._teller.read(seqs)), 1)

    def _openings(self, step_id: str) -> list[int]:
        found = self._index.ask(lambda lookup: rows.find_unended(lookup, step_id, 1, is_part=False))
        return [seq for seq, _ in found]

    def nodes(self) -> Iterator[Node]:
        """Every line of the tree, parents first."""
        shown = self._above[:_ABOVE_MAX][::-1]
        hidden = len(self._above) - len(shown)
        if hidden:
            # The root is worth a line of its own.
            yield self._line(self.root, 0)
            if hidden > 1:
                yield from self._beside(self.root, 1, None)
                yield Node(depth=1, is_last=True, folded=hidden - 1)
        base = bool(hidden) + (hidden > 1)
        top = base + len(shown)
        above = None
        for depth, knot in enumerate([*shown, self._asked], start=base):
            line = self._line(knot, depth, is_asked=depth == top)
            if above is not None and line.missing is None:
                yield from self._beside(above, depth, line.step)
            yield line
            above = knot
        yield from self._below(top)

    def _line(self, knot: Knot, depth: int, *, is_asked: bool = False) -> Node:
        step = next(self.tell([knot]), None)
        missing = knot.id if step is None else None
        return Node(depth=depth, is_last=True, step=step, missing=missing, is_asked=is_asked)

    def _beside(self, above: Knot, depth: int, told: Step | None) -> Iterator[Node]:
        """Say how much hangs directly below a step beside the one that is told."""
        whole: Extent = self._index.ask(
            lambda lookup: rows.measure_children(lookup, above), by_seq=True
        )
        failed = whole.errors - (told is not None and told.event.status == "error")
        if whole.size > 1:
            yield Node(
                depth=depth, is_last=False, folded=whole.size - 1, failed=max(0, failed),
                is_beside=True,
            )  # fmt: skip

    def _below(self, top: int) -> Iterator[Node]:
        """All that hangs below the step asked about, which stands at depth `top`."""
        orphans: list[tuple[int, str]] = []
        if not self._above:
            orphans = self._index.ask(
                lambda lookup: rows.orphans(lookup, self.root, self._width), by_seq=True
            )
        levels = [self._level(self._asked, top + 1, orphans)]
        # Parents are one each, so only what is no event, or the step asked about, can come twice.
        entered = {self._asked.id}
        while levels:
            found = next(levels[-1], None)
            if found is None:
                levels.pop()
                continue
            node, knot = found
            if node.is_last:
                # Nothing comes after it, so a chain of any length takes one level.
                levels.pop()
            yield node
            if knot is None or knot.id in entered:
                continue
            if knot.seq is None:
                entered.add(knot.id)
            if node.depth - top >= self._depth:
                yield from self._fold(knot, node.depth + 1)
            else:
                levels.append(self._level(knot, node.depth + 1))

    def _fold(self, knot: Knot, depth: int) -> Iterator[Node]:
        """Say how much lies below a step that is not told."""
        count = self._index.ask(
            lambda lookup: rows.count_below(lookup, knot, _COUNTED_MAX), by_seq=True
        )
        if count:
            is_more = count >= _COUNTED_MAX
            yield Node(depth=depth, is_last=True, folded=count, is_more=is_more, is_below=True)

    def _level(
        self, knot: Knot, depth: int, orphans: Sequence[tuple[int, str]] = ()
    ) -> Iterator[tuple[Node, Knot | None]]:
        """What hangs directly below one step; with each its place, if anything may hang below it."""
        limit = self._width
        seqs = self._index.ask(lambda lookup: rows.children(lookup, knot, limit + 1), by_seq=True)
        has_more = len(seqs) > limit
        strangers = dict(orphans)
        given = chain(
            self._read(seqs[:limit]),
            [None] if has_more else [],
            self._read(list(strangers)),
        )
        failed = 0
        for found, is_last in _with_last(given):
            if found is None:
                yield self._rest(knot, depth, limit, failed, is_last), None
                continue
            seq, step, has_children = found
            failed += step.event.status == "error" and seq not in strangers
            node = Node(depth=depth, is_last=is_last, step=step, orphan_of=strangers.get(seq))
            place = Knot(None if step.going is not None else seq, step.id)
            yield node, place if has_children or step.going is not None else None

    def _rest(self, knot: Knot, depth: int, told: int, failed: int, is_last: bool) -> Node:
        whole: Extent = self._index.ask(
            lambda lookup: rows.measure_children(lookup, knot), by_seq=True
        )
        return Node(
            depth=depth, is_last=is_last, folded=max(1, whole.size - told),
            failed=max(0, whole.errors - failed),
        )  # fmt: skip

    def _read(self, seqs: list[int]) -> Iterator[tuple[int, Step, bool]]:
        """These events in the order in which they began, a few at a time, and which have others below."""
        waiting = iter(seqs)
        while batch := list(islice(waiting, _BATCH)):
            parents = self._index.ask(
                lambda lookup, batch=batch: rows.parents_among(lookup, batch),  # type: ignore[misc]
                by_seq=True,
            )
            found = sorted(self._teller.read(batch), key=lambda each: (each[1].start, each[0]))
            for seq, step in found:
                yield seq, step, seq in parents


def _above(lookup: Lookup, asked: Knot) -> list[Knot]:
    """What is above a step, the nearest first; ends at the root, and where a circle closes."""
    met, above, here = {asked.id}, list[Knot](), asked
    own = lookup.rows([asked.seq]) if asked.seq is not None else []
    while True:
        seqs = [here.seq] if here.seq is not None else []
        if not seqs:
            seqs = [seq for seq, _ in rows.find_unended(lookup, here.id, 1, is_part=False)]
        if not seqs:
            break
        ends = seqs[0]
        for row in lookup.ancestors(ends):
            if row.id in met:
                return above
            met.add(row.id)
            above.append(Knot(row.seq, row.id))
            ends = row.seq
        parent = lookup.missing_parents([ends]).get(ends)
        if parent is None or parent in met:
            return above
        met.add(parent)
        here = Knot(None, parent)
        above.append(here)
    # What is missing names no parent. The step may still know its root.
    for root in lookup.rows(row.root for row in own if row.root is not None):
        if root.id not in met:
            above.append(Knot(root.seq, root.id))
    return above


def _with_last(items: Iterator[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether it is the last."""
    nothing: Any = object()
    before = next(items, nothing)
    for item in items:
        yield before, False
        before = item
    if before is not nothing:
        yield before, True
