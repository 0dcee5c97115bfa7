"""`whence spans` and `whence stats` as processes: killed writers, pipes, signals, the seed's doors."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import whence

_PATIENCE_S = 60

_WRITER = """
import sys, time
import whence
log = whence.open(".whence")
with log.span("altitude.execute", input="outer"):
    with log.span("memory.read", input="done"):
        pass
    with log.span("memory.promote", input="inner"):
        log.emit("ops", "create_task", target="task-1")
        while not list(log.spans().newest(only_open=True))[1:]:
            time.sleep(0.05)
        print("both are open", flush=True)
        sys.stdin.read()
"""


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WHENCE_")}
    return kept | {"LC_ALL": "C.UTF-8", "COLUMNS": "100", "NO_COLOR": "1"}


def _whence(
    here: Path, *arguments: str, module: str = "whence"
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=here, env=_environment(), capture_output=True, text=True, timeout=_PATIENCE_S,
        check=False,
    )  # fmt: skip


@contextlib.contextmanager
def _process(here: Path, *command: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, *command], cwd=here, env=_environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _read_until(process: "subprocess.Popen[str]", text: str) -> list[str]:
    """The lines up to one with this text; the test's own time limit ends the waiting."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or text not in lines[-1]:
        line = process.stdout.readline()
        assert line, f"{text!r} never came: {lines}"
        lines.append(line.rstrip("\n"))
    return lines


def test_a_killed_process_leaves_its_unfinished_steps_visible(tmp_path: Path) -> None:
    with _process(tmp_path, "-c", _WRITER) as writer:
        _read_until(writer, "both are open")
        running = _whence(tmp_path, "spans", "--status", "open").stdout
        writer.send_signal(signal.SIGKILL)
        writer.wait(_PATIENCE_S)
    killed = _whence(tmp_path, "spans", "--status", "open").stdout
    root = killed.splitlines()[0].split()[2]
    tree = _whence(tmp_path, "spans", "--trace-id", root).stdout

    assert running.count("so far") == killed.count("last heard of after") == 2
    assert "[alt] execute: outer → unfinished" in killed
    shapes = [line.partition("│ ")[2] for line in tree.splitlines()[1:]]
    assert [shape.partition(" → ")[0] for shape in shapes] == [
        "[alt] execute: outer",
        "  ├─[mem] read: done",
        "  └─[mem] promote: inner",
        "      └─ops task-1 created",
    ]
    assert "░" in tree


def test_a_process_that_closes_says_what_it_leaves_open_and_that_it_ended(tmp_path: Path) -> None:
    with whence.open(tmp_path / ".whence") as log:
        log.span("altitude.execute").__enter__()

    out = _whence(tmp_path, "spans").stdout

    assert "[alt] execute → unfinished, last heard of after" in out


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    with whence.open(tmp_path / ".whence") as log, log.span("altitude.plan", input="root"):
        for number in range(3_000):
            with log.span("memory.read", input=f"key {number} with a longer name"):
                pass
    return tmp_path


def test_the_seeds_own_names_are_doors_to_the_verbs(steps: Path) -> None:
    shown = _whence(steps, "--last", "2", "--hrm", "mem", module="whence.tracing.viewer")
    summary = _whence(steps, module="whence.tracing.stats")

    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 2)
    assert shown.stdout == _whence(steps, "spans", "--last", "2", "--hrm", "mem").stdout
    assert summary.stdout.startswith("HRM Layer Stats (last 1000 events):\n- memory: 1,000 ops")
    assert "\nSlowest operations:\n1. " in summary.stdout
    assert _whence(steps, "--nonsense", module="whence.tracing.stats").returncode == 2


@pytest.mark.parametrize(
    "arguments", [("spans", "-n", "3000"), ("spans", "--trace-id", "@first", "-n", "3000")]
)
def test_a_pipe_that_is_closed_early_is_silent(steps: Path, arguments: tuple[str, ...]) -> None:
    with whence.open(steps / ".whence", read_only=True) as log:
        root = next(log.events(limit=1)).id
    given = [root if word == "@first" else word for word in arguments]
    with _process(steps, "-m", "whence", *given) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(_PATIENCE_S) == 0
        process.stdout = None


def test_watching_goes_on_until_ctrl_c_and_ends_quietly(steps: Path) -> None:
    with _process(steps, "-m", "whence", "stats", "--watch", "-S", "2h ago") as process:
        _read_until(process, "5. ")
        with whence.open(steps / ".whence") as log, log.span("focus.route"):
            pass
        _read_until(process, "- focus: 1 op")
        _read_until(process, "5. ")
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=_PATIENCE_S)

    assert complaint.startswith("from ")
    assert complaint.count("\n") == 1
    assert process.returncode == -signal.SIGINT


def test_following_shows_steps_when_they_end_and_when_they_stay_open(tmp_path: Path) -> None:
    with _process(tmp_path, "-m", "whence", "spans", "-f", "--hrm", "alt") as process:
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        with whence.open(tmp_path / ".whence") as log:
            with log.span("altitude.plan", input="first"), log.span("memory.read"):
                pass
            ended = _read_until(process, "plan: first")
            step = log.span("altitude.execute", input="second")
            with step:
                opened = _read_until(process, "execute: second")
            closed = _read_until(process, "execute: second")
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE_S)

    assert len(ended) == 1
    assert "[alt] plan: first → success" in ended[0]
    assert "unfinished" in opened[-1]
    assert "→ success" in closed[-1]
