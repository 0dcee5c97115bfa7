"""`whence verify`: recomputes what was sealed, and says what holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whence.cli.formats import format_pretty
from whence.cli.options import Where, output_option, verb
from whence.cli.screen import Screen, progress_bar
from whence.draw.amounts import format_ago, format_count, format_size

if TYPE_CHECKING:
    from whence.log import Log
    from whence.proof.checkpoints import Checkpoint
    from whence.proof.keys import VerifierKey
    from whence.proof.notes import Note
    from whence.proof.policies import Policy
    from whence.proof.report import Report

_NS_PER_S = 1_000_000_000
_NOTE_MAX = 4_000_000
_LEFT_OPEN_SHOWN = 3


@verb(
    "whence verify",
    "whence verify --key log.vkey              by a key from elsewhere, not by the log's own word",
    "whence verify --since-checkpoint head.note  that it only grew since",
    "whence verify --policy policy.txt         and that witnesses saw it",
    "whence verify --resume audit.noted        go on after Ctrl-C, or with what is new each day",
    short_help="Is all of it as it was sealed.",
)
@click.option("--key", metavar="VKEY", help="The log's public key, or a file that holds it.")
@click.option("--policy", metavar="FILE", help="Whom to believe: logs, witnesses, and how many.")
@click.option(
    "--since-checkpoint", "since", metavar="FILE", help="An older checkpoint that you kept."
)
@click.option(
    "--resume",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Go on from what this file notes, and note it there.",
)
@output_option("short", "json")
def command(
    where: Where,
    key: str | None,
    policy: str | None,
    since: str | None,
    resume: Path | None,
    output: str,
) -> None:
    """Recompute every entry, the tree and its signature from the journal, and name the first position that is wrong.

    Ends with exit code 0 if all of it holds, 1 if something is not as it was sealed, 3 if something is missing or could not be
    looked at.
    """
    from whence.cli.failures import FAILED, NOT_FOUND
    from whence.proof.verifying import verify

    screen = where.screen
    with where.open_journal() as log:
        keys, keys_from, head, unread = _find_keys(log, key, policy)
        report = verify(
            log.folder, keys=keys, keys_from=keys_from, policy=_read_policy(policy),
            witnessed_by=_own_policy(log) if policy is None else None, since=_read_note(since),
            head=head, check_file=_file_checker(log), resume=resume, progress=progress_bar("verifying", screen),
        )  # fmt: skip
        if unread:
            report.find(f"the signer's account: {unread}", is_unread=True)
        if output == "json":
            screen.show(format_pretty(_keys(report)).splitlines())
        else:
            screen.show(_draw(report, screen))
    if not report.is_verified:
        from whence.cli.app import exit_with

        exit_with(FAILED if report.is_broken else NOT_FOUND)


def _find_keys(
    log: "Log", key: str | None, policy: str | None
) -> "tuple[list[VerifierKey], str, Checkpoint | None, str]":
    """The key given, else that of this machine's keyring unless a policy says whom to believe; what its signer signed last.

    The last is what stood in the way of asking the keyring.
    """
    from whence.errors import WhenceError
    from whence.proof.keyring import find_signer
    from whence.proof.keys import parse_verifier
    from whence.proof.sealing import read_checkpoint
    from whence.proof.settings import read_proof_settings

    settings = read_proof_settings(log.settings)
    signer = head = None
    unread = ""
    shown = read_checkpoint(log.folder)
    try:
        origin = shown[1].origin if shown is not None else settings.origin
        # By the folder, too: a key that is of this log makes another log in its place an alarm.
        signer = find_signer(settings.key_folder, log.folder, origin) or find_signer(
            settings.key_folder, log.folder, None
        )
        head = signer.head() if signer is not None else None
    except WhenceError as error:
        unread = str(error)
    if key is not None:
        text = _read_text(Path(key)) if "+" not in key else key
        return [parse_verifier(text.strip())], "given", head, unread
    if signer is not None and policy is None:
        return [signer.key.verifier()], "this machine's keyring", head, unread
    return [], "", head, unread


def _file_checker(log: "Log") -> Any:
    from whence.runs.commitments import check_saved
    from whence.runs.files import find_folder

    folder = find_folder(log.folder, log.settings)
    return lambda event: check_saved(event, folder)


def _read_text(path: Path) -> str:
    from whence.errors import CorruptError

    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise CorruptError(f"{path} is not UTF-8") from error


def _read(path: Path) -> bytes:
    from whence.errors import NotFoundError, StoreError
    from whence.proof.files import open_file

    try:
        with open_file(path) as file:
            return file.read(_NOTE_MAX)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def _read_policy(path: str | None) -> "Policy | None":
    from whence.proof.policies import parse_policy

    return None if path is None else _named(path, parse_policy)


def _own_policy(log: "Log") -> "Policy | None":
    """The policy that the log's settings name, for its witnesses."""
    from whence.proof.sealer import read_policy
    from whence.proof.settings import read_proof_settings

    named = read_proof_settings(log.settings).policy
    return None if named is None else read_policy(Path(named), log.folder)


def _read_note(path: str | None) -> "Note | None":
    from whence.proof.notes import parse_note

    return None if path is None else _named(path, parse_note)


def _named(path: str, parse: Any) -> Any:
    from whence.errors import CorruptError

    content = _read(Path(path))
    try:
        return parse(content)
    except CorruptError as error:
        raise CorruptError(f"{path}: {error}") from error


def _draw(report: "Report", screen: Screen) -> Iterator[str]:
    for problem in report.problems:
        place = "" if problem.position is None else f"position {problem.position:,}: "
        role = "warning" if problem.is_unread else "bad"
        for line in screen.lines(f"{place}{problem.message}"):
            yield screen.paint(line, "warning" if role == "warning" else "bad")
    if report.problems:
        yield ""
    facts = list(_facts(report))
    cells = max(len(name) for name, _ in facts) + 2
    for name, fact in facts:
        for number, line in enumerate(screen.lines(fact, indent=cells)):
            yield screen.paint(f"{'' if number else name:<{cells}}", "faint") + line
    yield ""
    if report.is_verified:
        yield from _paint(
            f"VERIFIED: {format_count(report.size, 'event')}, as sealed.", screen, "good"
        )
    elif report.is_broken:
        first = next((p.position for p in report.problems if p.position is not None), None)
        where = "" if first is None else f" The first position that is wrong is {first:,}."
        yield from _paint(f"BROKEN: it is not what was sealed.{where}", screen, "bad")
    else:
        said = "INCOMPLETE: something is missing or could not be looked at; what is there is as sealed."
        yield from _paint(said, screen, "warning")


def _paint(text: str, screen: Screen, role: Any) -> Iterator[str]:
    for line in screen.lines(text):
        yield screen.paint(line, role)


def _facts(report: "Report") -> Iterator[tuple[str, str]]:
    yield "log", report.origin
    yield "key", f"{report.key or 'none'} ({report.key_from})"
    yield "tree", f"{format_count(report.size, 'event')}, root {report.root[:16]}…"
    if report.resumed is not None:
        yield (
            "resumed",
            f"the first {format_count(report.resumed, 'event')} were looked at {format_ago(report.resumed_ns, report.looked_ns)}",
        )
    if report.proven_since is not None:
        yield (
            "grew",
            f"from the {format_count(report.proven_since, 'event')} of the older checkpoint",
        )
    seen = ", ".join(
        f"{each.key.name} {format_ago((each.time_s or 0) * _NS_PER_S, report.looked_ns)}"
        for each in report.witnesses
    )
    yield "witnesses", seen or "none: whoever holds the key on this machine could have rewritten it"
    yield "exposed", _exposed(report)
    if report.above:
        yield (
            "above",
            f"{format_count(report.above, 'entry', 'entries')} in tree/ are not signed: a seal is under way, or was cut off",
        )
    yield (
        "payloads",
        (
            f"{report.payloads:,} checked, {report.erased:,} erased, {report.private:,} private,"
            f" {format_count(report.files, 'file')} of runs"
        ),
    )
    yield (
        "outside",
        (
            f"{format_count(report.fragments, 'fragment')} ({format_size(report.fragment_bytes)})"
            if report.fragments
            else "no fragments"
        ),
    )
    if report.lost:
        yield "lost", f"{format_count(report.lost, 'event')} that writers counted"
    if report.left_open:
        shown = ", ".join(report.left_open[:_LEFT_OPEN_SHOWN])
        more = len(report.left_open) - _LEFT_OPEN_SHOWN
        yield "not closed", shown + (f" and {more:,} more writers" if more > 0 else "")


def _exposed(report: "Report") -> str:
    """What nobody outside has seen yet."""
    unsealed = f"{format_count(report.unsealed, 'event')} not sealed yet"
    if report.witnessed is None:
        return unsealed
    signed = report.witnesses[-1].time_s or 0
    since = format_ago(signed * _NS_PER_S, report.looked_ns)
    return f"{format_count(report.size - report.witnessed, 'event')} since witnesses signed {since}, {unsealed}"


def _keys(report: "Report") -> dict[str, Any]:
    """Lay the report out for a program. Keys are only ever added."""
    return {
        "is_verified": report.is_verified,
        "is_broken": report.is_broken,
        "origin": report.origin,
        "key": report.key,
        "key_from": report.key_from,
        "size": report.size,
        "root": report.root,
        "proven_since": report.proven_since,
        "resumed": report.resumed,
        "witnesses": [{"name": each.key.name, "time": each.time_s} for each in report.witnesses],
        "witnessed": report.witnessed,
        "unsealed": report.unsealed,
        "above": report.above,
        "payloads": report.payloads,
        "erased": report.erased,
        "private": report.private,
        "files": report.files,
        "fragments": report.fragments,
        "lost": report.lost,
        "left_open": report.left_open,
        "problems": [
            {"position": each.position, "message": each.message, "is_unread": each.is_unread}
            for each in report.problems
        ],
    }
