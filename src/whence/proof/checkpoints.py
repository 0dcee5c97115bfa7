"""Checkpoints: which log, how many leaves, which root; the text of a note after C2SP's tlog-checkpoint. Pure."""

import base64

import msgspec

from whence.errors import CorruptError
from whence.proof.keys import decode_base64
from whence.proof.tree import HASH_BYTES, NUMBER_MAX, Hash

_DIGITS_MAX = len(str(NUMBER_MAX))


class Checkpoint(msgspec.Struct, frozen=True):
    """A tree as its log signs it. `extensions` are further lines, which say nothing to us."""

    origin: str
    size: int
    root: Hash
    extensions: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = (
            self.origin,
            str(self.size),
            base64.b64encode(self.root).decode(),
            *self.extensions,
        )
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint's note; CorruptError for what is none."""
    *lines, rest = text.split("\n")
    if rest or len(lines) < 3 or not all(lines):
        raise CorruptError("not a checkpoint: want an origin, a size and a root, each a line")
    origin, size, root, *extensions = lines
    raw = decode_base64(root)
    if len(raw) != HASH_BYTES:
        raise CorruptError(f"root has {len(raw)} bytes, want {HASH_BYTES}")
    return Checkpoint(origin, parse_number(size), Hash(raw), tuple(extensions))


def parse_number(text: str) -> int:
    """Read a decimal number as it is written one way only, up to 2^64−1."""
    is_plain = text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX
    if not is_plain or (text.startswith("0") and text != "0") or int(text) > NUMBER_MAX:
        raise CorruptError(f"not a number: {text[:40]!r}")
    return int(text)
