"""Events that are private because a rule of `[privacy]` says so, and not their caller.

A log without rules has a plain `Recorder`, so that nobody else pays for looking.
"""

import re
from collections.abc import Collection, Iterable
from fnmatch import translate
from pathlib import Path
from typing import Any

from whence.event import Status
from whence.recorder.envelope import split_name
from whence.recorder.recorder import Recorder
from whence.recorder.span import Span
from whence.settings import Durability, PrivacyRule

_KEPT_MAX = 20_000


class Rules:
    """Tells what is private. The first rule that matches says so; where none does, nothing is.

    A rule matches if all that it names does, in the words of `fnmatch` and minding case; an event
    without an agent matches no rule that names one.
    """

    def __init__(self, rules: Iterable[PrivacyRule]) -> None:
        self._rules = [
            (_compile(rule.primitive), _compile(rule.type), _compile(rule.agent), rule.private)
            for rule in rules
        ]
        self._kept: dict[tuple[str, str, str | None], bool] = {}

    def is_private(self, primitive: str, type: str, agent: str | None) -> bool:
        """Whether an event with these names is private where its caller does not say."""
        key = (primitive, type, agent)
        private = self._kept.get(key)
        if private is None:
            private = self._look(primitive, type, agent)
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            self._kept[key] = private
        return private

    def _look(self, *names: str | None) -> bool:
        # What is no text is misuse, which the recorder refuses better than a pattern would.
        texts = [name if isinstance(name, str) else None for name in names]
        for *patterns, private in self._rules:
            if all(
                pattern is None or (text is not None and pattern.match(text))
                for pattern, text in zip(patterns, texts, strict=True)
            ):
                return private
        return False


def _compile(wildcard: str | None) -> re.Pattern[str] | None:
    return None if wildcard is None else re.compile(translate(wildcard))


class RuledRecorder(Recorder):
    """A recorder that asks the rules wherever `private` is not given."""

    def __init__(self, folder: Path, *, rules: Rules, **options: Any) -> None:
        super().__init__(folder, **options)
        self._rules = rules

    def is_private(self, primitive: str, type: str, agent: str | None) -> bool:
        """As the rules say."""
        return self._rules.is_private(primitive, type, agent)

    def emit(
        self,
        primitive: str,
        type: str,
        agent: str | None = None,
        target: str | None = None,
        data: Any = None,
        parent: str | None = None,
        links: Collection[str] = (),
        status: Status | None = None,
        duration: int | None = None,
        private: bool | None = None,
        durability: Durability | None = None,
        wait: bool = False,
    ) -> str:
        """As `Recorder.emit`."""
        if private is None:
            private = self.is_private(primitive, type, agent)
        return super().emit(
            primitive, type, agent, target, data, parent, links, status, duration, private,
            durability, wait,
        )  # fmt: skip

    async def emit_async(
        self,
        primitive: str,
        type: str,
        *,
        agent: str | None = None,
        private: bool | None = None,
        **fields: Any,
    ) -> str:
        """As `Recorder.emit_async`."""
        if private is None:
            private = self.is_private(primitive, type, agent)
        return await super().emit_async(primitive, type, agent=agent, private=private, **fields)

    def span(
        self, name: str, *, agent: str | None = None, private: bool | None = None, **fields: Any
    ) -> Span:
        """As `Recorder.span`."""
        if private is None:
            private = self.is_private(*split_name(name), agent)
        return super().span(name, agent=agent, private=private, **fields)
