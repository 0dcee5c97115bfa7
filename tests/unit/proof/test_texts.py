"""Notes, checkpoints, policies, proofs and tiles: read as they are written, and everything else refused."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.proof.memory import MemoryTree
from whence.errors import CorruptError, ProofError
from whence.proof.checkpoints import Checkpoint, parse_checkpoint, parse_number
from whence.proof.keys import COSIGNATURE, SignerKey, parse_signer, parse_verifier
from whence.proof.notes import (
    Note,
    Signature,
    cosign,
    parse_note,
    sign_note,
    verify_note,
)
from whence.proof.policies import Policy, believe, parse_policy
from whence.proof.prooffile import ProofFile, parse_proof, verify_entry
from whence.proof.tiles import (
    Tile,
    decode_entries,
    encode_entries,
    format_tile,
    parse_tile,
    tiles_of,
)
from whence.proof.tree import Hash, hash_leaf

_VECTORS = Path(__file__).parents[2] / "vectors" / "notes"
_GO = json.loads((_VECTORS / "go-note.json").read_text(encoding="utf-8"))
_LOG = SignerKey("whence/log", bytes(32))
_W1, _W2, _W3 = (SignerKey(f"witness-{n}", bytes([n]) * 32) for n in (1, 2, 3))
_ENTRIES = [b"entry %d" % number for number in range(300)]
_TREE = MemoryTree(_ENTRIES)
_CHECKPOINT = Checkpoint("whence/log", 300, _TREE.hash(0, 300))
_POLICY_TEXT = "\n".join(
    [
        "# whom to believe",
        f"log {_LOG.verifier()} https://log.example",
        *(f"witness W{n} {key.verifier(COSIGNATURE)}" for n, key in enumerate((_W1, _W2, _W3), 1)),
        "group two 2 W1\tW2  W3",
        " quorum two ",
        "",
    ]
)
_POLICY = parse_policy(_POLICY_TEXT.encode())


def _note(*witnesses: SignerKey, key: SignerKey = _LOG, text: str = str(_CHECKPOINT)) -> Note:
    return sign_note(text, [key], [cosign(text, each, 1_700_000_000) for each in witnesses])


# -- notes -----------------------------------------------------------------------------------------


def test_gos_note_is_read_believed_and_written_the_same() -> None:
    note = parse_note(_GO["note"].encode())
    [signed] = verify_note(note, [parse_verifier(_GO["verifier"])])

    assert (signed.key.name, signed.time_s) == ("PeterNeumann", None)
    assert str(note) == _GO["note"]
    assert str(sign_note(note.text, [parse_signer(_GO["signer"])])) == _GO["note"]


@pytest.mark.parametrize("name", ["signed-note", "checkpoint", "cosigned-checkpoint"])
def test_the_examples_of_the_specifications_are_read_and_written_the_same(name: str) -> None:
    content = (_VECTORS / f"{name}.txt").read_bytes()
    note = parse_note(content)

    assert str(note).encode() == content
    if "checkpoint" in name:
        checkpoint = parse_checkpoint(note.text)
        assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
        assert str(checkpoint) == note.text
    if name == "cosigned-checkpoint":
        # The time that the specification shows for it.
        assert int.from_bytes(note.signatures[1].raw[:8], "big") == 1679315147


def test_a_text_may_hold_empty_lines_and_what_looks_like_signatures() -> None:
    text = "a\n\n— name AAAAAAA=\n\n\nb\n"
    note = sign_note(text, [_LOG])

    assert parse_note(str(note).encode()) == note
    assert note.text == text


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"a", b"a\n", b"a\n\n", b"\n\n", b"a\n\n\xe2\x80\x94 n AAAAAAA=", b"a\n\n- n AAAAAAA=\n",
        b"a\n\n\xe2\x80\x94 n\n", b"a\n\n\xe2\x80\x94  AAAAAAA=\n", b"a\n\n\xe2\x80\x94 n AAAA\n",
        b"a\n\n\xe2\x80\x94 n AAAAAAB=\n", b"a\n\n\xe2\x80\x94 n AAAAAAA\n", b"a\n\n\xe2\x80\x94 n+m AAAAAAA=\n",
        b"a\n\n\xe2\x80\x94 n AAAAAAA= x\n", b"a\r\n\n\xe2\x80\x94 n AAAAAAA=\n", b"a\x00\n\n\xe2\x80\x94 n AAAAAAA=\n",
        b"a\t\n\n\xe2\x80\x94 n AAAAAAA=\n", b"\xff\n\n\xe2\x80\x94 n AAAAAAA=\n", b"x" * 1_000_001,
        b"a\n\n" + "— n AAAAAAA=\n".encode() * 101,
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptError):
        parse_note(content)


def test_signatures_of_unknown_keys_are_ignored_and_a_wrong_one_of_a_known_key_rejects_the_note() -> (
    None
):
    note = _note(_W1)
    known = [_LOG.verifier(), _W1.verifier(COSIGNATURE)]
    assert [each.key.name for each in verify_note(note, known)] == ["whence/log", "witness-1"]
    assert verify_note(note, [_W2.verifier(COSIGNATURE)]) == []

    # A stranger with the log's name, or with its id: either alone is another key.
    stranger = SignerKey("whence/log", b"x" * 32)
    assert verify_note(_note(key=stranger), known) == []
    named = Signature("elsewhere", _LOG.verifier().key_id, bytes(64))
    assert verify_note(Note(note.text, (named, *note.signatures)), known)
    forged = Signature("whence/log", _LOG.verifier().key_id, bytes(64))
    with pytest.raises(ProofError, match="does not fit"):
        verify_note(Note(note.text, (forged, *note.signatures)), known)
    with pytest.raises(ProofError, match="does not fit"):
        verify_note(Note(note.text, (*note.signatures, forged)), known)


@pytest.mark.parametrize("raw", [b"", bytes(7), bytes(8), b"\xff" * 72, bytes(72)])
def test_a_witness_without_a_time_or_signature_rejects_the_note(raw: bytes) -> None:
    key = _W1.verifier(COSIGNATURE)
    with pytest.raises(ProofError):
        verify_note(Note("a\n", (Signature(key.name, key.key_id, raw),)), [key])


def test_a_witness_signs_its_time() -> None:
    key, signed = _W1.verifier(COSIGNATURE), cosign("a\n", _W1, 5)
    assert verify_note(Note("a\n", (signed,)), [key])[0].time_s == 5
    later = Signature(signed.name, signed.key_id, (6).to_bytes(8, "big") + signed.raw[8:])
    with pytest.raises(ProofError):
        verify_note(Note("a\n", (later,)), [key])


@pytest.mark.parametrize("text", ["", "a", "a\x01\n", "a\r\n", "\ud800\n"])
def test_a_text_that_could_not_be_read_back_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="note"):
        sign_note(text, [_LOG])


@given(st.integers(0, 10**4), st.integers(0, 7))
def test_no_flipped_bit_of_a_note_is_believed(at: int, bit: int) -> None:
    content = bytearray(str(_note(_W1, _W2)).encode())
    at %= len(content)
    content[at] ^= 1 << bit
    try:
        believed = believe(_POLICY, parse_note(bytes(content)))
    except (CorruptError, ProofError):
        return
    pytest.fail(f"believed {believed} with a bit flipped at {at}")


# -- checkpoints and numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "", "a\n1\n", "a\n1\nAAAA\n", "\n1\n" + "A" * 43 + "=\n", "a\n01\n" + "A" * 43 + "=\n",
        "a\n-1\n" + "A" * 43 + "=\n", "a\n+1\n" + "A" * 43 + "=\n", "a\n1\n" + "A" * 43 + "=",
        "a\n1\n" + "A" * 43 + "=\n\n", "a\n1\n" + "A" * 42 + "B=\n", "a\n1 \n" + "A" * 43 + "=\n",
        "a\n18446744073709551616\n" + "A" * 43 + "=\n", "a\n\u0661\n" + "A" * 43 + "=\n", "a\n\n1\n" + "A" * 43 + "=\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CorruptError):
        parse_checkpoint(text)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
    st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32),
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9), max_size=3),
)  # fmt: skip
def test_checkpoints_are_read_as_they_were_written(
    origin: str, size: int, root: bytes, extensions: list[str]
) -> None:
    checkpoint = Checkpoint(origin, size, Hash(root), tuple(extensions))

    assert parse_checkpoint(str(checkpoint)) == checkpoint


def test_numbers_are_written_one_way() -> None:
    assert parse_number("0") == 0
    assert parse_number("18446744073709551615") == 2**64 - 1


# -- policies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("witnesses", "is_enough"),
    [((), False), ((_W1,), False), ((_W1, _W2), True), ((_W2, _W3), True), ((_W1, _W2, _W3), True)],
)
def test_a_quorum_is_asked_for(witnesses: tuple[SignerKey, ...], is_enough: bool) -> None:
    note = _note(*witnesses)
    if is_enough:
        believed = believe(_POLICY, note)
        assert believed.checkpoint == _CHECKPOINT
        assert [each.time_s for each in believed.witnesses] == [1_700_000_000] * len(witnesses)
    else:
        with pytest.raises(ProofError, match="not the quorum two"):
            believe(_POLICY, note)


def test_a_witness_that_signs_twice_counts_once() -> None:
    text = str(_CHECKPOINT)
    note = sign_note(text, [_LOG], [cosign(text, _W1, 1), cosign(text, _W1, 2)])
    with pytest.raises(ProofError, match="not the quorum"):
        believe(_POLICY, note)


def test_another_log_or_key_is_not_believed() -> None:
    other = Checkpoint("whence/other", 300, _CHECKPOINT.root)
    with pytest.raises(ProofError, match="does not know"):
        believe(_POLICY, _note(_W1, _W2, text=str(other)))
    with pytest.raises(ProofError, match="not signed with a key"):
        believe(_POLICY, _note(_W1, _W2, key=SignerKey("whence/log", b"x" * 32)))


def test_groups_of_groups_and_none() -> None:
    lines = _POLICY_TEXT.replace("quorum two", "group both all two W4\nquorum both")
    fourth = SignerKey("witness-4", b"4" * 32)
    lines = lines.replace("group two", f"witness W4 {fourth.verifier(COSIGNATURE)}\ngroup two")
    policy = parse_policy(lines.encode())
    believe(policy, _note(_W1, _W2, fourth))
    with pytest.raises(ProofError):
        believe(policy, _note(_W1, _W2, _W3))
    believe(parse_policy(f"log {_LOG.verifier()}\nquorum none\n".encode()), _note())


_LOG_LINE = f"log {_LOG.verifier()}\n"
_W1_LINE = f"witness W1 {_W1.verifier(COSIGNATURE)}\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "0 quorum lines"), ("quorum none\nquorum none\n", "2 quorum lines"), ("quorum W1\n", "not defined above"),
        (f"quorum W1\n{_W1_LINE}", "not defined above"), (f"{_W1_LINE}{_W1_LINE}", "named twice"),
        (f"{_LOG_LINE}{_LOG_LINE}", "named twice"), (_LOG_LINE.replace("log ", "witness X "), "type 0x01"),
        (_W1_LINE.replace("witness W1", "log"), "type 0x04"), (f"{_W1_LINE}group g 2 W1\n", "wants 2 of 1"),
        (f"{_W1_LINE}group g 0 W1\n", "wants 0 of 1"), (f"{_W1_LINE}group g 01 W1\n", "not a number"),
        (f"{_W1_LINE}group g any W1 W1\n", "member that is one already"), (f"{_W1_LINE}group W1 any W1\n", "is taken"),
        (f"{_W1_LINE}group g any W1\ngroup h any W1\n", "member that is one already"), ("group g any\n", "not a line"),
        (f"{_W1_LINE}group none any W1\n", "is taken"), ("witness none x\n", "not a key"), ("nonsense\n", "line 1: not a line"),
        ("log x y z\n", "not a line"), ("\x01\n", "control character"), ("a\r\n", "control character"), ("\x7f", "control character"),
        (f"group g any none\n{_W1_LINE}", "not defined above"),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused_with_its_line(text: str, match: str) -> None:
    with pytest.raises(CorruptError, match=match):
        parse_policy(text.encode())


def test_names_are_bytes_to_a_policy() -> None:
    content = (
        _POLICY_TEXT.encode()
        .replace(b"W1", b"K")
        .replace(b"W2", "\u212a".encode())
        .replace(b"W3", b"\xff")
    )
    policy = parse_policy(content)

    assert len({each.name for each in policy.witnesses}) == 3
    believe(policy, _note(_W1, _W3))


# -- proofs ----------------------------------------------------------------------------------------


def _proof(index: int = 7, **fields: Any) -> ProofFile:
    return ProofFile(index, tuple(_TREE.inclusion(index, 300)), _note(_W1, _W2), **fields)


@pytest.mark.parametrize("extra", [None, b"", b"abc"])
def test_a_proof_is_read_as_it_was_written_and_holds(extra: bytes | None) -> None:
    proof = _proof(extra=extra)
    read = parse_proof(str(proof).encode())

    assert read == proof
    assert verify_entry(read, _ENTRIES[7], _POLICY).checkpoint.size == 300
    with pytest.raises(ProofError):
        verify_entry(read, _ENTRIES[8], _POLICY)


def test_the_only_entry_of_a_tree_has_an_empty_path() -> None:
    text = str(Checkpoint("whence/log", 1, hash_leaf(b"x")))
    proof = ProofFile(0, (), _note(_W1, _W2, text=text))

    verify_entry(parse_proof(str(proof).encode()), b"x", _POLICY)


@given(st.integers(0, 10**4), st.integers(0, 7))
def test_no_flipped_bit_of_a_proof_holds(at: int, bit: int) -> None:
    content = bytearray(str(_proof()).encode())
    at %= len(content)
    content[at] ^= 1 << bit
    with pytest.raises((CorruptError, ProofError)):
        verify_entry(parse_proof(bytes(content)), _ENTRIES[7], _POLICY)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("@v1", "@v2"), lambda text: text.replace("index 7", "index 07"),
        lambda text: text.replace("index 7\n", ""), lambda text: text.replace("index 7", "index 7 "),
        lambda text: text.replace("index", "extra ==\nindex"), lambda text: text.replace("\n\n", "\n", 1),
        lambda text: text.replace("index 7\n", "index 7\nAAAA\n"), lambda text: "\n" + text,
        lambda text: text.replace("index 7\n", "index 7\n" + (base64.b64encode(bytes(32)).decode() + "\n") * 65),
        lambda text: text[:40], lambda text: text.replace("@v1\n", "@v1\r\n"), lambda _: "",
    ],
)  # fmt: skip
def test_what_is_no_proof_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(CorruptError):
        parse_proof(change(str(_proof())).encode())


# -- tiles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"), (Tile(1, 5), "tile/1/005"), (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 1234067, 8), "tile/0/x001/x234/067.p/8"), (Tile(None, 1000), "tile/entries/x001/000"),
        (Tile(7, 0, 1), "tile/7/000.p/1"),
    ],
)  # fmt: skip
def test_tiles_have_the_names_of_the_specification(tile: Tile, path: str) -> None:
    assert format_tile(tile) == path
    assert parse_tile(path) == tile


@given(st.none() | st.integers(0, 7), st.integers(0, 2**56), st.integers(1, 256))
def test_tiles_are_read_as_they_were_written(level: int | None, number: int, width: int) -> None:
    assert parse_tile(format_tile(Tile(level, number, width))) == Tile(level, number, width)


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/8/000", "tile/00/000", "tile/-1/000",
        "tile/0/x000/000", "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p", "tile/0/000.p/",
        "tile/0/001/000", "tile/0/x001/x000", "tile/data/000", "/tile/0/000", "tile/0/../000", "tile/0/000/", "tile/0/\u0661\u0661\u0661",
        "tile/0/" + "x001/" * 9 + "000",
    ],
)  # fmt: skip
def test_what_names_no_tile_is_refused(path: str) -> None:
    with pytest.raises(CorruptError):
        parse_tile(path)


@pytest.mark.parametrize(
    ("size", "paths"),
    [
        (0, []), (1, ["tile/0/000.p/1", "tile/entries/000.p/1"]),
        (257, ["tile/0/000", "tile/0/001.p/1", "tile/entries/000", "tile/entries/001.p/1", "tile/1/000.p/1"]),
    ],
)  # fmt: skip
def test_a_tree_has_these_tiles(size: int, paths: list[str]) -> None:
    assert [format_tile(tile) for tile in tiles_of(size)] == paths


@given(st.lists(st.binary(max_size=40), max_size=9))
def test_bundles_are_read_as_they_were_written(entries: list[bytes]) -> None:
    assert decode_entries(encode_entries(entries)) == entries


@pytest.mark.parametrize("content", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x00\x00"])
def test_a_bundle_that_ends_too_early_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptError):
        decode_entries(content)


def test_an_entry_that_is_too_long_is_refused() -> None:
    assert decode_entries(encode_entries([bytes(65_535)])) == [bytes(65_535)]
    with pytest.raises(ValueError, match="more than 65535"):
        encode_entries([bytes(65_536)])


# -- all of them -----------------------------------------------------------------------------------

_likely = st.text(st.sampled_from("ab0 \n—+=/.px"), max_size=60).map(str.encode)


@given(st.binary(max_size=200) | _likely)
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    parsers: list[Callable[[], Policy | object]] = [
        lambda: parse_note(content), lambda: parse_policy(content), lambda: parse_proof(content),
        lambda: decode_entries(content), lambda: parse_checkpoint(text), lambda: parse_tile(text),
        lambda: parse_number(text), lambda: parse_proof(b"c2sp.org/tlog-proof@v1\nindex 0\n" + content),
        lambda: parse_note(b"text\n\n" + content), lambda: parse_policy(_POLICY_TEXT.encode() + content),
    ]  # fmt: skip
    for parse in parsers:
        try:
            parse()
        except CorruptError:
            continue
