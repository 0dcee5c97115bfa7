"""Questions about steps: which there were, the tree of one, and how long the layers took.

Steps are events that took time, a tracer's events, and steps that never ended. A tree is given
line by line, parents before children: what lies below is read when it is reached, so that a
trace may be of any size.
"""

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from whence.ask.reading import read_events
from whence.ask.steps import Step, Teller, fits, is_opening
from whence.ask.stores import Stores
from whence.event import Event
from whence.index import spans as rows
from whence.query import Query, StepQuery, clean_query

if TYPE_CHECKING:
    from whence.ask.layers import Layers
    from whence.ask.roots import Rooted
    from whence.ask.traces import Trace

_BATCH = 128

CHILDREN = 100
"""Of the steps directly below one so many are told unless more are asked for."""

LEVELS = 100
"""So many levels of a tree are told unless more are asked for."""


class Spans:
    """Steps of one log, as of when this was made. Reads as it goes, and holds little."""

    def __init__(self, stores: Stores, clock: Callable[[], int]) -> None:
        self._stores = stores
        self._teller = Teller(stores, clock)

    def newest(
        self,
        query: StepQuery = StepQuery(),
        *,
        limit: int | None = None,
        only_open: bool = False,
    ) -> Iterator[Step]:
        """The newest steps that match, oldest first; with `only_open` those that never ended.

        An unfinished step has no status, and stands where it began.
        """
        query = clean_steps(query)
        index = self._stores.index
        if index is None:
            return
        places = [] if only_open else [*index.places(query, newest_first=True, limit=limit)][::-1]
        unfinished = sorted(islice(self._unfinished(query), limit), key=_start)
        ended = (
            self._teller.tell(event)
            for _, event in read_events(self._stores.reader, places, self._stores.note)
        )
        both = merge(ended, unfinished, key=_start)
        spare = 0 if limit is None else max(0, len(places) + len(unfinished) - limit)
        yield from islice(both, spare, None)

    def _unfinished(self, query: StepQuery) -> Iterator[Step]:
        """Steps that never ended, the newest first."""
        index = self._stores.index
        if index is None or query.status is not None:
            return
        seqs = iter(index.ask(rows.unended))
        met: set[str] = set()
        while batch := list(islice(seqs, _BATCH)):
            for _, step in reversed(list(self._teller.read(batch))):
                if step.going is not None and step.id not in met and fits(step, query):
                    met.add(step.id)
                    yield step

    def tell_live(self, event: Event, query: StepQuery, *, only_open: bool = False) -> Step | None:
        """The step that an event stands for which was recorded just now; None if none that matches."""
        is_open = is_opening(event)
        if only_open and not is_open:
            return None
        step = self._teller.tell(event, is_live=True)
        return step if fits(step, query) else None

    def trace(self, reference: str, *, width: int = CHILDREN, depth: int = LEVELS) -> "Trace":
        """The tree of a step: what led to it, itself, and what ran inside, each below its parent.

        `width` limits the steps told below one, `depth` the levels below the step asked about.

        Raises:
            NotFoundError: no step has that id or part of an id, or several have.
        """
        from whence.ask.traces import make_trace

        return make_trace(self._stores, self._teller, reference, width=width, depth=depth)

    def rooted(self, query: Query = Query(), *, limit: int | None = None) -> "Iterator[Rooted]":
        """What matches with the roots of traces, by when it began, or the newest `limit` of it."""
        from whence.ask.roots import read_rooted

        return read_rooted(self._stores, self._teller, query, limit=limit)

    def find_root(self, text: str) -> str:
        """The root of a trace by its id, a part of it or the digits others know it by; else `text`."""
        from whence.ask.roots import find_root

        return text if self._stores.index is None else find_root(self._stores.index, text)

    def layers(
        self,
        query: StepQuery = StepQuery(),
        *,
        last: int | None = None,
        slowest: int = 5,
        by_operation: bool = False,
    ) -> "Layers":
        """How often the steps of each layer happened and how long they took, of the `last` so many."""
        from whence.ask.layers import summarise

        return summarise(
            self._stores, self._teller, clean_steps(query),
            last=last, slowest=slowest, by_operation=by_operation,
        )  # fmt: skip


def clean_steps(query: StepQuery) -> StepQuery:
    """The query with its target and layer as they are stored."""
    cleaned = clean_query(query)
    assert isinstance(cleaned, StepQuery)
    return cleaned


def _start(step: Step) -> int:
    return step.start
