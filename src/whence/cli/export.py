"""`whence export`: events as lines of JSON, for other programs and other places."""

import sys
from collections.abc import Iterable, Iterator

from whence.cli.formats import format_document, format_event, window_keys
from whence.cli.options import Filters, Where, filters, number_option, output_option, verb
from whence.cli.screen import Screen, progress_bar
from whence.cli.sourced import note_unasked
from whence.event import Event

_STEP = 1_000


@verb(
    "whence export > events.jsonl",
    "whence export --since 'yesterday' --primitive ops | gzip > ops.jsonl.gz",
    "whence export --own                        with Whence's own housekeeping",
    short_help="Events as JSON lines.",
)
@filters
@number_option
@output_option("jsonl", "json")
def command(where: Where, filters: Filters, number: int | None, output: str) -> None:
    """Write the events that match, oldest first, each exactly as it was recorded."""
    screen = where.screen
    with where.look() as log:
        note_unasked(log, screen, "exported")
        query = filters.query(log, screen)
        events: Iterable[Event] = log.events(query, newest_first=number is not None, limit=number)
        if number is not None:
            events = list(events)[::-1]
        elif sys.stderr is not None and sys.stderr.isatty():
            events = _watched(events, sum(line.count for line in log.statistics(query)), screen)
        lines: Iterable[str] = map(format_event, events)
        if output == "json":
            lines = format_document({"window": window_keys(query)}, "events", lines)
        screen.show(lines)
        where.remark(log)


def _watched(events: Iterable[Event], size: int, screen: Screen) -> Iterator[Event]:
    """Hand events on, with a bar on stderr if that takes a while."""
    update = progress_bar("exporting", screen)
    for number, event in enumerate(events, start=1):
        yield event
        if number % _STEP == 0 or number == size:
            update(number, size)
