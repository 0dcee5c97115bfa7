"""`whence sql`: any question that reads, over the table `events` and the index behind it."""

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import click

from whence.cli.formats import dump, format_document
from whence.cli.options import Where, output_option, verb
from whence.cli.screen import Screen
from whence.cli.sourced import note_unasked
from whence.draw.tables import Column, Paint, column_widths, fit_in, format_block, format_row

_LOOKED_AT = 1_000
_CELLS_MAX = 200


@verb(
    'whence sql "select agent_id, count(*) from events group by 1"',
    "whence sql \"select metadata ->> 'reason' from events where event_type = 'block_task'\"",
    "whence sql -o csv \"select * from events where target_id = 'task-sub1'\"",
    "whence sql - < question.sql",
    short_help="Any question, as SQL.",
)
@output_option("table", "json", "jsonl", "csv")
@click.argument("statement")
def command(where: Where, statement: str, output: str) -> None:
    """Answer one SQL STATEMENT that reads; - takes it from standard input.

    The table events has the columns id, timestamp (seconds since 1970), primitive, event_type,
    agent_id, target_id, parent_event_id and metadata (the payload, as JSON). It also has the
    events of Whence's own housekeeping; where primitive <> 'whence' leaves them out.
    """
    if statement == "-":
        statement = sys.stdin.read()
    with where.look() as log:
        note_unasked(log, where.screen, "asked in SQL")
        names, rows = log.sql(statement)
        where.screen.show(_draw(names, rows, output, where.screen))
        where.remark(log)


def _draw(
    names: list[str], rows: Iterator[tuple[Any, ...]], output: str, screen: Screen
) -> Iterator[str]:
    if output == "table":
        return _draw_table(names, rows, screen)
    if output == "csv":
        return _draw_csv(names, rows, screen)
    if output == "jsonl":
        return (dump(dict(zip(names, map(_plain, row), strict=True))) for row in rows)
    return format_document(
        {"columns": names}, "rows", (dump(list(map(_plain, row))) for row in rows)
    )


def _draw_table(names: list[str], rows: Iterator[tuple[Any, ...]], screen: Screen) -> Iterator[str]:
    first = list(islice(rows, _LOOKED_AT))
    columns = [
        Column(title=name, align="right" if _all_numbers(first, place) else "left")
        for place, name in enumerate(names)
    ]
    cells = [[_cell(value) for value in row] for row in first]
    widths = column_widths([names, *cells], columns, width=screen.width, ascii=screen.ascii)

    all_cells = chain(cells, ([_cell(value) for value in row] for row in rows))

    def paint(number: int, _column: int, text: str) -> str:
        return screen.paint(text, "title" if number < 0 else None)

    if screen.width is not None and not fit_in(screen.width, widths):
        for number, row in enumerate(all_cells):
            yield from [""] if number else []
            block = format_block(row, columns, width=screen.width, ascii=screen.ascii, paint=paint)
            yield from map(str.rstrip, block)
        return
    yield _line(names, columns, widths, screen, paint, -1)
    for row in all_cells:
        yield _line(row, columns, widths, screen, paint, 0)


def _line(
    cells: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    screen: Screen,
    paint: Paint,
    number: int,
) -> str:
    return format_row(
        cells, columns, widths, ascii=screen.ascii, paint=paint, number=number
    ).rstrip()


def _all_numbers(rows: list[tuple[Any, ...]], place: int) -> bool:
    values = [row[place] for row in rows if row[place] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _cell(value: Any) -> str:
    return "" if value is None else str(_plain(value))[:_CELLS_MAX]


def _plain(value: Any) -> Any:
    """What no text format can carry in another form: bytes in hexadecimal, infinities as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.hex() if isinstance(value, bytes) else value


def _draw_csv(names: list[str], rows: Iterator[tuple[Any, ...]], screen: Screen) -> Iterator[str]:
    """Lay rows out as RFC 4180 has them: exact in a file or pipe, harmless on a terminal."""
    import csv
    import io

    for row in chain([names], rows):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(map(_plain, row))
        text = line.getvalue()
        yield text if screen.width is None else screen.text(text)
