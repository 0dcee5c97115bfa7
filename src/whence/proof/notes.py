"""Signed notes: a text and who signed it, after C2SP's signed-note. Pure but for the arithmetic of signatures.

    <text, ending in a newline>
    <an empty line>
    — <name> <base64 of key id ‖ signature>        one line or more

Notes come from others, so whatever they hold raises `CorruptError` or `ProofError` and nothing else. Signatures of keys that are not
known are ignored; one of a known key that does not fit rejects the note.
"""

import base64
from collections.abc import Collection, Iterable

import msgspec

from whence.errors import CorruptError, ProofError
from whence.proof.keys import (
    COSIGNATURE,
    ED25519,
    SignerKey,
    VerifierKey,
    check_key_name,
    decode_base64,
)

SIGNATURES_MAX = 100
NOTE_BYTES_MAX = 1_000_000

_DASH = "\N{EM DASH} "
_ID_BYTES, _TIME_BYTES = 4, 8
_TIME_MAX = 2**63 - 1


class Signature(msgspec.Struct, frozen=True):
    """Whose signature it is said to be, and its bytes."""

    name: str
    key_id: bytes
    raw: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.raw).decode()}\n"


class Note(msgspec.Struct, frozen=True):
    """A text with its last newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"


class Cosigned(msgspec.Struct, frozen=True):
    """A key whose signature fits, and when a witness says it signed: seconds since 1970, None for others."""

    key: VerifierKey
    time_s: int | None = None


def parse_note(content: bytes) -> Note:
    """Read a note without believing it; CorruptError for what is none."""
    if len(content) > NOTE_BYTES_MAX:
        raise CorruptError(f"note has {len(content):,} bytes, want no more than {NOTE_BYTES_MAX:,}")
    try:
        whole = content.decode()
    except UnicodeDecodeError as error:
        raise CorruptError("note is not UTF-8") from error
    _check_characters(whole)
    text, parted, lines = whole.rpartition("\n\n")
    if not parted or not lines.endswith("\n"):
        raise CorruptError("not a note: no empty line before its signatures, or none after them")
    rows = lines[:-1].split("\n")
    if len(rows) > SIGNATURES_MAX:
        raise CorruptError(f"note has {len(rows)} signatures, want no more than {SIGNATURES_MAX}")
    return Note(f"{text}\n", tuple(map(parse_signature, rows)))


def parse_signature(line: str) -> Signature:
    """Read a line of a signature, without its newline."""
    name, _, packed = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not packed:
        raise CorruptError(f"not a signature: {line[:60]!r}")
    raw = decode_base64(packed)
    if len(raw) <= _ID_BYTES:
        raise CorruptError(f"signature of {name[:60]!r} is empty")
    return Signature(check_key_name(name), raw[:_ID_BYTES], raw[_ID_BYTES:])


def sign_note(text: str, keys: Iterable[SignerKey], others: Collection[Signature] = ()) -> Note:
    """Sign a text; ValueError for one that could not be read back as it is."""
    if not text.endswith("\n"):
        raise ValueError("text of a note does not end in a newline")
    try:
        _check_characters(text)
    except CorruptError as error:
        raise ValueError(str(error)) from error
    message = text.encode()
    signed = [Signature(key.name, key.verifier().key_id, key.sign(message)) for key in keys]
    if not 0 < len(signed) + len(others) <= SIGNATURES_MAX:
        raise ValueError(
            f"note has {len(signed) + len(others)} signatures, want 1 to {SIGNATURES_MAX}"
        )
    return Note(text, (*signed, *others))


def cosign(text: str, key: SignerKey, time_s: int) -> Signature:
    """A witness' signature, which says when."""
    stamp = time_s.to_bytes(_TIME_BYTES, "big")
    return Signature(
        key.name,
        key.verifier(COSIGNATURE).key_id,
        stamp + key.sign(_cosigned_message(text, time_s)),
    )


def verify_note(note: Note, keys: Collection[VerifierKey]) -> list[Cosigned]:
    """Tell which of the keys signed a note; none may be a valid answer for the caller to judge.

    Raises:
        ProofError: a signature of one of the keys does not fit.
    """
    found: list[Cosigned] = []
    for signature in note.signatures:
        for key in keys:
            if (key.name, key.key_id) == (signature.name, signature.key_id):
                cosigned = _verify(note.text, key, signature)
                if all(cosigned.key != other.key for other in found):
                    found.append(cosigned)
    return found


def _verify(text: str, key: VerifierKey, signature: Signature) -> Cosigned:
    if key.kind == ED25519:
        key.verify(text.encode(), signature.raw)
        return Cosigned(key)
    stamp, raw = signature.raw[:_TIME_BYTES], signature.raw[_TIME_BYTES:]
    time_s = int.from_bytes(stamp, "big")
    if len(stamp) != _TIME_BYTES or time_s > _TIME_MAX:
        raise ProofError(f"signature of {key.name} has no time")
    key.verify(_cosigned_message(text, time_s), raw)
    return Cosigned(key, time_s)


def _cosigned_message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _check_characters(text: str) -> None:
    for each in text:
        if ord(each) < 0x20 and each != "\n":
            raise CorruptError(f"note holds the control character U+{ord(each):04X}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorruptError("note holds a lone surrogate") from error
