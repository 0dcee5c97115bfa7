"""`whence erase`: takes payloads away for good; envelopes and proofs stay."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from whence.cli.options import Filters, Where, complete_reference, filters, verb
from whence.cli.screen import Screen, progress_bar
from whence.draw.amounts import format_count
from whence.event import OWN

if TYPE_CHECKING:
    from whence.event import Event
    from whence.log import Log
    from whence.query import Query

_SHOWN = 5


@verb(
    "whence erase 01a21dbf --reason 'asked by the customer'",
    "whence erase --target user-17 --reason 'GDPR 17'   all that is about one",
    "whence erase --until '180 days ago' --reason retention --yes",
    short_help="Take payloads away for good; proofs stay.",
)
@filters
@click.option("--reason", metavar="TEXT", help="Why, for the journal. It stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("reference", required=False, metavar="[REF]", shell_complete=complete_reference)
def command(
    where: Where, filters: Filters, reason: str | None, yes: bool, reference: str | None
) -> None:
    """Erase the payload of one event, or of all that the filters choose, in place; what is held is refused.

    Who, when, what kind and about what stay, as does that it was erased, when, by whom and why; every proof, older and newer, still
    holds. Copies elsewhere (exports, mirrors, backups, blocks of the disk) are out of reach; those that are known are named.
    """
    from whence.proof.holds import check_holds, read_holds

    screen = where.screen
    if not reason:
        raise click.UsageError("want --reason: the journal keeps it")
    with where.look() as asked:
        query = filters.query(asked, screen)
        is_all = msgspec.structs.replace(query, own=False) == type(query)()
        if (reference is None) == is_all:
            raise click.UsageError("want one event, or filters that choose some")
        events = list(_chosen(asked, query, reference))
        check_holds(read_holds(asked.settings), events)
        if not events:
            screen.note("nothing to erase")
            return
        ask_first(events, screen, yes=yes)
        erase_events(asked.folder, events, reason, screen)


def erase_events(folder: Path, events: "list[Event]", reason: str, screen: Screen) -> None:
    """Erase the payloads of events, and say what came of it."""
    from whence.log import Log
    from whence.proof.holds import check_holds, read_holds
    from whence.proof.sealer import Sealer
    from whence.proof.settings import read_proof_settings
    from whence.retention import owners_of, who

    with Log(folder) as log:
        sealer = Sealer(
            folder, read_proof_settings(log.settings), lambda: log.recorder, owners=owners_of(log)
        )
        sealer.seal(wait=True, progress=progress_bar("sealing", screen))
        # Once more: somebody may have begun to hold them while we asked.
        check_holds(read_holds(log.settings), events)
        erased = sealer.erase(events, reason=reason, by=who())
    screen.note(f"erased {format_count(erased.size, 'payload')}")
    for each in erased.left:
        screen.warn(each)


def _chosen(log: "Log", query: "Query", reference: str | None) -> "Iterator[Event]":
    from whence.errors import NotFoundError

    if reference is None:
        found = log.events(query)
    else:
        row = log.resolve(reference).event
        if row is None:
            raise NotFoundError(f"{reference!r} is no event; --target erases what is about one")
        found = iter([log.read(row.segment, row.offset)])
    # Housekeeping tells of nobody, and proofs rest on it.
    return (event for event in found if event.primitive != OWN and len(event.payload))


def ask_first(events: "list[Event]", screen: Screen, *, yes: bool) -> None:
    """Show what would be erased, and ask."""
    from whence.ask.phrases import phrase

    if yes:
        return
    for event in events[:_SHOWN]:
        screen.note(f"  {screen.time(event.time_ns)}  {event.id}  {phrase(event)}", None)
    if len(events) > _SHOWN:
        screen.note(f"  and {len(events) - _SHOWN:,} more", None)
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise click.UsageError("nobody is here to ask: --yes erases without asking")
    click.confirm(
        f"Erase the payload of {format_count(len(events), 'event')} for good?", abort=True, err=True
    )
