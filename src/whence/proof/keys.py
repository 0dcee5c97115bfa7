"""Ed25519 keys by name, in the text forms of C2SP's signed-note, and their signatures.

| form | text |
|---|---|
| public | `<name>+<8 hex digits of the key id>+<base64 of type ‖ public key>` |
| private | `PRIVATE+KEY+<name>+<the same digits>+<base64 of 0x01 ‖ seed>` |

The key id is the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key); type 0x01 signs a note, 0x04 is that of
a witness, which signs the time besides. Pure but for the arithmetic of signatures. What is no key raises `CorruptError`, what does not verify `ProofError`.
"""

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from whence.errors import CorruptError, ProofError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519, COSIGNATURE = 0x01, 0x04

_KINDS = (ED25519, COSIGNATURE)
KEY_BYTES = 32

_SIGNATURE_BYTES, _ID_BYTES = 64, 4
_NAME_BYTES_MAX = 255
_TEXT_MAX = 1_000
_HEX = re.compile(r"[0-9a-fA-F]{8}", re.ASCII).fullmatch
_PRIVATE = "PRIVATE+KEY+"


class VerifierKey(msgspec.Struct, frozen=True):
    """Somebody's public key."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """Four bytes that, with the name, say which key signed. No hash to rely on."""
        described = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(described).digest()[:_ID_BYTES]

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raise ProofError unless the key's owner signed the message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if len(signature) != _SIGNATURE_BYTES:
            raise ProofError(f"signature has {len(signature)} bytes, want {_SIGNATURE_BYTES}")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise ProofError(f"signature of {self.name} does not fit") from error

    def __str__(self) -> str:
        packed = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{packed}"


class SignerKey:
    """A private key. Its text is nowhere but in `text`."""

    def __init__(self, name: str, seed: bytes) -> None:
        self.name = check_key_name(name)
        if len(seed) != KEY_BYTES:
            raise CorruptError(f"seed has {len(seed)} bytes, want {KEY_BYTES}")
        self._seed = seed

    @property
    def text(self) -> str:
        """The key as a file holds it: a secret."""
        packed = base64.b64encode(bytes([ED25519]) + self._seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier().key_id.hex()}+{packed}"

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""
        return self._private().sign(message)

    def verifier(self, kind: int = ED25519) -> VerifierKey:
        """The public key that goes with it."""
        return VerifierKey(self.name, self._private().public_key().public_bytes_raw(), kind)

    def _private(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed)

    def __repr__(self) -> str:
        return f"SignerKey({self.name!r})"


def parse_verifier(text: str) -> VerifierKey:
    """Read a public key's text."""
    name, key_id, packed = _split(text)
    if packed[0] not in _KINDS:
        raise CorruptError(f"key of {name} has type 0x{packed[0]:02x}, want 0x01 or 0x04")
    if len(packed) != 1 + KEY_BYTES:
        raise CorruptError(f"key of {name} has {len(packed) - 1} bytes, want {KEY_BYTES}")
    key = VerifierKey(name, packed[1:], packed[0])
    _check_id(key, key_id)
    return key


def parse_signer(text: str) -> SignerKey:
    """Read a private key's text."""
    if not text.startswith(_PRIVATE):
        raise CorruptError(f"it does not begin with {_PRIVATE}")
    name, key_id, packed = _split(text.removeprefix(_PRIVATE))
    if packed[0] != ED25519:
        raise CorruptError(f"key of {name} has type 0x{packed[0]:02x}, want 0x01")
    key = SignerKey(name, packed[1:])
    _check_id(key.verifier(), key_id)
    return key


def check_key_name(name: str) -> str:
    """Return a name that a key can have; CorruptError for one that is empty, or has a space, a plus or a control character."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise CorruptError("name of the key is no text") from error
    if not 0 < size <= _NAME_BYTES_MAX:
        raise CorruptError(f"name of the key has {size} bytes, want 1 to {_NAME_BYTES_MAX}")
    if any(each.isspace() or each == "+" or ord(each) < 0x20 or ord(each) == 0x7F for each in name):
        raise CorruptError(f"name of the key is {name!r}, want no space, plus or control character")
    return name


def decode_base64(text: str) -> bytes:
    """Read base64 as it is written one way only (RFC 4648, section 4); CorruptError for anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise CorruptError(f"not base64: {text[:60]!r}") from error
    if base64.b64encode(raw).decode() != text:
        raise CorruptError(f"not base64 as it is written: {text[:60]!r}")
    return raw


def _split(text: str) -> tuple[str, bytes, bytes]:
    parts = text.split("+", 2)
    if len(text) > _TEXT_MAX or len(parts) != 3:
        raise CorruptError("not a key: want name+id+base64")
    name, key_id, packed = parts
    if not _HEX(key_id):
        raise CorruptError(f"key id is {key_id[:20]!r}, want 8 hex digits")
    raw = decode_base64(packed)
    if not raw:
        raise CorruptError("key is empty")
    return check_key_name(name), bytes.fromhex(key_id), raw


def _check_id(key: VerifierKey, key_id: bytes) -> None:
    if key.key_id != key_id:
        raise CorruptError(f"key id of {key.name} is {key_id.hex()}, want {key.key_id.hex()}")
