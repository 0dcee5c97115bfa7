"""`whence why`: the path up to the first causes, and what else those led to."""

from whence.cli.options import Where, complete_reference, number_of, output_option, verb
from whence.cli.sourced import sources

import click  # isort: skip


@verb(
    "whence why task-sub1                         what led to it, and what else came of that",
    "whence why @last",
    "whence why task-abc123 --source space-os:.space",
    short_help="What led to something, and what else that led to.",
)
@number_of("--depth", help="Levels below REF.")
@number_of("-n", "--number", help="At most N effects of one cause.")
@sources
@output_option("short", "json", "jsonl", "md", "mermaid", "dot")
@click.argument("ref", shell_complete=complete_reference)
def command(where: Where, ref: str, depth: int | None, number: int | None, output: str) -> None:
    """Draw the causes of REF from the first ones down, with all that came of each.

    A dotted arrow is a cause that a source implies, with the column or sign that says so.
    """
    from whence.cli.causes import show_causes

    show_causes(where, ref, depth=depth, width=number, output=output, is_wide=True)
