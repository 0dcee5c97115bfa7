"""What ids of a store stand for, looked up once for each question: agents, channels, sessions, links."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from whence.query import clean_target
from whence.sources.source import SPELLINGS_MAX, NameKind, Spellings
from whence.sources.space.clocks import first_id, looks_like_uuid7, read_stamp
from whence.sources.space.eras import Table
from whence.sources.space.feeds import SLEEPS, Feed, key_of
from whence.sources.space.statements import ANY, Condition, expression, one_of, select_sleeps

Ask = Callable[[str, Condition], Iterator[tuple[Any, ...]]]
"""Runs a statement on the database of that name."""

_KEPT_MAX = 20_000

_ALONE_MAX = 3
"""The sleeps of so many agents are looked for one by one, where no index leads to them."""


class Names:
    """The names of one kind of row by its ids, and the other way round."""

    def __init__(self, ask: Ask, places: list[tuple[str, Table]]) -> None:
        self._ask = ask
        self._places = places
        self._names: dict[Any, str | None] = {}
        self._values: dict[str, list[Any]] = {}
        self._keys: dict[str, tuple[str, ...]] = {}

    def name_of(self, value: Any) -> str | None:
        """What an id, or a name that stands in its place, is called; None for nothing."""
        if isinstance(value, bytes):
            value = _as_text(value)
        if value is None or value == "":
            return None
        if value not in self._names:
            if len(self._names) >= _KEPT_MAX:
                self._names.clear()
            found = (name for (name,) in self._look_up("name", "id", value) if name)
            self._names[value] = clean_target(str(next(found, value)))
        return self._names[value]

    def values_of(self, name: str) -> list[Any]:
        """The values that may stand for a name in a column: its ids, and itself."""
        if name not in self._values:
            spelt = (name, f"#{name}")
            ids = (row_id for (row_id,) in self._look_up("id", "name", *spelt))
            self._values[name] = [*ids, *spelt]
        return self._values[name]

    def events_of(self, name: str) -> tuple[str, ...]:
        """The ids of the events that made what bears the name."""
        if name not in self._keys:
            if len(self._keys) >= _KEPT_MAX:
                self._keys.clear()
            kind = self._places[0][1].kind if self._places else ""
            found = self._look_up("id", "name", name)
            self._keys[name] = tuple(key_of(kind, row_id) for (row_id,) in found)
        return self._keys[name]

    def names_of(self, row_id: str) -> list[str]:
        """What bears the id is called."""
        found = self._look_up("name", "id", row_id)
        return [clean_target(_as_text(name)) for (name,) in islice(found, SPELLINGS_MAX) if name]

    def ids_of(self, name: str) -> list[str]:
        """The ids of what bears the name."""
        found = self._look_up("id", "name", name, f"#{name}")
        return [_as_text(row_id) for (row_id,) in islice(found, SPELLINGS_MAX) if row_id]

    def _look_up(self, role: str, by: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        for database, table in self._places:
            where = one_of(table, by, list(values))
            sql = f'SELECT {expression(table, role)} FROM "{table.name}" AS r WHERE {where.sql}'
            yield from self._ask(database, Condition(sql, where.parameters))


def find_spellings(
    ask: Ask, tables: list[tuple[str, Table]], kind: NameKind, text: str
) -> Spellings:
    """How the agents or channels that a name or an id means may be written.

    An id is written bare, unless it is a number, which may be anything's, or with its kind: `channel:<id>`.
    """
    names, ids = dict[str, None](), dict[str, None]()
    for what in ("agent",) if kind == "agent" else ("channel", "agent"):
        known = Names(ask, [place for place in tables if place[1].kind == what])
        row_id = text.removeprefix(f"{what}:")
        is_id = row_id != text or not row_id.isdecimal()
        for name in [text, *(known.names_of(row_id) if is_id else ())]:
            for each in known.ids_of(name):
                names[name] = None
                if not each.isdecimal():
                    ids[each] = None
                ids[f"{what}:{each}"] = None
    return Spellings((*islice(names, SPELLINGS_MAX),), (*islice(ids, SPELLINGS_MAX),))


class Sessions:
    """The number of a session: it is the 42nd if the agent went to sleep 41 times before it ended."""

    def __init__(
        self, ask: Ask, feeds: list[Feed], is_indexed: Callable[[Feed, str], bool]
    ) -> None:
        self._ask = ask
        self._feeds = [feed for feed in feeds if feed.table.has("agent")]
        self._is_indexed = is_indexed
        self._sleeps: dict[Any, list[str]] = {}
        """By agent, when it slept: as ids that are or would be given then, which sort by time."""
        self._all_read = False

    def number(self, agent: Any, ns: int) -> int:
        """The number of the agent's session at that time."""
        if agent not in self._sleeps and not self._all_read:
            self._read(agent)
        return bisect_left(self._sleeps.get(agent, []), first_id(ns)) + 1

    def _read(self, agent: Any) -> None:
        """Read when the agent slept; of all agents, where each would mean looking at all rows."""
        self._all_read = len(self._sleeps) >= _ALONE_MAX and not all(
            self._is_indexed(feed, "agent") for feed in self._feeds
        )
        sleeps: dict[Any, list[str]] = {agent: []}
        for feed in self._feeds:
            where = ANY if self._all_read else one_of(feed.table, "agent", [agent])
            for who, row_id, created in self._ask(
                feed.database, select_sleeps(feed, SLEEPS, where)
            ):
                if looks_like_uuid7(row_id):
                    sleeps.setdefault(who, []).append(row_id)
                elif (stamp := read_stamp(created)) is not None:
                    sleeps.setdefault(who, []).append(first_id(stamp.ns))
        for who, keys in sleeps.items():
            self._sleeps[who] = sorted(keys)


class Links:
    """Which memories a memory grew out of, by `memory_links`."""

    def __init__(self, ask: Ask, places: list[tuple[str, Table]]) -> None:
        self._ask = ask
        self._places = places
        self._parents: dict[Any, list[Any]] | None = None

    def parents(self, memory_id: Any) -> list[Any]:
        """The ids that the memory is linked to."""
        if self._parents is None:
            self._parents = {}
            for child, parent in self._read(Condition("1")):
                if parent is not None:
                    self._parents.setdefault(child, []).append(parent)
        return self._parents.get(memory_id, [])

    def children(self, memory_id: Any) -> list[Any]:
        """The ids that are linked to the memory."""
        return [
            child
            for database, table in self._places
            for child, _ in self._read(one_of(table, "parent", [memory_id]), database)
        ]

    def _read(self, where: Condition, only: str | None = None) -> Iterator[tuple[Any, ...]]:
        for database, table in self._places:
            if only in (None, database):
                roles = f"{expression(table, 'id')}, {expression(table, 'parent')}"
                sql = f'SELECT {roles} FROM "{table.name}" AS r WHERE {where.sql}'
                yield from self._ask(database, Condition(sql, where.parameters))


def _as_text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
