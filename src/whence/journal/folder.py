"""Where the files of a journal are, what they are called, and which file systems may hold them."""

import os
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from whence.errors import StoreError
from whence.event import is_day

FORMAT = 1
"""The version of the journal's format that this code writes; a higher one is refused."""

SEGMENT_SUFFIX = ".jsonl"
_SEGMENT = re.compile(r"(\d{4}-\d{2}-\d{2})\.(\d{4,})", re.ASCII).fullmatch

# Known to keep O_APPEND whole between processes; see docs/reference/format.md, "Folder".
_ACCEPTED = frozenset(
    "ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs apfs hfs overlay tmpfs ramfs".split()
)
_VOLATILE = frozenset(["tmpfs", "ramfs"])
_MOUNT_ESCAPE = re.compile(r"\\([0-7]{3})")


class SegmentName(NamedTuple):
    """A segment's day and number; these sort in the order of the journal."""

    day: str
    number: int

    def next_number(self) -> "SegmentName":
        """The same day's next segment."""
        return SegmentName(self.day, self.number + 1)

    def __str__(self) -> str:
        return f"{self.day}.{self.number:04d}"


class FileSystem(NamedTuple):
    """What holds a folder: the kind of file system, and whether it forgets at a power cut."""

    kind: str
    is_volatile: bool


@lru_cache(maxsize=1024)
def parse_segment(name: str) -> SegmentName | None:
    """Read a segment's name without its suffix; None if it is not one."""
    found = _SEGMENT(name)
    if found is None or not is_day(found[1]):
        return None
    segment = SegmentName(found[1], int(found[2]))
    # One name for each: `00000` is nobody's.
    return segment if str(segment) == name else None


def journal_folder(folder: Path) -> Path:
    """The folder of the segments within a log's folder."""
    return folder / "journal"


@lru_cache(maxsize=1024)
def segment_path(folder: Path, name: str) -> Path:
    """The file of a segment; ValueError for a name that is none, so no path can slip in."""
    if parse_segment(name) is None:
        raise ValueError(f"segment is named {name!r}, want YYYY-MM-DD.NNNN")
    return folder / "journal" / f"{name}{SEGMENT_SUFFIX}"


def segment_names(file_names: list[str]) -> list[SegmentName]:
    """Pick the segments out of a folder's file names, in the order of the journal."""
    stems = (name.removesuffix(SEGMENT_SUFFIX) for name in file_names if name.endswith(".jsonl"))
    return sorted(name for name in map(parse_segment, stems) if name is not None)


def check_file_system(path: Path) -> FileSystem:
    """Look up what holds `path`; StoreError unless appends of several processes stay whole."""
    kind, options = _mount_of(path)
    if kind not in _ACCEPTED:
        raise StoreError(
            f"{path} is on {kind}, which may tear the lines of several writers; "
            f"keep a journal on a local disk (ext4, xfs, btrfs, zfs, apfs, …)"
        )
    return FileSystem(kind, kind in _VOLATILE or "volatile" in options.split(","))


def _mount_of(path: Path) -> tuple[str, str]:
    if sys.platform == "darwin":
        return "apfs", ""
    try:
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise StoreError(f"cannot tell what file system holds {path}: {error.strerror}") from error
    return find_mount(os.path.realpath(path), table)


def find_mount(path: str, table: str) -> tuple[str, str]:
    """Find the file system kind and options of a real path in a `/proc/self/mountinfo` table."""
    best, answer = -1, ("an unknown file system", "")
    for row in table.splitlines():
        left, _, right = row.partition(" - ")
        fields, kinds = left.split(" "), right.split(" ")
        if len(fields) < 5 or len(kinds) < 3:
            continue
        mount = _MOUNT_ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4])
        holds = path == mount or path.startswith(mount.rstrip("/") + "/")
        # Of two mounts on one place the later hides the earlier.
        if holds and len(mount) >= best:
            best, answer = len(mount), (kinds[0], kinds[2])
    return answer
