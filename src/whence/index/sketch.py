"""A summary of many durations that can be merged: count, total, extremes, and any quantile.

The bins are spaced by a constant factor, as in DDSketch (Masson, Rim and Lee, 2019), so a quantile is
within one per cent of the exact one however the durations are spread. Merging adds bins, so it
does not matter in which order or in which pieces they came. Pure.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from whence.errors import CorruptError

ACCURACY = 0.01
"""How far a quantile may be from the exact one, relative to it."""

# A little under the promise, so that rounding at the edge of a bin stays within it.
_BIN_ACCURACY = 0.0099
_GAMMA = (1 + _BIN_ACCURACY) / (1 - _BIN_ACCURACY)
_PER_LOG = 1 / math.log(_GAMMA)
_log = math.log
_ceil = math.ceil


def bin_of(value: int) -> int:
    """The bin of a duration; bins sort as their durations do, and 0 has bin 0."""
    if value > 0:
        return _ceil(_log(value) * _PER_LOG) + 1
    return -bin_of(-value) if value else 0


def _middle(number: int) -> float:
    """The value that is equally far, relatively, from both edges of a bin."""
    if number == 0:
        return 0.0
    exponent = (abs(number) - 1) / _PER_LOG
    return math.copysign(math.exp(exponent) * 2 / (_GAMMA + 1), number)


class Sketch:
    """Durations in summary. Add to it with `merge`; `low` and `high` mean nothing while empty."""

    __slots__ = ("bins", "count", "high", "low", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.low = 0
        self.high = 0
        self.bins: dict[int, int] = {}

    @classmethod
    def of(cls, values: Iterable[int]) -> "Sketch":
        """Summarise `values`."""
        held = list(values)
        return cls.of_binned(held, list(map(bin_of, held)))

    @classmethod
    def of_binned(cls, values: list[int], bins: list[int]) -> "Sketch":
        """Summarise `values` whose bins are known already."""
        sketch = cls()
        if values:
            sketch.count = len(values)
            sketch.total = sum(values)
            sketch.low = min(values)
            sketch.high = max(values)
            sketch.bins = Counter(bins)
        return sketch

    def merge(self, other: "Sketch") -> None:
        """Take in all that `other` has seen."""
        if not other.count:
            return
        self.low = min(self.low, other.low) if self.count else other.low
        self.high = max(self.high, other.high) if self.count else other.high
        self.count += other.count
        self.total += other.total
        bins = self.bins
        for number, count in other.bins.items():
            bins[number] = bins.get(number, 0) + count

    def quantile(self, q: float) -> float | None:
        """The duration that a share `q` of all do not exceed, within `ACCURACY`; None if empty."""
        if not 0 <= q <= 1:
            raise ValueError(f"quantile is {q}, want 0 to 1")
        if not self.count:
            return None
        rank = math.floor(q * (self.count - 1))
        if rank == 0:
            return float(self.low)
        if rank == self.count - 1:
            return float(self.high)
        seen = 0
        for number in sorted(self.bins):
            seen += self.bins[number]
            if seen > rank:
                return min(max(_middle(number), float(self.low)), float(self.high))
        return float(self.high)

    def spread(self) -> Iterator[tuple[int, int]]:
        """The durations, each within `ACCURACY`, and how many there are of it."""
        for number, count in self.bins.items():
            yield min(max(round(_middle(number)), self.low), self.high), count

    def encode(self) -> bytes:
        """Write the sketch in few bytes; a single duration is just itself."""
        if self.count <= 1:
            return _varints([_zigzag(self.low)]) if self.count else b""
        numbers = [_zigzag(self.low), self.high - self.low, _zigzag(self.total)]
        before = 0
        for number in sorted(self.bins):
            numbers += (_zigzag(number - before), self.bins[number])
            before = number
        return _varints(numbers)

    @classmethod
    def decode(cls, data: bytes) -> "Sketch":
        """Read what `encode` wrote; CorruptError for bytes that it cannot have written."""
        numbers = _read_varints(data)
        sketch = cls()
        if not numbers:
            return sketch
        sketch.low = _unzigzag(numbers[0])
        if len(numbers) == 1:
            sketch.count, sketch.total, sketch.high = 1, sketch.low, sketch.low
            sketch.bins = {bin_of(sketch.low): 1}
            return sketch
        if len(numbers) < 5 or len(numbers) % 2 == 0:
            raise CorruptError(f"sketch has {len(numbers)} numbers, want pairs after the third")
        sketch.high = sketch.low + numbers[1]
        sketch.total = _unzigzag(numbers[2])
        number = 0
        for at in range(3, len(numbers), 2):
            number += _unzigzag(numbers[at])
            sketch.bins[number] = numbers[at + 1]
            sketch.count += numbers[at + 1]
        return sketch


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _unzigzag(value: int) -> int:
    return -((value + 1) // 2) if value & 1 else value // 2


def _varints(numbers: list[int]) -> bytes:
    out = bytearray()
    for value in numbers:
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


def _read_varints(data: bytes) -> list[int]:
    if data.isascii():
        # Every number fits into its byte.
        return list(data)
    numbers: list[int] = []
    value = shift = 0
    for byte in data:
        if byte < 0x80:
            numbers.append(byte << shift | value)
            value = shift = 0
        else:
            value |= (byte & 0x7F) << shift
            shift += 7
    if shift:
        raise CorruptError("sketch ends inside a number")
    return numbers
