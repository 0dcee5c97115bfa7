"""What is damaged costs no answer but its own, and is named on stderr."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from tests.unit.cli.asking import Ask
from tests.unit.index.lines import append, make_line

_ASKING = [
    ["tail"],
    ["tail", "-o", "jsonl"],
    ["find", "/./"],
    ["find", "step", "-o", "jsonl"],
    ["export"],
    ["task-1"],
    ["task-1", "-o", "jsonl"],
    ["--causality", "task-1"],
]


@pytest.fixture
def folder(here: Path) -> Path:
    """A log whose second event keeps its payload in a blob."""
    folder = here / ".whence"
    with whence.open(folder) as log:
        log.emit("ops", "create_task", target="task-1", data={"what": "step one"})
        log.emit("ops", "note", target="task-1", data={"what": "step two" + "x" * 100_000})
        log.emit("ops", "complete_task", target="task-1", data={"what": "step three"})
    return folder


def blob_of(folder: Path) -> Path:
    (blob,) = (folder / "blobs").iterdir()
    return blob


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"y" + content[-1:])


def refuse(path: Path) -> None:
    # Also root cannot read a folder as a file.
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [flip, refuse, Path.unlink])
@pytest.mark.parametrize("line", _ASKING)
def test_a_payload_that_cannot_be_had_costs_no_answer(
    ask: Ask, folder: Path, damage: Callable[[Path], None], line: list[str]
) -> None:
    damage(blob_of(folder))

    answer = ask(*line)

    assert answer.code == 0
    assert "complete" in answer.out or "step three" in answer.out
    assert "warning: payload of event" in answer.err


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (flip, 1, "1 payload in blobs/ was changed"),
        (Path.unlink, 1, "1 payload is missing from blobs/"),
        (refuse, 3, "1 payload in blobs/ cannot be read"),
    ],
)
def test_the_doctor_tells_changed_from_unreadable(
    ask: Ask, folder: Path, damage: Callable[[Path], None], code: int, words: str
) -> None:
    damage(blob_of(folder))

    answer = ask("doctor")

    assert (answer.code, words in answer.out) == (code, True)
    assert json.loads(ask("doctor", "--json").out)["is_whole"] is False


@pytest.mark.parametrize("damage", [flip, refuse, Path.unlink])
def test_sql_says_why_metadata_is_null(
    ask: Ask, folder: Path, damage: Callable[[Path], None]
) -> None:
    damage(blob_of(folder))

    answer = ask("sql", "select count(*) from events where metadata is null")

    assert answer.code == 0
    assert answer.out.split() == ["count(*)", "1"]
    assert "is NULL" in answer.err


def spoil_a_line(folder: Path) -> str:
    """Overwrite the first event; return its place in words."""
    (segment,) = (folder / "journal").iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = b"#" * (len(lines[1]) - 1) + b"\n"
    segment.write_bytes(b"".join(lines))
    return f"{segment.stem} at {len(lines[0])}"


@pytest.mark.parametrize("line", [["tail"], ["find", "step one"], ["export"], ["task-1"]])
def test_a_line_that_is_no_event_is_named(ask: Ask, folder: Path, line: list[str]) -> None:
    place = spoil_a_line(folder)

    answer = ask(*line)

    assert answer.code == 0
    assert f"warning: {place}" in answer.err


@pytest.mark.parametrize("line", [["t1"], ["--causality", "t1"]])
def test_what_is_not_found_may_be_in_a_line_that_is_no_event(
    ask: Ask, folder: Path, line: list[str]
) -> None:
    place = spoil_a_line(folder)

    answer = ask(*line)

    assert answer.code == 3
    assert f"warning: {place}" in answer.err


def test_sql_names_a_line_that_was_spoiled_after_it_was_indexed(ask: Ask, folder: Path) -> None:
    ask("export")
    place = spoil_a_line(folder).replace(" at", "")

    answer = ask("sql", "select metadata from events")

    assert answer.code == 0
    assert place in answer.err


@pytest.mark.parametrize("line", [*_ASKING, ["tail", "-f"], ["doctor"], ["sql", "select 1"]])
def test_a_newer_format_is_refused_wherever_it_stands(
    ask: Ask, folder: Path, line: list[str]
) -> None:
    (segment,) = (folder / "journal").iterdir()
    data = {"format": 7, "version": "9.0.0"}
    opened = make_line(w="v" * 12, primitive="whence", type="writer.open", data=data)
    more = [make_line(n, w="v" * 12, type=f"step{n}") for n in range(1, 50)]
    append(folder, [opened, *more], segment.stem)

    answer = ask(*line)

    assert answer.code == 3
    assert "format 7" in answer.err
    assert "format 1" in answer.err


@pytest.mark.parametrize("line", [["doctor"], [], ["tail"], ["export"]])
def test_a_log_that_lost_its_segments_is_not_an_empty_one(
    ask: Ask, folder: Path, line: list[str]
) -> None:
    ask("export")
    (segment,) = (folder / "journal").iterdir()
    segment.unlink()

    answer = ask(*line)

    assert answer.code == (1 if line == ["doctor"] else 0)
    assert "othing is recorded" not in answer.out + answer.err
    assert "gone" in answer.out + answer.err


def test_a_pattern_without_end_ends_with_an_interrupt(folder: Path) -> None:
    with whence.open(folder) as log:
        log.emit("ops", "note", data={"what": "a" * 60 + "!"})
    command = [sys.executable, "-m", "whence", "-C", str(folder), "find", "/(a+)+$/"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while _processor_s(running.pid) < 1:
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.communicate()
    finally:
        running.kill()
        running.wait()

    assert running.returncode == -signal.SIGINT


def _processor_s(pid: int) -> float:
    """How long a process has computed: enough, and it is within the pattern."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")
