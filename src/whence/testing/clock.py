"""A clock that stands still until told to move."""

from whence.event import parse_time

_NS_PER_S = 1_000_000_000


class FixedClock:
    """Stands for `time.time_ns`: call it for the time, `advance` it, or `set` it anywhere."""

    def __init__(self, start: str = "2026-11-20T12:00:00.000000000Z") -> None:
        self.now_ns = parse_time(start)

    def __call__(self) -> int:
        """Tell the time, in nanoseconds since 1970."""
        return self.now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number steps the clock back."""
        self.now_ns += round(seconds * _NS_PER_S)

    def set(self, time: str) -> None:
        """Move to a time written as in the journal, before or after the present one."""
        self.now_ns = parse_time(time)
