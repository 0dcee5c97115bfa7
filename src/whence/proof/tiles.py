"""Names and contents of tiles, after C2SP's tlog-tiles: how others ask for parts of a tree. Pure.

`tile/<L>/<N>` has the 256 hashes of level L from 256·N on, `tile/<L>/<N>.p/<W>` the first W of them, and `tile/entries/<N>`
their entries, each after its length in two bytes. N is written in groups of three digits, all but the last with an `x`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from whence.errors import CorruptError
from whence.proof.checkpoints import parse_number
from whence.proof.tree import LEVEL_BITS, NUMBER_MAX, TILE_HASHES

ENTRY_BYTES_MAX = 0xFFFF

_ENTRIES = "entries"
_LEVELS = 64 // LEVEL_BITS
_LENGTH_BYTES = 2


class Tile(NamedTuple):
    """A tile: `level` is None for one of entries, `width` how many hashes or entries it has."""

    level: int | None
    number: int
    width: int = TILE_HASHES


def format_tile(tile: Tile) -> str:
    """Write the path of a tile."""
    level = _ENTRIES if tile.level is None else str(tile.level)
    groups, number = [f"{tile.number % 1000:03d}"], tile.number // 1000
    while number:
        groups.append(f"x{number % 1000:03d}")
        number //= 1000
    partial = "" if tile.width == TILE_HASHES else f".p/{tile.width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


def parse_tile(path: str) -> Tile:
    """Read the path of a tile; CorruptError for any other, or for one that is written another way."""
    parts = path.split("/")
    if len(parts) < 3 or parts[0] != "tile":
        raise CorruptError(f"not a tile: {path[:80]!r}")
    level = None if parts[1] == _ENTRIES else parse_number(parts[1])
    width = TILE_HASHES
    if parts[-2].endswith(".p"):
        width = parse_number(parts.pop())
        parts[-1] = parts[-1].removesuffix(".p")
    digits = "".join(part.removeprefix("x") for part in parts[2:])
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 21):
        raise CorruptError(f"not a tile: {path[:80]!r}")
    tile = Tile(level, int(digits), width)
    if format_tile(tile) != path or not 1 <= width <= TILE_HASHES or tile.number > NUMBER_MAX:
        raise CorruptError(f"not a tile: {path[:80]!r}")
    if level is not None and level >= _LEVELS:
        raise CorruptError(f"tile is of level {level}, want one below {_LEVELS}")
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a tree, and its bundles of entries."""
    level, count = 0, size
    while count:
        for each in (level, None) if level == 0 else (level,):
            full, rest = divmod(count, TILE_HASHES)
            yield from (Tile(each, number) for number in range(full))
            if rest:
                yield Tile(each, full, rest)
        level, count = level + 1, count // TILE_HASHES


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Write a bundle; ValueError for an entry that is too long."""
    if any(len(entry) > ENTRY_BYTES_MAX for entry in entries):
        raise ValueError(f"an entry has more than {ENTRY_BYTES_MAX} bytes")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def decode_entries(content: bytes) -> list[bytes]:
    """Read a bundle."""
    entries, at = [], 0
    while at < len(content):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(content[at:start], "big")
        if start > len(content) or at > len(content):
            raise CorruptError("bundle ends in the middle of an entry")
        entries.append(content[start:at])
    return entries
