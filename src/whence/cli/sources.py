"""`whence sources`: which stores are asked besides the journal, and how well each is understood."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whence.cli.formats import dump, format_pretty
from whence.cli.options import Where, output_option, verb
from whence.cli.screen import Screen
from whence.cli.sourced import sources
from whence.draw.tables import Column, table
from whence.event import format_time

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from whence.sources.source import Health, RawRow, Source

_CONTENT_CELLS = 100
_SUGGEST = "suggest"
_WAYS = (
    "No sources are declared. Name one in whence.toml:",
    "",
    "  [[source]]",
    '  kind = "space-os"',
    '  path = ".space"',
    "",
    "Other kinds are sqlite, jsonl, git and claude-code. For one question:",
    "",
    "  whence --source space-os:.space",
    "",
    "What describes any SQLite database or JSONL file:",
    "",
    "  whence sources suggest FILE",
)


def _complete_action(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return [_SUGGEST] if _SUGGEST.startswith(incomplete) else []


def _complete_file(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


@verb(
    "whence sources                                 counts, newest event, rows not understood",
    "whence sources --source git:. --json",
    "whence sources --raw                           the rows that are not understood",
    "whence sources suggest shop.db >> whence.toml  propose a mapping from its schema",
    short_help="Other programs' stores that are asked too.",
)
@click.option("--raw", is_flag=True, help="Show the rows that are not understood.")
@sources
@output_option("short", "json")
@click.argument("action", required=False, metavar="[suggest FILE]", shell_complete=_complete_action)
@click.argument("file", required=False, metavar="", shell_complete=_complete_file)
def command(where: Where, action: str | None, file: str | None, raw: bool, output: str) -> None:
    """List the sources that questions are put to besides the journal.

    They are declared in whence.toml or given with --source, are read in place, and are never written.
    """
    if action is not None:
        if action != _SUGGEST or file is None:
            raise click.UsageError("want `whence sources` or `whence sources suggest FILE`")
        from whence.sources.suggest import suggest

        where.screen.show(suggest(Path(file)).splitlines())
        return
    with where.open() as log:
        found = list(log.sources)
        problems: list[str] = []
        if raw:
            where.screen.show(_draw_raw(found, where.screen, output, problems))
        else:
            looked = [(source, source.health()) for source in found]
            problems += [health.problem for _, health in looked if health.problem]
            where.screen.show(_draw(looked, where.screen, output))
    if where.strict and problems:
        from whence.cli.app import exit_with
        from whence.cli.failures import FAILED

        exit_with(FAILED)


def _draw(looked: "list[tuple[Source, Health]]", screen: Screen, output: str) -> Iterator[str]:
    if output == "json":
        yield from format_pretty([_as_json(*each) for each in looked]).splitlines()
        return
    if not looked:
        for line in _WAYS:
            # What is to be copied stays in one piece, for the terminal to break.
            yield from [line] if line.startswith(" ") else screen.lines(line)
        return
    columns = [
        Column(title="SOURCE", shrinks=False), Column(title="EVENTS", align="right"),
        Column(title="NEWEST"), Column(title="NOT UNDERSTOOD", align="right"),
        Column(title="STATE"),
    ]  # fmt: skip
    rows = [
        (
            source.name, f"{health.events:,}", _newest(health, screen),
            f"{health.not_understood:,}", health.problem or health.note or "fine",
        )
        for source, health in looked
    ]  # fmt: skip

    def paint(row: int, column: int, cell: str) -> str:
        if row < 0:
            return screen.paint(cell, "faint")
        is_bad = bool(looked[row][1].problem) and column == len(columns) - 1
        return screen.paint(cell, "warning" if is_bad else None)

    lines = table(rows, columns, width=screen.width, ascii=screen.ascii, paint=paint)
    yield from map(str.rstrip, lines)


def _newest(health: "Health", screen: Screen) -> str:
    return "–" if health.newest_ns is None else screen.time(health.newest_ns)


def _as_json(source: "Source", health: "Health") -> dict[str, Any]:
    return {
        "source": source.name,
        "kind": source.kind,
        "events": health.events,
        "newest": None if health.newest_ns is None else format_time(health.newest_ns),
        "not_understood": health.not_understood,
        "problem": health.problem or None,
        "note": health.note or None,
    }


def _draw_raw(
    found: "list[Source]", screen: Screen, output: str, problems: list[str]
) -> Iterator[str]:
    """Draw what is not understood; what cannot be read goes to `problems` too."""
    from whence.errors import CorruptError, StoreError

    for source in found:
        try:
            for row in source.raw():
                yield _raw_line(source, row, screen, output)
        except (StoreError, CorruptError) as error:
            problems.append(str(error))
            screen.warn(f"source {source.name}: {error}")


def _raw_line(source: "Source", row: "RawRow", screen: Screen, output: str) -> str:
    if output == "json":
        return dump({"source": source.name, **row._asdict()})
    content = row.content[:_CONTENT_CELLS]
    return screen.text(f"{source.name} {row.place}: {row.problem}: {content}")
