"""`whence runs`, `replay`, `diff` and `audit`: what they show, to whom, and how they end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from tests.unit.runs import runners_at_hand
from whence.draw.cells import width
from whence.runs.history import read_runs
from whence.runs.saving import runs_folder

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Runs by name: one that replays, one that does not, one that failed, one that goes on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WHENCE_DIR", raising=False)
    with whence.open() as log:
        made = []
        for name, given in (("steady", {"hope": 0.5}), ("lucky", {"n": 50})):
            runner = getattr(runners_at_hand, name)
            with log.run(name, given, runner=runner, seed=3, agent="modeller") as run:
                run.step("one", {"x": 1})
                run.result(runner(given))
            made.append(run.id)
        failing = log.run("failing", {"hope": 1}, trace_id="run\x1b[2J-failing")
        with pytest.raises(KeyError), failing:
            raise KeyError("x")
        open_run = log.run("endless", {})
        open_run.__enter__()
        yield [*made, failing.id, open_run.id]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WHENCE_")}
        return subprocess.run(
            [sys.executable, "-m", "whence", *words],
            cwd=tmp_path, capture_output=True, text=True, env={**kept, **environment},
        )  # fmt: skip

    return run


def test_the_list_has_the_newest_first_and_their_trust(ids: list[str], ask: Ask) -> None:
    said = ask("runs").stdout
    lines = said.splitlines()

    assert lines[0].startswith("trust ")
    assert [line.split()[3] for line in lines[3:]] == ["endless", "failing", "lucky", "steady"]
    assert "unfinished" in lines[3]
    assert "failed" in lines[4]
    assert "\x1b" not in said
    assert [
        line.split()[2] for line in ask("runs", "--name", "steady").stdout.splitlines()[3:]
    ] == [ids[0][:8]]
    assert "unfinished" in ask("runs", "--status", "unfinished").stdout
    assert ask("runs", "-a", "modeller", "-n", "1").stdout.count("saved") == 1
    assert "earlier runs" in ask("runs", "-n", "1").stderr
    assert ask("runs", "--ascii").stdout.isascii()
    assert ask("runs", "--since", "in the year 1700").returncode == 2


def test_the_list_for_programs_is_a_line_for_each(ids: list[str], ask: Ask) -> None:
    told = [json.loads(line) for line in ask("runs", "--json").stdout.splitlines()]

    assert [run["id"] for run in told] == ids[::-1]
    assert told[-1]["trust"] == 0.5
    shown = ask("runs", "show", ids[0]).stdout
    assert '"hope": 0.5' in shown
    assert '"hope": 0.25' in shown
    whole = json.loads(ask("runs", "show", ids[0], "--json").stdout)
    assert whole["input"] == {"hope": 0.5}
    assert whole["environment"]["python"]
    assert whole["told_steps"][0]["step"] == "one"


@pytest.mark.parametrize("columns", ["40", "80", "140"])
def test_one_run_is_told_whole_and_fits_the_terminal(
    ids: list[str], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pty

    for words in (["runs"], ["runs", "show", ids[0]], ["runs", "show", ids[2]]):
        pid, terminal = pty.fork()
        if pid == 0:
            environment = {**os.environ, "COLUMNS": columns, "PAGER": "cat", "NO_COLOR": "1"}
            os.execve(sys.executable, [sys.executable, "-m", "whence", *words], environment)
        text = b""
        while True:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:
                break
            if not chunk:
                break
            text += chunk
        os.waitpid(pid, 0)
        os.close(terminal)
        lines = text.decode().replace("\r", "").splitlines()
        assert lines
        assert max(map(width, lines)) <= int(columns)


def test_what_is_not_there_is_said(ids: list[str], ask: Ask) -> None:
    for words in (["runs", "show", "nobody"], ["replay", "nobody"], ["diff", "nobody", ids[0]]):
        found = ask(*words)
        assert found.returncode == 3
        assert "nobody" in found.stderr
    assert ask("runs", "tell").returncode == 2
    assert ask("replay").returncode == 2
    assert ask("replay", ids[0], "-n", "2").returncode == 2
    assert ask("replay", ids[0], "--tolerance", "x=y").returncode == 2


def test_where_nothing_was_run_nothing_is_listed(tmp_path: Path, ask: Ask) -> None:
    assert ask("runs").returncode == 3
    with whence.open(tmp_path / ".whence") as log:
        log.emit("ops", "create_task", target="t")
    assert ask("runs").stdout == "no runs found\n"
    assert ask("replay", "-n", "3").stdout == "no runs found\n"


def test_a_replay_says_its_verdict_and_ends_by_it(ids: list[str], ask: Ask) -> None:
    fine, lucky, failed = (ask("replay", each) for each in ids[:3])

    assert fine.stdout.startswith("IDENTICAL: ")
    assert fine.returncode == 0
    assert lucky.stdout.startswith("NOT_DETERMINISTIC: ")
    assert lucky.returncode == 1
    assert failed.stdout.startswith("NOT_REPLAYABLE: ")
    assert "it failed" in failed.stdout
    assert failed.returncode == 3
    assert "NOT_DETERMINISTIC" in ask("runs").stdout
    told: dict[str, Any] = json.loads(ask("replay", ids[1], "--json").stdout)
    assert told["verdict"] == "NOT_DETERMINISTIC"
    assert told["differences"][0]["path"].startswith("output.result[")


def test_many_are_replayed_with_a_line_for_each(ids: list[str], ask: Ask) -> None:
    found = ask("replay", "--since", "1h ago")

    assert found.returncode == 1
    assert len(found.stdout.splitlines()) == 4
    assert "2 runs: 1 IDENTICAL, 1 NOT_DETERMINISTIC" in found.stdout
    assert ask("replay", "--name", "steady").returncode == 0
    assert ask("replay", "--status", "failed").returncode == 3


def test_two_runs_are_shown_beside_each_other(ids: list[str], ask: Ask, tmp_path: Path) -> None:
    found = ask("diff", ids[0], ids[1])
    assert found.returncode == 1
    assert "input: 2 differences" in found.stdout
    assert "├─ hope: 0.5 → not there" in found.stdout
    assert "steps: the same" in found.stdout
    assert ask("diff", ids[0], ids[1], "--ascii").stdout.isascii()
    assert ask("diff", ids[0], ids[0]).stdout.endswith("SAME: nothing differs.\n")
    told = json.loads(ask("diff", ids[0], ids[1], "--json").stdout)
    assert not told["is_same"]
    assert told["input"]["count"] == 2
    files = sorted(str(path) for path in (tmp_path / ".whence" / "runs").iterdir())
    found = ask("diff", *files)
    assert found.returncode == 1
    assert found.stdout.endswith("environment and steps: not known of both\n")
    assert "environment: " not in found.stdout
    assert ask("diff", files[0], files[0]).returncode == 0
    file = next(file for file in files if ids[0] in file)
    same = ask("diff", ids[0], file)
    assert same.returncode == 0
    assert same.stdout.endswith(
        "SAME: nothing differs.\nenvironment and steps: not known of both\n"
    )
    assert json.loads(ask("diff", ids[0], file, "--json").stdout)["unknown"] == [
        "environment", "steps",
    ]  # fmt: skip
    assert told["unknown"] == []


def test_an_audit_groups_findings_and_ends_by_the_worst(
    ids: list[str], ask: Ask, tmp_path: Path
) -> None:
    assert ask("audit").returncode == 0
    (tmp_path / ".whence" / "runs" / f"{ids[0]}.json").write_text('{"trace_id": "x", "inp')
    found = ask("audit")

    assert found.returncode == 1
    assert "error truncated-file in 1 file" in found.stdout
    assert "error digest in 1 file" in found.stdout
    assert "salvaged" in found.stdout
    assert "FINDINGS: 2 errors" in found.stdout
    assert ask("audit", "--fail-on", "never").returncode == 0
    assert ask("audit", "--rule", "range").returncode == 0
    assert ask("audit", ids[1]).returncode == 0
    assert ask("audit", "--rule", "rnage").returncode == 2
    assert "did you mean `range`" in ask("audit", "--rule", "rnage").stderr
    told = json.loads(ask("audit", "--json").stdout)
    assert {each["rule"] for each in told["findings"]} >= {"truncated-file", "digest"}
    sarif = json.loads(ask("audit", "-o", "sarif").stdout)
    assert sarif["version"] == "2.1.0"
    assert {each["ruleId"] for each in sarif["runs"][0]["results"]} >= {"truncated-file", "digest"}
    assert "error digest" in ask("audit", "--rules").stdout


def test_replaying_leaves_the_list_as_it_was(ids: list[str], ask: Ask) -> None:
    ask("replay", ids[0])
    with whence.open() as log:
        assert [run.id for run in read_runs(log)] == ids[::-1]
        assert len(list(runs_folder(log).iterdir())) == 2
