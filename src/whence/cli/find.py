"""`whence find`: events whose payload contains a text or matches a pattern, newest first."""

import json
import re
from collections.abc import Iterator

import click

from whence.ask.phrases import phrase
from whence.cli.formats import format_document, format_event, window_keys
from whence.cli.options import Filters, Where, filters, number_of, output_option, verb
from whence.cli.rows import Layout
from whence.cli.screen import Screen
from whence.draw.cells import fit
from whence.event import Event

_AROUND = 40


@verb(
    "whence find stripe                      the text, as it is written",
    "whence find -i 'api key'                in any case",
    "whence find '/sk_(live|test)/'          a regular expression, between slashes",
    "whence find timeout --agent haiku-1 --since '2h ago' -n 5",
    short_help="Events that contain a text or a pattern.",
)
@click.option("-i", "--ignore-case", is_flag=True, help="Capitals or not.")
@filters
@number_of("-n", "--number", help="At most the newest N finds.")
@output_option("short", "json", "jsonl")
@click.argument("text")
def command(
    where: Where,
    text: str,
    filters: Filters,
    ignore_case: bool,
    number: int | None,
    output: str,
) -> None:
    """Search the payloads of events for TEXT, or for /a regular expression/, newest first."""
    screen = where.screen
    literal, pattern = split_needle(text)
    with where.open_journal() as log:
        query = filters.query(log, screen)
        found = log.find(
            literal, pattern=pattern, ignore_case=ignore_case, query=query, limit=number
        )
        if output == "json":
            keys = {"window": window_keys(query), "text": literal, "pattern": pattern}
            screen.show(
                format_document(
                    keys, "events", (format_event(event, text=phrase(event)) for event in found)
                )
            )
        elif output == "jsonl":
            screen.show(map(format_event, found))
        else:
            needle = re.compile(
                pattern if pattern is not None else re.escape(text),
                re.IGNORECASE if ignore_case else 0,
            )
            screen.show(_draw(found, needle, screen))
        where.remark(log)


def split_needle(text: str) -> tuple[str | None, str | None]:
    """Tell a text from a pattern: the latter stands between slashes."""
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        return None, text[1:-1]
    return text, None


def _draw(found: Iterator[Event], needle: re.Pattern[str], screen: Screen) -> Iterator[str]:
    layout, size = Layout(screen), 0
    for size, event in enumerate(found, start=1):  # noqa: B007 counts
        words = phrase(event)
        yield from layout.lines(event, words)
        if needle.search(words) is None:
            yield from _excerpt(event, needle, screen)
    if not size:
        screen.note("nothing found")


def _excerpt(event: Event, needle: re.Pattern[str], screen: Screen) -> Iterator[str]:
    """Show the find where the words of the event do not."""
    text = json.dumps(event.data, ensure_ascii=False)
    match = needle.search(text)
    if match is None:
        return
    before = text[max(0, match.start() - _AROUND) : match.start()]
    after = text[match.end() : match.end() + _AROUND]
    more = "..." if screen.ascii else "…"
    opening = more if match.start() > _AROUND else ""
    closing = more if match.end() + _AROUND < len(text) else ""
    hit = screen.paint(screen.text(fit(match[0], 2 * _AROUND, more)), "match")
    yield f"    {opening}{screen.text(before)}{hit}{screen.text(after)}{closing}"
