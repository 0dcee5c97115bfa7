"""What look-ups give: events as the index knows them, whole or as much of them as is asked for. Pure."""

from typing import NamedTuple

import msgspec

from whence.index.schema import join_id

# All begin with time and seq, so that what was read sorts as it is.
ROW_COLUMNS = (
    "e.time, e.seq, e.rest, e.kind, e.agent, e.target, e.parent, e.root, e.duration,"
    " e.segment, e.offset"
)
PLACE_COLUMNS = "e.time, e.seq, e.segment, e.offset, e.rest"
POINT_COLUMNS = "e.time, e.seq, e.kind, e.agent, e.target, e.parent"


class Row(NamedTuple):
    """An event as the index knows it; its payload is in `segment` at `offset`.

    `parent` and `root` are the `seq` of other rows. `root` is None for a root, and where the path
    up from the event is not known.
    """

    seq: int
    time: int
    primitive: str
    type: str
    agent: str | None
    target: str | None
    parent: int | None
    root: int | None
    status: str | None
    duration: int | None
    segment: str
    offset: int
    id: str


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where an event stands: of its row as much as it takes to read it."""

    time: int
    seq: int
    segment: str
    offset: int
    rest: bytes | str

    @property
    def id(self) -> str:
        """The event's id."""
        return join_id(self.time, self.rest)


Point = tuple[int, int, int, int | None, int | None, int | None]
"""An event in numbers, as much as decides whether it is told: time, seq, kind, agent, target, parent.

Points sort in the order of rows. Their numbers hold for one answer.
"""


class Page(NamedTuple):
    """Which part of an answer is wanted: the first `size` rows, or those after a (time, seq)."""

    newest_first: bool
    size: int
    after: tuple[int, int] | None = None
