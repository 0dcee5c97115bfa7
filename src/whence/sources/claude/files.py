"""Which files hold transcripts, what can be said of them without reading them, and their lines.

A file is looked at once for a question: what is appended later belongs to the next one. Names are taken
from the folder alone, never made of what a line says.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from whence.errors import CorruptError, StoreError
from whence.sources.claude.records import Record, decode_record, text_of, time_of

LINE_BYTES_MAX = 16 * 1024 * 1024
"""A longer line is not understood; it is never held in memory."""

SLACK_NS = 600 * 10**9
"""How far a line's time may lie before the first of its file, or beyond its last change."""

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
_OPEN_MAX = 32
_META_BYTES_MAX = 1 << 16
_SUBAGENTS = "subagents"
_AGENT = "agent-"
_SUFFIX = ".jsonl"


class File(NamedTuple):
    """A transcript as it was when it was looked at.

    `session` is the session it belongs to, `agent_id` the subagent that it is of, if it is. Times of its
    lines lie in [low, high]; None where that is not known.
    """

    path: Path
    device: int
    inode: int
    size: int
    mtime_ns: int
    session: str
    agent_id: str
    agent_name: str
    low: int | None
    high: int | None

    @property
    def label(self) -> str:
        """What the ids begin with of events that have none of their own."""
        size = 4 if self.path.parent.name == _SUBAGENTS else 2
        return _as_text("/".join((*self.path.parts[-size:-1], self.path.stem)))


class Line(NamedTuple):
    """A line's place; `raw` is None if it is too long. A line without an end may still be written."""

    offset: int
    length: int
    raw: bytes | None
    has_end: bool


class Folder:
    """The transcripts at or below one path: a file, a project's folder, or the folder of all."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.abspath(path))
        self._known: dict[Path, File] = {}
        # The descriptors of files that events are read from, the least lately used first.
        self._open: OrderedDict[Path, int] = OrderedDict()

    def look(self) -> tuple[dict[Path, File], list[str]]:
        """The files as they are now, in order of their paths, and what could not be looked at.

        Raises:
            StoreError: there is nothing at the path.
        """
        try:
            is_folder = stat.S_ISDIR(self._path.stat().st_mode)
        except OSError as error:
            raise StoreError(f"cannot look at {self._path}: {error.strerror}") from error
        except ValueError as error:
            raise StoreError(f"cannot look at {self._path}: {error}") from error
        problems: list[str] = []
        if is_folder:
            paths = _walk(self._path, problems)
        else:
            # A session's own folder holds its subagents.
            paths = [self._path, *_walk(self._path.with_suffix(""), [])]
        known: dict[Path, File] = {}
        for path in paths:
            try:
                file = self._look_at(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                problems.append(f"cannot read {path}: {error.strerror}")
                continue
            if file is not None:
                known[path] = file
        self._known = known
        return dict(known), problems

    def _look_at(self, path: Path) -> File | None:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return None
        state = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._known.get(path)
        name = known.agent_name if known is not None else ""
        name = name or _read_name(path)
        if known is not None and known[:5] == state and known.agent_name == name:
            return known
        with path.open("rb", buffering=0) as file:
            head = file.read(_HEAD_BYTES).split(b"\n")
            cut = max(found.st_size - _HEAD_BYTES, 0)
            # The first line of the tail is whole only if the tail is all there is.
            tail = os.pread(file.fileno(), _HEAD_BYTES, cut).split(b"\n")[1 if cut else 0 :]
        first = next((time for time in map(time_of, _decode_some(head)) if time is not None), None)
        times = map(time_of, _decode_some(reversed(tail)))
        last = next((time for time in times if time is not None), None)
        is_agent = path.name.startswith(_AGENT)
        return File(
            *state,
            _session_of(path, head) if is_agent else _as_text(path.stem),
            _as_text(path.stem.removeprefix(_AGENT)) if is_agent else "",
            name,
            None if first is None else first - SLACK_NS,
            None if last is None or first is None else max(found.st_mtime_ns, last) + SLACK_NS,
        )

    def lines(self, file: File) -> Iterator[Line]:
        """The lines of a file up to the size that it had."""
        fd = self._descriptor(file)
        start, held, parts = 0, 0, []
        place = 0
        while place < file.size:
            chunk = os.pread(fd, min(_CHUNK_BYTES, file.size - place), place)
            if not chunk:
                break
            place += len(chunk)
            *ended, rest = chunk.split(b"\n")
            for piece in ended:
                held += len(piece)
                parts.append(piece)
                raw = b"".join(parts) if held <= LINE_BYTES_MAX else None
                yield Line(start, held, raw, True)
                start, held, parts = start + held + 1, 0, []
                # Whoever takes the lines may have let the file go meanwhile.
                fd = self._descriptor(file)
            held += len(rest)
            if held <= LINE_BYTES_MAX:
                parts.append(rest)
            else:
                parts.clear()
        if held:
            yield Line(start, held, b"".join(parts) if held <= LINE_BYTES_MAX else None, False)

    def read(self, file: File, offset: int, length: int) -> Record:
        """The record that stands there; StoreError if it does not any more."""
        try:
            return decode_record(self.read_bytes(file, offset, length))
        except CorruptError as error:
            raise StoreError(f"{file.path} was changed while it was read") from error

    def read_bytes(self, file: File, offset: int, length: int) -> bytes:
        """The bytes that stand there."""
        return os.pread(self._descriptor(file), length, offset)

    def holds(self, file: File, part: bytes) -> bool:
        """Whether these bytes stand anywhere in the file."""
        fd = self._descriptor(file)
        place, before = 0, b""
        while chunk := os.pread(fd, _CHUNK_BYTES, place):
            if part in before + chunk:
                return True
            place += len(chunk)
            before = chunk[-len(part) :]
        return False

    def close(self) -> None:
        """Give the descriptors back."""
        while self._open:
            os.close(self._open.popitem()[1])
        self._known.clear()

    def _descriptor(self, file: File) -> int:
        fd = self._open.get(file.path)
        if fd is not None:
            self._open.move_to_end(file.path)
        else:
            try:
                fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise StoreError(f"cannot read {file.path}: {error.strerror}") from error
            self._open[file.path] = fd
            if len(self._open) > _OPEN_MAX:
                os.close(self._open.popitem(last=False)[1])
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) != (file.device, file.inode) or found.st_size < file.size:
            os.close(self._open.pop(file.path))
            raise StoreError(f"{file.path} was changed while it was read")
        return fd


def main_of(file: File, files: dict[Path, File]) -> File | None:
    """The session's own transcript beside that of a subagent, if it is there."""
    if not file.agent_id:
        return None
    folder = file.path.parent
    if folder.name == _SUBAGENTS:
        return files.get(folder.parent.with_name(folder.parent.name + _SUFFIX))
    # What a line says is only compared with paths that are known already.
    found = files.get(folder / f"{file.session}{_SUFFIX}")
    return found if found is not None and not found.agent_id else None


def _walk(folder: Path, problems: list[str]) -> list[Path]:
    def complain(error: OSError) -> None:
        problems.append(f"cannot list {error.filename}: {error.strerror}")

    paths = [
        Path(place, name)
        for place, _, names in os.walk(folder, onerror=complain)
        for name in names
        if name.endswith(_SUFFIX)
    ]
    return sorted(paths, key=os.fsencode)


def _decode_some(lines: Iterable[bytes]) -> Iterator[Record]:
    for line in lines:
        try:
            yield decode_record(line)
        except CorruptError:
            continue


def _session_of(path: Path, head: list[bytes]) -> str:
    """The session of a subagent: the folder it lies in, or what its first lines say."""
    if path.parent.name == _SUBAGENTS:
        return _as_text(path.parent.parent.name)
    named = next(filter(None, (text_of(each, "sessionId") for each in _decode_some(head))), "")
    return named[:200] or _as_text(path.stem)


def _read_name(path: Path) -> str:
    """The kind of subagent, from the small file that newer releases put beside its transcript."""
    if not path.name.startswith(_AGENT):
        return ""
    try:
        beside = path.with_suffix(".meta.json")
        # Whoever opens a pipe waits for somebody to write into it.
        if not stat.S_ISREG(beside.stat().st_mode):
            return ""
        with beside.open("rb") as file:
            return text_of(decode_record(file.read(_META_BYTES_MAX)), "agentType")[:200]
    except (OSError, CorruptError):
        return ""


def _as_text(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")
