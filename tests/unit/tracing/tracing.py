"""What the tests of tracing share: what was recorded, and values that do all they can to be in the way."""

from typing import Any, NoReturn

from whence.event import Event
from whence.log import Log
from whence.tracing import Tracer


def recorded(log: Log) -> list[Event]:
    """What was recorded, by the time when it began. Steps that were told while open are told once."""
    return [event for event in log.events() if event.primitive != "span"]


def only(log: Log) -> Event:
    """The one event that was recorded."""
    [event] = recorded(log)
    return event


def look_again(tracer: Tracer) -> None:
    """Have the switches looked at again, as they are when a second has passed."""
    tracer._look_at = 0.0


class Hostile:
    """Raises whatever is asked of it."""

    def _raise(self, *_: object) -> NoReturn:
        raise RuntimeError("do not touch")

    __str__ = __repr__ = __eq__ = __bool__ = __len__ = __iter__ = __getitem__ = _raise
    __hash__: Any = None

    def keys(self) -> NoReturn:
        """As a mapping would."""
        raise RuntimeError("do not touch")
