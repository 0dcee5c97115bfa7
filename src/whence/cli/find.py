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
from whence.cli.sourced import note_unasked
from whence.draw.cells import fit, fit_end, width
from whence.event import Event

_AROUND = 40
_INDENT = "    "


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
        note_unasked(log, screen, "searched by find")
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
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
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
    more = "..." if screen.ascii else "…"
    shown = fit(screen.text(match[0]), _room(screen, 2 * _AROUND, 2 * width(more)), more)
    around = _room(screen, 2 * _AROUND, 2 * width(more) + width(shown)) // 2
    before = screen.text(text[max(0, match.start() - around) : match.start()])
    after = screen.text(text[match.end() : match.end() + around])
    opening = more if match.start() > around else ""
    closing = more if match.end() + around < len(text) else ""
    hit = screen.paint(shown, "match")
    yield f"{_INDENT}{opening}{fit_end(before, around)}{hit}{fit(after, around, '')}{closing}"


def _room(screen: Screen, most: int, taken: int) -> int:
    """How many cells there are for part of an excerpt where others have taken theirs."""
    if screen.width is None:
        return most
    return max(0, min(most, screen.width - len(_INDENT) - taken))
