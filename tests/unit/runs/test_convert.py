import dataclasses
import datetime as dt
import decimal
import enum
import functools
import math
import uuid
from collections import OrderedDict, deque
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.runs.convert import encode, overlay_to_dict, plain, variables_to_dict

_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class _Overlays:
    """As the seed's own: it gives its values by `as_dict`, and has attributes besides."""

    def __init__(self) -> None:
        self.hope = 0.5

    def as_dict(self) -> dict[str, float]:
        return {"hope": self.hope, "trust": 1.0}


class _Attributes:
    def __init__(self) -> None:
        self.hope = 0.5
        self._cache = object()


@dataclasses.dataclass(slots=True)
class _Data:
    x: int
    inner: Any = None


class _Struct(msgspec.Struct):
    x: int


class _Mood(enum.Enum):
    CALM = "calm"


class _Level(enum.IntEnum):
    HIGH = 3


class _Model:
    """Stands for a pydantic model: what is asked of one is `model_dump`."""

    def model_dump(self) -> dict[str, int]:
        return {"x": 1}


class _Array:
    """Stands for numpy's arrays and numbers: what is asked of them is `tolist`."""

    def __init__(self, value: object) -> None:
        self.value = value

    def tolist(self) -> object:
        return self.value


class _Silent:
    pass


def rule() -> None:
    """A function with a name."""


@given(_plain)
def test_plain_values_stay_as_they_are_in_the_same_order(value: Any) -> None:
    made = plain(value)

    assert made == value
    assert repr(made) == repr(value)


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ((1, (2,)), [1, [2]]),
        (deque([1]), [1]),
        (range(3), [0, 1, 2]),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (frozenset([10, 9]), [10, 9]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (_Overlays(), {"hope": 0.5, "trust": 1.0}),
        (_Data(1, _Data(2)), {"x": 1, "inner": {"x": 2, "inner": None}}),
        (_Struct(1), {"x": 1}),
        (_Model(), {"x": 1}),
        (_Array([1.5, [2]]), [1.5, [2]]),
        (_Array(2.5), 2.5),
        (_Mood.CALM, "calm"),
        (_Level.HIGH, 3),
        ({1: "a", None: "b", 1.5: "c", True + 1: "d"}, {"1": "a", "null": "b", "1.5": "c", "2": "d"}),
        ({1: "a", "1": "b"}, {"1": "b"}),
        ({1: math.nan, "1": "b"}, {"1": "b"}),
        ({_Mood.CALM: 1, (1, 2): 2}, {"calm": 1, "[1,2]": 2}),
        ([math.nan, math.inf, -math.inf], ["NaN", "Infinity", "-Infinity"]),
        ("\ud800a", "\ufffda"),
        (2**70, 2**70),
        (b"\xff", "/w=="),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (decimal.Decimal("1.50"), "1.50"),
        (len, "builtins:len"),
        (functools.partial(len), "partial of builtins:len"),
        (_Silent(), f"<{__name__}._Silent>"),
    ],
)  # fmt: skip
def test_values_become_what_is_documented(value: object, made: object) -> None:
    assert plain(value) == made
    assert plain({"in": [value]}) == {"in": [made]}


def test_functions_are_named_so_that_another_process_finds_them() -> None:
    assert plain(rule) == f"{__name__}:rule"
    assert "<lambda>" in plain(lambda: None)


def test_what_says_nothing_of_itself_says_no_address() -> None:
    assert "0x" not in plain([_Silent(), (each for each in "ab"), {"x": object()}])[1]


def test_the_caller_s_objects_are_untouched() -> None:
    inner = {"x": [1, {2}]}
    value = {"a": inner, "b": _Data(1, inner)}

    made = plain(value)
    made["a"]["x"].append(3)

    assert value == {"a": {"x": [1, {2}]}, "b": _Data(1, {"x": [1, {2}]})}


def test_what_contains_itself_is_refused_with_its_place() -> None:
    cycle: dict[str, object] = {}
    cycle["a"] = [cycle]
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]

    with pytest.raises(ValueError, match="/a/0/a"):
        plain(cycle)
    with pytest.raises(ValueError, match="deeper than 100"):
        plain(deep)


def test_an_object_s_own_error_is_the_caller_s() -> None:
    class Broken:
        def as_dict(self) -> dict[str, object]:
            raise LookupError("no values yet")

    with pytest.raises(LookupError, match="no values yet"):
        plain({"a": Broken()})


def test_encoding_keeps_the_order_of_keys_and_all_characters() -> None:
    assert encode({"b": "é\n", "a": [1.0]}) == '{"b":"é\\n","a":[1.0]}'.encode()


@pytest.mark.parametrize("convert", [overlay_to_dict, variables_to_dict])
def test_overlays_and_variables_come_from_whatever_holds_them(convert: Any) -> None:
    assert convert(_Overlays()) == {"hope": 0.5, "trust": 1.0}
    assert convert({"hope": _Array(0.5)}) == {"hope": 0.5}
    assert convert(_Attributes()) == {"hope": 0.5}
    assert convert([("hope", 0.5)]) == {"hope": 0.5}
    assert convert(None) == {}
    for value in (7, "text", [1, 2]):
        with pytest.raises(TypeError, match="names and values"):
            convert(value)
