"""The example of four layers does what the seed's success criteria ask, and draws the seed's tree."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import whence
from examples.four_layers.__main__ import main
from whence.event import Event
from whence.tracing import Tracer

_ROOT = Path(__file__).parents[2]
_TREE = """\
[sys] request: zoom in: what should I do today? → We look at it from L2 now. (Nms)
  ├─[rsn] classify: zoom in: what should I do today? → change of level (Nms)
  └─[alt] transition: L3→L2 → success (Nms)
      └─[foc] gate_check: WriteApprovalGate → allowed (Nms)
          └─[mem] write: altitude.session → written (Nms) [saved 4 tokens]
"""
_POINTS = {
    "altitude": "transition evaluate plan execute",
    "focus": "stance_change gate_check lane_switch consent_check route",
    "reasoning": "classify route escalate",
    "learning": "pattern_match pattern_add pattern_trim generalize",
    "memory": "read write promote demote",
}


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.four_layers", *arguments], cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip


def _events(folder: Path) -> list[Event]:
    with whence.open(folder / ".whence") as log:
        return list(log.events())


def test_with_the_flag_it_draws_the_seeds_tree(tmp_path: Path) -> None:
    done = _run(tmp_path, "--trace")

    assert done.returncode == 0, done.stderr
    assert re.sub(r"\(\d+ms\)", "(Nms)", done.stderr).startswith(_TREE)
    assert done.stdout.startswith("you: zoom in: what should I do today?\njar: We look at it from")


def test_every_point_of_every_layer_is_there(tmp_path: Path) -> None:
    assert _run(tmp_path, "--trace=off").stderr == ""

    found = {f"{event.primitive}.{event.type}" for event in _events(tmp_path)}
    assert found >= {
        f"{layer}.{operation}" for layer, names in _POINTS.items() for operation in names.split()
    }


def test_without_it_the_answers_are_the_same_and_nothing_is_recorded(tmp_path: Path) -> None:
    traced = _run(tmp_path, "--trace")
    quiet = _run(tmp_path, WHENCE_DIR=str(tmp_path / "quiet"))

    assert quiet.stdout == traced.stdout
    assert quiet.stderr == ""
    assert not (tmp_path / "quiet").exists()


def test_the_seeds_variable_and_the_seeds_file(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.yaml").write_text("tracing:\n  output: trace.jsonl\n")
    done = _run(tmp_path, "--ask", "zoom in", DOPEJAR_TRACE="1")

    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "trace.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["operation"] for line in lines] == (
        ["classify", "write", "gate_check", "transition", "request"]
    )
    assert lines[3]["component"] == "altitude.py"


_OPERATIONS = {
    # What the layers do, whoever asks them to; and the event that has to tell it.
    ("altitude.py", "transition"): "altitude.transition",
    ("focus.py", "may_write"): "focus.gate_check",
    ("focus.py", "has_consent"): "focus.consent_check",
    ("memory.py", "read"): "memory.read",
    ("memory.py", "write"): "memory.write",
}


@pytest.fixture
def done_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[Counter[str], Counter[str]]:
    """How often each operation was done, as Python's own profiler sees it, and how often told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["four_layers"])
    tracer = Tracer()
    done: Counter[str] = Counter()

    def look(frame: FrameType, event: str, _: Any) -> None:
        place = Path(frame.f_code.co_filename)
        if event == "call" and place.parent.name == "four_layers":
            operation = _OPERATIONS.get((place.name, frame.f_code.co_name))
            if operation:
                done[operation] += 1

    with whence.open() as log:
        tracer.use(log)
        tracer.enabled = True
        sys.setprofile(look)
        try:
            main()
        finally:
            sys.setprofile(None)
            tracer.use(None)
            tracer.enabled = None
        told = Counter(f"{event.primitive}.{event.type}" for event in log.events())
    return done, told


@pytest.mark.parametrize("operation", _OPERATIONS.values())
def test_criterion_every_operation_emits(
    done_and_told: tuple[Counter[str], Counter[str]], operation: str
) -> None:
    """All HRM transitions, all gate checks and all memory operations emit trace events."""
    done, told = done_and_told

    assert done[operation] > 0
    assert told[operation] == done[operation]
