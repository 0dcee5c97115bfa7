"""What a decision costs beside writing its line and syncing it, and what the bus carries.

The bare loop writes lines of the length that the decision has. Across processes what counts is the time from before
one process emits to when a callback runs in the other, by the one clock that both read.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import whence
from bench.emit import run_together
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
from whence.decisions.bus import EventBus, emit_event, follow
from whence.decisions.record import record

_AT_ONCE = 64
_ALONE, _EACH = 200, 20
_TOLD = 100_000
_SENT = 200
_VOTES = {
    name: {"name": name, "passed": True, "reason": "ok"}
    for name in ("circuit_breaker", "constitutional", "local_probe", "peer_probe_quorum")
}
_SUBJECT = {
    "prompt_id": "p-7", "goal_type": "upgrade", "new_content_preview": "x" * 300,
    "target_files": ["a.py", "b.py"],
}  # fmt: skip

_SENDER = """
import sys, time
import whence
from whence.decisions.bus import emit_event
with whence.open(sys.argv[1]) as log:
    emit_event("warm", None, log=log)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[2])):
        time.sleep(0.007)
        emit_event("t.x", time.monotonic_ns(), log=log)
"""


def _decide(log: whence.Log) -> str:
    return record(log, "upgrade_proposal", True, _VOTES, _SUBJECT, "all 4 votes passed")


def by_threads(threads: int) -> float:
    """Durable decisions a second of so many threads."""
    each = _ALONE if threads == 1 else _EACH
    with scratch() as folder, whence.open(folder / ".whence") as log:
        _decide(log)

        def decide() -> None:
            for _ in range(each):
                _decide(log)

        return threads * each * 1e9 / run_together([decide] * threads, time.perf_counter_ns)


def bare_loop(size: int) -> float:
    """Lines a second of `os.write` and `os.fdatasync`, of the length of a decision."""
    with scratch() as folder:
        line = b"x" * (size - 1) + b"\n"
        fd = os.open(folder / "lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, line)
        os.fdatasync(fd)
        start = time.perf_counter()
        for _ in range(_ALONE):
            os.write(fd, line)
            os.fdatasync(fd)
        taken = time.perf_counter() - start
        os.close(fd)
    return _ALONE / taken


def line_size() -> int:
    """How many bytes a decision's line has."""
    with scratch() as folder, whence.open(folder / ".whence") as log:
        _decide(log)
        [segment] = (folder / ".whence" / "journal").iterdir()
        before = segment.stat().st_size
        _decide(log)
        return segment.stat().st_size - before


def tell() -> float:
    """Events a second from one emit to one listener in this process."""
    bus, heard = EventBus(), 0

    def listen(_topic: str, _data: Any) -> None:
        nonlocal heard
        heard += 1

    bus.on("learning.federation_update", listen)
    data = {"kind": "consensus_decision"}
    start = time.perf_counter()
    for _ in range(_TOLD):
        bus.emit("learning.federation_update", data)
    taken = time.perf_counter() - start
    if heard != _TOLD:
        raise AssertionError(heard)
    return _TOLD / taken


def tell_and_record() -> float:
    """Events a second of `emit_event`, which records each besides."""
    with scratch() as folder, whence.open(folder / ".whence") as log:
        data = {"kind": "consensus_decision"}
        emit_event("learning.federation_update", data, log=log)
        some = _TOLD // 10
        start = time.perf_counter()
        for _ in range(some):
            emit_event("learning.federation_update", data, log=log)
        return some / (time.perf_counter() - start)


def across() -> list[float]:
    """Milliseconds from another process' emit to a callback here, of many."""
    with scratch() as folder:
        command = [sys.executable, "-c", _SENDER, str(folder / ".whence"), str(_SENT)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as sender:
            assert sender.stdin is not None
            assert sender.stdout is not None
            sender.stdout.readline()
            bus, stop, taken = EventBus(), threading.Event(), []

            def listen(_topic: str, sent: int) -> None:
                taken.append((time.monotonic_ns() - sent) / 1e6)
                if len(taken) == _SENT:
                    stop.set()

            bus.on("t.*", listen)
            with whence.open(folder / ".whence", read_only=True) as log:
                threading.Timer(0.2, sender.stdin.close).start()
                follow(log, bus=bus, stop=stop)
    return taken


def run(plan: Plan) -> Iterator[Finding]:
    size = line_size()
    contenders: dict[str, Callable[[], float]] = {
        "bare": partial(bare_loop, size),
        "1 thread": partial(by_threads, 1),
        "64 threads": partial(by_threads, _AT_ONCE),
    }
    rates = interleave(contenders, plan.rounds)
    yield Finding(
        "decision.bare", median_ratio(rates["bare"], rates["1 thread"]),
        f"{1e3 / median_of(rates['1 thread'], float):.3f} ms",
        f"{1e3 / median_of(rates['bare'], float):.3f} ms", f"{size:,} bytes",
    )  # fmt: skip
    yield Finding(
        "decision.threads", median_ratio(rates["64 threads"], rates["1 thread"]),
        f"{median_of(rates['64 threads'], float):,.0f}/s",
        f"{median_of(rates['1 thread'], float):,.0f}/s",
    )  # fmt: skip
    few = min(plan.rounds, 7)
    told = interleave({"bus": tell, "recorded": tell_and_record}, few)
    value = median_of(told["bus"], float)
    recorded = median_of(told["recorded"], float)
    yield Finding(
        "bus.rate", value, f"{value:,.0f}/s", note=f"emit_event, which records: {recorded:,.0f}/s"
    )
    taken = [each for times in interleave({"across": across}, 3)["across"] for each in times]
    yield Finding(
        "bus.across", percentile(taken, 99), f"p99 {percentile(taken, 99):.1f} ms",
        note=f"p50 {percentile(taken, 50):.1f} ms, highest {max(taken):.1f} ms, of {len(taken)}",
    )  # fmt: skip


DECIDE = Benchmark("decide", ("decision.bare", "decision.threads", "bus.rate", "bus.across"), run)
