"""What can be told of lines of JSON by their bytes alone, which is many times faster than decoding them.

It is told only where it is certain: JSON has several ways to write the same text, and what may be written in
another one is never ruled out. Pure.
"""

import re
from collections.abc import Iterator

_LETTER = rb"\\u00[2-7]"
"""The beginning of an ASCII character that is written as its number, as no writer does but for a few."""

_may_hide_ascii = re.compile(_LETTER).search
_may_be_bare = re.compile(r"[-+.0-9eE]+|true|false|NaN|-?Infinity").fullmatch
"""Whether a name may stand for a number or a word of JSON, which have no quotation marks."""

_NEEDS_ESCAPE = re.compile(r'["\\/\x00-\x1f]').search


class Needle:
    """A name, found in every line that has it: as its bytes, or where an escape may stand for it."""

    def __init__(self, name: str) -> None:
        # A text is followed by its quotation mark, which tells `task-1` from `task-12`.
        self._plain = name.encode() + (b"" if _may_be_bare(name) else b'"')
        if _NEEDS_ESCAPE(name):
            escape, self._sign = rb"\\", b"\\"
        elif name.isascii() and "?" not in name:
            escape, self._sign = _LETTER, b"\\u00"
        else:
            # Half a surrogate pair is read as a question mark.
            escape, self._sign = rb"\\u", b"\\u"
        self._either = re.compile(re.escape(self._plain) + b"|" + escape).search

    def lines(self, block: bytes) -> Iterator[tuple[int, int]]:
        """The lines of a block of whole ones that may have the name, as [start, end)."""
        has_escapes = b"\\" in block and self._sign in block
        place = 0
        while True:
            if has_escapes:
                found = self._either(block, place)
                hit = found.start() if found else -1
            else:
                hit = block.find(self._plain, place)
            if hit < 0:
                return
            place = block.index(b"\n", hit) + 1
            yield block.rfind(b"\n", 0, hit) + 1, place


class Key:
    """A key of objects, and the values that lines give it, wherever in the line it stands."""

    def __init__(self, name: str) -> None:
        key = re.escape(name.encode())
        self._values = re.compile(rb'"' + key + rb'"\s*:\s*("[^"\\]*+"|-?[0-9]++)?+').findall

    def values(self, block: bytes) -> list[bytes] | None:
        """The texts and whole numbers that it has in a block, as they are written; None if not all are plain."""
        # Most blocks have no backslash, and one byte is found far sooner than several.
        if b"\\" in block and b"\\u00" in block and _may_hide_ascii(block):
            return None
        found: list[bytes] = self._values(block)
        return None if b"" in found else found


def make_needle(name: str) -> Needle | None:
    """The needle for a name; None if every line may have it, or none."""
    try:
        return Needle(name) if name else None
    except UnicodeEncodeError:
        return None


def make_key(name: str) -> Key | None:
    """The key of that name; None if it may be a path, or is seldom written in only one way."""
    return Key(name) if name.isascii() and name.isidentifier() else None


def spell(text: str) -> list[bytes]:
    """How lines give a text that `Key.values` finds plain: as a text, or as a number."""
    return [b'"' + text.encode() + b'"', text.encode()]
