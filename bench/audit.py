"""The audit of many run files, all of one simulation, beside a journal that tells of each.

In a process of its own: files per CPU second, and how much its memory grows from few files to many.
`python -m bench.audit 100000` shows more of it.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import whence
from bench.measure import FOLDER, Benchmark, Finding, Plan, peak_mb
from whence.laws import CORE_OVERLAYS, decay_overlay
from whence.line import commitment
from whence.runs.auditing import audit
from whence.runs.files import path_of

_FEW = 1_000
_FILES = 10_000
_MANY = 100_000
_RATE = 0.0001
_SALT = "c2FsdHNhbHRzYWx0c2FsdHNh"
_FORKS = 4


class Audited(NamedTuple):
    """What one audit took."""

    files: int
    seconds: float
    """Of CPU, with catching up the index."""
    peak_mb: float


def make_runs(count: int) -> Path:
    """Write a simulation of so many turns into a log, each sound; kept for the next time."""
    folder = FOLDER / f"audit-{count}"
    done = folder / "done"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    runs = folder / "runs"
    runs.mkdir(parents=True)
    # A digest in ten thousand looks like somebody's token.
    (folder / "whence.toml").write_text("[redaction]\nenabled = false\n", encoding="ascii")
    with whence.open(folder) as log:
        for turn in range(count):
            trace_id = f"{turn:08x}-5a1e-4000-8000-00000000cafe"
            content = json.dumps(_turn(trace_id, turn), indent=2).encode()
            path = path_of(runs, trace_id)
            path.write_bytes(content)
            log.emit(
                "run", "save", target=trace_id, status="success",
                data={
                    "file": path.name, "bytes": len(content), "salt": _SALT,
                    "commit": commitment(_SALT, content),
                },
            )  # fmt: skip
    done.touch()
    return folder


def _turn(trace_id: str, turn: int) -> dict[str, Any]:
    before = {name: 0.3 + place / 20 for place, name in enumerate(CORE_OVERLAYS)}
    after = {name: decay_overlay(value, _RATE) for name, value in before.items()}
    variables = {f"variable_{place:02d}": turn / (place + 1) for place in range(20)}
    forks = [
        {"id": f"f{place}", "parent": f"f{place - 1}" if place else None, "overlays": after,
         "variables": {}}
        for place in range(_FORKS)
    ]  # fmt: skip
    state = {
        "turn": turn, "sim_id": "sim-1", "timestamp": "2026-11-20T19:27:35+00:00",
        "overlays": before, "capital": {"nvda": 1000.0, "spy": 500.0}, "variables": variables,
        "event_count": 3, "metadata": {},
    }  # fmt: skip
    return {
        "trace_id": trace_id,
        "input": {"state": state, "decay_rate": _RATE, "rule_fn": None},
        "output": {"overlays": after, "variables": variables, "trust": 0.7, "forks": forks},
    }


def audit_anew(count: int) -> Audited:
    """Audit so many files in a new process, twice, of which the second time counts: then there is an index."""
    make_runs(count)
    command = [sys.executable, "-m", "bench.audit", f"--once={count}"]
    answers = [subprocess.run(command, check=True, capture_output=True).stdout for _ in range(2)]
    return Audited(*json.loads(answers[-1]))


def _audit_once(count: int) -> Audited:
    folder = FOLDER / f"audit-{count}"
    start = time.process_time()
    with whence.open(folder, read_only=True) as log, audit(folder / "runs", log) as report:
        if report.files != count or report.rules:
            raise AssertionError(
                f"{report.files} files, {report.counts()}: want {count} sound ones"
            )
    seconds = time.process_time() - start
    return Audited(count, seconds, peak_mb())


def run(plan: Plan) -> Iterator[Finding]:
    few, usual = audit_anew(_FEW), audit_anew(_FILES)
    rate = usual.files / usual.seconds
    yield Finding("audit.rate", rate, f"{rate:,.0f}/s", "", f"{usual.files:,} files of 3.4 KB")
    growth = usual.peak_mb - few.peak_mb
    yield Finding(
        "audit.memory", growth, f"{growth:.1f} MB", "",
        f"{few.peak_mb:.0f} MB at {few.files:,} files, {usual.peak_mb:.0f} MB at {usual.files:,}",
    )  # fmt: skip
    if plan.events >= _MANY:
        many = audit_anew(_MANY)
        ratio = (many.seconds / many.files) / (usual.seconds / usual.files)
        yield Finding("audit.many", ratio, f"{many.seconds:.1f} s", f"{usual.seconds:.1f} s")


AUDIT = Benchmark("audit", ("audit.rate", "audit.memory", "audit.many"), run)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    parser.add_argument("files", type=int, nargs="?", default=_FILES)
    parser.add_argument("--once", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(_audit_once(given.once)))
        return
    found = audit_anew(given.files)
    print(f"{found.files:,} files in {found.seconds:.2f} s of CPU, peak {found.peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
