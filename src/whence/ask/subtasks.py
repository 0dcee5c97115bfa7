"""Subtasks recorded live whose parent only a source tells: they name it, and no event of the journal caused them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from whence.ask.reading import read_events
from whence.ask.stores import Stores
from whence.event import Event
from whence.index import Row
from whence.query import Query, clean_target

CREATE = "create_task"
REASON = "parent_id"
"""Why they hang below it: as in a store's own column."""

_DAY_NS = 86_400_000_000_000
_LOOKED_AT_MAX = 20_000
"""The most creations of tasks that are looked through: the newest."""


class NamedParents:
    """Finds what live creations of tasks name as `parent_task_id`. For one answer."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._since: int | None = None
        self._below: defaultdict[str, list[Row]] = defaultdict(list)

    def below(self, task: str, since: int) -> list[Row]:
        """The creations of subtasks of a task that was itself created at `since`, and not live."""
        index = self._stores.index
        if index is None:
            return []
        if self._since is None or since < self._since:
            # A day more, for clocks that differ and so that few tasks need another look.
            self._since = since - _DAY_NS
            self._read(self._since)
        found = self._below.get(task, [])
        if not found or next(index.find(Query(target=task, type=CREATE), limit=1), None):
            return []
        return found

    def above(self, rows: Iterable[Row]) -> Iterator[tuple[Row, str]]:
        """Those of these events that create a task without a cause, each with the parent that it names."""
        made = [row for row in rows if row.type == CREATE and row.parent is None and row.seq >= 0]
        for row, event in read_events(self._stores.reader, made, self._stores.note):
            parent = _parent_of(event)
            if parent is not None and parent != row.target:
                yield row, parent

    def _read(self, since: int) -> None:
        assert self._stores.index is not None
        query = Query(type=CREATE, since=since)
        rows = list(self._stores.index.find(query, newest_first=True, limit=_LOOKED_AT_MAX))
        if len(rows) == _LOOKED_AT_MAX:
            self._stores.note(
                f"of tasks recorded live the newest {_LOOKED_AT_MAX:,} were looked at: "
                "others that only name their parent may not be shown"
            )
        self._below.clear()
        for row, parent in self.above(reversed(rows)):
            self._below[parent].append(row)


def _parent_of(event: Event) -> str | None:
    data = event.data
    named = data.get("parent_task_id") if isinstance(data, dict) else None
    if isinstance(named, bool) or not isinstance(named, str | int) or named == "":
        return None
    return clean_target(str(named))
