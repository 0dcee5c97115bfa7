"""`whence stats`: how often the steps of each layer happened, how long they took, which were slowest."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import click

from whence.ask.phrases import shorten
from whence.ask.steps import Step, say_step
from whence.cli.formats import dump, format_event, format_pretty, window_keys
from whence.cli.options import Where, number_of, output_option, verb
from whence.cli.screen import Screen
from whence.cli.sourced import note_unasked
from whence.cli.steps import StepFilters, step_filters
from whence.draw.amounts import format_count, format_duration
from whence.draw.bars import bar
from whence.draw.cells import pad, width
from whence.draw.styles import Role

if TYPE_CHECKING:
    from whence.ask.layers import Layer, Layers
    from whence.query import StepQuery

LAST = 1000
_EVERY_S = 2.0
_BAR_CELLS = 40
_SLOWEST = 5
_CLEAR = "\x1b[H\x1b[2J"


@verb(
    "whence stats                                the last 1,000 steps, by layer",
    "whence stats -S 'today' --hrm memory        all of today, one layer",
    "whence stats --operation transition         a histogram of one operation",
    "whence stats --watch                        again every two seconds",
    short_help="How long the steps of each layer take, and which fail.",
)
@step_filters
@number_of("-n", "--number", "--last", help="The newest N steps.  [default: 1000, or all of -S/-U]")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@output_option("short", "json")
def command(
    where: Where, filters: StepFilters, number: int | None, watch: bool, output: str
) -> None:
    """Show for each layer how many steps there were, how long they took, how many failed.

    With --operation also how its durations are spread.
    """
    if filters.only_open:
        raise click.UsageError(
            "--status open: what never ended has no duration; whence spans has it"
        )
    screen = where.screen
    with where.open_journal() as log:
        note_unasked(log, screen, "asked for steps")
        for rounds in count():
            # A window such as the last five minutes goes along.
            query = filters.query(log, screen, is_quiet=rounds > 0)
            has_window = query.since is not None or query.until is not None
            last = number if number is not None or has_window else LAST
            by_operation = filters.operation is not None
            found = log.spans().layers(
                query, last=last, slowest=_SLOWEST, by_operation=by_operation
            )
            lines: Iterable[str] = (
                _format(found, query, last, is_short=watch)
                if output == "json"
                else _draw(found, last, screen)
            )
            if not watch:
                screen.show(lines)
                where.remark(log)
                return
            text = "\n".join(lines)
            is_drawn = output != "json" and sys.stdout is not None and sys.stdout.isatty()
            screen.show_now(f"{_CLEAR}{text}" if is_drawn else text)
            time.sleep(_EVERY_S)


# -- for people ------------------------------------------------------------------------------------


def _draw(found: "Layers", last: int | None, screen: Screen) -> Iterator[str]:
    size = f"{found.count} event{'' if found.count == 1 else 's'}"
    size = size if last is None else f"last {size}"
    what = (
        "HRM Operation Stats" if found.layers and found.layers[0].operation else "HRM Layer Stats"
    )
    for line in screen.lines(f"{what} ({size}):"):
        yield screen.paint(line, "title")
    for layer in found.layers:
        role: Role | None = "bad" if layer.errors else "warning" if layer.blocked else None
        for number, line in enumerate(screen.lines(_say_layer(layer, screen.ascii), indent=2)):
            yield ("  " if number else "- ") + screen.paint(line, role)
    if not found.layers:
        yield "no steps found"
    for layer in found.layers:
        if layer.histogram:
            yield ""
            yield from _draw_histogram(layer, screen)
    if found.slowest:
        yield ""
        yield screen.paint("Slowest operations:", "title")
        for number, step in enumerate(found.slowest, start=1):
            head = f"{number}. "
            lines = screen.lines(_say_slow(step, screen.ascii), indent=len(head))
            for part, line in enumerate(lines):
                yield (" " * len(head) if part else head) + line
    if not found.is_exact:
        yield ""
        yield screen.paint("p50, p95 and p99 are from summaries, within one per cent", "faint")


def _say_layer(layer: "Layer", ascii: bool) -> str:  # noqa: A002 the option's one name
    """Say a layer as the seed does: `altitude: 150 ops, avg 8ms, 2 errors`, and what else is known."""
    words = [format_count(layer.count, "op")]
    if layer.mean is not None:
        words.append(f"avg {format_duration(layer.mean, ascii=ascii)}")
    words.append(format_count(layer.errors, "error"))
    if layer.blocked:
        words.append(f"{layer.blocked:,} blocked")
    for quantile, value in (("p50", layer.p50), ("p95", layer.p95), ("p99", layer.p99)):
        if value is not None:
            words.append(f"{quantile} {format_duration(value, ascii=ascii)}")
    return f"{_name(layer)}: {', '.join(words)}"


def _name(layer: "Layer") -> str:
    name = layer.layer if layer.operation is None else f"{layer.layer}.{layer.operation}"
    return shorten(name)


def _say_slow(step: Step, ascii: bool) -> str:  # noqa: A002 the option's one name
    """Say a slow step as the seed does: `alt_transition: 45ms (L4→L2 skip)`."""
    from whence.query import LAYERS

    codes = {name: code for code, name in LAYERS.items()}
    code = codes.get(step.primitive)
    name = f"{code}_{step.type}" if code else f"{step.primitive}.{step.type}"
    data = step.event.data if isinstance(step.event.data, dict) else {}
    about = data.get("input")
    words = f" ({shorten(about)})" if isinstance(about, str) and about else ""
    failed = f" → {step.event.status}" if step.event.status in ("error", "blocked") else ""
    return f"{shorten(name)}: {format_duration(step.age or 0, ascii=ascii)}{words}{failed}"


def _draw_histogram(layer: "Layer", screen: Screen) -> Iterator[str]:
    for line in screen.lines(_name(layer)):
        yield screen.paint(line, "title")
    most = max(each.count for each in layer.histogram)
    edges = [
        tuple(format_duration(edge, ascii=screen.ascii) for edge in (each.low, each.high))
        for each in layer.histogram
    ]
    counts = [format_count(each.count) for each in layer.histogram]
    columns = [max(width(pair[side]) for pair in edges) for side in (0, 1)]
    size = max(map(width, counts))
    to = "-" if screen.ascii else "–"
    taken = sum(columns) + size + 6
    cells = _BAR_CELLS if screen.width is None else min(_BAR_CELLS, screen.width - taken)
    for (low, high), number, each in zip(edges, counts, layer.histogram, strict=True):
        left = f"{pad(low, columns[0], 'right')} {to} {pad(high, columns[1], 'right')}"
        drawn = f" {bar(each.count, most, cells, ascii=screen.ascii)}" if cells > 0 else ""
        yield f"{left}{drawn} {pad(number, size, 'right')}"


# -- for programs ----------------------------------------------------------------------------------


def _format(
    found: "Layers", query: "StepQuery", last: int | None, *, is_short: bool
) -> Sequence[str]:
    document: dict[str, Any] = {
        "window": window_keys(query),
        "last": last,
        "count": found.count,
        "is_exact": found.is_exact,
        "layers": [_layer_keys(layer) for layer in found.layers],
        "slowest": [_slow_keys(step) for step in found.slowest],
    }
    return [dump(document)] if is_short else format_pretty(document).splitlines()


def _layer_keys(layer: "Layer") -> dict[str, Any]:
    import msgspec

    keys: dict[str, Any] = msgspec.to_builtins(layer)
    return keys


def _slow_keys(step: Step) -> dict[str, Any]:
    import json

    keys: dict[str, Any] = json.loads(format_event(step.event, text=say_step(step)))
    return keys
