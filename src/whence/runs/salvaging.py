"""What can still be read of JSON that was cut off or damaged: all values that are there whole.

Pure, and without recursion: what it reads may be anything.
"""

import re
from typing import Any, Literal, NamedTuple

from whence.event import decode_json
from whence.line import DEPTH_MAX

_BLANK = re.compile(rb"[ \t\n\r]*")
_TEXT = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+'
_STRING = re.compile(_TEXT + rb'"')
_STRING_START = re.compile(_TEXT + rb"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
_PLAIN = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity")
_NUMBER_START = re.compile(rb"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?(?:(?<=\d)[eE][+-]?\d*)?)?\Z")
_WORDS = (b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity")
_ENDS = {b"{": b"}", b"[": b"]"}

Damage = Literal["", "torn", "damaged", "nested too deep"]


class Salvaged(NamedTuple):
    """What was saved: `value` as far as it goes, None where nothing could be.

    `end` is how far it is JSON, and `damage` what is the matter there: it is `torn` where up to its
    last byte it could be the beginning of more.
    """

    value: Any
    end: int
    damage: Damage


def salvage(content: bytes) -> Salvaged:
    """Read as much as is there of a value that was cut off, or has something else behind it.

    Bytes that are no UTF-8 become U+FFFD.
    """
    stack: list[bytes] = []
    at = 0
    # The longest start that, with its containers closed, is JSON: where it ends, what closes it.
    end, closers = 0, b""
    want = b"v"
    while True:
        at = _skip_blank(content, at)
        byte = content[at : at + 1]
        step = _step(content, at, byte, want, stack) if byte else None
        if step is None:
            return Salvaged(
                _decode(content[:end] + closers), at, _tell_damage(content, at, want, stack)
            )
        at, want, is_whole = step
        if is_whole:
            end, closers = at, b"".join(reversed(stack))


def _skip_blank(content: bytes, at: int) -> int:
    found = _BLANK.match(content, at)
    return found.end() if found else at


def _step(
    content: bytes, at: int, byte: bytes, want: bytes, stack: list[bytes]
) -> tuple[int, bytes, bool] | None:
    """Take one token: where it ends, what may follow, whether a value ends there; None if none fits.

    Wanted are `v` a value, `V` a value or the list's end, `k` a key, `K` a key or the object's end,
    `:` a colon, `,` a comma or the end of what is open, `.` nothing more.
    """
    if byte in b"}]" and want in b"VK," and stack and stack[-1] == byte:
        stack.pop()
        return at + 1, _after(stack), True
    if want in b"vV":
        if byte in _ENDS and len(stack) < DEPTH_MAX:
            stack.append(_ENDS[byte])
            return at + 1, b"K" if byte == b"{" else b"V", True
        found = _STRING.match(content, at) or _PLAIN.match(content, at)
        # A number at the very end may have had more digits.
        if found and not (stack and _NUMBER_START.match(content, at)):
            return found.end(), _after(stack), True
    elif want in b"kK":
        found = _STRING.match(content, at)
        if found:
            return found.end(), b":", False
    elif byte == want and byte in b":,":
        return at + 1, b"v" if byte == b":" or stack[-1] == b"]" else b"k", False
    return None


def _after(stack: list[bytes]) -> bytes:
    return b"," if stack else b"."


def _tell_damage(content: bytes, at: int, want: bytes, stack: list[bytes]) -> Damage:
    """What is the matter where no token fits."""
    if at == len(content):
        return "" if want == b"." else "torn"
    if want in b"vV" and len(stack) == DEPTH_MAX and content[at : at + 1] in _ENDS:
        return "nested too deep"
    if want in b"vVkK" and _STRING_START.match(content, at):
        return "torn"
    is_start = _NUMBER_START.match(content, at) or any(
        word.startswith(content[at : at + 10]) for word in _WORDS
    )
    return "torn" if want in b"vV" and is_start else "damaged"


def _decode(text: bytes) -> Any:
    try:
        return decode_json(text.decode(errors="replace").encode())
    except ValueError:
        return None
