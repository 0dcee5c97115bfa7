"""One stretch of a segment, looked at by itself: what it holds, in a form that another process can hand over.

Whoever verifies looks at many of them at once, on all cores, and puts together what they tell.
"""

from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from whence.errors import CorruptError, StoreError
from whence.event import OWN, Event
from whence.journal import blobs
from whence.journal.reader import Reader
from whence.proof.entries import take_entries
from whence.proof.folder import Taken

TOLD_TYPES = frozenset(
    ["erased", "fragment", "key", "alive", "writer.close", "writer.open", "writer.gap"]
)
"""What housekeeping tells that a verdict needs."""


class Run(msgspec.Struct, frozen=True, array_like=True):
    """`size` events of one writer in a row, counted from `n`, at positions from `first` on."""

    w: str
    n: int
    size: int
    first: int


class Looked(msgspec.Struct, array_like=True):
    """What a stretch holds. Positions are those of the log."""

    leaves: bytes = b""
    offsets: list[int] = []
    runs: list[Run] = []
    told: list[tuple[int, Event]] = []
    saves: list[tuple[int, Event]] = []
    """Events that commit to a file elsewhere."""
    gone: list[int] = []
    """Positions of events whose payload is not there, though they are not private."""
    private: int = 0
    payloads: int = 0
    fragments: list[tuple[int, int, str]] = []
    problems: list[tuple[int | None, str, bool]] = []
    """A position if there is one, what is wrong, and whether it only could not be looked at."""
    whole: bool = True
    """Whether the bytes were there, up to a newline."""


def look(folder: Path, taken: Taken, *, reads_blobs: bool = True) -> Looked:
    """Look at a stretch as it was taken."""
    looked = Looked(offsets=[], runs=[], told=[], saves=[], gone=[], fragments=[], problems=[])
    reader = Reader(folder)
    try:
        _read(reader, taken, looked, reads_blobs)
    except StoreError as error:
        looked.whole = False
        is_gone = isinstance(error.__cause__, FileNotFoundError)
        said = f"segment {taken.segment} was sealed and is gone" if is_gone else str(error)
        looked.problems.append((taken.first, said, not is_gone))
    finally:
        reader.close()
    return looked


def _read(reader: Reader, taken: Taken, looked: Looked, reads_blobs: bool) -> None:
    leaves: list[bytes] = []
    reached = taken.start
    for start, lines in reader.scan_lines(taken.segment, taken.start, taken.end):
        reached = start + sum(map(len, lines)) + len(lines)
        found = take_entries(start, lines)
        first = taken.first + len(leaves)
        leaves += found.leaves
        looked.offsets += found.offsets
        looked.runs += _runs_of(found.events, first)
        looked.fragments += [
            (each.offset, len(each.raw), sha256(each.raw).hexdigest()) for each in found.fragments
        ]
        for position, event in enumerate(found.events, start=first):
            if event.salt is None:
                _look_at_absent(reader.folder, position, event, looked, reads_blobs)
            if event.primitive == OWN:
                if event.type in TOLD_TYPES:
                    looked.told.append((position, event))
            elif event.primitive == "run" and event.type == "save":
                looked.saves.append((position, event))
        looked.payloads += sum(event.salt is not None for event in found.events)
    looked.leaves = b"".join(leaves)
    if reached != taken.end:
        looked.whole = False
        said = f"segment {taken.segment} ends at {reached:,}, and was sealed to {taken.end:,}"
        looked.problems.append((taken.first + len(leaves), said, False))


def _look_at_absent(
    folder: Path, position: int, event: Event, looked: Looked, reads_blobs: bool
) -> None:
    if event.private:
        looked.private += 1
    elif event.blob is None:
        looked.gone.append(position)
    elif reads_blobs:
        try:
            is_there = len(blobs.fill(folder, event).payload) > 0
        except CorruptError as error:
            looked.problems.append((position, f"payload of {event.id}: {error}", False))
        except StoreError as error:
            looked.problems.append((position, f"payload of {event.id}: {error}", True))
        else:
            looked.payloads += is_there
            looked.gone += [] if is_there else [position]


def _runs_of(events: list[Event], first: int) -> list[Run]:
    """Events as runs of one writer's counts: few, where lines of several writers are not mixed too finely."""
    keyed = ((each.w, each.n - at, at, each.n) for at, each in enumerate(events))
    runs = []
    for (w, _), group in groupby(keyed, key=_of_run):
        members = list(group)
        runs.append(Run(w, members[0][3], len(members), first + members[0][2]))
    return runs


def _of_run(item: tuple[Any, ...]) -> tuple[Any, Any]:
    return item[0], item[1]
