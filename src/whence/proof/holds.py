"""Holds: what must not be erased, in the order of `whence.toml`. Pure.

[[hold]]
target = "task-abc123"      # or agent, or neither: everything
reason = "audit 2026-11"
"""

from collections.abc import Iterable

import msgspec

from whence.errors import ConflictError
from whence.event import Event
from whence.settings import Settings


class Hold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is held; what it does not name it holds of any kind."""

    reason: str
    target: str | None = None
    agent: str | None = None

    def holds(self, event: Event) -> bool:
        """Whether an event is held."""
        return self.target in (None, event.target) and self.agent in (None, event.agent)

    def __str__(self) -> str:
        parts = [
            f"{name} {value}"
            for name, value in (("target", self.target), ("agent", self.agent))
            if value
        ]
        return f"{' and '.join(parts) or 'everything'}: {self.reason}"


def read_holds(settings: Settings) -> list[Hold]:
    """Read the holds; ValueError says what is wrong with one."""
    try:
        return msgspec.convert(settings.others.get("hold", []), list[Hold])
    except msgspec.ValidationError as error:
        raise ValueError(f"{settings.file}: [[hold]]: {error}") from error


def check_holds(holds: Iterable[Hold], events: Iterable[Event]) -> None:
    """Refuse to touch what is held: ConflictError names the hold."""
    held = list(holds)
    for event in events:
        for hold in held:
            if hold.holds(event):
                raise ConflictError(f"{event.id} is held ({hold}): nothing was erased")
