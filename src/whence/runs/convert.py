"""From whatever a simulation holds to plain values, which JSON carries and a file gives back. Pure.

| value | becomes |
|---|---|
| objects with `as_dict`, mappings, dataclasses, models of msgspec and pydantic | an object |
| lists, tuples, queues, iterables that know their size | a list |
| sets | a list in the order of what it holds, since a set has none |
| numbers and arrays of numpy, enumerations | what they hold |
| floats that JSON cannot say | the text `"NaN"`, `"Infinity"` or `"-Infinity"` |
| functions and classes | `module:name`, by which another process finds those that have one |
| dates, ids, paths, decimals | their text; bytes in base64 |
| anything else | what `str` says, without an address; its class where that is all it says |

Keys become text as `json.dumps` writes them; of two that are the same text the last counts. The caller's objects are never changed.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from whence.event import decode_json
from whence.runs.digest import NOT_FINITE, canonical

LEVELS_MAX = 100
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


def plain(value: Any) -> Any:
    """A copy that holds nothing but objects, lists, text, numbers, true, false and None.

    Raises:
        ValueError: the value contains itself, or is nested too deep.
    """
    return decode_json(encode(value))


def encode(value: Any) -> bytes:
    """Write any value as JSON, keys in their own order; raises as `plain`."""
    try:
        return _write(value).encode()
    except (TypeError, ValueError, RecursionError):
        # Rare: what JSON cannot say is said by the slower path, or refused with its place.
        return _write(_copy(value, "", 0)).encode()


def overlay_to_dict(overlay: Any) -> dict[str, Any]:
    """Overlays by name, whatever holds them; TypeError for what has no names."""
    return _as_object(overlay, "overlays")


def variables_to_dict(variables: Any) -> dict[str, Any]:
    """Variables by name, whatever holds them; TypeError for what has no names."""
    return _as_object(variables, "variables")


def _as_object(value: Any, what: str) -> dict[str, Any]:
    made: Any = {} if value is None else plain(_open(value))
    if isinstance(made, list):
        # As `dict` takes them: pairs.
        pairs = [each for each in made if isinstance(each, list) and len(each) == 2]
        made = {str(key): item for key, item in pairs} if len(pairs) == len(made) else None
    if not isinstance(made, dict):
        raise TypeError(f"{what} are {type(value).__name__}, want names and values")
    return made


def _open(value: Any) -> Any:
    """Names and values of an object that has neither `as_dict` nor the like, but attributes."""
    is_opaque = not isinstance(value, str | bytes | list | tuple) and hasattr(value, "__dict__")
    if is_opaque and isinstance(_convert(value), str):
        return {name: item for name, item in vars(value).items() if not name.startswith("_")}
    return value


def _convert(value: Any) -> Any:
    """One level of a value that JSON has no word for."""
    kind = type(value)
    for name in ("as_dict", "model_dump"):
        method = getattr(kind, name, None)
        if callable(method):
            return method(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(map(plain, value), key=canonical)
    if dataclasses.is_dataclass(kind):
        return {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
            if hasattr(value, field.name)
        }
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in kind.__struct_fields__}
    if callable(getattr(kind, "tolist", None)):
        # Numbers and arrays of numpy, columns of pandas, `array`.
        return value.tolist()
    if isinstance(value, bytes | bytearray | memoryview):
        return msgspec.to_builtins(bytes(value))
    if hasattr(kind, "_value_") or hasattr(kind, "__members__"):
        return value.value
    if hasattr(kind, "isoformat"):
        return value.isoformat()
    if hasattr(kind, "__len__") and hasattr(kind, "__iter__"):
        return list(value)
    return _name(value)


def _name(value: Any) -> str:
    """Functions and classes by their name, anything else by what it says of itself."""
    if hasattr(value, "__qualname__") and hasattr(value, "__module__"):
        return f"{value.__module__}:{value.__qualname__}"
    if hasattr(value, "func") and hasattr(value, "args"):
        return f"partial of {_name(value.func)}"
    kind: Any = type(value)
    if kind.__str__ is not object.__str__:
        return _ADDRESS.sub("", str(value))
    if kind.__repr__ is not object.__repr__:
        return _ADDRESS.sub("", repr(value))
    return f"<{kind.__module__}.{kind.__qualname__}>"


_write: Callable[[Any], str] = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_convert
).encode


def _copy(value: Any, place: str, level: int) -> Any:
    """A plain copy, made value by value, that says where a value cannot be one."""
    if level > LEVELS_MAX:
        raise ValueError(f"{place[:80]}… contains itself, or is nested deeper than {LEVELS_MAX}")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return NOT_FINITE.get(float.__repr__(value), value)
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {
            (text := _key(key)): _copy(item, f"{place}/{text}", level + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_copy(item, f"{place}/{index}", level + 1) for index, item in enumerate(value)]
    return _copy(_convert(value), place, level + 1)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return _SURROGATES.sub("\ufffd", key)
    made = key if key is None or isinstance(key, bool | int | float) else _convert(key)
    return made if isinstance(made, str) else canonical(plain(made)).decode().strip('"')
