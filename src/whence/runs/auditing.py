"""The audit: every run file of a folder looked at by every rule, beside what the journal says of it.

Nothing that stands in a file is fatal: a file that cannot be read is a finding, and so is a rule that
raises. Memory stays as it is however many files there are. Nothing is written.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from whence.draw.cells import printable
from whence.errors import NotFoundError, StoreError
from whence.query import Query
from whence.runs.commitments import Save, file_holds, holds, read_saves
from whence.runs.files import SUFFIX, RunFile, RunFileError, path_of, read_bytes, read_file, salvage
from whence.runs.ledger import Ledger
from whence.runs.rules.choice import Choice, FailOn, choose_rules
from whence.runs.rules.rule import SEVERITIES, Rule, Severity
from whence.runs.rules.shape import required_keys, trust_missing
from whence.runs.rules.standard import (
    DIGEST,
    DUPLICATE,
    FAILED,
    MISSING,
    ORPHAN,
    OVERSIZED,
    TRUNCATED,
    TURNS,
    UNREADABLE,
)
from whence.runs.rules.subject import AuditedRun, show

if TYPE_CHECKING:
    from whence.log import Log

Progress = Callable[[int, int], None]

_COUNTED_MAX = 1_000
_MESSAGE_MAX = 300
_TEMPORARY = ".tmp"
_LIVE_S = 60
"""How old a temporary file has to be so that nobody is writing it any more."""
_NS_PER_S = 1_000_000_000
_PROGRESS_EVERY = 64


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule found in one file."""

    rule: str
    severity: Severity
    file: str
    message: str


class Audit:
    """What came of an audit. Close it, or use `with`: its findings are kept in a temporary database."""

    def __init__(self, folder: Path, choice: Choice, ledger: Ledger, has_journal: bool) -> None:
        self.folder = folder
        self.choice = choice
        self.has_journal = has_journal
        self.files = ledger.count_files()
        self._ledger = ledger
        counts = ledger.counts()
        grouped = sorted(choice.rules, key=lambda rule: -SEVERITIES.index(rule.severity))
        self.rules: list[tuple[Rule, int]] = [
            (rule, counts[rule.id]) for rule in grouped if rule.id in counts
        ]
        """The rules that found something, the worst first, and in how many files."""

    def findings(self, rule: str | None = None) -> Iterator[Finding]:
        """Give the findings, grouped by rule, the worst rules first; or those of one rule."""
        for each, _ in self.rules:
            if rule in (None, each.id):
                for file, message in self._ledger.findings(each.id):
                    yield Finding(rule=each.id, severity=each.severity, file=file, message=message)

    def counts(self) -> dict[Severity, int]:
        """How many findings there are of each severity."""
        counts: dict[Severity, int] = dict.fromkeys(reversed(SEVERITIES), 0)
        for rule, count in self.rules:
            counts[rule.severity] += count
        return counts

    def fails(self, fail_on: FailOn | None = None) -> bool:
        """Whether a finding is as severe as `fail_on`, or as `[audit] fail_on` where that is None."""
        wanted = fail_on or self.choice.fail_on
        if wanted == "never":
            return False
        counts = self.counts()
        return any(counts[each] for each in SEVERITIES[SEVERITIES.index(wanted) :])

    def close(self) -> None:
        """Give the temporary database back."""
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def audit(
    folder: Path,
    log: "Log | None" = None,
    *,
    choice: Choice | None = None,
    only: Iterable[str] | None = None,
    progress: Progress = lambda _done, _in_all: None,
) -> Audit:
    """Look at the run files of a folder; `progress` hears of files done and files in all.

    With a `log` they are compared with what its journal says. `only` are names of files: then no
    others are looked at.

    Raises:
        StoreError: the folder is not there, or cannot be listed.
        NotFoundError: there is none of the files in `only`.
        ValueError: what is wrong with `[audit]` in the log's settings.
    """
    if choice is None:
        choice = choose_rules(log.settings) if log is not None else choose_rules()
    ledger = Ledger()
    try:
        journal = log if log is not None and log.exists() else None
        auditor = _Auditor(folder, choice, ledger, journal)
        auditor.look(None if only is None else frozenset(only), progress)
        return Audit(folder, choice, ledger, journal is not None)
    except BaseException:
        ledger.close()
        raise


class _Auditor:
    """One audit while it runs."""

    def __init__(self, folder: Path, choice: Choice, ledger: Ledger, log: "Log | None") -> None:
        self._folder = folder
        self._ledger = ledger
        self._log = log
        self._rules = {rule.id: rule for rule in choice.rules}
        self._checked = [rule for rule in choice.rules if rule.check is not None]
        self._now = time.time()

    def look(self, only: frozenset[str] | None, progress: Progress) -> None:
        """Look at each file, then at all of them together."""
        ledger = self._ledger
        # Files before the journal: of a run that is saved meanwhile the event comes last.
        is_there = self._list(only)
        self._read_journal(only)
        if not is_there and next(ledger.missing(), None) is None:
            raise StoreError(f"there are no run files: {self._folder} does not exist")
        in_all = ledger.count_files()
        if only and not in_all and next(ledger.missing(), None) is None:
            raise NotFoundError(f"there is no run file {', '.join(sorted(only))} in {self._folder}")
        for done, file in enumerate(ledger.files(), start=1):
            self._look_at(file)
            if done % _PROGRESS_EVERY == 0:
                progress(done, in_all)
        self._look_across()
        self._look_again(only)
        progress(in_all, in_all)

    def _list(self, only: frozenset[str] | None) -> bool:
        """Note the names of the run files; False where there is no folder."""
        try:
            with os.scandir(self._folder) as entries:
                names = (entry.name for entry in entries)
                self._ledger.add_files(
                    name for name in names if (_is_run_file(name) if only is None else name in only)
                )
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"cannot list {self._folder}: {error.strerror}") from error
        return True

    def _read_journal(self, only: frozenset[str] | None, since: int | None = None) -> None:
        if self._log is None:
            return
        saves = read_saves(self._log, Query(since=since))
        self._ledger.add_saves(save for save in saves if only is None or save.file in only)

    # -- one file --------------------------------------------------------------------------------

    def _look_at(self, file: str) -> None:
        path = self._folder / file
        oversized = self._rules.get(OVERSIZED.id, OVERSIZED)
        try:
            run = read_file(path, limit=int(oversized.limits["bytes"]))
        except NotFoundError:
            # Since it was listed: if it was saved, it is missing.
            self._ledger.drop_file(file)
            return
        except RunFileError as error:
            self._tell_unreadable(file, error)
            if error.problem != "not a file":
                self._compare(file)
            return
        except StoreError as error:
            self._find(UNREADABLE, file, _cause(error))
            return
        self._compare(file, run.content)
        self._check(file, run)

    def _check(self, file: str, run: RunFile) -> None:
        subject = AuditedRun(file, run.value, run.content, self._now)
        for rule in self._checked:
            assert rule.check is not None
            try:
                found = list(islice(rule.check(subject, rule.limits), _COUNTED_MAX))
                if found:
                    self._find(rule, file, _join(found))
            except Exception as error:  # noqa: BLE001 a rule may do anything
                self._find(FAILED, file, f"{rule.id} raised {type(error).__name__}: {error}")
        state = subject.state or subject.input
        self._ledger.add_run(file, subject.trace_id, state.get("sim_id"), state.get("turn"))

    def _tell_unreadable(self, file: str, error: RunFileError) -> None:
        problem = str(error).removeprefix(f"{error.path.name} is ")
        if error.problem == "torn":
            self._find(TRUNCATED, file, f"{problem}; {self._salvage(error.path)}")
        elif error.problem == "too large":
            self._find(OVERSIZED, file, problem)
        else:
            self._find(UNREADABLE, file, problem)

    def _salvage(self, path: Path) -> str:
        try:
            value = salvage(read_bytes(path)).value
        except (StoreError, NotFoundError, RunFileError):
            value = None
        kept = _outline(value)
        return f"salvaged: {kept}" if kept else "nothing could be salvaged"

    def _compare(self, file: str, content: bytes | None = None) -> None:
        """Compare a file with what was saved last; without its `content` it is read piece by piece."""
        if DIGEST.id not in self._rules or self._log is None:
            return
        path = self._folder / file

        def is_that(save: Save) -> bool:
            return holds(save, content) if content is not None else file_holds(save, path)

        saves = self._ledger.saves_of(file)
        try:
            if not saves or is_that(saves[-1]):
                return
            older = next((save for save in reversed(saves[:-1]) if is_that(save)), None)
        except StoreError as error:
            self._find(DIGEST, file, _cause(error))
            return
        if older is not None:
            self._find(
                DIGEST, file,
                f"it is what was saved at {older.time}, not what was saved last at {saves[-1].time}",
            )  # fmt: skip
        else:
            self._find(DIGEST, file, f"it is not what was saved at {saves[-1].time}")

    # -- all files together ----------------------------------------------------------------------

    def _look_across(self) -> None:
        for file, trace_id, first in self._ledger.duplicates():
            self._find(DUPLICATE, file, f"trace_id {show(trace_id)} is also in {show(first)}")
        for at in self._ledger.turn_breaks():
            which = f"turn {at.turn} of simulation {show(at.sim)}"
            if at.turn == at.before:
                self._find(TURNS, at.file, f"{which} is also in {show(at.file_before)}")
            else:
                missing = at.turn - at.before - 1
                self._find(
                    TURNS, at.file, f"{which} follows turn {at.before}: {missing:,} missing between"
                )

    def _look_again(self, only: frozenset[str] | None) -> None:
        """Tell what the journal and the folder know of each other, once what was saved meanwhile is known."""
        if self._log is None:
            return
        mark = self._ledger.last_save()
        self._read_journal(only, since=int((self._now - _LIVE_S) * _NS_PER_S))
        for file in self._ledger.found_and_saved(DIGEST.id, mark):
            self._ledger.drop_finding(DIGEST.id, file)
            self._compare(file)
        for file, is_known in self._ledger.orphans():
            unsaid = "the journal does not say what it held"
            self._find(ORPHAN, file, unsaid if is_known else "the journal does not know it")
        for file, saved in self._ledger.missing():
            if not os.path.lexists(self._folder / file):
                self._find(MISSING, file, f"it was saved at {saved} and is not there")
        if only is None:
            self._tell_left_behind()

    def _tell_left_behind(self) -> None:
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    is_temporary = entry.name.startswith(".") and entry.name.endswith(_TEMPORARY)
                    if is_temporary and entry.stat().st_mtime < self._now - _LIVE_S:
                        self._find(ORPHAN, entry.name, "left behind by a writer that was killed")
        except OSError:
            # What is gone meanwhile is nobody's problem.
            return

    def _find(self, rule: Rule, file: str, message: str) -> None:
        if rule.id in self._rules:
            text = printable(message)
            if len(text) > _MESSAGE_MAX:
                text = text[: _MESSAGE_MAX - 1] + "…"
            self._ledger.add_finding(rule.id, file, text)


def log_audit(folder: Path, log: "Log | None", logger: logging.Logger) -> int:
    """Audit in the words of the seed, one line for each finding that is not a mere remark; returns how many."""
    try:
        report = audit(folder, log)
    except StoreError:
        logger.warning("[AUDIT] Trace directory does not exist.")
        return 0
    words = {
        TRUNCATED.id: "[AUDIT] Failed to audit {file}: {message}",
        UNREADABLE.id: "[AUDIT] Failed to audit {file}: {message}",
        OVERSIZED.id: "[AUDIT] Failed to audit {file}: {message}",
        required_keys.id: "[AUDIT] Corrupt or incomplete trace: {file}",
        trust_missing.id: "[AUDIT] Missing trust score in: {file}",
    }
    count = 0
    with report:
        for finding in report.findings():
            if finding.severity != "info":
                form = words.get(finding.rule, "[AUDIT] {rule} in {file}: {message}")
                line = form.format(
                    rule=finding.rule, file=printable(finding.file), message=finding.message
                )
                logger.warning("%s", line)
                count += 1
    logger.info("[AUDIT] Completed with %d issue(s).", count)
    return count


def file_named(reference: str) -> str:
    """The name of the file that is meant by an id or by a file's own name or path."""
    name = os.path.basename(reference)
    return name if name.endswith(SUFFIX) else path_of(Path(), reference).name


def _is_run_file(name: str) -> bool:
    return name.endswith(SUFFIX) and not name.startswith(".")


def _join(found: list[str]) -> str:
    more = len(found) - 1
    if not more:
        return str(found[0])
    size = f"{more:,} or more" if len(found) == _COUNTED_MAX else f"{more:,} more"
    return f"{found[0]}; and {size}"


def _cause(error: StoreError) -> str:
    reason = error.__cause__
    return f"cannot be read: {getattr(reason, 'strerror', None) or error}"


def _outline(value: Any) -> str:
    """The keys that are there of what was salvaged, two levels of them."""
    if not isinstance(value, dict):
        return ""
    parts = []
    for key, item in islice(value.items(), 10):
        inner = (
            ", ".join(printable(each) for each in islice(item, 10))
            if isinstance(item, dict)
            else ""
        )
        parts.append(printable(key) + (f" ({inner})" if inner else ""))
    return ", ".join(chain(parts, ["…"] if len(value) > 10 else []))
