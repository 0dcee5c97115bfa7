"""`whence tail`: the newest events, and with `-f` each new one as it is recorded."""

import click

from whence.cli.options import (
    Filters,
    Where,
    complete_reference,
    filters,
    number_option,
    output_option,
    verb,
)


@verb(
    "whence tail -f                              watch everything",
    "whence tail -f --agent haiku-1 --status error",
    "whence tail -n 100 -o jsonl | jq .data",
    short_help="The newest events, and what comes next.",
)
@filters
@number_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens next, until Ctrl-C.")
@output_option("short", "json", "jsonl")
@click.argument("ref", required=False, shell_complete=complete_reference)
def command(
    where: Where,
    ref: str | None,
    filters: Filters,
    number: int | None,
    follow: bool,
    output: str,
) -> None:
    """Show the newest 10 events in the order in which they were recorded.

    REF limits them to what happened to a task, in a channel, or was done by an agent. It works on
    a journal of any size at once, and with --follow also before there is one.
    """
    from whence.cli.live import show_live

    show_live(where, filters, ref=ref, number=number, follow=follow, output=output)
