"""A tree that grows, of which only what the next root needs is remembered. Pure."""

from collections.abc import Iterator

from whence.proof.tree import (
    HASH_BYTES,
    TILE_HASHES,
    Hash,
    fold,
    fold_complete,
    new_hashes,
    pieces_of,
)


class GrowingTree:
    """Leaves go in, roots come out; memory does not grow with the leaves."""

    def __init__(self) -> None:
        self.size = 0
        # By level, the hashes that make no complete range of the next one yet.
        self._tails: list[bytes] = []

    def add(self, leaves: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add the hashes of leaves; give what each level gains: its number, the index of the first, the hashes.

        The tree has grown once all of it was taken.
        """
        for level, gained in enumerate(new_hashes(list(self._tails), leaves)):
            if level == len(self._tails):
                self._tails.append(b"")
            first = self.size >> (8 * level)
            row = self._tails[level] + gained
            self._tails[level] = row[len(row) - len(row) % (TILE_HASHES * HASH_BYTES) :]
            yield level, first, gained
        self.size += len(leaves) // HASH_BYTES

    def root(self) -> Hash:
        """The root of all leaves so far."""
        parts = []
        for each in pieces_of(0, self.size):
            count = self.size >> (8 * each.level)
            tail = self._tails[each.level]
            start = (each.first - (count - len(tail) // HASH_BYTES)) * HASH_BYTES
            parts.append(fold_complete(tail[start : start + each.size * HASH_BYTES]))
        return fold(parts)
