"""Keys in the text forms that others write, and everything that is no key refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.errors import CorruptError, ProofError
from whence.proof.keyring import make_signer
from whence.proof.keys import (
    COSIGNATURE,
    SignerKey,
    VerifierKey,
    check_key_name,
    decode_base64,
    parse_signer,
    parse_verifier,
)

_VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "notes" / "go-note.json").read_text(encoding="utf-8")
)
_names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="+"),
    min_size=1, max_size=40,
)  # fmt: skip


def test_the_keys_of_gos_documentation_sign_as_it_says() -> None:
    text, _, signatures = _VECTORS["note"].rpartition("\n\n")
    message = f"{text}\n".encode()
    packed = decode_base64(signatures.split()[-1])
    verifier, signer = parse_verifier(_VECTORS["verifier"]), parse_signer(_VECTORS["signer"])

    assert packed[:4] == verifier.key_id
    verifier.verify(message, packed[4:])
    assert signer.sign(message) == packed[4:]
    assert str(signer.verifier()) == str(verifier) == _VECTORS["verifier"]
    assert signer.text == _VECTORS["signer"]


@pytest.mark.parametrize("text", _VECTORS["other_verifiers"])
def test_keys_that_others_published_are_read_and_written_the_same(text: str) -> None:
    assert str(parse_verifier(text)) == text


@given(_names, st.binary(min_size=32, max_size=32))
def test_keys_are_read_as_they_were_written(name: str, seed: bytes) -> None:
    signer = SignerKey(name, seed)

    assert parse_signer(signer.text).sign(b"x") == signer.sign(b"x")
    for kind in (1, COSIGNATURE):
        key = signer.verifier(kind)
        assert parse_verifier(str(key)) == key


def test_a_private_key_is_shown_nowhere_by_accident() -> None:
    signer = make_signer("voter")

    assert signer.text not in f"{signer!r}{signer}{vars(type(signer))}"


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x01", "x" * 256, "\ud800"]
)
def test_a_name_that_could_be_read_as_something_else_is_refused(name: str) -> None:
    with pytest.raises(CorruptError, match="name of the key"):
        check_key_name(name)
    with pytest.raises(ValueError, match="name of the key"):
        make_signer(name)


_KEY = _VECTORS["verifier"]


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a+b", "a+b+c", _KEY[:-1], _KEY + "=", _KEY + " ", " " + _KEY, _KEY + "\n",
        _KEY.replace("c74f20a3", "c74f20a4"), _KEY.replace("c74f20a3", "c74f20a"),
        _KEY.replace("PeterNeumann", "peterneumann"), _KEY.replace("PeterNeumann", ""),
        _KEY.replace("+AR", "+AB"), _KEY.replace("+AR", "+BR"), "a+00000000+", "a+00000000+AQ==",
        "x" * 2000, _VECTORS["signer"],
    ],
)  # fmt: skip
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(CorruptError):
        parse_verifier(text)


@pytest.mark.parametrize(
    "text",
    [_KEY, "PRIVATE+KEY+", _VECTORS["signer"][:-2], _VECTORS["signer"].replace("+AY", "+BY"),
     _VECTORS["signer"].replace("c74f20a3", "c74f20a4"), "PRIVATE+KEY+a+00000000+AQ=="],
)  # fmt: skip
def test_what_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(CorruptError):
        parse_signer(text)


@given(st.text() | st.text("+aA0=", max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    for parse in (parse_verifier, parse_signer, decode_base64):
        try:
            parse(text)
        except CorruptError:
            continue


@given(st.integers(0, 511), st.integers(0, 7))
def test_no_flipped_bit_of_a_signature_or_message_verifies(at: int, bit: int) -> None:
    signer = SignerKey("n", bytes(32))
    message = b"one message" * 6
    signature = signer.sign(message)
    verifier = signer.verifier()
    verifier.verify(message, signature)
    changed = [bytearray(message), bytearray(signature)]
    for part in changed:
        part[at % len(part)] ^= 1 << bit
    with pytest.raises(ProofError):
        verifier.verify(bytes(changed[0]), signature)
    with pytest.raises(ProofError):
        verifier.verify(message, bytes(changed[1]))


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_what_is_no_signature_does_not_verify(signature: bytes) -> None:
    with pytest.raises(ProofError):
        SignerKey("n", bytes(32)).verifier().verify(b"m", signature)
    with pytest.raises(ProofError):
        VerifierKey("n", b"short").verify(b"m", bytes(64))
