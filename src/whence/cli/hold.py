"""`whence hold`: what must not be erased."""

import json
import stat
from typing import TYPE_CHECKING

import click

from whence.cli.options import Where, verb

if TYPE_CHECKING:
    from whence.log import Log


@verb(
    "whence hold                                what is held",
    "whence hold --target user-17 --reason 'audit 2026-11'",
    "whence hold --everything --reason 'lawsuit'",
    short_help="What must not be erased.",
)
@click.option("--target", metavar="T", help="What is about this.")
@click.option("-a", "--agent", metavar="A", help="What this agent did.")
@click.option("--everything", is_flag=True, help="All of the log.")
@click.option("--reason", metavar="TEXT", help="Why. It stands in whence.toml.")
def command(
    where: Where, target: str | None, agent: str | None, everything: bool, reason: str | None
) -> None:
    """List the holds, or add one: `whence erase` and `whence prune` leave alone what it names.

    Holds stand as [[hold]] in whence.toml of the log's folder; taking one away means taking it out there.
    """
    from whence.proof.holds import Hold, read_holds

    screen = where.screen
    with where.open_journal() as log:
        if target is None and agent is None and not everything:
            if reason is not None:
                raise click.UsageError("want --target, --agent or --everything")
            holds = read_holds(log.settings)
            screen.show(map(str, holds) if holds else ["nothing is held"])
            return
        if not reason or (everything and (target or agent)):
            raise click.UsageError("want --reason, and one of --everything and names")
        read_holds(log.settings)
        hold = Hold(reason=reason, target=target, agent=agent)
        _add(log, hold.target, hold.agent, reason)
        screen.note(f"held: {hold}")


def _add(log: "Log", target: str | None, agent: str | None, reason: str) -> None:
    import tomllib

    from whence.errors import StoreError
    from whence.proof.files import replace_file
    from whence.settings import FILE_NAME

    # The file that counts: another one would stand in front of all that it says.
    path = log.settings.file or log.folder / FILE_NAME
    rows = [("target", target), ("agent", agent), ("reason", reason)]
    table = "".join(f"{name} = {_quote(value)}\n" for name, value in rows if value is not None)
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        mode = stat.S_IMODE(path.stat().st_mode) if before else 0o600
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    apart = "" if before.endswith("\n") or not before else "\n"
    text = f"{before}{apart}\n[[hold]]\n{table}".lstrip()
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Nothing could be recorded any more with a file that cannot be read.
        raise StoreError(f"cannot add a hold to {path}: {error}") from error
    replace_file(path, text.encode(), mode)


def _quote(text: str) -> str:
    """Write a text as TOML has it: as JSON does, but for the one control character that JSON lets stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
