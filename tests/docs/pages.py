"""Runs the code blocks of a page of documentation, in order, as a reader would.

A fence's first word is its language, further words say how to treat it:

- `python` blocks of one page run in one fresh process, sharing a namespace;
- `console` blocks hold `$ command` lines (`> ` continues one), each followed by its output. Where
  output is shown it is compared; `...` stands for any text, as in doctest's `ELLIPSIS`. A command
  has to succeed unless the fence says `fails`, and then none may;
- `file=NAME`, in any language, writes the block into that file instead of running it;
- `no-run` leaves the block alone, and so does every other language.

Both kinds share a folder that is new for each page, so a console block can ask about what a
Python block has recorded. Commands that set the checkout up are not run.
"""

import contextlib
import difflib
import doctest
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from markdown_it import MarkdownIt

LANGUAGES = frozenset("console diff ini json jsonl mermaid python sh sql text toml yaml".split())
_SETS_UP = ("make", "git clone", "cd")
_TIMEOUT_S = 120

# Runs blocks in one namespace until its input ends; answers each with its error, or "".
_PYTHON_SERVER = """
import contextlib, json, sys, traceback
answers = sys.stdout
page = {"__name__": "__main__"}
for request in sys.stdin:
    name, line, text = json.loads(request)
    error = ""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(compile("\\n" * line + text, name, "exec"), page)
    except BaseException:
        error = traceback.format_exc()
    print(json.dumps(error), file=answers, flush=True)
"""


class Block(NamedTuple):
    """One fenced block; `line` counts from 0 and is that of its first line of content."""

    line: int
    language: str
    words: frozenset[str]
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block is written into, if it is."""
        names = [word.removeprefix("file=") for word in self.words if word.startswith("file=")]
        return names[0] if names else None


class Command(NamedTuple):
    """One command of a console block and the output shown under it."""

    line: int
    text: str
    output: str


def find_blocks(page: str) -> list[Block]:
    """Find every fenced block of a page of Markdown."""
    blocks = []
    for token in MarkdownIt().parse(page):
        if token.type == "fence":
            assert token.map is not None
            language, *words = token.info.split() or [""]
            blocks.append(Block(token.map[0] + 1, language, frozenset(words), token.content))
    return blocks


def split_console(block: Block) -> list[Command]:
    """Split a console block into its commands. ValueError if it does not start with one."""
    commands: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if line.startswith("$ "):
            commands.append(Command(number, line.removeprefix("$ "), ""))
            continue
        if not commands:
            raise ValueError("a console block starts with a `$ command` line")
        last = commands[-1]
        if line.startswith("> ") and not last.output:
            commands[-1] = last._replace(text=f"{last.text}\n{line.removeprefix('> ')}")
        else:
            commands[-1] = last._replace(output=f"{last.output}{line}\n")
    return commands


def run_page(name: str, page: str, folder: Path) -> list[str]:
    """Run the blocks of `page` in `folder` and list what did not go as the page says."""
    environment = _environment(folder)
    problems: list[str] = []
    with _Python(folder, environment) as python:
        for block in find_blocks(page):
            place = f"{name}:{block.line + 1}"
            if "no-run" in block.words:
                continue
            if block.file is not None:
                target = folder / block.file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                error = python.run(name, block)
                problems += [f"{place}: {error}"] if error else []
            elif block.language == "console":
                problems += _run_console(name, block, folder, environment)
    return problems


class _Python:
    """A Python process in which the blocks of one page run."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _PYTHON_SERVER],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._patience = threading.Timer(_TIMEOUT_S, self._process.kill)
        self._patience.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._patience.cancel()

    def run(self, name: str, block: Block) -> str:
        """Run one block and return its error, "" for none."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        with contextlib.suppress(BrokenPipeError):
            requests.write(json.dumps([name, block.line, block.text]) + "\n")
            requests.flush()
        answer = answers.readline()
        return str(json.loads(answer)) if answer else "the Python process ended\n"


def _environment(folder: Path) -> dict[str, str]:
    """The environment of a reader who has just installed Whence, in a terminal like any."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("WHENCE_", "DOPEJAR_"))
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    own = {"PATH": path, "HOME": str(folder), "TZ": "UTC", "LC_ALL": "C.UTF-8", "COLUMNS": "100"}
    return kept | own


def _run_console(
    name: str, block: Block, folder: Path, environment: dict[str, str]
) -> Iterator[str]:
    for command in split_console(block):
        if command.text.startswith(_SETS_UP):
            continue
        place = f"{name}:{command.line + 1}: $ {command.text}"
        done = subprocess.run(
            ["bash", "-c", command.text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if bool(done.returncode) != ("fails" in block.words):
            yield f"{place}\nends with exit code {done.returncode}:\n{done.stdout}"
        elif command.output.strip():
            difference = compare(command.output, done.stdout)
            if difference:
                yield f"{place}\n{difference}"


def compare(shown: str, real: str) -> str:
    """Say how `real` output differs from what a page shows; "" if it does not.

    Blanks at the ends of lines, and empty lines at both ends, do not count.
    """
    want, got = (
        "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"
        for text in (shown, real)
    )
    if doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
        return ""
    lines = difflib.unified_diff(
        want.splitlines(), got.splitlines(), "the page", "the command", lineterm=""
    )
    return "\n".join(lines)
