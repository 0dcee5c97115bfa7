"""Trees of anything as lines of text. Pure, lazy, and safe for depths that would end recursion.

    bridge send payments
      └─> memory add_entry arch-notes
          ├─> ops create_task task-sub1
          │   └─> ops block_task task-sub1
          └─> ops create_task task-sub2

The graph may be anything: a node that was already drawn is named again with a mark and not
entered, so cycles end and every node is drawn once. What the limits leave out is counted at the
place where it is missing.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from whence.draw.cells import fit, printable, width

Node = TypeVar("Node", bound=Hashable)

_MARGIN = "  "
_AGAIN = " (see above)"
_LEVELS_DRAWN = 48
_LABEL_CELLS = 24


class Branches(msgspec.Struct, frozen=True, kw_only=True):
    """The strokes of a tree; `bar` and `blank` are one level of indentation, equally wide.

    The dotted ones stand for a tie that is implied.
    """

    tee: str
    elbow: str
    bar: str = "│   "
    blank: str = "    "
    tee_dotted: str = ""
    elbow_dotted: str = ""


CAUSES = Branches(tee="├─> ", elbow="└─> ", tee_dotted="├┄> ", elbow_dotted="└┄> ")
"""Arrows, for what led to what."""

SPANS = Branches(tee="├─", elbow="└─")
"""Strokes that touch the label, for what ran inside what."""

_ASCII_STROKES = str.maketrans({"│": "|", "├": "|", "└": "`", "─": "-", "┄": "."})


class _Folded(msgspec.Struct, frozen=True):
    """Stands among siblings for nodes that are not drawn."""

    size: int


def tree(
    roots: Iterable[Node],
    children: Callable[[Node], Iterable[Node]],
    label: Callable[[Node], str],
    *,
    branches: Branches = CAUSES,
    is_dotted: Callable[[Node], bool] = lambda _: False,
    max_depth: int | None = None,
    max_children: int | None = None,
    max_width: int | None = None,
    ascii: bool = False,  # noqa: A002 the option's one name
    paint: Callable[[Node, str], str] = lambda _, text: text,
) -> Iterator[str]:
    """Draw the roots and what hangs below them, one line a node, parents before children.

    Roots have depth 0. `max_width` is in cells. Labels may hold anything; they come out
    printable, and `paint` may add colour once they are cut. Below 48 levels, or where `max_width`
    would leave no room for a label, the levels on the left become a number: `…52 │   └─> label`.
    """
    ellipsis = "..." if ascii else "…"
    drawn: set[Node] = set()
    counted: set[Node] = set()
    # For each level on the way to the current node: what is still to be drawn there, last first.
    levels: list[list[Node | _Folded]] = [[*reversed(list(roots))]]
    while levels:
        if not levels[-1]:
            levels.pop()
            continue
        item = levels[-1].pop()
        dotted = not isinstance(item, _Folded) and is_dotted(item)
        strokes = draw_strokes(levels, branches, max_width, dotted=dotted)
        if ascii:
            strokes = in_ascii(strokes)
        if isinstance(item, _Folded):
            yield _line(strokes, f"{ellipsis} {item.size:,} more", "", max_width, ellipsis)
            continue
        again = _AGAIN if item in drawn else ""
        text = printable(label(item), ascii=ascii)
        yield _line(strokes, text, again, max_width, ellipsis, partial(paint, item))
        if again:
            continue
        drawn.add(item)
        below = list(children(item))
        kept = 0 if max_depth is not None and len(levels) > max_depth else max_children
        levels.append(_fold(below, kept, lambda nodes: _count(nodes, children, drawn, counted)))


def _fold(
    nodes: list[Node], kept: int | None, count: Callable[[list[Node]], int]
) -> list[Node | _Folded]:
    """List what to draw of some siblings, last first: at most `kept` of them, and the rest."""
    if kept is None or len(nodes) <= kept:
        return list(reversed(nodes))
    hidden = count(nodes[kept:])
    rest: list[Node | _Folded] = [_Folded(hidden)] if hidden else []
    return [*rest, *reversed(nodes[:kept])]


def _count(
    nodes: Iterable[Node],
    children: Callable[[Node], Iterable[Node]],
    drawn: set[Node],
    counted: set[Node],
) -> int:
    """Count these nodes and all below them that were neither drawn nor counted before."""
    size = len(counted)
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in drawn and node not in counted:
            counted.add(node)
            waiting.extend(children(node))
    return len(counted) - size


def draw_strokes(
    levels: Sequence[object],
    branches: Branches,
    max_width: int | None = None,
    *,
    dotted: bool = False,
) -> str:
    """Draw what stands left of a label, from what is left to draw at each level, true if anything is."""
    depth = len(levels) - 1
    if depth == 0:
        return ""
    room = _LEVELS_DRAWN
    if max_width is not None:
        cells = max_width - min(_LABEL_CELLS, max_width // 2) - len(_MARGIN)
        room = max(1, min(room, cells // len(branches.bar)))
    # The levels that do not fit become their number, in place of one that would have fitted.
    folded = 0 if depth <= room else depth - room + (room > 1)
    bars = (branches.bar if level else branches.blank for level in levels[folded + 1 : -1])
    fold = f"…{folded:,} " if folded else ""
    tee, elbow = branches.tee, branches.elbow
    if dotted:
        tee, elbow = branches.tee_dotted or tee, branches.elbow_dotted or elbow
    return _MARGIN + fold + "".join(bars) + (tee if levels[-1] else elbow)


def in_ascii(strokes: str) -> str:
    """The plain look of strokes."""
    return printable(strokes.translate(_ASCII_STROKES), ascii=True)


def _line(
    strokes: str,
    text: str,
    mark: str,
    max_width: int | None,
    ellipsis: str,
    paint: Callable[[str], str] = str,
) -> str:
    if max_width is None:
        return strokes + paint(text) + mark
    room = max_width - width(strokes) - width(mark)
    if room < 1:
        return fit(strokes + text + mark, max_width, ellipsis)
    return strokes + paint(fit(text, room, ellipsis)) + mark
