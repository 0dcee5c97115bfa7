"""Erases payloads of sealed events: over each line, in place, goes its sealed entry, so that every proof still holds.

First `tree/intent` says what will be done, whole and without any payload; then a sealed `erased` event says so in the journal; then
lines are written over, and what their owners keep elsewhere is forgotten. From the intent on a crash changes nothing: whoever seals or
erases next does the rest, by the same code.
"""

import json
import os
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from whence.errors import CorruptError, StoreError
from whence.event import OWN, Event
from whence.journal.blobs import blob_path
from whence.journal.folder import segment_path
from whence.journal.reader import Reader
from whence.line import split_line
from whence.proof.account import merge
from whence.proof.entries import sealed_bytes
from whence.proof.files import open_file, read_file, replace_file, sync_folder
from whence.proof.folder import TreeFolder

INTENT = "intent"
ERASED = "erased"

_CHUNK = 8 * 1024 * 1024
_LINE_MAX = 16 * 1024 * 1024
_ROWS_TOLD = 500
"""So many positions and fragments an event tells of: their text stays well under what goes to a blob."""
_REASON_BYTES_MAX = 4_096
_ID = re.compile(rb'\{"id":"((?:[^"\\]|\\.){1,512})"', re.DOTALL).finditer


class Owner(msgspec.Struct, frozen=True):
    """Who keeps something of events outside of the journal.

    `names_of` tells by what names, and `forget` takes those away and says what it cannot reach; it may be called again.
    """

    name: str
    names_of: Callable[[Event], Iterable[str]]
    forget: Callable[[Collection[str]], Iterable[str]]


class Stroke(msgspec.Struct, frozen=True):
    """What goes over a line: as many bytes as it has."""

    segment: str
    offset: int
    text: str


class Intent(msgspec.Struct, frozen=True):
    """An erasure in progress. `after` is where each segment ended when it began, `kept` what owners keep, by their names."""

    id: str
    ids: list[str]
    positions: list[tuple[int, int]]
    strokes: list[Stroke]
    blobs: list[str]
    reason: str
    by: str
    after: dict[str, int]
    kept: dict[str, list[str]] = {}
    fragments: list[tuple[str, int, int]] = []


def plan(
    folder: Path,
    events: Collection[Event],
    size: int,
    *,
    reason: str,
    by: str,
    owners: Collection[Owner] = (),
) -> Intent | None:
    """Work out what erasing the payloads of these events takes; None where none of them has one.

    The events come with their payloads, also those that are in blobs.

    Raises:
        ValueError: the reason is longer than the journal should keep for ever.
        StoreError: one of them is not sealed yet.
        CorruptError: a line cannot be written over.
    """
    if len(reason.encode("utf-8", "replace")) > _REASON_BYTES_MAX:
        raise ValueError(f"reason is longer than {_REASON_BYTES_MAX:,} bytes")
    wanted = {each.id: each for each in events if len(each.payload)}
    if not wanted:
        return None
    tree = TreeFolder(folder)
    strokes: list[Stroke] = []
    positions: list[tuple[int, int]] = []
    fragments: list[tuple[str, int, int]] = []
    sealed: set[str] = set()
    for segment, offset, raw in find_lines(folder, wanted):
        event = _event_of(raw)
        if event is None:
            fragments.append((segment, offset, len(raw)))
            continue
        if (event.w, event.n) != (wanted[event.id].w, wanted[event.id].n):
            # Another event that bears the same id: nobody asked for it, and it may be held.
            continue
        position = tree.find(segment, offset, size)
        if position is None:
            raise StoreError(f"{event.id} is not sealed yet, so it cannot be erased: try again")
        sealed.add(event.id)
        positions.append((position, position + 1))
        if event.salt is not None:
            entry = sealed_bytes(raw, event)
            if len(entry) > len(raw):
                raise CorruptError(f"the line of {event.id} is too short for its sealed entry")
            strokes.append(
                Stroke(
                    segment,
                    offset,
                    entry.decode().ljust(len(entry.decode()) + len(raw) - len(entry)),
                )
            )
    fragments += [
        (segment, offset, len(raw)) for segment, offset, raw in find_tails(folder, wanted)
    ]
    strokes += [Stroke(segment, offset, " " * size) for segment, offset, size in fragments]
    missing = wanted.keys() - sealed
    if missing:
        raise StoreError(f"{min(missing)} is in no line of the journal")
    reader = Reader(folder)
    try:
        after = {each.name: each.size for each in reader.segments()}
    finally:
        reader.close()
    return Intent(
        id=uuid.uuid4().hex,
        ids=sorted(wanted),
        positions=merge(positions),
        strokes=strokes,
        blobs=sorted(
            {each.commit for each in wanted.values() if each.blob is not None and each.commit}
        ),
        reason=reason,
        by=by,
        after=after,
        kept={
            owner.name: names
            for owner in owners
            if (
                names := sorted({name for each in wanted.values() for name in owner.names_of(each)})
            )
        },
        fragments=fragments,
    )


def find_lines(folder: Path, ids: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
    """Every stretch of the journal that bears one of these ids: lines, copies written again, and fragments."""
    wanted = _as_written(ids)
    reader = Reader(folder)
    try:
        for segment in reader.segments():
            for start, lines in reader.scan_lines(segment.name, 0, segment.size):
                whole = b"\n".join(lines)
                for found in _ID(whole):
                    if found[1] in wanted:
                        yield from _pieces(segment.name, start, whole, found.start(), ids)
    finally:
        reader.close()


def _pieces(
    name: str, start: int, whole: bytes, at: int, ids: Collection[str]
) -> Iterator[tuple[str, int, bytes]]:
    begin = whole.rfind(b"\n", 0, at) + 1
    end = whole.find(b"\n", at)
    line = whole[begin : end if end >= 0 else len(whole)]
    for piece in split_line(line):
        first = begin + piece.offset
        if first <= at < first + piece.length:
            if piece.event is None or (first == at and piece.event.id in ids):
                yield name, start + first, line[piece.offset : piece.offset + piece.length]
            return


def find_tails(folder: Path, ids: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
    """What stands behind a segment's last newline and bears one of these ids: a write of it that was cut off."""
    wanted = _as_written(ids)
    reader = Reader(folder)
    try:
        for segment in reader.segments():
            start = max(0, segment.size - _LINE_MAX)
            content = _read(segment_path(folder, segment.name), start, segment.size - start)
            begin = content.rfind(b"\n") + 1
            if any(found[1] in wanted for found in _ID(content, begin)):
                yield segment.name, start + begin, content[begin:]
    finally:
        reader.close()


def _read(path: Path, start: int, size: int) -> bytes:
    try:
        with open_file(path) as file:
            file.seek(start)
            return file.read(size)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def _as_written(ids: Collection[str]) -> set[bytes]:
    return {
        json.dumps(each, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass") for each in ids
    }


def write_intent(folder: Path, intent: Intent) -> None:
    """Say what will be done. From here on it will be, whatever happens."""
    replace_file(folder / "tree" / INTENT, msgspec.json.encode(intent))


def read_intent(folder: Path) -> Intent | None:
    """The erasure in progress; None if there is none.

    Raises:
        CorruptError: the file tells none. Then nothing is written over.
    """
    path = folder / "tree" / INTENT
    content = read_file(path)
    if content is None:
        return None
    try:
        intent = msgspec.json.decode(content, type=Intent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptError(f"{path} tells no erasure: {error}") from error
    for stroke in intent.strokes:
        # A name that could lead elsewhere is refused before anything is written.
        segment_path(folder, stroke.segment)
    return intent


def find_told(folder: Path, intent: Intent) -> set[int]:
    """Which parts of what is to be told of an erasure the journal has already."""
    found: set[int] = set()
    reader = Reader(folder)
    try:
        for segment in reader.segments():
            start = intent.after.get(segment.name, 0)
            for batch in reader.scan_batches(segment.name, start, segment.size):
                for _, _, event, _ in batch:
                    if event is not None and (event.primitive, event.type) == (OWN, ERASED):
                        data = event.data
                        if isinstance(data, dict) and data.get("intent") == intent.id:
                            found.add(data.get("part", 0))
    finally:
        reader.close()
    return found


def told_of(intent: Intent) -> list[dict[str, Any]]:
    """What the journal says of an erasure: positions and reasons, no ids and nothing of what was there.

    In parts, none of which is so large that its payload would stand in a blob, which can be lost.
    """
    parts: list[dict[str, Any]] = []
    rows = max(len(intent.positions), len(intent.fragments), 1)
    for number, at in enumerate(range(0, rows, _ROWS_TOLD)):
        told: dict[str, Any] = {
            "intent": intent.id,
            "part": number,
            "positions": [list(each) for each in intent.positions[at : at + _ROWS_TOLD]],
            "reason": intent.reason,
            "by": intent.by,
        }
        if intent.fragments:
            told["fragments"] = [list(each) for each in intent.fragments[at : at + _ROWS_TOLD]]
        parts.append(told)
    return parts


def carry_out(folder: Path, intent: Intent, owners: Collection[Owner]) -> list[str]:
    """Write over what an intent says, have it forgotten elsewhere, and take the intent away; may be done again.

    Returns what could not be reached.
    """
    by_segment: dict[str, list[Stroke]] = {}
    for stroke in intent.strokes:
        by_segment.setdefault(stroke.segment, []).append(stroke)
    for name, strokes in by_segment.items():
        _write_over(segment_path(folder, name), strokes)
    for commit in intent.blobs:
        _remove(blob_path(folder, commit))
    left: list[str] = []
    for owner in owners:
        try:
            left += owner.forget(intent.kept.get(owner.name, ()))
        except StoreError as error:
            # What cannot be reached today must not stand in the way of every later seal.
            left.append(str(error))
    _remove(folder / "tree" / INTENT)
    return left


def _write_over(path: Path, strokes: list[Stroke]) -> None:
    try:
        # Without O_APPEND, which would ignore where.
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # The whole segment is gone, and its payloads with it.
        return
    except OSError as error:
        raise StoreError(f"cannot open {path}: {error.strerror}") from error
    try:
        for stroke in strokes:
            raw = stroke.text.encode()
            if os.pwrite(fd, raw, stroke.offset) != len(raw):
                raise StoreError(f"cannot write over all of a line in {path}: try again")
        os.fsync(fd)
    except OSError as error:
        raise StoreError(f"cannot write over lines in {path}: {error.strerror}") from error
    finally:
        os.close(fd)


def _remove(path: Path) -> None:
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
            sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror}") from error


def _event_of(raw: bytes) -> Event | None:
    return split_line(raw)[-1].event
