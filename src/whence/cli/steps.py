"""The options by which `spans` and `stats` choose steps."""

import functools
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from whence.cli.options import Declared, Decorator, Filters, complete_named
from whence.cli.screen import Screen

if TYPE_CHECKING:
    from whence.log import Log
    from whence.query import StepQuery


class StepFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which steps the options choose, in the user's words; with `status` `open` unfinished ones."""

    hrm: str | None = None
    operation: str | None = None
    status: Literal["success", "error", "blocked", "open"] | None = None
    slow: str | None = None
    agent: str | None = None
    target: str | None = None
    since: str | None = None
    until: str | None = None

    @property
    def only_open(self) -> bool:
        """Whether only steps that never ended are wanted."""
        return self.status == "open"

    def query(self, log: "Log", screen: Screen, *, is_quiet: bool = False) -> "StepQuery":
        """Settle phrases and names, and say on stderr what window is meant, unless `is_quiet`."""
        from whence.ask.spans import clean_steps
        from whence.ask.times import parse_duration
        from whence.query import Query, StepQuery

        layer, operation = split_operation(self.hrm, self.operation)
        chosen = Filters(
            agent=self.agent, target=self.target, primitive=layer, type=operation,
            status=None if self.only_open else self.status, since=self.since, until=self.until,
        ).query(log, screen, is_quiet=is_quiet)  # fmt: skip
        slow = None if self.slow is None else parse_duration(self.slow)
        fields = {name: getattr(chosen, name) for name in Query.__struct_fields__}
        return clean_steps(StepQuery(**fields, slow=slow))


def split_operation(layer: str | None, operation: str | None) -> tuple[str | None, str | None]:
    """Tell layer and operation apart, however they are spelt: `alt.plan`, `altitude.plan`, `alt_plan`."""
    from whence.query import LAYERS

    if layer is not None:
        layer = LAYERS.get(layer, layer)
    if operation is None:
        return layer, None
    before, dot, after = operation.partition(".")
    if not (dot and after):
        before, dot, after = operation.partition("_")
        if before not in LAYERS or not after:
            return layer, operation
    named = LAYERS.get(before, before)
    return (named, after) if layer in (None, named) else (layer, operation)


def step_filters(function: Declared) -> Declared:
    """Add the options that choose steps; the verb receives them as `filters`."""

    @functools.wraps(function)
    def call(*args: Any, **rest: Any) -> None:
        values = {name: rest.pop(name) for name in StepFilters.__struct_fields__}
        function(*args, filters=StepFilters(**values), **rest)

    declared: Declared = call
    for option in reversed(_OPTIONS):
        declared = option(declared)
    return declared


_STATUSES = ("success", "error", "blocked", "open")

_OPTIONS: list[Decorator] = [
    click.option(
        "--hrm", "-p", "--primitive", "hrm", metavar="LAYER",
        help="The layer: altitude or alt, focus or foc, …, or any primitive.",
    ),
    click.option(
        "--operation", "--type", "operation", metavar="NAME",
        help="The operation: transition, or altitude.transition.",
    ),
    click.option(
        "--status", type=click.Choice(_STATUSES), metavar="S",
        help="How a step ended: success, error, blocked; open if it did not.",
    ),
    click.option("--slow", metavar="TIME", help="Only what took so long or longer: 50ms, 2s."),
    click.option(
        "-a", "--agent", metavar="A", shell_complete=complete_named("agents"), help="Who did it."
    ),
    click.option(
        "--target", metavar="T", shell_complete=complete_named("targets"), help="What it was done to."
    ),
    click.option("-S", "--since", metavar="WHEN", help='"2h ago", "yesterday 14:00", ISO, @epoch.'),
    click.option("-U", "--until", metavar="WHEN", help="The same; up to but not including it."),
]  # fmt: skip
