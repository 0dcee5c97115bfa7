"""Hands out what every event needs once: an id that only grows, and a salt nobody can guess.

Ids are UUIDv7 (RFC 9562): 48 bits of milliseconds, then a count of 42 bits that starts at random
(section 6.2, method 1), then 32 random bits. Ids made one after the other compare in that order,
also when the clock steps back: the latest millisecond is then kept.

Both come in blocks, small enough that making one does not stand out among the calls that take.
"""

import base64
import struct
import threading
from collections.abc import Callable

_NS_PER_MS = 1_000_000
# So that the counts of a block differ in their last byte alone.
_BLOCK = 256
_PIECES = 32
_PIECES_BYTES = 32 * 1024
"""At most so much is asked for at once: what takes longer than a timer's turn is interrupted each time."""
_TAIL_BYTES = 4
_SALT_BYTES = 18
_COUNT_BITS = 42
_split_salts = struct.Struct("24s" * _BLOCK).unpack


class Pool:
    """Hands out random bytes that were asked for in larger pieces. Safe for threads and handlers.

    Asking the system lets another thread run; with many that record, each turn costs as much as
    hundreds of events.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        # By size. Taking one is a single atomic step; what two threads fetch at once is all used.
        self._pieces: dict[int, list[bytes]] = {}

    def __call__(self, size: int) -> bytes:
        """Return so many random bytes, which nobody else gets."""
        pieces = self._pieces.setdefault(size, [])
        while True:
            try:
                return pieces.pop()
            except IndexError:
                fetched = self._random(size * max(1, min(_PIECES, _PIECES_BYTES // size)))
                pieces += [fetched[at : at + size] for at in range(0, len(fetched), size)]


class IdMaker:
    """Makes the ids of one process; a forked child makes its own.

    Taking one is a single atomic step, so only a new block and a new millisecond take the lock.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        # The lock guards the stamp, which may never go back, and the replacing of `_tails`.
        # Re-entrant: a handler or finalizer that interrupts its holder may record too.
        self._lock = threading.RLock()
        self._stamp = "00000000-0000-7"
        self._stamp_ends_ns = 0
        # 40 random bits of the 42, in whole blocks, so that no process lives to see it wrap.
        self._count = int.from_bytes(random(5), "big") // _BLOCK * _BLOCK
        self._tails: list[str] = []

    def make(self, time_ns: int) -> str:
        """Return the next id, for an event of this time."""
        if time_ns >= self._stamp_ends_ns:
            self._advance(time_ns)
        stamp = self._stamp
        try:
            return stamp + self._tails.pop()
        except IndexError:
            return stamp + self._refill()

    def _advance(self, time_ns: int) -> None:
        with self._lock:
            if time_ns >= self._stamp_ends_ns:
                ms = time_ns // _NS_PER_MS
                self._stamp = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7"
                self._stamp_ends_ns = (ms + 1) * _NS_PER_MS

    def _refill(self) -> str:
        with self._lock:
            if not self._tails:
                block = self._make_block()
                # A handler that recorded meanwhile left a later block, and ids may not go back.
                if not self._tails:
                    self._tails = block
            return self._tails.pop()

    def _make_block(self) -> list[str]:
        """The next counts with their random parts, the first one last.

        Interleaved as bytes and split as text, so that one id costs no Python step of its own.
        """
        number = self._count
        self._count = (number + _BLOCK) % (1 << _COUNT_BITS)
        # 0x8000 is the variant of RFC 9562 above 14 bits of the count.
        start = f"{number >> 30:03x}-{number >> 16 & 0x3FFF | 0x8000:04x}-{number >> 8 & 0xFF:02x}"
        random = self._random(_BLOCK * _TAIL_BYTES)
        rows = bytearray(_BLOCK * (1 + _TAIL_BYTES))
        rows[0 :: 1 + _TAIL_BYTES] = bytes(range(_BLOCK - 1, -1, -1))
        for at in range(_TAIL_BYTES):
            rows[1 + at :: 1 + _TAIL_BYTES] = random[at * _BLOCK : (at + 1) * _BLOCK]
        text = rows.hex(" ", 1 + _TAIL_BYTES).replace(" ", f" {start}")
        return f"{start}{text}".split(" ")


def make_salts(random: Callable[[int], bytes]) -> list[bytes]:
    """Cut a block of salts from one encoded stretch of randomness."""
    return list(_split_salts(base64.urlsafe_b64encode(random(_BLOCK * _SALT_BYTES))))
