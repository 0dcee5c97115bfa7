"""`whence prove`: proofs for others, of one event or of many in a bundle that checks itself."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from whence.cli.options import Filters, Where, complete_reference, filters, verb
from whence.draw.amounts import format_count

if TYPE_CHECKING:
    from whence.log import Log
    from whence.proof.keys import VerifierKey

_SHORT_ID = 8
_PLAIN = re.compile(r"[A-Za-z0-9_-]+").fullmatch


@verb(
    "whence prove @last                        a .tlog-proof, and the line that it proves",
    "whence prove --bundle audit.zip --task task-abc123",
    "unzip audit.zip -d audit && python3 audit/check.py",
    short_help="Proofs for others, who need no Whence.",
)
@filters
@click.option(
    "--bundle",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="All that match, in a zip that checks itself.",
)
@click.option(
    "-d",
    "--folder",
    "out",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Where files are written.  [default: .]",
)
@click.argument("reference", required=False, metavar="[REF]", shell_complete=complete_reference)
def command(
    where: Where, filters: Filters, bundle: Path | None, out: Path | None, reference: str | None
) -> None:
    """Write the proof that an event is in the log: a file in the form c2sp.org/tlog-proof, and the event's line beside it.

    With --bundle all events that match go into a zip with their proofs, the log's key, a page that says what it is, and a check.py that
    needs nothing but Python. What is not sealed yet is refused.
    """
    from whence.proof.proving import Prover, write_bundle

    if (reference is None) == (bundle is None):
        raise click.UsageError("want an event, or --bundle FILE and filters")
    screen = where.screen
    with where.look() as log:
        prover = Prover(log.folder)
        if bundle is not None:
            query = filters.query(log, screen)
            positions = [prover.position(*place) for place in _places(log, query)]
            many = write_bundle((out or Path()) / bundle, prover, positions, _key(log))
            screen.note(f"{format_count(many, 'proven line')}: {bundle}")
            return
        assert reference is not None
        from whence.errors import NotFoundError

        event = log.resolve(reference).event
        if event is None:
            raise NotFoundError(f"{reference!r} is no event: a proof is of one")
        position = prover.position(event.segment, event.offset)
        proven = prover.prove(position)
        # Ids are others' words, and could lead elsewhere.
        short = event.id[-_SHORT_ID:]
        name = short if _PLAIN(short) else str(position)
        proof, line = ((out or Path()) / f"{name}.{kind}" for kind in ("tlog-proof", "jsonl"))
        _write(proof, str(proven.proof).encode())
        _write(line, proven.line + b"\n")
        screen.show([str(proof), str(line)])


def _places(log: "Log", query: object) -> "list[tuple[str, int]]":
    from whence.query import Query

    assert isinstance(query, Query)
    return [(each.segment, each.offset) for each in log.places(query)]


def _key(log: "Log") -> "VerifierKey":
    """The log's key: that of this machine's keyring, else the one that signed the checkpoint by the journal's own word."""
    from whence.errors import NotFoundError
    from whence.proof.keyring import find_signer
    from whence.proof.keys import parse_verifier
    from whence.proof.sealing import read_checkpoint
    from whence.proof.settings import read_proof_settings
    from whence.query import Query

    settings = read_proof_settings(log.settings)
    shown = read_checkpoint(log.folder)
    signer = find_signer(settings.key_folder, log.folder, shown[1].origin if shown else None)
    if signer is not None:
        return signer.key.verifier()
    for event in log.events(Query(primitive="whence", type="key"), newest_first=True):
        data = event.data
        if isinstance(data, dict) and isinstance(data.get("vkey"), str):
            return parse_verifier(data["vkey"])
    raise NotFoundError("no public key of this log is known here")


def _write(path: Path, content: bytes) -> None:
    from whence.errors import StoreError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
