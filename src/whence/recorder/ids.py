"""Hands out what every event needs once: an id that only grows, and a salt nobody can guess.

Ids are UUIDv7 (RFC 9562): 48 bits of milliseconds, then a count of 42 bits that starts at random
(section 6.2, method 1), then 32 random bits. Ids made one after the other compare in that order,
also when the clock steps back: the latest millisecond is then kept.
"""

import base64
import threading
from collections.abc import Callable

_NS_PER_MS = 1_000_000
_BLOCK = 256
_TAIL_DIGITS = 8
_SALT_BYTES = 18
_SALT_DIGITS = 24
_COUNT_BITS = 42
_LOW_BYTES = [f"{low:02x}" for low in range(_BLOCK)]


class IdMaker:
    """Makes ids and salts for one process, in blocks; a forked child makes its own.

    Taking one is a single atomic step, so only a new block and a new millisecond take the lock.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        # The lock guards `_stamp`, which may never go back, and the replacing of `_pool`.
        self._lock = threading.Lock()
        self._stamp = (0, "")
        # 40 random bits of the 42, in whole blocks, so that no process lives to see it wrap.
        self._count = int.from_bytes(random(5), "big") // _BLOCK * _BLOCK
        self._pool: list[tuple[str, bytes]] = []

    def make(self, time_ns: int) -> tuple[str, bytes]:
        """Return the next id, for an event of this time, and the salt in its place in a line."""
        stamp = self._stamp
        if time_ns // _NS_PER_MS > stamp[0]:
            stamp = self._advance(time_ns // _NS_PER_MS)
        try:
            tail, salt = self._pool.pop()
        except IndexError:
            tail, salt = self._refill()
        return stamp[1] + tail, salt

    def _advance(self, ms: int) -> tuple[int, str]:
        with self._lock:
            if ms > self._stamp[0]:
                self._stamp = (ms, f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7")
            return self._stamp

    def _refill(self) -> tuple[str, bytes]:
        with self._lock:
            if not self._pool:
                self._pool = self._make_block()
            return self._pool.pop()

    def _make_block(self) -> list[tuple[str, bytes]]:
        """The next 256 counts with their random parts, the first one last."""
        number = self._count
        self._count = (number + _BLOCK) % (1 << _COUNT_BITS)
        # 0x8000 is the variant of RFC 9562 above 14 bits of the count.
        start = f"{number >> 30:03x}-{number >> 16 & 0x3FFF | 0x8000:04x}-{number >> 8 & 0xFF:02x}"
        tails = self._random(_BLOCK * _TAIL_DIGITS // 2).hex()
        salts = base64.urlsafe_b64encode(self._random(_BLOCK * _SALT_BYTES))
        block = [
            (
                f"{start}{low}{tails[_TAIL_DIGITS * at : _TAIL_DIGITS * (at + 1)]}",
                b',"salt":"%b","data":' % salts[_SALT_DIGITS * at : _SALT_DIGITS * (at + 1)],
            )
            for at, low in enumerate(_LOW_BYTES)
        ]
        block.reverse()
        return block


def salt_of(place: bytes) -> str:
    """The salt within what `IdMaker.make` returned."""
    return place[9 : 9 + _SALT_DIGITS].decode()
