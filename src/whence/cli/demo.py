"""`whence demo`: five processes record a story, one of them is killed, and the story is all there."""

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import whence
from whence.cli.failures import INTERRUPTED
from whence.cli.options import Where, shorten, verb
from whence.cli.screen import Screen, flush
from whence.cli.stage.cast import Cast
from whence.cli.stage.story import AGENTS, BLOCKED, CHANNEL, KILLED, TASK
from whence.errors import ConflictError, StoreError, WhenceError
from whence.log import Log
from whence.settings import FOLDER_NAME, find_folder

_TOUR = (
    ("What happened to the task?", ("whence", TASK)),
    ("What did one agent do?", ("whence", "--agent", BLOCKED, "--since", "last wake", "--precise")),
    ("What led to the task, and what came of it?", ("whence", "--causality", TASK)),
    (f"Is the work of {KILLED}, which was killed, all there?", ("whence", "--agent", KILLED)),
    ("Where was stripe mentioned?", ("whence", "find", "stripe")),
    (
        "Who did how much? Any other question is SQL.",
        (
            "whence", "sql",
            "select agent_id, count(*) as events from events where agent_id is not null group by 1",
        ),
    ),
    ("Is the journal whole?", ("whence", "doctor")),
)  # fmt: skip

_NEXT = (
    "whence task-sub1                      the subtask that was blocked",
    f"whence --channel {CHANNEL}             what was said, and what for",
    "whence tail -f                        watch a journal while it is written",
    "grep -a stripe .whence/journal/*      plain text, for any tool",
)


@verb(
    "whence demo",
    "whence demo -C my-demo           keep the journal in my-demo/.whence",
    short_help="Record a story with five processes and ask about it.",
    dir_help="Where to keep the journal: in .whence there.  [default: a new temporary folder]",
)
def command(where: Where) -> None:
    """Record a story of agents with five real processes, then ask about it.

    The journal stays, in a new folder among the system's temporary files or where -C says.
    """
    from whence.cli.app import exit_with

    screen = where.screen
    began = time.monotonic()
    with _stage(where.dir) as folder:
        moves = _record(folder)
    screen.show(
        [
            screen.paint(f"A story of {moves} moves was recorded just now.", "title"),
            f"A human asked for payments, and {len(AGENTS) - 1} agents built them,",
            "each in a process of its own, all into one journal.",
            f"{KILLED} was killed with SIGKILL after its last event; it is all there.",
        ]
    )
    codes = [_ask(screen, folder, question, words) for question, words in _TOUR]
    screen.show(_goodbye(screen, folder, time.monotonic() - began))
    if any(codes):
        exit_with(next(filter(None, codes)))


@contextlib.contextmanager
def _stage(named: str | None) -> Iterator[Path]:
    """The folder for the journal. A temporary one goes again if no story comes about."""
    if named is not None:
        yield _new_folder(Path(named).absolute())
        return
    home = Path(tempfile.mkdtemp(prefix="whence-demo-"))
    try:
        yield home / FOLDER_NAME
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _new_folder(named: Path) -> Path:
    folder = named if named.name == FOLDER_NAME else named / FOLDER_NAME
    for taken in (named, folder):
        if os.path.lexists(taken / "journal"):
            raise ConflictError(f"{shorten(taken)} holds a journal already; name a new folder")
    return folder


def _record(folder: Path) -> int:
    """Have the story recorded, and see that it was; returns how many moves it has."""
    # Settings that are wrong are refused here, once, and not by each of the actors.
    with whence.open(folder) as log:
        _ = log.emit
    with Cast(folder) as cast:
        played = cast.play()
    missing = set(played) - _ids_in(folder)
    if missing:
        why = cast.complaints[0] if cast.complaints else f"they are not in {folder}"
        raise WhenceError(f"{len(missing)} of {len(played)} moves were not recorded: {why}")
    return len(played)


def _ids_in(folder: Path) -> set[str]:
    try:
        with Log(folder, read_only=True) as log:
            return {event.id for event in log.events()}
    except StoreError:
        return set()


def _ask(screen: Screen, folder: Path, question: str, words: tuple[str, ...]) -> int:
    """Show a command and its answer, the command itself run in this process; returns its exit code."""
    from whence.cli.app import run

    screen.show(
        ["", screen.paint(question, "faint"), screen.paint(f"$ {shlex.join(words)}", "title")]
    )
    flush()
    drawing = ["--color", "always" if screen.style.on else "never", "--no-pager"]
    drawing += [flag for flag, on in (("--ascii", screen.ascii), ("--utc", screen.utc)) if on]
    code = run([*words[1:], "-C", str(folder), *drawing], words[0])
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _goodbye(screen: Screen, folder: Path, took_s: float) -> list[str]:
    home = folder.parent
    lines = [
        "",
        screen.paint(f"The journal is {folder} (all this took {took_s:.1f} s).", "title"),
        "Go on exploring:",
        "",
    ]
    if shutil.which("whence") is None:
        # Run by its path, as `make demo` does: what follows must work when it is copied.
        lines.append(f'  export PATH="{Path(sys.executable).parent}:$PATH"')
    lines.append(f"  cd {shlex.quote(str(home))}")
    if find_folder(start=home) != folder:
        # Something else is named for everything that runs here, or in a whence.toml.
        lines.append(f"  export WHENCE_DIR={shlex.quote(str(folder))}")
    return lines + [f"  {line}" for line in _NEXT]
