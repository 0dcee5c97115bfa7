"""Terminal cells: how wide text is, how to cut and fill it, and how to make it harmless. Pure.

A terminal gives a character no, one or two cells. Text is measured in what a reader sees as one
character (grapheme clusters, Unicode Standard Annex 29), each as wide as wcwidth says, so that a
family emoji or a letter with accents is never cut in two.

Recorded data is somebody else's text. `printable` is the door through which all of it goes before
it meets a terminal; trees and tables call it themselves.
"""

import re
from collections.abc import Iterator
from typing import Literal

Align = Literal["left", "right", "center"]

# Text of these alone is as wide as it is long, and wcwidth (which is slow to import) can stay out:
# ASCII, Latin, and what we draw with. None of them joins with a neighbour.
_ONE_CELL_EACH = re.compile("[ -~¡-¬®-\u02ff–—‘’“”•…←-⇿⏎␀-␡─-▟✓✗]*")

# What can move the cursor, colour the screen, turn the direction of reading around, or hide:
# controls, soft hyphen, marks of direction, zero-width spaces and joiners that form no emoji,
# line separators, annotation and music controls, lone surrogates, tags and their selectors.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_HARMFUL_OR_NOT_ASCII = re.compile("[^ -~]")

_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "␡", "\n": "⏎"}
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ASCII_LOOK = {
    "…": "...", "→": "->", "←": "<-", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"',
    "•": "*", "·": "-", "×": "x", "µ": "u", "μ": "u", "✓": "+", "✗": "x",
}  # fmt: skip


def printable(text: str, *, ascii: bool = False) -> str:  # noqa: A002 the option's one name
    r"""Replace what could meddle with a terminal by something visible: `⏎`, `␛`, `\u202e`.

    One line comes out, without controls, escape sequences or marks of direction; all else stays
    as it is. A combining mark at the start gets a dotted circle to sit on, else it would sit on
    what we draw. With `ascii` only ASCII comes out: typographic signs become their plain look and
    the rest becomes escapes. Text that has passed once passes again unchanged.
    """
    if ascii:
        return _HARMFUL_OR_NOT_ASCII.sub(_in_ascii, text)
    shown = _HARMFUL.sub(_in_pictures, text)
    return "◌" + shown if _starts_with_a_mark(shown) else shown


def width(text: str) -> int:
    """Count the terminal cells of printable text; a control character counts for none."""
    if _ONE_CELL_EACH.fullmatch(text):
        return len(text)
    return sum(cells for _, cells in _clusters(text))


def fit(text: str, cells: int, ellipsis: str = "…") -> str:
    """Cut text to at most `cells`, marking the cut; text that fits comes back as it is."""
    if width(text) <= cells:
        return text
    room = cells - width(ellipsis)
    return _prefix(text, room) + ellipsis if room >= 0 else _prefix(ellipsis, cells)


def fit_end(text: str, cells: int) -> str:
    """Cut text at its beginning, without a mark, to at most `cells`."""
    spare = width(text) - cells
    for cluster, wide in _clusters(text) if spare > 0 else ():
        if spare <= 0:
            break
        spare -= wide
        text = text[len(cluster) :]
    return text


def pad(text: str, cells: int, align: Align = "left") -> str:
    """Fill text with spaces up to `cells`; wider text comes back as it is."""
    missing = max(0, cells - width(text))
    before = {"left": 0, "right": missing, "center": missing // 2}[align]
    return " " * before + text + " " * (missing - before)


def wrap(text: str, cells: int) -> Iterator[str]:
    """Break text into lines of at most `cells`: between words, and within what has no spaces.

    The space at a break is left out, and all else is kept: a character that is wider than `cells`
    gets a line of its own.
    """
    line: str | None = None
    for word in text.split(" "):
        if line is not None and width(line) + 1 + width(word) <= cells:
            line = f"{line} {word}"
            continue
        if line is not None:
            yield line
        rest = word
        while width(rest) > cells:
            start = _prefix(rest, cells) or next(_clusters(rest))[0]
            if start == rest:
                break
            yield start
            rest = rest[len(start) :]
        line = rest
    yield line or ""


def _prefix(text: str, cells: int) -> str:
    if _ONE_CELL_EACH.fullmatch(text):
        return text[: max(0, cells)]
    end = used = 0
    for cluster, wide in _clusters(text):
        used += wide
        if used > cells:
            break
        end += len(cluster)
    return text[:end]


def _starts_with_a_mark(text: str) -> bool:
    return not _ONE_CELL_EACH.fullmatch(text[:1]) and len(list(_clusters(" " + text[0]))) == 1


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    from wcwidth import iter_graphemes, wcswidth

    for cluster in iter_graphemes(text):
        yield cluster, max(0, wcswidth(cluster))


def _in_pictures(match: re.Match[str]) -> str:
    char = match[0]
    return _PICTURES.get(char) or _escape(char)


def _in_ascii(match: re.Match[str]) -> str:
    char = match[0]
    return _ESCAPES.get(char) or _ASCII_LOOK.get(char) or _escape(char)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
