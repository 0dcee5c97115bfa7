"""A disk in memory that forgets, when the power is cut, what was not synced.

What it may forget is all that POSIX lets a disk forget, not what one file system happens to do:
any part of the bytes written to a file since its last sync, in any order, and any of the names
made or changed in a folder since that folder's last sync.
"""

import errno
import os
import stat as stats
import threading
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from whence.journal.disk import Disk
from whence.journal.folder import FileSystem

_FOLDER_BYTES = 4096
_MODE_ABOVE = 0o755
_STRETCHES_MAX = 6


class PowerLostError(BaseException):
    """The power went at this operation; nothing that the program does afterwards counts."""


@dataclass(slots=True)
class _File:
    number: int
    mode: int
    content: bytearray
    synced: int = 0
    """How many bytes survive a power cut for certain."""


@dataclass(slots=True)
class _Folder:
    number: int
    mode: int
    names: "dict[str, _File | _Folder]" = field(default_factory=dict)
    synced: "dict[str, _File | _Folder]" = field(default_factory=dict)
    """What stands in the folder for certain after a power cut."""
    changes: "list[dict[str, _File | _Folder | None]]" = field(default_factory=list)
    """What was done since, step by step; each step is done whole or not at all."""


@dataclass(slots=True)
class _Open:
    file: _File
    is_append: bool
    place: int = 0


class SimulatedDisk(Disk):
    """Keeps files in memory; any number of threads and recorders may share it.

    With `lasts` the power goes at that operation (from 0): it is done, half done or not done, and
    raises `PowerLostError`, as does every operation after it. Without `syncs` it lies: a sync does
    nothing. That is for controls, which show that a test would notice.
    """

    def __init__(
        self, *, lasts: int | None = None, seed: int = 0, syncs: bool = True, kind: str = "ext4"
    ) -> None:
        self.operations = 0
        self._lasts = lasts
        self._random = Random(seed)
        self._syncs = syncs
        self._file_system = FileSystem(kind, kind == "tmpfs")
        # The lock guards everything: each operation is one step. Re-entrant, for a recorder that is
        # dropped without a word and closes itself inside of one.
        self._lock = threading.RLock()
        self._numbers = 1
        self._root = _Folder(self._numbers, _MODE_ABOVE)
        self._open: dict[int, _Open] = {}
        self._next_fd = 1000
        self.write = self._write

    # -- what a program may do ------------------------------------------------------------------

    def open(self, path: Path, flags: int, mode: int) -> int:
        """Open a file, making its name where `flags` say so."""
        with self._lock:
            is_last = self._step()
            folder = self._folder(path.parent)
            file = folder.names.get(path.name)
            if isinstance(file, _Folder):
                raise _error(errno.EISDIR, path)
            if file is not None and flags & os.O_CREAT and flags & os.O_EXCL:
                raise _error(errno.EEXIST, path)
            if file is None:
                if not flags & os.O_CREAT:
                    raise _error(errno.ENOENT, path)
                file = _File(self._number(), mode, bytearray())
                if not is_last or self._random.random() < 0.5:
                    self._change(folder, {path.name: file})
            self._end(is_last)
            self._next_fd += 1
            self._open[self._next_fd] = _Open(file, bool(flags & os.O_APPEND))
            return self._next_fd

    def _write(self, fd: int, data: bytes) -> int:
        with self._lock:
            is_last = self._step()
            opened = self._opened(fd)
            content = opened.file.content
            place = len(content) if opened.is_append else opened.place
            taken = self._random.randint(0, len(data)) if is_last else len(data)
            content[place : place + taken] = data[:taken]
            opened.place = place + taken
            # Bytes that were durable and are written over are so no longer.
            opened.file.synced = min(opened.file.synced, place)
            self._end(is_last)
            return len(data)

    def sync(self, fd: int) -> None:
        """Make what was written to a file survive."""
        with self._lock:
            is_last = self._step()
            file = self._opened(fd).file
            if self._syncs and (not is_last or self._random.random() < 0.5):
                file.synced = len(file.content)
            self._end(is_last)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder survive."""
        with self._lock:
            is_last = self._step()
            folder = self._folder(path)
            if self._syncs and (not is_last or self._random.random() < 0.5):
                folder.synced = dict(folder.names)
                folder.changes.clear()
            self._end(is_last)

    def read_start(self, path: Path, size: int) -> bytes:
        """Read the first bytes of a file."""
        with self._lock:
            self._end(self._step())
            found = self._find(path)
            return bytes(found.content[:size]) if isinstance(found, _File) else b""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name."""
        with self._lock:
            is_last = self._step()
            folder, other = self._folder(source.parent), self._folder(target.parent)
            if folder is not other:
                raise _error(errno.EXDEV, target)
            if source.name not in folder.names:
                raise _error(errno.ENOENT, source)
            if not is_last or self._random.random() < 0.5:
                moved = folder.names[source.name]
                self._change(folder, {source.name: None, target.name: moved})
            self._end(is_last)

    def remove(self, path: Path) -> None:
        """Take a name away."""
        with self._lock:
            is_last = self._step()
            folder = self._folder(path.parent)
            if path.name not in folder.names:
                raise _error(errno.ENOENT, path)
            if not is_last or self._random.random() < 0.5:
                self._change(folder, {path.name: None})
            self._end(is_last)

    def stat(self, path: Path) -> os.stat_result:
        """Look a name up."""
        with self._lock:
            self._end(self._step())
            return _stat_result(self._find(path))

    def fstat(self, fd: int) -> os.stat_result:
        """Look an open file up."""
        with self._lock:
            self._end(self._step())
            return _stat_result(self._opened(fd).file)

    def close(self, fd: int) -> None:
        """Give a descriptor back."""
        with self._lock:
            self._end(self._step())
            self._opened(fd)
            del self._open[fd]

    def make_folder(self, path: Path, mode: int) -> list[Path]:
        """Make a folder and what is missing above it; returns what was made, the topmost first."""
        with self._lock:
            is_last = self._step()
            folder, made = self._root, []
            for above in [*reversed(path.parents), path][1:]:
                found = folder.names.get(above.name)
                if isinstance(found, _File):
                    number = errno.EEXIST if above == path else errno.ENOTDIR
                    raise _error(number, path)
                if found is None:
                    if is_last and self._random.random() < 0.5:
                        break
                    found = _Folder(self._number(), mode if above == path else _MODE_ABOVE)
                    self._change(folder, {above.name: found})
                    made.append(above)
                folder = found
            self._end(is_last)
            return made

    def names(self, path: Path) -> list[str]:
        """List the names in a folder."""
        with self._lock:
            self._end(self._step())
            return [*self._folder(path).names]

    def file_system(self, path: Path) -> FileSystem:
        """Tell what holds the folder."""
        with self._lock:
            self._end(self._step())
            self._folder(path)
            return self._file_system

    # -- what the world may do ------------------------------------------------------------------

    def power_cut(self, seed: int) -> "SimulatedDisk":
        """Return the disk as it may be found after a power cut now; each seed finds another."""
        survivor = SimulatedDisk()
        survivor._file_system = self._file_system
        random = Random(seed)
        with self._lock:
            survivor._root = _survive(self._root, random, {})
            survivor._numbers = self._numbers
        return survivor

    def remove_tree(self, path: Path) -> None:
        """Have somebody else remove a folder with all in it, so that no power cut brings it back."""
        with self._lock:
            folder = self._folder(path.parent)
            del folder.names[path.name]
            folder.synced.pop(path.name, None)
            folder.changes = [change for change in folder.changes if path.name not in change]

    def write_to(self, folder: Path) -> None:
        """Write all that is on the disk below a real folder, as `/a/b` to `<folder>/a/b`."""
        with self._lock:
            _write_out(self._root, folder)

    # -- what follows holds the lock ------------------------------------------------------------

    def _step(self) -> bool:
        """Count an operation; True if the power goes in it."""
        if self._lasts is not None and self.operations > self._lasts:
            raise PowerLostError
        self.operations += 1
        return self._lasts is not None and self.operations > self._lasts

    def _end(self, is_last: bool) -> None:
        if is_last:
            raise PowerLostError

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _change(self, folder: _Folder, change: "dict[str, _File | _Folder | None]") -> None:
        _apply(folder.names, change)
        folder.changes.append(change)

    def _find(self, path: Path) -> "_File | _Folder":
        node: _File | _Folder = self._root
        for name in path.parts[1:]:
            if isinstance(node, _File):
                raise _error(errno.ENOTDIR, path)
            if name not in node.names:
                raise _error(errno.ENOENT, path)
            node = node.names[name]
        return node

    def _folder(self, path: Path) -> _Folder:
        found = self._find(path)
        if isinstance(found, _File):
            raise _error(errno.ENOTDIR, path)
        return found

    def _opened(self, fd: int) -> _Open:
        if fd not in self._open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._open[fd]


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def _stat_result(node: "_File | _Folder") -> os.stat_result:
    is_file = isinstance(node, _File)
    mode = node.mode | (stats.S_IFREG if is_file else stats.S_IFDIR)
    size = len(node.content) if isinstance(node, _File) else _FOLDER_BYTES
    return os.stat_result((mode, node.number, 1, 1, 0, 0, size, 0, 0, 0))


def _apply(
    names: "dict[str, _File | _Folder]", change: "dict[str, _File | _Folder | None]"
) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _survive(folder: _Folder, random: Random, met: dict[int, _File]) -> _Folder:
    """Copy a folder as a power cut may leave it; `met` keeps a file of two names one file."""
    names = dict(folder.synced)
    for change in folder.changes:
        if random.random() < 0.5:
            _apply(names, change)
    kept: dict[str, _File | _Folder] = {}
    for name, node in names.items():
        if isinstance(node, _Folder):
            kept[name] = _survive(node, random, met)
        else:
            if node.number not in met:
                content = _torn(bytes(node.content), node.synced, random)
                met[node.number] = _File(node.number, node.mode, bytearray(content), len(content))
            kept[name] = met[node.number]
    return _Folder(folder.number, folder.mode, kept, dict(kept))


def _torn(content: bytes, synced: int, random: Random) -> bytes:
    """Cut what was not synced at any byte, and put zeros where stretches of it never came."""
    if len(content) == synced:
        return content
    how = random.random()
    if how < 0.2:
        return content[:synced]
    end = len(content) if how < 0.5 else random.randint(synced, len(content))
    left = bytearray(content[:end])
    if how < 0.8:
        for _ in range(random.randint(0, _STRETCHES_MAX)):
            start = random.randint(synced, end)
            stop = min(end, start + random.randint(1, max(1, (end - synced) // 2)))
            left[start:stop] = bytes(stop - start)
    return bytes(left)


def _write_out(folder: _Folder, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, node in folder.names.items():
        if isinstance(node, _Folder):
            _write_out(node, target / name)
        else:
            (target / name).write_bytes(node.content)
