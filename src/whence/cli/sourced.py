"""The options of verbs that ask sources besides the journal: `--source` and `--strict`."""

import functools
from typing import Any

import click
import msgspec

from whence.cli.options import Declared, Where

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


_SOURCE = click.option(
    "--source", multiple=True, metavar="KIND:PATH", help=f"{_SOURCE_HELP} May be repeated."
)
_STRICT = click.option(
    "--strict", is_flag=True, help="Exit with 1 if a source could not answer in full."
)
