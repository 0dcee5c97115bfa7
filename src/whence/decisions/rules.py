"""When votes are enough: quorum rules and what they come to. Pure.

| rule | as text | approves when |
|---|---|---|
| `All()` | `all` | every vote passed |
| `Majority()` | `majority` | more than half passed: of those expected where they are named, else of the votes |
| `at_least(k, of=n)` | `k of n` | at least k of n voters passed, and no more than n voted |
| `weighted(weights, threshold)` | | those who passed weigh at least the threshold |
| `veto(names, otherwise=rule)` | | all of these passed, and the other rule approves |

No votes never pass, nor do fewer than the minimum. Who is expected and did not vote has not passed.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any

import msgspec

_COUNTED = re.compile(r"(\d{1,9})\s+of\s+(\d{1,9})", re.ASCII | re.IGNORECASE).fullmatch


_WEIGHT_MAX = 1e300


class Vote(msgspec.Struct, frozen=True):
    """What one voter said."""

    passed: bool
    reason: str = ""


class Ruling(msgspec.Struct, frozen=True):
    """What votes came to, and why."""

    approved: bool
    reason: str


class All(msgspec.Struct, frozen=True):
    """Every vote must pass."""


class Majority(msgspec.Struct, frozen=True):
    """More than half must pass."""


class AtLeast(msgspec.Struct, frozen=True):
    """At least `votes` of `of` voters must pass."""

    votes: int
    of: int


class Weighted(msgspec.Struct, frozen=True):
    """Those who passed must weigh `threshold` or more; nobody else may vote."""

    weights: dict[str, float]
    threshold: float


class Veto(msgspec.Struct, frozen=True):
    """Each of `names` must pass; then `otherwise` decides."""

    names: tuple[str, ...]
    otherwise: "Rule"


Rule = All | Majority | AtLeast | Weighted | Veto


def at_least(votes: int, *, of: int) -> AtLeast:
    """At least `votes` of `of` voters; ValueError where that is not possible."""
    for each in (votes, of):
        if isinstance(each, bool) or not isinstance(each, int):
            raise TypeError(f"number of voters is {type(each).__name__}, want int")
    if not 1 <= votes <= of:
        raise ValueError(f"rule is {votes} of {of}, want at least 1 and no more than there are")
    return AtLeast(votes, of)


def weighted(weights: Mapping[str, float], threshold: float) -> Weighted:
    """Votes that count differently; ValueError where a weight is none or nothing could reach the threshold."""
    for each in (*weights.values(), threshold):
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise TypeError(f"weight is {type(each).__name__}, want a number")
        if not 0 < each <= _WEIGHT_MAX:
            raise ValueError("weight is too large, or not more than 0")
    rule = Weighted({check_name(name): weight for name, weight in weights.items()}, threshold)
    if _weigh(weights.values()) < _exact(threshold):
        raise ValueError(f"threshold is {threshold}, more than all voters weigh together")
    return rule


def veto(names: str | Iterable[str], *, otherwise: "Rule | str" = "majority") -> Veto:
    """Let some voters each be able to stop it; whether it passes else is for another rule to say."""
    listed = (names,) if isinstance(names, str) else tuple(names)
    if not listed:
        raise ValueError("veto names nobody")
    return Veto(tuple(map(check_name, listed)), parse_rule(otherwise))


def parse_rule(rule: Any) -> Rule:
    """Read a rule from text, or take one as it is; ValueError or TypeError for what is none."""
    if isinstance(rule, AtLeast):
        return at_least(rule.votes, of=rule.of)
    if isinstance(rule, Weighted):
        return weighted(rule.weights, rule.threshold)
    if isinstance(rule, Veto):
        return veto(rule.names, otherwise=rule.otherwise)
    if isinstance(rule, All | Majority):
        return rule
    if not isinstance(rule, str):
        raise TypeError(f"rule is {type(rule).__name__}, want a rule or its text")
    text = rule.strip().lower()
    if text == "all":
        return All()
    if text == "majority":
        return Majority()
    if found := _COUNTED(text):
        return at_least(int(found[1]), of=int(found[2]))
    raise ValueError(f"rule is {rule[:80]!r}, want all, majority or one like '2 of 3'")


def check_rule(rule: Rule, voters: Collection[str] | None, minimum: int) -> None:
    """Refuse a rule that these voters could never fulfil, or that means others; ValueError says why."""
    if voters is None:
        return
    if not voters:
        raise ValueError("voters are an empty list, so nobody could vote")
    if twice := sorted(name for name, count in Counter(voters).items() if count > 1):
        raise ValueError(f"voters name {', '.join(twice)} more than once")
    if minimum > len(voters):
        raise ValueError(f"minimum is {minimum} voters, but {len(voters)} are named")
    if isinstance(rule, AtLeast) and rule.of != len(voters):
        raise ValueError(f"rule is {rule.votes} of {rule.of}, but {len(voters)} voters are named")
    needed = {*rule.names} if isinstance(rule, Veto) else set(named_by(rule) or ())
    if missing := sorted(needed - set(voters)):
        raise ValueError(f"rule names {', '.join(missing)}, who is not among the voters")
    if isinstance(rule, Weighted) and set(rule.weights) != set(voters):
        raise ValueError("voters and weights name different voters")
    if isinstance(rule, Veto):
        check_rule(rule.otherwise, voters, minimum)


def named_by(rule: Rule) -> frozenset[str] | None:
    """Who alone may vote by a rule; None where it names nobody."""
    if isinstance(rule, Weighted):
        return frozenset(rule.weights)
    if isinstance(rule, Veto) and (inner := named_by(rule.otherwise)) is not None:
        return inner.union(rule.names)
    return None


def judge(
    rule: Rule | str,
    votes: Mapping[str, Vote],
    *,
    voters: Collection[str] | None = None,
    minimum: int = 1,
) -> Ruling:
    """Tell what votes come to. `voters` are all who may vote, `minimum` is how many must have voted.

    Raises:
        ValueError: somebody voted who may not.
    """
    rule = parse_rule(rule)
    allowed = voters if voters is not None else named_by(rule)
    if allowed is not None and (strangers := sorted(set(votes) - set(allowed))):
        raise ValueError(f"{', '.join(strangers)} voted, but may not")
    expected = [*dict.fromkeys([*(voters or ()), *expected_by(rule), *votes])]
    passed = [name for name in expected if name in votes and votes[name].passed is True]
    problem = _too_few(len(votes), minimum) or _find_problem(rule, votes, voters, passed)
    if problem is None:
        return Ruling(True, _say_passed(len(passed), len(expected)))
    failed = [_say_failed(name, votes.get(name)) for name in expected if name not in passed]
    if not failed or len(votes) < minimum or _are_too_many(rule, len(votes)):
        # What the votes say would not tell why, or not all of it.
        failed.insert(0, problem)
    return Ruling(False, "; ".join(failed) if votes else problem)


def check_name(name: Any) -> str:
    """Return the name of a voter; TypeError or ValueError for what is none."""
    if not isinstance(name, str):
        raise TypeError(f"voter is {type(name).__name__}, want str")
    if not fold_name(name):
        raise ValueError("voter has no name")
    if name.startswith("$"):
        # So are the record's own marks, which no list of votes shows.
        raise ValueError(f"voter is named {name!r}, want a name without $ in front")
    return str.__str__(name)


def fold_name(name: str) -> str:
    """What is left of a name whoever spells it: no case, no spaces around, nothing invisible, one form of each letter."""
    plain = unicodedata.normalize("NFKC", name)
    seen = "".join(each for each in plain if unicodedata.category(each) not in ("Cf", "Cc"))
    return unicodedata.normalize("NFKC", seen.casefold()).strip()


def expected_by(rule: Rule) -> tuple[str, ...]:
    """Who is expected because the rule names them."""
    if isinstance(rule, Weighted):
        return tuple(rule.weights)
    return (*rule.names, *expected_by(rule.otherwise)) if isinstance(rule, Veto) else ()


def _too_few(voted: int, minimum: int) -> str | None:
    if not voted:
        return "nobody voted"
    return f"{voted} voted, want at least {minimum}" if voted < minimum else None


def _are_too_many(rule: Rule, voted: int) -> bool:
    if isinstance(rule, Veto):
        return _are_too_many(rule.otherwise, voted)
    return isinstance(rule, AtLeast) and voted > rule.of


def _find_problem(
    rule: Rule, votes: Mapping[str, Vote], voters: Collection[str] | None, passed: list[str]
) -> str | None:
    """Why a rule does not approve; None if it does."""
    total = len(set(voters)) if voters is not None else len(votes)
    count = f"{len(passed)} of {total} votes passed"
    if isinstance(rule, All):
        return None if len(passed) == total else f"{count}, want all"
    if isinstance(rule, Majority):
        return None if 2 * len(passed) > total else f"{count}, want more than half"
    if isinstance(rule, AtLeast):
        if len(votes) > rule.of:
            return f"{len(votes)} voted, want no more than {rule.of}"
        return None if len(passed) >= rule.votes else f"{count}, want {rule.votes} of {rule.of}"
    if isinstance(rule, Weighted):
        weight = _weigh(rule.weights[name] for name in passed if name in rule.weights)
        if weight >= _exact(rule.threshold):
            return None
        return f"those who passed weigh {float(weight):g}, want {rule.threshold:g}"
    if against := [name for name in rule.names if name not in passed]:
        return f"{', '.join(against)} can veto and did not pass it"
    return _find_problem(rule.otherwise, votes, voters, passed)


def _say_passed(passed: int, of: int) -> str:
    if passed < of:
        return f"{passed} of {of} votes passed"
    return f"all {of} votes passed" if of > 1 else "the only vote passed"


def _say_failed(name: str, vote: Vote | None) -> str:
    return f"{name}: {'did not vote' if vote is None else vote.reason or 'did not pass'}"


def _weigh(weights: Iterable[float]) -> Fraction:
    return sum(map(_exact, weights), Fraction())


def _exact(number: float) -> Fraction:
    """A number as it is written: 0.1 and 0.2 weigh 0.3 together."""
    return Fraction(repr(number))
