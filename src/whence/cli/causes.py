"""Causes and effects in every format: a tree as lines, or JSON, Markdown, Mermaid, Graphviz."""

from collections.abc import Iterable, Iterator

import msgspec

from whence.ask.causality import Causality, Node
from whence.ask.timeline import subject_as_json
from whence.cli.formats import (
    Graph,
    dot_digraph,
    dump,
    format_document,
    format_event,
    markdown_list,
    mermaid_flowchart,
)
from whence.cli.options import Where
from whence.cli.screen import Screen, failure_role
from whence.draw.styles import Role
from whence.draw.trees import CAUSES, tree
from whence.errors import NotFoundError


class _More(msgspec.Struct, frozen=True, eq=False):
    """Stands in the tree for effects that were left out."""

    size: int


def show_causes(
    where: Where,
    reference: str,
    *,
    depth: int | None,
    width: int | None,
    output: str,
    is_wide: bool = False,
) -> None:
    """Answer `--causality` and, if `is_wide`, `why`: what led to `reference` and what came of it."""
    with where.look() as log:
        try:
            causality = log.causality(reference, depth=depth, width=width, is_wide=is_wide)
        except NotFoundError:
            # It may be in what could not be read.
            where.remark(log)
            raise
        where.screen.show(draw_causality(causality, where.screen, output=output))
        if not causality.is_complete:
            where.screen.note("there is more; --causality on one of these events shows it")
        where.remark(log)


def draw_causality(causality: Causality, screen: Screen, *, output: str) -> Iterator[str]:
    """Draw an answer line by line, causes before effects."""
    if output == "json":
        keys = {
            "subject": subject_as_json(causality.subject),
            "is_complete": causality.is_complete,
        }
        return format_document(keys, "events", _items(causality))
    if output == "jsonl":
        return (format_event(node.event) for node in _first_told(causality) if node.event)
    if output == "md":
        labels = ((depth, _label(node)) for depth, node in causality.nodes())
        return markdown_list(headline(causality), labels, ascii=screen.ascii)
    if output == "mermaid":
        return mermaid_flowchart(_graph(causality), ascii=screen.ascii)
    if output == "dot":
        return dot_digraph(headline(causality), _graph(causality), ascii=screen.ascii)
    return _draw_tree(causality, screen)


def headline(causality: Causality) -> str:
    """Say what the tree is about: `Causality chain for task-abc123`."""
    subject = causality.subject
    return f"Causality chain for {'#' if subject.is_channel else ''}{subject.name}"


def _draw_tree(causality: Causality, screen: Screen) -> Iterator[str]:
    for line in screen.lines(f"{headline(causality)}:"):
        yield screen.paint(line, "title")
    roots = frozenset(map(id, causality.roots))

    def children(node: Node | _More) -> Iterable[Node | _More]:
        if isinstance(node, _More):
            return ()
        return (*node.children, _More(node.hidden)) if node.hidden else node.children

    def label(node: Node | _More) -> str:
        if isinstance(node, _More):
            return f"… {node.size:,} more"
        return f"[root] {_label(node)}" if id(node) in roots else _label(node)

    tops: tuple[Node | _More, ...] = causality.roots
    yield from tree(
        tops, children, label, branches=CAUSES, is_dotted=_is_dotted, max_width=screen.width,
        ascii=screen.ascii, paint=lambda node, text: screen.paint(text, _role(node)),
    )  # fmt: skip


def _role(node: Node | _More) -> Role | None:
    if isinstance(node, _More) or node.note:
        return "faint"
    if node.is_asked:
        return "title"
    return failure_role(node.event.status) if node.event else None


def _is_dotted(node: Node | _More) -> bool:
    return isinstance(node, Node) and bool(node.reason)


def _label(node: Node) -> str:
    """What an event says, why it hangs here if nobody recorded that, and what is the matter with it."""
    remarks = [f"by {node.reason}"] if node.reason else []
    remarks += [node.note] if node.note else []
    return " ".join([_name(node), *(f"({remark})" for remark in remarks)])


def _name(node: Node) -> str:
    """What an event says, and which source tells it: two may have the same ids."""
    source = getattr(node.event, "source", None)
    return node.text if source is None else f"{node.text} [{source}]"


def _items(causality: Causality) -> Iterator[str]:
    """Every node as JSON; `cause` is the place in the list of the node above it."""
    path: list[int] = []
    for place, (depth, node) in enumerate(causality.nodes()):
        del path[depth:]
        more = {
            "text": node.text,
            "depth": depth,
            "cause": path[-1] if path else None,
            "note": node.note or None,
            "also": [event.id for event in node.also],
            "more": node.more,
            "hidden": node.hidden,
            "is_asked": node.is_asked,
            "missing": node.missing,
            "reason": node.reason or None,
        }
        yield format_event(node.event, **more) if node.event else dump({"id": node.id, **more})
        path.append(place)


def _first_told(causality: Causality) -> Iterator[Node]:
    met: set[str] = set()
    for _, node in causality.nodes():
        if _key(node) not in met:
            met.add(_key(node))
            yield node


def _graph(causality: Causality) -> Graph:
    """The tree as a graph in which an event that is named twice is one node.

    What is missing is a node, too: the cause of what names it.
    """
    places: dict[str, int] = {}
    labels: list[str] = []
    edges: list[tuple[int, int]] = []
    dotted: dict[tuple[int, int], str] = {}
    path: list[int] = []
    for depth, node in causality.nodes():
        del path[depth:]
        place = places.setdefault(_key(node), len(places))
        if place == len(labels):
            labels.append(_name(node))
        if path:
            edges.append((path[-1], place))
            if node.reason:
                dotted[path[-1], place] = node.reason
        path.append(place)
        for lost in node.missing:
            cause = places.setdefault(_key(node, lost), len(places))
            if cause == len(labels):
                labels.append(f"missing {lost}")
            edges.append((cause, place))
    return Graph(labels=labels, edges=edges, dotted=dotted)


def _key(node: Node, event_id: str | None = None) -> str:
    """What tells events apart, also those of two sources with the same id: this one or one that it names."""
    named = node.id if event_id is None else event_id
    source = getattr(node.event, "source", None)
    return named if source is None else f"{source}\0{named}"
