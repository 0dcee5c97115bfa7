"""Journals written by hand, so that tests of the index need no recorder."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from whence.event import Event, format_time
from whence.index import Index
from whence.journal.reader import Reader
from whence.line import decode_line

BASE_NS = 1_790_000_000_000_000_000
WRITER = "w00000000000"
SALT = "s" * 24
KEYS = "id time primitive type agent target parent trace status duration links w n".split()


def make_id(time_ns: int, number: int) -> str:
    """An id of our own form for an event of that time."""
    digits = f"{time_ns // 1_000_000:012x}7{number:019x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def make_line(n: int = 0, *, time: int = BASE_NS, data: Any = None, **fields: Any) -> bytes:
    """A line with its newline. What is not given gets a value that will do."""
    values: dict[str, Any] = {
        "id": make_id(time, n),
        "time": format_time(time),
        "primitive": "ops",
        "type": "note",
        "w": WRITER,
        "n": n,
    } | {name: value for name, value in fields.items() if value is not None}
    line = {name: values[name] for name in KEYS if name in values} | {"salt": SALT, "data": data}
    text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
    payload = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    raw = text.encode() + b" " * (13 - len(payload))
    decode_line(raw)
    return raw + b"\n"


def make_event(n: int = 0, **fields: Any) -> Event:
    """The event of such a line."""
    return decode_line(make_line(n, **fields)[:-1])


def append(folder: Path, lines: Iterable[bytes], segment: str = "2026-09-21.0000") -> None:
    """Add lines to a segment of the journal in `folder`."""
    journal = folder / "journal"
    journal.mkdir(exist_ok=True)
    with (journal / f"{segment}.jsonl").open("ab") as file:
        file.write(b"".join(lines))


def open_index(folder: Path) -> Index:
    """Open the index of `folder` and let it catch up."""
    index = Index.open(folder, Reader(folder))
    index.catch_up()
    return index
