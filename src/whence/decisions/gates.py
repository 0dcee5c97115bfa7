"""A gate that cannot be walked around: what is approved is on disk before anything follows from it.

    with whence.decisions.gate("upgrade_proposal", subject, rule="2 of 3") as gate:
        gate.vote("constitutional", True)
        gate.vote("local_probe", True)
    # Here only if it was approved and the record is on disk.

`gate.decide()` inside the block decides there; a refusal that is caught inside is raised again at the end of
the block. Work that is done in `with gate.execution():` and undone by `gate.rollback(reason)` is linked to the decision as
its effects.
"""

import base64
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from whence.decisions.decision import SIGNATURE
from whence.decisions.record import record
from whence.decisions.refusal import DecisionRefused
from whence.decisions.rules import (
    Rule,
    Ruling,
    Vote,
    check_name,
    check_rule,
    expected_by,
    fold_name,
    judge,
    parse_rule,
)
from whence.errors import ProofError, StoreError
from whence.event import decode_json
from whence.log import Log, default

if TYPE_CHECKING:
    from whence.proof.keys import SignerKey, VerifierKey

PRIMITIVE = "gate"
EXECUTE, ROLLBACK = "execute", "rollback"


class Gate:
    """One decision while it is made, by the process that opened it. Voters may vote from several threads; decide once.

    What is decided on are the action and the subject as they were when the gate was opened: what changed meanwhile is refused.
    """

    def __init__(
        self,
        action: str,
        subject: Any,
        *,
        rule: Rule | str = "all",
        voters: Collection[str] | None = None,
        minimum: int = 1,
        keys: "Collection[VerifierKey | str]" = (),
        log: Log | None = None,
        agent: str | None = None,
    ) -> None:
        if type(minimum) is not int or minimum < 1:
            raise ValueError(f"minimum is {minimum!r}, want at least 1")
        self.id = uuid.uuid4().hex
        self.action = action
        self.subject = subject
        self._rule = parse_rule(rule)
        self._voters = None if voters is None else tuple(map(check_name, voters))
        self._minimum = minimum
        check_rule(self._rule, self._voters, minimum)
        self._log = log
        self._agent = agent
        self._keys = _by_voter(keys)
        self._process = os.getpid()
        self._shown = self._digest()
        # The lock guards the votes and what was decided.
        self._lock = threading.RLock()
        self._votes: dict[str, Vote] = {}
        self._signatures: dict[str, str] = {}
        self._ruling: Ruling | None = None
        self._refusal: DecisionRefused | None = None
        self.decision_id: str | None = None
        self.execution_id: str | None = None

    @property
    def approved(self) -> bool:
        """Whether it was approved and the record is on disk."""
        return self.decision_id is not None and self._ruling is not None and self._ruling.approved

    def vote(
        self, name: str, passed: bool, reason: str = "", *, signature: bytes | None = None
    ) -> None:
        """Cast the vote of one voter, with the voter's signature of `statement` if there is one.

        A voter whose key is among `keys` votes with a signature that fits, or not at all.

        Raises:
            TypeError: `passed` is no bool: what merely counts as true is no approval.
            ValueError: the voter voted already or may not vote, or it is decided.
            ProofError: the signature is missing or does not fit.
            DecisionRefused: this is a forked child of the process that opened the gate.
        """
        self._check_process()
        check_name(name)
        if not isinstance(passed, bool):
            raise TypeError(f"passed is {type(passed).__name__}, want bool")
        if not isinstance(reason, str):
            raise TypeError(f"reason is {type(reason).__name__}, want str")
        if not isinstance(signature, bytes | None):
            raise TypeError(f"signature is {type(signature).__name__}, want bytes")
        with self._lock:
            if self._ruling is not None:
                raise ValueError(f"{name} votes after the decision")
            if name in self._votes:
                raise ValueError(f"{name} voted already")
            self._check_spelling(name)
            votes = {**self._votes, name: Vote(passed, reason)}
            judge(self._rule, votes, voters=self._voters, minimum=self._minimum)
            self._check_signature(name, passed, reason, signature)
            self._votes = votes
            if signature is not None:
                self._signatures[name] = base64.b64encode(signature).decode()

    def statement(self, name: str, passed: bool, reason: str = "") -> bytes:
        """What a voter signs, wherever its key is. See `whence.decisions.signatures`."""
        from whence.decisions.signatures import digest_subject, state_vote

        recorded = self._record_of({"action": self.action, "subject": self.subject})
        kept = self._record_of({"votes": {name: {"passed": passed, "reason": reason}}})
        if kept != {"votes": {name: {"passed": passed, "reason": reason}}}:
            raise ValueError("the record would not keep this vote as it is, so none could check it")
        return state_vote(
            self.id, recorded["action"], digest_subject(recorded["subject"]), name, passed, reason
        )

    def sign(self, name: str, passed: bool, reason: str = "", *, key: "SignerKey") -> None:
        """Cast a vote and sign it with the voter's key. Raises what `vote` does."""
        self.vote(name, passed, reason, signature=key.sign(self.statement(name, passed, reason)))

    def _check_spelling(self, name: str) -> None:
        """Refuse a voter who is one already in another spelling: a quorum counts who votes, not how they are written."""
        folded = fold_name(name)
        for other in (*self._votes, *self._keys, *(self._voters or ()), *expected_by(self._rule)):
            if other != name and fold_name(other) == folded:
                raise ValueError(f"{name!r} is {other!r} in another spelling")

    def _check_signature(
        self, name: str, passed: bool, reason: str, signature: bytes | None
    ) -> None:
        keys = self._keys.get(name)
        if not keys:
            return
        if signature is None:
            raise ProofError(f"{name} votes without a signature")
        statement = self.statement(name, passed, reason)
        for key in keys:
            with suppress(ProofError):
                key.verify(statement, signature)
                return
        raise ProofError(f"signature of {name} does not fit this vote")

    def decide(self) -> str:
        """Judge the votes and keep the decision; return its event's id, which is on disk, if it is an approval.

        Raises:
            DecisionRefused: the votes are not enough, or the record could not be kept.
        """
        self._check_process()
        with self._lock:
            if self._ruling is not None:
                raise ValueError("it is decided already")
            # From here on nobody votes. Until the record is on disk nothing is approved.
            self._ruling = self._judge()
            try:
                self._keep(self._ruling)
                if not self._ruling.approved:
                    raise DecisionRefused(self._ruling.reason, self.decision_id, self._said())
            except DecisionRefused as refusal:
                self._refusal = refusal
                raise
            assert self.decision_id is not None
            return self.decision_id

    def _judge(self) -> Ruling:
        if self._digest() != self._shown:
            return Ruling(False, "the subject or the action changed while it was voted on")
        return judge(self._rule, self._votes, voters=self._voters, minimum=self._minimum)

    def _digest(self) -> bytes:
        """What is decided on, as the record would have it."""
        payloads = (self._log or default()).recorder.payloads
        shown = {"action": self.action, "subject": self.subject}
        return hashlib.sha256(payloads.encode(shown)).digest()

    def _record_of(self, data: dict[str, Any]) -> dict[str, Any]:
        """Data as the record has it, without its marks."""
        kept = decode_json((self._log or default()).recorder.payloads.encode(data))
        return {name: kept[name] for name in data}

    def _check_process(self) -> None:
        """Refuse a forked child, before it waits for a lock that nobody here holds."""
        if os.getpid() != self._process:
            raise DecisionRefused("the gate was opened by another process, which alone decides")

    @contextmanager
    def execution(self) -> Iterator[str]:
        """Do what was approved inside the block: what is recorded there is caused by the decision.

        Raises:
            DecisionRefused: it is not approved, or that it begins could not be kept.
        """
        self._check_process()
        if not self.approved:
            raise DecisionRefused("it is not approved", self.decision_id, self._said())
        log = self._log or default()
        try:
            began = log.emit(
                PRIMITIVE, EXECUTE, agent=self._agent, parent=self.decision_id,
                data={"gate": self.id, "action": self.action, "phase": "began"}, durability="disk",
            )  # fmt: skip
        except StoreError as error:
            raise DecisionRefused(
                f"the record could not be kept: {error}", self.decision_id, self._said()
            ) from error
        self.execution_id = began
        since, status = time.monotonic_ns(), "error"
        try:
            with log.cause(began):
                yield began
            status = "success"
        finally:
            log.emit(
                PRIMITIVE, EXECUTE, agent=self._agent, parent=began,
                status="success" if status == "success" else "error",
                duration=time.monotonic_ns() - since,
                data={"gate": self.id, "action": self.action, "phase": "ended"},
            )  # fmt: skip

    def rollback(self, reason: str = "") -> str:
        """Record that what was approved was taken back; return the event's id.

        Raises:
            ValueError: nothing was approved.
            StoreError: it could not be kept on disk.
        """
        self._check_process()
        if not self.approved:
            raise ValueError("nothing was approved that could be taken back")
        links = [self.execution_id] if self.execution_id is not None else []
        return (self._log or default()).emit(
            PRIMITIVE, ROLLBACK, agent=self._agent, parent=self.decision_id, links=links,
            data={"gate": self.id, "action": self.action, "reason": reason}, durability="disk",
        )  # fmt: skip

    def _keep(self, ruling: Ruling) -> None:
        try:
            self.decision_id = record(
                self._log or default(), self.action, ruling.approved, self._said(), self.subject,
                ruling.reason, agent=self._agent, gate=self.id,
            )  # fmt: skip
        except Exception as error:
            reason = f"the record could not be kept: {error}"
            raise DecisionRefused(reason, None, self._said()) from error

    def _said(self) -> dict[str, Any]:
        return {
            name: {"passed": vote.passed, "reason": vote.reason}
            | ({SIGNATURE: self._signatures[name]} if name in self._signatures else {})
            for name, vote in self._votes.items()
        }

    def __enter__(self) -> Self:
        if self._ruling is not None:
            raise ValueError("it is decided already")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._check_process()
            if self._ruling is None:
                self.decide()
            if self._refusal is not None:
                # Somebody caught it inside the block: what stands behind the block must not run.
                raise self._refusal
            return
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._ruling is None:
                # Whatever was voted: it ended before it was decided. The error goes on unchanged.
                self._ruling = Ruling(False, f"{kind.__name__}: {error}")
                try:
                    self._keep(self._ruling)
                except DecisionRefused as refused:
                    if error is not None:
                        error.add_note(f"and the refusal was not recorded: {refused}")


def _by_voter(keys: "Collection[VerifierKey | str]") -> "dict[str, list[VerifierKey]]":
    if not keys:
        return {}
    from whence.decisions.signatures import parse_keys

    return parse_keys(map(str, keys))


gate = Gate
"""As the seed's callers write it: `with gate(action, subject) as gate:`."""
