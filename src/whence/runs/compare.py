"""Where two plain values differ, by path, and whether that is within what is tolerated. Pure.

Equal is what has equal digests: `1` is not `1.0`, `0.0` not `-0.0`, `true` not `1`; the order of keys
says nothing. A tolerance is for paths of a pattern: `output.overlays.*=1e-9`, `**=rel:1e-6`. In a
pattern `*` is one part of a path, whichever, `**` any number of them, and `fork_*` parts that begin so.
Of patterns that fit the last one counts.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from typing import Any, Literal

import msgspec

Path = tuple[str | int, ...]
"""Where a value stands: keys of objects and places in lists."""

Kind = Literal["value", "type", "missing", "added"]

KEPT = 20
"""How many differences are told; the others are counted."""


class Difference(msgspec.Struct, frozen=True):
    """One place where two values differ.

    `missing` is only in the first, `added` only in the second; the value that is not there is None.
    """

    path: Path
    kind: Kind
    left: Any
    right: Any
    is_tolerated: bool = False


class Comparison(msgspec.Struct, frozen=True):
    """What comparing came to: the first differences that are not tolerated, and how many there are."""

    differences: tuple[Difference, ...] = ()
    count: int = 0
    tolerated: int = 0
    first_tolerated: Difference | None = None

    @property
    def is_same(self) -> bool:
        """Whether nothing differs beyond what is tolerated."""
        return not self.count


class Tolerance(msgspec.Struct, frozen=True):
    """How far numbers may be apart at paths that match: by either of the two. `anything` may differ."""

    pattern: str
    absolute: float = 0.0
    relative: float = 0.0
    anything: bool = False


def parse_tolerance(text: str) -> Tolerance:
    """Read `PATTERN=1e-9`, `PATTERN=rel:1e-6`, `PATTERN=1e-9,rel:1e-6` or `PATTERN=any`.

    A number alone is for every path. Raises ValueError for what is none of these.
    """
    pattern, equals, amounts = text.rpartition("=")
    if equals and not pattern:
        raise ValueError(f"tolerance {text!r} names no path; `1e-9` alone is for every path")
    return make_tolerance(pattern or "**", amounts)


def make_tolerance(pattern: str, said: object) -> Tolerance:
    """A tolerance from its pattern and a number, or a text such as `rel:1e-6` or `any`."""
    if said == "any":
        return Tolerance(pattern, anything=True)
    found = {"abs": 0.0, "rel": 0.0}
    for part in str(said).split(","):
        name, colon, amount = part.strip().rpartition(":")
        try:
            number = float(amount)
        except ValueError:
            number = math.nan
        if isinstance(said, bool) or (colon and name not in found) or not 0 <= number < math.inf:
            raise ValueError(
                f"tolerance of {pattern!r} is {said!r}, want a number from 0 as `1e-9`, `rel:1e-6`, "
                "both as `1e-9,rel:1e-6`, or `any`"
            )
        found[name or "abs"] = number
    return Tolerance(pattern, absolute=found["abs"], relative=found["rel"])


def format_path(path: Path) -> str:
    """Write a path as `output.forks[2].overlays.hope`; keys that would be read otherwise in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            quoted = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{quoted}"]'
    return text


_PLAIN_KEY = re.compile(r"[^\W\d][\w-]*")
_PATTERN_PARTS = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[([^\]]*)\]|([^.\[\]]+)|(\.)')


def find_tolerance(tolerances: Sequence[Tolerance], path: Path) -> Tolerance | None:
    """The last tolerance whose pattern fits a path."""
    for tolerance in reversed(tolerances):
        if fits(tolerance.pattern, path):
            return tolerance
    return None


def fits(pattern: str, path: Path) -> bool:
    """Whether a pattern means a path: `output.forks[*].trust`, also written `output.forks.*.trust`."""
    return _fits(_split(pattern), [str(part) for part in path])


def _split(pattern: str) -> list[str | Callable[[str], object]]:
    parts: list[str | Callable[[str], object]] = []
    for quoted, place, name, _dot in _PATTERN_PARTS.findall(pattern):
        if quoted:
            parts.append(re.compile(re.escape(re.sub(r"\\(.)", r"\1", quoted))).fullmatch)
        elif place or name:
            part = place or name
            parts.append("**" if part == "**" else re.compile(translate(part)).match)
    return parts


def _fits(parts: list[str | Callable[[str], object]], names: list[str]) -> bool:
    # Which parts of the pattern may come next, name by name; no backtracking, whatever the pattern.
    states = _skip({0}, parts)
    for name in names:
        following: set[int] = set()
        for state in states:
            if state < len(parts):
                part = parts[state]
                if isinstance(part, str):
                    following.add(state)
                elif part(name):
                    following.add(state + 1)
        states = _skip(following, parts)
    return len(parts) in states


def _skip(states: set[int], parts: list[str | Callable[[str], object]]) -> set[int]:
    """Add what comes after a `**`, which may stand for nothing."""
    reached = set(states)
    for state in sorted(states):
        while state < len(parts) and isinstance(parts[state], str):
            state += 1
            reached.add(state)
    return reached


def compare(
    left: Any,
    right: Any,
    *,
    at: Path = (),
    tolerances: Sequence[Tolerance] = (),
    renamed: tuple[str, str] | None = None,
    keep: int = KEPT,
) -> Comparison:
    """Compare two plain values in the order of the first one.

    `renamed` is a text of the first that stands for another of the second, such as the ids of two
    runs. Values may be nested as deep as they are.
    """
    kept: list[Difference] = []
    count = tolerated = 0
    first_tolerated = None
    for found in _differences(left, right, at, tolerances, renamed):
        if found.is_tolerated:
            tolerated += 1
            first_tolerated = first_tolerated or found
            continue
        count += 1
        if len(kept) < keep:
            kept.append(found)
    return Comparison(tuple(kept), count, tolerated, first_tolerated)


def join(comparisons: Iterable[Comparison], keep: int = KEPT) -> Comparison:
    """Put comparisons of parts together."""
    parts = list(comparisons)
    differences = [found for part in parts for found in part.differences]
    tolerated = (part.first_tolerated for part in parts if part.first_tolerated is not None)
    return Comparison(
        tuple(differences[:keep]),
        sum(part.count for part in parts),
        sum(part.tolerated for part in parts),
        next(tolerated, None),
    )


_Pair = tuple[Path, Any, Any]


def _differences(
    left: Any,
    right: Any,
    at: Path,
    tolerances: Sequence[Tolerance],
    renamed: tuple[str, str] | None,
) -> Iterator[Difference]:
    """Walk both values without recursion. Iterators on the stack keep the order of the document."""
    stack: list[Iterator[_Pair]] = [iter([(at, left, right)])]
    while stack:
        pair = next(stack[-1], None)
        if pair is None:
            stack.pop()
            continue
        path, one, other = pair
        if one is _ABSENT or other is _ABSENT:
            rule = find_tolerance(tolerances, path) if tolerances else None
            is_fine = rule is not None and rule.anything
            if one is _ABSENT:
                yield Difference(path, "added", None, other, is_fine)
            else:
                yield Difference(path, "missing", one, None, is_fine)
        elif isinstance(one, dict) and isinstance(other, dict):
            stack.append(_pair_keys(path, one, other))
        elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
            stack.append(_pair_places(path, one, other))
        elif not _is_same(one, other, renamed):
            rule = find_tolerance(tolerances, path) if tolerances else None
            kind: Kind = "value" if _kind_of(one) is _kind_of(other) else "type"
            yield Difference(path, kind, one, other, _is_tolerated(rule, one, other))


_ABSENT = object()


def _pair_keys(path: Path, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[_Pair]:
    for key, value in one.items():
        yield (*path, key), value, other.get(key, _ABSENT)
    for key, value in other.items():
        if key not in one:
            yield (*path, key), _ABSENT, value


def _pair_places(path: Path, one: Sequence[Any], other: Sequence[Any]) -> Iterator[_Pair]:
    for place in range(max(len(one), len(other))):
        first = one[place] if place < len(one) else _ABSENT
        yield (*path, place), first, other[place] if place < len(other) else _ABSENT


def _is_same(one: Any, other: Any, renamed: tuple[str, str] | None) -> bool:
    if _kind_of(one) is not _kind_of(other):
        return False
    if isinstance(one, float):
        # As digests tell them apart: by how they are written.
        return repr(float(one)) == repr(float(other))
    return bool(one == other) or (renamed is not None and (one, other) == renamed)


def _kind_of(value: Any) -> type:
    kinds = (bool, int, float, str, dict, list)
    return next((kind for kind in kinds if isinstance(value, kind)), type(value))


def _is_tolerated(rule: Tolerance | None, one: Any, other: Any) -> bool:
    if rule is None or rule.anything:
        return rule is not None
    if not (_is_number(one) and _is_number(other)):
        return False
    return is_within(one, other, rule)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_within(one: float, other: float, rule: Tolerance) -> bool:
    """Whether two numbers are no further apart than a tolerance says; exact, whatever their size."""
    if one == other:
        return True
    if not (_is_finite(one) and _is_finite(other)):
        return False
    from fractions import Fraction

    first, second = Fraction(one), Fraction(other)
    allowed = max(Fraction(rule.absolute), Fraction(rule.relative) * max(abs(first), abs(second)))
    return abs(first - second) <= allowed


def _is_finite(number: float) -> bool:
    return isinstance(number, int) or math.isfinite(number)
