"""`whence seal`: gives every event its position and signs the tree of all."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from whence.cli.formats import format_pretty
from whence.cli.options import Where, output_option, verb
from whence.cli.screen import Screen, progress_bar
from whence.draw.amounts import format_count

if TYPE_CHECKING:
    from whence.log import Log
    from whence.proof.sealing import Sealed


@verb(
    "whence seal",
    "whence seal --follow                      every second, as a signer beside those who record",
    "whence seal > head.note                   a checkpoint to keep elsewhere",
    "whence seal --rotate                      with a new key, handed over by the old one",
    short_help="Sign the journal as it is now.",
)
@click.option(
    "-f", "--follow", is_flag=True, help="Go on sealing every second if something is new."
)
@click.option("--rotate", is_flag=True, help="Have a new key take the place of the log's.")
@click.option(
    "--anchor-git",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Commit the checkpoint to a git repository.",
)
@click.option(
    "--anchor-time", metavar="URL", help="Have the checkpoint stamped by an authority (RFC 3161)."
)
@output_option("short", "json")
def command(
    where: Where,
    follow: bool,
    rotate: bool,
    anchor_git: Path | None,
    anchor_time: str | None,
    output: str,
) -> None:
    """Seal the journal: every event so far gets its position, and the tree of all is signed.

    The first seal makes the log's key, outside of it. What is printed is the checkpoint: kept elsewhere, it proves later
    that the journal only grew (`whence verify --since-checkpoint FILE`). With --follow it also prunes daily what
    [retention] keep says, and asks the witnesses each minute.
    """
    from whence.log import Log
    from whence.proof.sealer import Sealer
    from whence.proof.sealing import RollbackError
    from whence.proof.settings import read_proof_settings
    from whence.retention import owners_of

    screen = where.screen
    if rotate and follow:
        raise click.UsageError("--rotate and --follow contradict each other")
    with where.open_journal() as asked, Log(asked.folder) as log:
        sealer = Sealer(
            log.folder,
            read_proof_settings(log.settings),
            lambda: log.recorder,
            owners=owners_of(log),
        )
        sealed = sealer.seal(
            wait=not follow, is_forced=False, progress=progress_bar("sealing", screen)
        )
        if rotate:
            sealed = sealer.rotate()
        if sealed is not None:
            alarm: RollbackError | None = None
            try:
                witnessed = sealer.witness()
            except RollbackError as error:
                witnessed, alarm = None, error
            if witnessed is not None and witnessed.checkpoint == sealed.checkpoint:
                sealed = msgspec.structs.replace(sealed, note=witnessed.note)
            screen.show(_say(sealed, output))
            _remark(sealed, screen)
            _anchor(log.folder, sealed, screen, anchor_git, anchor_time)
            if alarm is not None:
                raise alarm
        if follow:
            screen.note("sealing; Ctrl-C ends it")
            sealer.follow(
                threading.Event(),
                lambda each: _remark(each, screen),
                daily=lambda: _prune(log, screen),
            )


def _prune(log: "Log", screen: Screen) -> None:
    from whence.retention import prune_by_settings

    pruned = prune_by_settings(log.folder, lambda: log.recorder)
    if pruned:
        screen.note(f"pruned {format_count(pruned, 'payload')}")


def _anchor(
    folder: Path, sealed: "Sealed", screen: Screen, git: Path | None, time: str | None
) -> None:
    from whence.proof.anchoring import anchor_in_git, anchor_in_time

    if git is not None:
        screen.note(f"committed: {anchor_in_git(git, sealed.note, sealed.checkpoint)}")
    if time is not None:
        screen.note(f"stamped: {anchor_in_time(time, folder, sealed.note, sealed.checkpoint)}")


def _say(sealed: "Sealed", output: str) -> Iterator[str]:
    checkpoint = sealed.checkpoint
    if output == "json":
        keys = {
            "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex(),
            "before": sealed.before, "fragments": len(sealed.fragments), "note": str(sealed.note),
        }  # fmt: skip
        yield from format_pretty(keys).splitlines()
    else:
        yield from str(sealed.note).splitlines()


def _remark(sealed: "Sealed", screen: Screen) -> None:
    new = sealed.checkpoint.size - sealed.before
    screen.note(f"sealed {format_count(new, 'new event')}, {sealed.checkpoint.size:,} in all")
    if sealed.fragments:
        screen.warn(f"{format_count(len(sealed.fragments), 'fragment')} outside of the proof")
