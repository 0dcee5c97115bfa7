"""What a rule gets to see: one run as its file holds it, whatever that is. Pure."""

from collections.abc import Iterator
from typing import Any

_SHOWN_MAX = 60


class AuditedRun:
    """One run file that could be read as a JSON object; nothing is promised about what is in it.

    `input`, `output` and `state` are empty where the file has none that is an object. `raw` is the file
    as bytes, `now` the seconds since 1970 at which the audit looks.
    """

    __slots__ = ("content", "file", "input", "now", "output", "raw", "state")

    def __init__(self, file: str, content: dict[str, Any], raw: bytes, now: float) -> None:
        self.file = file
        self.content = content
        self.raw = raw
        self.now = now
        self.input = _object(content.get("input"))
        self.output = _object(content.get("output"))
        self.state = _object(self.input.get("state"))

    @property
    def trace_id(self) -> Any:
        """The id that the file gives itself."""
        return self.content.get("trace_id")

    @property
    def input_overlays(self) -> dict[str, Any]:
        """The overlays that the run began with."""
        return _object(self.state.get("overlays")) or _object(self.input.get("overlays"))

    @property
    def output_overlays(self) -> dict[str, Any]:
        """The overlays that the run ended with."""
        return _object(self.output.get("overlays"))

    @property
    def input_capital(self) -> dict[str, Any]:
        """Capital per asset at the beginning."""
        return _object(self.state.get("capital")) or _object(self.input.get("capital"))

    @property
    def output_capital(self) -> dict[str, Any]:
        """Capital per asset at the end."""
        return _object(self.output.get("capital"))

    @property
    def forks(self) -> list[Any]:
        """The output's forks."""
        forks = self.output.get("forks")
        return forks if isinstance(forks, list) else []

    def overlays(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every set of overlays in the file, with its path."""
        for path, holder in self.holders():
            overlays = _object(holder.get("overlays"))
            if overlays:
                yield f"{path}.overlays", overlays

    def holders(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The objects that may hold overlays, scores and the like: input, its state, output, forks."""
        yield "input", self.input
        yield "input.state", self.state
        yield "output", self.output
        for index, fork in enumerate(self.forks):
            if isinstance(fork, dict):
                yield f"output.forks[{index}]", fork


def number(value: object) -> float | None:
    """The value as a float if it is a number; NaN and infinities are numbers, True is none."""
    if isinstance(value, float):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def show(value: object) -> str:
    """Write a value of somebody's file in a message, however long it is."""
    if isinstance(value, str):
        text = repr(value[: _SHOWN_MAX + 1])
    elif isinstance(value, dict | list):
        text = f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    elif isinstance(value, int) and value.bit_length() > 4 * _SHOWN_MAX:
        text = f"a number of {value.bit_length()} bits"
    else:
        text = "null" if value is None else str(value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
