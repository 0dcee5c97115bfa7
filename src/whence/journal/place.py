"""Where a writer appends: the segment it has open, those it left, and what of them is on disk.

Everything here but `sync` runs under the writer's lock.
"""

import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from whence.journal.disk import Disk
from whence.journal.folder import SegmentName, journal_folder, segment_names, segment_path


class Layout(NamedTuple):
    """How a journal's files are made: segment size and who may read them."""

    segment_bytes: int = 256 * 1024 * 1024
    folder_mode: int = 0o700
    file_mode: int = 0o600
    group: int | None = None
    root_mode: int = 0o700
    """That of the log's own folder, where a signer of the group puts its tree beside what it may only read."""


def make_shared_folder(disk: Disk, path: Path, layout: Layout) -> tuple[list[Path], str]:
    """Make a folder of the log if it is missing.

    Returns the folders that now hold a new name, to be synced before anything below is promised,
    and what to warn of, or "".
    """
    made = disk.make_folder(path, layout.folder_mode)
    if not made:
        return [], ""
    holders = [folder.parent for folder in made]
    return holders, share(path, layout.folder_mode, layout.group)


def share(path: Path, mode: int, group: int | None) -> str:
    """Give a new file or folder to the group that may read it; returns what to warn of, or ""."""
    if group is None:
        return ""
    try:
        os.chown(path, -1, group)
        os.chmod(path, mode)
    except OSError as error:
        return f"cannot give {path} to its group: {error.strerror}"
    return ""


class Opened(NamedTuple):
    """A segment as one opening of it: the `generation` counts the openings of a writer."""

    generation: int
    fd: int


class Place:
    """Chooses, opens and syncs the segments of one writer. `fd` is None where none is open."""

    __slots__ = (
        "_asked", "_bad", "_disk", "_folder", "_folders_synced", "_holders", "_identity", "_kept",
        "_layout", "_path", "_promised", "_retired", "_warn", "fd", "generation", "is_volatile",
        "segment",
    )  # fmt: skip

    def __init__(
        self, folder: Path, disk: Disk, layout: Layout, warn: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._layout = layout
        self._warn = warn
        self.fd: int | None = None
        self.segment: SegmentName | None = None
        self._path = folder
        # Which file the open segment is, once somebody asked.
        self._identity: tuple[int, int] | None = None
        self.generation = 0
        self.is_volatile = False
        # How many lines of the present segment somebody wants on disk, how many of them are, and
        # how many will be when the sync that is running has returned.
        self._promised = 0
        self._kept = 0
        self._asked = 0
        # Left, but holding lines that somebody wants on disk.
        self._retired: list[Opened] = []
        # Generations that can no longer be trusted: a sync failed, or the name is gone.
        self._bad: set[int] = set()
        # The newest generation whose folders are synced, and folders above that hold new names.
        self._folders_synced = 0
        self._holders: list[Path] = []

    def check_starts(self, check: Callable[[Callable[[int], bytes]], None]) -> None:
        """Have the journal's oldest and newest segment checked by what reads their first bytes."""
        try:
            names = segment_names(self._disk.names(journal_folder(self._folder)))
        except FileNotFoundError:
            return
        for name in {*names[:1], *names[-1:]}:
            path = segment_path(self._folder, str(name))
            try:
                check(partial(self._disk.read_start, path))
            except OSError:
                # What cannot be read may still be written to, and recording goes before asking.
                continue

    def choose(self, day: str) -> SegmentName | None:
        """See to it that the segment to write to is open; OSError or StoreError if none can be.

        Returns the segment that was left because its name is gone, if that happened.
        """
        left = self.segment
        if left is None:
            self._open(self._latest(day))
            return None
        # A clock that steps back over midnight must not put later lines before earlier ones.
        day = max(day, left.day)
        size = self._named_size()
        if size is None:
            # Nobody will find what is written there from now on.
            self._bad.add(self.generation)
            self._retire()
            self._open(max(left, self._latest(day)).next_number())
            return left
        if day > left.day or size >= self._layout.segment_bytes:
            self._open(max(self._latest(day), left.next_number()))
        return None

    def leave(self) -> SegmentName | None:
        """Open a segment with a name that nobody used before; returns the one that was left."""
        left = self.segment
        if left is not None:
            self._open(max(left, self._latest(left.day)).next_number())
        return left

    @property
    def has_bad(self) -> bool:
        """Whether there is any generation whose lines must be written again."""
        return bool(self._bad)

    def has_lost_its_name(self) -> bool:
        """Whether what is written now would not be found: cheaper than `choose`, which is to be asked then.

        Also true where that cannot be seen.
        """
        if self.fd is None:
            return False
        try:
            if self._identity is None:
                self._identity = _identify(self._disk.fstat(self.fd))
            return _identify(self._disk.stat(self._path)) != self._identity
        except OSError:
            return True

    def is_bad(self, generation: int) -> bool:
        """Whether lines that were written in this generation must be written again."""
        return generation in self._bad

    def promise(self) -> None:
        """Note that somebody wants a line on disk that the present segment took."""
        self._promised += 1

    def due(self) -> list[Opened]:
        """What must be synced so that all lines wanted on disk are."""
        due = [opened for opened in self._retired if opened.generation not in self._bad]
        if self.fd is not None and self._promised > self._kept and not self.is_bad(self.generation):
            due.append(Opened(self.generation, self.fd))
        self._asked = self._promised
        return due

    def sync(self, due: list[Opened]) -> None:
        """Sync what is `due`, without the lock; OSError if any of it can no longer be trusted.

        A failed sync is never tried again on the same descriptor: the kernel reports once that it
        lost something, and forgets it. Everything due must then be written again elsewhere.
        """
        generations = [opened.generation for opened in due]
        # Not trusted until shown to be there, so that no interrupt can pass for success.
        self._bad.update(generations)
        for opened in due:
            self._disk.sync(opened.fd)
        newest = max(generations, default=0)
        if newest > self._folders_synced:
            self._sync_folders()
            self._folders_synced = newest
        self._bad.difference_update(generations)

    def settle(self, due: list[Opened]) -> None:
        """Note that `sync` has ended, well or not, and give back what nobody needs any more."""
        for opened in self._retired[:]:
            if opened in due or self.is_bad(opened.generation):
                self._retired.remove(opened)
                self._give_back(opened.fd)
        present = [opened for opened in due if opened.generation == self.generation]
        if present and not self.is_bad(self.generation):
            self._kept = self._asked

    def close(self) -> None:
        """Give every descriptor back."""
        retired, self._retired = self._retired, []
        fd, self.fd = self.fd, None
        for opened in retired:
            self._give_back(opened.fd)
        if fd is not None:
            self._give_back(fd)

    def _named_size(self) -> int | None:
        """The size of the open segment; None if it is closed or its name is not its own any more."""
        if self.fd is None:
            return None
        try:
            at_path = self._disk.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mine = self._disk.fstat(self.fd)
        return mine.st_size if _identify(at_path) == _identify(mine) else None

    def _latest(self, day: str) -> SegmentName:
        """The day's newest segment that has room, or the name of the next one."""
        root = journal_folder(self._folder)
        try:
            names = [name for name in segment_names(self._disk.names(root)) if name.day == day]
        except FileNotFoundError:
            names = []
        if not names:
            return SegmentName(day, 0)
        newest = names[-1]
        try:
            found = self._disk.stat(segment_path(self._folder, str(newest)))
        except FileNotFoundError:
            return newest.next_number()
        # A folder or a link in its place is somebody else's.
        has_room = stat.S_ISREG(found.st_mode) and found.st_size < self._layout.segment_bytes
        return newest if has_room else newest.next_number()

    def _open(self, name: SegmentName) -> None:
        layout, disk, root = self._layout, self._disk, journal_folder(self._folder)
        warnings = []
        for folder, mode in ((self._folder, layout.root_mode), (root, layout.folder_mode)):
            holders, warning = make_shared_folder(disk, folder, layout._replace(folder_mode=mode))
            self._holders += holders
            warnings.append(warning)
        is_volatile = disk.file_system(root).is_volatile
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        path = segment_path(self._folder, str(name))
        fd = disk.open(path, flags, layout.file_mode)
        warnings.append(share(path, layout.file_mode, layout.group))
        self._retire()
        self.fd, self.segment, self._path, self.is_volatile = fd, name, path, is_volatile
        self._identity = None
        self.generation += 1
        self._promised = self._kept = 0
        for warning in filter(None, warnings):
            self._warn(warning)

    def _retire(self) -> None:
        """Leave the open segment; it stays open while somebody waits for lines in it."""
        fd, self.fd = self.fd, None
        if fd is None:
            return
        if self._promised > self._kept:
            # It may be in a sync at this moment: only `settle` closes it.
            self._retired.append(Opened(self.generation, fd))
        else:
            self._give_back(fd)

    def _sync_folders(self) -> None:
        """Make the names of our segments survive, and of what they are in.

        Those of the log's own folders each time, also if others made them: whoever did may have
        been killed before it could sync them.
        """
        holders = self._holders[:]
        own = [journal_folder(self._folder), self._folder, self._folder.parent]
        for folder in dict.fromkeys([*own, *reversed(holders)]):
            self._disk.sync_folder(folder)
        # What was made meanwhile belongs to a later generation.
        del self._holders[: len(holders)]

    def _give_back(self, fd: int) -> None:
        """Close a descriptor. What is reported then is of no use: it is gone in any case."""
        try:
            self._disk.close(fd)
        except OSError:
            pass


def _identify(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
