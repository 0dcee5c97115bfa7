"""Votes that their voters signed, so that nobody else can have cast them.

    gate.sign("constitutional", True, key=key)              # where the voter's key is here
    statement = gate.statement("constitutional", True)      # or: sign this elsewhere, and then
    gate.vote("constitutional", True, signature=key.sign(statement))

What is signed names the gate, the action, the subject as it was recorded, the voter, the vote and its reason, so a
signature fits no other decision, voter or vote. Keys have the text forms of `whence.proof.keys`; a key's name is
its voter's.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from whence.decisions.decision import SIGNATURE, Decision, votes_of
from whence.decisions.rules import fold_name
from whence.errors import CorruptError, ProofError
from whence.proof.keyring import make_signer
from whence.proof.keys import SignerKey, VerifierKey, decode_base64, parse_verifier

__all__ = [
    "SignerKey",
    "State",
    "VerifierKey",
    "VoteCheck",
    "digest_subject",
    "find_repeated",
    "make_signer",
    "parse_keys",
    "state_vote",
    "verify_votes",
]

State = Literal["valid", "invalid", "unsigned", "unknown"]
"""`unknown`: signed, and no key of that voter is trusted. `invalid`: the voter's trusted key did not sign this."""

_HEADER = b"whence vote v1\n"
_MARKS = frozenset(["$marks"])
"""What a record has of its own among the votes."""


class VoteCheck(msgspec.Struct, frozen=True):
    """What is to be said of one vote's signature."""

    voter: str
    passed: bool | None
    state: State


def state_vote(
    gate: str, action: object, subject_digest: str, voter: str, passed: bool, reason: str
) -> bytes:
    """What a voter signs. JSON, so that nothing can move from one field to the next."""
    fields = [gate, action, subject_digest, voter, passed, reason]
    return _HEADER + _canonical(fields)


def digest_subject(subject: object) -> str:
    """SHA-256 of a subject as it was recorded, in hex: its JSON with sorted keys and no spaces, in UTF-8."""
    return hashlib.sha256(_canonical(subject)).hexdigest()


def parse_keys(lines: Iterable[str]) -> dict[str, list[VerifierKey]]:
    """Read trusted keys, one a line, by voter; empty lines and those with `#` in front are left out.

    Raises:
        CorruptError: a line is no key; it says which.
    """
    found: dict[str, list[VerifierKey]] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            key = parse_verifier(text)
        except CorruptError as error:
            raise CorruptError(f"line {number}: {error}") from error
        found.setdefault(key.name, []).append(key)
    return found


def verify_votes(
    decision: Decision, trusted: Mapping[str, Iterable[VerifierKey]]
) -> list[VoteCheck]:
    """Tell of each vote of a recorded decision whether its voter signed it."""
    digest = digest_subject(decision.subject)
    by_name: dict[str, list[VerifierKey]] = {}
    for name, keys in trusted.items():
        by_name.setdefault(fold_name(name), []).extend(keys)
    return [
        _check(decision, digest, voter, vote, by_name.get(fold_name(voter), []))
        if voter is not None
        # Nobody can have signed what nobody cast.
        else VoteCheck("?", None, "invalid")
        for voter, vote in votes_of(decision.votes)
        if voter not in _MARKS
    ]


def find_repeated(decisions: Iterable[Decision]) -> set[str]:
    """The gates that decided more than once: signatures of one were recorded again."""
    seen: set[str] = set()
    repeated: set[str] = set()
    for decision in decisions:
        if decision.gate is not None:
            (repeated if decision.gate in seen else seen).add(decision.gate)
    return repeated


def _check(
    decision: Decision, digest: str, voter: str, vote: Any, keys: list[VerifierKey]
) -> VoteCheck:
    said = vote if isinstance(vote, Mapping) else {}
    passed, reason, signature = said.get("passed"), said.get("reason", ""), said.get(SIGNATURE)
    is_told = isinstance(passed, bool) and isinstance(reason, str)
    known = passed if isinstance(passed, bool) else None
    if signature is None:
        # Whose key is known votes with a signature, or not at all: somebody took it away.
        return VoteCheck(voter, known, "invalid" if keys else "unsigned")
    if not keys:
        return VoteCheck(voter, known, "unknown")
    if not is_told or not isinstance(signature, str) or decision.gate is None:
        return VoteCheck(voter, known, "invalid")
    statement = state_vote(decision.gate, decision.action, digest, voter, bool(passed), reason)
    try:
        raw = decode_base64(signature)
    except CorruptError:
        return VoteCheck(voter, known, "invalid")
    fits = any(_fits(key, statement, raw) for key in keys)
    return VoteCheck(voter, known, "valid" if fits else "invalid")


def _fits(key: VerifierKey, statement: bytes, signature: bytes) -> bool:
    try:
        key.verify(statement, signature)
    except ProofError:
        return False
    return True


def _canonical(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")
