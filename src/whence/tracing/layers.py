"""Layers and their operations, however they are spelt. Pure.

`alt` and `altitude` are one layer, `transition` and `altitude.transition` one operation of it.
"""

import re
from collections.abc import Callable

from whence.query import LAYERS

_CODES = {name: code for code, name in LAYERS.items()}
_NO_CODE = re.compile(r"[^\w.-]+")
_CODE_MAX = 32
_NAME_MAX = 200
_RANDOM_BYTES = 8
_NS_PER_S = 1_000_000_000


def layer_of(hrm: object) -> str:
    """The full name of a layer that is given by its name or its code; `system` for nothing."""
    name = as_name(hrm).strip()[:_NAME_MAX]
    return LAYERS.get(name, name) or "system"


def code_of(layer: str) -> str:
    """What stands for a layer in ids and in the console: its code, or its own name."""
    return _CODES.get(layer) or _NO_CODE.sub("_", layer)[:_CODE_MAX] or "sys"


def operation_of(layer: str, operation: object) -> str:
    """An operation without the layer that may stand before it; `step` for nothing."""
    name = as_name(operation).strip()[:_NAME_MAX]
    before, dot, after = name.partition(".")
    if dot and after and LAYERS.get(before, before) == layer:
        name = after
    return name or "step"


def as_text(value: object) -> str:
    """Any value as text; "" for None, and what it is where it cannot say."""
    if value is None:
        return ""
    try:
        return str.__str__(value if isinstance(value, str) else str(value))
    except Exception as error:  # noqa: BLE001 - it is not ours, and may raise anything
        return f"<{type(value).__name__} whose text raised {type(error).__name__}>"


def as_name(value: object) -> str:
    """Any value as text that an envelope can hold: no lone surrogates."""
    text = as_text(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def make_id(layer: str, time_ns: int, random: Callable[[int], bytes]) -> str:
    """Make an id of the seed's form, for a layer's full name."""
    # The seed's four digits meet by chance within a second; sixteen do not.
    return f"{code_of(layer)}_{time_ns // _NS_PER_S}_{random(_RANDOM_BYTES).hex()}"
