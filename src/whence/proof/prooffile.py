"""The file that proves one entry, `.tlog-proof`, after C2SP's tlog-proof. Pure.

c2sp.org/tlog-proof@v1
index <i>
<the path, a hash in base64 a line>
<an empty line>
<the checkpoint, a note>
"""

import base64

import msgspec

from whence.errors import CorruptError
from whence.proof.checkpoints import parse_number
from whence.proof.keys import decode_base64
from whence.proof.notes import NOTE_BYTES_MAX, Note, parse_note
from whence.proof.policies import Believed, Policy, believe
from whence.proof.tree import HASH_BYTES, Hash, hash_leaf, verify_inclusion

_HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA, _INDEX = "extra ", "index "
_PATH_MAX = 64


class ProofFile(msgspec.Struct, frozen=True):
    """That an entry stands at `index` in the tree of a checkpoint. `extra` is what nobody has signed."""

    index: int
    path: tuple[Hash, ...]
    note: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = [] if self.extra is None else [_EXTRA + base64.b64encode(self.extra).decode()]
        path = [base64.b64encode(each).decode() for each in self.path]
        lines = [_HEADER, *extra, f"{_INDEX}{self.index}", *path, "", str(self.note)]
        return "\n".join(lines)


def parse_proof(content: bytes) -> ProofFile:
    """Read such a file without believing it; CorruptError for what is none."""
    if len(content) > 2 * NOTE_BYTES_MAX:
        raise CorruptError(
            f"proof has {len(content):,} bytes, want no more than {2 * NOTE_BYTES_MAX:,}"
        )
    head, parted, note = content.partition(b"\n\n")
    try:
        header, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise CorruptError("proof holds what is no ASCII before its checkpoint") from error
    if header != _HEADER or not parted:
        raise CorruptError(f"not a proof: want {_HEADER} and, after an empty line, a checkpoint")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = decode_base64(lines.pop(0).removeprefix(_EXTRA))
    if not lines or not lines[0].startswith(_INDEX):
        raise CorruptError("not a proof: it does not say which index")
    index = parse_number(lines.pop(0).removeprefix(_INDEX))
    if len(lines) > _PATH_MAX:
        raise CorruptError(f"proof has {len(lines)} hashes, want no more than {_PATH_MAX}")
    path = tuple(Hash(decode_base64(line)) for line in lines)
    if any(len(each) != HASH_BYTES for each in path):
        raise CorruptError(f"proof has a hash that is not of {HASH_BYTES} bytes")
    return ProofFile(index, path, parse_note(note), extra)


def verify_entry(proof: ProofFile, entry: bytes, policy: Policy) -> Believed:
    """Raise ProofError unless the entry stands where the proof says, in a tree that the policy believes."""
    believed = believe(policy, proof.note)
    checkpoint = believed.checkpoint
    verify_inclusion(hash_leaf(entry), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return believed
