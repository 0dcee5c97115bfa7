"""From lines to what the proof covers: entries and their hashes, and fragments that it does not cover. Pure.

An entry is a line whose payload is replaced by its commitment (`docs/reference/format.md`, "Sealed entry"). It is cut out of the line's
own bytes, which the line's one form allows. The HMAC is written out (RFC 2104): two hashes cost half of what a call of `hmac` does.
"""

from binascii import b2a_base64
from collections.abc import Iterable, Sized
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

from whence.event import Event
from whence.line import SALT_PART_BYTES, decode_lines, split_line

_TOGETHER = 512
_URLSAFE = bytes.maketrans(b"+/", b"-_")
_COMMIT_LENGTH = 43
_BLOCK_BYTES = 64
_BRACE = ord("}")
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_REST = _BLOCK_BYTES - 24
_INNER_REST, _OUTER_REST = b"\x36" * _REST, b"\x5c" * _REST


class Fragment(NamedTuple):
    """A stretch of bytes that is no event."""

    offset: int
    raw: bytes


class Entries(NamedTuple):
    """What lines hold: events, where their lines start and how long they are, the hashes of their leaves; and fragments."""

    events: list[Event]
    offsets: list[int]
    lengths: list[int]
    leaves: list[bytes]
    fragments: list[Fragment]


def take_entries(offset: int, lines: list[bytes]) -> Entries:
    """Take what lines hold, the first of which starts at `offset`."""
    found = Entries([], [], [], [], [])
    for at in range(0, len(lines), _TOGETHER):
        some = lines[at : at + _TOGETHER]
        block = decode_lines(some)
        sizes = list(map(len, some))
        starts = list(accumulate((size + 1 for size in sizes), initial=offset))
        if block is not None:
            found.events.extend(block.events)
            found.offsets.extend(starts[:-1])
            found.lengths.extend(sizes)
            columns = block.columns
            found.leaves.extend(_hash_leaves(zip(some, columns.salt, columns.payload, strict=True)))
        else:
            for start, line in zip(starts, some, strict=False):
                _take_line(found, start, line)
        offset = starts[-1]
    return found


def sealed_bytes(line: bytes, event: Event) -> bytes:
    """The sealed entry of an event's line."""
    text = line.rstrip(b" ")
    return text if event.salt is None else _seal(text, event.salt, len(event.payload))


def _take_line(found: Entries, start: int, line: bytes) -> None:
    for piece in split_line(line):
        raw = line[piece.offset : piece.offset + piece.length]
        if piece.event is None:
            if raw:
                found.fragments.append(Fragment(start + piece.offset, raw))
            continue
        found.events.append(piece.event)
        found.offsets.append(start + piece.offset)
        found.lengths.append(piece.length)
        found.leaves.append(sha256(b"\x00" + sealed_bytes(raw, piece.event)).digest())


def _hash_leaves(rows: Iterable[tuple[bytes, str | None, Sized]]) -> list[bytes]:
    """The leaves of lines. As `_seal` has it, without a call and a copy for each: sealing and verifying are made of this."""
    leaves: list[bytes] = []
    keep, hash_of, encode = leaves.append, sha256, b2a_base64
    for line, salt, payload in rows:
        text = line if line[-1] == _BRACE else line.rstrip(b" ")
        if salt is None:
            keep(hash_of(b"\x00" + text).digest())
            continue
        start = len(text) - len(payload) - 1
        key = salt.encode()
        inner = hash_of(key.translate(_INNER) + _INNER_REST + text[start:-1]).digest()
        digest = hash_of(key.translate(_OUTER) + _OUTER_REST + inner).digest()
        commit = encode(digest, newline=False).translate(_URLSAFE)
        # The last character is that of the padding.
        whole = b'\x00%b,"commit":"%b"}' % (text[: start + 1 - SALT_PART_BYTES], commit[:-1])
        keep(hash_of(whole).digest())
    return leaves


def _seal(text: bytes, salt: str, payload_size: int) -> bytes:
    start = len(text) - payload_size - 1
    key = salt.encode()
    inner = sha256(key.translate(_INNER) + _INNER_REST + text[start:-1]).digest()
    digest = sha256(key.translate(_OUTER) + _OUTER_REST + inner).digest()
    commit = b2a_base64(digest, newline=False).translate(_URLSAFE)[:_COMMIT_LENGTH]
    return b'%b,"commit":"%b"}' % (text[: start + 1 - SALT_PART_BYTES], commit)
