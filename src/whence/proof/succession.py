"""Which key is a log's, as its journal tells: each new one is announced, signed by the one before it. Pure but for signatures.

A `key` event has `vkey`; one that takes another's place has `by`, the id of that one, and `signature`, its signature of the new
key's text. From the first checkpoint that has such an event on, the old key signs nothing more that is believed.
"""

import base64
from typing import Any

from whence.errors import CorruptError, ProofError
from whence.proof.keys import SignerKey, VerifierKey, decode_base64, parse_verifier

_HEADER = b"whence key v1\n"


def announce(key: VerifierKey, before: SignerKey | None = None) -> dict[str, Any]:
    """What a `key` event says of a new key, and of the one whose place it takes."""
    told: dict[str, Any] = {"vkey": str(key)}
    if before is not None:
        told["by"] = before.verifier().key_id.hex()
        told["signature"] = base64.b64encode(before.sign(_HEADER + str(key).encode())).decode()
    return told


class Succession:
    """The keys of a log, one after the other."""

    def __init__(self, trusted: list[VerifierKey] | None = None) -> None:
        self._is_given = bool(trusted)
        self._keys = list(trusted or ())
        self._retired: list[tuple[VerifierKey, int]] = []

    def take(self, position: int, data: object) -> None:
        """Take the `key` event of a position. By the log's own word the first key is its; any later one has to be handed over."""
        if not isinstance(data, dict):
            return
        try:
            key = parse_verifier(str(data.get("vkey")))
        except CorruptError:
            return
        if "signature" not in data:
            if not self._is_given and not self._keys:
                self._keys.append(key)
            return
        for before in self._keys:
            if before.key_id.hex() == data.get("by") and _is_signed(
                before, key, data.get("signature")
            ):
                self._retired.append((before, position))
                self._keys = [each for each in self._keys if each != before]
                if key not in self._keys:
                    self._keys.append(key)
                return

    def keys_at(self, size: int) -> list[VerifierKey]:
        """The keys that a checkpoint of so many entries may be signed with."""
        earlier = [key for key, position in self._retired if size <= position]
        return [*self._keys, *earlier]


def _is_signed(before: VerifierKey, key: VerifierKey, signature: object) -> bool:
    try:
        before.verify(_HEADER + str(key).encode(), decode_base64(str(signature)))
    except (CorruptError, ProofError):
        return False
    return True
