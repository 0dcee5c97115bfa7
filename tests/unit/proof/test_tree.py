"""The tree beside RFC 6962 as it is written, beside published trees, and beside another implementation; strict where proofs are."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.proof import reference
from tests.unit.proof.memory import MemoryTree
from whence.errors import ProofError
from whence.proof import tree

_VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "rfc6962" / "trees.json").read_text(encoding="utf-8")
)
_LEAVES = [number.to_bytes(2, "big") for number in range(700)]
_TREE = MemoryTree(_LEAVES)
_sizes = st.integers(1, 20) | st.sampled_from([255, 256, 257, 511, 512, 513, 700])


def test_roots_are_those_that_were_published() -> None:
    leaves = [bytes.fromhex(leaf) for leaf in _VECTORS["leaves"]]
    for size, root in enumerate(_VECTORS["roots"], start=1):
        assert MemoryTree(leaves[:size]).hash(0, size).hex() == root
        assert reference.root(leaves[:size]).hex() == root
    assert tree.EMPTY_ROOT.hex() == tree.fold([]).hex() == _VECTORS["empty_root"]


@given(st.lists(st.integers(1, 300), max_size=6))
def test_a_tree_that_grows_in_any_steps_is_that_of_all_at_once(steps: list[int]) -> None:
    grown, at = MemoryTree(), 0
    for step in steps:
        grown.add(_LEAVES[at : at + step])
        at = min(at + step, len(_LEAVES))
    whole = MemoryTree(_LEAVES[:at])

    assert grown.levels == whole.levels
    assert [len(level) // 32 for level in grown.levels] == tree.level_counts(at)
    assert grown.hash(0, at) == reference.root(_LEAVES[:at])


@given(_sizes, st.data())
def test_proofs_are_those_of_the_specification_and_hold(size: int, data: Any) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    root, leaf = _TREE.hash(0, size), tree.hash_leaf(_LEAVES[index])
    path, proof = _TREE.inclusion(index, size), _TREE.consistency(old, size)

    assert path == reference.path(index, _LEAVES[:size])
    assert proof == reference.proof(old, _LEAVES[:size])
    tree.verify_inclusion(leaf, index, size, path, root)
    tree.verify_consistency(old, size, proof, _TREE.hash(0, old), root)


@given(_sizes, st.data())
def test_a_proof_that_was_changed_anywhere_does_not_hold(size: int, data: Any) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    root, leaf = _TREE.hash(0, size), tree.hash_leaf(_LEAVES[index])
    path, proof = _TREE.inclusion(index, size), _TREE.consistency(old, size)
    old_root = _TREE.hash(0, old)

    def flip(hashes: list[Any], at: int) -> list[bytes]:
        changed = [bytes(each) for each in hashes]
        bit = data.draw(st.integers(0, 255))
        changed[at] = bytes(
            byte ^ (1 << bit % 8 if place == bit // 8 else 0)
            for place, byte in enumerate(changed[at])
        )
        return changed

    at = data.draw(st.integers(0, len(path) + 1))
    everything = flip([leaf, root, *path], at)
    with pytest.raises(ProofError):
        tree.verify_inclusion(everything[0], index, size, everything[2:], everything[1])
    # Equal sizes have no proof; then both roots must be one.
    at = data.draw(st.integers(0, len(proof) + 1))
    everything = flip([old_root, root, *proof], at)
    with pytest.raises(ProofError):
        tree.verify_consistency(old, size, everything[2:], everything[0], everything[1])


@given(_sizes, st.data())
def test_no_proof_is_of_another_place_or_size(size: int, data: Any) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, leaf = _TREE.hash(0, size), tree.hash_leaf(_LEAVES[index])
    path = _TREE.inclusion(index, size)
    other = data.draw(st.integers(0, size + 3))
    if other != index:
        with pytest.raises(ProofError):
            tree.verify_inclusion(leaf, other, size, path, root)
    for wrong in ([*path, root], path[:-1] if path else [leaf]):
        with pytest.raises(ProofError, match="hashes, want"):
            tree.verify_inclusion(leaf, index, size, wrong, root)
    if path:
        with pytest.raises(ProofError):
            tree.verify_inclusion(
                leaf, index, size, path[::-1] if path != path[::-1] else path[1:], root
            )


_H = bytes(32)


@pytest.mark.parametrize(
    ("index", "size"),
    [(0, 0), (1, 1), (5, 4), (-1, 4), (0, -1), (2**64, 2**64 + 1), (0, 2**64), (True, 2), (0, True), (0.0, 2), ("0", 2)],
)  # fmt: skip
def test_numbers_that_make_no_leaf_are_refused(index: Any, size: Any) -> None:
    with pytest.raises(ProofError):
        tree.verify_inclusion(_H, index, size, [], _H)


@pytest.mark.parametrize(
    ("old", "new"),
    [(0, 0), (0, 1), (2, 1), (-1, 1), (1, -1), (1, 2**64), (2**64, 2**64), (True, 2), (1, 2.0), (None, 1)],
)  # fmt: skip
def test_numbers_that_make_no_growth_are_refused(old: Any, new: Any) -> None:
    with pytest.raises(ProofError):
        tree.verify_consistency(old, new, [], _H, _H)


def test_the_largest_numbers_are_numbers() -> None:
    assert len(tree.inclusion_ranges(0, 2**64 - 1)) == 64
    assert tree.inclusion_ranges(2**64 - 2, 2**64 - 1)
    assert tree.consistency_ranges(1, 2**64 - 1)


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33)])
def test_what_is_no_hash_is_refused(wrong: bytes) -> None:
    root = _TREE.hash(0, 2)
    path = _TREE.inclusion(0, 2)
    leaf = tree.hash_leaf(_LEAVES[0])
    for arguments in ((wrong, path, root), (leaf, [wrong], root), (leaf, path, wrong)):
        with pytest.raises(ProofError, match="bytes, want 32"):
            tree.verify_inclusion(arguments[0], 0, 2, arguments[1], arguments[2])
    for roots in ((wrong, root), (root, wrong)):
        with pytest.raises(ProofError, match="bytes, want 32"):
            tree.verify_consistency(2, 2, [], *roots)


def test_the_same_size_needs_the_same_root() -> None:
    tree.verify_consistency(3, 3, [], _TREE.hash(0, 3), _TREE.hash(0, 3))
    with pytest.raises(ProofError, match="another root"):
        tree.verify_consistency(3, 3, [], _TREE.hash(0, 3), _TREE.hash(0, 2))
    with pytest.raises(ProofError, match="hashes, want 0"):
        tree.verify_consistency(3, 3, [_H], _TREE.hash(0, 3), _TREE.hash(0, 3))


def test_a_leaf_is_no_node() -> None:
    """What a node's hash covers is not a leaf, and the other way about."""
    inner = tree.hash_leaf(_LEAVES[0]) + tree.hash_leaf(_LEAVES[1])

    assert tree.hash_leaf(inner) != _TREE.hash(0, 2)
