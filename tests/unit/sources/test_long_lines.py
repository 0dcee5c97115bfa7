"""Lines of any length: a question to a file of them takes a process less than 200 MB."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MEMORY_MAX_MB = 200
_MB = 1 << 20

_ASK = """
import json, sys
from pathlib import Path
from whence.query import Query
from whence.sources.registry import Declared, open_all

kind, path, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
[source] = open_all([Declared(kind=kind, path=path, given=path.name, options=options)])
events = sum(1 for _ in source.events())
raw = [(row.problem, len(row.content), row.content[-40:]) for row in source.raw()]
status = Path("/proc/self/status")
if status.exists():
    # What `getrusage` tells of a child may be its parent's peak.
    [peak] = [int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")]
else:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps([events, source.health().not_understood, raw, peak / 1024]))
"""


def ask(kind: str, path: Path, **options: Any) -> tuple[int, int, list[tuple[str, int, str]]]:
    """In a process of its own: events, lines not understood, and those; refuse one that took too much."""
    command = [sys.executable, "-c", _ASK, kind, str(path), json.dumps(options)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    events, not_understood, raw, peak = json.loads(answer)
    assert peak < MEMORY_MAX_MB
    return events, not_understood, raw


def step(second: int, text: str = "") -> bytes:
    return json.dumps({"at": 1_795_000_000 + second, "text": text}).encode() + b"\n"


def said(number: int, content: Any) -> bytes:
    """A line of a transcript."""
    keys = {
        "type": "user",
        "uuid": f"00000000-0000-4000-8000-{number:012}",
        "timestamp": f"2026-11-20T14:00:{number:02}.000Z",
        "message": {"role": "user", "content": content},
    }
    return json.dumps(keys).encode() + b"\n"


def spell(line: Callable[[int, str], bytes], megabytes: int) -> Iterator[bytes]:
    """A line, one so long, and another one, in pieces."""
    before, after = line(2, "#").split(b"#")
    yield line(1, "")
    yield before
    for _ in range(megabytes):
        yield b"x" * _MB
    yield after
    yield line(3, "")


@pytest.mark.parametrize("name", ["steps.jsonl", "steps.jsonl.gz"])
def test_a_line_of_any_length_is_never_held(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    is_packed = name.endswith(".gz")
    with gzip.open(path, "wb", compresslevel=1) if is_packed else path.open("wb") as file:
        for piece in spell(step, 300):
            file.write(piece)

    events, not_understood, [(problem, kept, end)] = ask("jsonl", path, time="at", unit="s")

    size = f"{300 * _MB + len(step(2)):,} bytes"
    assert (events, not_understood) == (2, 1)
    assert problem == f"line is too long: {size}"
    assert end.endswith(f"x… ({size})")
    assert 2_000 < kept < 2_100


def test_a_transcript_with_a_line_of_any_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with path.open("wb") as file:
        file.writelines(spell(said, 300))

    events, not_understood, [(problem, kept, end)] = ask("claude-code", path)

    size = f"{300 * _MB + len(said(2, '')) - 1:,} bytes"
    assert (events, not_understood) == (3, 1)
    assert problem == f"is {size} long"
    assert end.endswith(f"x… ({size})")
    assert 10_000 < kept < 10_100


def test_lines_that_would_grow_when_they_are_decoded_are_not(tmp_path: Path) -> None:
    """An empty list is 3 bytes in a file and 64 in memory."""
    lists = "[" + "[]," * (7 * _MB // 3) + "1]"
    steps, session = tmp_path / "steps.jsonl", tmp_path / "session.jsonl"
    steps.write_bytes(step(1) + step(2, "#").replace(b'"#"', lists.encode()) + step(3))
    long = said(2, "#").replace(b'"#"', (lists[:-2] + lists[1:]).encode())
    session.write_bytes(said(1, "") + long + said(3, ""))

    for kind, path, wanted, options in (
        ("jsonl", steps, 2, {"time": "at", "unit": "s"}),
        ("claude-code", session, 3, {}),
    ):
        events, not_understood, [(problem, _, _)] = ask(kind, path, **options)
        assert (events, not_understood) == (wanted, 1)
        assert problem.endswith("has more than 500,000 values")


@pytest.mark.parametrize("seconds", [1, 300])
def test_many_long_lines_are_held_a_few_at_a_time(tmp_path: Path, seconds: int) -> None:
    path = tmp_path / "steps.jsonl"
    with path.open("wb") as file:
        file.writelines(step(number % seconds, "x" * _MB) for number in range(300))

    assert ask("jsonl", path, time="at", unit="s") == (300, 0, [])


def test_the_longest_line_that_is_read_is_held_whole(tmp_path: Path) -> None:
    """In characters that take four bytes each, and beside something that is no JSON."""
    path = tmp_path / "steps.jsonl"
    wide = "x" * (8 * _MB - 200) + "😀"
    line = json.dumps({"at": 1_795_000_000, "n": float("nan"), "text": wide}, ensure_ascii=False)
    path.write_bytes(line.encode() + b"\n")

    assert ask("jsonl", path, time="at", unit="s") == (1, 0, [])
