"""What a traced step costs: a span with five attributes below another, beside its peers.

CPU of the calling thread and of the whole process until all is written. The last of the peers does
nothing at all: OpenTelemetry's tracer that records nowhere. Besides: a step that is not traced,
eight threads at once, and the tree of a large trace.
"""

import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import whence
from bench.emit import (
    CALLS,
    PACED_CALLS,
    Cost,
    measure_peer,
    run_together,
    share_written,
)
from bench.measure import (
    FOLDER,
    Benchmark,
    Finding,
    Plan,
    interleave,
    median_of,
    median_ratio,
    percentile,
    scratch,
)
from bench.peers import PEERS, Payload, make_payloads
from whence.tracing import tracer

_THREADS = 8
_BRANCHES = 100
_LEAVES = 1_000
_SCREEN_LINES = 40


class Spans:
    """A span of Whence below another."""

    def __init__(self, folder: Path) -> None:
        self._log = whence.open(folder / ".whence")
        self._context = ExitStack()
        self._context.enter_context(self._log.span("bench.round"))
        self._log.emit("ops", "create_task")
        (self.file,) = (folder / ".whence" / "journal").iterdir()

    def record(self, payloads: Sequence[Payload]) -> None:
        span = self._log.span
        for payload in payloads:
            with span("ops.claim_task", data=payload):
                pass

    def flush(self) -> None:
        """Nothing to do: what has returned is written."""

    def close(self) -> None:
        self._context.close()
        self._log.close()


class Actions:
    """An action of eliot inside another; each writes a line when it starts and one when it ends."""

    def __init__(self, folder: Path) -> None:
        self._eliot = import_module("eliot")
        self.file = folder / "eliot.jsonl"
        self._out = self.file.open("ab")
        self._destination = self._eliot.FileDestination(file=self._out)
        self._eliot.add_destinations(self._destination)
        self._context = ExitStack()
        self._context.enter_context(self._eliot.start_action(action_type="round"))

    def record(self, payloads: Sequence[Payload]) -> None:
        start = self._eliot.start_action
        for payload in payloads:
            with start(action_type="ops:claim_task", **payload):
                pass

    def flush(self) -> None:
        """Nothing to do: its destination flushes each line."""

    def close(self) -> None:
        self._context.close()
        self._eliot.remove_destination(self._destination)
        self._out.close()


class Nothing:
    """OpenTelemetry's tracer that does nothing."""

    def __init__(self, folder: Path) -> None:
        trace = import_module("opentelemetry.trace")
        self.file = folder / "nothing"
        self.file.touch()
        self._tracer = trace.NoOpTracer()

    def record(self, payloads: Sequence[Payload]) -> None:
        start = self._tracer.start_as_current_span
        for payload in payloads:
            with start("ops.claim_task", attributes=payload):
                pass

    def flush(self) -> None:
        """Nothing was recorded."""

    def close(self) -> None:
        """Nothing is held."""


def run(plan: Plan) -> Iterator[Finding]:
    yield from run_peers(plan)
    yield from run_off(plan)
    yield from run_threads(plan)
    yield from run_tree(plan)


def run_peers(plan: Plan) -> Iterator[Finding]:
    payloads = make_payloads(CALLS)
    otel, structlog = PEERS["opentelemetry-sdk"], PEERS["structlog+orjson"]
    costs = interleave(
        {
            "Whence": partial(measure_peer, Spans, payloads),
            "otel": partial(measure_peer, otel, payloads),
            "otel, paced": partial(measure_peer, otel, payloads, pace=PACED_CALLS),
            "eliot": partial(measure_peer, Actions, payloads),
            "structlog": partial(measure_peer, structlog, payloads),
            "nothing": partial(measure_peer, Nothing, payloads),
        },
        plan.rounds,
    )
    ours = costs["Whence"]
    if share_written(ours) != 1:
        raise AssertionError(f"Whence wrote {share_written(ours):.2%} of its lines")

    def compare(key: str, name: str, part: Callable[[Cost], float], note: str = "") -> Finding:
        theirs = costs[name]
        ratio = median_ratio([*map(part, ours)], [*map(part, theirs)])
        whence_us, peer_us = median_of(ours, part), median_of(theirs, part)
        return Finding(key, ratio, f"{whence_us:.2f} µs", f"{peer_us:.2f} µs", note)

    dropped = f"peer wrote {share_written(costs['otel']):.0%} of the burst's lines"
    yield compare("span.caller.otel", "otel", lambda cost: cost.caller_us, dropped)
    paced = f"paced, {share_written(costs['otel, paced']):.0%} written"
    yield compare("span.total.otel", "otel, paced", lambda cost: cost.total_us, paced)
    yield compare("span.eliot", "eliot", lambda cost: cost.total_us)
    yield compare(
        "span.structlog", "structlog", lambda cost: cost.total_us, "peer: a line, no span"
    )
    yield compare("span.nothing", "nothing", lambda cost: cost.caller_us, "peer records nothing")


def measure_off(calls: int) -> float:
    """Nanoseconds of CPU for a step that is not traced, over an empty `with`."""
    empty = nullcontext()

    def bare() -> None:
        for _ in range(calls):
            with empty:
                pass

    def off() -> None:
        for _ in range(calls):
            with tracer.span("alt", "transition", "altitude.py", "L3→L2"):
                pass

    spent = []
    for job in (bare, off):
        start = time.thread_time_ns()
        job()
        spent.append(time.thread_time_ns() - start)
    return (spent[1] - spent[0]) / calls


def run_off(plan: Plan) -> Iterator[Finding]:
    tracer.enabled = False
    costs = interleave({"off": partial(measure_off, 100_000)}, plan.rounds)["off"]
    value = median_of(costs, float) / 1000
    yield Finding("span.off", value, f"{value:.2f} µs")


def measure_latency(threads: int, payloads: list[Payload]) -> list[int]:
    """What each span took in nanoseconds of wall time, with so many threads at once."""
    with scratch() as folder:
        log = whence.open(folder / ".whence")
        log.emit("ops", "create_task")
        taken = [array("q", bytes(8 * len(payloads))) for _ in range(threads)]

        def record(into: "array[int]") -> None:
            span, now = log.span, time.perf_counter_ns
            with span("bench.round"):
                for at, payload in enumerate(payloads):
                    start = now()
                    with span("ops.claim_task", data=payload):
                        pass
                    into[at] = now() - start

        run_together([partial(record, into) for into in taken], time.process_time_ns)
        log.close()
    return [ns for into in taken for ns in into]


def run_threads(plan: Plan) -> Iterator[Finding]:
    payloads = make_payloads(CALLS)

    def measure(threads: int, percent: int) -> float:
        return percentile(measure_latency(threads, payloads), percent) / 1000

    rounds = interleave(
        {"one": partial(measure, 1, 50), "eight": partial(measure, _THREADS, 99)}, plan.rounds
    )
    one, eight = median_of(rounds["one"], float), median_of(rounds["eight"], float)
    yield Finding(
        "span.p99", median_ratio(rounds["eight"], rounds["one"]), f"{eight:.1f} µs", f"{one:.1f} µs"
    )


class Screen(NamedTuple):
    """What the tree of a large trace took: until its first screen, and in memory to its end."""

    first_ms: float
    peak_mb: float


def large_trace(plan: Plan) -> tuple[Path, str, int]:
    """A log with one trace of a hundred thousand spans, its index up to date; kept between runs."""
    leaves = _LEAVES if plan.events >= 1_000_000 else _LEAVES // 10
    size = _BRANCHES * (leaves + 1) + 1
    folder = FOLDER / f"trace-{size}" / ".whence"
    marker = folder.parent / "root"
    if not marker.exists():
        with whence.open(folder) as log:
            with log.span("altitude.transition", component="altitude.py", input="L3→L2") as root:
                for branch in range(_BRANCHES):
                    with log.span("focus.gate_check", component="gates.py", input=str(branch)):
                        for leaf in range(leaves):
                            with log.span("memory.write", component="manager.py", input=str(leaf)):
                                pass
            log.catch_up()
        marker.write_text(root.id, encoding="utf-8")
    return folder, marker.read_text(encoding="utf-8"), size


_PEAK = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL);"
    " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)
"""Runs a command and prints its peak. In between, since a process begins with the peak of who started it."""


def measure_screen(folder: Path, trace_id: str) -> Screen:
    """Draw the tree in a new process, timed until its first screen is there; and once more, for its memory."""
    command = [
        str(Path(sys.executable).with_name("whence")),
        *("spans", "-C", str(folder), "--trace-id", trace_id, "--no-pager"),
    ]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(_SCREEN_LINES):
            process.stdout.readline()
        first_ms = (time.perf_counter() - start) * 1000
        for _ in process.stdout:
            pass
    if process.returncode:
        raise AssertionError(f"whence spans ended with {process.returncode}")
    told = subprocess.run([sys.executable, "-c", _PEAK, *command], check=True, capture_output=True)
    return Screen(first_ms, int(told.stdout) / (1024 * (1024 if sys.platform == "darwin" else 1)))


def run_tree(plan: Plan) -> Iterator[Finding]:
    folder, trace_id, size = large_trace(plan)
    screens = interleave({"tree": partial(measure_screen, folder, trace_id)}, min(plan.rounds, 7))[
        "tree"
    ]
    first = median_of(screens, lambda screen: screen.first_ms)
    peak = median_of(screens, lambda screen: screen.peak_mb)
    note = f"of {size:,} spans, in a new process"
    yield Finding("spans.first", first, f"{first:.0f} ms", note=note)
    yield Finding("spans.memory", peak, f"{peak:.0f} MB", note="to the end of the tree")


TRACE = Benchmark(
    "trace",
    (
        "span.caller.otel", "span.total.otel", "span.eliot", "span.structlog", "span.nothing",
        "span.off", "span.p99", "spans.first", "spans.memory",
    ),
    run,
)  # fmt: skip
