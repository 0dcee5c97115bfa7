"""Processes that record runs, killed at any moment: no file is torn, and no event is without its file."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import whence
from whence.errors import CorruptError
from whence.query import Query
from whence.runs.commitments import holds, read_saves
from whence.runs.files import list_files, read_file
from whence.runs.history import read_runs
from whence.runs.saving import runs_folder

_ROOT = Path(__file__).parents[2]
_WAIT_S = 0.25


def _kill_one(folder: Path, chance: random.Random, *words: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.runs_worker", str(folder), *words],
        cwd=_ROOT, stdout=subprocess.PIPE, text=True,
    ) as worker:  # fmt: skip
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        time.sleep(chance.random() * _WAIT_S)
        worker.send_signal(signal.SIGKILL)


def _torn(folder: Path) -> list[str]:
    with whence.open(folder) as log:
        torn = []
        for path in list_files(runs_folder(log)):
            try:
                assert set(read_file(path).value) == {"trace_id", "input", "output"}
            except CorruptError:
                torn.append(path.name)
        return torn


def test_no_kill_tears_a_file_or_leaves_an_event_without_one(tmp_path: Path, full: bool) -> None:
    chance = random.Random(7)
    folder = tmp_path / ".whence"
    for _ in range(300 if full else 10):
        _kill_one(folder, chance)

    assert _torn(folder) == []
    with whence.open(folder) as log:
        saves = list(read_saves(log))
        for save in saves:
            assert holds(save, (runs_folder(log) / save.file).read_bytes())
        begun = sum(1 for _ in log.events(Query(primitive="run", type="begin")))
        runs = list(read_runs(log))
    assert len(runs) == begun
    assert {run.status for run in runs} <= {"saved", "unfinished"}
    assert sum(run.status == "saved" for run in runs) == len(saves) > 0


def test_without_the_protection_the_table_goes_red(tmp_path: Path) -> None:
    chance = random.Random(7)
    folder = tmp_path / ".whence"
    for _ in range(60):
        _kill_one(folder, chance, "naive")
        if _torn(folder):
            return
    pytest.fail("nothing was torn, so the table above shows nothing")
