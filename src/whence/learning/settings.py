"""What `[learning]` in `whence.toml` may say.

`half_life`: seconds, or a number with a unit as in "30 days"; `mirror`: true for the seed's path, or a path;
`on_error`: "raise" or "count".
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from whence.log import Log

OnError = Literal["raise", "count"]

DEFAULT_MIRROR = Path("logs") / "pulse_learning_log.jsonl"
"""Where the seed's learning log is if nobody says."""

HALF_LIFE_MAX_S = 1e12

_VARIABLES = ("WHENCE_LEARNING_LOG_PATH", "PULSE_LEARNING_LOG_PATH")
_UNITS = {"s": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600,
          "d": 86400, "day": 86400, "w": 604800, "week": 604800}  # fmt: skip
_PHRASE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*")
_KEYS = frozenset({"half_life", "mirror", "on_error"})


def read_half_life(log: Log) -> float | None:
    """After how many seconds evidence counts half; None where it does not age."""
    said = _table(log).get("half_life")
    if said is None:
        return None
    if isinstance(said, str):
        found = _PHRASE.fullmatch(said)
        unit = found and (_UNITS.get(found[2]) or _UNITS.get(found[2].removesuffix("s")))
        said = float(found[1]) * unit if found and unit else said
    if (
        isinstance(said, bool)
        or not isinstance(said, int | float)
        or not 0 < said < HALF_LIFE_MAX_S
    ):
        raise ValueError(
            f'{log.settings.file}: `half_life` of [learning] is {said!r}, want seconds or "30 days"'
        )
    return float(said)


def read_on_error(log: Log) -> OnError:
    """What becomes of a learning event that could not be kept."""
    said = _table(log).get("on_error", "raise")
    if said not in ("raise", "count"):
        raise ValueError(
            f"{log.settings.file}: `on_error` of [learning] is {said!r}, want raise or count"
        )
    return cast(OnError, said)


def find_mirror(log: Log, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the seed's lines go besides, looked up for each event; None if nowhere."""
    for name in _VARIABLES:
        named = environment.get(name)
        if named:
            return Path(named)
    said = _table(log).get("mirror", False)
    if said is False:
        return None
    base = log.settings.file.parent if log.settings.file else Path()
    if said is True:
        return base / DEFAULT_MIRROR
    if not isinstance(said, str) or not said:
        raise ValueError(
            f"{log.settings.file}: `mirror` of [learning] is {said!r}, want true, false or a path"
        )
    return base / said


def _table(log: Log) -> dict[str, Any]:
    table = log.settings.others.get("learning", {})
    if not isinstance(table, dict):
        raise ValueError(f"{log.settings.file}: [learning] is no table")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ValueError(
            f"{log.settings.file}: unknown key `{unknown[0]}` in [learning];"
            f" want {', '.join(sorted(_KEYS))}"
        )
    return table
