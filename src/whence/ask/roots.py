"""Steps with the root that each belongs to, for other tools: they draw traces, and know no journal."""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from whence.ask.reading import read_events
from whence.ask.steps import Step, Teller
from whence.ask.stores import Stores
from whence.event import ID_BYTES_MAX
from whence.index import Index, Row
from whence.index.spans import find_unended
from whence.query import Query, clean_query, matches

_BATCH = 256
_KEPT_MAX = 10_000
_ALIKE_MAX = 100
_PART_MIN = 4
_DIGITS = 32


class Rooted(msgspec.Struct, frozen=True, kw_only=True):
    """A step with its payload, and the id of the root of its trace.

    `links` are further causes, each with its root.
    """

    step: Step
    data: Any
    root: str
    links: tuple[tuple[str, str], ...] = ()


def read_rooted(
    stores: Stores,
    teller: Teller,
    query: Query,
    *,
    limit: int | None = None,
) -> Iterator[Rooted]:
    """Give the steps and events that match by when they began, or the newest `limit` of them.

    What is told to be open is there only if it never ended. Without a limit only some of them, and
    all that never ended, are held.
    """
    index = stores.index
    if index is None:
        return
    reader = _Reading(stores, teller, index)
    wanted = clean_query(query)
    if limit is not None:
        newest = list(reader.read(wanted, limit))
        yield from sorted(newest, key=_start)
        return
    # What is open is told late: found first, so that it comes before what happened inside it.
    is_narrow = wanted.primitive is not None or wanted.type is not None
    opened = msgspec.structs.replace(wanted, primitive="span", type="open")
    unfinished = [] if is_narrow else [each for each in reader.read(opened) if each.step.going]
    rest = reader.read(wanted)
    if not is_narrow:
        rest = (each for each in rest if each.step.going is None)
        unfinished += reader.read_unfinished_root(wanted)
    yield from merge(rest, sorted(unfinished, key=_start), key=_start)


class _Reading:
    """Reads what one question is about, with roots."""

    def __init__(self, stores: Stores, teller: Teller, index: Index) -> None:
        self._stores = stores
        self._teller = teller
        self._index = index
        self._roots = _Roots(index)

    def read(self, query: Query, newest: int | None = None) -> Iterator[Rooted]:
        """Give what matches, by time or the newest so many first; of openings only the unfinished."""
        return self._tell(self._index.find(query, newest_first=newest is not None, limit=newest))

    def read_unfinished_root(self, query: Query) -> Iterator[Rooted]:
        """Give the root of the trace that is asked for, if it never ended: its opening names no trace."""
        root = query.trace
        if root is not None:
            found = self._index.ask(lambda lookup: find_unended(lookup, root, 1, is_part=False))
            others = msgspec.structs.replace(query, trace=None)
            for each in self._tell(iter(self._index.rows(seq for seq, _ in found))):
                if matches(others, each.step.event):
                    yield each

    def _tell(self, found: Iterator[Row]) -> Iterator[Rooted]:
        while rows := list(islice(found, _BATCH)):
            self._roots.learn(rows)
            for row, event in read_events(self._stores.reader, rows, self._stores.note):
                step = self._teller.tell(event)
                if step.going is None or self._index.by_id(step.id) is None:
                    yield _root(step, row, self._roots)


def _start(rooted: Rooted) -> int:
    return rooted.step.start


def find_root(index: Index, text: str) -> str:
    """The root of the trace that is meant by its id, a part of one, or the 32 digits others know it by.

    What means nothing, or several things, is given back as it is.
    """
    if not _PART_MIN <= len(text) <= ID_BYTES_MAX or index.by_id(text) is not None:
        return text
    rows = index.by_prefix(text, _ALIKE_MAX) or index.by_suffix(text, _ALIKE_MAX)
    if not rows and len(text) == _DIGITS:
        # A root of ours is sent to others without its dashes.
        root = index.by_id(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
        rows = [] if root is None else [root]
    roots = _Roots(index)
    roots.learn(rows)
    found = {roots.of(row) or row.id for row in rows}
    if not found:
        parts = index.ask(lambda lookup: find_unended(lookup, text, _ALIKE_MAX, is_part=True))
        found = {step_id for _, step_id in parts}
    return found.pop() if len(found) == 1 else text


def _root(step: Step, row: Row, roots: "_Roots") -> Rooted:
    event = step.event
    # Where the index knows none, this is the root, or the root is not recorded.
    root = roots.of(row) or event.trace or event.parent or step.id
    # The step that a `span.open` is linked to is the step itself.
    links = () if step.going is not None else event.links
    data = event.data if step.going is None else step.data
    return Rooted(
        step=step, data=data, root=root, links=tuple((link, roots.of_id(link)) for link in links)
    )


class _Roots:
    """The roots of events, as the index found them."""

    def __init__(self, index: Index) -> None:
        self._index = index
        # By `seq`, which holds for as long as the question takes.
        self._ids: dict[int, str] = {}

    def learn(self, rows: Iterable[Row]) -> None:
        """Look up the roots of some events at once."""
        if len(self._ids) > _KEPT_MAX:
            self._ids.clear()
        wanted = {row.root for row in rows if row.root is not None} - self._ids.keys()
        self._ids.update((row.seq, row.id) for row in self._index.rows(wanted))

    def of(self, row: Row) -> str | None:
        """The id of an event's root; None for a root, and where it is not recorded."""
        if row.root is None:
            return None
        if row.root not in self._ids:
            self.learn([row])
        return self._ids.get(row.root)

    def of_id(self, event_id: str) -> str:
        """The id of the root of an event that is known by its own; itself where nothing is known."""
        row = self._index.by_id(event_id)
        return event_id if row is None else self.of(row) or event_id
