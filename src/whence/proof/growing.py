"""A tree that grows, of which only what the next root needs is remembered. Pure."""

from collections.abc import Iterator

import msgspec

from whence.errors import CorruptError
from whence.proof.tree import (
    HASH_BYTES,
    TILE_HASHES,
    Hash,
    fold,
    fold_complete,
    new_hashes,
    pieces_of,
    tail_counts,
)


class GrowingTree(msgspec.Struct):
    """Leaves go in, roots come out; memory does not grow with the leaves."""

    size: int = 0
    tails: list[bytes] = []
    """By level, the hashes that make no complete range of the next one yet."""

    def check(self) -> None:
        """See to it that one that was read from somewhere is one; CorruptError if not."""
        counts = tail_counts(self.size) if self.size >= 0 else []
        sizes = [count * HASH_BYTES for count in counts]
        if (
            self.size < 0
            or [len(each) for each in self.tails][: len(sizes)] != sizes
            or any(self.tails[len(sizes) :])
        ):
            raise CorruptError(f"no tree of {self.size} leaves ends so")

    def add(self, leaves: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add the hashes of leaves; give what each level gains: its number, the index of the first, the hashes.

        The tree has grown once all of it was taken.
        """
        for level, gained in enumerate(new_hashes(list(self.tails), leaves)):
            if level == len(self.tails):
                self.tails.append(b"")
            first = self.size >> (8 * level)
            row = self.tails[level] + gained
            self.tails[level] = row[len(row) - len(row) % (TILE_HASHES * HASH_BYTES) :]
            yield level, first, gained
        self.size += len(leaves) // HASH_BYTES

    def root(self) -> Hash:
        """The root of all leaves so far."""
        parts = []
        for each in pieces_of(0, self.size):
            count = self.size >> (8 * each.level)
            tail = self.tails[each.level]
            start = (each.first - (count - len(tail) // HASH_BYTES)) * HASH_BYTES
            parts.append(fold_complete(tail[start : start + each.size * HASH_BYTES]))
        return fold(parts)
