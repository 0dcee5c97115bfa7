"""What `whence doctor` shows: what a log holds, what is missing, what is not as it should be.

Reads everything and changes nothing that was recorded; the index is brought up to date. A line that was
edited into another valid line is not noticed: only a proof would tell.
"""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from whence.ask.reading import Note
from whence.ask.survey import Heard, Progress, Survey, survey
from whence.draw.amounts import format_count
from whence.errors import CorruptError, StoreError
from whence.event import Event
from whence.index import Index, Problem
from whence.journal.blobs import read_blob
from whence.journal.folder import (
    FORMAT,
    SEGMENT_SUFFIX,
    check_file_system,
    journal_folder,
    segment_names,
)
from whence.journal.reader import Reader, Segment
from whence.settings import FILE_NAME, Settings, find_folder

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
    """Payloads kept beside the journal. Orphans have no line, missing ones no file.

    `broken` ones were changed; `unreadable` ones may be whole, but the disk or its rights refuse them.
    """

    count: int = 0
    size: int = 0
    orphans: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


class IndexHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The index: how large it is, and how many bytes of journal it had not read before this.

    `refusal` says why the folder did not take it, if it is private.
    """

    path: str
    size: int
    behind: int
    is_private: bool
    refusal: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one log. `complaints` says in words what is not as it should be.

    `unknown` are the files among the segments that are none, and so were not read.
    """

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
    unknown: tuple[str, ...]
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

    @property
    def is_broken(self) -> bool:
        """Whether something that was recorded is lost or was changed."""
        return bool(
            self.problems
            or self.lost
            or self.gaps
            or self.blobs.missing
            or self.blobs.broken
            or (self.blobs.count and not self.segments)
        )


def examine(
    folder: Path,
    settings: Settings,
    reader: Reader,
    open_index: Callable[[Progress], Index | None],
    *,
    note: Note,
    progress: Progress,
) -> Health:
    """Read a log from its first byte to its last; `progress` hears of bytes done and bytes in all.

    The index, opened and caught up by `open_index`, is no source but a second witness: without it
    there is an answer too.
    """
    behind, size = 0, sum(segment.size for segment in reader.segments())

    def indexing(done: int, in_all: int) -> None:
        nonlocal behind
        behind = max(behind, in_all)
        progress(done, in_all + size)

    def reading(done: int, in_all: int) -> None:
        progress(behind + done, behind + in_all)

    try:
        index = open_index(indexing)
    except StoreError as error:
        note(f"the index cannot be used: {error}")
        index = None
    # The index first: so what it has read is there to be read again, also while others record.
    witnesses = index.witnesses() if index is not None else {}
    losses = index.losses() if index is not None else []
    segments = tuple(reader.segments())
    kind, file_system_problem = _file_system(folder)
    found = survey(reader, segments, witnesses, reading)
    writers = tuple(_writers(found))
    # A line may be on its way, as long as there is somebody to write it.
    is_live = any(writer.state in ("open", "elsewhere") for writer in writers)
    health = Health(
        folder=str(folder),
        exists=bool(segments),
        file_system=kind,
        format=FORMAT,
        segments=segments,
        events=found.events,
        writers=writers,
        lost=sum(writer.lost for writer in writers),
        gaps=tuple(map(_gap, found.gaps)),
        problems=(*losses, *found.problems, *(() if is_live else found.unfinished)),
        index=_index_health(index, behind) if index is not None else None,
        blobs=_blobs(folder, found.blobs),
        too_open=tuple(_too_open(folder, shared=settings.journal.group is not None)),
        unknown=tuple(unknown_files(folder)),
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
            "place in the journal is not as it was recorded",
            "places in the journal are not as they were recorded",
        ),
        (health.lost, "event was lost", "events were lost"),
        (ended, "writer ended without closing", "writers ended without closing"),
        (len(blobs.missing), "payload is missing from blobs/", "payloads are missing from blobs/"),
        (len(blobs.broken), "payload in blobs/ was changed", "payloads in blobs/ were changed"),
        (
            len(blobs.unreadable),
            "payload in blobs/ cannot be read",
            "payloads in blobs/ cannot be read",
        ),
        (len(blobs.orphans), "file in blobs/ has no event", "files in blobs/ have no event"),
        (len(health.too_open), "file is open to others", "files are open to others"),
        (
            len(health.unknown),
            "file in journal/ is no segment and was not read",
            "files in journal/ are no segments and were not read",
        ),
    ):
        if number:
            yield format_count(number, one, many)
    if blobs.count and not health.segments:
        yield "the journal has no segments, though its payloads are there"
    if health.index is not None and health.index.is_private:
        why = health.index.refusal
        yield f"the folder does not take an index, so every command builds its own: {why}"
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
    return IndexHealth(
        path=str(index.path), size=size, behind=behind, is_private=index.is_private,
        refusal=index.refusal,
    )  # fmt: skip


# -- writers ---------------------------------------------------------------------------------------


def _writers(found: Survey) -> Iterator[WriterHealth]:
    """All writers, by when they were last heard of."""
    lost, here, boot = found.lost(), socket.gethostname(), _boot_id()
    for name, heard in sorted(found.writers.items(), key=lambda each: (_last(each[1]), each[0])):
        about = heard.about
        host, pid, program = about.get("host"), about.get("pid"), about.get("program")
        yield WriterHealth(
            name=name,
            state=_state(heard.is_closed, about, here, boot),
            opened=heard.opened.time_ns if heard.opened is not None else None,
            last=_last(heard),
            lost=lost.get(name, 0),
            host=host if isinstance(host, str) else None,
            pid=pid if isinstance(pid, int) else None,
            program=program if isinstance(program, str) else None,
        )


def _last(heard: Heard) -> int:
    return heard.last.time_ns


def state_now(is_closed: bool, about: dict[str, Any]) -> State:
    """What became of a writer, by what it said of itself when it opened."""
    return _state(is_closed, about, socket.gethostname(), _boot_id())


def _state(is_closed: bool, about: dict[str, Any], here: str, boot: str | None) -> State:
    if is_closed:
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


def _gap(event: Event) -> Gap:
    data = event.data if isinstance(event.data, dict) else {}
    lost = data.get("lost")
    return Gap(
        time=event.time_ns,
        lost=lost if isinstance(lost, int) else 0,
        reason=str(data.get("reason") or ""),
    )


# -- files -----------------------------------------------------------------------------------------


def _blobs(folder: Path, wanted: set[str]) -> BlobHealth:
    try:
        names = {name for name in os.listdir(folder / "blobs") if not name.startswith(".")}
    except FileNotFoundError:
        names = set()
    except OSError as error:
        raise StoreError(f"cannot list {folder / 'blobs'}: {error.strerror}") from error
    states = {name: _blob_state(folder, name) for name in sorted(names & wanted)}
    return BlobHealth(
        count=len(names),
        size=sum(_size(folder / "blobs" / name) for name in names),
        orphans=tuple(sorted(names - wanted)),
        missing=tuple(sorted(wanted - names)),
        broken=tuple(name for name, state in states.items() if state == "broken"),
        unreadable=tuple(name for name, state in states.items() if state == "unreadable"),
    )


def _blob_state(folder: Path, name: str) -> Literal["whole", "broken", "unreadable"]:
    try:
        read_blob(folder, name)
    except CorruptError:
        return "broken"
    except StoreError:
        return "unreadable"
    return "whole"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def unknown_files(folder: Path) -> Iterator[str]:
    """What lies among the segments of a log and is none."""
    try:
        names = os.listdir(journal_folder(folder))
    except OSError:
        return
    known = {f"{name}{SEGMENT_SUFFIX}" for name in segment_names(names)}
    yield from sorted(name for name in names if name not in known)


def _too_open(folder: Path, *, shared: bool) -> Iterator[str]:
    """What users can read that are not meant to: all others, and without a group setting any group."""
    forbidden = stat.S_IRWXO | stat.S_IWGRP | (0 if shared else stat.S_IRWXG)
    # In a log that is shared its group may put files into the folder itself, and take away none of others.
    in_root = forbidden ^ stat.S_IWGRP if shared else forbidden
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
            is_kept = found == folder and mode & stat.S_ISVTX
            if mode & (in_root if is_kept else forbidden) and found.name != FILE_NAME:
                yield f"{found} ({stat.filemode(mode)})"
