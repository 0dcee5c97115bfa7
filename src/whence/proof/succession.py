"""Which key is a log's, as its journal tells: each new one is announced, signed by the one before it. Pure but for signatures.

A `key` event has `vkey`; one that takes another's place has `by`, the id of that one, and `signature`, its signature of the new
key's text. From the first checkpoint that has such an event on, the old key signs nothing more that is believed.
"""

import base64
from typing import Any, NamedTuple

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


class _Handover(NamedTuple):
    before: VerifierKey
    key: VerifierKey
    position: int


class Succession:
    """The keys of a log, one after the other."""

    def __init__(self, trusted: list[VerifierKey] | None = None) -> None:
        self._is_given = bool(trusted)
        self._trusted = list(trusted or ())
        # Every key that the journal names, believed or not.
        self._named: dict[str, VerifierKey] = {each.key_id.hex(): each for each in self._trusted}
        self._handovers: list[_Handover] = []

    def take(self, position: int, data: object) -> None:
        """Take the `key` event of a position. By the log's own word the first key is its; any later one has to be handed over."""
        if not isinstance(data, dict):
            return
        try:
            key = parse_verifier(str(data.get("vkey")))
        except CorruptError:
            return
        before = self._named.get(str(data.get("by")))
        self._named.setdefault(key.key_id.hex(), key)
        if "signature" not in data:
            if not self._is_given and not self._trusted:
                self._trusted.append(key)
        elif before is not None and _is_signed(before, key, data.get("signature")):
            self._handovers.append(_Handover(before, key, position))

    def keys_at(self, size: int) -> list[VerifierKey]:
        """The keys that a checkpoint of so many entries may be signed with: those that trust leads to, forth and back."""
        keys, retired = list(self._trusted), dict[VerifierKey, int]()
        for before, key, position in self._handovers:
            if before in keys and before not in retired:
                retired[before] = position
                keys.append(key)
        # Who trusts a new key believes what the one before signed until then.
        for before, key, position in reversed(self._handovers):
            if key in keys and before not in keys:
                keys.append(before)
                retired[before] = position
        return [
            each for each in dict.fromkeys(keys) if each not in retired or size <= retired[each]
        ]


def _is_signed(before: VerifierKey, key: VerifierKey, signature: object) -> bool:
    try:
        before.verify(_HEADER + str(key).encode(), decode_base64(str(signature)))
    except (CorruptError, ProofError):
        return False
    return True
