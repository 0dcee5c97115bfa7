"""Reads back what was learnt: changes, the trust that outcomes came to, and whether all of it fits together."""

import heapq
from collections.abc import Collection, Iterable, Iterator

import msgspec

from whence.draw.charts import Panel
from whence.event import Event
from whence.learning import evidence
from whence.learning.changes import PRIMITIVE, Change, gather, read_change
from whence.learning.checking import Check, differ
from whence.learning.plotting import LINES_MAX, make_panels
from whence.learning.settings import read_half_life
from whence.learning.state import State
from whence.learning.trust import BayesianTrustTracker
from whence.log import Log
from whence.query import Query


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which changes are wanted; None means any.

    `variable` is a variable, an overlay, an asset or a key of trust. `since` and `until` are nanoseconds since
    1970, half-open.
    """

    variable: str | None = None
    rule: str | None = None
    type: str | None = None
    since: int | None = None
    until: int | None = None

    def query(self, primitive: str = PRIMITIVE) -> Query:
        """What of it a store of events can answer."""
        return Query(primitive=primitive, type=self.type, since=self.since, until=self.until)

    def lets_through(self, change: Change) -> bool:
        """Whether a change is of the variable and of the rule that are wanted."""
        if self.variable is not None and self.variable not in (change.variable, change.name):
            return False
        return self.rule is None or self.rule == change.rule

    def keys(self, known: Iterable[str]) -> list[str]:
        """Which of the keys of trust go with it."""
        named = {each for each in (self.variable, self.rule) if each is not None}
        return [key for key in known if not named or key in named]


def read_changes(log: Log, wanted: Wanted = Wanted()) -> Iterator[tuple[Event, Change]]:
    """Give the learning events that are wanted, oldest first, and what each says."""
    for event in log.events(wanted.query()):
        change = read_change(event)
        if change is not None and wanted.lets_through(change):
            yield event, change


def read_panels(log: Log, wanted: Wanted = Wanted()) -> list[Panel]:
    """What a picture of it shows: changes as recorded, and trust as its outcomes came to it."""
    courses = gather(change for _, change in read_changes(log, wanted))
    tracker = BayesianTrustTracker(log)
    beliefs = tracker.beliefs() if wanted.type is None else {}
    keys = sorted(wanted.keys(beliefs), key=lambda key: (-beliefs[key].n, key))
    trust = {
        key: [point for point in course if _is_within(point[0], wanted)]
        for key, course in tracker.courses(keys[:LINES_MAX]).items()
    }
    trust = {key: course for key, course in trust.items() if course}
    return make_panels(courses, trust, max(0, len(keys) - LINES_MAX))


def read_events(log: Log, wanted: Wanted, ids: Collection[str]) -> Iterator[Event]:
    """Give those learning and trust events that bear these ids."""
    trust = wanted.query(evidence.PRIMITIVE)
    for query in (wanted.query(), msgspec.structs.replace(trust, type=None)):
        yield from (event for event in log.events(query) if event.id in ids)


def check_log(log: Log) -> Check:
    """Fold everything anew and gather what does not fit; also a snapshot that is not what the journal comes to."""
    half_life = read_half_life(log)
    check = Check(half_life)
    queries = (Query(primitive=evidence.PRIMITIVE), Query(primitive=PRIMITIVE))
    for event in heapq.merge(*map(log.events, queries), key=lambda event: event.time):
        check.add(event)
    remembered = State(log.folder, half_life, read_only=True).fold().keys
    anew = State(log.folder, half_life, anew=True).fold().keys
    for key in differ(remembered, anew, ages=half_life is not None):
        check.find_snapshot_wrong(key)
    return check


def _is_within(time_ns: int, wanted: Wanted) -> bool:
    if wanted.since is not None and time_ns < wanted.since:
        return False
    return wanted.until is None or time_ns < wanted.until
