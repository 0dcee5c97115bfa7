"""What `whence doctor` shows: what a log holds, what is missing, what is not as it should be.

Reads everything and changes nothing.
"""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from whence.draw.amounts import format_count
from whence.errors import CorruptError, StoreError
from whence.event import OWN
from whence.index import Index, Problem, Row, Writer
from whence.journal.blobs import read_blob
from whence.journal.folder import FORMAT, check_file_system, journal_folder
from whence.journal.reader import Reader, Segment
from whence.line import split_line
from whence.query import Query
from whence.settings import FILE_NAME, Settings, find_folder

_BLOB = b',"blob":'
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

State = Literal["closed", "open", "ended", "elsewhere"]


class WriterHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One writer: `open` if its process lives, `ended` if it is gone without saying goodbye.

    A writer on another machine is `elsewhere` until it closes. `lost` counts its events that no line holds.
    Times are nanoseconds since 1970.
    """

    name: str
    state: State
    opened: int | None
    last: int
    lost: int
    host: str | None = None
    pid: int | None = None
    program: str | None = None


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer said of events it could not record."""

    time: int
    lost: int
    reason: str


class BlobHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Payloads kept beside the journal. Orphans have no line, missing ones no file."""

    count: int = 0
    size: int = 0
    orphans: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


class IndexHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The index: how large it is, and how many bytes of journal it had not read before this."""

    path: str
    size: int
    behind: int
    is_private: bool


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one log. `complaints` says in words what is not as it should be."""

    folder: str
    exists: bool
    file_system: str
    format: int
    segments: tuple[Segment, ...]
    events: int
    writers: tuple[WriterHealth, ...]
    lost: int
    gaps: tuple[Gap, ...]
    problems: tuple[Problem, ...]
    index: IndexHealth | None
    blobs: BlobHealth
    too_open: tuple[str, ...]
    redaction: bool
    settings_file: str | None
    complaints: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Lay the state out for a program. Keys are only added."""
        return {
            **{name: msgspec.to_builtins(getattr(self, name)) for name in self.__struct_fields__},
            "segments": [segment._asdict() for segment in self.segments],
            "problems": [problem._asdict() for problem in self.problems],
        }


def examine(
    folder: Path, settings: Settings, reader: Reader, index: Index | None, *, behind: int = 0
) -> Health:
    """Look a log over. `index` is None where nothing was recorded yet."""
    segments = tuple(reader.segments())
    kind, file_system_problem = _file_system(folder)
    writers = tuple(_writers(index, reader)) if index is not None else ()
    gaps = tuple(_gaps(index, reader)) if index is not None else ()
    problems = tuple(index.problems()) if index is not None else ()
    blobs = _blobs(folder, reader, segments)
    too_open = tuple(_too_open(folder, shared=settings.journal.group is not None))
    lost = sum(writer.lost for writer in writers)
    health = Health(
        folder=str(folder),
        exists=bool(segments),
        file_system=kind,
        format=FORMAT,
        segments=segments,
        events=sum(found.count for found in index.statistics(Query(own=True))) if index else 0,
        writers=writers,
        lost=lost,
        gaps=gaps,
        problems=problems,
        index=_index_health(index, behind) if index is not None else None,
        blobs=blobs,
        too_open=too_open,
        redaction=settings.redaction.enabled,
        settings_file=_settings_file(folder),
        complaints=(),
    )
    complaints = [file_system_problem] if file_system_problem else []
    return msgspec.structs.replace(health, complaints=(*complaints, *_complaints(health)))


def _complaints(health: Health) -> Iterator[str]:
    """What of this a person should know first."""
    ended = sum(writer.state == "ended" for writer in health.writers)
    blobs = health.blobs
    for number, one, many in (
        (
            len(health.problems),
            "place in the journal is not an event",
            "places in the journal are not events",
        ),
        (health.lost, "event was lost", "events were lost"),
        (ended, "writer ended without closing", "writers ended without closing"),
        (len(blobs.missing), "payload is missing from blobs/", "payloads are missing from blobs/"),
        (len(blobs.broken), "payload in blobs/ was changed", "payloads in blobs/ were changed"),
        (len(blobs.orphans), "file in blobs/ has no event", "files in blobs/ have no event"),
        (len(health.too_open), "file is open to others", "files are open to others"),
    ):
        if number:
            yield format_count(number, one, many)
    if health.index is not None and health.index.is_private:
        yield "the folder does not take an index, so every command builds its own"
    if not health.redaction:
        yield "redaction is off: secrets in payloads are written as they are"


def _file_system(folder: Path) -> tuple[str, str]:
    """The kind of file system, and what is wrong with it."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    try:
        found = check_file_system(existing)
    except StoreError as error:
        return "not accepted", str(error)
    return found.kind + (" (forgets at a power cut)" if found.is_volatile else ""), ""


def _settings_file(folder: Path) -> str | None:
    """The file that `settings.load` reads for this log; None where it reads none."""
    for file in (folder / FILE_NAME, folder.parent / FILE_NAME):
        if file.is_file():
            return str(file)
    for parent in folder.parents:
        if (parent / FILE_NAME).is_file():
            names_it = find_folder(environment={}, start=parent) == folder
            return str(parent / FILE_NAME) if names_it else None
    return None


def _index_health(index: Index, behind: int) -> IndexHealth:
    try:
        size = os.stat(index.path).st_size
    except OSError:
        size = 0
    return IndexHealth(path=str(index.path), size=size, behind=behind, is_private=index.is_private)


# -- writers ---------------------------------------------------------------------------------------


def _writers(index: Index, reader: Reader) -> Iterator[WriterHealth]:
    known = index.writers()
    waiting = {writer.name for writer in known if not writer.is_closed}
    opened = dict(_openings(index, reader, waiting))
    here, boot = socket.gethostname(), _boot_id()
    for writer in known:
        about = opened.get(writer.name, {})
        host, pid, program = about.get("host"), about.get("pid"), about.get("program")
        yield WriterHealth(
            name=writer.name,
            state=_state(writer, about, here, boot),
            opened=writer.opened,
            last=writer.last,
            lost=writer.lost,
            host=host if isinstance(host, str) else None,
            pid=pid if isinstance(pid, int) else None,
            program=program if isinstance(program, str) else None,
        )


def _openings(
    index: Index, reader: Reader, waiting: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What these writers said of themselves when they opened."""
    waiting = {*waiting}
    for row in index.find(Query(primitive=OWN, type="writer.open"), newest_first=True):
        if not waiting:
            return
        read = _read(reader, row)
        if read is not None and read[0] in waiting:
            waiting.discard(read[0])
            yield read


def _read(reader: Reader, row: Row) -> tuple[str, dict[str, Any]] | None:
    """The writer of an event and its payload; None if it cannot be read."""
    try:
        event = reader.read(row.segment, row.offset)
    except CorruptError:
        return None
    data = event.data
    return event.w, data if isinstance(data, dict) else {}


def _state(writer: Writer, about: dict[str, Any], here: str, boot: str | None) -> State:
    if writer.is_closed:
        return "closed"
    if about.get("host") not in (None, here):
        return "elsewhere"
    pid = about.get("pid")
    # The same number in another boot is another process.
    if not isinstance(pid, int) or about.get("boot") != boot or not _is_alive(pid):
        return "ended"
    return "open"


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _gaps(index: Index, reader: Reader) -> Iterator[Gap]:
    for row in index.find(Query(primitive=OWN, type="writer.gap")):
        read = _read(reader, row)
        lost = read[1].get("lost") if read is not None else None
        reason = read[1].get("reason") if read is not None else None
        yield Gap(
            time=row.time, lost=lost if isinstance(lost, int) else 0, reason=str(reason or "")
        )


# -- files -----------------------------------------------------------------------------------------


def _blobs(folder: Path, reader: Reader, segments: tuple[Segment, ...]) -> BlobHealth:
    try:
        names = {name for name in os.listdir(folder / "blobs") if not name.startswith(".")}
    except OSError:
        names = set()
    wanted = set(_wanted_blobs(reader, segments))
    return BlobHealth(
        count=len(names),
        size=sum(_size(folder / "blobs" / name) for name in names),
        orphans=tuple(sorted(names - wanted)),
        missing=tuple(sorted(wanted - names)),
        broken=tuple(name for name in sorted(names & wanted) if _is_broken(folder, name)),
    )


def _wanted_blobs(reader: Reader, segments: tuple[Segment, ...]) -> Iterator[str]:
    """The commitments of all payloads that lines say are in blobs."""
    for segment in segments:
        for _, lines in reader.chunks_back(segment.name, segment.size):
            if _BLOB not in lines:
                continue
            for line in lines.split(b"\n"):
                for piece in split_line(line) if _BLOB in line else ():
                    event = piece.event
                    if event is not None and event.blob is not None and event.commit is not None:
                        yield event.commit


def _is_broken(folder: Path, name: str) -> bool:
    try:
        read_blob(folder, name)
    except (CorruptError, StoreError):
        return True
    return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _too_open(folder: Path, *, shared: bool) -> Iterator[str]:
    """What users can read that are not meant to: all others, and without a group setting any group."""
    forbidden = stat.S_IRWXO | stat.S_IWGRP | (0 if shared else stat.S_IRWXG)
    for path in (folder, journal_folder(folder), folder / "blobs"):
        try:
            entries = [path, *(Path(entry.path) for entry in os.scandir(path) if entry.is_file())]
        except OSError:
            continue
        for found in entries:
            try:
                mode = found.stat().st_mode
            except OSError:
                continue
            if mode & forbidden and found.name != FILE_NAME:
                yield f"{found} ({stat.filemode(mode)})"
