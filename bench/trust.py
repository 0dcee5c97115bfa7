"""What trust costs: an update over one emit, a report over many keys, and opening after a million updates.

The keys of the report have whole numbers of outcomes, as keys without weights and without a half-life have; beside it, in
the note, keys whose outcomes have weights, so that no two share their figures.
"""

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import whence
from bench.measure import Benchmark, Finding, Plan, interleave, median_of, scratch
from whence.learning import beta
from whence.learning.evidence import Evidence, believe
from whence.learning.report import make_report
from whence.learning.trust import BayesianTrustTracker

_EACH = 4_000
_KEYS = 100_000
_OF_THEM = 20_000
_MS = 1_000_000

_OPEN = """
import sys, time
import whence
from whence.learning.trust import BayesianTrustTracker
with whence.open(sys.argv[1], read_only=True) as log:
    start = time.perf_counter()
    tracker = BayesianTrustTracker(log)
    assert tracker.get_sample_size("rule-1") > 0
    print(time.perf_counter() - start)
"""


def update() -> float:
    """Microseconds of CPU of an update."""
    with scratch() as folder, whence.open(folder / ".whence") as log:
        tracker = BayesianTrustTracker(log)
        tracker.update("rule-1", True, durability="os")
        start = time.thread_time_ns()
        for number in range(_EACH):
            tracker.update("rule-1", number % 3 > 0, durability="os")
        return (time.thread_time_ns() - start) / _EACH / 1000


def emit() -> float:
    """Microseconds of CPU of an emit of the same."""
    with scratch() as folder, whence.open(folder / ".whence") as log:
        log.emit("trust", "update", target="rule-1", data={"success": True, "weight": 1.0})
        start = time.thread_time_ns()
        for number in range(_EACH):
            data = {"success": number % 3 > 0, "weight": 1.0}
            log.emit("trust", "update", target="rule-1", data=data)
        return (time.thread_time_ns() - start) / _EACH / 1000


def make_beliefs(*, is_weighted: bool) -> dict[str, Evidence]:
    """What is known of many keys, of from none to some hundred outcomes each."""
    chance = random.Random(7)
    keys = {}
    for number in range(_KEYS):
        successes, failures = (int(chance.expovariate(0.04)) for _ in range(2))
        weight = chance.uniform(0.5, 2.0) if is_weighted else 1.0
        keys[f"rule-{number}"] = Evidence(
            successes=successes * weight, failures=failures * weight, squares=1.0 + successes,
            n=successes + failures, last_ns=number * 1_000_000, last_id=f"event-{number}",
        )  # fmt: skip
    return keys


def report(keys: dict[str, Evidence]) -> float:
    """Milliseconds for a report over all, none of whose intervals is known yet."""
    beta.interval.cache_clear()
    start = time.perf_counter_ns()
    beliefs = {key: believe(each, 10**15, None) for key, each in keys.items()}
    made = make_report(beliefs, 10**15)
    if made["summary"]["total_entities"] != _KEYS:
        raise AssertionError(made["summary"])
    return (time.perf_counter_ns() - start) / _MS


def open_after(folder: Path, rounds: int) -> float:
    """Milliseconds until a new process knows what all updates came to."""
    command = [sys.executable, "-c", _OPEN, str(folder)]
    taken = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(rounds)
    ]
    return statistics.median(taken) * 1000


def record_updates(folder: Path, updates: int) -> None:
    """Have a journal of so many updates, and the snapshot that its writer leaves at its end."""
    with whence.open(folder) as log:
        tracker = BayesianTrustTracker(log)
        left = updates
        while left > 0:
            some = min(left, _OF_THEM)
            tracker.batch_update({f"rule-{n}": [(n % 3 > 0, 1.0)] for n in range(some)})
            left -= some
        tracker.save_snapshot()


def run(plan: Plan) -> Iterator[Finding]:
    rounds = interleave({"update": update, "emit": emit}, plan.rounds)
    over = [ours - theirs for ours, theirs in zip(rounds["update"], rounds["emit"], strict=True)]
    yield Finding(
        "trust.update", statistics.median(over), f"{median_of(rounds['update'], float):.2f} µs",
        f"{median_of(rounds['emit'], float):.2f} µs",
    )  # fmt: skip
    few = min(plan.rounds, 5)
    whole, weighted = (make_beliefs(is_weighted=each) for each in (False, True))
    taken = interleave({"whole": partial(report, whole)}, few)["whole"]
    slow = interleave({"weighted": partial(report, weighted)}, 1, warm_up=0)["weighted"]
    value = median_of(taken, float)
    yield Finding(
        "trust.report", value, f"{value:.0f} ms",
        note=f"with weights, so that no two keys share their figures: {slow[0]:,.0f} ms",
    )  # fmt: skip
    with scratch() as folder:
        record_updates(folder / ".whence", plan.events)
        value = open_after(folder / ".whence", few)
    yield Finding(
        "trust.open", value, f"{value:.0f} ms",
        note=f"after {plan.events:,} updates of {_OF_THEM:,} keys, in a new process",
    )  # fmt: skip


TRUST = Benchmark("trust", ("trust.update", "trust.report", "trust.open"), run)
