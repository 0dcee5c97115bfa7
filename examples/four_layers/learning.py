"""The learning layer: which kinds of request come again."""

from collections import Counter

from whence.tracing import points

_PATTERNS_MAX = 2
_GENERAL = "user-repeats"


class Learning:
    """Keeps the kinds of request that came more than once, as patterns."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self.patterns: list[str] = []

    def observe(self, kind: str) -> None:
        """Learn from one more request."""
        self._seen[kind] += 1
        if self._seen[kind] == 1:
            return
        code = f"often-{kind.replace(' ', '-')}"
        for known in (code, _GENERAL):
            if known in self.patterns:
                points.learning.pattern_match(known, confidence=1 - 1 / self._seen[kind])
                return
        self.patterns.append(code)
        points.learning.pattern_add(code, source="requests")
        if len(self.patterns) >= _PATTERNS_MAX:
            self._generalize()

    def _generalize(self) -> None:
        """Have one pattern stand for all: the user repeats things."""
        points.learning.generalize(self.patterns, _GENERAL)
        for code in self.patterns:
            points.learning.pattern_trim(code, reason=f"{_GENERAL} stands for it")
        self.patterns = [_GENERAL]
