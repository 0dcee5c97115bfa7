"""A small witness, by C2SP's tlog-witness: signs that a log only grew since it last looked, and never anything else.

What it signed last of each log is on disk before the signature leaves. One process serves one folder.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from whence.errors import CorruptError, ProofError
from whence.proof.checkpoints import Checkpoint, parse_checkpoint, parse_number
from whence.proof.files import read_file, replace_file
from whence.proof.keys import SignerKey, VerifierKey, decode_base64
from whence.proof.notes import Note, cosign, parse_note, verify_note
from whence.proof.tree import HASH_BYTES, verify_consistency

REQUEST_BYTES_MAX = 1_100_000

_PROOF_MAX = 63
_TEXT, _SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: str
    content_type: str = _TEXT


class Witness:
    """Answers requests for the logs that it knows. Safe for threads."""

    def __init__(
        self,
        folder: Path,
        key: SignerKey,
        logs: Mapping[str, Sequence[VerifierKey]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._key = key
        self._logs = logs
        self._clock = clock
        # Looking at what was signed last and signing more is one step.
        self._lock = threading.Lock()

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one request."""
        try:
            old, proof, note = parse_request(body)
            checkpoint = parse_checkpoint(note.text)
        except CorruptError as error:
            return Reply(400, f"{error}\n")
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            return Reply(404, "this log is not known here\n")
        try:
            if not verify_note(note, keys):
                return Reply(403, "no signature of this log's key\n")
        except ProofError as error:
            return Reply(403, f"{error}\n")
        if old > checkpoint.size:
            return Reply(400, f"old size is {old}, more than {checkpoint.size}\n")
        with self._lock:
            return self._sign(old, proof, note, checkpoint)

    def _sign(self, old: int, proof: list[bytes], note: Note, checkpoint: Checkpoint) -> Reply:
        last = self.last(checkpoint.origin)
        size = last.size if last is not None else 0
        if old != size:
            return Reply(409, f"{size}\n", _SIZE)
        try:
            if last is not None and size == checkpoint.size:
                if last.root != checkpoint.root:
                    # Another tree of that size was signed.
                    return Reply(409, f"{size}\n", _SIZE)
                if proof:
                    return Reply(422, "proof has hashes, want none\n")
            elif size:
                assert last is not None
                verify_consistency(size, checkpoint.size, proof, last.root, checkpoint.root)
            elif proof:
                return Reply(422, "proof has hashes, want none\n")
        except ProofError as error:
            return Reply(422, f"{error}\n")
        signature = cosign(note.text, self._key, int(self._clock()))
        # From here on it is remembered, whether or not the signature arrives.
        replace_file(self._path(checkpoint.origin), str(note).encode())
        return Reply(200, str(signature))

    def last(self, origin: str) -> Checkpoint | None:
        """What was signed last of a log.

        Raises:
            CorruptError: what is remembered is none: then nothing more of it is signed.
        """
        path = self._path(origin)
        content = read_file(path)
        if content is None:
            return None
        found = parse_checkpoint(parse_note(content).text)
        if found.origin != origin:
            raise CorruptError(f"{path} is of {found.origin}")
        return found

    def _path(self, origin: str) -> Path:
        return self._folder / f"{quote(origin, safe='')}.note"


def parse_request(body: bytes) -> tuple[int, list[bytes], Note]:
    """Read a request: the old size, the proof, and the note; CorruptError for what is none."""
    if len(body) > REQUEST_BYTES_MAX:
        raise CorruptError("request is too large")
    head, parted, note = body.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise CorruptError("request holds what is no ASCII before its checkpoint") from error
    if not parted or not first.startswith("old "):
        raise CorruptError(
            "not a request: want old and a size, a proof, an empty line and a checkpoint"
        )
    if len(lines) > _PROOF_MAX:
        raise CorruptError(f"proof has {len(lines)} hashes, want no more than {_PROOF_MAX}")
    proof = [decode_base64(line) for line in lines]
    if any(len(each) != HASH_BYTES for each in proof):
        raise CorruptError(f"proof has a hash that is not of {HASH_BYTES} bytes")
    return parse_number(first.removeprefix("old ")), proof, parse_note(note)
