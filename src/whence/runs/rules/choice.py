"""Which rules an audit goes by: ours and those of plug-ins, as `[audit]` of `whence.toml` sets them.

A plug-in declares an entry point of the group `whence.audit` that is a `Rule` or a list of them. One that
cannot be loaded is told and left out; a rule that is misspelt in the settings is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal, NoReturn, cast

import msgspec

from whence.runs.rules.rule import SEVERITIES, WANTED, Rule, Severity
from whence.runs.rules.standard import STANDARD
from whence.settings import Settings

GROUP = "whence.audit"

FailOn = Literal["info", "warning", "error", "never"]
FAIL_ON: tuple[FailOn, ...] = (*SEVERITIES, "never")

_KEYS = ("fail_on", "rules")


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one audit. `remarks` says which plug-ins could not be loaded."""

    rules: tuple[Rule, ...] = STANDARD
    fail_on: FailOn = "error"
    remarks: tuple[str, ...] = ()

    def only(self, names: Iterable[str]) -> "Choice":
        """The same with these rules alone; ValueError for a name that no rule has."""
        wanted = set(names)
        known = {rule.id for rule in self.rules}
        for name in wanted - known:
            raise ValueError(_unknown(name, known))
        kept = tuple(rule for rule in self.rules if rule.id in wanted)
        return msgspec.structs.replace(self, rules=kept)


def choose_rules(settings: Settings = Settings()) -> Choice:
    """Read which rules are on, how severe they are and what their thresholds are.

    Raises:
        ValueError: what is wrong with `[audit]`.
    """
    loaded, remarks = load_plugins({rule.id for rule in STANDARD})
    table = settings.others.get("audit", {})
    where = f"{settings.file}: [audit]"
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} is no table")
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"{where}: unknown key `{key}`, want {' or '.join(_KEYS)}")
    fail_on = table.get("fail_on", "error")
    if fail_on not in FAIL_ON:
        raise ValueError(f"{where}: fail_on is {fail_on!r}, want {', '.join(FAIL_ON)}")
    said = table.get("rules", {})
    if not isinstance(said, Mapping):
        raise ValueError(f"{where}: rules is no table, want [audit.rules]")
    rules = (*STANDARD, *loaded)
    known = {rule.id for rule in rules}
    for name in said:
        if name not in known:
            raise ValueError(f"{where}: {_unknown(name, known)}")
    kept = [_set(rule, said.get(rule.id), where) for rule in rules]
    return Choice(
        rules=tuple(rule for rule in kept if rule is not None),
        fail_on=cast("FailOn", fail_on),
        remarks=tuple(remarks),
    )


def load_plugins(taken: set[str]) -> tuple[list[Rule], list[str]]:
    """Load the rules of plug-ins, and say of which that failed; ids that are `taken` are not theirs."""
    from importlib.metadata import entry_points

    rules: list[Rule] = []
    remarks: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            found = list(_rules_in(point.load()))
        except Exception as error:  # noqa: BLE001 a plug-in may do anything
            remarks.append(f"audit rules {point.name} cannot be loaded: {_say(error)}")
            continue
        for rule in found:
            if rule.id in taken:
                remarks.append(f"audit rules {point.name}: another rule is called {rule.id}")
            else:
                taken.add(rule.id)
                rules.append(rule)
    return rules, remarks


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _rules_in(found: object) -> Iterator[Rule]:
    for each in found if isinstance(found, list | tuple) else (found,):
        if not isinstance(each, Rule) or each.check is None:
            raise TypeError(f"it is {type(each).__name__}, want a rule with a check")
        yield each


def _set(rule: Rule, said: Any, where: str) -> Rule | None:
    """A rule as the settings have it; None where it is off."""
    where = f"{where}: rule {rule.id}"
    if said is None or said is True:
        return rule
    if said is False or said == "off":
        return None
    if isinstance(said, str):
        return msgspec.structs.replace(rule, severity=_severity(said, where))
    if not isinstance(said, Mapping):
        raise ValueError(f"{where} is {said!r}, want {WANTED}, off, or a table")
    limits = dict(rule.limits)
    severity = rule.severity
    for key, value in said.items():
        if key == "on":
            if not isinstance(value, bool):
                raise ValueError(f"{where}: on is {value!r}, want true or false")
        elif key == "severity":
            severity = _severity(value, where)
        elif key not in limits:
            known = ", ".join(["on", "severity", *limits])
            raise ValueError(f"{where}: unknown key `{key}`, want {known}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise ValueError(f"{where}: {key} is {value!r}, want a number")
        else:
            limits[key] = value
    if said.get("on") is False:
        return None
    return msgspec.structs.replace(rule, severity=severity, limits=limits)


def _severity(value: object, where: str) -> Severity:
    for severity in SEVERITIES:
        if value == severity:
            return severity
    _refuse(f"{where}: severity is {value!r}, want {WANTED}")


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _unknown(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    hint = f"did you mean `{near[0]}`?" if near else "`whence audit --rules` lists them"
    return f"unknown rule `{name}`; {hint}"
