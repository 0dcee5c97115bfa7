"""The seed's functions: they return, whatever happens, and say so in the seed's words."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.log import default
from whence.runs.history import read_run
from whence.runs.memory import ForecastMemory
from whence.runs.saving import runs_folder


@pytest.fixture(autouse=True)
def _folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("whence.log._default", None)
    caplog.set_level(logging.INFO, logger="whence")
    yield
    whence.close()


class _Overlay:
    def __init__(self, **levels: float) -> None:
        self._levels = levels

    def as_dict(self) -> dict[str, float]:
        return dict(self._levels)


class _Variables:
    def __init__(self, gdp: float) -> None:
        self.gdp = gdp


def test_a_run_is_given_an_id_and_saved_and_loaded(caplog: pytest.LogCaptureFixture) -> None:
    given = {"turn": 1}
    output = {
        "overlays": _Overlay(hope=0.5),
        "variables": _Variables(2.0),
        "trust": 0.0,
        "forks": [{"overlays": _Overlay(hope=0.1), "variables": _Variables(1.0)}],
    }
    metadata = whence.runs.assign_trace_metadata(given, output)

    assert list(metadata) == ["trace_id", "input", "output"]
    assert whence.runs.load_trace(metadata["trace_id"]) == metadata
    assert metadata["output"]["overlays"] == {"hope": 0.5}
    assert metadata["output"]["variables"] == {"gdp": 2.0}
    assert metadata["output"]["forks"][0]["overlays"] == {"hope": 0.1}
    assert isinstance(output["overlays"], _Overlay)
    assert "trace_id" not in output
    run = read_run(default(), metadata["trace_id"])
    assert (run.status, run.trust) == ("saved", 0.0)
    assert caplog.messages == []


def test_the_folder_is_the_one_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACE_OUTPUT_DIR", str(tmp_path / "traces"))
    whence.runs.save_trace_to_disk({"trace_id": "t-1", "input": {}, "output": {"trust": 1}})

    content = (tmp_path / "traces" / "t-1.json").read_text()
    value = {"trace_id": "t-1", "input": {}, "output": {"trust": 1}}
    assert content == json.dumps(value, indent=2) + "\n"


@pytest.mark.parametrize(
    "wrong", [{}, {"trace_id": "x"}, None, 7, {"trace_id": 1, "input": 2, "output": 3}]
)
def test_what_cannot_be_saved_is_said(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    whence.runs.save_trace_to_disk(wrong)

    (message,) = caplog.messages
    assert message.startswith("[TRACE] Failed to save trace: ")
    assert not runs_folder(default()).exists()


def test_a_value_that_contains_itself_is_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    metadata = whence.runs.assign_trace_metadata({}, endless)

    assert metadata["trace_id"]
    assert "itself" in caplog.messages[0]


def test_a_folder_in_the_way_is_said(caplog: pytest.LogCaptureFixture) -> None:
    default().folder.mkdir()
    runs_folder(default()).write_text("in the way")
    metadata = whence.runs.assign_trace_metadata({}, {"trust": 1})

    assert metadata["output"] == {"trust": 1}
    assert caplog.messages[0].startswith("[TRACE] Failed to save trace: ")


@pytest.mark.parametrize("trace_id", ["nobody", "../../etc/hostname"])
def test_what_is_not_there_is_said(trace_id: str, caplog: pytest.LogCaptureFixture) -> None:
    assert whence.runs.load_trace(trace_id) is None
    assert caplog.messages == [f"[TRACE] Trace not found: {trace_id}"]


@pytest.mark.parametrize("content", [b"", b'{"trace_id": "t-1", "inp', b"\xff", b"[]", b"[" * 5000])
def test_what_is_no_run_is_said(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    folder = runs_folder(default())
    folder.mkdir(parents=True)
    (folder / "t-1.json").write_bytes(content)

    assert whence.runs.load_trace("t-1") is None
    assert caplog.messages[0].startswith("[TRACE] Failed to load trace: ")


def test_a_summary_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    metadata = whence.runs.assign_trace_metadata({}, {"overlays": {"hope": 1}, "trust": 0.0})
    whence.runs.summarize_trace(metadata["trace_id"])

    assert capsys.readouterr().out.splitlines() == [
        f"Trace ID: {metadata['trace_id']}",
        "Overlays: {'hope': 1}",
        "Trust Score: 0.0",
        "Fork Count: 0",
    ]


def test_a_run_is_put_into_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    metadata = whence.runs.assign_trace_metadata({}, {"overlays": _Overlay(hope=1.0), "trust": 1})
    kept = json.dumps(metadata)
    whence.runs.register_trace_to_memory(metadata)

    assert caplog.messages == [f"[TRACE] Trace {metadata['trace_id']} added to memory."]
    found = ForecastMemory().find_by_trace_id(metadata["trace_id"])
    assert found is not None
    assert found["output"]["overlays"] == {"hope": 1.0}
    assert json.dumps(metadata) == kept


def test_every_file_is_audited(caplog: pytest.LogCaptureFixture) -> None:
    whence.runs.audit_all_traces()
    whence.runs.assign_trace_metadata({"turn": 1}, {"overlays": {"hope": 0.5}, "trust": 0.0})
    whence.runs.assign_trace_metadata({"turn": 2}, {"overlays": {"hope": 0.5}})
    (runs_folder(default()) / "torn.json").write_text('{"trace_id": "torn", "inp')
    caplog.clear()
    whence.runs.audit_all_traces()

    said = "\n".join(caplog.messages)
    assert said.count("[AUDIT] Missing trust score in: ") == 1
    assert "[AUDIT] Failed to audit torn.json: " in said
    assert caplog.messages[-1].startswith("[AUDIT] Completed with ")


def test_replays_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    metadata = whence.runs.assign_trace_metadata({}, {"trust": 1})
    trace_id = metadata["trace_id"]
    whence.runs.replay_trace(trace_id)
    whence.runs.replay_trace("nobody")

    assert caplog.messages == [
        f"[TRACE] Replaying trace: {trace_id}",
        "[TRACE] Failed to replay trace: it names no runner; --runner gives it one",
        "[TRACE] Replaying trace: nobody",
        "[TRACE] Trace not found: nobody",
    ]


def test_the_seeds_own_command_line() -> None:
    metadata = whence.runs.assign_trace_metadata({}, {"trust": 0.5})
    trace_id = metadata["trace_id"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "whence.runs", *words],
            capture_output=True,
            text=True,
            check=True,
        )

    assert f"Trace ID: {trace_id}" in run("--summarize", trace_id).stdout
    assert "[TRACE] Failed to replay trace" in run("--replay", trace_id).stderr
    assert "[AUDIT] Completed with" in run("--audit-all").stderr
    assert "--audit-all" in run().stdout


def test_an_id_is_a_uuid() -> None:
    one, other = whence.runs.generate_trace_id(), whence.runs.generate_trace_id()
    assert one != other
    assert (len(one), one[14]) == (36, "4")
