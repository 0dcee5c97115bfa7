"""Executing a recorded run again, and what that shows.

First whether the run's file is what the journal committed to, then what has changed since, then two executions
in processes of their own, the second with another hash seed, so that what only luck made the same shows. Where
something else came out than was recorded under a random hash seed, more of them are tried.
The verdict is recorded as an event that the run caused.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import msgspec

from whence.errors import CorruptError, NotFoundError, StoreError
from whence.log import Log
from whence.runs.commitments import Save, holds, read_save
from whence.runs.compare import Comparison, Tolerance, parse_tolerance
from whence.runs.differing import read_steps
from whence.runs.digest import digest
from whence.runs.environment import describe_environment
from whence.runs.execution import Execution, Executions, execute
from whence.runs.files import RunFile, path_of, read_file
from whence.runs.history import PRIMITIVE, REPLAY, RunRecord, read_run
from whence.runs.judging import Change, Doing, Verdict, Word, judge, say_difference
from whence.runs.runners import describe_runner, home_of
from whence.runs.saving import runs_folder

TIMEOUT_S = 60.0
_KEPT_PRINT = 4_000
_HASH_SEEDS = ("0", "1", "2", "3", "4")
_COMPARED = ("python", "implementation", "platform")

Progress = Callable[[int, int], None]


class _CannotReplay(Exception):  # noqa: N818 it is a verdict, not an error
    """There is nothing to execute, or nothing to compare with."""


def replay(
    log: Log,
    reference: str,
    *,
    runner: Callable[..., Any] | str | None = None,
    timeout_s: float = TIMEOUT_S,
    tolerances: Iterable[Tolerance | str] = (),
) -> Verdict:
    """Execute a run again and judge what came of it; the verdict is recorded.

    `runner` is called instead of the one that the run names. Each of the two executions may take
    `timeout_s`. A tolerance is written as `output.overlays.*=1e-9`.

    Raises:
        NotFoundError: there is no such run.
        ValueError: a tolerance or the runner cannot be used.
    """
    allowed = [parse_tolerance(each) if isinstance(each, str) else each for each in tolerances]
    chosen = _choose(runner)
    run = read_run(log, reference)
    has_cores = (os.cpu_count() or 1) > 1
    verdict = _Replay(log, run, chosen, timeout_s, allowed, Executions(), at_once=has_cores).judge()
    _record(log, run, verdict)
    return verdict


def replay_many(
    log: Log,
    runs: Sequence[RunRecord],
    *,
    runner: Callable[..., Any] | str | None = None,
    timeout_s: float = TIMEOUT_S,
    tolerances: Sequence[Tolerance] = (),
    workers: int | None = None,
    progress: Progress = lambda _done, _in_all: None,
) -> Generator[Verdict, None, None]:
    """Replay runs on all cores and give the verdicts as they come; closing it ends what is going on."""
    chosen, executions = _choose(runner), Executions()

    def one(run: RunRecord) -> Verdict:
        return _Replay(log, run, chosen, timeout_s, tolerances, executions).judge()

    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        waiting = {pool.submit(one, run): run for run in runs}
        done = 0
        while waiting:
            for each in wait(waiting, return_when=FIRST_COMPLETED).done:
                run, verdict = waiting.pop(each), each.result()
                done += 1
                _record(log, run, verdict)
                progress(done, len(runs))
                yield verdict
    except BaseException:
        # Ctrl-C, or whoever asked wants no more.
        executions.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Chosen(NamedTuple):
    """A runner that the user named: how another process finds it, and where that is imported from."""

    name: str
    place: str


def _choose(runner: Callable[..., Any] | str | None) -> _Chosen | None:
    """Read what runner was given; ValueError for one that another process cannot find."""
    if runner is None:
        return None
    if isinstance(runner, str):
        return _Chosen(runner, os.getcwd())
    return _Chosen(home_of(runner), describe_runner(runner).get("runner_folder") or os.getcwd())


class _Replay:
    """One replay of one run."""

    def __init__(
        self,
        log: Log,
        run: RunRecord,
        chosen: _Chosen | None,
        timeout_s: float,
        tolerances: Sequence[Tolerance],
        executions: Executions,
        *,
        at_once: bool = False,
    ) -> None:
        self._executions = executions
        self._at_once = at_once
        self._log = log
        self._run = run
        self._chosen = chosen
        self._timeout_s = timeout_s
        self._tolerances = tolerances
        self._changes: list[Change] = []

    def judge(self) -> Verdict:
        """Come to a verdict."""
        run = self._run
        try:
            file = self._read()
            runners = self._runners()
            self._changes += find_changes(run.environment, describe_environment())
        except _CannotReplay as reason:
            return Verdict(word="NOT_REPLAYABLE", run=run.id, name=run.name, reason=str(reason))
        executions = self._execute_twice(runners, file.input)
        verdict = self._conclude(file, executions)
        if self._hash_seed is None:
            return self._look_for_luck(verdict, executions, runners, file)
        return verdict

    def _read(self) -> RunFile:
        """The run's file, if it is what the journal says, and ended well."""
        run = self._run
        if run.save is None:
            ended = "it failed" if run.fail else "it is unfinished"
            raise _CannotReplay(f"{ended}, so nothing is known to compare with")
        path = path_of(runs_folder(self._log), run.id)
        try:
            file = read_file(path)
        except NotFoundError as error:
            raise _CannotReplay(f"its file {path.name} is not there") from error
        except (CorruptError, StoreError) as error:
            raise _CannotReplay(str(error)) from error
        save: Save | None = read_save(run.save)
        if save is None or save.commit is None:
            raise _CannotReplay("the journal does not say what its file held")
        if not holds(save, file.content):
            raise _CannotReplay(
                f"its file {path.name} is not what was saved: the digest does not match"
            )
        if "input" not in file.value:
            raise _CannotReplay("its file has no input")
        if run.input_digest is not None and digest(file.input) != run.input_digest:
            raise _CannotReplay("its input is not what went in: the digest does not match")
        return file

    def _runners(self) -> list[str]:
        """The names that may mean its runner, the likeliest first."""
        if self._chosen is not None:
            return [self._chosen.name]
        begun = self._run.begun
        named = [begun.get("runner_home"), begun.get("runner")]
        names = [name for name in named if isinstance(name, str) and name]
        if names:
            return list(dict.fromkeys(names))
        problem = begun.get("runner_problem")
        raise _CannotReplay(
            str(problem) if problem else "it names no runner; --runner gives it one"
        )

    def _hash_seeds(self) -> list[str]:
        """That of the run, if it had one, and others."""
        said = self._hash_seed
        return [*([said] if said else []), *(each for each in _HASH_SEEDS if each != said)]

    @property
    def _hash_seed(self) -> str | None:
        """The hash seed of the run; None where it was a random one, or is not known."""
        said = self._run.environment.get("hash_seed")
        return said if isinstance(said, str) and said.isdigit() else None

    def _execute_twice(self, runners: list[str], given: Any) -> list[Execution]:
        """Execute with one hash seed and with another; side by side where there is nothing else to do."""
        first, second, *_ = self._hash_seeds()
        if not self._at_once:
            execution = self._execute(runners, given, first)
            if _find_failure(execution) is not None:
                return [execution]
            return [execution, self._execute(runners, given, second)]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self._execute, runners, given, second)
            try:
                return [self._execute(runners, given, first), waiting.result()]
            except BaseException:
                self._executions.stop()
                raise

    def _look_for_luck(
        self, verdict: Verdict, executions: list[Execution], runners: list[str], file: RunFile
    ) -> Verdict:
        """Execute with more hash seeds where the run had one that nobody knows and came out otherwise.

        What depends on the order of a small set comes out the same with two of them often enough.
        """
        _first, _second, *others = self._hash_seeds()
        for hash_seed in others:
            if verdict.word not in ("DIVERGED", "ENVIRONMENT_CHANGED"):
                break
            further = self._execute(runners, file.input, hash_seed)
            if _find_failure(further) is not None:
                break
            executions = [*executions, further]
            verdict = self._conclude(file, executions)
        return verdict

    def _execute(self, runners: list[str], given: Any, hash_seed: str) -> Execution:
        begun, folder = self._run.begun, self._run.environment.get("folder")
        place = begun.get("runner_folder") if self._chosen is None else self._chosen.place
        seed = self._run.seed
        return execute(
            self._executions,
            runners=runners,
            is_chosen=self._chosen is not None,
            given=given,
            place=place if isinstance(place, str) else None,
            folder=folder if isinstance(folder, str) and os.path.isdir(folder) else None,
            seeds={**dict.fromkeys(("random", "numpy"), seed), **self._run.seeds},
            hash_seed=hash_seed,
            timeout_s=self._timeout_s,
        )

    def _conclude(self, file: RunFile, executions: Sequence[Execution]) -> Verdict:
        failed = next((each for each in executions if _find_failure(each) is not None), None)
        raised = [each for each in executions if _find_error(each) is not None]
        changes = (*self._changes, *self._compare_code(executions))
        shared: dict[str, Any] = {
            "run": self._run.id,
            "name": self._run.name,
            "changes": changes,
            "seconds": sum(each.seconds for each in executions),
            "printed": (failed or (raised or executions)[-1]).printed,
        }
        if failed is not None:
            return Verdict(word="NOT_REPLAYABLE", reason=_find_failure(failed), **shared)
        unlike: Word = "ENVIRONMENT_CHANGED" if changes else "DIVERGED"
        if raised:
            is_each = len(raised) == len(executions)
            which = "" if is_each else f"in {len(raised)} of {len(executions)} executions "
            return Verdict(
                word=unlike if is_each else "NOT_DETERMINISTIC",
                reason=f"{which}the runner raised {_find_error(raised[0])}", **shared,
            )  # fmt: skip
        doings = [_doing(each) for each in executions]
        word, found = judge(self._recorded(file), doings, self._tolerances, unlike)
        trust = doings[0].output.get("trust") if isinstance(doings[0].output, dict) else None
        return Verdict(
            word=word, reason=_reason(word, found), differences=found.differences, count=found.count,
            tolerated=found.tolerated, trust=trust, **shared,
        )  # fmt: skip

    def _compare_code(self, executions: Sequence[Execution]) -> list[Change]:
        then = self._run.begun.get("runner_code")
        codes = (each.answer.runner_code for each in executions if each.answer)
        now = next((code for code in codes if code), None)
        if self._chosen is None and then and now and then != now:
            return [Change(what="code", then=then, now=now)]
        return []

    def _recorded(self, file: RunFile) -> Doing:
        return Doing(id=self._run.id, steps=tuple(read_steps(self._run)), output=file.output)


def _find_failure(execution: Execution) -> str | None:
    """Why nothing was executed to its end, if so."""
    answer = execution.answer
    return execution.failure if answer is None else answer.problem


def _find_error(execution: Execution) -> str | None:
    """What the runner raised, if it did."""
    return execution.answer.error if execution.answer is not None else None


def _doing(execution: Execution) -> Doing:
    answer = execution.answer
    assert answer is not None
    return Doing(
        id=answer.id,
        steps=tuple(answer.steps) if answer.is_captured else None,
        output=answer.output,
    )


def _reason(word: str, found: Comparison) -> str | None:
    if not found.differences:
        return None
    text = say_difference(found.differences[0])
    if word == "NOT_DETERMINISTIC":
        return f"two executions with the same seeds differ: {text}"
    return text


def find_changes(then: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """What of the environment is not as it was; what nobody recorded has not changed."""
    changes = [
        Change(what=name, then=then[name], now=now.get(name))
        for name in _COMPARED
        if name in then and then[name] != now.get(name)
    ]
    before, after = then.get("packages"), now.get("packages")
    if isinstance(before, dict) and isinstance(after, dict):
        changes += [
            Change(what=f"package {name}", then=before.get(name), now=after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
    commit, current = then.get("git"), now.get("git")
    if isinstance(commit, dict) and isinstance(current, dict):
        said = [_say_commit(each) for each in (commit, current)]
        if said[0] != said[1]:
            changes.append(Change(what="git", then=said[0], now=said[1]))
    return changes


def _say_commit(commit: dict[str, Any]) -> str:
    return f"{commit.get('commit')}{' with changes' if commit.get('dirty') else ''}"


def _record(log: Log, run: RunRecord, verdict: Verdict) -> None:
    cause = run.save or run.fail or run.begin
    data = {
        "run": run.name,
        "verdict": verdict.word,
        "reason": verdict.reason,
        "differences": verdict.count,
        "tolerated": verdict.tolerated,
        "changes": msgspec.to_builtins(verdict.changes),
        "output": verdict.printed[-_KEPT_PRINT:],
    }
    log.emit(
        PRIMITIVE, REPLAY, target=run.id, parent=cause.id if cause else None,
        status="success" if verdict.is_fine else "error", duration=round(verdict.seconds * 1e9),
        data={key: value for key, value in data.items() if value},
    )  # fmt: skip
