"""Rules about how overlays and capital move: `whence.laws`, applied to what a run tells. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from whence.laws import (
    CORE_OVERLAYS,
    DOMINANT,
    adjust_overlay,
    decay_overlay,
    find_conflicts,
    is_close,
    move_capital,
)
from whence.runs.rules.rule import Limits, rule
from whence.runs.rules.shifts import Shift, find_shifts
from whence.runs.rules.subject import AuditedRun, number, show

_TOLERANCE = 1e-6
_LAWS = {"decay": decay_overlay, "adjustment": adjust_overlay, "capital": move_capital}
_WORDS = {
    "decay": "max(0, {old:g} - {amount:g})",
    "adjustment": "{old:g} + {amount:g} within 0 to 1",
    "capital": "{old:g} + {amount:g}",
}


@rule(
    "overlay-coherence", "warning",
    "Overlays have the same names before and after, opposites are not both dominant, and told shifts lead"
    " from one to the other.",
    dominant=DOMINANT, tolerance=_TOLERANCE,
)  # fmt: skip
def overlay_coherence(run: AuditedRun, limits: Limits) -> Iterator[str]:
    """Tell what about the overlays does not fit together."""
    before, after = run.input_overlays, run.output_overlays
    if before and after:
        for name in before:
            if name not in after:
                yield f"output.overlays has no {show(name)}, which input has"
    if any(name in after for name in CORE_OVERLAYS):
        for one, other in find_conflicts(_numbers(after), limits["dominant"]):
            yield f"{one} and {other} are both dominant: {show(after[one])} and {show(after[other])}"
    yield from _broken_chain(run, before, after, ("decay", "adjustment"), limits["tolerance"])


@rule(
    "decay-law", "error", "Decay makes an overlay max(0, old - rate).", tolerance=_TOLERANCE
)  # fmt: skip
def decay_law(run: AuditedRun, limits: Limits) -> Iterator[str]:
    """Check told decays, and all overlays of a turn in which nothing but decay was at work."""
    shifts = list(find_shifts(run))
    yield from _lawless(shifts, "decay", limits["tolerance"])
    rate = number(run.input.get("decay_rate"))
    # Only an explicit null says that no rules ran.
    is_alone = "rule_fn" in run.input and run.input["rule_fn"] is None
    if rate is None or not is_alone or any(shift.kind == "adjustment" for shift in shifts):
        return
    after = _numbers(run.output_overlays)
    for name, old in _numbers(run.input_overlays).items():
        wanted = decay_overlay(old, rate)
        if name in after and not is_close(after[name], wanted, limits["tolerance"]):
            yield (
                f"output.overlays.{name} is {after[name]:g}, want max(0, {old:g} - {rate:g}), since no"
                " rules ran"
            )


@rule(
    "adjustment-law", "error", "An adjustment makes an overlay old + delta, kept within 0 to 1.",
    tolerance=_TOLERANCE,
)  # fmt: skip
def adjustment_law(run: AuditedRun, limits: Limits) -> Iterator[str]:
    """Check told adjustments."""
    yield from _lawless(find_shifts(run), "adjustment", limits["tolerance"])


@rule(
    "capital-arithmetic", "error",
    "A gain or loss makes capital old + delta, and told ones lead from the input's capital to the output's.",
    tolerance=_TOLERANCE,
)  # fmt: skip
def capital_arithmetic(run: AuditedRun, limits: Limits) -> Iterator[str]:
    """Check told moves of capital, each and as a chain."""
    yield from _lawless(find_shifts(run), "capital", limits["tolerance"])
    yield from _broken_chain(
        run, run.input_capital, run.output_capital, ("capital",), limits["tolerance"]
    )


@rule(
    "input-equals-output", "warning",
    "The input was captured before the work, so that it is not the same as the output.",
)  # fmt: skip
def input_equals_output(run: AuditedRun, _limits: Limits) -> Iterator[str]:
    """Tell a run whose overlays or whose everything came out as it went in, though something was to decay."""
    if run.input and run.input == run.output:
        yield "input and output are the same"
    before, after = run.input_overlays, run.output_overlays
    rate = number(run.input.get("decay_rate"))
    is_at_rest = rate == 0 or not any(_numbers(before).values())
    if before and before == after and not is_at_rest:
        yield "overlays came out as they went in"


def _lawless(shifts: Iterator[Shift] | list[Shift], kind: str, tolerance: float) -> Iterator[str]:
    law = _LAWS[kind]
    for shift in shifts:
        if shift.kind == kind and not is_close(shift.new, law(shift.old, shift.amount), tolerance):
            wanted = _WORDS[kind].format(old=shift.old, amount=shift.amount)
            yield f"{shift.path}: {show(shift.name)} became {shift.new:g}, want {wanted}"


def _broken_chain(
    run: AuditedRun,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    kinds: tuple[str, ...],
    tolerance: float,
) -> Iterator[str]:
    """Tell where a shift does not begin where the one before it ended, and an end that is another."""
    reached = _numbers(before)
    moved: set[str] = set()
    for shift in find_shifts(run):
        if shift.kind not in kinds:
            continue
        now = reached.get(shift.name)
        if now is not None and not is_close(shift.old, now, tolerance):
            yield f"{shift.path}: {show(shift.name)} begins at {shift.old:g}, but was {now:g}"
        reached[shift.name] = shift.new
        moved.add(shift.name)
    ends = _numbers(after)
    for name in sorted(moved & ends.keys()):
        if not is_close(ends[name], reached[name], tolerance):
            yield f"{show(name)} ends at {ends[name]:g}, but its shifts lead to {reached[name]:g}"


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    found = {name: number(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}
