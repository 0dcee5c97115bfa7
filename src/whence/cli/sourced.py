"""Who asks sources besides the journal: the options `--source` and `--strict`, and a word of the verbs that do not."""

import functools
from typing import TYPE_CHECKING, Any

import click
import msgspec

from whence.cli.options import Declared, Where

if TYPE_CHECKING:
    from whence.cli.screen import Screen
    from whence.log import Log

_SOURCE_HELP = "Ask this store too: space-os, sqlite, jsonl, git or claude-code, and where it is."


def sources(function: Declared) -> Declared:
    """Add the options; the verb's `Where` then opens logs with these sources."""

    @functools.wraps(function)
    def call(where: Where, *args: Any, source: tuple[str, ...], strict: bool, **rest: Any) -> None:
        named = msgspec.structs.replace(where, sources=source, strict=strict)
        function(named, *args, **rest)

    declared: Declared = call
    for option in (_STRICT, _SOURCE):
        declared = option(declared)
    return declared


def note_unasked(log: "Log", screen: "Screen", what: str) -> None:
    """Say on stderr that the sources which are declared were not asked, where there are any."""
    if log.settings.others.get("source"):
        screen.note(f"sources are not {what}; whence show and whence why ask them too")


_SOURCE = click.option(
    "--source", multiple=True, metavar="KIND:PATH", help=f"{_SOURCE_HELP} May be repeated."
)
_STRICT = click.option(
    "--strict", is_flag=True, help="Exit with 1 if a source could not answer in full."
)
