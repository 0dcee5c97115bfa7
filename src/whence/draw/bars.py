"""Numbers as strokes: sparklines, bars and the bars of a waterfall. Pure.

Each result is exactly as many cells wide as asked for. Something that is there is never drawn as
nothing: a small value still gets its thinnest stroke, a short span its one cell.
"""

import math
from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_LEVELS_ASCII = "_.-:=+*#"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def sparkline(
    values: Sequence[float | None],
    *,
    cells: int | None = None,
    low: float = 0.0,
    high: float | None = None,
    ascii: bool = False,  # noqa: A002 the option's one name
) -> str:
    """Draw one stroke a value between `low` and `high` (their largest); a gap where one is None.

    With fewer `cells` than values each stroke shows the largest of its share, so that a peak
    never vanishes.
    """
    known = [None if value is None or math.isnan(value) else value for value in values]
    if cells is not None and len(known) > cells:
        known = [_peak(known, cell, cells) for cell in range(cells)]
    top = high if high is not None else max((v for v in known if v is not None), default=low)
    levels = _LEVELS_ASCII if ascii else _LEVELS
    return "".join(" " if v is None else levels[_level(v, low, top, len(levels))] for v in known)


def bar(
    value: float,
    total: float,
    cells: int,
    *,
    ascii: bool = False,  # noqa: A002 the option's one name
) -> str:
    """Draw a share of `total` as a bar in `cells`, by eighths of a cell; it is full only at all."""
    steps = 1 if ascii else 8
    full = cells * steps
    filled = 0
    if value > 0 and total > 0:
        filled = (
            full if value >= total else min(max(1, full - 1), max(1, int(value / total * full)))
        )
    whole, part = divmod(filled, steps)
    text = ("#" if ascii else "█") * whole + (_EIGHTHS[part] if part else "")
    return text[:cells].ljust(cells)


def waterfall(
    start: int,
    end: int,
    total: int,
    cells: int,
    *,
    ascii: bool = False,  # noqa: A002 the option's one name
) -> str:
    """Draw where [start, end) lies within [0, total) as a bar in `cells`, at least one cell long.

    What lies outside is drawn at the edge it left over.
    """
    if cells < 1:
        return ""
    total = max(total, 1)
    first = min(max(start, 0) * cells // total, cells - 1)
    last = min(max(-(-end * cells // total), first + 1), cells)
    return " " * first + ("#" if ascii else "█") * (last - first) + " " * (cells - last)


def _peak(values: Sequence[float | None], cell: int, cells: int) -> float | None:
    share = values[cell * len(values) // cells : (cell + 1) * len(values) // cells]
    return max((value for value in share if value is not None), default=None)


def _level(value: float, low: float, high: float, levels: int) -> int:
    if value <= low or high <= low:
        return 0
    if value >= high:
        return levels - 1
    return min(levels - 1, int((value - low) / (high - low) * levels))
