"""Two values are compared by path, exactly or within tolerances."""

import math
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.runs.compare import (
    KEPT,
    Comparison,
    Difference,
    Path,
    Tolerance,
    compare,
    fits,
    format_path,
    join,
    make_tolerance,
    parse_tolerance,
)
from whence.runs.digest import digest

_KEYS = st.sampled_from(["a", "b", "hope", "x.y"])
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, math.nan, math.inf, 10**400, 1e308]),
    st.sampled_from(["", "a", "1", "one", "other"]),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)
_PATTERNS = st.lists(st.sampled_from(["a", "b", "hope", "*", "**", "0", "1", "h*"]), max_size=4)
_TOLERANCES = st.lists(
    st.builds(
        Tolerance,
        _PATTERNS.map(".".join),
        absolute=st.sampled_from([0.0, 0.5, 1.0]),
        relative=st.sampled_from([0.0, 0.5]),
        anything=st.booleans(),
    ),
    max_size=3,
)


# -- the same a second time, slow and obvious ------------------------------------------------------


def slow_leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Everything in a value by its path; what holds others as a word for its kind."""
    if isinstance(value, dict):
        found: dict[Path, Any] = {path: "an object"}
        for key, item in value.items():
            found |= slow_leaves(item, (*path, key))
        return found
    if isinstance(value, list):
        found = {path: "a list"}
        for place, item in enumerate(value):
            found |= slow_leaves(item, (*path, place))
        return found
    return {path: [value]}


def slow_compare(one: Any, other: Any, rules: list[Tolerance]) -> tuple[set[Path], set[Path]]:
    """The paths that differ, and those that differ within what is tolerated."""
    left, right = slow_leaves(one), slow_leaves(other)
    differ: set[Path] = set()
    tolerated: set[Path] = set()
    for path in {*left, *right}:
        if any(path[:end] in differ | tolerated for end in range(len(path))):
            continue
        if any(_is_told_above(path[:end], left, right) for end in range(len(path))):
            continue
        first, second = left.get(path), right.get(path)
        if _same(first, second):
            continue
        rule = next((rule for rule in reversed(rules) if slow_fits(rule.pattern, path)), None)
        (tolerated if rule and _allowed(rule, first, second) else differ).add(path)
    return differ, tolerated


def _is_told_above(path: Path, left: dict[Path, Any], right: dict[Path, Any]) -> bool:
    return not _same(left.get(path), right.get(path))


def _same(first: Any, second: Any) -> bool:
    if not (isinstance(first, list) and isinstance(second, list)):
        return bool(first == second)
    if any(isinstance(value, float) and not math.isfinite(value) for value in first + second):
        return repr(first) == repr(second)
    return digest(first) == digest(second)


def _allowed(rule: Tolerance, first: Any, second: Any) -> bool:
    if rule.anything:
        return True
    if not (isinstance(first, list) and isinstance(second, list)):
        return False
    (a,), (b,) = first, second
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (a, b)):
        return False
    if any(not math.isfinite(value) for value in (a, b) if isinstance(value, float)):
        return False
    apart = abs(Decimal(a) - Decimal(b))
    return apart <= Decimal(rule.absolute) or apart <= Decimal(rule.relative) * max(
        abs(Decimal(a)), abs(Decimal(b))
    )


def slow_fits(pattern: str, path: Path) -> bool:
    """Whether a pattern of plain parts fits, tried in every way."""
    return _slow_fits(pattern.split(".") if pattern else [], [str(part) for part in path])


def _slow_fits(parts: list[str], names: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_slow_fits(parts[1:], names[skipped:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _slow_fits(parts[1:], names[1:])


@given(one=_VALUES, other=_VALUES, rules=_TOLERANCES)
def test_comparing_finds_what_the_slow_reference_finds(
    one: Any, other: Any, rules: list[Tolerance]
) -> None:
    found = compare(one, other, tolerances=rules, keep=1_000)
    differ, tolerated = slow_compare(one, other, rules)

    assert {difference.path for difference in found.differences} == differ
    assert (found.count, found.tolerated) == (len(differ), len(tolerated))
    assert found.is_same == (not differ)


@given(value=_VALUES, data=st.data())
def test_one_changed_leaf_is_the_one_difference(value: Any, data: st.DataObject) -> None:
    leaves = {path: leaf for path, leaf in slow_leaves(value).items() if isinstance(leaf, list)}
    if not leaves:
        return
    path = data.draw(st.sampled_from(sorted(leaves, key=repr)))

    found = compare(value, _replace(value, path, "something else"))

    assert [difference.path for difference in found.differences] == [path]


def _replace(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {
            key: _replace(item, path[1:], new) if key == path[0] else item
            for key, item in value.items()
        }
    return [
        _replace(item, path[1:], new) if place == path[0] else item
        for place, item in enumerate(value)
    ]


@given(one=_VALUES, other=_VALUES)
def test_no_difference_means_equal_digests(one: Any, other: Any) -> None:
    assert compare(one, one) == Comparison()
    if not compare(one, other).count:
        assert digest(one) == digest(other)


@given(parts=_PATTERNS, path=st.lists(st.sampled_from(["a", "b", "hope", 0, 1]), max_size=5))
def test_patterns_fit_as_trying_every_way_says(parts: list[str], path: list[str | int]) -> None:
    assert fits(".".join(parts), tuple(path)) == slow_fits(".".join(parts), tuple(path))


# -- what people see -------------------------------------------------------------------------------


def test_differences_come_in_the_order_of_the_document_with_both_values() -> None:
    left = {"z": 1, "a": {"b": [1, 2]}, "gone": None}
    right = {"a": {"b": [1, 3, 4]}, "z": True, "new": 5}

    found = compare(left, right, at=("output",))

    assert found.differences == (
        Difference(("output", "z"), "type", 1, True),
        Difference(("output", "a", "b", 1), "value", 2, 3),
        Difference(("output", "a", "b", 2), "added", None, 4),
        Difference(("output", "gone"), "missing", None, None),
        Difference(("output", "new"), "added", None, 5),
    )


def test_of_many_differences_the_first_are_told_and_all_are_counted() -> None:
    found = compare([0] * 1_000, [1] * 1_000)

    assert len(found.differences) == KEPT
    assert found.count == 1_000


def test_values_nested_beyond_recursion_are_compared() -> None:
    left: Any = 1
    right: Any = 2
    for _ in range(5_000):
        left, right = [left], [right]

    assert compare(left, right).differences[0].path == (0,) * 5_000


def test_the_ids_of_two_runs_are_the_same_thing() -> None:
    renamed = ("id-1", "id-2")

    assert compare({"trace_id": "id-1"}, {"trace_id": "id-2"}, renamed=renamed).is_same
    assert not compare({"trace_id": "id-2"}, {"trace_id": "id-1"}, renamed=renamed).is_same


def test_numbers_beyond_floats_are_compared_exactly() -> None:
    rule = [Tolerance("**", relative=1e-300)]

    assert not compare(10**400, 10**400 + 1).is_same
    assert compare(10**400, 10**400 + 1, tolerances=rule).is_same
    assert not compare(10**400, 1e308, tolerances=rule).is_same
    assert not compare(math.inf, 1e308, tolerances=[Tolerance("**", absolute=1e308)]).is_same


def test_of_tolerances_that_fit_the_last_counts() -> None:
    rules = [Tolerance("**", absolute=1.0), Tolerance("output.trust")]

    assert compare(
        {"output": {"x": 1, "trust": 1}}, {"output": {"x": 2, "trust": 1}}, tolerances=rules
    ).is_same
    assert not compare({"output": {"trust": 1}}, {"output": {"trust": 2}}, tolerances=rules).is_same


def test_a_difference_within_a_tolerance_is_counted_beside() -> None:
    found = compare(0.5, 0.5 + 1e-12, at=("trust",), tolerances=[Tolerance("trust", 1e-9)])

    assert (found.count, found.tolerated) == (0, 1)
    assert found.first_tolerated == Difference(("trust",), "value", 0.5, 0.5 + 1e-12, True)


def test_parts_put_together_count_as_one() -> None:
    first, second = compare([1] * 15, [2] * 15), compare([1] * 15, [2] * 15)

    joined = join([first, second])

    assert joined.count == 30
    assert joined.differences == (*first.differences, *second.differences[:5])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1e-9", Tolerance("**", absolute=1e-9)),
        ("output.*=1e-9", Tolerance("output.*", absolute=1e-9)),
        ("output.*=rel:1e-6", Tolerance("output.*", relative=1e-6)),
        ("a=1e-9, rel:1e-6", Tolerance("a", absolute=1e-9, relative=1e-6)),
        ("a=abs:1", Tolerance("a", absolute=1.0)),
        ('output["a=b"]=1', Tolerance('output["a=b"]', absolute=1.0)),
        ("steps.**=any", Tolerance("steps.**", anything=True)),
    ],
)
def test_tolerances_are_read(text: str, wanted: Tolerance) -> None:
    assert parse_tolerance(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "a", "a=", "a=-1", "a=nan", "a=inf", "a=much:1", "=1", "a=1,2x"]
)
def test_a_tolerance_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        parse_tolerance(text)


def test_settings_give_numbers_or_texts() -> None:
    assert make_tolerance("a", 0.5) == Tolerance("a", absolute=0.5)
    with pytest.raises(ValueError, match="want a number"):
        make_tolerance("a", True)
    with pytest.raises(ValueError, match="want a number"):
        make_tolerance("a", {"abs": 1})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("output", "forks", 2, "overlays", "hope"), "output.forks[2].overlays.hope"),
        (("output", "a.b", 'c"d', "über"), 'output["a.b"]["c\\"d"].über'),
        ((0,), "[0]"),
        (("0",), '["0"]'),
    ],
)
def test_paths_are_written_as_they_can_be_given(path: Path, text: str) -> None:
    assert format_path(path) == text
    assert fits(text, path)


def test_an_evil_pattern_takes_no_time_to_speak_of() -> None:
    assert not fits(".".join(["**"] * 200 + ["x"]), ("a",) * 200)
