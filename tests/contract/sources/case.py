"""A store that a source is tried on: real files, written by whatever writes such stores."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from whence.sources.source import Source


@dataclass(frozen=True, kw_only=True)
class Case:
    """One store for the contract of sources.

    `make` writes it into an empty folder and returns the source that reads it; it holds at least ten
    events, of at least two agents and two targets, and some at the same moment. `add` has its owner
    write at least one event more. `spoil` writes a row that cannot be understood, where the store can
    hold such a one.
    """

    name: str
    make: Callable[[Path], Source]
    add: Callable[[Path], None]
    spoil: Callable[[Path], None] | None = None
