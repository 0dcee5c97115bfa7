"""`whence decisions verify`: whether the voters of decisions signed their votes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from whence.cli.formats import dump
from whence.cli.options import Where
from whence.draw.amounts import format_count
from whence.draw.styles import Role
from whence.draw.tables import Column, table

if TYPE_CHECKING:
    from whence.decisions.decision import Decision
    from whence.decisions.signatures import VerifierKey, VoteCheck
    from whence.log import Log

_SHORT_ID = 8
_ROLES: dict[str, Role] = {"valid": "good", "invalid": "bad", "unknown": "warning"}


def verify(where: Where, log: "Log", chosen: "Iterator[Decision]", keys: Path, output: str) -> None:
    """Check each vote of the decisions, the newest first, and end with exit code 1 if one does not fit."""
    from whence.decisions.history import iterate_decisions
    from whence.decisions.signatures import find_repeated, verify_votes

    trusted = _read_keys(keys)
    decisions = list(chosen)
    # Whether a gate decided twice no choice of decisions tells.
    repeated = find_repeated(iterate_decisions(log)) & {
        each.gate for each in decisions if each.gate
    }
    checked = [(each, verify_votes(each, trusted)) for each in decisions]
    screen = where.screen
    if output == "json":
        screen.show(
            dump(
                {
                    "id": decision.id, "action": decision.action, "approved": decision.approved,
                    "is_repeated": decision.gate in repeated,
                    "votes": [
                        {"voter": check.voter, "passed": check.passed, "state": check.state}
                        for check in checks
                    ],
                }
            )
            for decision, checks in checked
        )  # fmt: skip
    else:
        screen.show(_draw(where, checked, repeated))
    where.remark(log)
    if repeated or any(check.state == "invalid" for _, checks in checked for check in checks):
        from whence.cli.app import exit_with
        from whence.cli.failures import FAILED

        exit_with(FAILED)


def _read_keys(path: Path) -> "dict[str, list[VerifierKey]]":
    from whence.decisions.signatures import parse_keys
    from whence.errors import CorruptError, NotFoundError, StoreError

    try:
        return parse_keys(path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CorruptError(f"{path} holds no keys: it is not UTF-8") from error
    except CorruptError as error:
        raise CorruptError(f"{path}: {error}") from error


def _draw(
    where: Where, checked: "list[tuple[Decision, list[VoteCheck]]]", repeated: set[str]
) -> Iterator[str]:
    screen = where.screen
    columns = [
        Column(title="DECISION", shrinks=False), Column(title="ON"), Column(title="VOTER"),
        Column(title="VOTE", shrinks=False), Column(title="SIGNATURE", shrinks=False),
    ]  # fmt: skip
    rows = [
        (
            decision.id[-_SHORT_ID:], str(decision.action), check.voter,
            "?" if check.passed is None else "for" if check.passed else "against",
            check.state,
        )
        for decision, checks in checked
        for check in checks
    ]  # fmt: skip

    def paint(row: int, column: int, cell: str) -> str:
        if row < 0:
            return screen.paint(cell, "faint")
        return screen.paint(cell, _ROLES.get(rows[row][-1])) if column == len(columns) - 1 else cell

    if rows:
        lines = table(rows, columns, width=screen.width, ascii=screen.ascii, paint=paint)
        yield from map(str.rstrip, lines)
        yield ""
    counts = Counter(check.state for _, checks in checked for check in checks)
    told = ", ".join(
        f"{counts[state]:,} {state}" for state in ("invalid", "valid", "unknown", "unsigned")
    )
    verdict = f"{format_count(len(checked), 'decision')}: {told}."
    for gate in sorted(repeated):
        yield from screen.lines(
            f"gate {gate} decided more than once: its votes were recorded again"
        )
    is_bad = bool(counts["invalid"] or repeated)
    yield screen.paint(f"{'INVALID' if is_bad else 'FITS'}: {verdict}", "bad" if is_bad else "good")
