"""The options by which `runs` and `replay` choose runs."""

import functools
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from whence.cli.options import Declared, Decorator, Filters, complete_named
from whence.cli.screen import Screen

if TYPE_CHECKING:
    from whence.log import Log
    from whence.runs.history import RunRecord

STATUSES = ("saved", "failed", "unfinished")


class RunFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs the options choose, in the user's words."""

    agent: str | None = None
    name: str | None = None
    status: Literal["saved", "failed", "unfinished"] | None = None
    since: str | None = None
    until: str | None = None

    @property
    def are_given(self) -> bool:
        """Whether any was given."""
        return self != RunFilters()


def choose_runs(
    log: "Log", filters: RunFilters, screen: Screen, number: int | None
) -> "Iterator[RunRecord]":
    """Give the runs that are meant, the newest first, at most so many."""
    from whence.runs.history import read_runs

    query = Filters(agent=filters.agent, since=filters.since, until=filters.until).query(
        log, screen
    )
    chosen = (
        run
        for run in read_runs(log, query)
        if filters.name in (None, run.name) and filters.status in (None, run.status)
    )
    return islice(chosen, number)


def run_filters(function: Declared) -> Declared:
    """Add the options that choose runs; the verb receives them as `filters`."""

    @functools.wraps(function)
    def call(*args: Any, **rest: Any) -> None:
        values = {name: rest.pop(name) for name in RunFilters.__struct_fields__}
        function(*args, filters=RunFilters(**values), **rest)

    declared: Declared = call
    for option in reversed(_OPTIONS):
        declared = option(declared)
    return declared


_OPTIONS: list[Decorator] = [
    click.option(
        "-a", "--agent", metavar="A", shell_complete=complete_named("agents"), help="Who did it."
    ),
    click.option("--name", metavar="NAME", help="What they are runs of."),
    click.option(
        "--status", type=click.Choice(STATUSES), metavar="S",
        help="How a run ended: saved, failed; unfinished if it did not.",
    ),
    click.option("-S", "--since", metavar="WHEN", help='"2h ago", "yesterday 14:00", ISO, @epoch.'),
    click.option("-U", "--until", metavar="WHEN", help="The same; up to but not including it."),
]  # fmt: skip
