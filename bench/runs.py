"""Recording a run beside writing its file by hand, the cost of a step, and replays beside the runner's own time.

By hand is what the file takes at least: `json.dumps`, one write, one fsync, of the same bytes. A step is
compared with making its state plain and digesting that, which is what depends on the state's size.
"""

import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import whence
from bench.measure import Benchmark, Finding, Plan, interleave, median_of, median_ratio, scratch
from whence.runs.convert import plain
from whence.runs.digest import digest
from whence.runs.history import read_runs
from whence.runs.replaying import replay, replay_many
from whence.runs.saving import runs_folder

_RUNS = 40
_STEPS = 2_000
_SLEEP_S = 0.5
_MANY = 8
_MS = 1_000_000


@whence.runner("bench-sleep")
def sleep(config_override: dict[str, Any]) -> dict[str, Any]:
    """Work that takes a known time and no processor."""
    time.sleep(config_override["seconds"])
    return {"trust": 0.5}


@whence.runner("bench-count")
def count(config_override: dict[str, Any]) -> dict[str, Any]:
    """Work that takes a processor."""
    return {"trust": sum(range(config_override["to"])) % 7}


def make_output() -> dict[str, Any]:
    """What came out of a run: a hundred thousand bytes as a file has them."""
    overlays = {"hope": 0.5, "despair": 0.25, "rage": 0.125, "fatigue": 0.5, "trust": 0.75}
    forks = [
        {"id": f"fork-{number}", "overlays": overlays, "variables": {"gdp": number / 7}}
        for number in range(330)
    ]
    return {"overlays": overlays, "variables": {}, "trust": 0.7, "forks": forks}


def record(output: dict[str, Any]) -> float:
    """Milliseconds for a run with this output, of which the first is not counted."""
    with scratch() as folder, whence.open(folder / ".whence") as log:
        with log.run("forecast", {"turn": -1}) as run:
            run.result(output)
        start = time.perf_counter_ns()
        for number in range(_RUNS):
            with log.run("forecast", {"turn": number}) as run:
                run.result(output)
        return (time.perf_counter_ns() - start) / _RUNS / _MS


def write_by_hand(output: dict[str, Any]) -> float:
    """Milliseconds for the same file."""
    with scratch() as folder:
        start = time.perf_counter_ns()
        for number in range(_RUNS):
            value = {"trace_id": str(number), "input": {"turn": number}, "output": output}
            with (folder / f"{number}.json").open("w", encoding="utf-8") as file:
                file.write(json.dumps(value, indent=2))
                file.flush()
                os.fsync(file.fileno())
        return (time.perf_counter_ns() - start) / _RUNS / _MS


def step_over_digest() -> float:
    """Microseconds of CPU that a step costs beyond making its state plain and digesting it."""
    state = {"turn": 3, "overlays": {"hope": 0.5, "despair": 0.25, "rage": 0.125}, "events": [1, 2]}
    with scratch() as folder, whence.open(folder / ".whence") as log, log.run("x", {}) as run:
        run.step("warm", state)
        start = time.thread_time_ns()
        for _ in range(_STEPS):
            run.step("turn", state)
        stepped = time.thread_time_ns() - start
        start = time.thread_time_ns()
        for _ in range(_STEPS):
            digest(plain(state))
        return (stepped - (time.thread_time_ns() - start)) / _STEPS / 1000


def replay_overhead() -> float:
    """Milliseconds that a replay takes beyond what the runner takes; its two executions go on side by side."""
    with scratch() as folder, whence.open(folder / ".whence") as log:
        given = {"seconds": _SLEEP_S}
        with log.run("sleep", given, runner=sleep) as run:
            run.result({"trust": 0.5})
        start = time.perf_counter()
        verdict = replay(log, run.id)
        if not verdict.is_fine:
            raise AssertionError(verdict)
        return (time.perf_counter() - start - _SLEEP_S) * 1000


def replay_with(workers: int, folder: Path) -> float:
    """Seconds for many replays of work that takes a processor."""
    with whence.open(folder) as log:
        start = time.perf_counter()
        verdicts = list(replay_many(log, list(read_runs(log)), workers=workers))
        if not all(verdict.is_fine for verdict in verdicts) or len(verdicts) != _MANY:
            raise AssertionError(verdicts)
        return time.perf_counter() - start


def run(plan: Plan) -> Iterator[Finding]:
    output = make_output()
    rounds = interleave(
        {"run": partial(record, output), "hand": partial(write_by_hand, output)}, plan.rounds
    )
    size = len(json.dumps(output, indent=2))
    yield Finding(
        "run.save", median_ratio(rounds["run"], rounds["hand"]),
        f"{median_of(rounds['run'], float):.2f} ms", f"{median_of(rounds['hand'], float):.2f} ms",
        f"{size:,} bytes",
    )  # fmt: skip
    steps = interleave({"step": step_over_digest}, plan.rounds)["step"]
    value = median_of(steps, float)
    yield Finding("run.step", value, f"{value:.1f} µs")
    few = min(plan.rounds, 7)
    value = median_of(interleave({"one": replay_overhead}, few)["one"], float)
    yield Finding(
        "replay.one", value, f"{value:.0f} ms", note="two executions, each in a new process"
    )
    yield from run_many(few)


def run_many(rounds: int) -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    with scratch() as folder:
        with whence.open(folder) as log:
            for number in range(_MANY):
                given = {"to": 20_000_000 + number}
                with log.run("count", given, runner=count) as made:
                    made.result(count(given))
            assert len(list(runs_folder(log).iterdir())) == _MANY
        found = interleave(
            {"one": partial(replay_with, 1, folder), "all": partial(replay_with, cores, folder)},
            rounds,
        )
    ratio = median_ratio(found["one"], found["all"]) / cores
    yield Finding(
        "replay.many", ratio, f"{median_of(found['all'], float):.1f} s",
        f"{median_of(found['one'], float):.1f} s", f"{_MANY} runs on {cores} cores",
    )  # fmt: skip


RUNS = Benchmark("runs", ("run.save", "run.step", "replay.one", "replay.many"), run)
