"""The line of a journal again, slow and obvious: what the fast code is checked against.

Written from docs/reference/format.md, sections "The line" and "Torn lines", with the standard
library alone. Nothing here is shared with `whence`, so that a mistake has to be made twice.
"""

import base64
import calendar
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

ENVELOPE_KEYS = (
    "id time primitive type agent target parent trace status duration links private w n".split()
)
REQUIRED_KEYS = ("id", "time", "primitive", "type", "w", "n")
STATUSES = ("success", "error", "blocked")
ENVELOPE_BYTES_MAX = 65_000
ID_BYTES_MAX = 128
BLOB_BYTES_MIN = 64 * 1024 + 1
NUMBER_MAX = 2**63 - 1
DEPTH_MAX = 200

_WHITE = " \t\n\r"
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{9}Z")
_SALTED = re.compile(r'([A-Za-z0-9_-]{24})","data":(.*)\}', re.DOTALL)
_COMMITTED = re.compile(r'([A-Za-z0-9_-]{43})"(?:,"blob":(0|[1-9][0-9]*))?\}')


class Line(NamedTuple):
    """A valid line taken apart. `data` is None where `commit` is there instead."""

    envelope: bytes
    fields: dict[str, Any]
    salt: str | None
    data: bytes | None
    commit: str | None
    blob: int | None


def encode_envelope(fields: Mapping[str, Any]) -> bytes:
    """Write the envelope: keys in their order, absent values left out, nothing to spare."""
    present = {key: fields[key] for key in ENVELOPE_KEYS if fields.get(key) is not None}
    return _compact(present)[:-1].encode()


def encode_line(fields: Mapping[str, Any], salt: str, data: bytes) -> bytes:
    """Write a line with its payload, padded so that its sealed entry fits over it."""
    envelope = encode_envelope(fields)
    line = envelope + b',"salt":"' + salt.encode() + b'","data":' + data + b"}"
    sealed = envelope + b',"commit":"' + commitment(salt, data).encode() + b'"}'
    return line + b" " * (len(sealed) - len(line))


def encode_committed_line(fields: Mapping[str, Any], commit: str, blob: int | None) -> bytes:
    """Write a line whose payload is private, erased or in a blob."""
    tail = "" if blob is None else f',"blob":{blob}'
    return encode_envelope(fields) + f',"commit":"{commit}"{tail}}}'.encode()


def read_line(raw: bytes) -> Line | None:
    """Take a line apart; None if it is not valid."""
    if raw.startswith(b"\xef\xbb\xbf") or any(byte in raw for byte in (b"\r", b"\n", b"\0")):
        return None
    try:
        text = raw.decode("utf-8").rstrip(" ")
    except UnicodeDecodeError:
        return None
    # No string of an envelope can hold an unescaped quote, so the first of these ends it.
    places = [text.find(mark) for mark in (',"salt":"', ',"commit":"')]
    end = min((place for place in places if place >= 0), default=-1)
    if end < 0:
        return None
    envelope, rest = text[:end], text[end:]
    fields = _read_envelope(envelope)
    if fields is None:
        return None
    if salted := _SALTED.fullmatch(rest.removeprefix(',"salt":"')):
        salt, data = salted.groups()
        if not rest.startswith(',"salt":"') or not is_payload(data):
            return None
        return Line(envelope.encode(), fields, salt, data.encode(), None, None)
    if committed := _COMMITTED.fullmatch(rest.removeprefix(',"commit":"')):
        commit, blob = committed[1], int(committed[2]) if committed[2] else None
        if not rest.startswith(',"commit":"'):
            return None
        if blob is not None and not BLOB_BYTES_MIN <= blob <= NUMBER_MAX:
            return None
        return Line(envelope.encode(), fields, None, None, commit, blob)
    return None


def is_valid(raw: bytes) -> bool:
    """Apply the one test that every reader applies."""
    return read_line(raw) is not None


def commitment(salt: str, data: bytes) -> str:
    """Commit to payload bytes."""
    digest = hmac.new(salt.encode("ascii"), data, hashlib.sha256).digest()
    return base64.b64encode(digest, altchars=b"-_").decode("ascii")[:43]


def sealed_entry(raw: bytes) -> bytes:
    """The bytes of a valid line that the proof covers."""
    line = read_line(raw)
    assert line is not None
    if line.salt is None or line.data is None:
        return raw.rstrip(b" ")
    return line.envelope + b',"commit":"' + commitment(line.salt, line.data).encode() + b'"}'


def split_line(raw: bytes) -> list[tuple[int, int, bool]]:
    """Split what stands between two newlines: offset, length, and whether it is an event."""
    if is_valid(raw):
        return [(0, len(raw), True)]
    starts = [at for at in range(1, len(raw)) if raw[at:].startswith(b'{"id":"')]
    starts = [at for at in starts if is_valid(raw[at:])]
    if not starts:
        return [(0, len(raw), False)]
    (at,) = starts
    return [(0, at, is_valid(raw[:at])), (at, len(raw) - at, True)]


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read_envelope(envelope: str) -> dict[str, Any] | None:
    if len(envelope.encode()) > ENVELOPE_BYTES_MAX:
        return None
    try:
        fields = json.loads(envelope + "}")
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not all(key in fields for key in REQUIRED_KEYS):
        return None
    for key, value in fields.items():
        if key not in ENVELOPE_KEYS or not _is_field(key, value):
            return None
    # Whatever else could be wrong (another order, a second key, a space, another escape) shows here.
    return fields if encode_envelope(fields) + b"}" == _utf8(envelope + "}") else None


def _is_field(key: str, value: object) -> bool:
    if key in ("n", "duration"):
        return type(value) is int and 0 <= value <= NUMBER_MAX
    if key == "private":
        return value is True
    if key == "links":
        return isinstance(value, list) and value != [] and all(map(_is_text, value))
    if not isinstance(value, str) or not _is_text(value):
        return False
    if key == "id":
        return 1 <= len(value.encode()) <= ID_BYTES_MAX
    if key == "time":
        return is_time(value)
    if key == "w":
        return re.fullmatch(r"[a-z0-9]{12}", value) is not None
    return key != "status" or value in STATUSES


def is_time(text: str) -> bool:
    """Tell whether text is a time of the calendar, in the one form there is."""
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    year, month, day, hour, minute, second = map(int, found.groups())
    return (
        year >= 1
        and 1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and hour < 24
        and minute < 60
        and second < 60
    )


def is_payload(text: str) -> bool:
    """Tell whether text is one JSON value, nothing around it, nested no deeper than allowed."""
    at, closers = 0, ""
    after_value = False
    while True:
        if closers:
            while text[at : at + 1] and text[at] in _WHITE:
                at += 1
        char = text[at : at + 1]
        if after_value:
            if not closers:
                return at == len(text)
            if char == closers[-1]:
                closers, at = closers[:-1], at + 1
                continue
            if char != ",":
                return False
            at = _skip_white(text, at + 1)
            after_value = False
            if closers[-1] == "}":
                at = _skip_key(text, at)
                if at < 0:
                    return False
            continue
        if char and char in "[{":
            closers += "]" if char == "[" else "}"
            at = _skip_white(text, at + 1)
            if len(closers) > DEPTH_MAX:
                return False
            if text[at : at + 1] == closers[-1]:
                closers, at, after_value = closers[:-1], at + 1, True
            elif closers[-1] == "}":
                at = _skip_key(text, at)
                if at < 0:
                    return False
            continue
        at = _skip_scalar(text, at)
        if at < 0:
            return False
        after_value = True


def _skip_white(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _WHITE:
        at += 1
    return at


def _skip_key(text: str, at: int) -> int:
    """Skip a key and its colon; -1 if there is none."""
    at = _skip_string(text, at)
    if at < 0:
        return -1
    at = _skip_white(text, at)
    return _skip_white(text, at + 1) if text[at : at + 1] == ":" else -1


def _skip_scalar(text: str, at: int) -> int:
    for word in ("true", "false", "null"):
        if text.startswith(word, at):
            return at + len(word)
    found = _NUMBER.match(text, at)
    return found.end() if found else _skip_string(text, at)


def _skip_string(text: str, at: int) -> int:
    found = _STRING.match(text, at)
    return found.end() if found and _is_text(json.loads(found[0])) else -1


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _utf8(value) is not None


def _utf8(text: str) -> bytes | None:
    """None for text that holds half of a surrogate pair."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return None
