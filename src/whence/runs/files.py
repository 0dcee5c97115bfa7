"""Run files: `<id>.json` with `trace_id`, `input` and `output`, there whole or not at all.

Read as what a stranger may have left there: every file that cannot be used is a `RunFileError` that
says why. What is written is serialised before any file is opened.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from whence.errors import CorruptError, NotFoundError, StoreError
from whence.event import ID_BYTES_MAX, check_text, decode_json
from whence.journal.blobs import keep_file
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.line import DEPTH_MAX, payload_problem
from whence.runs.salvaging import Salvaged, salvage
from whence.settings import Settings

__all__ = [
    "BYTES_MAX",
    "RunFile",
    "RunFileError",
    "Salvaged",
    "check_id",
    "find_folder",
    "id_of",
    "list_files",
    "path_of",
    "read_file",
    "salvage",
    "write_file",
]

SUFFIX = ".json"
BYTES_MAX = 256 * 1024 * 1024
"""Larger files are not read unless asked for."""

_NAME_BYTES_MAX = 200
_HASH_DIGITS = 32
_OTHERS = re.compile(rb"[^A-Za-z0-9._-]|^[.]")
_ESCAPE = re.compile(r"%([0-9A-F]{2})")

Problem = Literal[
    "empty", "torn", "not UTF-8", "not JSON", "not an object", "too large", "nested too deep",
    "not a file",
]  # fmt: skip
"""What can be wrong with a file as a whole."""


class RunFileError(CorruptError):
    """A file that is no run: `problem` is what is wrong with it, `path` where it is."""

    def __init__(self, path: Path, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{path.name} is {problem}{detail and ': '}{detail}")
        self.path = path
        self.problem: Problem = problem


class RunFile(NamedTuple):
    """A file that holds an object; whether it is a run's is for the reader to judge."""

    path: Path
    value: dict[str, Any]
    content: bytes

    @property
    def trace_id(self) -> Any:
        """The id inside, whatever was put there; None where there is none."""
        return self.value.get("trace_id")

    @property
    def input(self) -> Any:
        """What went in; None where it does not say."""
        return self.value.get("input")

    @property
    def output(self) -> Any:
        """What came out; None where it does not say."""
        return self.value.get("output")


def find_folder(
    log_folder: Path, settings: Settings, environment: Mapping[str, str] = os.environ
) -> Path:
    """Where the run files of a log are: the environment, `[runs] dir`, `runs` in the log's folder.

    Raises:
        ValueError: `[runs] dir` is no path.
    """
    for name in ("WHENCE_RUNS_DIR", "TRACE_OUTPUT_DIR"):
        named = environment.get(name)
        if named:
            return Path(named).absolute()
    table = settings.others.get("runs", {})
    said = table.get("dir") if isinstance(table, dict) else None
    if said is None:
        return log_folder / "runs"
    if not isinstance(said, str) or not said:
        raise ValueError(f"{settings.file}: `dir` of [runs] is {said!r}, want a path")
    return (settings.file.parent if settings.file else log_folder) / said


def check_id(trace_id: object) -> str:
    """Return an id as text that can name a run; TypeError or ValueError if it cannot."""
    text = check_text("trace_id", trace_id)
    size = len(text.encode())
    if size > ID_BYTES_MAX:
        raise ValueError(f"trace_id has {size} bytes, at most {ID_BYTES_MAX} are allowed")
    return text


def path_of(folder: Path, trace_id: str) -> Path:
    """The file of a run. Whatever the id is, it is a file in `folder`, and no other id's.

    All but letters, digits, `.`, `_` and `-` is written as `%` and two digits, also a `.` at the
    start. Of names too long for a file system the end is a hash.
    """
    raw = check_id(trace_id).encode()
    name = _OTHERS.sub(lambda found: b"%%%02X" % found[0][0], raw).decode("ascii")
    if len(name) + len(SUFFIX) > _NAME_BYTES_MAX:
        import hashlib

        kept = _NAME_BYTES_MAX - len(SUFFIX) - _HASH_DIGITS - 1
        name = f"{name[:kept]}~{hashlib.sha256(raw).hexdigest()[:_HASH_DIGITS]}"
    return folder / f"{name}{SUFFIX}"


def id_of(path: Path) -> str | None:
    """The id whose file this is; None where the name does not tell it."""
    raw = path.name.removesuffix(SUFFIX)
    if "~" in raw:
        return None
    try:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), raw).encode("latin-1").decode()
        return text if path_of(path.parent, text).name == path.name else None
    except ValueError:
        return None


def list_files(folder: Path) -> Iterator[Path]:
    """Give the run files of a folder by name; nothing of a folder that is not there.

    Raises:
        StoreError: the folder cannot be listed.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot list {folder}: {error.strerror}") from error
    for name in sorted(names):
        if name.endswith(SUFFIX) and not name.startswith("."):
            yield folder / name


def write_file(
    folder: Path,
    trace_id: str,
    content: bytes,
    *,
    disk: Disk | None = None,
    layout: Layout = Layout(),
) -> Path:
    """Keep a run's file, which is complete and survives a power cut when this returns.

    Raises:
        StoreError: it could not be kept; what was there before is there still.
    """
    path = path_of(folder, trace_id)
    try:
        keep_file(disk or Disk(), layout, path, content, [folder])
    except OSError as error:
        raise StoreError(f"cannot keep {path}: {error.strerror}") from error
    return path


def read_file(path: Path, *, limit: int = BYTES_MAX) -> RunFile:
    """Read a run's file.

    Raises:
        RunFileError: it is there and is not an object of JSON.
        NotFoundError: it is not there.
        StoreError: it cannot be read.
    """
    content = read_bytes(path, limit=limit)
    if not content.strip():
        raise RunFileError(path, "empty")
    try:
        value = decode_json(content)
    except (RecursionError, ValueError, msgspec.MsgspecError) as error:
        raise _find_problem(path, content) from error
    if not isinstance(value, dict):
        raise RunFileError(path, "not an object", f"it holds {_name_kind(value)}")
    if content.count(b"[") + content.count(b"{") > DEPTH_MAX and payload_problem(content):
        raise _find_problem(path, content)
    return RunFile(path, value, content)


def _find_problem(path: Path, content: bytes) -> RunFileError:
    """Tell what keeps a file from being decoded."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        # A character cut in two at the end is a file cut off, which salvaging tells.
        if error.end < len(content) or error.reason != "unexpected end of data":
            return RunFileError(path, "not UTF-8", f"from byte {error.start:,} on")
    found = salvage(content)
    if found.damage == "torn":
        return RunFileError(
            path, "torn", f"it ends after {len(content):,} bytes, inside of a value"
        )
    if found.damage == "nested too deep":
        return RunFileError(path, "nested too deep", f"more than {DEPTH_MAX} levels")
    return RunFileError(path, "not JSON", f"from byte {found.end:,} on")


def _name_kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {list: "a list", str: "a text", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def read_bytes(path: Path, *, limit: int = BYTES_MAX) -> bytes:
    """Read what a run's file holds, whatever it is; raises as `read_file`."""
    try:
        # Nobody waits here for the other end of a pipe.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no run file {path}") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise RunFileError(path, "not a file")
        with open(fd, "rb", closefd=False) as file:
            # Not more than that either of a file that grows meanwhile.
            content = file.read(limit + 1) if facts.st_size <= limit else b""
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(fd)
    size = max(facts.st_size, len(content))
    if size > limit:
        raise RunFileError(path, "too large", f"{size:,} bytes, at most {limit:,} are read")
    return content
