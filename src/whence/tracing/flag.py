"""The `--trace` flag for a user's own program."""

import argparse
from collections.abc import Sequence
from typing import Any

from whence.tracing.spans import Tracer
from whence.tracing.switches import Console

_FORMS: tuple[Console, ...] = ("tree", "lines", "both", "off")


class _Trace(argparse.Action):
    """Switches tracing on where the flag is given; without it nothing changes."""

    const: Console

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 argparse's signature
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        setattr(namespace, self.dest, True)
        Tracer().enable(console=self.const)


def add_argument(parser: argparse.ArgumentParser, flag: str = "--trace") -> None:
    """Give a program the flag that traces its steps and draws them on stderr.

    `--trace` draws a tree when it is complete; `--trace=lines` says each step when it begins,
    `--trace=both` does both and `--trace=off` only records. Without the flag the environment and
    the settings decide, as ever.
    """
    plain = parser.add_argument(
        flag,
        action=_Trace,
        nargs=0,
        const=_FORMS[0],
        default=False,
        help=(
            "trace all steps and draw them as trees; "
            f"{flag}=lines says each when it begins, {flag}=both does both, {flag}=off only records"
        ),
    )
    # Options of their own: one with a value that may be left out would take what follows it.
    for form in _FORMS:
        parser.add_argument(
            f"{flag}={form}",
            action=_Trace,
            nargs=0,
            const=form,
            dest=plain.dest,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
