"""A tree in memory, stored as files would store it."""

from collections.abc import Sequence

from whence.proof import tree


class MemoryTree:
    """Levels of hashes that grow."""

    def __init__(self, entries: Sequence[bytes] = ()) -> None:
        self.levels: list[bytes] = []
        self.size = 0
        self.add(entries)

    def add(self, entries: Sequence[bytes]) -> None:
        counts = tree.tail_counts(self.size)
        tails = [
            level[-size * tree.HASH_BYTES :] if size else b""
            for level, size in zip(self.levels, counts, strict=True)
        ]
        for level, gained in enumerate(tree.new_hashes(tails, b"".join(tree.hash_leaves(entries)))):
            if level == len(self.levels):
                self.levels.append(b"")
            self.levels[level] += gained
        self.size += len(entries)

    def hash(self, start: int, end: int) -> tree.Hash:
        return tree.fold(
            [tree.fold_complete(self._read(each)) for each in tree.pieces_of(start, end)]
        )

    def _read(self, piece: tree.Piece) -> bytes:
        start = piece.first * tree.HASH_BYTES
        found = self.levels[piece.level][start : start + piece.size * tree.HASH_BYTES]
        assert len(found) == piece.size * tree.HASH_BYTES
        return found

    def inclusion(self, index: int, size: int) -> list[tree.Hash]:
        return [self.hash(*each) for each in tree.inclusion_ranges(index, size)]

    def consistency(self, old: int, new: int) -> list[tree.Hash]:
        return [self.hash(*each) for each in tree.consistency_ranges(old, new)]
