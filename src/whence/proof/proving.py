"""Proofs for others: of one event, and bundles of many that check themselves."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from whence.errors import CorruptError, NotFoundError, ProofError, StoreError
from whence.event import Event
from whence.journal.folder import segment_path
from whence.line import decode_line, split_line
from whence.proof.checkpoints import Checkpoint
from whence.proof.entries import sealed_bytes
from whence.proof.files import open_file, read_file, replace_file
from whence.proof.folder import TreeFolder
from whence.proof.growing import GrowingTree
from whence.proof.keys import VerifierKey
from whence.proof.notes import Note
from whence.proof.prooffile import ProofFile
from whence.proof.sealing import read_checkpoint
from whence.proof.tiles import Tile, decode_entries, encode_entries, format_tile, tiles_of
from whence.proof.tree import HASH_BYTES, TILE_HASHES, hash_leaf, verify_inclusion

_LEAVES_TOGETHER = 65_536
_LINE_MAX = 8 * 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)

_README = """\
What this is
============

These are lines of the log {origin}, and for each the proof that it is in the log, at its position and with these bytes.

lines.jsonl      the lines, as they stand in the journal: one event each
proofs/          for each line, in the same order, a proof in the form c2sp.org/tlog-proof
policy.txt       the log's public key, in the form c2sp.org/tlog-policy
check.py         checks all of it, with nothing but Python 3.8 or newer:   python3 check.py

check.py takes the key from policy.txt, which came with these files. To believe more than that, get the key from elsewhere
(from whoever keeps the log, or from an earlier proof) and say so:          python3 check.py --key KEY

What a proof says: when the checkpoint was signed, the log had this line at this position. What it does not say: that what the
line tells is true, that nothing is missing that nobody recorded, or that the log shows everyone the same history; the last is what
witnesses are for.
"""


class Proven(msgspec.Struct, frozen=True):
    """One event's line and its proof."""

    line: bytes
    proof: ProofFile


class Prover:
    """Proves what a log has sealed, by its newest checkpoint."""

    def __init__(self, folder: Path) -> None:
        shown = read_checkpoint(folder)
        if shown is None:
            raise NotFoundError(f"nothing is sealed in {folder}: whence seal does that")
        self._folder = folder
        self._tree = TreeFolder(folder)
        self.note: Note = shown[0]
        self.checkpoint: Checkpoint = shown[1]

    def position(self, segment: str, offset: int) -> int:
        """The position of the event whose line starts there; NotFoundError if it is not sealed yet."""
        found = self._tree.find(segment, offset, self.checkpoint.size)
        if found is None:
            raise NotFoundError("it is not sealed yet: whence seal does that")
        return found

    def prove(self, position: int) -> Proven:
        """Prove the event of a position.

        Raises:
            ProofError, CorruptError: its line is not the one that was sealed.
        """
        segment, offset = self._tree.place(position)
        line, event = read_line(self._folder, segment, offset)
        path = self._tree.inclusion(position, self.checkpoint.size)
        leaf = hash_leaf(sealed_bytes(line, event))
        verify_inclusion(leaf, position, self.checkpoint.size, path, self.checkpoint.root)
        return Proven(line, ProofFile(position, tuple(path), self.note))


def read_line(folder: Path, segment: str, offset: int) -> tuple[bytes, Event]:
    """The bytes of the line that starts there, without its newline, and its event."""
    path = segment_path(folder, segment)
    try:
        with open_file(path) as file:
            file.seek(offset)
            raw = file.readline(_LINE_MAX)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    line = raw.removesuffix(b"\n")
    try:
        return line, decode_line(line)
    except CorruptError:
        piece = split_line(line)[0]
        if piece.event is None:
            raise
        return line[: piece.length], piece.event


def write_bundle(path: Path, prover: Prover, positions: Iterable[int], key: VerifierKey) -> int:
    """Write a zip of lines and proofs that checks itself; return how many lines.

    Raises:
        NotFoundError: there are no lines.
        StoreError: it could not be written.
    """
    proven = [prover.prove(position) for position in positions]
    if not proven:
        raise NotFoundError("no event matches")
    checker = (Path(__file__).with_name("standalone.py")).read_bytes()
    policy = f"log {key}\nquorum none\n"
    files: dict[str, bytes] = {
        "README.txt": _README.format(origin=prover.checkpoint.origin).encode(),
        "check.py": checker,
        "policy.txt": policy.encode(),
        "lines.jsonl": b"".join(each.line + b"\n" for each in proven),
    }
    for number, each in enumerate(proven):
        files[f"proofs/{number:06d}.tlog-proof"] = str(each.proof).encode()
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, content in files.items():
                # The same bytes for the same proofs: no time of writing.
                bundle.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    return len(proven)


def write_tiles(folder: Path, target: Path) -> Iterator[Path]:
    """Write the public view of what is sealed, as C2SP's tlog-tiles: hashes and entries, no payloads; give each file.

    Tiles that are there already and fit are left alone: a full one never changes. The checkpoint comes last, once all that it signs is there.

    Raises:
        StoreError: it could not be written, or another log is there; ProofError, CorruptError: what is sealed is not whole.
    """
    prover = Prover(folder)
    tree, grown = TreeFolder(folder), GrowingTree()
    _check_same_log(target, prover.checkpoint)
    size = prover.checkpoint.size
    for first in range(0, size, _LEAVES_TOGETHER):
        leaves = tree.read(0, first, min(_LEAVES_TOGETHER, size - first))
        for level, index, gained in grown.add(leaves):
            if level and tree.read(level, index, len(gained) // HASH_BYTES) != gained:
                raise ProofError(f"tree/{level} does not follow from its leaves")
    if grown.root() != prover.checkpoint.root:
        raise ProofError("the tree's files do not make the root that was signed")
    for tile in tiles_of(size):
        path = target / format_tile(tile)
        first = tile.number * TILE_HASHES
        if tile.level is not None:
            content = tree.read(tile.level, first, tile.width)
        elif _has_entries(path, tree.read(0, first, tile.width)):
            continue
        else:
            content = encode_entries(_entries(folder, tree, tile))
        if read_file(path) != content:
            yield _write(path, content)
    yield _write(target / "checkpoint", str(prover.note).encode())


def _entries(folder: Path, tree: TreeFolder, tile: Tile) -> list[bytes]:
    first = tile.number * TILE_HASHES
    stored = tree.read(0, first, tile.width)
    entries = []
    for at, place in enumerate(tree.places(first, first + tile.width)):
        entry = sealed_bytes(*read_line(folder, *place))
        if hash_leaf(entry) != stored[32 * at : 32 * at + 32]:
            raise ProofError(f"the line of position {first + at:,} is not the one that was sealed")
        entries.append(entry)
    return entries


def _check_same_log(target: Path, checkpoint: Checkpoint) -> None:
    shown = read_checkpoint(target)
    if shown is not None and shown[1].origin != checkpoint.origin:
        raise StoreError(f"{target} has the log {shown[1].origin} already, not {checkpoint.origin}")


def _has_entries(path: Path, leaves: bytes) -> bool:
    """Whether a bundle is there, and its entries are those of the leaves."""
    try:
        entries = decode_entries(read_file(path) or b"")
    except CorruptError:
        return False
    return b"".join(map(hash_leaf, entries)) == leaves


def _write(path: Path, content: bytes) -> Path:
    """Write a file for others to serve: whole, or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    replace_file(path, content, 0o644)
    return path
