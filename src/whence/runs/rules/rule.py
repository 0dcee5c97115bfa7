"""What a rule of the audit is: a small function with an id, a severity and a sentence. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from whence.runs.rules.subject import AuditedRun

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")

Limits = Mapping[str, float]
"""A rule's thresholds by name, as they are set for this audit."""

Check = Callable[[AuditedRun, Limits], Iterable[str]]
"""Says what is wrong with a run, one clause each: `output.trust is 1.2, want 0 to 1`."""

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. `sentence` says what it wants; `limits` are its thresholds and what they are unless set.

    A rule without a `check` is one that the audit looks after itself, as it reads files and the journal.
    """

    id: str
    severity: Severity
    sentence: str
    check: Check | None = None
    limits: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Refuse what could not be written into settings or shown."""
        if not _ID(self.id):
            raise ValueError(f"rule id is {self.id[:60]!r}, want lower-case words joined by `-`")
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity of rule {self.id} is {self.severity!r}, want {WANTED}")


WANTED = "info, warning or error"


def rule(
    id: str,
    severity: Severity,
    sentence: str,
    **limits: float,
) -> Callable[[Check], Rule]:
    """Make a function a rule: `@rule("no-debt", "error", "Capital is never below zero.")`."""

    def decorate(check: Check) -> Rule:
        return Rule(id=id, severity=severity, sentence=sentence, check=check, limits=limits)

    return decorate
