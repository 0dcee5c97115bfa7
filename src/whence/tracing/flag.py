"""The `--trace` flag for a user's own program."""

import argparse
from collections.abc import Sequence
from typing import Any

from whence.tracing.spans import Tracer

_SHOWN = ("tree", "lines", "both", "off")


class _Trace(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 argparse's signature
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Switch tracing on where the flag is given; without it nothing changes."""
        setattr(namespace, self.dest, True)
        Tracer().enable(console=str(values))  # type: ignore[arg-type]


def add_argument(parser: argparse.ArgumentParser, flag: str = "--trace") -> None:
    """Give a program the flag that traces its steps and draws them on stderr.

    `--trace` draws a tree when it is complete; `--trace=lines` says each step when it begins,
    `--trace=both` does both and `--trace=off` only records. Without the flag the environment and
    the settings decide, as ever.
    """
    parser.add_argument(
        flag,
        action=_Trace,
        nargs="?",
        const="tree",
        default=False,
        choices=_SHOWN,
        metavar="FORM",
        help="trace all steps and show them: tree (if nothing is said), lines, both or off",
    )
