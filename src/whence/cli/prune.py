"""`whence prune`: takes away the payloads of all that is older than a moment."""

import click

from whence.cli.erase import ask_first, erase_events
from whence.cli.options import Filters, Where, verb


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
    from whence.retention import REASON, find_old

    with where.look() as log:
        keep = read_keep(log.settings)
        if before is None and keep is None:
            raise click.UsageError("want --before, or `keep` in [retention] of whence.toml")
        query = Filters(until=before or f"{keep} ago").query(log, where.screen)
        found = list(find_old(log, query))
        events = [event for event, is_held in found if not is_held]
        if len(events) < len(found):
            where.screen.note(f"{len(found) - len(events):,} are held, and left")
        if not events:
            where.screen.note("nothing to prune")
            return
        ask_first(events, where.screen, yes=yes)
        erase_events(log.folder, events, reason or REASON, where.screen)
