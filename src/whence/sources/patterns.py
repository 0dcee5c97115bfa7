"""Which files are meant by a path: one, those of a folder, or those of a pattern.

Below `**` every real folder is looked at once, by whatever links it is reached: links that lead back up
would never end.
"""

import glob
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from whence.errors import StoreError

_SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_ANY_DEPTH = "**"


class Found(NamedTuple):
    """Files by what they are called, in order of their names; links that were not followed."""

    files: Mapping[str, Path]
    links: list[Path]
    """Each leads to a folder that is looked at anyway."""


def find_files(path: Path) -> Found:
    """The files that are meant.

    Raises:
        StoreError: the folder cannot be looked at, or no file is named like the pattern.
    """
    links: list[Path] = []
    try:
        if path.is_dir():
            found = [each for each in path.iterdir() if each.name.endswith(_SUFFIXES)]
            named = {each.name: each for each in sorted(found)}
        elif path.exists() or not glob.has_magic(str(path)):
            return Found({path.name: path}, links)
        else:
            paths = sorted(set(_expand(path, [], links)))
            if not paths:
                raise StoreError(f"no file is named like {path}")
            named = _shorten_names({each: Path(each) for each in paths})
    except OSError as error:
        raise StoreError(f"look at {path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"look at {path}: {error}") from error
    # While a file is packed, both stand there.
    files = {
        name: each
        for name, each in named.items()
        if name.removesuffix(".gz") not in named or not name.endswith(".gz")
    }
    return Found(files, links)


def _shorten_names(paths: Mapping[str, Path]) -> dict[str, Path]:
    """Call files by their own names, if those tell them apart."""
    short = {path.name: path for path in paths.values()}
    return short if len(short) == len(paths) else dict(paths)


def _expand(pattern: Path, walked: list[set[tuple[int, int]]], links: list[Path]) -> Iterator[str]:
    """As `glob.glob`; `walked` are the folders met so far, for each `**` of the pattern."""
    parts = pattern.parts
    if _ANY_DEPTH not in parts:
        yield from glob.iglob(str(pattern))
        return
    place = parts.index(_ANY_DEPTH)
    rest = Path(*parts[place + 1 :]) if parts[place + 1 :] else Path("*")
    met, *deeper = walked or [set()]
    walked[:] = [met, *deeper]
    for base in glob.iglob(str(Path(*parts[:place]))):
        for folder in _walk(base, met, links):
            yield from _expand(Path(glob.escape(folder)) / rest, deeper, links)


def _walk(base: str, met: set[tuple[int, int]], links: list[Path]) -> Iterator[str]:
    """A folder and all below it, hidden ones left out; those behind links after all others."""
    waiting, linked = [base], list[str]()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        try:
            state = os.stat(folder)
            key = (state.st_dev, state.st_ino)
            if key in met:
                if os.path.islink(folder):
                    links.append(Path(folder))
                continue
            met.add(key)
            with os.scandir(folder) as entries:
                below = sorted(
                    (each for each in entries if not each.name.startswith(".")),
                    key=lambda entry: entry.name,
                )
        except OSError:
            # As in any pattern: what cannot be looked at is not named like it.
            continue
        yield folder
        folders = [each for each in below if _leads_to_folder(each)]
        linked += [each.path for each in folders if each.is_symlink()]
        waiting += [each.path for each in reversed(folders) if not each.is_symlink()]


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
