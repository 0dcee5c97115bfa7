"""What recording costs: `emit` beside its peers, and with eight threads beside one.

CPU, not wall time: of the calling thread, and of the whole process until all is flushed.
"""

import threading
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import whence
from bench.measure import (
    Benchmark,
    Finding,
    Plan,
    interleave,
    median_of,
    median_ratio,
    percentile,
    scratch,
)
from bench.peers import PEERS, Payload, Peer, make_payloads

# A burst: what the batch processor of the peer has to drop a quarter of.
CALLS = 4_000
# What its queue of 2,048 spans holds, so that it drops nothing when flushed in between.
PACED_CALLS = 2_000
_WARM_UP_CALLS = 500
_THREADS = 8


class Cost(NamedTuple):
    """What one round cost per call, in microseconds of CPU, and how many lines came out."""

    caller_us: float
    total_us: float
    calls: int
    lines: int


def measure_peer(
    make: Callable[[Path], Peer], payloads: list[Payload], *, pace: int = CALLS
) -> Cost:
    """One round of one peer, in a new file, flushed after each `pace` calls."""
    parts = [payloads[start : start + pace] for start in range(0, len(payloads), pace)]
    with scratch() as folder:
        peer = make(folder)
        try:
            peer.record(payloads[:_WARM_UP_CALLS])
            peer.flush()
            lines = count_lines(peer.file)
            in_all, of_caller = time.process_time_ns(), 0
            for part in parts:
                start = time.thread_time_ns()
                peer.record(part)
                of_caller += time.thread_time_ns() - start
                peer.flush()
            in_all = time.process_time_ns() - in_all
            lines = count_lines(peer.file) - lines
        finally:
            peer.close()
    calls = len(payloads)
    return Cost(of_caller / calls / 1000, in_all / calls / 1000, calls, lines)


def count_lines(file: Path) -> int:
    """How many lines a file has."""
    with file.open("rb") as lines:
        return sum(block.count(b"\n") for block in iter(partial(lines.read, 1 << 20), b""))


def share_written(costs: list[Cost]) -> float:
    """How many of its calls came out as lines."""
    return sum(cost.lines for cost in costs) / sum(cost.calls for cost in costs)


def run_peers(plan: Plan) -> Iterator[Finding]:
    payloads = make_payloads(CALLS)
    contenders = {name: partial(measure_peer, make, payloads) for name, make in PEERS.items()}
    contenders["paced"] = partial(
        measure_peer, PEERS["opentelemetry-sdk"], payloads, pace=PACED_CALLS
    )
    costs = interleave(contenders, plan.rounds)
    ours, burst = costs["Whence"], costs["opentelemetry-sdk"]
    if share_written(ours) != 1:
        raise AssertionError(f"Whence wrote {share_written(ours):.2%} of its lines")

    def compare(key: str, name: str, part: Callable[[Cost], float], note: str = "") -> Finding:
        theirs = costs[name]
        ratio = median_ratio([*map(part, ours)], [*map(part, theirs)])
        whence, peer = median_of(ours, part), median_of(theirs, part)
        return Finding(key, ratio, f"{whence:.2f} µs", f"{peer:.2f} µs", note)

    dropped = f"peer wrote {share_written(burst):.0%} of the burst's lines"
    yield compare("emit.caller.otel", "opentelemetry-sdk", _of_caller, dropped)
    paced = f"paced, {share_written(costs['paced']):.0%} written"
    per_line = median_of(burst, lambda cost: cost.total_us * cost.calls / cost.lines)
    note = f"{paced}; in a burst {per_line:.1f} µs a line written"
    yield compare("emit.total.otel", "paced", _in_all, note)
    yield compare("emit.structlog", "structlog+orjson", _in_all)
    bare = median_ratio(
        [*map(_in_all, costs["Whence, bare"])], [*map(_in_all, costs["eliot, bare"])]
    )
    yield compare("emit.eliot", "eliot", _in_all, f"both outside of any context: {bare:.2f}×")
    yield compare("emit.logging", "logging+json", _in_all)


def _of_caller(cost: Cost) -> float:
    return cost.caller_us


def _in_all(cost: Cost) -> float:
    return cost.total_us


def measure_threads(threads: int, payloads: list[Payload]) -> float:
    """Microseconds of CPU for one call, when so many threads record at the same moment."""
    with scratch() as folder:
        log = whence.open(folder / ".whence")
        log.emit("ops", "create_task")

        def record() -> None:
            emit = log.emit
            for payload in payloads:
                emit("ops", "claim_task", agent="haiku-1", target="task-sub1", data=payload)

        spent = run_together([record] * threads, time.process_time_ns)
        log.close()
    return spent / threads / len(payloads) / 1000


def measure_latency(payloads: list[Payload]) -> float:
    """The 99th percentile of a call in microseconds of wall time, with eight threads recording."""
    with scratch() as folder:
        log = whence.open(folder / ".whence")
        log.emit("ops", "create_task")
        taken = [array("q", bytes(8 * len(payloads))) for _ in range(_THREADS)]

        def record(into: "array[int]") -> None:
            emit, now = log.emit, time.perf_counter_ns
            for at, payload in enumerate(payloads):
                start = now()
                emit("ops", "claim_task", agent="haiku-1", target="task-sub1", data=payload)
                into[at] = now() - start

        run_together([partial(record, into) for into in taken], time.process_time_ns)
        log.close()
    return percentile([ns for into in taken for ns in into], 99) / 1000


def run_together(jobs: list[Callable[[], None]], clock: Callable[[], int]) -> int:
    """Run each job in a thread of its own, all from the same moment; return what `clock` gained."""
    barrier = threading.Barrier(len(jobs) + 1)

    def wait_and_run(job: Callable[[], None]) -> None:
        barrier.wait()
        job()

    threads = [threading.Thread(target=wait_and_run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    start = clock()
    barrier.wait()
    for thread in threads:
        thread.join()
    return clock() - start


def run_threads(plan: Plan) -> Iterator[Finding]:
    payloads = make_payloads(CALLS)
    rounds = interleave(
        {
            "one": partial(measure_threads, 1, payloads * _THREADS),
            "eight": partial(measure_threads, _THREADS, payloads),
            "p99": partial(measure_latency, payloads),
        },
        plan.rounds,
    )
    yield Finding(
        "threads.cpu",
        median_ratio(rounds["eight"], rounds["one"]),
        f"{median_of(rounds['eight'], float):.2f} µs",
        f"{median_of(rounds['one'], float):.2f} µs",
    )
    p99 = median_of(rounds["p99"], float)
    yield Finding("threads.p99", p99, f"{p99:.1f} µs")


EMIT = Benchmark(
    "emit",
    ("emit.caller.otel", "emit.total.otel", "emit.structlog", "emit.eliot", "emit.logging"),
    run_peers,
)
THREADS = Benchmark("threads", ("threads.cpu", "threads.p99"), run_threads)
