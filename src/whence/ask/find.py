"""Search payloads for a text or a regular expression, newest lines first.

What is searched is each key, text and number of a payload by itself, as decoded: never the
envelope, the salt or the punctuation between values. With `ignore_case` letters are equal if their lower
case is.

The journal is searched as raw bytes, and only lines that hit are decoded and looked at closely.
That misses nothing: our lines escape only what they must, so a text that a payload holds stands in
its line in its escaped form. A line that escapes more than that was written by somebody else, and is
decoded always. Payloads in blobs are searched too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from whence.ask.reading import Note, check_formats, check_newest_formats, fill, say_problem
from whence.errors import StoreError
from whence.event import Event
from whence.journal.reader import Reader
from whence.line import split_line
from whence.query import Query, matches

if TYPE_CHECKING:
    from whence.index import Index, Problem

_SALT = b',"salt":"'
_BLOB = b',"blob":'
# From where the salt begins to the first byte of the payload.
_TO_PAYLOAD = len(_SALT) + 24 + len(b'","data":')

# Escapes that our encoder never writes: `\/`, and `\u` for anything but a control character.
_ODD_ESCAPE = re.compile(rb"\\(?:/|u(?!00[01]))")
_ANY_ESCAPE = re.compile(rb"\\[/u]")
# The letters outside ASCII that some reading of "the same letter" holds equal to ASCII ones.
_ODD_CASE = tuple(letter.encode() for letter in "\N{KELVIN SIGN}ſİı")

# What each line has once: so lines that are torn, glued or overwritten show without decoding.
_START, _TIME = b'{"id":"', b'","time":"'

# What ends a line whose payload is an object, as nearly all are. A line without its payload does not.
_OBJECT_END = b"}}\n"

# Little enough to stay in the processor's cache from one look at it to the next.
_CHUNK_BYTES = 256 * 1024

_SLACK_DAYS = 1
_DAY_NS = 86_400 * 1_000_000_000
_DAY_ZERO = date(1970, 1, 1).toordinal()

_encode = msgspec.json.Encoder().encode


class Needle(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for: a quick look at raw bytes, and the test that decides.

    `raw` stands in every payload that matches, unless that is escaped oddly; empty if there are no such
    bytes. Where `ignore_case`, it is in lower case.
    """

    test: Callable[[str], bool]
    raw: bytes
    ignore_case: bool
    odd: re.Pattern[bytes]


def make_needle(text: str | None, pattern: str | None, *, ignore_case: bool = False) -> Needle:
    """Prepare a search for a text or for a regular expression.

    Raises:
        ValueError: neither or both are given or it is empty, or the pattern is not a regular expression.
    """
    if (text is None) == (pattern is None):
        raise ValueError("find wants a text or a pattern, and not both")
    if text is not None:
        if not text:
            raise ValueError("text to find is empty")
        return _text_needle(text, ignore_case=ignore_case)
    assert pattern is not None
    if not pattern:
        raise ValueError("pattern to find is empty")
    try:
        compiled = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(
            f"pattern {pattern[:80]!r} is not a regular expression: {error}"
        ) from error
    literal = find_literal(pattern)
    return Needle(
        test=lambda value: compiled.search(value) is not None,
        raw=(literal.lower() if ignore_case else literal).encode(), ignore_case=ignore_case,
        odd=_ODD_ESCAPE,
    )  # fmt: skip


def _text_needle(text: str, *, ignore_case: bool) -> Needle:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text to find holds a lone surrogate, which no payload can") from error
    # A control character may be escaped in several ways, so any escape needs a closer look then.
    odd = _ODD_ESCAPE if text.isprintable() else _ANY_ESCAPE
    if not ignore_case:
        return Needle(
            test=lambda value: text in value, raw=_encode(text)[1:-1], ignore_case=False, odd=odd
        )
    lower = text.lower()
    # Bytes can only be lowered where they are ASCII, so the longest such stretch stands for all.
    ascii_parts = re.findall(r"[ -~]+", lower)
    raw = _encode(max(ascii_parts, key=len, default=""))[1:-1]
    return Needle(test=lambda value: lower in value.lower(), raw=raw, ignore_case=True, odd=odd)


def find_literal(pattern: str) -> str:
    """A text that everything a regular expression matches must hold; empty if none is plain to see.

    Only letters, digits, spaces, `_` and `-` outside groups and sets count.
    """
    if _NOT_PLAIN.search(pattern):
        return ""
    best = current = ""
    depth = 0
    for token in _TOKEN.findall(pattern):
        depth += (token == "(") - (token == ")")
        if depth == 0 and _LITERAL.fullmatch(token):
            current += token
        else:
            # A repetition may also mean none at all of the character before it.
            current = current[:-1] if token[0] in "*?{" else current
            best, current = max(best, current, key=len), ""
    return max(best, current, key=len)


# Alternatives, flags and the like, and escapes that are longer than one character.
_NOT_PLAIN = re.compile(r"\||\(\?|\\[0-9xuUN]")
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{[^}]*\}|.", re.DOTALL)
_LITERAL = re.compile(r"[A-Za-z0-9 _-]", re.ASCII)


def find(
    reader: Reader,
    needle: Needle,
    query: Query,
    limit: int | None,
    note: Note,
    index: "Index | None" = None,
) -> Iterator[Event]:
    """Give the events whose payload holds what is searched for, the last line of the journal first.

    Says where lines are no events, of those that look like none and those that would match. Of
    what `index` has read, it says what that found.
    """
    check_newest_formats(reader)
    met: set[tuple[str, int]] = set()
    if limit is not None and limit <= 0:
        return
    judged = {} if index is None else _judged(index)
    for segment in reversed(reader.segments()):
        if _is_before(segment.name, query.since):
            continue
        known = judged.get(segment.name, _NOTHING)
        for begin, lines in reader.chunks_back(segment.name, segment.size, _CHUNK_BYTES):
            if begin + len(lines) <= known.end:
                shape = _UNKNOWN
                _note_known(segment.name, begin, begin + len(lines), known, note)
            else:
                check_formats(lines)
                shape = _look_at(lines)
                if not shape.is_whole:
                    _note_fragments(segment.name, begin, lines, note)
            for offset, line in likely_lines(needle, lines, has_blobs=shape.has_blobs):
                place = segment.name, begin + offset
                for event in _matching(reader, needle, query, line, place, note):
                    if (event.w, event.n) not in met:
                        met.add((event.w, event.n))
                        yield event
                    if limit is not None and len(met) >= limit:
                        return


class _Known(NamedTuple):
    """How much of a segment the index has read, and what in it is no event."""

    end: int
    fragments: "Sequence[Problem]"


_NOTHING = _Known(0, ())


def _judged(index: "Index") -> dict[str, _Known]:
    """What the index knows of the segments, which need not be judged again."""
    try:
        consumed, fragments = index.consumed(), index.problems()[len(index.losses()) :]
    except StoreError:
        return {}
    return {
        name: _Known(end, [fragment for fragment in fragments if fragment.segment == name])
        for name, end in consumed.items()
    }


def _note_known(segment: str, begin: int, end: int, known: _Known, note: Note) -> None:
    for _, offset, length, problem in known.fragments:
        if begin <= offset < end:
            note(say_problem(segment, offset, length, problem))


def _is_before(segment: str, since: int | None) -> bool:
    """Whether all lines of a segment are older than `since`, late ones and unsteady clocks included."""
    if since is None:
        return False
    day = date.fromisoformat(segment[:10]).toordinal() - _DAY_ZERO
    return (day + 1 + _SLACK_DAYS) * _DAY_NS <= since


class _Shape(NamedTuple):
    """What lines are like from afar: events all, and some of them perhaps with a blob."""

    is_whole: bool
    has_blobs: bool


_UNKNOWN = _Shape(is_whole=True, has_blobs=True)


def _look_at(lines: bytes) -> _Shape:
    """Tell from afar what lines are like, in few passes: they are what a search spends its time on."""
    size = lines.count(b"\n")
    have_objects = (
        lines.count(_OBJECT_END + _START) == size - 1
        and lines.startswith(_START)
        and lines.endswith(_OBJECT_END)
    )
    is_whole = (
        (have_objects or _are_joined(lines, size))
        and lines.count(_TIME) <= size
        and b"\0" not in lines
    )
    return _Shape(is_whole, has_blobs=not (have_objects and is_whole))


def _are_joined(lines: bytes, size: int) -> bool:
    """Whether every line begins and ends as an event does."""
    joints = lines.count(b"}\n" + _START)
    if joints != size - 1:
        # Lines with a short payload end in spaces.
        joints += lines.count(b" \n" + _START)
    return joints == size - 1 and lines.startswith(_START) and lines.endswith((b"}\n", b" \n"))


def _note_fragments(segment: str, begin: int, lines: bytes, note: Note) -> None:
    for line in lines.split(b"\n")[:-1]:
        for piece in split_line(line):
            if piece.event is None:
                note(say_problem(segment, begin + piece.offset, piece.length, piece.problem))
        begin += len(line) + 1


def likely_lines(
    needle: Needle, lines: bytes, *, has_blobs: bool = True
) -> Iterator[tuple[int, bytes]]:
    """The lines that may match and their offsets, the last one first; all that match are among them."""
    text = lines.lower() if needle.ignore_case else lines
    has_odd_case = (
        needle.ignore_case and not lines.isascii() and any(letter in lines for letter in _ODD_CASE)
    )
    if not needle.raw or has_odd_case:
        end = len(lines)
        for line in reversed(lines.split(b"\n")):
            if line:
                yield end - len(line), line
            end -= len(line) + 1
        return
    more = _other_places(needle, lines, has_blobs=has_blobs)
    end = len(lines)
    # Single bytes are looked for ten times quicker, and often one of them is not there.
    hit = text.rfind(needle.raw) if all(map(text.__contains__, set(needle.raw))) else -1
    while end > 0:
        if hit >= end:
            hit = text.rfind(needle.raw, 0, end)
        at = max(hit, more(end))
        if at < 0:
            return
        start = lines.rfind(b"\n", 0, at) + 1
        stop = lines.find(b"\n", at)
        stop = len(lines) if stop < 0 else stop
        line = lines[start:stop]
        if _may_match(needle, line, text[start:stop]):
            yield start, line
        end = start


def _other_places(needle: Needle, lines: bytes, *, has_blobs: bool) -> Callable[[int], int]:
    """Look for the last place before an end, in a line that needs a closer look whatever it holds."""
    places = [found.start() for found in needle.odd.finditer(lines)] if b"\\" in lines else []
    at = lines.find(_BLOB) if has_blobs else -1
    while at >= 0:
        places.append(at)
        at = lines.find(_BLOB, at + 1)
    places.sort()

    def last_before(end: int) -> int:
        while places and places[-1] >= end:
            places.pop()
        return places[-1] if places else -1

    return last_before


def _may_match(needle: Needle, line: bytes, text: bytes) -> bool:
    """Whether more than the envelope of a line may hold what is searched for."""
    salt = line.find(_SALT)
    start = salt + _TO_PAYLOAD if salt >= 0 else len(line)
    return (
        text.find(needle.raw, start) >= 0
        or needle.odd.search(line, start) is not None
        or _BLOB in line
    )


def _matching(
    reader: Reader, needle: Needle, query: Query, line: bytes, place: tuple[str, int], note: Note
) -> Iterator[Event]:
    segment, offset = place
    for piece in reversed(split_line(line)):
        event = piece.event
        if event is None:
            note(say_problem(segment, offset + piece.offset, piece.length, piece.problem))
            continue
        if not matches(query, event):
            continue
        event = fill(reader.folder, event, note)
        if event.payload and any(map(needle.test, texts_of(event.data))):
            yield event


def texts_of(data: Any) -> Iterator[str]:
    """Every key, text and number in a payload, each as text, in no particular order."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            yield _encode(value).decode()
