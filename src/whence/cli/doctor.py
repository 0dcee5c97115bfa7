"""`whence doctor`: what the log holds, what is missing, and a verdict."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from whence.cli.formats import format_pretty
from whence.cli.options import Where, output_option, shorten, verb
from whence.cli.screen import Screen, progress_bar
from whence.draw.amounts import format_count, format_size
from whence.draw.styles import Role
from whence.draw.tables import Column, table

if TYPE_CHECKING:
    from whence.ask.health import Health, WriterHealth

_LISTED_MAX = 20
_INDENT = "  "
_LIMIT = (
    "An edit that leaves a valid line is not seen here: whence verify sees it in what was sealed."
)
_STATES = {
    "open": "recording now",
    "ended": "ended without closing",
    "elsewhere": "on another machine, not closed",
    "closed": "closed",
}


@verb(
    "whence doctor",
    "whence doctor --json | jq .complaints",
    short_help="Is the journal whole, and what is wrong if not.",
)
@output_option("short", "json")
def command(where: Where, output: str) -> None:
    """Read everything, change nothing that was recorded, and tell what is not as it should be.

    The index is brought up to date, as by every question. Whether somebody edited a line so that it is
    still a line cannot be seen here: `whence verify` sees that in what was sealed.

    Ends with exit code 1 if something recorded is lost or was changed, with 3 if all that is wrong
    is that something could not be read.
    """
    from whence.cli.failures import FAILED, NOT_FOUND

    with where.open_journal() as log:
        health = log.examine(progress_bar("reading", where.screen))
        is_whole = not health.is_broken and not health.blobs.unreadable
        if output == "json":
            keys = {**health.as_json(), "is_whole": is_whole}
            where.screen.show(format_pretty(keys).splitlines())
        else:
            where.screen.show(_draw(health, where.screen))
        if health.index is None:
            where.remark(log)
    if not is_whole:
        from whence.cli.app import exit_with

        exit_with(FAILED if health.is_broken else NOT_FOUND)


def _draw(health: "Health", screen: Screen) -> Iterator[str]:
    yield from _draw_text(f"Log {shorten(Path(health.folder))}", screen, "title")
    yield ""
    facts = list(_facts(health))
    cells = max(len(name) for name, _ in facts) + len(_INDENT)
    for name, fact in facts:
        for number, line in enumerate(screen.lines(fact, indent=cells)):
            yield screen.paint(f"{'' if number else name:<{cells}}", "faint") + line
    yield from _draw_writers(health, screen)
    yield from _draw_list(
        "Not as recorded",
        (f"{p.segment} at {p.offset}: {p.length:,} bytes: {p.problem}" for p in health.problems),
        screen,
    )
    yield from _draw_list(
        "Not recorded",
        (
            f"{screen.time(gap.time)}: {format_count(gap.lost, 'event')}: {gap.reason}"
            for gap in health.gaps
        ),
        screen,
    )
    yield from _draw_list("Payloads without a file in blobs/", health.blobs.missing, screen)
    yield from _draw_list("Payloads that do not match their names", health.blobs.broken, screen)
    yield from _draw_list("Payloads that cannot be read", health.blobs.unreadable, screen)
    yield from _draw_list("Files that others can read", health.too_open, screen)
    yield from _draw_list("Files in journal/ that are no segments", health.unknown, screen)
    yield ""
    yield from _draw_verdict(health, screen)


def _facts(health: "Health") -> Iterator[tuple[str, str]]:
    size = sum(segment.size for segment in health.segments)
    holds = (
        f"{health.events:,} in {format_count(len(health.segments), 'segment')}, {format_size(size)},"
        f" format {health.format}, on {health.file_system}"
    )
    yield "events", holds
    states = Counter[str](writer.state for writer in health.writers)
    parts = [f"{states[state]:,} {words}" for state, words in _STATES.items() if states[state]]
    yield "writers", f"{len(health.writers):,}: {', '.join(parts)}"
    blobs = health.blobs
    if blobs.count:
        yield "payloads", f"{blobs.count:,} in blobs/, {format_size(blobs.size)}"
    if health.index is not None:
        place = " in a folder of its own" if health.index.is_private else ""
        yield "index", f"{format_size(health.index.size)}{place}; delete it and it comes back"
    yield "redaction", "on" if health.redaction else "off"
    yield "settings", health.settings_file or "the defaults"


def _draw_writers(health: "Health", screen: Screen) -> Iterator[str]:
    told = [writer for writer in health.writers if writer.state != "closed" or writer.lost]
    if not told:
        return
    yield ""
    yield from _draw_text("Writers that have not closed, or lost events", screen, "title")
    columns = [
        Column(title="writer", shrinks=False),
        Column(title="program"),
        Column(title="pid", align="right"),
        Column(title="last event", shrinks=False),
        Column(title="lost", align="right"),
        Column(title="state", width_min=len("ended without…")),
    ]
    shown = told[-_LISTED_MAX:]
    lines = table(
        [_writer_row(writer, screen) for writer in shown], columns,
        width=None if screen.width is None else screen.width - len(_INDENT),
        ascii=screen.ascii, paint=lambda row, _, cell: screen.paint(cell, "faint" if row < 0 else None),
    )  # fmt: skip
    yield from (_INDENT + line.rstrip() for line in lines)
    if len(told) > len(shown):
        yield f"  and {len(told) - len(shown):,} more"


def _writer_row(writer: "WriterHealth", screen: Screen) -> tuple[str, ...]:
    return (
        writer.name, writer.program or "", str(writer.pid or ""), screen.time(writer.last),
        f"{writer.lost:,}", _STATES[writer.state],
    )  # fmt: skip


def _draw_list(title: str, items: Iterator[str] | tuple[str, ...], screen: Screen) -> Iterator[str]:
    listed = list(items)
    if not listed:
        return
    yield ""
    yield from _draw_text(f"{title}: {len(listed):,}", screen, "title")
    for item in listed[:_LISTED_MAX]:
        yield from _draw_text(item, screen, before=_INDENT)
    if len(listed) > _LISTED_MAX:
        yield f"  and {len(listed) - _LISTED_MAX:,} more"


def _draw_verdict(health: "Health", screen: Screen) -> Iterator[str]:
    if health.is_broken:
        yield from _draw_text(
            "BROKEN: something recorded is lost or cannot be read.", screen, "bad"
        )
    elif health.blobs.unreadable:
        yield from _draw_text("UNREAD: something recorded could not be read.", screen, "bad")
    else:
        yield from _draw_text("WHOLE: nothing that was recorded is missing.", screen, "good")
        yield from _draw_text(_LIMIT, screen, "faint")
    for complaint in health.complaints:
        yield from _draw_text(complaint, screen, before="  - ")


def _draw_text(
    text: str, screen: Screen, role: Role | None = None, *, before: str = ""
) -> Iterator[str]:
    """Write text that may be longer than a line; `before` stands before the first one."""
    for number, line in enumerate(screen.lines(text, indent=len(before))):
        yield (" " * len(before) if number else before) + screen.paint(line, role)
