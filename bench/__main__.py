"""Runs the benchmarks, prints the table, and keeps it when everything was measured."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Plan
from bench.report import as_cells, count_ms, describe_run, write_table
from bench.suite import BENCHMARKS
from bench.targets import BY_KEY

_RESULTS = Path(__file__).with_name("results.md")


def make_plan(arguments: Sequence[str] | None = None) -> tuple[Plan, argparse.Namespace]:
    """Read the command line: how thoroughly to measure, and what."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="measure this alone")
    parser.add_argument("--rounds", type=int, help="how often each contender has its turn")
    parser.add_argument("--events", type=int, default=1_000_000, help="size of the indexed journal")
    parser.add_argument("--quick", action="store_true", help="a first impression, not kept")
    parser.add_argument("--full", action="store_true", help="also with 10 million events")
    given = parser.parse_args(arguments)
    rounds = given.rounds or (5 if given.quick else 25)
    events = min(given.events, 100_000) if given.quick else given.events
    return Plan(rounds=rounds, events=events, is_full=given.full), given


def main() -> None:
    plan, given = make_plan()
    load_before = os.getloadavg()[0]
    findings, paces = [], []
    for benchmark in BENCHMARKS:
        if given.only and benchmark.name not in given.only:
            continue
        print(f"measuring {benchmark.name}", file=sys.stderr)
        paces.append(count_ms())
        for finding in benchmark.run(plan):
            print(*(cell for cell in as_cells(finding) if cell), sep="  ", file=sys.stderr)
            findings.append(finding)
    table, where = write_table(findings), describe_run(plan, load_before, paces)
    print(f"\n{table}\n{where}", end="")
    if not (given.only or given.quick):
        measured = {finding.key for finding in findings}
        left_out = ", ".join(BY_KEY[key].what for key in BY_KEY if key not in measured)
        note = f"\nNot measured in this run: {left_out}.\n" if left_out else ""
        _RESULTS.write_text(
            "# Results\n\nWritten by `make bench`; `docs/explanation/speed.md` says how to read it."
            f"\n\n{where}\n{table}{note}",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
