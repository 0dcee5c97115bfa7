"""What a run does while it is executed again: kept here, not in the journal.

The process that executes it sets a capture; the first run that is begun in it then is the one that is
compared. Runs inside of that one are its own affair and are kept nowhere.
"""

from typing import Any

import msgspec


class CapturedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step: its name, the digest of its state, and the state where it is known."""

    name: str
    digest: str | None
    state: Any = None
    has_state: bool = False


class Capture(msgspec.Struct, kw_only=True):
    """What is known so far of a run that is executed again."""

    id: str | None = None
    has_begun: bool = False
    steps: list[CapturedStep] = []
    output: Any = None
    has_output: bool = False


_current: Capture | None = None


def set_capture(capture: Capture | None) -> None:
    """Have runs of this process captured from now on, or recorded again."""
    global _current
    _current = capture


def current_capture() -> Capture | None:
    """What captures runs here; None where they are recorded."""
    return _current
