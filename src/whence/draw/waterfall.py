"""A tree of steps, each with a bar that shows when it ran. Pure, line by line.

    ████████████████████│ [alt] transition: L3→L2 → success (5ms)
     ████████           │   └─[foc] gate_check: WriteApprovalGate → allowed (2ms)
       ░░░░░░░░░░░░░░░░░│       └─[mem] write: altitude.session → unfinished

The bars stand on the left, where they are under each other however wide the labels are. One of dots is
of a step that never ended, a point of something that takes no time.
"""

from collections.abc import Callable

from whence.draw.bars import waterfall
from whence.draw.cells import fit, printable, width
from whence.draw.trees import SPANS, draw_strokes, in_ascii

_CELLS = 24
_CELLS_MAX = 40
_COLUMNS_MIN = 24


class Waterfall:
    """Draws the lines of one tree, which come parents first; each stands `since` and `until` the same."""

    def __init__(
        self,
        since: int,
        until: int,
        *,
        columns: int | None = None,
        ascii: bool = False,  # noqa: A002 the option's one name
    ) -> None:
        self._since = since
        self._until = until
        self._ascii = ascii
        self._columns = columns
        self._cells = _CELLS if columns is None else min(columns // 4, _CELLS_MAX)
        if columns is not None and columns < _COLUMNS_MIN:
            self._cells = 0
        # For each level down to the line drawn last: whether more comes there.
        self._goes_on: list[bool] = []

    def line(
        self,
        depth: int,
        label: str,
        *,
        is_last: bool,
        start: int | None = None,
        end: int | None = None,
        is_open: bool = False,
        paint: Callable[[str], str] = str,
    ) -> str:
        """Draw one line. Without `start` it has no bar, without `end` a point."""
        del self._goes_on[depth:]
        self._goes_on += [False] * (depth - len(self._goes_on))
        self._goes_on.append(not is_last)
        before = self._bar(start, end, is_open) + ("|" if self._ascii else "│") + " "
        if not self._cells:
            before = ""
        room = None if self._columns is None else max(1, self._columns - width(before))
        strokes = draw_strokes(self._goes_on, SPANS, room)
        text = printable(label, ascii=self._ascii)
        if self._ascii:
            strokes = in_ascii(strokes)
        if room is not None:
            ellipsis = "..." if self._ascii else "…"
            strokes = fit(strokes, room, ellipsis)
            text = fit(text, room - width(strokes), ellipsis)
        return before + strokes + paint(text)

    def _bar(self, start: int | None, end: int | None, is_open: bool) -> str:
        if start is None:
            return " " * self._cells
        total = self._until - self._since
        bar = waterfall(
            start - self._since, (start if end is None else end) - self._since, total, self._cells,
            ascii=self._ascii,
        )  # fmt: skip
        full = "#" if self._ascii else "█"
        if end is None:
            return bar.replace(full, "*" if self._ascii else "•")
        return bar.replace(full, "." if self._ascii else "░") if is_open else bar
