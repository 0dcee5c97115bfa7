"""`whence demo`: five processes record a story, one of them is killed, and the story is all there."""

import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path

from whence.cli.options import Where, shorten, verb
from whence.cli.screen import Screen, flush
from whence.cli.stage.cast import Cast
from whence.cli.stage.story import AGENTS, BLOCKED, CHANNEL, KILLED, TASK
from whence.errors import ConflictError
from whence.settings import FOLDER_NAME

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
    "whence demo -C my-demo           keep the journal there",
    short_help="Record a story with five processes and ask about it.",
)
def command(where: Where) -> None:
    """Record a story of agents with five real processes, then ask about it.

    The journal stays, in a new folder among the system's temporary files or where -C says.
    """
    screen = where.screen
    folder, home = _new_folder(where.dir)
    began = time.monotonic()
    with Cast(folder) as cast:
        moves = cast.play()
    screen.show(
        [
            screen.paint(f"A story of {moves} moves was recorded just now.", "title"),
            f"A human asked for payments, and {len(AGENTS) - 1} agents built them,",
            "each in a process of its own, all into one journal.",
            f"{KILLED} was killed with SIGKILL after its last event; it is all there.",
        ]
    )
    for question, words in _TOUR:
        _ask(screen, folder, question, words)
    screen.show(_goodbye(screen, folder, home, time.monotonic() - began))


def _new_folder(named: str | None) -> tuple[Path, Path | None]:
    """The folder for the journal, and the one from which it is found without being named."""
    if named is None:
        home = Path(tempfile.mkdtemp(prefix="whence-demo-"))
        return home / FOLDER_NAME, home
    folder = Path(named).absolute()
    if (folder / "journal").exists():
        raise ConflictError(f"{shorten(folder)} holds a journal already; name a new folder")
    return folder, folder.parent if folder.name == FOLDER_NAME else None


def _ask(screen: Screen, folder: Path, question: str, words: tuple[str, ...]) -> None:
    """Show a command and its answer: the command itself, run in this process."""
    from whence.cli.app import run

    screen.show(
        ["", screen.paint(question, "faint"), screen.paint(f"$ {shlex.join(words)}", "title")]
    )
    flush()
    drawing = ["--color", "always" if screen.style.on else "never", "--no-pager"]
    drawing += [flag for flag, on in (("--ascii", screen.ascii), ("--utc", screen.utc)) if on]
    run([*words[1:], "-C", str(folder), *drawing], words[0])


def _goodbye(screen: Screen, folder: Path, home: Path | None, took_s: float) -> list[str]:
    where = shlex.quote(str(home)) if home else None
    lines = [
        "",
        screen.paint(f"The journal is {folder} (all this took {took_s:.1f} s).", "title"),
        "Go on exploring:",
        "",
    ]
    if shutil.which("whence") is None:
        # Run by its path, as `make demo` does: what follows must work when it is copied.
        lines.append(f'  export PATH="{Path(sys.executable).parent}:$PATH"')
    lines += [f"  cd {where}"] if where else [f"  export WHENCE_DIR={shlex.quote(str(folder))}"]
    return lines + [f"  {line}" for line in _NEXT]
