"""The Merkle tree of RFC 6962, section 2.1: hashes, roots and proofs from one description of ranges. Pure.

A hash covers a range of leaves. What is stored are the hashes of complete ranges of 256^level leaves, one file a level; any other
range is folded from `pieces_of` it. A proof is a list of ranges, so prover and verifier cannot disagree about them:

    ranges = inclusion_ranges(index, size)
    hashes = [fold(read(piece) for piece in pieces_of(*each)) for each in ranges]     # the prover
    verify_inclusion(leaf, index, size, hashes, root)                                 # the verifier, strictly

Numbers are leaves and sizes up to 2^64−1. What does not hold raises `ProofError`; numbers that make no question do, too.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple, NewType

from whence.errors import ProofError

Hash = NewType("Hash", bytes)

HASH_BYTES = 32
LEVEL_BITS = 8
TILE_HASHES = 1 << LEVEL_BITS
NUMBER_MAX = 2**64 - 1

EMPTY_ROOT = Hash(sha256().digest())
"""The root of no leaves."""

_LEAF, _NODE = b"\x00", b"\x01"


class Range(NamedTuple):
    """Leaves [start, end)."""

    start: int
    end: int


class Piece(NamedTuple):
    """`size` stored hashes of a level, from `first` on, that fold into one: a power of two, side by side."""

    level: int
    first: int
    size: int


def hash_leaf(entry: bytes) -> Hash:
    """The hash of a leaf."""
    return Hash(sha256(_LEAF + entry).digest())


def hash_leaves(entries: Iterable[bytes]) -> list[Hash]:
    """The hashes of many leaves."""
    return [Hash(sha256(_LEAF + entry).digest()) for entry in entries]


def hash_node(left: bytes, right: bytes) -> Hash:
    """The hash of two ranges side by side."""
    return Hash(sha256(_NODE + left + right).digest())


def fold_complete(hashes: bytes) -> Hash:
    """The hash over 2^n hashes side by side."""
    while len(hashes) > HASH_BYTES:
        step = 2 * HASH_BYTES
        hashes = b"".join(
            [sha256(_NODE + hashes[at : at + step]).digest() for at in range(0, len(hashes), step)]
        )
    return Hash(hashes)


def pieces_of(start: int, end: int) -> list[Piece]:
    """What a range that a tree has is folded from, left to right: complete ranges, ever smaller."""
    pieces = []
    while start < end:
        bits = (end - start).bit_length() - 1
        level = bits // LEVEL_BITS
        pieces.append(Piece(level, start >> (level * LEVEL_BITS), 1 << (bits - level * LEVEL_BITS)))
        start += 1 << bits
    return pieces


def fold(hashes: Sequence[bytes]) -> Hash:
    """The hash of a range from those of its complete parts, left to right."""
    if not hashes:
        return EMPTY_ROOT
    *before, found = hashes
    for each in reversed(before):
        found = hash_node(each, found)
    return Hash(found)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that a leaf is in a tree, from the leaf's sibling up."""
    _check_numbers(index, size)
    if index >= size:
        raise ProofError(f"index is {index}, want less than the size {size}")
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(start, middle))
            start = middle
    return ranges[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Raise ProofError unless the hash of a leaf stands at `index` in the tree with that root."""
    ranges = inclusion_ranges(index, size)
    _check_hashes([leaf, *proof, root])
    _check_length(proof, len(ranges))
    found = leaf
    for each, other in zip(ranges, proof, strict=True):
        found = hash_node(other, found) if each.end <= index else hash_node(found, other)
    if found != root:
        raise ProofError(f"the proof leads to another root than that of {size} leaves")


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The ranges whose hashes prove that a tree of `new` leaves begins with that of `old`, innermost first."""
    _check_numbers(old, new)
    if not 0 < old <= new:
        raise ProofError(f"sizes are {old} and {new}, want the first from 1 up to the second")
    if old == new:
        return []
    ranges = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(start, middle))
            start = middle
    if start > 0:
        # The old tree is not one complete range, so its root alone does not tell what its last part is.
        ranges.append(Range(start, end))
    return ranges[::-1]


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Raise ProofError unless the tree of `new` leaves with its root begins with that of `old`."""
    ranges = consistency_ranges(old, new)
    _check_hashes([*proof, old_root, new_root])
    _check_length(proof, len(ranges))
    found_old = found_new = old_root
    pairs = list(zip(ranges, proof, strict=True))
    if pairs and pairs[0][0].end == old:
        found_old = found_new = pairs.pop(0)[1]
    for each, other in pairs:
        if each.end <= old:
            found_old, found_new = hash_node(other, found_old), hash_node(other, found_new)
        else:
            found_new = hash_node(found_new, other)
    if found_old != old_root:
        raise ProofError(f"the proof leads to another root than that of {old} leaves")
    if found_new != new_root:
        raise ProofError(f"the proof leads to another root than that of {new} leaves")


def new_hashes(tails: Sequence[bytes], leaves: bytes) -> Iterator[bytes]:
    """What each level gains when leaves are added to a tree: the hashes to append, level 0 first.

    `tails` has for each level its last hashes that make no complete range of the next one yet: so many as
    `tail_counts` says of the tree's size.
    """
    level, gained = 0, leaves
    while gained:
        yield gained
        tail = tails[level] if level < len(tails) else b""
        row = tail + gained
        step = TILE_HASHES * HASH_BYTES
        whole = len(row) - len(row) % step
        gained = b"".join([fold_complete(row[at : at + step]) for at in range(0, whole, step)])
        level += 1


def tail_counts(size: int) -> list[int]:
    """How many hashes at each level's end make no complete range of the next level, level 0 first."""
    counts = []
    while size:
        counts.append(size % TILE_HASHES)
        size //= TILE_HASHES
    return counts


def level_counts(size: int) -> list[int]:
    """How many hashes each level has, level 0 first."""
    counts = []
    while size:
        counts.append(size)
        size //= TILE_HASHES
    return counts


def _split(size: int) -> int:
    """The largest power of two below a size of two or more."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_numbers(*numbers: int) -> None:
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise ProofError(f"number is {type(number).__name__}, want int")
        if not 0 <= number <= NUMBER_MAX:
            raise ProofError(f"number is {number}, want one from 0 to 2^64-1")


def _check_hashes(hashes: Iterable[bytes]) -> None:
    for each in hashes:
        if len(each) != HASH_BYTES:
            raise ProofError(f"hash has {len(each)} bytes, want {HASH_BYTES}")


def _check_length(proof: Sequence[bytes], want: int) -> None:
    if len(proof) != want:
        raise ProofError(f"proof has {len(proof)} hashes, want {want}")
