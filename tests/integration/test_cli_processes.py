"""The command as a process: exit codes, pipes, signals, terminals, and others that record."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Self

import pytest

import whence

_WHENCE = [sys.executable, "-m", "whence"]
_PATIENCE_S = 60


def _environment(**values: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WHENCE_", "LESS"))
        and name not in ("FORCE_COLOR", "NO_COLOR", "CLICOLOR", "PAGER", "COLUMNS", "LINES")
    }
    return kept | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | values


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with 300 events on one task."""
    folder = tmp_path_factory.mktemp("log") / ".whence"
    with whence.open(folder) as log:
        task = log.emit("ops", "create_task", agent="a", target="task-1", data={"title": "Work"})
        with log.cause(task):
            for number in range(299):
                text = f"step {number} of very many more"
                log.emit("ops", "note", agent="a", target="task-1", data={"text": text})
    return folder


def _run(
    *arguments: str, folder: Path | None = None, **values: str
) -> subprocess.CompletedProcess[str]:
    if folder is not None:
        values["WHENCE_DIR"] = str(folder)
    return subprocess.run(
        [*_WHENCE, *arguments], env=_environment(**values), capture_output=True, text=True,
        encoding="utf-8", timeout=_PATIENCE_S,
    )  # fmt: skip


def test_both_names_are_installed() -> None:
    scripts = {
        script.name: script.value
        for script in distribution("whence").entry_points
        if script.group == "console_scripts"
    }

    assert scripts == {"whence": "whence.cli:main", "trace": "whence.cli:main"}


def test_the_version_is_said_without_loading_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "whence", "--version"],
        env=_environment(), capture_output=True, text=True, timeout=_PATIENCE_S,
    )  # fmt: skip

    assert done.stdout == f"whence {whence.__version__}\n"
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"click", "msgspec", "sqlite3", "whence.cli.app", "whence.log"}


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (
            ["task-1"],
            {"asyncio", "subprocess", "csv", "whence.cli.tail", "whence.cli.sql"},
        ),
        (["tail"], {"asyncio", "subprocess", "whence.cli.show", "whence.cli.sql"}),
    ],
)
def test_a_verb_loads_only_what_it_needs(
    log_folder: Path, arguments: list[str], needless: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "whence", *arguments, "-C", str(log_folder)],
        env=_environment(), capture_output=True, text=True, timeout=_PATIENCE_S,
    )  # fmt: skip

    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "whence.cli.app" in loaded
    assert not loaded & (needless | {"whence.recorder.recorder", "whence.journal.writer"})


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["task-1"], 0), (["--type", "none"], 0), (["--help"], 0), (["doctor"], 0),
        (["task-1", "--wrong"], 2), (["--since", "soon"], 2), (["sql", "nonsense"], 2),
        (["nobody"], 3), (["-C", "/no/such/folder", "task-1"], 3),
    ],
)  # fmt: skip
def test_exit_codes_tell_how_it_went(log_folder: Path, arguments: list[str], code: int) -> None:
    done = _run(*arguments, folder=log_folder)

    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (code == 0 and "none" not in arguments)


def test_errors_show_where_they_come_from_only_when_asked(log_folder: Path) -> None:
    assert "Traceback" in _run("nobody", "--debug", folder=log_folder).stderr
    assert "Traceback" in _run("nobody", folder=log_folder, WHENCE_DEBUG="1").stderr


def test_a_closed_pipe_is_silent(log_folder: Path) -> None:
    """`whence … | head -1`, with more to say than a pipe holds."""
    query = "with recursive n(i) as (select 1 union all select i + 1 from n limit 200000) select i from n"
    for arguments in (["sql", query], ["task-1"], ["export"]):
        process = subprocess.Popen(
            [*_WHENCE, *arguments, "-C", str(log_folder)],
            env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert process.stderr.read() == b""
        assert process.wait(_PATIENCE_S) == 0
        process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("line", [["task-1"], ["--help"], ["tail", "--help"], ["-V"]])
def test_an_answer_that_cannot_be_written_is_a_failure(log_folder: Path, line: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*_WHENCE, *line], env=_environment(WHENCE_DIR=str(log_folder)), stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=_PATIENCE_S,
        )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == "whence: cannot write the answer: No space left on device\n"


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _PATIENCE_S)
    assert ready, "nothing came"
    return process.stdout.readline()


@contextlib.contextmanager
def _following(*arguments: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    # Unbuffered by lines: `select` must see what `readline` would give.
    process = subprocess.Popen(
        [*_WHENCE, "tail", "-f", *arguments, "-C", str(folder)],
        env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_what_another_process_records_is_followed_until_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / ".whence"
    with whence.open(folder) as log:
        log.emit("ops", "create_task", agent="a", target="task-1")
        with _following("-o", "jsonl", "task-1", folder=folder) as process:
            assert json.loads(_read_line(process))["type"] == "create_task"

            code = (
                "import whence, sys\n"
                "log = whence.open(sys.argv[1])\n"
                "log.emit('ops', 'claim_task', agent='b', target='task-2')\n"
                "log.emit('ops', 'claim_task', agent='b', target='task-1')\n"
            )
            subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
            event = json.loads(_read_line(process))

            assert (event["type"], event["agent"], event["target"]) == ("claim_task", "b", "task-1")
            process.send_signal(signal.SIGINT)
            assert process.wait(_PATIENCE_S) == -signal.SIGINT
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


def test_a_journal_can_be_followed_before_it_exists(tmp_path: Path) -> None:
    folder = tmp_path / ".whence"
    with _following(folder=folder) as process:
        assert process.stderr is not None
        assert "nothing is recorded" in process.stderr.readline()
        with whence.open(folder) as log:
            log.emit("ops", "create_task", agent="a", target="task-1")

        assert _read_line(process).endswith("| ops       | task-1 created by a\n")


@pytest.mark.parametrize("reference", ["#room", "ana"])
def test_a_name_can_be_followed_before_it_exists(tmp_path: Path, reference: str) -> None:
    folder = tmp_path / ".whence"
    with whence.open(folder) as log:
        log.emit("ops", "create_task", agent="a", target="task-1")
        with _following(reference, "--until", "1h left", folder=folder) as process:
            assert process.stderr is not None
            assert "(" in process.stderr.readline()
            assert "waiting for it" in process.stderr.readline()
            log.emit("bridge", "send", agent="bob", target="lobby", data={"content": "no"})
            log.emit("bridge", "send", agent="ana", target="room", data={"content": "yes"})

            assert "ana posted to #room" in _read_line(process)


class _Terminal:
    """A terminal of our own with a command running in it."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 24, **values: str) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        self.process = subprocess.Popen(
            [*_WHENCE, *arguments], env=_environment(**values), stdin=theirs, stdout=theirs,
            stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def read_all(self) -> str:
        """Read until the command has ended, and return all that it wrote."""
        self._read(lambda: False)
        assert self.process.wait(_PATIENCE_S) is not None
        return self.text

    def read_until(self, text: str) -> None:
        """Read until `text` was written."""
        self._read(lambda: text in self.text)
        assert text in self.text

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self._ours, keys.encode())

    def _read(self, is_enough: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not is_enough() and time.monotonic() < until:
            ready, _, _ = select.select([self._ours], [], [], 0.1)
            try:
                chunk = os.read(self._ours, 65536) if ready else None
            except OSError:
                # The terminal's other end is closed: nobody will write any more.
                return
            if chunk == b"":
                return
            self.text += (chunk or b"").decode(errors="replace")


def _plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", text).splitlines()


def test_on_a_terminal_answers_are_coloured_and_as_wide_as_it_is(log_folder: Path) -> None:
    arguments = ["--causality", "task-1", "-n", "2", "--no-pager", "-C", str(log_folder)]
    with _Terminal(*arguments, columns=40) as terminal:
        text = terminal.read_all()

    assert "\x1b[1m" in text
    assert all(len(line) <= 40 for line in _plain(text))
    with _Terminal(*arguments, columns=40, COLUMNS="60", NO_COLOR="1") as terminal:
        text = terminal.read_all()
    assert "\x1b[" not in text
    assert 40 < max(map(len, _plain(text))) <= 60


def test_recorded_text_never_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b5A\r\u202egnp.exe"
    folder = tmp_path / ".whence"
    with whence.open(folder) as log:
        log.emit(evil, evil, agent=evil, target=evil, data={"title": evil, evil: evil})
        log.emit("bridge", "send", agent=evil, target="room", data={"content": evil})
    for arguments in (
        [], [evil], ["room"], ["--causality", evil], ["tail"], ["find", "owned"], ["nobody" + evil],
        ["sql", "select * from events"], ["doctor"], ["--json"], ["export"], ["room", "-o", "md"],
        ["--since", evil], ["sql", evil], [evil, "-o", "mermaid"], [evil, "-o", "dot"],
        ["sql", "select * from events", "-o", "csv"],
    ):  # fmt: skip
        with _Terminal(*arguments, "-C", str(folder), "--no-pager", "--color", "never") as terminal:
            text = terminal.read_all()

        assert not set("\x1b\x07\x9b\u202e") & set(text), arguments
        assert text.strip()


def test_a_long_answer_goes_through_the_pager_and_a_short_one_does_not(
    log_folder: Path, tmp_path: Path
) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\necho "LESS is $LESS"\nwc -l\n')
    pager.chmod(0o755)
    with _Terminal("task-1", "-C", str(log_folder), PAGER=str(pager)) as terminal:
        assert _plain(terminal.read_all()) == ["LESS is FRX", "301"]
    with _Terminal("task-1", "-n", "3", "-C", str(log_folder), PAGER=str(pager)) as terminal:
        assert "LESS" not in terminal.read_all()
    with _Terminal("task-1", "-C", str(log_folder), "--no-pager", PAGER=str(pager)) as terminal:
        assert "LESS" not in terminal.read_all()


def test_leaving_the_pager_early_is_silent(log_folder: Path, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\nhead -1\n")
    pager.chmod(0o755)
    query = "with recursive n(i) as (select 1 union all select i + 1 from n limit 200000) select i from n"
    with _Terminal("sql", query, "-C", str(log_folder), PAGER=str(pager)) as terminal:
        assert [line.strip() for line in _plain(terminal.read_all())] == ["i"]
        assert terminal.process.returncode == 0


def test_without_a_pager_a_long_answer_is_printed(log_folder: Path) -> None:
    with _Terminal("task-1", "-C", str(log_folder), PAGER="no-such-pager") as terminal:
        assert len(_plain(terminal.read_all())) == 301


def test_ctrl_c_ends_a_long_question(log_folder: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    process = subprocess.Popen(
        [*_WHENCE, "sql", endless, "-o", "jsonl", "-C", str(log_folder)],
        env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b'{"i":1}\n'
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=_PATIENCE_S)

    # The shell shows 130, and ends its loop.
    assert process.returncode == -signal.SIGINT
    assert err == b""


def test_an_encoding_without_our_strokes_gets_ascii(log_folder: Path) -> None:
    done = _run("--causality", "task-1", "-n", "2", folder=log_folder, PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "`->" in done.stdout


def test_an_encoding_without_a_letter_gets_json_that_means_it(tmp_path: Path) -> None:
    folder = tmp_path / ".whence"
    text = "é → 漢 👍"
    with whence.open(folder) as log:
        log.emit("ops", "note", target="task-1", data={"text": text})

    for arguments in (["--json"], ["-o", "jsonl"]):
        done = _run("task-1", *arguments, folder=folder, PYTHONIOENCODING="ascii")

        assert done.stdout.isascii()
        told = json.loads(done.stdout)
        assert told.get("events", [told])[0]["data"] == {"text": text}


@pytest.mark.parametrize("output", ["md", "mermaid", "dot"])
def test_documents_in_ascii_have_the_signs_that_lines_have(tmp_path: Path, output: str) -> None:
    folder = tmp_path / ".whence"
    with whence.open(folder) as log, log.span("ops.plan", target="task-1"):
        pass

    done = _run("task-1", "-o", output, folder=folder, PYTHONIOENCODING="ascii")

    assert "ops.plan -" in done.stdout
    assert "\\u2192" not in done.stdout


def test_the_demo_is_quick_to_try_and_leaves_a_journal_to_explore(tmp_path: Path) -> None:
    done = subprocess.run(
        [*_WHENCE, "demo"], env=_environment(TMPDIR=str(tmp_path)), capture_output=True, text=True,
        encoding="utf-8", timeout=_PATIENCE_S,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (home,) = tmp_path.glob("whence-demo-*")
    assert f"cd {home}" in done.stdout
    after = subprocess.run(
        [*_WHENCE, "task-abc123"], env=_environment(), cwd=home, capture_output=True, text=True,
        encoding="utf-8", timeout=_PATIENCE_S,
    )  # fmt: skip
    assert after.returncode == 0
    assert after.stdout in done.stdout


def test_ctrl_c_ends_a_demo_without_a_word_of_its_actors(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*_WHENCE, "demo"], env=_environment(TMPDIR=str(tmp_path)), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not list(tmp_path.glob("whence-demo-*")):
        assert process.poll() is None
        select.select([], [], [], 0.001)
    # As a terminal does it: to all that stand in the foreground.
    os.killpg(process.pid, signal.SIGINT)

    assert process.communicate(timeout=_PATIENCE_S) == ("", "")
    assert process.returncode == -signal.SIGINT


def test_the_first_example_runs(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "first_log.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)], env=_environment(), cwd=tmp_path,
        capture_output=True, text=True, encoding="utf-8", timeout=_PATIENCE_S,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "created by planner" in done.stdout
    assert (tmp_path / ".whence" / "journal").is_dir()
