"""`whence trust`: what it shows, of when, and how it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from whence.cli.trust import draw_interval
from whence.draw.cells import width
from whence.learning.trust import BayesianTrustTracker

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WHENCE_")}
        return subprocess.run(
            [sys.executable, "-m", "whence", "trust", *words],
            cwd=tmp_path, capture_output=True, text=True, env={**kept, **environment},
        )  # fmt: skip

    return run


@pytest.fixture
def moments(tmp_path: Path) -> list[int]:
    """When each outcome of `rule` came: six that went well, four that did not."""
    with whence.open(tmp_path / ".whence") as log:
        tracker = BayesianTrustTracker(log)
        tracker.batch_update({"rule": [(letter == "T", 1.0) for letter in "TTFTFFTTTF"]})
        tracker.update("evil\x1b[2J", True, task="t")
        tracker.update("evil\x1b[2J", True, task="t")
        return [when for when, _, _ in tracker.course("rule")]


@pytest.mark.usefixtures("moments")
def test_keys_are_listed_with_their_figures_the_least_trusted_first(ask: Ask) -> None:
    said = ask()
    lines = said.stdout.splitlines()

    assert said.returncode == 0
    assert lines[0].split()[:2] == ["KEY", "TRUST"]
    assert lines[1].split()[:3] == ["rule", "0.583", "0.308-0.833"]
    assert "\x1b" not in said.stdout
    assert "2*" in lines[2]
    assert "depend on each other" in said.stdout


def test_a_past_moment_is_told_and_named(ask: Ask, moments: list[int]) -> None:
    said = ask("--as-of", f"@{moments[2] / 1e9 + 1e-6:.9f}", "--json")

    [entry] = map(json.loads, said.stdout.splitlines())
    assert entry["sample_size"] <= 4
    assert "to " in said.stderr


@pytest.mark.usefixtures("moments")
def test_one_key_names_the_events_its_figures_rest_on(ask: Ask, tmp_path: Path) -> None:
    [entry] = map(json.loads, ask("--key", "rule", "--json").stdout.splitlines())
    with whence.open(tmp_path / ".whence", read_only=True) as log:
        ids = [event.id for event in log.events(whence.Query(target="rule"))]

    assert (entry["alpha"], entry["beta"], entry["stale"]) == (7.0, 5.0, False)
    assert entry["events"] == {"count": 10, "last": ids[-1], "ids": ids}
    shown = ask("--key", "rule").stdout
    assert "Rests on 10 events" in shown
    assert ids[0] in shown


@pytest.mark.usefixtures("moments")
def test_a_key_that_is_not_known_is_refused_with_its_like(ask: Ask) -> None:
    said = ask("--key", "rul")

    assert said.returncode == 3
    assert "nothing is known of 'rul'" in said.stderr
    assert "rule" in said.stderr.splitlines()[1]


@pytest.mark.usefixtures("moments")
def test_little_evidence_can_be_left_out(ask: Ask) -> None:
    assert "evil" not in ask("--min-samples", "5").stdout
    assert "1 more" in ask("-n", "1").stderr


@pytest.mark.usefixtures("moments")
@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_line_is_wider_than_asked(tmp_path: Path, columns: int) -> None:
    import pty

    master, slave = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "whence", "trust", "--no-pager"], cwd=tmp_path, stdout=slave,
        env={**os.environ, "COLUMNS": str(columns), "LINES": "60", "NO_COLOR": "1"}, check=True,
    )  # fmt: skip
    os.close(slave)
    said = os.read(master, 65536).decode()
    os.close(master)

    assert all(width(line.rstrip("\r")) <= columns for line in said.split("\n"))


def test_a_log_without_trust_says_so(ask: Ask, tmp_path: Path) -> None:
    with whence.open(tmp_path / ".whence") as log:
        log.emit("ops", "create_task")

    assert ask().stdout == "no trust is recorded\n"


def test_an_interval_is_drawn_where_it_lies() -> None:
    assert draw_interval(0.0, 0.5, 1.0, 8, ascii=True) == "----o---"
    assert draw_interval(1.0, 1.0, 1.0, 4) == "   ●"
    assert draw_interval(0.25, 0.3, 0.4, 8, ascii=True) == "  oo    ".replace("oo", "o-")
