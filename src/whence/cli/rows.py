"""Events as lines: `2025-10-22 14:00:00 | ops       | created by zealot-1`.

The shape is that of the examples in which Whence was first described. Where the terminal limits
a line, the words go on below themselves, so that nothing is cut and columns stay columns; where
that leaves them no room, they stand on lines of their own.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from whence.ask.timeline import TimelineRow
from whence.cli.screen import Screen, failure_role
from whence.draw.cells import pad, width
from whence.event import Event

_PRIMITIVE_CELLS = len("knowledge")
_PRIMITIVE_CELLS_MAX = 16
_WORDS_MIN = 20
_INDENT = "  "
_LOOKED_AT = 256


def draw_rows(rows: Iterable[TimelineRow], screen: Screen) -> Iterator[str]:
    """Draw rows under each other; the first ones settle how wide the columns are."""
    rows = iter(rows)
    first = list(islice(rows, _LOOKED_AT))
    layout = Layout(screen, (row.event.primitive for row in first))
    for row in chain(first, rows):
        yield from layout.lines(row.event, row.text)


class Layout:
    """Lays out rows as they come; the column of primitives is as wide as the widest so far."""

    def __init__(self, screen: Screen, primitives: Iterable[str] = ()) -> None:
        self._screen = screen
        cells = [width(screen.text(name)) for name in primitives]
        self._cells = min(max([_PRIMITIVE_CELLS, *cells]), _PRIMITIVE_CELLS_MAX)

    def lines(self, event: Event, text: str) -> Iterator[str]:
        """Draw one row as one line, or as several where the terminal is narrow."""
        screen = self._screen
        moment = screen.time(event.time_ns)
        primitive = pad(screen.text(event.primitive), self._cells)
        self._cells = max(self._cells, min(width(primitive), _PRIMITIVE_CELLS_MAX))
        drawn = f"{screen.paint(moment, 'time')} | {screen.paint(primitive, 'primitive')} | "
        indent = width(f"{moment} | {primitive} | ")
        role = failure_role(event.status)
        words = text + _origin(event)
        if screen.width is None or screen.width - indent >= _WORDS_MIN:
            for number, line in enumerate(screen.lines(words, indent=indent)):
                yield (" " * indent if number else drawn) + screen.paint(line, role)
            return
        for line in screen.lines(f"{moment} | {event.primitive}"):
            yield screen.paint(line, "time")
        for line in screen.lines(words, indent=len(_INDENT)):
            yield _INDENT + screen.paint(line, role)


def _origin(event: Event) -> str:
    """Where an event of a source comes from, and what of it is not as the store recorded it."""
    source = getattr(event, "source", None)
    if source is None:
        return ""
    inferred, remark = getattr(event, "inferred", ()), getattr(event, "remark", None)
    remarks = [f"{', '.join(inferred)} inferred"] if inferred else []
    return f"  [{'; '.join([source, *remarks, *([remark] if remark else [])])}]"
