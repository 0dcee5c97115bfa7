"""Makes the ids of our events: UUIDv7 that only ever grow within one process (RFC 9562)."""

import threading
from collections.abc import Callable
from itertools import count

_NS_PER_MS = 1_000_000
_TAIL_DIGITS = 8


class IdMaker:
    """Hands out ids for one process; a forked child makes its own.

    48 bits of milliseconds, then a count of 42 bits that starts at random (RFC 9562, section
    6.2, method 1), then 32 random bits. Ids made one after the other compare in that order, also
    when the clock steps back: the latest millisecond is then kept. The count and the pool of
    random parts are single atomic steps, so only a new millisecond takes the lock.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        # The lock guards `_stamp`, which may never go back.
        self._lock = threading.Lock()
        self._stamp = (0, "")
        # 40 of the 42 bits, so that no process lives to see the count wrap.
        self._count = count(int.from_bytes(random(5), "big")).__next__
        self._tails: list[str] = []

    def make(self, time_ns: int) -> str:
        """Return the next id for an event of this time."""
        stamp = self._stamp
        ms = time_ns // _NS_PER_MS
        if ms > stamp[0]:
            stamp = self._advance(ms)
        try:
            tail = self._tails.pop()
        except IndexError:
            tail = self._refill()
        number = self._count()
        # 0x8000 is the variant of RFC 9562 above 14 bits of the count.
        return (
            f"{stamp[1]}{number >> 30 & 0xFFF:03x}-{number >> 16 & 0x3FFF | 0x8000:04x}"
            f"-{number & 0xFFFF:04x}{tail}"
        )

    def _advance(self, ms: int) -> tuple[int, str]:
        with self._lock:
            if ms > self._stamp[0]:
                self._stamp = (ms, f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7")
            return self._stamp

    def _refill(self) -> str:
        block = self._random(_TAIL_DIGITS // 2 * 256).hex()
        tails = [block[at : at + _TAIL_DIGITS] for at in range(0, len(block), _TAIL_DIGITS)]
        self._tails.extend(tails[1:])
        return tails[0]
