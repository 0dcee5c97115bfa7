"""Transcripts as Claude Code writes them, written by hand."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.contract.sources.case import Case
from whence.event import format_time
from whence.sources.claude import open_source
from whence.sources.source import Source

START_NS = 1_795_000_000 * 10**9
MAIN = str(UUID(int=1))
OTHER = str(UUID(int=2))


def uuid(number: int) -> str:
    """The id of the line of that number."""
    return str(UUID(int=0xABC << 96 | number))


def line(kind: str, number: int, parent: int | None = None, **keys: Any) -> dict[str, Any]:
    """A line as all kinds of it begin; its time is `number` seconds after the start."""
    return {
        "parentUuid": None if parent is None else uuid(parent),
        "isSidechain": False,
        "userType": "external",
        "cwd": "/srv/project",
        "sessionId": MAIN,
        "version": "2.1.38",
        "gitBranch": "main",
        "type": kind,
        "uuid": uuid(number),
        "timestamp": format_time(START_NS + number * 10**9)[:23] + "Z",
        **keys,
    }


def prompt(number: int, parent: int | None, text: str, **keys: Any) -> dict[str, Any]:
    """What a person asks."""
    return line("user", number, parent, message={"role": "user", "content": text}, **keys)


def answer(
    number: int, parent: int | None, *blocks: dict[str, Any], message: str = "", **keys: Any
) -> dict[str, Any]:
    """One line of the model's answer, with the tokens of the whole message."""
    usage = {"input_tokens": 3, "output_tokens": 20, "cache_read_input_tokens": 900}
    content: dict[str, Any] = {
        "id": message or f"msg_{number}",
        "model": "claude-opus-4-6",
        "usage": usage,
    }
    content |= {"role": "assistant", "type": "message", "content": [*blocks]}
    return line("assistant", number, parent, message=content, **keys)


def said(text: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": text}


def called(call: str, name: str, **given: Any) -> dict[str, Any]:
    """A block that calls a tool."""
    return {"type": "tool_use", "id": call, "name": name, "input": given}


def result(
    number: int, parent: int, call: str, text: str, *, is_error: bool = False, **keys: Any
) -> dict[str, Any]:
    """What a tool answered."""
    block = {"type": "tool_result", "tool_use_id": call, "content": text, "is_error": is_error}
    return line("user", number, parent, message={"role": "user", "content": [block]}, **keys)


def write(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    """Append the lines to the file, making it and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for each in lines:
            file.write((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n")
    return path


def make(folder: Path) -> Source:
    """Two sessions, one of them resumed from the other, and a subagent."""
    project = folder / "projects" / "-work-project"
    session = [
        prompt(1, None, "mend the test"),
        answer(2, 1, {"type": "thinking", "thinking": "let me see"}, message="m"),
        answer(3, 2, said("I look."), message="m"),
        answer(4, 3, called("t1", "Bash", command="make test"), message="m"),
        result(6, 4, "t1", "1 failed", is_error=True),
        answer(7, 6, called("t2", "Task", subagent_type="Explore", prompt="find it")),
        result(20, 7, "t2", "found", toolUseResult={"agentId": "a1b2c3"}),
        line("system", 21, 20, subtype="turn_duration", content="took 20 s"),
        answer(22, 21, said("Mended.")),
    ]
    write(
        project / f"{MAIN}.jsonl",
        {"type": "summary", "summary": "Mending a test", "leafUuid": uuid(22)},
        {"type": "file-history-snapshot", "messageId": uuid(1), "snapshot": {}},
        *session,
    )
    side: dict[str, Any] = {"isSidechain": True, "agentId": "a1b2c3"}
    write(
        project / MAIN / "subagents" / "agent-a1b2c3.jsonl",
        prompt(8, None, "find it", **side),
        answer(9, 8, called("t3", "Grep", pattern="def test"), **side),
        result(9, 9, "t3", "tests/test_a.py", **side) | {"uuid": uuid(10)},
        answer(11, 10, said("It is there."), **side),
    )
    copied = [{**each, "sessionId": OTHER, "forkedFrom": {"sessionId": MAIN}} for each in session]
    write(
        project / f"{OTHER}.jsonl",
        *copied,
        prompt(30, 22, "and now?", sessionId=OTHER),
        answer(30, 30, said("All is well."), sessionId=OTHER) | {"uuid": uuid(31)},
    )
    return open_source(folder / "projects", "sessions", {})


def add(folder: Path) -> None:
    """Ask once more, and call a tool that has not answered yet."""
    write(
        folder / "projects" / "-work-project" / f"{OTHER}.jsonl",
        prompt(40, 31, "go on", sessionId=OTHER),
        answer(41, 40, called("t9", "Bash", command="sleep 9"), sessionId=OTHER),
    )


def spoil(folder: Path) -> None:
    """Write a line of a kind that nobody has seen yet."""
    unknown = line("hologram", 50, 31, payload={"a": 1})
    write(folder / "projects" / "-work-project" / f"{OTHER}.jsonl", unknown)


CASES = [Case(name="claude-code", make=make, add=add, spoil=spoil)]
