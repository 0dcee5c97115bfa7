"""`whence export`: events for other programs and other places."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from whence.cli.formats import dump, format_document, format_event, window_keys
from whence.cli.options import Filters, Where, filters, number_option, output_option, verb
from whence.cli.screen import Screen, progress_bar
from whence.cli.sourced import note_unasked

if TYPE_CHECKING:
    from whence.event import Event
    from whence.log import Log
    from whence.query import Query

T = TypeVar("T")

_STEP = 1_000
_SERVICE = "OTEL_SERVICE_NAME"


@verb(
    "whence export > events.jsonl",
    "whence export --since 'yesterday' --primitive ops | gzip > ops.jsonl.gz",
    "whence export --trace-id 41a4afb1 -o perfetto > trace.json   for ui.perfetto.dev",
    "whence export -o otlp | curl -d @- -H 'Content-Type: application/json' HOST:4318/v1/traces",
    "whence export --own                        with Whence's own housekeeping",
    "whence export --tlog public/               what is sealed, for others to follow: no payloads",
    short_help="Events for other tools.",
)
@filters
@number_option
@click.option(
    "--tlog",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="What is sealed, as tiles of a transparency log.",
)
@output_option("jsonl", "json", "otlp", "perfetto")
def command(
    where: Where, filters: Filters, number: int | None, tlog: Path | None, output: str
) -> None:
    """Write the events that match, oldest first.

    As JSON each is exactly as it was recorded. otlp is for collectors of OpenTelemetry, perfetto for
    ui.perfetto.dev. With --tlog what is sealed is written as C2SP tiles instead: hashes and entries, no payloads.
    """
    screen = where.screen
    if tlog is not None:
        from whence.proof.proving import write_tiles

        with where.open_journal() as sealed:
            many = sum(1 for _ in write_tiles(sealed.folder, tlog))
        screen.note(f"{many:,} files written: {tlog}")
        return
    with where.look() as log:
        note_unasked(log, screen, "exported")
        query = filters.query(log, screen)
        if query.trace is not None:
            query = msgspec.structs.replace(query, trace=log.spans().find_root(query.trace))
        if output in ("otlp", "perfetto"):
            lines = _drawn(log, query, number, output, screen)
        else:
            lines = map(format_event, _events(log, query, number, screen))
        if output == "json":
            lines = format_document({"window": window_keys(query)}, "events", lines)
        screen.show(lines)
        where.remark(log)


def _events(log: "Log", query: "Query", number: int | None, screen: Screen) -> "Iterable[Event]":
    events = log.events(query, newest_first=number is not None, limit=number)
    return list(events)[::-1] if number is not None else _watched(events, log, query, screen)


def _drawn(
    log: "Log", query: "Query", number: int | None, output: str, screen: Screen
) -> Iterator[str]:
    """What matches as steps of traces, as another tool reads them."""
    steps = _watched(log.spans().rooted(query, limit=number), log, query, screen)
    if output == "otlp":
        from whence.tracing import otlp

        return otlp.encode(steps, os.environ.get(_SERVICE) or "whence", dump)
    from whence.tracing import perfetto

    return perfetto.encode(steps, dump)


def _watched(items: Iterable[T], log: "Log", query: "Query", screen: Screen) -> Iterable[T]:
    """Hand items on, with a bar on stderr if that takes a while."""
    if sys.stderr is None or not sys.stderr.isatty():
        return items
    return _counted(items, sum(line.count for line in log.statistics(query)), screen)


def _counted(items: Iterable[T], size: int, screen: Screen) -> Iterator[T]:
    update = progress_bar("exporting", screen)
    for number, item in enumerate(items, start=1):
        yield item
        if number % _STEP == 0 or number == size:
            update(number, size)
