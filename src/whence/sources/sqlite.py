"""Any SQLite database by a mapping from columns to events.

Time, agent, target and parent are asked of SQLite; the order of time too, where a column's own order is that
of its times, or the second that its texts name. Where it is not (text times of several zones or of one with
summer time), rows are sorted here, in a temporary file if they are many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from whence.errors import WhenceError
from whence.query import Query, matches
from whence.sources.bounds import take_timeout
from whence.sources.database import open_database
from whence.sources.mapping import Map, decode_maps
from whence.sources.rows import Key
from whence.sources.schema import Fitted, fit_maps, schema_text
from whence.sources.source import Health, NameKind, RawRow, Source, SourceEvent, Tie
from whence.sources.table import MappedTable, Place

Item = TypeVar("Item")


def open_source(path: Path, name: str, options: Mapping[str, Any]) -> Source:
    """Make a source of the database at `path`; ValueError if the mapping in `options` is wrong."""
    where = f"[[source]] {path.name}"
    view_timeout_s, mapping = take_timeout(options, where)
    maps = decode_maps(mapping, where)
    if not maps:
        raise ValueError(
            f"{where} has no mapping; `whence sources suggest {path.name}` proposes one"
        )
    return SqliteSource(path, name, maps, where, view_timeout_s)


class SqliteSource:
    """A database whose tables are mapped to events.

    A table that cannot be read raises after the events of the others were given.
    """

    kind = "sqlite"

    def __init__(
        self, path: Path, name: str, maps: Sequence[Map], where: str, view_timeout_s: float
    ) -> None:
        self.name = name
        self._maps = maps
        self._where = where
        self._database = open_database(path, view_timeout_s=view_timeout_s)
        self._schema = ""
        self._tables: list[MappedTable] = []

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        """Give what `query` lets through; see `Source.events`."""
        if query.trace is not None:
            # Nothing here knows its trace, but a root belongs to its own.
            root = self.event(query.trace)
            yield from [root] if root is not None and matches(query, root) else []
            return
        failures: list[WhenceError] = []
        streams = [
            _keep_failure(table.items(query, newest_first), failures) for table in self._mapped()
        ]
        for _, _, event in merge(*streams, key=itemgetter(0, 1), reverse=newest_first):
            yield event
        for failure in failures:
            raise failure

    def event(self, event_id: str) -> SourceEvent | None:
        """The event of that id, or None."""
        found = self._ask_each(lambda table: table.with_id(event_id))
        return next(found, None)

    def matching(self, part: str, limit: int) -> list[SourceEvent]:
        """Events whose id begins or ends with `part`, at most `limit`."""
        return list(islice(self._ask_each(lambda table: table.with_id_like(part)), limit))

    def names(self, kind: NameKind) -> Iterator[str]:
        """The targets or agents of its events."""
        return chain.from_iterable(table.names(kind) for table in self._mapped())

    def has_name(self, kind: NameKind, name: str) -> bool:
        """Whether an event has that target or agent."""
        query = Query(target=name, own=True) if kind == "target" else Query(agent=name, own=True)
        return any(True for _ in self._ask_each(lambda table: table.answers(query)))

    def below(self, target: str) -> list[str]:
        """The targets that the mapping's `part_of` puts under `target`."""
        found = dict.fromkeys(name for table in self._mapped() for name in table.below(target))
        return [name for name in found if name != target]

    def causes(self, event: SourceEvent) -> list[Tie]:
        """What its relations name, as far as it is there."""
        ties = ((each.reason, self.event(each.id)) for each in event.relations)
        return [Tie(reason, cause) for reason, cause in ties if cause is not None]

    def effects(self, event: SourceEvent) -> list[Tie]:
        """The events whose relations name this one."""
        return [tie for table in self._mapped() for tie in table.effects(event)]

    def health(self) -> Health:
        """How well the database is understood."""
        events = not_understood = 0
        newest: int | None = None
        failures: list[WhenceError] = []
        try:
            tables = self._mapped()
        except WhenceError as error:
            return Health(problem=str(error))
        for table in tables:
            for _, key in _keep_failure(table.all_keys(), failures):
                if isinstance(key, Key):
                    events += 1
                    newest = key.ns if newest is None else max(newest, key.ns)
                else:
                    not_understood += 1
        return Health(
            events=events,
            newest_ns=newest,
            not_understood=not_understood,
            problem="; ".join(dict.fromkeys(map(str, failures))),
        )

    def raw(self) -> Iterator[RawRow]:
        """The rows that are not understood."""
        for table in self._mapped():
            yield from table.raw()

    def close(self) -> None:
        """Give everything back. The next use opens it again."""
        self._database.close()

    def _ask_each(
        self, question: Callable[[MappedTable], Iterator[SourceEvent]]
    ) -> Iterator[SourceEvent]:
        """Give the answers of all tables that can be read, then raise why others cannot."""
        failures: list[WhenceError] = []
        for table in self._mapped():
            yield from _keep_failure(question(table), failures)
        for failure in failures:
            raise failure

    def _mapped(self) -> list[MappedTable]:
        schema = schema_text(self._database)
        if schema != self._schema or not self._tables:
            fitted = fit_maps(self._database, self._maps, self._where)
            self._tables = [
                MappedTable(self._database, each, place, source=self.name, where=self._where)
                for each, place in zip(fitted, _place_all(fitted), strict=True)
            ]
            self._schema = schema
        return self._tables


def _keep_failure(items: Iterator[Item], failures: list[WhenceError]) -> Iterator[Item]:
    """Give what comes before a failure, which is kept for the end."""
    try:
        yield from items
    except WhenceError as error:
        failures.append(error)


def _place_all(fitted: Sequence[Fitted]) -> Iterator[Place]:
    """Give each mapping a prefix for its ids, if there are several: `tasks`, then `tasks.closed_at`."""
    if len(fitted) == 1:
        yield Place()
        return
    taken: set[str] = set()
    for mapping, table in fitted:
        prefix = table.name
        while prefix in taken:
            prefix = f"{prefix}.{mapping.time}"
        is_further = prefix != table.name
        taken.add(prefix)
        yield Place(prefix, table.name, is_further)
