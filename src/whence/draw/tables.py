"""Tables: rows of text as lines whose columns stand under each other. Pure.

`table` lays out what is known as a whole. Where rows arrive one by one, settle `column_widths`
once and write each row with `format_row`, or with `format_block` where the columns do not `fit_in`.
Cells may hold anything; they come out printable.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import msgspec

from whence.draw.cells import Align, fit, pad, printable, width, wrap

Paint = Callable[[int, int, str], str]
"""Colours a finished cell: row (-1 is the header), column, text with its padding."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column. Only text shrinks, never below `width_min`: a number cut short would lie."""

    title: str = ""
    align: Align = "left"
    width_min: int = 8
    shrinks: bool | None = None
    """None: if it is aligned to the left."""


def table(
    rows: Sequence[Sequence[str]],
    columns: Sequence[Column],
    *,
    width: int | None = None,
    gap: str = "  ",
    header: bool = True,
    ascii: bool = False,  # noqa: A002 the option's one name
    paint: Paint | None = None,
) -> list[str]:
    """Lay out rows in columns, all lines equally wide.

    With a `width` the widest text columns give way until the lines fit; without one they are as
    wide as they need to be. Where nothing can shrink any more and there are titles, the columns
    of each row stand below each other instead.

    Raises:
        ValueError: a row has not as many cells as there are columns.
    """
    titles = [column.title for column in columns]
    all_rows = [titles, *rows] if header else list(rows)
    widths = column_widths(all_rows, columns, width=width, gap=gap, ascii=ascii)
    if header and width is not None and not fit_in(width, widths, gap=gap):
        return _blocks(rows, columns, width, ascii, paint)
    first = -1 if header else 0
    return [
        format_row(row, columns, widths, gap=gap, ascii=ascii, paint=paint, number=number)
        for number, row in enumerate(all_rows, start=first)
    ]


def column_widths(
    rows: Sequence[Sequence[str]],
    columns: Sequence[Column],
    *,
    width: int | None = None,
    gap: str = "  ",
    ascii: bool = False,  # noqa: A002 the option's one name
) -> list[int]:
    """Tell how many cells each column gets; titles are rows here like any other."""
    widths = [0] * len(columns)
    for row in rows:
        _check(row, columns)
        for place, text in enumerate(row):
            widths[place] = max(widths[place], _cells(printable(text, ascii=ascii)))
    if width is not None:
        gaps = _cells(gap) * (len(columns) - 1)
        return _shrink(widths, columns, width - gaps)
    return widths


def fit_in(width: int, widths: Sequence[int], *, gap: str = "  ") -> bool:
    """Tell whether columns of these widths have room beside each other."""
    return sum(widths) + _cells(gap) * (len(widths) - 1) <= width


def format_row(
    row: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    *,
    gap: str = "  ",
    ascii: bool = False,  # noqa: A002 the option's one name
    paint: Paint | None = None,
    number: int = 0,
) -> str:
    """Write one row into columns of these widths. `number` is what `paint` hears."""
    _check(row, columns)
    ellipsis = "..." if ascii else "…"
    cells = []
    for place, (text, column, room) in enumerate(zip(row, columns, widths, strict=True)):
        cell = pad(fit(printable(text, ascii=ascii), room, ellipsis), room, column.align)
        cells.append(paint(number, place, cell) if paint else cell)
    return gap.join(cells)


def format_block(
    row: Sequence[str],
    columns: Sequence[Column],
    *,
    width: int,
    gap: str = "  ",
    ascii: bool = False,  # noqa: A002 the option's one name
    paint: Paint | None = None,
    number: int = 0,
) -> Iterator[str]:
    """Write one row as lines of `title  value`, the value broken where it is too long."""
    _check(row, columns)
    titles = [printable(column.title, ascii=ascii) for column in columns]
    before = min(max(map(_cells, titles), default=0), width // 2)
    room = max(1, width - before - _cells(gap))
    for place, (title, text) in enumerate(zip(titles, row, strict=True)):
        name = pad(fit(title, before, "..." if ascii else "…"), before)
        for part, line in enumerate(wrap(printable(text, ascii=ascii), room)):
            shown = " " * before if part else paint(-1, place, name) if paint else name
            yield shown + gap + (paint(number, place, line) if paint else line)


def _blocks(
    rows: Sequence[Sequence[str]],
    columns: Sequence[Column],
    width: int,
    ascii: bool,  # noqa: A002 the option's one name
    paint: Paint | None,
) -> list[str]:
    lines: list[str] = []
    for number, row in enumerate(rows):
        lines += [""] if number else []
        lines += format_block(row, columns, width=width, ascii=ascii, paint=paint, number=number)
    return lines


def _shrink(widths: list[int], columns: Sequence[Column], room: int) -> list[int]:
    """Cut the widest text columns to one common level, the highest at which all fit."""

    def cut_to(level: int) -> list[int]:
        return [
            max(min(cells, level), min(cells, column.width_min)) if _can_shrink(column) else cells
            for cells, column in zip(widths, columns, strict=True)
        ]

    levels = range(max(widths, default=0) + 1)
    level = max(0, bisect_right(levels, room, key=lambda level: sum(cut_to(level))) - 1)
    cut, wider = cut_to(level), cut_to(level + 1)
    # What is left over is less than one cell for each of them.
    for place, cells in enumerate(wider):
        if sum(cut) < room:
            cut[place] = cells
    return cut


def _can_shrink(column: Column) -> bool:
    return column.align == "left" if column.shrinks is None else column.shrinks


def _check(row: Sequence[str], columns: Sequence[Column]) -> None:
    if len(row) != len(columns):
        raise ValueError(f"row has {len(row)} cells, want {len(columns)}")


_cells = width
"""`width` under a name that the option of the same name does not hide."""
