"""Asks witnesses to sign a checkpoint, by C2SP's tlog-witness: each sees that the log only grew since it last looked.

A witness that has seen more of this log than its signer ever signed is an alarm: the signer was put back to an older copy, or
somebody else signs with its key.
"""

import base64
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple

from whence.errors import CorruptError, ProofError, StoreError, WhenceError
from whence.proof.checkpoints import Checkpoint, parse_number
from whence.proof.notes import Note, Signature, parse_signature, verify_note
from whence.proof.policies import Policy, Witness
from whence.proof.sealing import RollbackError
from whence.proof.tree import Hash

_TRIES = 4
_TIMEOUT_S = 10.0
_ALL_TIMEOUT_S = 15.0
_AHEAD_S = 300.0
_ANSWER_MAX = 64 * 1024

_logger = logging.getLogger("whence.proof")


class Answer(NamedTuple):
    """What a witness answered."""

    status: int
    body: str


class Refusal(ProofError):  # noqa: N818 it is an answer
    """A witness did not sign, and said why."""


Post = Callable[[str, bytes], Answer]
Prove = Callable[[int, int], list[Hash]]
"""Proves that the tree of one size begins with that of another."""


def post(url: str, body: bytes) -> Answer:
    """Send a request to a witness; StoreError if there is no answer."""
    if not url.startswith(("http://", "https://")):
        raise StoreError(f"witness at {url!r}: want http or https")
    try:
        request = urllib.request.Request(
            f"{url.rstrip('/')}/add-checkpoint", data=body, headers={"Content-Type": "text/plain"}
        )
        with _opener.open(request, timeout=_TIMEOUT_S) as response:
            return Answer(response.status, response.read(_ANSWER_MAX).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(_ANSWER_MAX).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StoreError(f"witness at {url}: {error}") from error


def ask_all(
    policy: Policy, note: Note, checkpoint: Checkpoint, prove: Prove, *, post: Post = post
) -> tuple[list[Signature], list[RollbackError]]:
    """Ask the witnesses of a policy that have an address, all at once; give the signatures that came in time, and the alarms.

    What one of them says or does not say keeps nobody from asking the others. Those that did not sign are logged.
    """
    answers: SimpleQueue[tuple[list[Signature], list[RollbackError]]] = SimpleQueue()
    asked = [witness for witness in policy.witnesses if witness.url is not None]

    def ask_one(witness: Witness) -> None:
        found: list[Signature] = []
        alarms: list[RollbackError] = []
        try:
            found = ask(witness, note, checkpoint, prove, post=post)
        except RollbackError as error:
            alarms.append(error)
        except (WhenceError, OSError, ValueError) as error:
            _logger.warning("witness %s did not sign: %s", witness.name, error)
        finally:
            answers.put((found, alarms))

    for witness in asked:
        # Not those of a pool, which the end of a program waits for: a witness may never come to an end.
        Thread(target=ask_one, args=(witness,), name=f"whence-{witness.name}", daemon=True).start()
    signatures: list[Signature] = []
    raised: list[RollbackError] = []
    until = time.monotonic() + _ALL_TIMEOUT_S
    for missing in range(len(asked), 0, -1):
        try:
            found, alarms = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            _logger.warning("%s of the witnesses did not answer in time", missing)
            break
        signatures += found
        raised += alarms
    return signatures, raised


def ask(
    witness: Witness, note: Note, checkpoint: Checkpoint, prove: Prove, *, post: Post = post
) -> list[Signature]:
    """Ask one witness to sign.

    Raises:
        StoreError: it gave no answer. Refusal: it did not sign. ProofError, CorruptError: what it sent does not fit.
        RollbackError: it has seen more than was signed here, or another history.
    """
    if witness.url is None:
        raise StoreError(f"witness {witness.name} has no address")
    old = 0
    for _ in range(_TRIES):
        proof = prove(old, checkpoint.size) if 0 < old < checkpoint.size else []
        answer = post(witness.url, format_request(old, proof, note))
        if answer.status == 200:
            return _read_signatures(witness, note, answer.body)
        if answer.status == 422 and old:
            # It is asked from where it says that it stands, with a proof that holds here.
            raise RollbackError(
                f"witness {witness.name} knows another history of {checkpoint.origin}: {_clean(answer.body)}"
            )
        if answer.status != 409:
            raise Refusal(f"{witness.name} answered {answer.status}: {_clean(answer.body)}")
        try:
            seen = parse_number(answer.body.strip())
        except CorruptError:
            # No size is no evidence of anything.
            raise Refusal(f"{witness.name} answered 409: {_clean(answer.body)}") from None
        if seen > checkpoint.size:
            raise RollbackError(
                f"witness {witness.name} has seen {seen:,} entries of {checkpoint.origin},"
                f" and {checkpoint.size:,} are signed here"
            )
        if seen == old == checkpoint.size:
            raise RollbackError(
                f"witness {witness.name} knows another history of {checkpoint.origin}"
            )
        old = seen
    raise Refusal(f"{witness.name} changed its mind {_TRIES} times")


def _clean(text: str) -> str:
    """What somebody else said, fit to be shown."""
    return "".join(each if each.isprintable() else " " for each in text.strip()[:200])


def format_request(old: int, proof: Iterable[Hash], note: Note) -> bytes:
    """Write what a witness is asked."""
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof), "", str(note)]
    return "\n".join(lines).encode()


def _read_signatures(witness: Witness, note: Note, body: str) -> list[Signature]:
    """The signatures of an answer that are the witness' and fit; there has to be one."""
    lines = body.split("\n")
    if lines.pop():
        raise CorruptError(f"answer of {witness.name} ends in the middle of a line")
    found = [
        each
        for each in map(parse_signature, lines)
        if (each.name, each.key_id) == (witness.key.name, witness.key.key_id)
    ]
    signed = Note(note.text, tuple(found))
    fits = verify_note(signed, [witness.key]) if found else []
    if not fits:
        raise ProofError(f"answer of {witness.name} has no signature of its key")
    if (fits[0].time_s or 0) > time.time() + _AHEAD_S:
        raise ProofError(f"{witness.name} signed in the future")
    return found[:1]


class _Stay(urllib.request.HTTPRedirectHandler):
    """A witness answers itself: who answers elsewhere was not asked."""

    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_Stay)
