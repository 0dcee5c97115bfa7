"""Causality: what led to something and what came of it, as a tree from the first causes down.

Causes are explicit: an event's parent, and the further causes that it links to; what a source implies
without saying so hangs dotted, with its reason. The tree holds the
paths from the first causes to what was asked for, and below that all its effects; what else came of
a cause on the way is another story. An event that is reached twice is told once and named
again where it comes up later; so circles end. A cause that no line holds is said at its effect.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from whence.ask.paths import Visit, assemble, find_roots, find_way, fold_claims, tie, walk
from whence.ask.phrases import View, claimed_label, node_label
from whence.ask.reading import read_events
from whence.ask.references import Subject
from whence.ask.stores import Stores
from whence.ask.timeline import subject_as_json
from whence.ask.web import Web, gather, tie_live
from whence.event import Event
from whence.index import Index, Row
from whence.query import event_as_json


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One event of the tree, and below it what it caused.

    `event` is None where its line cannot be read. `also` are events told in the same node. `note` is
    empty, `seen above`, `cycle`, or says which parent and links are missing, as `missing` does by id.
    `more` counts direct effects that the limits left out, `hidden` all events that are missing for that,
    each where it is missing first. `reason` says why it hangs where it does if
    nothing recorded says so: the column or sign of a source. `is_asked` marks what the question was about.
    """

    id: str
    event: Event | None
    text: str
    note: str = ""
    reason: str = ""
    missing: tuple[str, ...] = ()
    also: tuple[Event, ...] = ()
    more: int = 0
    hidden: int = 0
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
                    "hidden": node.hidden,
                    "is_asked": node.is_asked,
                    "missing": [*node.missing],
                    "reason": node.reason or None,
                }
            )
            path.append(len(listed) - 1)
        return {
            "subject": subject_as_json(self.subject),
            "nodes": listed,
            "is_complete": self.is_complete,
        }


def make_causality(
    stores: Stores,
    subject: Subject,
    *,
    depth: int | None,
    width: int | None,
    is_wide: bool = False,
) -> Causality:
    """Build the tree of causes and effects of `subject`.

    `depth` is how many levels of effects are told below what was asked, `width` how many effects of
    one event, those that lead to what was asked before others. With `is_wide` it also has what else came
    of the causes on the way, as many levels below each of them.
    """
    web, view = gather(stores.index, subject, is_wide=is_wide), View()
    if stores.sources is not None:
        from whence.ask.asked import Called
        from whence.ask.weaver import weave

        view = View(name_of=Called(stores.sources))
        weave(stores, stores.sources, web, subject, is_wide=is_wide)
    tie_live(web, stores.index)
    effects = tie(web.rows, {*web.solid, *web.dotted})
    also = fold_claims(web.rows, effects)
    roots = find_roots(web.rows, effects, also)
    creation_of = {claim: seq for seq, claim in also.items()}
    way = find_way({creation_of.get(seq, seq) for seq in web.asked}, effects)
    visits = walk(roots, effects, way=way, depth=depth, width=width)
    shown = {seq for visit in visits for seq in (visit.seq, also.get(visit.seq)) if seq is not None}
    events = _read(stores, web, shown)
    missing = _find_missing(stores.index, web, events)

    def make(visit: Visit, children: tuple[Node, ...]) -> Node:
        row, claim = web.rows[visit.seq], events.get(also.get(visit.seq, 0))
        event = events.get(visit.seq)
        lost = {} if visit.note else {**missing.get(visit.seq, {})}
        if not visit.note and visit.seq in also:
            lost.update(missing.get(also[visit.seq], {}))
        return Node(
            id=row.id, event=event, text=_text(row, event, claim, view),
            note=visit.note or ", ".join(f"missing {what} {id}" for id, what in lost.items()),
            reason=_reason(web, also, visit), missing=tuple(lost),
            also=(claim,) if claim is not None else (), more=visit.more, hidden=visit.hidden,
            is_asked=not web.asked.isdisjoint((visit.seq, also.get(visit.seq, visit.seq))),
            children=children,
        )  # fmt: skip

    return Causality(subject=subject, roots=assemble(visits, make), is_complete=web.is_complete)


def _read(stores: Stores, web: Web, shown: set[int]) -> dict[int, Event]:
    """The events of these numbers, as far as they can be read."""
    events: dict[int, Event] = {seq: web.told[seq] for seq in shown if seq in web.told}
    rows = [web.rows[seq] for seq in shown if seq not in web.told]
    events.update((row.seq, event) for row, event in read_events(stores.reader, rows, stores.note))
    return events


def _reason(web: Web, also: Mapping[int, int], visit: Visit) -> str:
    """Why an event hangs where it does, if only a source implies it."""
    if visit.cause is None:
        return ""
    ends = [(cause, effect) for cause in (visit.cause, also.get(visit.cause)) if cause is not None
            for effect in (visit.seq, also.get(visit.seq)) if effect is not None]  # fmt: skip
    if any(end in web.solid for end in ends):
        return ""
    return next((web.dotted[end] for end in ends if end in web.dotted), "")


def _text(row: Row, event: Event | None, claim: Event | None, view: View) -> str:
    if event is None:
        return f"{row.primitive} {row.type} (cannot be read)"
    return node_label(event, view) if claim is None else claimed_label(event, claim, view)


def _find_missing(
    index: Index | None, web: Web, events: Mapping[int, Event]
) -> dict[int, dict[str, str]]:
    """By event: the causes it names that are nowhere, each with what it is named as."""
    missing = {seq: {**lost} for seq, lost in web.missing.items() if seq in events}
    if index is None:
        return missing
    known = {row.id for row in web.rows.values()}
    for seq, parent in index.missing_parent(web.live()).items():
        missing.setdefault(seq, {})[parent] = "parent"
    for seq, event in events.items():
        if seq < 0:
            continue
        for link in dict.fromkeys(event.links):
            if link not in known and index.by_id(link) is None:
                missing.setdefault(seq, {}).setdefault(link, "link")
    return missing
