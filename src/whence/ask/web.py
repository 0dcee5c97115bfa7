"""The events around a question and which caused which, gathered from the journal and from sources.

What an event names as its parent or links to is a cause: **solid**. What a source's columns or words
imply, a foreign key or a mention, is **dotted**, with its reason. An event that a source tells and
the journal holds too is one, and ties what both know of it together.

Events of sources have numbers below zero here, so that both kinds go the same ways.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from whence.ask.paths import when
from whence.ask.references import Subject
from whence.index import Index, Row
from whence.query import Query

if TYPE_CHECKING:
    from whence.sources.source import SourceEvent

EVENTS_MAX = 10_000
"""The most effects in one tree; of more, the nearest."""

STARTS_MAX = 1_000
"""The most events of one target, agent or trace that a tree starts from: the newest."""


@dataclass(kw_only=True)
class Web:
    """Events by number, and pairs of numbers (cause, effect).

    `dotted` has the reason of each pair. `told` are the events of sources, `asked` those that the
    question is about, `missing` the causes that an event of a source names and that it does not have, each
    with what it is named as: `parent`, or the reason of a relation.
    """

    rows: dict[int, Row] = field(default_factory=dict)
    solid: set[tuple[int, int]] = field(default_factory=set)
    dotted: dict[tuple[int, int], str] = field(default_factory=dict)
    told: "dict[int, SourceEvent]" = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    missing: dict[int, dict[str, str]] = field(default_factory=dict)
    is_complete: bool = True

    def live(self) -> list[int]:
        """The numbers of the events that the journal holds."""
        return [seq for seq in self.rows if seq >= 0]


def gather(index: Index | None, subject: Subject, *, is_wide: bool) -> Web:
    """Gather what the journal knows to have led to the subject, and what came of it.

    If `is_wide`, also what else came of those causes. `tie_live` ties it together, last of all.
    """
    web = Web()
    if index is None or subject.told is not None:
        return web
    starts = _find_starts(index, subject)
    web.asked.update(row.seq for row in starts)
    web.rows.update(climb(index, starts))
    add_effects(web, index, web.live() if is_wide else [row.seq for row in starts])
    web.is_complete &= len(starts) < STARTS_MAX
    return web


def tie_live(web: Web, index: Index | None) -> None:
    """Tie the journal's events together by their parents and links."""
    if index is None:
        return
    web.solid.update((row.parent, row.seq) for row in web.rows.values() if row.parent is not None)
    web.solid.update(index.links(web.live()))


def add_effects(web: Web, index: Index, seqs: Iterable[int]) -> None:
    """Add what the journal knows to have come of these events."""
    effects = index.descendants(seqs, EVENTS_MAX)
    web.rows.update((row.seq, row) for row in effects)
    web.is_complete &= len(effects) < EVENTS_MAX


def _find_starts(index: Index, subject: Subject) -> list[Row]:
    """The events that the question is about, by time."""
    if subject.event is not None:
        return [subject.event]
    found = {
        row.seq: row
        for query in queries_about(subject)
        for row in index.find(query, newest_first=True, limit=STARTS_MAX)
    }
    return sorted(found.values(), key=when)


def queries_about(subject: Subject) -> list[Query]:
    """The questions that together give the events that a subject means."""
    about = [Query(target=name, own=True) for name in subject.names]
    by = [Query(agent=name, own=True) for name in subject.names]
    of = [Query(trace=subject.name, own=True)]
    return {"target": about, "agent": by, "both": about + by, "trace": of, "event": []}[
        subject.kind
    ]


def climb(index: Index, starts: Iterable[Row]) -> dict[int, Row]:
    """The starts and all that led to them, through parents and links."""
    known: dict[int, Row] = {}
    waiting = deque(starts)
    while waiting:
        row = waiting.popleft()
        if row.seq in known:
            continue
        known[row.seq] = row
        chain = [row]
        if row.parent is not None and row.parent not in known:
            chain += index.ancestors(row.seq)
            known.update((above.seq, above) for above in chain)
        among = {above.seq for above in chain}
        linked = {cause for cause, effect in index.links(among) if effect in among}
        waiting.extend(index.rows(linked - known.keys()))
    return known
