"""How often each kind of event happened and how long it took: from roll-ups where they suffice."""

from dataclasses import dataclass

from whence.errors import CorruptError
from whence.index.database import BrokenError
from whence.index.lookup import Lookup
from whence.index.rollups import Summary, add_summary, minute_start, split_window, summarise
from whence.index.sketch import Sketch
from whence.index.windows import between, is_far
from whence.query import Query, StepQuery


@dataclass(frozen=True, slots=True)
class Statistic:
    """How often one kind of event happened, and how long it took where that is known."""

    primitive: str
    type: str
    count: int
    errors: int
    durations: Sketch
    blocked: int = 0

    @property
    def total_ns(self) -> int:
        """All durations together."""
        return self.durations.total

    @property
    def min_ns(self) -> int | None:
        """The shortest duration; None where no event has one."""
        return self.durations.low if self.durations.count else None

    @property
    def max_ns(self) -> int | None:
        """The longest duration; None where no event has one."""
        return self.durations.high if self.durations.count else None

    def quantile(self, q: float) -> float | None:
        """The duration that a share `q` of the events do not exceed, within one per cent."""
        return self.durations.quantile(q)


def statistics(lookup: Lookup, query: Query) -> list[Statistic]:
    """Count what matches, per primitive and type, in their order."""
    slow = query.slow if isinstance(query, StepQuery) else None
    named = (query.target, query.agent, query.parent, query.trace, slow)
    whole = None if is_far(query) else split_window(query.since, query.until)
    if whole is None or any(name is not None for name in named):
        return _group(lookup, query, _from_entries(lookup, query))
    low, high = whole
    try:
        total = lookup.rollups(query, low, high)
    except CorruptError as error:
        raise BrokenError(str(error)) from error
    edges = []
    if query.since is not None:
        edges.append((query.since, minute_start(low)))
    if query.until is not None:
        edges.append((minute_start(high), query.until))
    for since, until in edges:
        part = _from_entries(lookup, between(query, since, until))
        for kind, (count, durations) in part.items():
            add_summary(total, kind, count, durations)
    return _group(lookup, query, total)


def _from_entries(lookup: Lookup, query: Query) -> Summary:
    wanted = lookup.filter(query)
    return {} if wanted is None else summarise(lookup.cells(wanted))


def _group(lookup: Lookup, query: Query, total: Summary) -> list[Statistic]:
    """Bring the statuses of each primitive and type together."""
    groups: dict[tuple[str, str], tuple[int, int, int, Sketch]] = {}
    for number, (count, durations) in total.items():
        primitive, type_, status = lookup.kind(number)
        if isinstance(query, StepQuery) and status is None:
            # Roll-ups count all of a kind; of one without a status, steps are what took time.
            count = durations.count
            if not count:
                continue
        before, errors, blocked, sketch = groups.setdefault((primitive, type_), (0, 0, 0, Sketch()))
        sketch.merge(durations)
        errors += count if status == "error" else 0
        blocked += count if status == "blocked" else 0
        groups[primitive, type_] = (before + count, errors, blocked, sketch)
    return [
        Statistic(primitive, type_, count, errors, sketch, blocked)
        for (primitive, type_), (count, errors, blocked, sketch) in sorted(
            groups.items(), key=lambda group: group[0]
        )
    ]
