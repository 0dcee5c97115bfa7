"""Whom to believe: which logs, which witnesses, and how many of them; C2SP's tlog-policy. Pure.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>…
    quorum <name>|none

A group and the quorum name what stands above them. A checkpoint is believed if one of the logs signed it and the quorum
of witnesses did.
"""

from collections.abc import Collection

import msgspec

from whence.errors import CorruptError, ProofError
from whence.proof.checkpoints import Checkpoint, parse_checkpoint, parse_number
from whence.proof.keys import COSIGNATURE, ED25519, VerifierKey, parse_verifier
from whence.proof.notes import Cosigned, Note, verify_note

POLICY_BYTES_MAX = 1_000_000

_NONE = "none"


class Log(msgspec.Struct, frozen=True):
    """A log whose checkpoints are believed."""

    key: VerifierKey
    url: str | None = None


class Witness(msgspec.Struct, frozen=True):
    """A witness, by the name that groups use."""

    name: str
    key: VerifierKey
    url: str | None = None


class Group(msgspec.Struct, frozen=True):
    """At least `least` of the members must have signed."""

    name: str
    least: int
    members: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True):
    """Whom to believe. `quorum` is the name of a witness or group, None where no witness is asked."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str | None

    def is_witnessed(self, keys: Collection[VerifierKey]) -> bool:
        """Whether these witnesses' signatures are enough."""
        if self.quorum is None:
            return True
        signed = {each.name for each in self.witnesses if each.key in keys}
        for group in self.groups:
            if len(signed.intersection(group.members)) >= group.least:
                signed.add(group.name)
        return self.quorum in signed


class Believed(msgspec.Struct, frozen=True):
    """A checkpoint that a policy believes, by whose word."""

    checkpoint: Checkpoint
    log: VerifierKey
    witnesses: tuple[Cosigned, ...]


def believe(policy: Policy, note: Note) -> Believed:
    """Tell what a note says, if the policy believes it.

    Raises:
        CorruptError: it is no checkpoint.
        ProofError: no log of the policy signed it, a signature does not fit, or too few witnesses signed.
    """
    checkpoint = parse_checkpoint(note.text)
    logs = [each.key for each in policy.logs if each.key.name == checkpoint.origin]
    if not logs:
        raise ProofError(f"checkpoint is of {checkpoint.origin}, which the policy does not know")
    signed = verify_note(note, [*logs, *(each.key for each in policy.witnesses)])
    by = next((each.key for each in signed if each.key in logs), None)
    if by is None:
        raise ProofError(
            f"checkpoint of {checkpoint.origin} is not signed with a key of the policy"
        )
    witnesses = tuple(each for each in signed if each.key not in logs)
    if not policy.is_witnessed([each.key for each in witnesses]):
        raise ProofError(
            f"{len(witnesses)} witnesses signed it, which is not the quorum {policy.quorum}"
        )
    return Believed(checkpoint, by, witnesses)


def parse_policy(content: bytes) -> Policy:
    """Read a policy; CorruptError names the line that is wrong."""
    if len(content) > POLICY_BYTES_MAX:
        raise CorruptError(
            f"policy has {len(content):,} bytes, want no more than {POLICY_BYTES_MAX:,}"
        )
    if any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in content):
        raise CorruptError("policy holds a control character")
    reading = _Reading()
    # Names are bytes to the policy: what is not ASCII is kept as it is.
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), start=1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            try:
                reading.take(words)
            except CorruptError as error:
                raise CorruptError(f"line {number}: {error}") from error
    return reading.finish()


class _Reading:
    """A policy so far."""

    def __init__(self) -> None:
        self._logs: list[Log] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._names: set[str] = set()
        self._quorums: list[str | None] = []

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                key = _read_key(vkey, ED25519, [each.key for each in self._logs])
                self._logs.append(Log(key, *url))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                key = _read_key(vkey, COSIGNATURE, [each.key for each in self._witnesses])
                self._witnesses.append(Witness(self._new(name), key, *url))
            case ["group", name, least, *members] if members:
                self._groups.append(self._read_group(name, least, members))
            case ["quorum", name]:
                if name != _NONE:
                    self._check_known(name)
                self._quorums.append(None if name == _NONE else name)
            case _:
                raise CorruptError(f"not a line of a policy: {' '.join(words)[:60]!r}")

    def finish(self) -> Policy:
        if len(self._quorums) != 1:
            raise CorruptError(f"policy has {len(self._quorums)} quorum lines, want one")
        return Policy(
            tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorums[0]
        )

    def _read_group(self, name: str, least: str, members: list[str]) -> Group:
        for member in members:
            self._check_known(member)
        if len(set(members)) != len(members) or any(
            set(members).intersection(group.members) for group in self._groups
        ):
            raise CorruptError(f"group {name} has a member that is one already")
        number = {"all": len(members), "any": 1}.get(least)
        number = parse_number(least) if number is None else number
        if not 1 <= number <= len(members):
            raise CorruptError(f"group {name} wants {number} of {len(members)}")
        return Group(self._new(name), number, tuple(members))

    def _new(self, name: str) -> str:
        if name in self._names or name == _NONE:
            raise CorruptError(f"name {name!r} is taken")
        self._names.add(name)
        return name

    def _check_known(self, name: str) -> None:
        if name not in self._names:
            raise CorruptError(f"{name!r} is not defined above")


def _read_key(text: str, kind: int, known: list[VerifierKey]) -> VerifierKey:
    try:
        key = parse_verifier(text)
    except UnicodeEncodeError as error:
        raise CorruptError("key is no text") from error
    if key.kind != kind:
        raise CorruptError(f"key of {key.name} has type 0x{key.kind:02x}, want 0x{kind:02x}")
    if any(each.public == key.public for each in known):
        raise CorruptError(f"key of {key.name} is named twice")
    return key
