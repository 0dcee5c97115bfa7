"""`whence show`, which is also `whence <ref>` and `whence --agent …`: timelines and causes."""

import click

from whence.cli.options import (
    Filters,
    Where,
    complete_reference,
    filters,
    number_of,
    output_option,
    verb,
)
from whence.cli.sourced import sources
from whence.cli.timelines import FORMATS
from whence.errors import NotFoundError

_OVERVIEW_EVENTS = 20

LIVE_FORMATS = ("short", "json", "jsonl")


@verb(
    "whence task-abc123                                what happened to it",
    "whence '#payments' --since 'yesterday 14:00'      what was said",
    "whence --agent haiku-1 --since 'last wake'        what an agent did",
    "whence --status error -n 20 -r                    the newest failures, newest first",
    "whence --causality task-abc123                    causes and effects, as a tree",
    "whence task-abc123 -o mermaid                     a diagram for a document",
    "whence --agent zealot-1 --source space-os:.space  from a swarm's own databases too",
    short_help="What happened to a task, agent, channel or event.",
)
@filters
@sources
@click.option(
    "--causality",
    metavar="REF",
    shell_complete=complete_reference,
    help="What led to REF and what came of it, as a tree.",
)
@number_of("--depth", help="With --causality: levels below REF.")
@number_of(
    "-n",
    "--number",
    help="At most the newest N events; with --causality, N effects of one cause.",
)
@click.option("-r", "--reverse", is_flag=True, help="Newest first.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens next.")
@output_option(*FORMATS)
@click.argument("ref", required=False, shell_complete=complete_reference)
def command(
    where: Where,
    ref: str | None,
    filters: Filters,
    causality: str | None,
    depth: int | None,
    number: int | None,
    reverse: bool,
    follow: bool,
    output: str,
) -> None:
    """Show what happened, oldest first.

    REF is a task, an agent, a #channel, the id of an event or a unique part of one, or @last.
    Without anything, the newest events.
    """
    if causality is not None:
        if ref is not None or filters != Filters() or follow or reverse:
            raise click.UsageError(
                "--causality stands alone: no REF, filters, --follow or --reverse with it"
            )
        from whence.cli.causes import show_causes

        show_causes(where, causality, depth=depth, width=number, output=output)
        return
    if depth is not None:
        raise click.UsageError("--depth goes with --causality")
    if follow:
        from whence.cli.live import show_live

        if where.sources:
            raise click.UsageError("--follow shows what is recorded: no --source with it")
        if reverse or output not in LIVE_FORMATS:
            raise click.UsageError(f"--follow shows {', '.join(LIVE_FORMATS)}, oldest first")
        show_live(where, filters, ref=ref, number=number, follow=True, output=output)
        return
    if ref is None and filters == Filters() and number is None:
        _show_newest(where, output, reverse)
        return
    _show_timeline(where, ref, filters, number, output, reverse)


def _show_timeline(
    where: Where,
    ref: str | None,
    filters: Filters,
    number: int | None,
    output: str,
    reverse: bool,
) -> None:
    from whence.cli.timelines import draw_timeline

    screen = where.screen
    with where.look() as log:
        query = filters.query(log, screen)
        try:
            timeline = log.timeline(ref, query=query, limit=number)
        except NotFoundError:
            # It may be in what could not be read.
            where.remark(log)
            raise
        screen.show(draw_timeline(timeline, query, screen, output=output, reverse=reverse))
        if not timeline.rows and not timeline.more:
            screen.note("nothing found")
        where.remark(log, more=timeline.more, is_exact=timeline.more_is_exact)


def _show_newest(where: Where, output: str, reverse: bool) -> None:
    """Show the newest events, or how to record some where there are none yet."""
    if output != "short":
        _show_timeline(where, None, Filters(), _OVERVIEW_EVENTS, output, reverse)
        return
    if _is_empty(where):
        where.screen.show(
            [
                f"Nothing is recorded here yet ({where.say_place(where.folder())}). To begin:",
                "",
                *where.ways_to_record(),
            ]
        )
        return
    _show_timeline(where, None, Filters(), _OVERVIEW_EVENTS, output, reverse)
    where.screen.note("whence REF tells the story of one of them; whence --help shows more")


def _is_empty(where: Where) -> bool:
    """Whether nothing was ever recorded; raises if the place was named and is no log."""
    if where.naming() is None and not where.has_answers():
        return True
    with where.look() as log:
        newest = next(log.events(limit=1), None)
        return newest is None and not log.sources and not log.warnings
