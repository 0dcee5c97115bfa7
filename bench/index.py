"""What an index costs: time, bytes and memory, beside the table of the seed's design."""

import inspect
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import whence
from bench.load import Load
from bench.measure import (
    FOLDER,
    Benchmark,
    Finding,
    Plan,
    interleave,
    median_of,
    median_ratio,
    scratch,
)
from whence.testing import journals

MILLION = 1_000_000
_DAYS_A_MILLION = 3
# Stands in one payload of each synthetic log, to be looked for.
RARE_WORD = "quetzalcoatlus"


def synthetic_log(events: int) -> Path:
    """The folder of a log with so many events; made once, and anew when its maker changes."""
    version = zlib.crc32(inspect.getsource(journals).encode())
    folder = FOLDER / f"journal-{events}-{version:08x}" / ".whence"
    done = folder.parent / "done"
    if not done.exists():
        print(f"making a journal of {events:,} events", file=sys.stderr)
        # Larger means longer, not denser: an hour holds as much in each.
        journals.write_synthetic(folder, events, days=max(_DAYS_A_MILLION * events // MILLION, 1))
        with whence.open(folder) as log:
            log.emit("log", "note", agent="agent-7", data={"note": f"a {RARE_WORD} flew by"})
        done.touch()
    return folder


def load(which: str, folder: Path) -> Load:
    """Load a journal in a process of its own."""
    with scratch() as place:
        command = [sys.executable, "-m", "bench.load", which, str(folder), str(place / "seed.db")]
        answer = subprocess.run(command, check=True, capture_output=True).stdout
    return Load(*json.loads(answer))


def run(plan: Plan) -> Iterator[Finding]:
    folder = synthetic_log(plan.events)
    loads = interleave(
        {which: partial(load, which, folder) for which in ("whence", "seed")},
        max(plan.rounds // 5, 1),
        warm_up=0,
    )
    ours, seed = loads["whence"], loads["seed"]
    size = f"{plan.events:,} events"
    ratio = median_ratio([*map(_rate, ours)], [*map(_rate, seed)])
    note = f"at {size}; {ratio:.2f}× the seed's"
    yield Finding("index.rate", median_of(ours, _rate), _events(ours), _events(seed), note)
    yield Finding(
        "index.bytes",
        median_of(ours, _bytes),
        f"{median_of(ours, _bytes):.0f} bytes",
        f"{median_of(seed, _bytes):.0f} bytes",
        f"at {size}; peak memory {median_of(ours, lambda load: load.peak_mb):.0f} MB",
    )
    if plan.is_full:
        large = load("whence", synthetic_log(10 * MILLION))
        note = f"{_rate(large):,.0f} events a CPU second, {_bytes(large):.0f} bytes each"
        yield Finding("index.memory", large.peak_mb, f"{large.peak_mb:.0f} MB", "", note)


def _rate(load: Load) -> float:
    return load.events / load.cpu_s


def _bytes(load: Load) -> float:
    return load.bytes / load.events


def _events(loads: list[Load]) -> str:
    return f"{median_of(loads, _rate):,.0f}/s"


INDEX = Benchmark("index", ("index.rate", "index.bytes", "index.memory"), run)
