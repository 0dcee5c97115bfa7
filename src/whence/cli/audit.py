"""`whence audit`: whether run files are sound, and whether they are what was saved."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from whence.cli.formats import dump, format_pretty
from whence.cli.options import Where, number_of, output_option, shorten, verb
from whence.cli.screen import Screen, progress_bar
from whence.draw.amounts import format_count
from whence.draw.styles import Role

if TYPE_CHECKING:
    from whence.runs.auditing import Audit
    from whence.runs.rules.choice import Choice
    from whence.runs.rules.rule import Severity

_LISTED = 10
_INDENT = "  "
_ROLES: dict[str, Role] = {"error": "bad", "warning": "warning", "info": "faint"}


@verb(
    "whence audit",
    "whence audit --fail-on warning            for continuous integration",
    "whence audit -o sarif > audit.sarif       for code-scanning pages",
    "whence audit --rule digest --json",
    "whence audit --rules                      what is looked at",
    short_help="Are the run files sound, and are they what was saved.",
)
@click.option("--folder", metavar="PATH", help="Run files that are somewhere else.")
@click.option(
    "--rule", "names", multiple=True, metavar="ID", help="Look at this alone; repeatable."
)
@click.option("--rules", "lists_rules", is_flag=True, help="List the rules instead.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    metavar="SEVERITY",
    help="error, warning, info or never: from what on the exit code is 1.  [default: error]",
)
@number_of("-n", "--number", help=f"At most N files for each rule.  [default: {_LISTED}]")
@output_option("short", "json", "sarif")
@click.argument("runs", nargs=-1, metavar="[ID…]")
def command(
    where: Where,
    folder: str | None,
    names: tuple[str, ...],
    lists_rules: bool,
    fail_on: str | None,
    number: int | None,
    runs: tuple[str, ...],
    output: str,
) -> None:
    """Look at every run file by every rule, and compare it with what the journal says was saved.

    Rules are set in [audit] of whence.toml, and plug-ins add their own. Nothing is written.

    Ends with exit code 1 if a finding is as severe as --fail-on says.
    """
    from whence.runs.auditing import audit, file_named
    from whence.runs.files import find_folder
    from whence.runs.rules.choice import FAIL_ON, choose_rules

    screen = where.screen
    with where.open() as log:
        choice = choose_rules(log.settings)
        if names:
            choice = choice.only(names)
        if lists_rules:
            screen.show(_draw_rules(choice, screen, output))
            return
        place = Path(folder).absolute() if folder is not None else None
        with audit(
            place or find_folder(log.folder, log.settings), log, choice=choice,
            only=[file_named(run) for run in runs] if runs else None,
            progress=progress_bar("auditing", screen),
        ) as report:  # fmt: skip
            is_failed = report.fails(next((each for each in FAIL_ON if each == fail_on), None))
            if output == "json":
                screen.show(_as_json(report, is_failed))
            elif output == "sarif":
                screen.show(_as_sarif(report))
            else:
                screen.show(_draw(report, screen, _LISTED if number is None else number))
            for remark in choice.remarks:
                screen.warn(remark)
            where.remark(log)
    if is_failed:
        from whence.cli.app import exit_with
        from whence.cli.failures import FAILED

        exit_with(FAILED)


def _draw(report: "Audit", screen: Screen, listed: int) -> Iterator[str]:
    yield screen.paint(screen.text(f"Runs in {shorten(report.folder)}"), "title")
    for rule, count in report.rules:
        yield ""
        head = f"{rule.severity} {rule.id} in {format_count(count, 'file')}"
        yield screen.paint(screen.text(head), _ROLES[rule.severity])
        yield from _text(rule.sentence, screen, _INDENT, "faint")
        for finding in islice(report.findings(rule.id), listed):
            yield from _text(f"{finding.file}: {finding.message}", screen, _INDENT)
        if count > listed:
            yield screen.paint(
                screen.text(f"  … {count - listed:,} more; a larger -n shows more"), "faint"
            )
    yield ""
    counts = report.counts()
    looked = format_count(report.files, "file")
    found = ", ".join(format_count(count, one) for one, count in _named(counts) if count)
    if found:
        role: Role = "bad" if counts["error"] else "warning"
        yield from _text(f"FINDINGS: {found} in {looked}.", screen, "", role)
    else:
        yield from _text(f"SOUND: nothing found in {looked}.", screen, "", "good")
    if not report.has_journal:
        note = "There is no journal here, so whether a file is what was saved was not looked at."
        yield from _text(note, screen, "", "faint")


def _named(counts: "dict[Severity, int]") -> Iterator[tuple[str, int]]:
    for severity, count in counts.items():
        yield "remark" if severity == "info" else severity, count


def _draw_rules(choice: "Choice", screen: Screen, output: str) -> Iterator[str]:
    if output == "json":
        rules = [
            {
                "id": rule.id, "severity": rule.severity, "sentence": rule.sentence,
                "limits": rule.limits,
            }
            for rule in choice.rules
        ]  # fmt: skip
        yield from format_pretty(rules).splitlines()
        return
    for rule in choice.rules:
        limits = ", ".join(f"{name} = {value:g}" for name, value in rule.limits.items())
        yield screen.paint(screen.text(f"{rule.severity} {rule.id}"), _ROLES[rule.severity])
        yield from _text(rule.sentence + (f" ({limits})" if limits else ""), screen, _INDENT)


def _as_json(report: "Audit", is_failed: bool) -> Iterator[str]:
    """Lay the report out for a program, a finding a line. Keys are only ever added."""
    counts = report.counts()
    head = {
        "folder": str(report.folder),
        "files": report.files,
        "has_journal": report.has_journal,
        "is_failed": is_failed,
        "counts": counts,
        "rules": [
            {"id": rule.id, "severity": rule.severity, "sentence": rule.sentence, "files": count}
            for rule, count in report.rules
        ],
    }
    *lines, last = format_pretty(head).splitlines()[:-1]
    yield from lines
    yield f"{last},"
    yield '  "findings": ['
    before = ""
    for finding in report.findings():
        if before:
            yield f"{before},"
        before = "    " + dump(
            {
                "rule": finding.rule, "severity": finding.severity, "file": finding.file,
                "message": finding.message,
            }
        )  # fmt: skip
    yield from [before] if before else []
    yield "  ]"
    yield "}"


def _as_sarif(report: "Audit") -> Iterator[str]:
    from whence import __version__
    from whence.runs.sarif import write_sarif

    relative = os.path.relpath(report.folder)
    is_below = not relative.startswith(os.pardir)
    folder = Path(relative).as_posix() if is_below else report.folder.as_uri()

    def locate(file: str) -> str:
        name = quote(os.fsencode(file))
        return f"{quote(folder) if is_below else folder}/{name}"

    return write_sarif(
        ((each.rule, each.severity, each.file, each.message) for each in report.findings()),
        report.choice.rules, version=__version__, locate=locate,
    )  # fmt: skip


def _text(text: str, screen: Screen, before: str, role: Role | None = None) -> Iterator[str]:
    """Write text that may be longer than a line, the rest of it a little further in."""
    for number, line in enumerate(screen.lines(text, indent=len(before) + len(_INDENT))):
        yield before + (_INDENT if number else "") + screen.paint(line, role)
