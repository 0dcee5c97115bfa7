"""`whence diff`: two runs beside each other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from whence.cli.formats import format_pretty
from whence.cli.options import Where, output_option, verb
from whence.cli.screen import Screen
from whence.draw.amounts import format_count

if TYPE_CHECKING:
    from whence.runs.compare import Comparison
    from whence.runs.differing import Differences

_PARTS = ("input", "environment", "steps", "output")


@verb(
    "whence diff 3f2a91c0 77b1e0aa",
    "whence diff 3f2a91c0 @last --json",
    "whence diff runs/a.json runs/b.json       two files, with or without a journal",
    "whence diff 3f2a 77b1 --tolerance 'output.**=1e-9'",
    short_help="Two runs: what went in, what they did, what came out.",
)
@click.option(
    "--tolerance", "tolerances", multiple=True, metavar="PATH=AMOUNT",
    help="How far numbers may be apart: output.overlays.*=1e-9, rel:1e-6, or any. Repeatable.",
)  # fmt: skip
@output_option("short", "json")
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
def command(where: Where, tolerances: tuple[str, ...], left: str, right: str, output: str) -> None:
    """Compare two runs: their inputs, their environments, their steps, their outputs.

    Each is named by its id, part of it, @last, or the path of a run file. Ends with exit code 1 if they differ.
    """
    from whence.runs.compare import parse_tolerance
    from whence.runs.differing import find_differences

    allowed = tuple(parse_tolerance(text) for text in tolerances)
    with where.open() as log:
        found = find_differences(log, left, right, allowed)
        where.screen.show(
            format_pretty(_keys(found)).splitlines()
            if output == "json"
            else _draw(found, where.screen)
        )
        where.remark(log)
    if not found.is_same:
        from whence.cli.app import exit_with
        from whence.cli.failures import FAILED

        exit_with(FAILED)


def _draw(found: "Differences", screen: Screen) -> Iterator[str]:
    yield from screen.lines(f"{found.left.id}  {_name(found.left)}")
    yield from screen.lines(f"{found.right.id}  {_name(found.right)}")
    yield ""
    if found.is_same:
        yield screen.paint("SAME: nothing differs.", "good")
    else:
        for name in _PARTS:
            if name not in found.unknown:
                yield from _draw_part(name, getattr(found, name), screen)
    if found.unknown:
        yield screen.paint(f"{' and '.join(found.unknown)}: not known of both", "faint")


def _name(side: Any) -> str:
    return (side.run.name or "") if side.run is not None else ""


def _draw_part(name: str, part: "Comparison", screen: Screen) -> Iterator[str]:
    """A part with a branch for each place where it differs."""
    from whence.runs.judging import say_sides

    tolerated = f", {part.tolerated:,} tolerated" if part.tolerated else ""
    if part.is_same:
        yield f"{name}: {screen.paint('the same', 'faint')}{tolerated}"
        return
    yield screen.paint(f"{name}: {format_count(part.count, 'difference')}{tolerated}", "title")
    branch, last = ("|- ", "`- ") if screen.ascii else ("├─ ", "└─ ")
    more = part.count - len(part.differences)
    told = [_say(name, *say_sides(each), screen) for each in part.differences]
    told += [f"{more:,} more"] if more else []
    for number, text in enumerate(told, start=1):
        is_last = number == len(told)
        for row, line in enumerate(screen.lines(text, indent=len(branch))):
            stroke = (
                (last if is_last else branch)
                if not row
                else ("   " if is_last else branch[0] + "  ")
            )
            yield screen.paint(stroke, "faint") + line


def _say(part: str, place: str, left: str | None, right: str | None, screen: Screen) -> str:
    arrow = "->" if screen.ascii else "→"
    inner = place.removeprefix(part).removeprefix(".") or place
    return f"{inner}: {left or 'not there'} {arrow} {right or 'not there'}"


def _keys(found: "Differences") -> dict[str, Any]:
    """Lay the differences out for a program. Keys are only ever added."""
    from whence.runs.compare import format_path

    def part(name: str) -> dict[str, Any]:
        told: Comparison = getattr(found, name)
        return {
            "count": told.count,
            "tolerated": told.tolerated,
            "differences": [
                {
                    "path": format_path(each.path), "kind": each.kind,
                    "left": each.left, "right": each.right,
                }
                for each in told.differences
            ],
        }  # fmt: skip

    return {
        "left": found.left.id,
        "right": found.right.id,
        "is_same": found.is_same,
        "unknown": list(found.unknown),
        **{name: part(name) for name in _PARTS},
    }
