"""Whether refs may have changed, told from their files alone.

A question follows causes one by one, and to have git list all refs before each would take most of its
time. Where the files do not tell for certain, git is asked again.
"""

import os
import time
from typing import NamedTuple

SETTLED_NS = 50_000_000
"""What changed twice within so short a time may bear one and the same time."""

_FILES_MAX = 1_000
"""With more files than that, git is asked as quickly: it packs them."""


class Folders(NamedTuple):
    """Where a repository keeps its `HEAD`, and where the refs that all its worktrees share."""

    own: str
    shared: str
    is_bare: bool


State = frozenset[tuple[str, int, int, int]]
"""Each file and folder with what of it changes whenever it does."""


def look(folders: Folders) -> State | None:
    """The state of all files that refs are read from; None where no later state may be compared to it."""
    now_ns = time.time_ns()
    names = [os.path.join(folders.own, "HEAD")]
    names += [os.path.join(folders.shared, name) for name in ("packed-refs", "shallow", "config")]
    waiting = [os.path.join(folders.own, "refs")]
    waiting += [os.path.join(folders.shared, name) for name in ("refs", "reftable")]
    found: set[tuple[str, int, int, int]] = set()
    try:
        for name in (*names, *waiting):
            if os.path.lexists(name):
                found.add(_describe(name, os.lstat(name)))
        while waiting and len(found) < _FILES_MAX:
            for entry in _list(waiting.pop()):
                # Behind a link, things may change unseen.
                if entry.is_symlink():
                    return None
                found.add(_describe(entry.path, entry.stat(follow_symlinks=False)))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    except OSError:
        return None
    is_settled = all(changed_ns < now_ns - SETTLED_NS for _, _, _, changed_ns in found)
    is_all = bool(found) and not waiting and not any(map(os.path.islink, names))
    return frozenset(found) if is_settled and is_all else None


def _list(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _describe(path: str, status: os.stat_result) -> tuple[str, int, int, int]:
    return path, status.st_ino, status.st_size, status.st_ctime_ns
