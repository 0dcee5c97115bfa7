"""The tracker's file, in both shapes that systems of the seed's kind wrote. Reading changes nothing until all is read."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from whence.errors import CorruptError, NotFoundError, StoreError
from whence.learning.evidence import COUNT_MAX, Belief, Imported, is_moment
from whence.learning.files import write_whole

_NS_PER_S = 1e9
_BYTES_MAX = 1024 * 1024 * 1024

History = Mapping[str, Iterable[tuple[float, float]]]
"""By key, when its trust was what: seconds since 1970 and the trust."""


def read_file(path: Path) -> tuple[list[Imported], list[str]]:
    """Read an exported tracker: its keys, and those whose counts are infinite, or as good as, and are no evidence.

    Raises:
        NotFoundError: there is no such file.
        StoreError: it cannot be read.
        CorruptError: it is not such a file; the message says what in it is wrong.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise CorruptError(f"{path} is too large for trust data")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    try:
        return parse(content)
    except CorruptError as error:
        raise CorruptError(f"{path} is no trust data: {error}") from error


def parse(content: bytes) -> tuple[list[Imported], list[str]]:
    """Read the text of such a file; CorruptError and nothing else, whatever it holds."""
    try:
        # JSON as Python writes it: `Infinity` and `NaN` are numbers there.
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorruptError(f"it is {_kind(value)}, want an object")
    stats = _object(value, "stats")
    if "stats" not in value:
        raise CorruptError("it has no `stats`")
    updates, times = _object(value, "last_update"), _object(value, "timestamps")
    exported_s = _exported(value)
    found, endless = [], []
    for key, pair in stats.items():
        if not key:
            raise CorruptError("a key of `stats` is empty")
        _check_text(key)
        alpha, beta = _pair(f"stats of {key!r}", pair)
        if not (alpha > 0 and beta > 0):
            raise CorruptError(f"stats of {key!r} are {pair}, want two numbers above 0")
        if max(alpha, beta) > COUNT_MAX:
            endless.append(key)
            continue
        found.append(
            Imported(
                key,
                alpha,
                beta,
                _moment(updates, key),
                _history(key, times.get(key)),
                exported_s,
            )
        )
    return found, endless


def write_file(
    path: Path, beliefs: Mapping[str, Belief], history: History, export_s: float
) -> None:
    """Write what is known, whole or not at all, readable by its owner alone.

    Raises:
        StoreError: it could not be kept; what had the name before has it still.
    """
    content = json.dumps(
        {
            "stats": {key: [belief.alpha, belief.beta] for key, belief in beliefs.items()},
            "last_update": {
                key: belief.last_ns / _NS_PER_S
                for key, belief in beliefs.items()
                if belief.last_ns is not None
            },
            "timestamps": {key: [list(point) for point in history.get(key, ())] for key in beliefs},
            "export_time": export_s,
        },
        ensure_ascii=False,
        allow_nan=False,
    ).encode()
    write_whole(path, [content])


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name, {})
    if not isinstance(found, dict):
        raise CorruptError(f"`{name}` is {_kind(found)}, want an object")
    return found


def _exported(value: Mapping[str, Any]) -> float | None:
    """When the file was written, and its counts were as they are in it; None where it does not say so in seconds."""
    try:
        found = _number("export_time", value.get("export_time"))
    except CorruptError:
        return None
    return found if is_moment(found) else None


def _moment(updates: Mapping[str, Any], key: str) -> float | None:
    """When a key was updated; None where the file does not say, or says never."""
    if updates.get(key) is None:
        return None
    found = _number(f"last_update of {key!r}", updates[key])
    # The seed's tracker calls what was never updated infinitely long ago, or the year 1970.
    return found if is_moment(found) else None


def _history(key: str, found: object) -> tuple[tuple[float, float], ...]:
    name = f"timestamps of {key!r}"
    if found is None:
        return ()
    if isinstance(found, dict):
        times, values = found.get("times", []), found.get("values", [])
        if not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
            raise CorruptError(f"{name} have not as many `values` as `times`")
        found = [list(pair) for pair in zip(times, values, strict=True)]
    if not isinstance(found, list):
        raise CorruptError(f"{name} are {_kind(found)}, want a list")
    pairs = (_pair(name, pair) for pair in found)
    return tuple((at, trust) for at, trust in pairs if is_moment(at) and 0 <= trust <= 1)


def _pair(name: str, found: object) -> tuple[float, float]:
    if not isinstance(found, list) or len(found) != 2:
        raise CorruptError(f"{name} are {_kind(found)}, want two numbers")
    return _number(name, found[0]), _number(name, found[1])


def _number(name: str, found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise CorruptError(f"{name}: {_kind(found)}, want a number")
    try:
        number = float(found)
    except OverflowError:
        raise CorruptError(f"{name}: a number too large") from None
    if math.isnan(number):
        raise CorruptError(f"{name}: NaN, want a number")
    return number


def _check_text(key: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise CorruptError("a key of `stats` holds a lone surrogate") from error


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "null", bool: "a boolean"}
    return names.get(type(value), "a number")
