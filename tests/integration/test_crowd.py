"""The example of a crowd: it records, replays, and its mistake is found, as its README says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import whence
from examples.crowd.model import SETTINGS, simulate
from whence.laws import CORE_OVERLAYS
from whence.runs.auditing import audit
from whence.runs.history import read_runs
from whence.runs.saving import load_run, runs_folder

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command of the README says."""
    folder = tmp_path_factory.mktemp("crowd")
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ, "WHENCE_DIR": str(folder / ".whence"), "PYTHONPATH": str(_ROOT),
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200",
    }  # fmt: skip
    page = (_ROOT / "examples" / "crowd" / "README.md").read_text(encoding="utf-8")
    answers = {"folder": str(folder / ".whence")}
    for command in re.findall(r"^\$ (.*)$", page, re.MULTILINE):
        run = subprocess.run(
            shlex.split(command), cwd=folder, capture_output=True, text=True, env=environment
        )
        answers[command] = run.stdout + run.stderr
    return answers


def test_the_first_crowd_replays(said: dict[str, str]) -> None:
    assert "IDENTICAL" in said["whence replay --name crowd"]


def test_the_mistake_of_the_second_is_found(said: dict[str, str]) -> None:
    assert "NOT_DETERMINISTIC" in said["whence replay --name hasty-crowd"]
    assert "steps[" in said["whence replay --name hasty-crowd"]


def test_the_files_are_sound(said: dict[str, str]) -> None:
    assert "SOUND: nothing found in 2 files." in said["whence audit"]


def test_each_turn_is_a_step_and_the_futures_are_forks(said: dict[str, str]) -> None:
    with whence.open(said["folder"]) as log:
        for run in read_runs(log):
            assert len(run.steps) == SETTINGS["turns"]
            output = load_run(log, run.id)["output"]
            assert [fork["id"] for fork in output["forks"]] == list(SETTINGS["forks"])
            assert set(output["overlays"]) == set(CORE_OVERLAYS)
        with audit(runs_folder(log), log) as report:
            assert report.rules == []


def test_the_same_settings_give_the_same_history() -> None:
    assert simulate(SETTINGS) == simulate(SETTINGS)
    assert simulate(SETTINGS) != simulate({**SETTINGS, "seed": 8})
    forks = simulate(SETTINGS)["forks"]
    assert forks[0]["overlays"]["rage"] < forks[1]["overlays"]["rage"]
