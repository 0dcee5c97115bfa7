"""Events and journal lines: encode, decode, split what is glued. Pure functions over bytes.

The rules are `docs/reference/format.md`, "The line" and "Torn lines". One test decides whether
bytes are an event: they decode, and encoding the result again gives the same bytes. So no unknown
key, second key, other order or other escape can slip in.
"""

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

import msgspec

from whence.errors import CorruptError
from whence.event import ID_BYTES_MAX, NO_PAYLOAD, Event, Head, parse_time

ENVELOPE_BYTES_MAX = 65_000
INLINE_BYTES_MAX = 64 * 1024
"""A payload larger than this goes to a blob."""

DEPTH_MAX = 100
"""Payloads are written no deeper than this, so that every reader's stack can decode them."""

SEALABLE_BYTES_MIN = 13
"""The payload size from which a line is at least as long as its sealed entry."""

_START = b'{"id":"'
_SALT = re.compile(r"[A-Za-z0-9_-]{24}", re.ASCII).fullmatch
_COMMIT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII).fullmatch
_WRITER = re.compile(r"[a-z0-9]{12}", re.ASCII).fullmatch

_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


class Piece(NamedTuple):
    """A stretch of bytes between two newlines: an event, or a fragment and what is wrong."""

    offset: int
    length: int
    event: Event | None
    problem: str


def encode_event(event: Event) -> bytes:
    """Write the event as its line, without the newline."""
    line = _encode(event)
    return line + line_padding(len(event.payload)) if event.salt is not None else line


def line_padding(payload_length: int) -> bytes:
    """The spaces that end a line, so that its sealed entry fits over it when it is erased."""
    return b" " * (SEALABLE_BYTES_MIN - payload_length)


def encode_head(head: Head) -> bytes:
    """Write the envelope up to the writer's part, without the closing brace."""
    return _encode(head)[:-1]


def decode_line(raw: bytes) -> Event:
    """Read one line, given without its newline; CorruptError whatever else the bytes hold."""
    text = raw.rstrip(b" ")
    try:
        event = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptError(f"not an event: {_clause(error)}") from error
    if _encode(event) != text:
        raise CorruptError("not written as its decoded form would be")
    if event.salt is not None:
        if event.commit is not None or event.payload is NO_PAYLOAD or not _SALT(event.salt):
            raise CorruptError("salt, data and commit do not fit together")
        size = len(text) - len(event.payload) - 43
    else:
        if event.payload is not NO_PAYLOAD or event.commit is None or not _COMMIT(event.commit):
            raise CorruptError("neither a payload with its salt nor a commitment")
        size = len(text)
    if b"\r" in text or not (text.isascii() or _is_utf8(text)):
        raise CorruptError("holds a carriage return or is not UTF-8")
    if size > ENVELOPE_BYTES_MAX or not _is_sound(event):
        raise CorruptError("envelope has a field outside its bounds")
    return event


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_sound(event: Event) -> bool:
    try:
        parse_time(event.time)
    except ValueError:
        return False
    if event.blob is not None and (event.commit is None or event.blob <= INLINE_BYTES_MAX):
        return False
    return (
        0 < len(event.id)
        and (len(event.id) <= ID_BYTES_MAX // 4 or len(event.id.encode()) <= ID_BYTES_MAX)
        and _WRITER(event.w) is not None
        and event.n >= 0
    )


def _clause(error: Exception) -> str:
    text = str(error)
    return (text[:1].lower() + text[1:])[:200]


def split_line(raw: bytes) -> list[Piece]:
    """Read the bytes between two newlines as a line, as lines glued together, or as a fragment.

    A writer that was killed inside its write leaves a fragment, and the next line stands glued
    to it. What is glued is split at the one place from which the rest is a valid line.
    """
    try:
        return [Piece(0, len(raw), decode_line(raw), "")]
    except CorruptError as error:
        problem = str(error)
    at = raw.find(_START, 1)
    while at >= 0:
        rest = raw[at:]
        if _could_be_line(rest):
            try:
                piece = Piece(at, len(rest), decode_line(rest), "")
            except CorruptError:
                pass
            else:
                return [_before(raw[:at], problem), piece]
        at = raw.find(_START, at + 1)
    return [Piece(0, len(raw), None, problem)]


def _could_be_line(rest: bytes) -> bool:
    """Tell cheaply whether an envelope starts here, so that hostile bytes cost little."""
    within = ENVELOPE_BYTES_MAX + len(_START)
    return rest.find(b',"salt":"', 0, within) > 0 or rest.find(b',"commit":"', 0, within) > 0


def _before(raw: bytes, problem: str) -> Piece:
    try:
        return Piece(0, len(raw), decode_line(raw), "")
    except CorruptError:
        return Piece(0, len(raw), None, problem)


def commitment(salt: str, payload: bytes) -> str:
    """Commit to a payload so that nobody without salt and payload can tell what it was."""
    digest = hmac.digest(salt.encode(), payload, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def seal_event(event: Event) -> Event:
    """The event as the proof sees it: with a commitment where its salt and payload were."""
    if event.salt is None:
        return event
    commit = commitment(event.salt, bytes(event.payload))
    return msgspec.structs.replace(event, salt=None, payload=NO_PAYLOAD, commit=commit)


def sealed_entry(event: Event) -> bytes:
    """The bytes that the proof covers: the line, its payload replaced by the commitment."""
    return _encode(seal_event(event))
