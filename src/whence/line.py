"""Events and journal lines: encode, decode, split what is glued. Pure functions over bytes.

The rules are `docs/reference/format.md`, "The line" and "Torn lines". One test decides whether
bytes are an event: they decode, and encoding the result again gives the same bytes. So no unknown
key, second key, other order or other escape can slip in.
"""

import re
from typing import NamedTuple

import msgspec

from whence.errors import CorruptError
from whence.event import ID_BYTES_MAX, NO_PAYLOAD, Event, Head, Status, parse_time

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
_SALT_LENGTH = 24
SALT_PART_BYTES = len(',"salt":"","data":}') + _SALT_LENGTH
_COMMIT_PART_BYTES = len(',"commit":""}') + 43
_BLOB_PART_BYTES = len(',"blob":')
_SALT = re.compile(r"[A-Za-z0-9_-]{24}", re.ASCII).fullmatch
_COMMIT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII).fullmatch
_WRITER = re.compile(r"[a-z0-9]{12}", re.ASCII).fullmatch
_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Strings, so that the brackets inside them do not count.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")
_RUNS = re.compile(rb"\[+|\]+").findall

# Strings and brackets of a line that is read from its end: there a quote belongs to its string
# if a backslash follows, since between strings there are none.
_BACKWARD = re.compile(rb'"[^"]*+(?:"\\[^"]*+)*+(?:"|\Z)|[][{}]').finditer

# As numbers: so a byte is looked for seven times quicker.
_RETURN, _NEWLINE = b"\r\n"

# Whatever is learned about the texts of lines, of which line after line has the same, is forgotten
# when it is as much as this.
_KNOWN_MAX = 10_000

_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


class _Minutes(dict[str, int]):
    """The nanoseconds since 1970 at the start of a minute, by its text `2026-11-20T19:27:`."""

    def __missing__(self, text: str) -> int:
        ns = parse_time(f"{text}00.000000000Z")
        if len(self) >= _KNOWN_MAX:
            self.clear()
        self[text] = ns
        return ns


class _Seconds(dict[str, int]):
    """The nanoseconds since 1970 at the start of a second, by its text `2026-11-20T19:27:35.`.

    ValueError for a text that starts no time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._minutes = _Minutes()
        self._in_minute = {f"{second:02d}.": second * 1_000_000_000 for second in range(60)}

    def __missing__(self, text: str) -> int:
        return self.learn(text)

    def learn(self, text: str) -> int:
        """Work out what a text means that was not met before."""
        in_minute = self._in_minute.get(text[17:])
        if in_minute is None:
            raise ValueError(f"time starts with {text!r}, which no calendar has")
        ns = self._minutes[text[:17]] + in_minute
        if len(self) >= _KNOWN_MAX:
            self.clear()
        self[text] = ns
        return ns


# They only grow or are emptied, so threads may share them.
_seconds = _Seconds()
_writers: set[str] = set()


class Piece(NamedTuple):
    """A stretch of bytes between two newlines: an event, or a fragment and what is wrong."""

    offset: int
    length: int
    event: Event | None
    problem: str


class Columns(NamedTuple):
    """Many events, field by field: `Event`'s fields in their order."""

    id: tuple[str, ...]
    time: tuple[str, ...]
    primitive: tuple[str, ...]
    type: tuple[str, ...]
    agent: tuple[str | None, ...]
    target: tuple[str | None, ...]
    parent: tuple[str | None, ...]
    trace: tuple[str | None, ...]
    status: tuple[Status | None, ...]
    duration: tuple[int | None, ...]
    links: tuple[tuple[str, ...], ...]
    private: tuple[bool, ...]
    w: tuple[str, ...]
    n: tuple[int, ...]
    salt: tuple[str | None, ...]
    payload: tuple[msgspec.Raw, ...]
    commit: tuple[str | None, ...]
    blob: tuple[int | None, ...]


class Block(NamedTuple):
    """Some events, at least one; the same as columns; and their times in ns since 1970."""

    events: list[Event]
    columns: Columns
    times_ns: list[int]


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
        size = len(text) - payload_size - SALT_PART_BYTES
        if payload_size > 2 * DEPTH_MAX and _is_too_deep(text, _LINE_LEVELS):
            raise CorruptError(f"payload is nested deeper than {DEPTH_MAX}")
    else:
        if payload_size or event.commit is None or not _COMMIT(event.commit):
            raise CorruptError("neither a payload with its salt nor a commitment")
        size = len(text) - _COMMIT_PART_BYTES
        if event.blob is not None:
            size -= _BLOB_PART_BYTES + len(str(event.blob))
    if _RETURN in text or _NEWLINE in text or not (text.isascii() or is_utf8(text)):
        raise CorruptError("holds a line break or is not UTF-8")
    time = event.time
    if (
        size > ENVELOPE_BYTES_MAX
        or not (time[:20] in _seconds or _is_second(time[:20]))
        or len(time) != _TIME_LENGTH
        or time[29] != "Z"
        or not time[20:29].isdecimal()
        or not time.isascii()
        or not (event.w in _writers or _is_writer(event.w))
        or not _is_sound(event)
    ):
        raise CorruptError("envelope has a field outside its bounds")
    return event


def decode_lines(lines: list[bytes]) -> Block | None:
    """Read lines all at once, given as newlines part them; None if any of them is no event.

    Takes exactly what `decode_line` takes, in half the time: each rule is asked of all lines in a
    few steps.
    """
    if not lines:
        return None
    try:
        block = block_of(list(map(_decode, lines)))
        encoded = _encode_lines(block.events)
        if encoded != _joined(lines):
            lines = [line.rstrip(b" ") for line in lines]
            if encoded != _joined(lines):
                return None
        for at in _without_payload(block.columns):
            decode_line(lines[at])
    except (msgspec.DecodeError, CorruptError, RecursionError, ValueError):
        return None
    is_sound = (
        _RETURN not in encoded
        and (encoded.isascii() or is_utf8(encoded))
        and _are_sound(block.columns)
        and not _any_too_large(block.columns.payload, lines)
    )
    return block if is_sound else None


def block_of(events: list[Event]) -> Block:
    """Bring events together, at least one; ValueError if the time of one is none."""
    columns = Columns._make(zip(*map(msgspec.structs.astuple, events), strict=True))
    times = columns.time
    fractions = [time[20:29] for time in times]
    digits, ends = "".join(fractions), "".join(times)[_TIME_LENGTH - 1 :: _TIME_LENGTH]
    if (
        set(map(len, times)) != {_TIME_LENGTH}
        or not (digits.isdecimal() and digits.isascii())
        or ends != "Z" * len(times)
    ):
        raise ValueError("a time has another form")
    times_ns = [
        _seconds[time[:20]] + int(fraction) for time, fraction in zip(times, fractions, strict=True)
    ]
    return Block(events, columns, times_ns)


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join([*lines, b""])


def _without_payload(columns: Columns) -> list[int]:
    """Which events hold anything but a salt and a payload: few, so they are read one by one."""
    salts, payloads, commits, blobs = columns[-4:]
    sizes = list(map(len, payloads))
    if (
        None not in salts
        and 0 not in sizes
        and commits.count(None) == blobs.count(None) == len(salts)
    ):
        return []
    return [
        at
        for at, (salt, size, commit, blob) in enumerate(
            zip(salts, sizes, commits, blobs, strict=True)
        )
        if salt is None or not size or commit is not None or blob is not None
    ]


def _are_sound(columns: Columns) -> bool:
    """Whether each field is within its bounds, for events with a salt and a payload."""
    ids, counts = columns.id, columns.n
    lengths = set(map(len, ids))
    durations = [duration for duration in columns.duration if duration is not None]
    salts = [salt for salt in columns.salt if salt is not None]
    salted = "".join(salts)
    return (
        min(lengths) > 0
        and max(lengths) <= ID_BYTES_MAX
        and ("".join(ids).isascii() or max([len(name.encode()) for name in ids]) <= ID_BYTES_MAX)
        and min(counts) >= 0
        and max(counts) <= NUMBER_MAX
        and (not durations or (min(durations) >= 0 and max(durations) <= NUMBER_MAX))
        and set(map(len, salts)) <= {_SALT_LENGTH}
        and salted.isascii()
        and not salted.encode().translate(None, _BASE64URL)
        and all(w in _writers or _is_writer(w) for w in set(columns.w))
    )


def _any_too_large(payloads: tuple[msgspec.Raw, ...], lines: list[bytes]) -> bool:
    """Whether a payload is too deep, or the envelope before a payload too long."""
    sizes = list(map(len, payloads))
    if max(sizes) <= 2 * DEPTH_MAX and max(map(len, lines)) <= ENVELOPE_BYTES_MAX:
        return False
    return any(
        len(line) - size > ENVELOPE_BYTES_MAX + SALT_PART_BYTES
        or (size > 2 * DEPTH_MAX and _is_too_deep(line, _LINE_LEVELS))
        for line, size in zip(lines, sizes, strict=True)
        if size
    )


def payload_problem(payload: bytes) -> str:
    """What keeps bytes from being a payload that every reader can decode, or ""."""
    if _is_too_deep(payload, DEPTH_MAX):
        return f"is nested deeper than {DEPTH_MAX}"
    if not is_utf8(payload):
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
    while brackets and levels:
        # Each round takes the innermost level away. Where that is little, they stand in few runs.
        outer = brackets.replace(b"[]", b"")
        if len(outer) > len(brackets) - len(brackets) // 16:
            return _is_run_too_deep(brackets, levels)
        brackets, levels = outer, levels - 1
    return brackets != b""


def _is_run_too_deep(brackets: bytes, levels: int) -> bool:
    """As `_is_too_deep` in one pass, for nothing but square brackets."""
    depth = 0
    for run in _RUNS(brackets):
        depth += len(run) if run.startswith(b"[") else -len(run)
        if not 0 <= depth <= levels:
            return True
    return depth != 0


def is_utf8(text: bytes) -> bool:
    """Tell whether bytes are text."""
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


def _is_second(text: str) -> bool:
    try:
        _seconds.learn(text)
    except ValueError:
        return False
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
