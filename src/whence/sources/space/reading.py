"""One question to a store: which feeds can answer it, and their events merged by time."""

import heapq
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from threading import Thread
from typing import Any, NamedTuple

from whence.errors import CorruptError, StoreError, WhenceError
from whence.query import Query, matches
from whence.sources.database import Database
from whence.sources.source import SourceEvent
from whence.sources.space import statements
from whence.sources.space.clocks import (
    Row,
    Zone,
    created_ns,
    find_time,
    machine_offset,
    offset_of_row,
    read_stamp,
)
from whence.sources.space.eras import Table, find_tables, name_era
from whence.sources.space.feeds import (
    SESSION,
    SUFFIXES,
    Feed,
    key_of,
    make_feeds,
    raw_types,
)
from whence.sources.space.names import Links, Names, Sessions
from whence.sources.space.statements import ANY, NONE, Condition, Window
from whence.sources.space.tell import Told, Values, Words, shorten, tell

Sorted = tuple[int, str, SourceEvent]

_KEPT_MAX = 10_000
"""So much is remembered of one kind, as long as nobody writes to the store."""

_NARROW = 20_000
"""So few rows are sorted at once; of more, the first are found by looking along the ids."""


class Clock:
    """The offset to take off a local time whose row does not tell it.

    It stands behind the function that SQLite calls, so it outlives a question; each sets it anew.
    """

    def __init__(self) -> None:
        self.common: int | None = None

    def fallback(self, local_ns: int) -> int:
        """The store's most common offset, else that of this machine."""
        return machine_offset(local_ns) if self.common is None else self.common

    def find_ns(
        self, zones: Any, row_id: Any, created: Any, witness: Any, later: Any
    ) -> int | float | None:
        """The true time of a row, for SQLite; it must not raise."""
        created_zone, later_zone = _ZONES[zones]
        row = Row(row_id, created, witness, later, created_zone, later_zone)
        moment = find_time(row, self.fallback)
        return None if moment is None else statements.sortable(moment.ns)


_ZONES = {f"{one.value}/{other.value}": (one, other) for one in Zone for other in Zone}


class Unread(NamedTuple):
    """A row that is not understood."""

    feed: Feed
    values: Values
    problem: str


class Reading:
    """The store as one question finds it.

    A database or table that cannot be read costs only its own part: `failures` says why, and `check` raises
    if nothing could be read at all.
    """

    def __init__(
        self,
        name: str,
        databases: Mapping[str, Database],
        clock: Clock,
        refused: Mapping[str, WhenceError],
    ) -> None:
        self._databases = databases
        self._clock = clock
        self._indexed: dict[str, set[tuple[str, str]]] = {}
        self._learnt: dict[tuple[str, Condition], tuple[Any, ...] | None] = {}
        self._children: dict[str, list[str]] = {}
        self.failures: list[WhenceError] = []
        self.tables: list[tuple[str, Table]] = []
        for label, database in databases.items():
            if label in refused:
                self.failures.append(refused[label])
            else:
                self._look_at(label, database)
        self.feeds = [feed for label, table in self.tables for feed in make_feeds(label, [table])]
        clock.common = self._common_offset()
        self._words = Words(
            name,
            Names(self.ask, self._places("agent")),
            Names(self.ask, self._places("channel")),
            Sessions(
                self.ask,
                [feed for feed in self.feeds if feed.table.kind == "event"],
                self._is_indexed,
            ),
            Links(self.ask, self._places("link")),
            clock.fallback,
            0,
        )

    def at(self, now_ns: int) -> "Reading":
        """The same for another question: what is known of the store stays, what went wrong does not."""
        other = copy(self)
        other.failures = list(self.failures)
        other._words = self._words._replace(now_ns=now_ns)
        return other

    @property
    def era(self) -> str:
        """How old the form of the store is, in words."""
        tables = [table for _, table in self.tables]
        return name_era(tables, is_one=any(table.kind == "spawn" for table in tables))

    def check(self) -> None:
        """Raise what went wrong, if anything did: all of it, and to be tried again if any of it is."""
        if self.failures:
            is_damage = all(isinstance(failure, CorruptError) for failure in self.failures)
            told = "; ".join(dict.fromkeys(map(str, self.failures)))
            raise (CorruptError if is_damage else StoreError)(told) from self.failures[0]

    def ask(self, database: str, statement: Condition) -> Iterator[tuple[Any, ...]]:
        """Run a statement on one of the databases."""
        return self._databases[database].rows(statement.sql, statement.parameters)

    # -- questions -------------------------------------------------------------------------------

    def events(self, query: Query, *, newest_first: bool) -> Iterator[SourceEvent]:
        """What the query lets through, in order."""
        if query.parent is not None or query.status is not None:
            return
        if query.trace is not None:
            found = self.event(query.trace)
            if found is not None and matches(query, found):
                yield found
            return
        asked = [(feed, self._condition(feed, query)) for feed in self.feeds]
        self._look_ahead([feed for feed, where in asked if self._is_broad(feed, where, query)])
        streams: list[Iterator[Sorted]] = []
        for feed, condition in asked:
            if condition != NONE:
                streams += self._streams(feed, condition, query, newest_first)
        for _, _, event in heapq.merge(*streams, key=_order, reverse=newest_first):
            if matches(query, event):
                yield event

    def has(self, query: Query) -> bool:
        """Whether the query, of an agent or a target alone, lets anything through."""
        for feed in sorted(self.feeds, key=lambda feed: not self._is_led(feed, query)):
            condition = self._condition(feed, query)
            if condition == NONE or not self._count_few(feed, condition, query):
                continue
            try:
                told = self._told(feed, statements.select_all(feed, condition))
                if any(matches(query, event) for _, event in told):
                    return True
            except (StoreError, CorruptError) as error:
                self.failures.append(error)
        return False

    def event(self, event_id: str) -> SourceEvent | None:
        """The event of that id."""
        whole, _, suffix = event_id.rpartition("/")
        keys = [(event_id, "")]
        if suffix in SUFFIXES and whole:
            keys.append((whole, suffix))
        for key, suffix in keys:
            for feed in self.feeds:
                if feed.tells.suffix == suffix:
                    found = self._by_key(feed, key)
                    if found is not None:
                        return found
        return None

    def ending(self, part: str) -> Iterator[SourceEvent]:
        """Events whose id begins or ends with `part`."""
        for feed in self.feeds:
            for prefix in ("", f"{feed.table.kind}:"):
                where = statements.ends(feed, prefix, part)
                for _, event in self._told(feed, statements.select_all(feed, where)):
                    if event.id.startswith(part) or event.id.endswith(part):
                        yield event

    def everything(self) -> Iterator[Told | Unread]:
        """All rows in no order, those that are not understood too."""
        for feed in self.feeds:
            try:
                for values in self._values(feed, statements.select_all(feed)):
                    told = tell(feed, values, self._words)
                    yield Unread(feed, values, told) if isinstance(told, str) else told
            except (StoreError, CorruptError) as error:
                self.failures.append(error)

    def agents(self) -> Iterator[str]:
        """The agents of all events."""
        for feed in self.feeds:
            role = feed.tells.agent
            if role is not None:
                sql = statements.select_distinct(feed, role)
                for (value,) in self.ask(feed.database, sql):
                    name = self._words.agents.name_of(value)
                    if name is not None:
                        yield name

    def below(self, task_id: str) -> list[str]:
        """The subtasks of a task, and theirs."""
        if task_id not in self._children:
            if len(self._children) >= _KEPT_MAX:
                self._children.clear()
            # Whoever asks for a task's subtasks asks for theirs next.
            children: dict[str, list[str]] = {task_id: []}
            for database, table in self._places("task"):
                if table.has("parent"):
                    rows = self.ask(database, statements.select_below(table, task_id))
                    for value, parent in rows:
                        children.setdefault(str(value), [])
                        children.setdefault(str(parent), []).append(str(value))
            self._children |= children
        found = {task_id: None}
        waiting = deque(found)
        while waiting:
            for child in self._children[waiting.popleft()]:
                if child not in found:
                    found[child] = None
                    waiting.append(child)
        return list(found)[1:]

    def effects(self, event: SourceEvent) -> Iterator[SourceEvent]:
        """The events whose relations may name this one."""
        origin = self._row_of(event.id)
        if origin is None:
            return
        kind, values = origin
        row_id = values["id"]
        for feed in self.feeds:
            for implied in feed.implied:
                if implied.kind != kind:
                    continue
                if implied.means == "is":
                    where = statements.one_of(feed.table, implied.role, [str(row_id)])
                elif implied.means == "lists":
                    where = statements.contains(feed.table, implied.role, str(row_id))
                elif implied.means == "mentions":
                    where = statements.contains(feed.table, implied.role, f"@{values['name']}")
                else:
                    children = self._words.links.children(row_id)
                    where = statements.one_of(feed.table, "id", children)
                told = self._told(feed, statements.select_all(feed, where))
                yield from (effect for _, effect in told)

    # -- feeds -----------------------------------------------------------------------------------

    def _look_at(self, label: str, database: Database) -> None:
        try:
            numbered = {name for (name,) in self.ask(label, statements.NUMBERED)}
            tables, problems = find_tables(database.tables(), self._indexed_in(label), numbered)
        except (StoreError, CorruptError) as error:
            self.failures.append(error)
            return
        self.tables += [(label, table) for table in tables]
        self.failures += [CorruptError(f"{database.path}: {problem}") for problem in problems]
        if not tables and not problems:
            self.failures.append(CorruptError(f"{database.path} has none of the store's tables"))

    def _places(self, kind: str) -> list[tuple[str, Table]]:
        return [place for place in self.tables if place[1].kind == kind]

    def _common_offset(self) -> int | None:
        """The offset that most rows tell which tell one."""
        counted: Counter[int] = Counter()
        for label, table in self.tables:
            zone = table.zone("created")
            if not table.has("id") or (zone is Zone.UTC and not table.has("witness")):
                continue
            try:
                for row_id, created, witness in self.ask(label, statements.sample(table)):
                    offset = offset_of_row(Row(row_id, created, witness, None, zone))
                    if offset is not None:
                        counted[offset] += 1
            except (StoreError, CorruptError):
                # Whoever reads the table itself will say so.
                continue
        return max(counted, key=lambda offset: (counted[offset], offset)) if counted else None

    def _condition(self, feed: Feed, query: Query) -> Condition:
        """What of the query the store can decide; NONE if the feed has nothing for it."""
        is_event = feed.table.kind == "event"
        if not is_event:
            for wanted, there in ((query.primitive, feed.primitive), (query.type, feed.tells.type)):
                if wanted not in (None, there):
                    return NONE
        conditions = []
        if is_event and query.type is not None:
            conditions.append(statements.one_of(feed.table, "type", [*raw_types(query.type)]))
        if query.agent is not None:
            if feed.tells.agent is None:
                return NONE
            values = self._words.agents.values_of(query.agent)
            conditions.append(statements.one_of(feed.table, feed.tells.agent, values))
        if query.target is not None:
            conditions.append(self._on_target(feed, query.target))
        if NONE in conditions:
            return NONE
        return statements.all_of(*conditions) if conditions else ANY

    def _on_target(self, feed: Feed, target: str) -> Condition:
        table = feed.table
        match feed.tells.target:
            case "id":
                return statements.one_of(table, "id", [target])
            case "name":
                return statements.one_of(table, "name", [target, f"#{target}"])
            case "channel":
                values = self._words.channels.values_of(target)
                return statements.one_of(table, "channel", values)
            case "spawn":
                named = [statements.one_of(table, role, [target]) for role in ("id", "session")]
                return statements.any_of(*named)
            case "session":
                if not re.fullmatch(rf"{SESSION}[0-9]+", target):
                    return statements.one_of(table, "session", [target])
                words = [*raw_types("wake"), *raw_types("sleep")]
                return statements.one_of(table, "type", words)

    def _streams(
        self, feed: Feed, condition: Condition, query: Query, newest: bool
    ) -> list[Iterator[Sorted]]:
        window = Window(query.since, query.until)
        few = self._count_few(feed, condition, query)
        if not few:
            return []
        is_narrow = few < _NARROW
        streams = []
        if feed.is_by_id:
            by_id = statements.select_by_id(
                feed,
                condition,
                window,
                newest=newest,
                is_narrow=few < self._count_made(feed, window),
            )
            streams.append(self._sorted(feed, [by_id]))
            # One look for all of a table, unless an index makes that for a few rows cheaper.
            if not (is_narrow and self._is_led(feed, query)) and not self._has_any(
                feed, statements.select_plain(feed)
            ):
                return streams
        windows = [window] if is_narrow else self._windows(feed, window, newest=newest)
        is_counted = windows != [Window()] and self._has_any(feed, statements.select_counted(feed))
        several = [
            statements.select_by_time(feed, condition, each, newest=newest, is_counted=is_counted)
            for each in windows
        ]
        return [*streams, self._sorted(feed, several)]

    def _look_ahead(self, feeds: Sequence[Feed]) -> None:
        """Have what has to be known of whole tables found in all databases at the same time."""
        if not any(key not in self._learnt for feed in feeds for key in _looks(feed)):
            return
        by_database: dict[str, list[Feed]] = {}
        for feed in feeds:
            by_database.setdefault(feed.database, []).append(feed)

        def look(several: Sequence[Feed]) -> None:
            for feed in several:
                plain, counted = _looks(feed)
                if not feed.is_by_id or self._has_any(feed, plain[1]):
                    self._has_any(feed, counted[1])

        mine, *others = by_database.values()
        threads = [Thread(target=look, args=(several,), daemon=True) for several in others]
        for thread in threads:
            thread.start()
        look(mine)
        for thread in threads:
            thread.join()

    def _is_broad(self, feed: Feed, condition: Condition, query: Query) -> bool:
        """Whether a question lets so many rows of a feed through that they are searched for by time."""
        if condition == NONE or query.target is not None:
            return False
        return condition == ANY or not self._is_led(feed, query)

    def _is_led(self, feed: Feed, query: Query) -> bool:
        """Whether an index leads to the rows that a query's agent and target let through."""
        role = "id" if feed.tells.target == "spawn" else feed.tells.target
        if query.target is not None and self._is_indexed(feed, role):
            return True
        return query.agent is not None and self._is_indexed(feed, feed.tells.agent or "")

    def _count_few(self, feed: Feed, condition: Condition, query: Query) -> int:
        """How many rows a condition lets through, so that few can be sorted rather than searched for.

        An agent that no index leads to is met soon enough along the ids: it does much, or it hardly matters.
        """
        if condition == ANY or self._is_broad(feed, condition, query):
            return _NARROW
        return self._count(feed, condition)

    def _count_made(self, feed: Feed, window: Window) -> int:
        """How many rows the ids say were made in a window; many where that would have to be searched."""
        if window == Window() or not self._is_indexed(feed, "id"):
            return _NARROW
        return self._count(feed, statements.made_in(feed, window))

    def _count(self, feed: Feed, condition: Condition) -> int:
        """How many rows fulfil a condition; what cannot be counted is taken for many."""
        try:
            row = self._first(feed, statements.count(feed, condition, _NARROW))
        except (StoreError, CorruptError):
            return _NARROW
        return int(row[0]) if row else _NARROW

    def _first(self, feed: Feed, statement: Condition) -> tuple[Any, ...] | None:
        """The first row of a statement, looked up once for as long as nobody writes to the store."""
        key = (feed.database, statement)
        try:
            return self._learnt[key]
        except KeyError:
            found = next(self.ask(feed.database, statement), None)
        if len(self._learnt) >= _KEPT_MAX:
            self._learnt.clear()
        self._learnt[key] = found
        return found

    def _has_any(self, feed: Feed, statement: Condition) -> bool:
        """Whether a statement gives rows; what cannot be told is taken for yes."""
        try:
            return self._first(feed, statement) is not None
        except (StoreError, CorruptError):
            return True

    def _is_indexed(self, feed: Feed, role: str) -> bool:
        indexed = self._indexed_in(feed.database)
        columns = feed.table.columns.get(role, ())
        return bool(columns) and all((feed.table.name, column) in indexed for column in columns)

    def _indexed_in(self, label: str) -> set[tuple[str, str]]:
        """The columns that indexes of a database begin with; none where that cannot be told."""
        if label not in self._indexed:
            try:
                self._indexed[label] = self._databases[label].indexed()
            except (StoreError, CorruptError):
                return set()
        return self._indexed[label]

    def _windows(self, feed: Feed, window: Window, *, newest: bool) -> list[Window]:
        """The window in parts, the first of them small, where the store tells how its times lie.

        Any cut gives the right answer, so the ids will do: what happens to a row follows its creation soon.
        """
        if not (feed.tells.later or feed.table.has("created")):
            return [window]
        try:
            ends = self._ends(feed)
        except (StoreError, CorruptError):
            return [window]
        return statements.split(window, *ends, newest=newest) if ends else [window]

    def _ends(self, feed: Feed) -> tuple[int, int] | None:
        """About when the first and the last event happened, as cheaply as that can be told."""
        ids = self._first(feed, statements.select_ids(feed)) or ()
        times = [created_ns(each) for each in ids]
        if None in times:
            try:
                is_indexed = self._is_indexed(feed, feed.tells.later or "created")
                select = statements.select_range if is_indexed else statements.select_ends
                ends = self._first(feed, select(feed)) or ()
            except CorruptError:
                # A view has no order in which its rows were stored.
                ends = self._first(feed, statements.select_range(feed)) or ()
            times = [stamp and stamp.ns for stamp in map(read_stamp, ends)]
        known = sorted(ns for ns in times if ns is not None)
        return (known[0], known[1]) if len(known) == len(times) == 2 else None

    def _sorted(self, feed: Feed, several: Sequence[Condition]) -> Iterator[Sorted]:
        try:
            for statement in several:
                for ns, event in self._told(feed, statement):
                    yield ns, event.id, event
        except (StoreError, CorruptError) as error:
            self.failures.append(error)

    def _told(self, feed: Feed, statement: Condition) -> Iterator[Told]:
        for values in self._values(feed, statement):
            told = tell(feed, values, self._words)
            if not isinstance(told, str):
                yield told

    def _values(self, feed: Feed, statement: Condition) -> Iterator[Values]:
        roles = statements.roles_of(feed.table)
        for row in self.ask(feed.database, statement):
            values = dict(zip(roles, row, strict=True))
            yield shorten(values) if tuple in map(type, row) else values

    def _by_key(self, feed: Feed, key: str) -> SourceEvent | None:
        value = _value_of(feed.table.kind, key)
        if value is None:
            return None
        where = statements.one_of(feed.table, "id", [value])
        for _, event in self._told(feed, statements.select_all(feed, where)):
            if event.id == (f"{key}/{feed.tells.suffix}" if feed.tells.suffix else key):
                return event
        return None

    def _row_of(self, event_id: str) -> tuple[str, Values] | None:
        """The kind and values of the row that an event of creation tells."""
        for feed in self.feeds:
            value = _value_of(feed.table.kind, event_id)
            if feed.tells.later is None and value is not None:
                where = statements.one_of(feed.table, "id", [value])
                for values in self._values(feed, statements.select_all(feed, where)):
                    if key_of(feed.table.kind, values["id"]) == event_id:
                        return feed.table.kind, values
        return None


def _looks(feed: Feed) -> tuple[tuple[str, Condition], tuple[str, Condition]]:
    """What is asked of a whole table before its rows are given: ids that are plain, times that are counted."""
    plain, counted = statements.select_plain(feed), statements.select_counted(feed)
    return (feed.database, plain), (feed.database, counted)


def _value_of(kind: str, key: str) -> str | None:
    """What stands in the id's column of the row that an event of this kind would tell."""
    if created_ns(key) is not None:
        return key
    return key[len(kind) + 1 :] if key.startswith(f"{kind}:") else None


def _order(item: Sorted) -> tuple[int, str]:
    return item[0], item[1]
