"""Rules about single values: numbers within their ranges, moments that can be. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from whence.laws import OVERLAY_MAX, OVERLAY_MIN
from whence.runs.rules.rule import Limits, rule
from whence.runs.rules.subject import AuditedRun, number, show

_SCORES = ("trust", "confidence", "fragility")
_TIMES = ("timestamp", "created_at", "started_at", "ended_at")
_MS_FROM = 1e11
"""Numbers from here on are milliseconds: as seconds they would be in the year 5138."""


@rule(
    "range", "error", "Overlays, trust, confidence and fragility are numbers from 0 to 1.",
    min=OVERLAY_MIN, max=OVERLAY_MAX,
)  # fmt: skip
def value_range(run: AuditedRun, limits: Limits) -> Iterator[str]:
    """Name the values that are out of bounds, also those that are no numbers at all, as NaN."""
    low, high = limits["min"], limits["max"]
    for path, name, value in _bounded(run):
        found = number(value)
        if found is not None and not low <= found <= high:
            yield f"{path}.{name} is {show(value)}, want {low:g} to {high:g}"


def _bounded(run: AuditedRun) -> Iterator[tuple[str, str, Any]]:
    for path, overlays in run.overlays():
        for name, value in overlays.items():
            yield path, name, value
    for path, holder in run.holders():
        for name in _SCORES:
            if name in holder:
                yield path, name, holder[name]


@rule(
    "timestamp", "warning",
    "Timestamps are ISO text or seconds since 1970, not in the future, and in order.",
    future_s=300,
)  # fmt: skip
def timestamp(run: AuditedRun, limits: Limits) -> Iterator[str]:
    """Name the moments that are none, that are still to come, and an output before its input."""
    moments: dict[str, float] = {}
    for path, holder in run.holders():
        for name in _TIMES:
            value = holder.get(name)
            if value is None:
                continue
            moment = parse_moment(value)
            if moment is None:
                yield f"{path}.{name} is {show(value)}, which is no time"
            elif moment > run.now + limits["future_s"]:
                yield f"{path}.{name} is {show(value)}, which is in the future"
            else:
                moments[f"{path}.{name}"] = moment
    began = moments.get("input.state.timestamp", moments.get("input.timestamp"))
    ended = moments.get("output.timestamp")
    if began is not None and ended is not None and ended < began:
        yield "output.timestamp is before the input's"


def parse_moment(value: object) -> float | None:
    """Read ISO text or a number as seconds since 1970; None if it is no moment. Without a zone it is UTC."""
    seconds = number(value)
    if seconds is not None:
        seconds = seconds / 1000 if seconds >= _MS_FROM else seconds
        return seconds if 0 <= seconds < _MS_FROM else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None
