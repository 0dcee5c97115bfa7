"""Switches: who decides whether steps are traced, and that this is read when it is used."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tracing.tracing import look_again, recorded
from whence.log import Log
from whence.tracing import Tracer
from whence.tracing.switches import RANKS, Switch, Switchboard

_YAML = "config/settings.yaml"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _look(folder: Path, **environment: str) -> Switch:
    return Switchboard(environment).look(lambda: folder / ".whence")


def test_tracing_is_off_where_nobody_says_anything(folder: Path) -> None:
    assert _look(folder) == Switch()
    assert not Switch().is_on


@pytest.mark.parametrize("name", ["WHENCE_TRACE", "DOPEJAR_TRACE"])
@pytest.mark.parametrize(
    ("word", "is_on"),
    [
        ("1", True), ("true", True), ("on", True), ("YES", True), (" 1 ", True),
        ("0", False), ("", False), ("false", False), ("Off", False), ("no", False),
    ],
)  # fmt: skip
def test_the_environment_switches(folder: Path, name: str, word: str, is_on: bool) -> None:
    assert _look(folder, **{name: word}).is_on is is_on


def test_a_word_that_nobody_knows_counts_as_not_said_and_is_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board = Switchboard({"WHENCE_TRACE": "banana", "DOPEJAR_TRACE": "1"})

    assert [board.look(lambda: folder / ".whence").is_on for _ in range(2)] == [True, True]
    (record,) = caplog.records
    assert "WHENCE_TRACE is 'banana', want 1 or 0" in record.getMessage()
    assert not _look(folder, WHENCE_TRACE="banana").is_on


def test_an_empty_word_leaves_it_to_the_next_that_says_something(folder: Path) -> None:
    assert _look(folder, WHENCE_TRACE="", DOPEJAR_TRACE="1").is_on


@pytest.mark.parametrize("word", ["debug", "info", "warn"])
def test_a_level_in_the_environment_switches_tracing_on_from_there(folder: Path, word: str) -> None:
    switch = _look(folder, WHENCE_TRACE=word)

    assert (switch.is_on, switch.rank) == (True, RANKS[word])


@pytest.mark.parametrize("word", ["tree", "lines", "both"])
def test_a_form_in_the_environment_switches_tracing_on_and_shows_it(
    folder: Path, word: str
) -> None:
    switch = _look(folder, WHENCE_TRACE=word)

    assert (switch.is_on, switch.console) == (True, word)


# Each says the opposite of what the ones after it say; the first that says something decides.
_ON: dict[str, dict[str, Any]] = {
    "program": {"forced": True},
    "WHENCE_TRACE": {"WHENCE_TRACE": "1"},
    "DOPEJAR_TRACE": {"DOPEJAR_TRACE": "1"},
    "whence.toml": {"toml": "enabled = true"},
    "settings.yaml": {"yaml": "enabled: true"},
}
_OFF: dict[str, dict[str, Any]] = {
    "program": {"forced": False},
    "WHENCE_TRACE": {"WHENCE_TRACE": "0"},
    "DOPEJAR_TRACE": {"DOPEJAR_TRACE": "0"},
    "whence.toml": {"toml": "enabled = false"},
    "settings.yaml": {"yaml": "enabled: false"},
}
_ORDER = [*_ON]


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("decides", _ORDER)
def test_the_first_that_says_something_decides(folder: Path, decides: str, wanted: bool) -> None:
    mine, others = (_ON, _OFF) if wanted else (_OFF, _ON)
    said = {**mine[decides]}
    for later in _ORDER[_ORDER.index(decides) + 1 :]:
        said |= others[later]
    if "toml" in said:
        _write(folder / "whence.toml", f"[tracing]\n{said['toml']}\n")
    if "yaml" in said:
        _write(folder / _YAML, f"tracing:\n  {said['yaml']}\n")
    board = Switchboard({name: text for name, text in said.items() if name.isupper()})
    board.forced_on = said.get("forced")

    assert board.look(lambda: folder / ".whence").is_on is wanted


def test_everything_in_whence_toml_is_understood(folder: Path) -> None:
    _write(
        folder / "whence.toml",
        '[tracing]\nenabled = true\nlevel = "debug"\noutput = "logs/steps.jsonl"\n'
        'console = "tree"\nsample = 0.25\nslow = "50ms"\nthreads = true\n',
    )

    assert _look(folder) == Switch(
        is_on=True, rank=0, mirror=folder / "logs" / "steps.jsonl", console="tree", sample=0.25,
        slow_ns=50_000_000,
    )  # fmt: skip


def test_the_seeds_own_settings_file_is_understood(folder: Path) -> None:
    _write(
        folder / _YAML,
        "assistant:\n  name: jar\ntracing:\n  enabled: true\n  output: trace.jsonl\n"
        "  level: info  # debug|info|warn\n",
    )

    assert _look(folder) == Switch(is_on=True, mirror=folder / "trace.jsonl")


def test_the_seeds_path_is_in_the_current_folder_and_others_from_where_their_file_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = folder / "below"
    below.mkdir()
    monkeypatch.chdir(below)

    _write(folder / "whence.toml", '[tracing]\nmirror = "steps.jsonl"\n')
    assert _look(folder).mirror == folder / "steps.jsonl"
    _write(folder / "whence.toml", "[tracing]\nmirror = true\n")
    assert _look(folder).mirror == below / "trace.jsonl"
    _write(folder / "whence.toml", "[tracing]\nmirror = false\n")
    assert _look(folder).mirror is None


def test_slow_may_be_a_number_of_milliseconds(folder: Path) -> None:
    _write(folder / "whence.toml", "[tracing]\nslow = 1.5\n")

    assert _look(folder).slow_ns == 1_500_000


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("whence.toml", "[tracing\n", "cannot read"),
        ("whence.toml", '[tracing]\nlevel = "loud"\n', "level"),
        ("whence.toml", "[tracing]\nsample = 2\n", "sample"),
        ("whence.toml", '[tracing]\nslow = "soon"\n', "soon"),
        ("whence.toml", "[tracing]\nenable = true\n", "enable"),
        ("whence.toml", "[tracing]\nx = " + "[" * 5_000, "tracing settings"),
        (_YAML, "tracing: [", "cannot read"),
        (_YAML, "tracing:\n  enabled: perhaps\n", "enabled"),
        (_YAML, "tracing:\n  level: loud\n", "level"),
        (_YAML, "tracing: on\n", "tracing"),
        (_YAML, "\x00\x01", "cannot read"),
        (_YAML, "x: " + "[" * 5_000, "tracing settings"),
    ],
)
def test_settings_that_are_wrong_count_as_not_said_and_are_told_once(
    folder: Path, file: str, text: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(folder / file, text)
    board = Switchboard({"DOPEJAR_TRACE": "1"})

    for _ in range(3):
        assert board.look(lambda: folder / ".whence") == Switch(is_on=True)

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert named in record.getMessage()


@pytest.mark.parametrize("text", ["", "[]\n", "tracing:\n", "other: 1\n", "just words\n"])
def test_a_settings_file_about_other_things_says_nothing(
    folder: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(folder / _YAML, text)

    assert _look(folder) == Switch()
    assert caplog.records == []


def test_a_file_is_read_again_only_when_it_has_changed(folder: Path) -> None:
    file = folder / "whence.toml"
    board = Switchboard({})
    _write(file, "[tracing]\nenabled = true\n")
    assert board.look(lambda: folder / ".whence").is_on
    before = file.stat()
    # Another text of the same size and time: were it read, tracing would be off.
    _write(file, "[tracing]\nenabled = 1234\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size

    assert board.look(lambda: folder / ".whence").is_on
    _write(file, "[tracing]\nenabled = false\n")
    assert not board.look(lambda: folder / ".whence").is_on


def test_a_current_folder_that_is_gone_is_no_reason_to_fail(
    tracer: Tracer, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("WHENCE_TRACE", "1")

    with tracer.span("alt", "transition"):
        pass

    assert len(recorded(log)) == 1


def test_what_changes_is_seen_after_a_second_and_not_at_import(
    tracer: Tracer, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not tracer.enabled
    monkeypatch.setenv("DOPEJAR_TRACE", "1")
    assert not tracer.enabled
    look_again(tracer)
    assert tracer.enabled
    monkeypatch.setenv("DOPEJAR_TRACE", "0")
    look_again(tracer)
    assert tracer.event("alt", "transition") is None
    assert recorded(log) == []


class _Slow(dict[str, str]):
    """An environment that waits while it is read, until another thread has traced, or waits too."""

    def __init__(self, is_read: threading.Event, is_traced: threading.Event) -> None:
        super().__init__(WHENCE_TRACE="1")
        self._is_read = is_read
        self._is_traced = is_traced

    def get(self, name: str, otherwise: Any = None) -> Any:
        self._is_read.set()
        self._is_traced.wait(0.2)
        return super().get(name, otherwise)


def test_a_thread_that_traces_first_does_not_leave_the_others_untraced(
    tracer: Tracer, log: Log
) -> None:
    is_read, is_traced = threading.Event(), threading.Event()
    kept, tracer.board = tracer.board, Switchboard(_Slow(is_read, is_traced))

    def second() -> str | None:
        assert is_read.wait(30)
        event_id = tracer.event("alt", "second")
        is_traced.set()
        return event_id

    try:
        with ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(second)
            first = pool.submit(tracer.event, "alt", "first")
            assert None not in (first.result(), waiting.result())
    finally:
        tracer.board = kept


def test_what_is_asked_for_while_somebody_looks_is_not_forgotten(tracer: Tracer, log: Log) -> None:
    class Interrupted(Switchboard):
        def look(self, find_folder: Callable[[], Path]) -> Switch:
            found = super().look(find_folder)
            tracer.board = kept
            tracer.enabled = True
            return found

    kept = tracer.board
    tracer.board = Interrupted({})
    try:
        assert tracer.event("alt", "before") is None
        assert tracer.event("alt", "after") is not None
    finally:
        tracer.board = kept


def test_settings_that_are_no_files_are_not_waited_for(folder: Path) -> None:
    (folder / "config").mkdir()
    os.mkfifo(folder / _YAML)

    assert _look(folder) == Switch()


def test_within_a_trace_nothing_is_switched(tracer: Tracer, log: Log) -> None:
    """A trace is told whole or not at all."""
    tracer.enabled = True
    with tracer.span("alt", "outer"):
        tracer.enabled = False
        assert tracer.event("alt", "inner") is not None
    assert tracer.event("alt", "after") is None

    assert [event.type for event in recorded(log)] == ["outer", "inner"]


def test_the_program_decides_and_may_leave_it_to_others_again(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_TRACE", "0")
    tracer.enabled = True
    assert tracer.enabled
    tracer.enabled = None
    assert not tracer.enabled
    tracer.enable(console="lines")
    assert tracer.enabled
    assert tracer.switch.console == "lines"


@pytest.mark.parametrize(
    ("level", "kept"),
    [("debug", ["debug", "info", "warn"]), ("info", ["info", "warn"]), ("warn", ["warn"])],
)
def test_steps_and_events_below_the_level_are_not_traced(
    tracer: Tracer, log: Log, monkeypatch: pytest.MonkeyPatch, level: str, kept: list[str]
) -> None:
    monkeypatch.setenv("WHENCE_TRACE", level)
    look_again(tracer)
    for each in RANKS:
        if each in ("debug", "info", "warn"):
            tracer.event("alt", each, level=each)
            with tracer.span("alt", each, level=each) as step:
                assert (step is not None) == (each in kept)

    assert sorted({event.type for event in recorded(log)}) == kept
    assert [e.data.get("level", "info") for e in recorded(log)] == [e.type for e in recorded(log)]


def test_importing_tracing_reads_and_makes_nothing(folder: Path) -> None:
    """The seed opened its file at import, in whatever folder that was."""
    _write(folder / "whence.toml", "[tracing\n")
    code = (
        "import sys\nfrom whence.tracing import tracer\n"
        "assert 'yaml' not in sys.modules and 'whence.tracing.console' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True,
        env={**os.environ, "DOPEJAR_TRACE": "1"}, cwd=folder,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in folder.iterdir()] == ["whence.toml"]
