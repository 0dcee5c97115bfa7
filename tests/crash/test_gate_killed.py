"""Processes that approve through a gate, killed at any moment: what was approved is in the journal."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import whence
from whence.decisions import read_decisions

_ROOT = Path(__file__).parents[2]
_WAIT_S = 0.1


def _kill_one(folder: Path, chance: random.Random, *words: str) -> set[str]:
    """Kill a worker at some moment; return the gates that it said were passed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.gate_worker", str(folder), *words],
        cwd=_ROOT, stdout=subprocess.PIPE, text=True,
    ) as worker:  # fmt: skip
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        time.sleep(chance.random() * _WAIT_S)
        worker.send_signal(signal.SIGKILL)
        return {line.strip() for line in worker.stdout if line.endswith("\n")}


def _kept(folder: Path) -> set[str]:
    with whence.open(folder, read_only=True) as log:
        return {each.gate for each in read_decisions(log, approved=True) if each.gate is not None}


def test_an_approval_that_returned_is_in_the_journal(tmp_path: Path, full: bool) -> None:
    chance = random.Random(11)
    folder, passed = tmp_path / ".whence", set[str]()
    for _ in range(200 if full else 10):
        passed |= _kill_one(folder, chance)

    assert passed
    assert passed <= _kept(folder)


def test_without_the_record_before_it_the_table_goes_red(tmp_path: Path) -> None:
    chance = random.Random(11)
    folder, passed = tmp_path / ".whence", set[str]()
    for _ in range(60):
        passed |= _kill_one(folder, chance, "naive")
        if not passed <= _kept(folder):
            return
    pytest.fail("no approval was without its record, so the table above shows nothing")
