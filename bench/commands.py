"""The command as a whole process, beside `python -c pass`: what a user waits for.

Wall time from the start of the process to its end, and the CPU it took, which a busy machine
disturbs less.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.index import synthetic_log
from bench.measure import Benchmark, Finding, Plan, interleave, median_of, median_ratio
from whence.index import Index
from whence.journal.reader import Reader
from whence.query import Query


class Ran(NamedTuple):
    """What one process took, in milliseconds."""

    wall_ms: float
    cpu_ms: float


def run_process(command: list[str]) -> Ran:
    """Run a command to its end, its output thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {process.returncode}")
    return Ran(wall * 1000, (used.ru_utime + used.ru_stime) * 1000)


def some_target(folder: Path) -> str:
    """A target of the log in `folder`, whose index is brought up to date by the way."""
    with Index.open(folder, Reader(folder)) as index:
        index.catch_up()
        return next(row.target for row in index.find(Query()) if row.target)


def run(plan: Plan) -> Iterator[Finding]:
    folder = synthetic_log(plan.events)
    whence = str(Path(sys.executable).with_name("whence"))
    os.environ["WHENCE_DIR"] = str(folder)
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "version": [whence, "--version"],
        "ref": [whence, some_target(folder)],
    }
    ran = interleave(
        {name: partial(run_process, command) for name, command in commands.items()},
        plan.rounds,
        warm_up=2,
    )
    plain = ran["pass"]
    for name in ("version", "ref"):
        ours = ran[name]
        cpu = median_ratio([r.cpu_ms for r in ours], [r.cpu_ms for r in plain])
        yield Finding(
            f"command.{name}",
            median_ratio([r.wall_ms for r in ours], [r.wall_ms for r in plain]),
            f"{median_of(ours, lambda r: r.wall_ms):.0f} ms",
            f"{median_of(plain, lambda r: r.wall_ms):.0f} ms",
            f"CPU {cpu:.1f}×",
        )


COMMANDS = Benchmark("commands", ("command.version", "command.ref"), run)
