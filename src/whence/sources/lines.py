"""Files of JSON lines that other programs write: whole lines with their places, each decoded by itself.

A line that is not finished is not there yet. Whatever a line holds, decoding gives an object or says what is
wrong: what is not quite JSON but was plainly meant (NaN, numbers without bounds, bytes that are no UTF-8) is
read, with those values as texts.
"""

import gzip
import json
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import msgspec

from whence.errors import CorruptError, StoreError

LINE_MAX = 8 * 1024 * 1024
"""A longer line is not understood, and not held in memory."""

KEPT = 2_000
"""So many bytes are kept of a line that is too long."""

VALUES_MAX = 500_000
"""A line of more values is not understood: decoded they take far more memory than as text."""

LARGE = 1024 * 1024
"""The values of shorter lines are not counted: they are fewer, or take little."""

BLOCK = 256 * 1024
"""So many bytes are read at a time where whole blocks of lines are wanted."""

_BOM = b"\xef\xbb\xbf"
_SHOWN = 64
_INT_DIGITS_MAX = 4_300
_decode = msgspec.json.Decoder().decode


class Line(NamedTuple):
    """A line and where it stands, [offset, end).

    `is_ended` is False for the last one of a file whose end is still to come; of a line that is too long, `data`
    is only its first `KEPT` bytes.
    """

    offset: int
    end: int
    data: bytes
    is_ended: bool
    is_too_long: bool


def open_lines(path: Path) -> IO[bytes]:
    """Open a file of lines, packed or not. Offsets are those of the unpacked bytes.

    Raises:
        StoreError: it is not there, may not be read, or is no file.
    """
    try:
        # Whoever opens a pipe waits for somebody to write into it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreError(f"{path} is no file")
        if path.suffix == ".gz":
            return cast("IO[bytes]", gzip.open(path, "rb"))
        return path.open("rb")
    except FileNotFoundError as error:
        raise StoreError(f"{path} is not there") from error
    except OSError as error:
        raise StoreError(f"read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise StoreError(f"look at {path}: {error}") from error


def read_lines(file: IO[bytes], path: Path, offset: int = 0) -> Iterator[Line]:
    """Give the lines from `offset` on.

    Raises:
        StoreError: the file cannot be read on. `CorruptError`: it is packed, and damaged there.
    """
    with _told(path):
        file.seek(offset)
        while data := file.readline(LINE_MAX + 1):
            size, last = len(data), data
            while is_too_long(size) and not last.endswith(b"\n"):
                last = file.readline(LINE_MAX)
                if not last:
                    break
                size += len(last)
            yield _make_line(data, offset, size, is_ended=last.endswith(b"\n"))
            offset += size


def read_blocks(file: IO[bytes], path: Path, offset: int = 0) -> Iterator[bytes]:
    """Give whole lines from `offset` on, many at a time, up to the last of them or one that is too long.

    Raises:
        StoreError, CorruptError: as `read_lines`, once all lines before that were given.
    """
    rest = b""
    with _told(path):
        file.seek(offset)
        # Not `read`, which loses what stands before the damage of a packed file.
        while not is_too_long(len(rest)) and (data := cast("BufferedReader", file).read1(BLOCK)):
            whole, end, begun = data.rpartition(b"\n")
            if end:
                yield rest + whole + end
                rest = begun
            else:
                rest += data


def read_pieces(file: IO[bytes], path: Path, offset: int = 0) -> Iterator[bytes | Line]:
    """Give all from `offset` on: blocks of whole lines, and by itself what is too long or without an end.

    Raises:
        StoreError, CorruptError: as `read_lines`, once all before that was given.
    """
    is_more = True
    while is_more:
        for block in read_blocks(file, path, offset):
            yield block
            offset += len(block)
        # What is left is one line: too long, or without an end.
        line = next(read_lines(file, path, offset), None)
        if line is not None:
            yield line
            offset = line.end
        is_more = line is not None and line.is_ended


def split_lines(block: bytes, offset: int) -> Iterator[Line]:
    """The lines of a block that stands at `offset`."""
    for data in BytesIO(block):
        yield make_line(data, offset)
        offset += len(data)


def make_line(data: bytes, offset: int) -> Line:
    """The whole line that stands at `offset`."""
    return _make_line(data, offset, len(data), is_ended=True)


def is_too_long(size: int) -> bool:
    """Whether a line of so many bytes, its end included, is not read."""
    return size > LINE_MAX


def is_large(size: int) -> bool:
    """Whether a line of so many bytes is read by itself, and with care."""
    return size > LARGE or is_too_long(size)


def has_too_many_values(data: bytes) -> bool:
    """Whether a line's values would take far more memory than its text."""
    return len(data) > LARGE and sum(map(data.count, (b",", b"[", b"{"))) > VALUES_MAX


def decode_line(data: bytes) -> dict[str, Any] | str:
    """The object that a line holds, or what is wrong with it."""
    if has_too_many_values(data):
        return _Wrong(f"line has more than {VALUES_MAX:,} values")
    try:
        value = _decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        value = _decode_leniently(data)
    if isinstance(value, dict):
        return value
    return value if isinstance(value, _Wrong) else _Wrong(f"line is no object: {show(data)}")


def show(data: bytes) -> str:
    """The beginning of a line, for a message."""
    text = data[:_SHOWN].decode(errors="replace").strip()
    return repr(text + ("…" if len(data) > _SHOWN else ""))


def _make_line(data: bytes, offset: int, size: int, *, is_ended: bool) -> Line:
    if offset == 0:
        data = data.removeprefix(_BOM)
    is_long = is_too_long(size)
    return Line(offset, offset + size, data[:KEPT] if is_long else data, is_ended, is_long)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell what goes wrong with the file as errors of ours."""
    try:
        yield
    except EOFError as error:
        raise CorruptError(f"{path} is cut off: what could be read of it is there") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise CorruptError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise StoreError(f"read {path}: {error.strerror or error}") from error


class _Wrong(str):
    """What is wrong with a line, told apart from a line that is a text."""

    __slots__ = ()


def _decode_leniently(data: bytes) -> Any:
    try:
        value = json.loads(
            data.decode(errors="replace"),
            parse_float=_parse_float,
            parse_int=_parse_int,
            parse_constant=str,
        )
        # Half a surrogate pair is no text that can be written again.
        return _decode(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        return _Wrong("line is nested too deeply")
    except (ValueError, msgspec.MsgspecError) as error:
        return _Wrong(f"line is no JSON: {error}")


def _parse_float(text: str) -> float | str:
    number = float(text)
    return number if abs(number) != float("inf") else text


def _parse_int(text: str) -> int | str:
    return int(text) if len(text) < _INT_DIGITS_MAX else text
