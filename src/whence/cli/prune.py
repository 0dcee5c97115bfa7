"""`whence prune`: takes away the payloads of all that is older than a moment."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from whence.cli.erase import ask_first, erase_events
from whence.cli.options import Filters, Where, verb
from whence.cli.screen import Screen

if TYPE_CHECKING:
    from whence.event import Event
    from whence.log import Log
    from whence.query import Query


@verb(
    "whence prune --before '180 days ago'",
    "whence prune --yes                         by [retention] keep of whence.toml, from a timer",
    short_help="Take the payloads of old events away; proofs stay.",
)
@click.option(
    "--before",
    metavar="WHEN",
    help='Up to when: "180 days ago", ISO, @epoch.  [default: [retention] keep]',
)
@click.option("--reason", metavar="TEXT", help="Why, for the journal.  [default: retention]")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(where: Where, before: str | None, reason: str | None, yes: bool) -> None:
    """Erase the payloads of all events before a moment, as `whence erase` does; what is held is left, and named.

    Without --before it is as long ago as [retention] keep says.
    """
    from whence.proof.settings import read_keep

    with where.look() as log:
        keep = read_keep(log.settings)
        if before is None and keep is None:
            raise click.UsageError("want --before, or `keep` in [retention] of whence.toml")
        query = Filters(until=before or f"{keep} ago").query(log, where.screen)
        events = find_old(log, query, where.screen)
        if not events:
            where.screen.note("nothing to prune")
            return
        ask_first(events, where.screen, yes=yes)
        erase_events(log.folder, events, reason or "retention", where.screen)


def find_old(log: "Log", query: "Query", screen: Screen) -> "list[Event]":
    """The events of a query that have a payload still and are not held."""
    from whence.proof.holds import read_holds

    holds = read_holds(log.settings)
    found = [each for each in log.events(query) if len(each.payload)]
    events = [each for each in found if not any(hold.holds(each) for hold in holds)]
    if len(events) < len(found):
        screen.note(f"{len(found) - len(events):,} are held, and left")
    return events


def prune_by_settings(folder: Path, screen: Screen) -> None:
    """Prune what `[retention] keep` says, if it says anything."""
    from whence.log import Log
    from whence.proof.settings import read_keep

    with Log(folder, read_only=True) as log:
        keep = read_keep(log.settings)
        if keep is None:
            return
        events = find_old(
            log, Filters(until=f"{keep} ago").query(log, screen, is_quiet=True), screen
        )
        if events:
            erase_events(folder, events, "retention", screen)
