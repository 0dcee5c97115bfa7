"""Events and journal lines: encode, decode, split what is glued. Pure functions over bytes.

The rules are `docs/reference/format.md`, "The line" and "Torn lines". One test decides whether
bytes are an event: they decode, and encoding the result again gives the same bytes. So no unknown
key, second key, other order or other escape can slip in.
"""

import re
from typing import NamedTuple

import msgspec

from whence.errors import CorruptError
from whence.event import ID_BYTES_MAX, NO_PAYLOAD, Event, Head, parse_time

ENVELOPE_BYTES_MAX = 65_000
INLINE_BYTES_MAX = 64 * 1024
"""A payload larger than this goes to a blob."""

DEPTH_MAX = 200
"""Payloads nest no deeper than this, so that every reader's stack can decode them."""

# The line itself is one more.
_LINE_LEVELS = DEPTH_MAX + 1

NUMBER_MAX = 2**63 - 1
"""The numbers of an envelope are no larger, so that every store can hold them."""

SEALABLE_BYTES_MIN = 13
"""The payload size from which a line is at least as long as its sealed entry."""

_START = b'{"id":"'
_TIME_LENGTH = len("2026-11-20T19:27:35.104233123Z")
_SALT_PART_BYTES = len(',"salt":"","data":}') + 24
_COMMIT_PART_BYTES = len(',"commit":""}') + 43
_BLOB_PART_BYTES = len(',"blob":')
_SALT = re.compile(r"[A-Za-z0-9_-]{24}", re.ASCII).fullmatch
_COMMIT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII).fullmatch
_WRITER = re.compile(r"[a-z0-9]{12}", re.ASCII).fullmatch

# Strings, so that the brackets inside them do not count.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")

# Strings and brackets of a line that is read from its end: there a quote belongs to its string
# if a backslash follows, since between strings there are none.
_BACKWARD = re.compile(rb'"[^"]*+(?:"\\[^"]*+)*+(?:"|\Z)|[][{}]').finditer

# As numbers: so a byte is looked for seven times quicker.
_RETURN, _NEWLINE = b"\r\n"

# What was found to be the start of a time, or a writer: line after line has the same ones. They
# only grow or are emptied, so threads may share them.
_KNOWN_MAX = 10_000
_seconds: set[str] = set()
_writers: set[str] = set()

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
    line = _encode_whole(event)
    return line + line_padding(len(event.payload)) if event.salt is not None else line


def _encode_whole(event: Event) -> bytes:
    if not len(event.payload) and event.payload is not NO_PAYLOAD:
        # A copy, or one that came from another process: only the very same object is left out.
        event = msgspec.structs.replace(event, payload=NO_PAYLOAD)
    return _encode(event)


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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptError(f"not an event: {_clause(error)}") from error
    except RecursionError as error:
        if not _is_too_deep(text, _LINE_LEVELS):
            # The caller has left too little of the stack: that says nothing about the line.
            raise
        raise CorruptError(f"payload is nested deeper than {DEPTH_MAX}") from error
    if _encode(event) != text:
        raise CorruptError("not written as its decoded form would be")
    payload_size = len(event.payload)
    if event.salt is not None:
        if event.commit is not None or not payload_size or not _SALT(event.salt):
            raise CorruptError("salt, data and commit do not fit together")
        size = len(text) - payload_size - _SALT_PART_BYTES
        if payload_size > 2 * DEPTH_MAX and _is_too_deep(text, _LINE_LEVELS):
            raise CorruptError(f"payload is nested deeper than {DEPTH_MAX}")
    else:
        if payload_size or event.commit is None or not _COMMIT(event.commit):
            raise CorruptError("neither a payload with its salt nor a commitment")
        size = len(text) - _COMMIT_PART_BYTES
        if event.blob is not None:
            size -= _BLOB_PART_BYTES + len(str(event.blob))
    if _RETURN in text or _NEWLINE in text or not (text.isascii() or _is_utf8(text)):
        raise CorruptError("holds a line break or is not UTF-8")
    time = event.time
    if (
        size > ENVELOPE_BYTES_MAX
        or not (time[:20] in _seconds or _is_second(time))
        or len(time) != _TIME_LENGTH
        or time[29] != "Z"
        or not time[20:29].isdecimal()
        or not time.isascii()
        or not (event.w in _writers or _is_writer(event.w))
        or not _is_sound(event)
    ):
        raise CorruptError("envelope has a field outside its bounds")
    return event


def payload_problem(payload: bytes) -> str:
    """What keeps bytes from being a payload that every reader can decode, or ""."""
    if _is_too_deep(payload, DEPTH_MAX):
        return f"is nested deeper than {DEPTH_MAX}"
    if not _is_utf8(payload):
        return "is not UTF-8"
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except msgspec.DecodeError:
        return "is not JSON"
    return ""


def _is_too_deep(text: bytes, levels: int) -> bool:
    """Tell whether JSON nests deeper than `levels`; also true of brackets that do not match."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    brackets = _STRINGS.sub(b"", text).translate(_SQUARE, _NO_BRACKETS)
    # Each round takes the innermost level away.
    for _ in range(levels):
        brackets = brackets.replace(b"[]", b"")
    return brackets != b""


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_sound(event: Event) -> bool:
    return (
        0 < len(event.id) <= ID_BYTES_MAX
        and (event.id.isascii() or len(event.id.encode()) <= ID_BYTES_MAX)
        and 0 <= event.n <= NUMBER_MAX
        and (event.duration is None or 0 <= event.duration <= NUMBER_MAX)
        and (
            event.blob is None
            or (event.commit is not None and INLINE_BYTES_MAX < event.blob <= NUMBER_MAX)
        )
    )


def _is_second(time: str) -> bool:
    try:
        parse_time(time)
    except ValueError:
        return False
    if len(_seconds) >= _KNOWN_MAX:
        _seconds.clear()
    _seconds.add(time[:20])
    return True


def _is_writer(text: str) -> bool:
    if _WRITER(text) is None:
        return False
    if len(_writers) >= _KNOWN_MAX:
        _writers.clear()
    _writers.add(text)
    return True


def _clause(error: Exception) -> str:
    text = str(error)
    first = text[:1].lower() if text[1:2].islower() else text[:1]
    return (first + text[1:])[:200]


def split_line(raw: bytes) -> list[Piece]:
    """Read the bytes between two newlines as a line, as lines glued together, or as a fragment.

    A writer that was killed inside its write leaves a fragment, and the next line stands glued
    to it. What is glued is split at the one place from which the rest is a valid line.
    """
    try:
        return [Piece(0, len(raw), decode_line(raw), "")]
    except CorruptError as error:
        problem = str(error)
    at = _last_object(raw)
    if at > 0 and raw.startswith(_START, at):
        try:
            piece = Piece(at, len(raw) - at, decode_line(raw[at:]), "")
        except CorruptError:
            pass
        else:
            return [_before(raw[:at], problem), piece]
    return [Piece(0, len(raw), None, problem)]


def _last_object(raw: bytes) -> int:
    """Where the object starts whose closing brace ends the line; -1 if nowhere.

    A valid line is one object, so no other place can be the start of one. Found from the end in
    a single pass, so that no bytes, however hostile, cost more than their length.
    """
    if raw.find(_START, 1) < 0:
        return -1
    backward = raw.rstrip(b" ")[::-1]
    if not backward.startswith(b"}"):
        return -1
    depth = 0
    for token in _BACKWARD(backward):
        char = backward[token.start()]
        if char in b"}]":
            depth += 1
        elif char in b"{[":
            depth -= 1
        if depth == 0:
            return len(backward) - token.end()
        if depth > DEPTH_MAX + 1:
            return -1
    return -1


def _before(raw: bytes, problem: str) -> Piece:
    try:
        return Piece(0, len(raw), decode_line(raw), "")
    except CorruptError:
        return Piece(0, len(raw), None, problem)


def commitment(salt: str, payload: bytes) -> str:
    """Commit to a payload so that nobody without salt and payload can tell what it was."""
    # Loaded here: those who only read lines, as most commands do, need none of the three.
    import base64
    import hmac

    digest = hmac.digest(salt.encode(), payload, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def seal_event(event: Event) -> Event:
    """The event as the proof sees it: with a commitment where its salt and payload were."""
    if event.salt is None:
        return event
    commit = commitment(event.salt, bytes(event.payload))
    return msgspec.structs.replace(event, salt=None, payload=NO_PAYLOAD, commit=commit)


def sealed_entry(event: Event) -> bytes:
    """The bytes that the proof covers: the line, its payload replaced by the commitment."""
    return _encode_whole(seal_event(event))
