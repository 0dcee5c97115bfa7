"""`whence hold`: what must not be erased."""

import json
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
    from whence.errors import StoreError
    from whence.proof.files import replace_file
    from whence.settings import FILE_NAME

    path = log.folder / FILE_NAME
    rows = [("target", target), ("agent", agent), ("reason", reason)]
    # A JSON text is a text of TOML, too.
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in rows if value is not None)
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    replace_file(
        path,
        f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}\n[[hold]]\n{table}".lstrip().encode(),
    )
