"""Replays with real processes: each verdict is earned, and whatever a runner does, nothing is left running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import whence
from tests.unit.runs import runners_at_hand
from whence.errors import NotFoundError
from whence.log import Log
from whence.query import Query
from whence.runs.executing import Order
from whence.runs.execution import Executions, execute
from whence.runs.history import read_run, read_runs
from whence.runs.judging import Verdict
from whence.runs.recording import Run
from whence.runs.replaying import replay, replay_many
from whence.runs.saving import load_run, runs_folder, save_run

pytestmark = pytest.mark.usefixtures("_in_a_folder_of_its_own")


@pytest.fixture
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    whence.close()


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / ".whence"))
    with whence.open() as opened:
        yield opened


def record(log: Log, name: str, given: Any, output: Any = None, **options: Any) -> Run:
    """Record a run of a runner as the program that has it would."""
    runner: Callable[..., Any] = getattr(runners_at_hand, name)
    with log.run(name, given, runner=runner, **options) as run:
        run.result(runner(given) if output is None else output)
    return run


def of_type_replay(log: Log) -> list[Any]:
    return list(log.events(Query(primitive="run", type="replay")))


def check_recorded(log: Log, verdict: Verdict) -> None:
    (event,) = of_type_replay(log)
    run = read_run(log, verdict.run)
    ended = run.save or run.fail or run.begin
    assert event.target == verdict.run
    assert ended is not None
    assert event.parent == ended.id
    assert event.data["verdict"] == verdict.word
    assert event.status == ("success" if verdict.is_fine else "error")


def test_what_comes_out_the_same_is_identical(log: Log) -> None:
    run = record(log, "steady", {"hope": 0.5})
    verdict = replay(log, run.id)

    assert verdict.word == "IDENTICAL", verdict
    assert verdict.trust == 0.5
    assert (verdict.count, verdict.changes, verdict.reason) == (0, (), None)
    check_recorded(log, verdict)


def test_a_runner_that_records_a_run_is_compared_step_by_step(log: Log) -> None:
    given = {"hope": 0.5}
    with log.run("recording", given, runner="recording") as run:
        for turn in range(3):
            run.step("turn", {"hope": 0.5 - turn / 10})
        run.output(overlays={"hope": 0.5}, variables={"id": run.id})
    events = sum(1 for _ in log.events())
    verdict = replay(log, run.id)

    assert verdict.word == "IDENTICAL", verdict
    # What it records in the replay is nobody's history.
    assert sum(1 for _ in log.events()) == events + 1


def test_a_step_that_differs_is_the_first_difference(log: Log) -> None:
    with log.run("recording", {"hope": 0.5}, runner="recording") as run:
        run.step("turn", {"hope": 0.5})
        run.step("turn", {"hope": 0.3}, keep=True)
        run.step("turn", {"hope": 0.3})
        run.output(overlays={"hope": 0.6}, variables={"id": run.id})
    verdict = replay(log, run.id)

    assert verdict.word == "DIVERGED"
    assert verdict.first is not None
    assert (verdict.first.path, verdict.first.left, verdict.first.right) == (
        ("steps", 1, "state", "hope"), 0.3, 0.4,
    )  # fmt: skip
    assert verdict.count == 2
    assert verdict.reason == "steps[1].state.hope was 0.3, is 0.4"
    check_recorded(log, verdict)


def test_numbers_may_be_apart_as_far_as_is_tolerated(log: Log) -> None:
    run = record(log, "steady", {"hope": 0.5}, {"overlays": {"hope": 0.25 + 1e-12}, "trust": 0.5})

    assert replay(log, run.id).word == "DIVERGED"
    verdict = replay(log, run.id, tolerances=["output.overlays.*=1e-9"])
    assert (verdict.word, verdict.tolerated, verdict.is_fine) == ("WITHIN_TOLERANCE", 1, True)
    assert replay(log, run.id, tolerances=["output.variables.*=1e-9"]).word == "DIVERGED"
    assert replay(log, run.id, tolerances=["rel:1e-9"]).word == "WITHIN_TOLERANCE"


def test_what_depends_on_the_order_of_a_set_is_not_deterministic(log: Log) -> None:
    verdict = replay(log, record(log, "lucky", {"n": 50}).id)

    assert verdict.word == "NOT_DETERMINISTIC"
    assert verdict.reason is not None
    assert "two executions with the same seeds differ: output.result[" in verdict.reason
    check_recorded(log, verdict)


@pytest.mark.parametrize(
    ("hash_seed", "word"), [("random", "NOT_DETERMINISTIC"), ("0", "DIVERGED")]
)
def test_what_two_hash_seeds_do_not_show_a_third_one_does(
    log: Log, monkeypatch: pytest.MonkeyPatch, hash_seed: str, word: str
) -> None:
    """Only where the run had a hash seed that nobody knows: with a known one it came out otherwise."""
    names = _names_that_the_third_hash_seed_tells_apart()
    monkeypatch.setattr(
        "whence.runs.recording.describe_environment", lambda: {"hash_seed": hash_seed}
    )
    run = record(log, "choosing", {"names": names}, {"result": names[1]})
    verdict = replay(log, run.id)

    assert verdict.word == word, verdict
    assert verdict.first is not None
    assert {verdict.first.left, verdict.first.right} == set(names)
    assert len(of_type_replay(log)) == 1


def _names_that_the_third_hash_seed_tells_apart() -> list[str]:
    """Two names, the first of which is the first of their set with hash seeds 0 and 1, but not with 2."""
    pairs = [[f"one-{number}", f"other-{number}"] for number in range(200)]
    code = f"print(*(next(iter(set(pair))) for pair in {pairs!r}))"
    firsts = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True, capture_output=True, text=True,
        ).stdout.split()
        for hash_seed in ("0", "1", "2")
    ]  # fmt: skip
    for (zero, one, two), pair in zip(zip(*firsts, strict=True), pairs, strict=True):
        if zero == one != two:
            return [zero, next(name for name in pair if name != zero)]
    pytest.fail("no two names are in such an order")


@pytest.mark.parametrize(
    ("raise_with", "word", "reason"),
    [
        (["0"], "NOT_DETERMINISTIC", "in 1 of 2 executions the runner raised LookupError"),
        (["1"], "NOT_DETERMINISTIC", "in 1 of 2 executions the runner raised LookupError"),
        (["0", "1"], "NOT_DETERMINISTIC", "in 2 of 3 executions the runner raised LookupError"),
        (["0", "1", "2", "3", "4"], "DIVERGED", "the runner raised LookupError"),
    ],
)
@pytest.mark.parametrize("cores", [1, 2])
def test_what_is_raised_only_now_and_then_is_not_deterministic(
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    raise_with: list[str],
    word: str,
    reason: str,
    cores: int,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr("whence.runs.recording.describe_environment", dict)
    run = record(log, "moody", {"raise_with": raise_with}, {"result": "done"})
    verdict = replay(log, run.id)

    assert (verdict.word, verdict.reason) == (word, f"{reason}: no such thing")
    check_recorded(log, verdict)


def test_generators_of_random_numbers_get_the_seed_that_was_recorded(log: Log) -> None:
    import random

    random.seed(11)
    run = record(log, "seeded", {"n": 3}, seed=11)
    assert replay(log, run.id).word == "IDENTICAL"
    run = record(log, "seeded", {"n": 3})
    assert replay(log, run.id).word == "NOT_DETERMINISTIC"


def test_other_versions_are_why_it_may_differ(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "level"
    file.write_text("0.5")
    then = {"python": "3.9.1", "packages": {"simulators": "1.0"}, "git": {"commit": "a" * 40}}
    with monkeypatch.context() as patched:
        patched.setattr("whence.runs.recording.describe_environment", lambda: then)
        run = record(log, "drifting", {"file": str(file)})
    assert replay(log, run.id).word == "IDENTICAL"
    file.write_text("0.75")
    verdict = replay(log, run.id)

    assert verdict.word == "ENVIRONMENT_CHANGED"
    assert verdict.reason == "output.overlays.hope was 0.5, is 0.75"
    changed = {change.what: change.then for change in verdict.changes}
    assert changed["python"] == "3.9.1"
    assert changed["package simulators"] == "1.0"


def test_other_code_is_why_it_may_differ(log: Log, tmp_path: Path) -> None:
    module = tmp_path / "models" / "edited.py"
    module.parent.mkdir()
    text = """
import whence

@whence.simulation
def model(hope):
    return {"overlays": {"hope": hope / 2}}

if __name__ == "__main__":
    model(0.5)
"""
    module.write_text(text)
    subprocess.run([sys.executable, str(module)], check=True)
    (run,) = read_runs(log)
    module.write_text(f"{text}# nothing that matters\n")
    assert replay(log, run.id).word == "IDENTICAL"
    module.write_text(text.replace("/ 2", "/ 4"))
    verdict = replay(log, run.id)

    assert verdict.word == "ENVIRONMENT_CHANGED"
    assert verdict.reason == "output.overlays.hope was 0.25, is 0.125"
    assert [change.what for change in verdict.changes] == ["code"]


def test_the_same_versions_are_no_excuse(log: Log, tmp_path: Path) -> None:
    file = tmp_path / "level"
    file.write_text("0.5")
    run = record(log, "drifting", {"file": str(file)})
    file.write_text("0.75")

    assert replay(log, run.id).word == "DIVERGED"


def test_a_simulation_is_its_own_runner(log: Log) -> None:
    runners_at_hand.growing(2, turns=5)
    (run,) = read_runs(log)
    assert (run.seed, run.input) == (3, {"start": 2, "turns": 5, "seed": 3})
    assert load_run(log, run.id)["output"] == {"variables": {"size": 13}}

    assert replay(log, run.id).word == "IDENTICAL"


def _no_runner(log: Log) -> Run:
    with log.run("whatever", {}) as run:
        run.output(trust=1)
    return run


def _lambda(log: Log) -> Run:
    with log.run("whatever", {}, runner=lambda given: given) as run:
        run.output(trust=1)
    return run


def _undeclared(log: Log) -> Run:
    with log.run("whatever", {}, runner="nobody-has-this") as run:
        run.output(trust=1)
    return run


def _dangerous(log: Log) -> Run:
    with log.run("whatever", "touch pwned", runner="os:system") as run:
        run.output(trust=1)
    return run


def _tampered(log: Log) -> Run:
    run = record(log, "steady", {"hope": 0.5})
    (file,) = runs_folder(log).iterdir()
    file.write_bytes(file.read_bytes().replace(b"0.25", b"0.26"))
    return run


def _gone(log: Log) -> Run:
    run = record(log, "steady", {"hope": 0.5})
    (file,) = runs_folder(log).iterdir()
    file.unlink()
    return run


def _torn(log: Log) -> Run:
    run = record(log, "steady", {"hope": 0.5})
    (file,) = runs_folder(log).iterdir()
    os.truncate(file, 60)
    return run


def _failed(log: Log) -> Run:
    with pytest.raises(KeyError), log.run("steady", {}) as run:
        raise KeyError
    return run


def _unfinished(log: Log) -> Run:
    run = log.run("steady", {})
    run.__enter__()
    return run


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_no_runner, "names no runner"),
        (_lambda, "a lambda has no name"),
        (_undeclared, "no entry point declares a runner 'nobody-has-this'"),
        (_dangerous, "os:system is not declared as a runner"),
        (_tampered, "the digest does not match"),
        (_gone, "is not there"),
        (_torn, "torn"),
        (_failed, "it failed"),
        (_unfinished, "it is unfinished"),
    ],
)
def test_what_cannot_be_replayed_says_why(
    log: Log, make: Callable[[Log], Run], reason: str
) -> None:
    run = make(log)
    verdict = replay(log, run.id)

    assert verdict.word == "NOT_REPLAYABLE"
    assert verdict.reason is not None
    assert reason in verdict.reason
    check_recorded(log, verdict)
    assert not Path("pwned").exists()


def test_a_runner_can_be_chosen(log: Log) -> None:
    save_run(
        log,
        {
            "trace_id": "t-1",
            "input": {"hope": 0.5},
            "output": {"overlays": {"hope": 0.25}, "trust": 0.5},
        },
    )
    assert replay(log, "t-1").word == "NOT_REPLAYABLE"
    assert replay(log, "t-1", runner=runners_at_hand.steady).word == "IDENTICAL"
    with pytest.raises(NotFoundError):
        replay(log, "t-2")


@pytest.mark.parametrize(
    ("how", "word", "reason"),
    [
        ("raise", "DIVERGED", "the runner raised LookupError: no such thing"),
        ("exit", "NOT_REPLAYABLE", "it ended with exit code 3 and returned nothing"),
        ("be unspeakable", "DIVERGED", "the runner raised _UnspeakableError"),
        ("leave", "NOT_REPLAYABLE", "it ended with exit code 0 and returned nothing"),
        (
            "leave as timeout does",
            "NOT_REPLAYABLE",
            "it ended with exit code 124 and returned nothing",
        ),
        ("fork and leave", "NOT_REPLAYABLE", "it ended with exit code 3 and returned nothing"),
        ("stop the watcher", "NOT_REPLAYABLE", "it was told to stop by SIGTERM"),
        ("kill", "NOT_REPLAYABLE", "it was ended by SIGKILL"),
        ("hang", "NOT_REPLAYABLE", "it did not end within 1.5 s"),
        ("print", "IDENTICAL", None),
        ("move", "IDENTICAL", None),
        ("close", "IDENTICAL", None),
    ],
)
def test_whatever_a_runner_does_is_a_verdict_with_what_it_printed(
    log: Log, how: str, word: str, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    run = record(log, "unruly", {"how": how}, {"result": "done"})
    verdict = replay(log, run.id, timeout_s=1.5 if how == "hang" else 60)

    assert (verdict.word, verdict.reason) == (word, reason)
    if how == "print":
        assert verdict.printed.endswith("x\n")
        assert len(verdict.printed) < 20_000
    else:
        assert f"about to {how}" in verdict.printed
    check_recorded(log, verdict)


@pytest.mark.parametrize(
    ("how", "word"),
    [("spawn", "IDENTICAL"), ("spawn and kill the watcher", "NOT_REPLAYABLE")],
)
def test_nothing_that_a_runner_started_is_left_running(
    log: Log, tmp_path: Path, how: str, word: str
) -> None:
    note = tmp_path / "pids"
    run = record(log, "unruly", {"how": how, "note": str(note)}, {"result": "done"})
    verdict = replay(log, run.id)

    assert verdict.word == word, verdict
    started = [int(line) for line in note.read_text().split()]
    assert len(started) >= 2
    for pid in started:
        _wait_gone(pid)


def test_nothing_is_executed_for_somebody_who_has_ended(tmp_path: Path) -> None:
    file, answer = tmp_path / "order.json", tmp_path / "answer.json"
    command = [sys.executable, "-m", "whence.runs.executing", str(file)]
    for parent, is_done in ((os.getpid(), True), (os.getpid() + 1, False)):
        order = Order(
            runners=["tests.unit.runs.runners_at_hand:steady"], is_chosen=False, input={"hope": 1},
            place=str(Path(__file__).parents[2]), folder=None, seeds={}, timeout_s=60,
            answer=str(answer), parent=parent,
        )  # fmt: skip
        file.write_bytes(msgspec.json.encode(order))
        answer.unlink(missing_ok=True)
        subprocess.run(command, check=False)

        assert answer.exists() == is_done


def _wait_gone(pid: int) -> None:
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} is left running")


def test_a_package_declares_runners_by_entry_points(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "packages"
    facts = packages / "outer_runners-1.0.dist-info"
    facts.mkdir(parents=True)
    (packages / "outer_runners.py").write_text(
        "def run(given):\n    return {'result': given * 2}\n"
    )
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: outer-runners\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[whence.runners]\nouter = outer_runners:run\n")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    with log.run("outer", 4, runner="outer") as run:
        run.result(8)

    verdict = replay(log, run.id)
    assert verdict.word == "IDENTICAL", verdict


def test_what_lies_about_in_the_folder_is_no_module(log: Log) -> None:
    run = record(log, "steady", {"hope": 0.5})
    for name in ("signal", "ctypes", "msgspec", "random"):
        Path(f"{name}.py").write_text("raise SystemExit('taken for a module')")

    assert replay(log, run.id).word == "IDENTICAL"


def test_many_runs_are_replayed_at_once(log: Log) -> None:
    ids = {record(log, "steady", {"hope": number / 10}).id for number in range(6)}
    odd = record(log, "steady", {"hope": 0.5}, {"trust": 1})
    heard: list[tuple[int, int]] = []
    verdicts = list(
        replay_many(log, list(read_runs(log)), progress=lambda *said: heard.append(said))
    )

    assert {verdict.run for verdict in verdicts} == ids | {odd.id}
    assert [verdict.run for verdict in verdicts if not verdict.is_fine] == [odd.id]
    assert heard[-1] == (7, 7)
    assert len(of_type_replay(log)) == 7


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("words", [["@last"], ["--name", "unruly"]])
def test_whatever_ends_a_replay_nothing_is_left_running(
    log: Log, tmp_path: Path, words: list[str], end: signal.Signals
) -> None:
    with _replay_that_hangs(log, tmp_path, words) as command:
        below = _below(command.pid)
        command.send_signal(end)
        command.wait(30)
    for pid in below:
        _wait_gone(pid)


def test_a_runner_does_not_outlive_those_who_watch_over_it(log: Log, tmp_path: Path) -> None:
    """Not even where none of them has time to end it."""
    with _replay_that_hangs(log, tmp_path, ["--name", "unruly"]) as command:
        watcher, runner = _below(command.pid)
        command.send_signal(signal.SIGSTOP)
        os.kill(watcher, signal.SIGKILL)
        command.kill()
    _wait_gone(runner)


def test_what_is_started_after_all_was_stopped_ends_at_once() -> None:
    executions = Executions()
    executions.stop()
    found = execute(
        executions, runners=["tests.unit.runs.runners_at_hand:unruly"], is_chosen=True, given={"how": "hang"},
        place=str(Path(__file__).parents[2]),
        folder=None, seeds={}, hash_seed="0", timeout_s=30,
    )  # fmt: skip

    assert found.failure is not None
    assert "SIGTERM" in found.failure


def test_who_wants_no_more_verdicts_waits_for_none(log: Log, tmp_path: Path) -> None:
    record(log, "steady", {"hope": 0.5})
    note = tmp_path / "pids"
    for _ in range(6):
        given = {"how": "hang", "note": str(note), "for_s": 20}
        record(log, "unruly", given, {"result": "done"})
    verdicts = replay_many(log, list(read_runs(log, newest_first=False)), workers=2)

    assert next(verdicts).word == "IDENTICAL"
    while not note.exists() or not note.read_text().endswith("\n"):
        time.sleep(0.02)
    verdicts.close()
    for pid in note.read_text().split():
        _wait_gone(int(pid))
    assert not Path("ended").exists()
    assert len(of_type_replay(log)) == 1


@contextmanager
def _replay_that_hangs(
    log: Log, folder: Path, words: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose runners have all been called and do not end."""
    note = folder / "pids"
    record(log, "unruly", {"how": "hang", "note": str(note)}, {"result": "done"})
    at_once = 2 if words == ["@last"] and (os.cpu_count() or 1) > 1 else 1
    with subprocess.Popen(
        [sys.executable, "-m", "whence", "replay", *words], start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as command:  # fmt: skip
        while not note.exists() or note.read_text().count("\n") < at_once:
            assert command.poll() is None
            time.sleep(0.02)
        assert len(_below(command.pid)) == 2 * at_once
        yield command


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and these."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        except (OSError, IndexError):
            continue
        if entry.name.isdigit() and fields and int(fields[1]) == pid:
            found += [int(entry.name), *_below(int(entry.name))]
    return found
