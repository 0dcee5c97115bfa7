"""Which counts of which writers have been read: tells repeats from news, and names the holes.

A line written again after a failed sync has the same writer and count; it is one event. A count
that never comes is a lost event.
"""


class Seen:
    """Remembers, per writer, the ranges of counts read so far. Ranges are half-open."""

    def __init__(self) -> None:
        self._ranges: dict[str, list[list[int]]] = {}

    def add(self, w: str, n: int) -> bool:
        """Note the count `n` of writer `w`; False if it had been noted before."""
        ranges = self._ranges.get(w)
        if ranges is None:
            self._ranges[w] = [[n, n + 1]]
            return True
        last = ranges[-1]
        if n == last[1]:
            last[1] = n + 1
            return True
        return self._add_elsewhere(ranges, n)

    def _add_elsewhere(self, ranges: list[list[int]], n: int) -> bool:
        at = len(ranges)
        while at > 0 and ranges[at - 1][0] > n:
            at -= 1
        before = ranges[at - 1] if at > 0 else None
        after = ranges[at] if at < len(ranges) else None
        if before is not None and n < before[1]:
            return False
        if before is not None and n == before[1]:
            before[1] = n + 1
            if after is not None and after[0] == n + 1:
                before[1] = after[1]
                del ranges[at]
        elif after is not None and after[0] == n + 1:
            after[0] = n
        else:
            ranges.insert(at, [n, n + 1])
        return True

    def missing(self) -> dict[str, list[range]]:
        """The counts below each writer's highest that were never read, writers without any left out."""
        holes: dict[str, list[range]] = {}
        for w, ranges in self._ranges.items():
            edges = [0, *(edge for span in ranges for edge in span)]
            gaps = [range(edges[at], edges[at + 1]) for at in range(0, len(edges) - 1, 2)]
            found = [gap for gap in gaps if gap]
            if found:
                holes[w] = found
        return holes

    def dump(self) -> dict[str, list[list[int]]]:
        """The state as plain values, for `load`."""
        return {w: [list(span) for span in ranges] for w, ranges in self._ranges.items()}

    @classmethod
    def load(cls, state: dict[str, list[list[int]]]) -> "Seen":
        """Make one that goes on where `dump` was taken."""
        seen = cls()
        seen._ranges = {w: [list(span) for span in ranges] for w, ranges in state.items()}
        return seen
