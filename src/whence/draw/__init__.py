"""Values to text: cells, trees, tables, strokes, amounts and colours. Pure; nothing is printed.

Whatever was recorded is somebody else's text: it passes `printable` on its way to a terminal.
Every function draws with `ascii=True` for terminals and files that have nothing else.
"""

from whence.draw.amounts import format_ago, format_count, format_duration, format_size
from whence.draw.bars import bar, sparkline, waterfall
from whence.draw.cells import Align, fit, pad, printable, width
from whence.draw.styles import Role, Style, status_role
from whence.draw.tables import Column, Paint, column_widths, format_row, table
from whence.draw.trees import CAUSES, SPANS, Branches, tree

__all__ = [
    "CAUSES",
    "SPANS",
    "Align",
    "Branches",
    "Column",
    "Paint",
    "Role",
    "Style",
    "bar",
    "column_widths",
    "fit",
    "format_ago",
    "format_count",
    "format_duration",
    "format_row",
    "format_size",
    "pad",
    "printable",
    "sparkline",
    "status_role",
    "table",
    "tree",
    "waterfall",
    "width",
]
