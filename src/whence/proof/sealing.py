"""Seals a journal: gives every event its position and signs the tree of all, in steps that a crash may part anywhere.

Each step is on disk before the next: the segments' sizes are taken, and synced; their bytes are read back to those sizes and to the
last newline; entries are taken; ranges, places and hashes are written; the root that was signed before is found again in what
was written; the new one is signed; the signer keeps its head; `checkpoints.jsonl`; `checkpoint`. What a crash leaves above
the signed size is cut away by the next seal, which is the same code.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from whence.errors import CorruptError, ProofError, StoreError
from whence.event import format_time
from whence.journal.folder import journal_folder, segment_path
from whence.journal.reader import Reader
from whence.proof.checkpoints import Checkpoint, parse_checkpoint
from whence.proof.entries import take_entries
from whence.proof.files import modes_of, open_file, read_file, replace_file, sync_folder, write_all
from whence.proof.folder import Taken, TreeFolder
from whence.proof.keyring import Signer
from whence.proof.keys import SignerKey
from whence.proof.notes import Note, parse_note, sign_note, verify_note
from whence.proof.tree import EMPTY_ROOT

CHECKPOINT, HISTORY = "checkpoint", "checkpoints.jsonl"

_KEEP_EVERY_S = 3600
_NOTE_MAX = 1_000_000
_HISTORY_LINE_MAX = 4 * _NOTE_MAX

Progress = Callable[[int, int], None]


class RollbackError(ProofError):
    """The log's folder is behind, or beside, what its key signed: somebody cut it, or put an older copy in its place."""


class LostBytes(msgspec.Struct, frozen=True):
    """A fragment that a seal met: bytes outside of the proof."""

    segment: str
    offset: int
    length: int
    sha256: str


class Sealed(msgspec.Struct, frozen=True):
    """What a seal came to. `note` is the signed checkpoint, also where nothing was new."""

    checkpoint: Checkpoint
    note: Note
    before: int
    fragments: tuple[LostBytes, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether there was something to seal."""
        return self.checkpoint.size > self.before


Tell = Callable[[LostBytes], None]
"""Reports a fragment in the journal."""


def seal(
    folder: Path,
    signer: Signer,
    *,
    wait: bool = False,
    is_forced: bool = False,
    also: Sequence[SignerKey] = (),
    progress: Progress = lambda _done, _in_all: None,
    clock: Callable[[], int] = time.time_ns,
) -> Sealed | None:
    """Seal what a journal has by now; None where another process seals it and `wait` is not asked for.

    Raises what `seal_locked` does.
    """
    tree = TreeFolder(folder)
    with tree.locked(wait=wait) as is_ours:
        if not is_ours:
            return None
        return seal_locked(
            folder, tree, signer, is_forced=is_forced, also=also, progress=progress, clock=clock
        )


def seal_locked(
    folder: Path,
    tree: TreeFolder,
    signer: Signer,
    *,
    is_forced: bool = False,
    also: Sequence[SignerKey] = (),
    tell: Tell | None = None,
    progress: Progress = lambda _done, _in_all: None,
    clock: Callable[[], int] = time.time_ns,
) -> Sealed:
    """The same for who holds the lock of the tree.

    With `is_forced` a checkpoint is signed also where nothing is new; `also` are further keys that sign it. Fragments are reported through
    `tell` before anything is signed, so that none is ever sealed without its report.

    Raises:
        RollbackError: the folder is not what the key signed last. Nothing is signed then.
        StoreError, CorruptError, ProofError: the journal or its tree cannot be read, written or trusted.
    """
    last = recover(folder, tree, signer)
    before, root = (last[1].size, last[1].root) if last is not None else (0, EMPTY_ROOT)
    tree.tidy()
    fragments = _take(folder, tree, progress)
    found = fragments
    while found and tell is not None:
        for each in found:
            tell(each)
        found = _take(folder, tree, progress)
        fragments += found
    size = tree.size()
    if size == before and last is not None and not is_forced:
        return Sealed(last[1], last[0], before, fragments)
    if size == 0 and last is None:
        raise StoreError(f"nothing is recorded in {folder} yet")
    # The tree that was signed is still the beginning of this one.
    if before and tree.hash(0, before) != root:
        raise RollbackError(f"the tree of {before:,} entries is not the one that was signed")
    checkpoint = Checkpoint(signer.origin, size, tree.hash(0, size))
    note = sign_note(str(checkpoint), [signer.key, *also])
    # From here on this head is signed: whatever happens, the next one extends it.
    signer.store(note)
    keep_checkpoint(folder, note, clock())
    return Sealed(checkpoint, note, before, fragments)


def recover(folder: Path, tree: TreeFolder, signer: Signer) -> tuple[Note, Checkpoint] | None:
    """Cut the tree back to what was signed last, and return that head as the folder shows it; None if nothing was signed."""
    kept, shown = signer.note(), read_checkpoint(folder)
    last = (kept, parse_checkpoint(kept.text)) if kept is not None else None
    if shown is not None:
        note, found = shown
        if found.origin != signer.origin:
            raise RollbackError(f"{CHECKPOINT} is of {found.origin}, not of {signer.origin}")
        if not verify_note(note, [signer.key.verifier()]):
            raise RollbackError(f"{CHECKPOINT} is not signed with the key of {signer.origin}")
        if last is None or found.size > last[1].size:
            # The key was put back from an older copy: what it signed since is still true.
            last = shown
    if last is None:
        tree.cut(0)
        return None
    head = last[1]
    if tree.size() < head.size:
        raise RollbackError(
            f"the tree has {tree.size():,} entries, the key signed {head.size:,}: an older copy, or cut"
        )
    tree.cut(head.size)
    if head.size and tree.hash(0, head.size) != head.root:
        raise RollbackError(f"the tree of {head.size:,} entries is not the one that was signed")
    if shown is not None:
        _, older = shown
        if older.root != (tree.hash(0, older.size) if older.size else EMPTY_ROOT):
            raise RollbackError(
                f"{CHECKPOINT} is of another history of {older.size:,} entries: it was signed with the same key"
            )
        if older.size == head.size:
            # With the signatures of witnesses, if there are any.
            return shown
    # A crash came between the signature and its showing, or somebody put an older one back. As it was signed: the key alone
    # may have been retired with it.
    replace_file(folder / CHECKPOINT, str(last[0]).encode(), modes_of(folder).file)
    return last


def read_checkpoint(folder: Path) -> tuple[Note, Checkpoint] | None:
    """The newest checkpoint that the folder shows, unverified; None if it shows none.

    Raises:
        CorruptError: it is none.
    """
    content = read_file(folder / CHECKPOINT, _NOTE_MAX + 1)
    if content is None:
        return None
    try:
        note = parse_note(content)
        return note, parse_checkpoint(note.text)
    except CorruptError as error:
        raise CorruptError(f"{folder / CHECKPOINT}: {error}") from error


def read_history(folder: Path) -> Iterator[tuple[Note, Checkpoint]]:
    """The checkpoints that were kept, oldest first."""
    try:
        with open_file(folder / HISTORY) as file:
            # A line at a time, none of them longer than a note can be.
            lines = iter(lambda: file.readline(_HISTORY_LINE_MAX), b"")
            for number, line in enumerate(lines, start=1):
                if len(line) == _HISTORY_LINE_MAX:
                    raise CorruptError(f"{HISTORY}: line {number} is too long")
                # What has no newline was being written when somebody was killed.
                if line.endswith(b"\n"):
                    yield _read_kept(line, number)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot read {folder / HISTORY}: {error.strerror}") from error


def _read_kept(line: bytes, number: int) -> tuple[Note, Checkpoint]:
    try:
        note = parse_note(str(json.loads(line)["checkpoint"]).encode())
        return note, parse_checkpoint(note.text)
    except (ValueError, KeyError, TypeError, RecursionError, CorruptError) as error:
        raise CorruptError(f"{HISTORY}: line {number} is no checkpoint: {error}") from error


def keep_checkpoint(folder: Path, note: Note, now_ns: int, *, is_kept: bool = False) -> None:
    """Show a checkpoint, and keep it in the history if the last one there is an hour old, or if that is asked for."""
    path = folder / HISTORY
    try:
        last = os.stat(path).st_mtime_ns
    except FileNotFoundError:
        last = 0
    except OSError as error:
        raise StoreError(f"cannot look at {path}: {error.strerror}") from error
    if is_kept or abs(now_ns - last) >= _KEEP_EVERY_S * 1_000_000_000:
        line = json.dumps(
            {"time": format_time(now_ns), "checkpoint": str(note)}, ensure_ascii=False
        )
        _append(path, line.encode() + b"\n", modes_of(folder).file)
    replace_file(folder / CHECKPOINT, str(note).encode(), modes_of(folder).file)


def _append(path: Path, line: bytes, mode: int) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
        try:
            size = os.fstat(fd).st_size
            if size == 0:
                os.fchmod(fd, mode)
            torn = b"\n" if size and os.pread(fd, 1, size - 1) != b"\n" else b""
            write_all(fd, torn + line)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StoreError(f"cannot write to {path}: {error.strerror}") from error


def _take(folder: Path, tree: TreeFolder, progress: Progress) -> tuple[LostBytes, ...]:
    """Take what the segments have beyond what was taken; return the fragments in it."""
    reader = Reader(folder)
    try:
        reader.check_format()
        reached = tree.reached()
        sizes = {segment.name: segment.size for segment in reader.segments()}
        for name, end in reached.items():
            if end > sizes.get(name, 0):
                what = "is shorter than it was" if name in sizes else "is gone"
                raise RollbackError(f"segment {name} was sealed to {end:,} and {what}")
        due = [
            (name, reached.get(name, 0), size)
            for name, size in sizes.items()
            if size > reached.get(name, 0)
        ]
        for name, _, _ in due:
            _sync_segment(folder, name)
        if any(name not in reached for name, _, _ in due):
            # A segment whose name is lost is lost, and nobody may have synced it.
            sync_folder(journal_folder(folder))
            sync_folder(folder)
        fragments: list[LostBytes] = []
        in_all, done = sum(end - start for _, start, end in due), 0
        for name, start, end in due:
            for first, lines in reader.scan_lines(name, start, end):
                fragments += _take_lines(tree, name, first, lines)
                done += sum(map(len, lines)) + len(lines)
                progress(done, in_all)
        return tuple(fragments)
    finally:
        reader.close()


def _take_lines(tree: TreeFolder, name: str, start: int, lines: list[bytes]) -> list[LostBytes]:
    taken = take_entries(start, lines)
    size = tree.size()
    end = start + sum(map(len, lines)) + len(lines)
    tree.append(
        size,
        b"".join(taken.leaves),
        [Taken(name, start, end, size, len(taken.leaves))],
        [(name, offset) for offset in taken.offsets],
    )
    return [
        LostBytes(name, each.offset, len(each.raw), sha256(each.raw).hexdigest())
        for each in taken.fragments
    ]


def _sync_segment(folder: Path, name: str) -> None:
    """Have a segment on disk, and read it back from there: what is signed is what would be left after a power cut."""
    path = segment_path(folder, name)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(fd)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
    except OSError as error:
        raise StoreError(f"cannot sync {path}: {error.strerror}") from error
