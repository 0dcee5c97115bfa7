"""Verdicts of replays as lines and as JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from whence.cli.screen import Screen
from whence.draw.amounts import format_count, format_duration
from whence.draw.styles import Role

if TYPE_CHECKING:
    from whence.runs.judging import Verdict

_INDENT = "  "
_LISTED = 8
_PRINTED_LINES = 12
_NS_PER_S = 1_000_000_000
_ROLES: dict[str, Role] = {
    "IDENTICAL": "good",
    "WITHIN_TOLERANCE": "good",
    "DIVERGED": "bad",
    "NOT_DETERMINISTIC": "bad",
    "ENVIRONMENT_CHANGED": "warning",
    "NOT_REPLAYABLE": "warning",
}
_SENTENCES = {
    "IDENTICAL": "what it did and what came out is the same, twice",
    "WITHIN_TOLERANCE": "what differs is within what is tolerated",
    "DIVERGED": "something else came out, in the same environment",
    "NOT_DETERMINISTIC": "what comes out is not the same each time",
    "ENVIRONMENT_CHANGED": "something else came out, and the environment or the code is another",
    "NOT_REPLAYABLE": "it cannot be executed again",
}


def draw_verdict(verdict: "Verdict", screen: Screen) -> Iterator[str]:
    """Draw one verdict with all that it rests on."""
    from whence.runs.judging import say_difference

    head = f"{verdict.word}: {_SENTENCES[verdict.word]}."
    yield from _text(head, screen, "", _ROLES[verdict.word])
    if verdict.reason is not None and not verdict.differences:
        yield from _text(verdict.reason, screen, _INDENT)
    for number, found in enumerate(verdict.differences[:_LISTED]):
        mark = "first " if number == 0 and verdict.count > 1 else ""
        yield from _text(
            f"{mark}{say_difference(found)}", screen, _INDENT, None if number else "match"
        )
    if verdict.count > _LISTED:
        yield screen.paint(f"{_INDENT}{_more(screen)} {verdict.count - _LISTED:,} more", "faint")
    if verdict.tolerated:
        yield from _text(
            f"{format_count(verdict.tolerated, 'difference')} tolerated", screen, _INDENT
        )
    yield from _draw_changes(verdict, screen)
    if verdict.printed.strip() and not verdict.is_fine:
        yield ""
        yield screen.paint("What the runner printed:", "title")
        lines = verdict.printed.rstrip().splitlines()
        if len(lines) > _PRINTED_LINES:
            yield screen.paint(f"{_INDENT}{_more(screen)}", "faint")
        for line in lines[-_PRINTED_LINES:]:
            yield from _text(line, screen, _INDENT, "faint")


def _draw_changes(verdict: "Verdict", screen: Screen) -> Iterator[str]:
    if not verdict.changes:
        return
    yield ""
    yield screen.paint("Not as it was when the run was recorded:", "title")
    for change in verdict.changes[:_LISTED]:
        then, now = (_short(each) for each in (change.then, change.now))
        yield from _text(f"{change.what}: {then}, now {now}", screen, _INDENT)
    if len(verdict.changes) > _LISTED:
        more = len(verdict.changes) - _LISTED
        yield screen.paint(f"{_INDENT}{_more(screen)} {more:,} more", "faint")


def _short(value: Any) -> str:
    """A version or a commit; digests by their beginning."""
    if value is None:
        return "none"
    text = str(value)
    return f"{text[:19]}…" if text.startswith("sha256:") else text


def say_verdict(verdict: "Verdict", screen: Screen) -> Iterator[str]:
    """One verdict among many, on a line or what it takes."""
    took = format_duration(round(verdict.seconds * _NS_PER_S), ascii=screen.ascii)
    why = f": {verdict.reason}" if verdict.reason else ""
    head = f"{verdict.word:<19} {verdict.run}  {verdict.name or ''}  {took}{why}"
    for number, line in enumerate(screen.lines(head, indent=len(_INDENT))):
        yield (_INDENT if number else "") + screen.paint(
            line, None if number else _ROLES[verdict.word]
        )


def summarize(verdicts: "list[Verdict]", screen: Screen) -> Iterator[str]:
    """Count many verdicts by their words, the worst last."""
    counts = {word: sum(each.word == word for each in verdicts) for word in _ROLES}
    said = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    yield ""
    is_fine = all(verdict.is_fine for verdict in verdicts)
    head = f"{format_count(len(verdicts), 'run')}: {said}"
    yield from _text(head, screen, "", "good" if is_fine else "bad")


def verdict_keys(verdict: "Verdict") -> dict[str, Any]:
    """Lay a verdict out for a program. Keys are only ever added."""
    from whence.runs.compare import format_path

    return {
        "run": verdict.run,
        "name": verdict.name,
        "verdict": verdict.word,
        "reason": verdict.reason,
        "is_fine": verdict.is_fine,
        "differences": [
            {
                "path": format_path(found.path), "kind": found.kind,
                "recorded": found.left, "now": found.right,
            }
            for found in verdict.differences
        ],
        "count": verdict.count,
        "tolerated": verdict.tolerated,
        "changes": [
            {"what": each.what, "then": each.then, "now": each.now} for each in verdict.changes
        ],
        "trust": verdict.trust,
        "seconds": round(verdict.seconds, 3),
        "printed": verdict.printed,
    }  # fmt: skip


def _more(screen: Screen) -> str:
    return "..." if screen.ascii else "…"


def _text(text: str, screen: Screen, before: str, role: Role | None = None) -> Iterator[str]:
    """Text that may be longer than a line, the rest of it a little further in."""
    for number, line in enumerate(screen.lines(text, indent=len(before) + len(_INDENT))):
        yield before + (_INDENT if number else "") + screen.paint(line, role)
