"""One table of a foreign database with its mapping: what it is asked, and the events it gives."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from whence.query import Query, clean_target, matches
from whence.sources.database import Database
from whence.sources.mapping import Constant, MappingError, make_clock
from whence.sources.ordering import Item, put_days_in_order, put_in_order, put_ties_in_order
from whence.sources.rows import (
    Key,
    Reader,
    Row,
    join_id,
    plain_value,
    render_id,
    split_id,
    stored_forms,
)
from whence.sources.schema import Fitted, quote
from whence.sources.select import (
    Condition,
    Statement,
    Times,
    fetched_columns,
    has_id,
    has_names,
    is_one_of,
    name_column,
    select,
)
from whence.sources.source import NameKind, RawRow, SourceEvent, Tie
from whence.sources.times import END_NS, FIRST_NS, NS_PER_UNIT, days_before

_REPEATED_MAX = 10_000
"""The most ids that may occur more than once before a mapping is said to name the wrong column."""

_CONTENT_MAX = 2_000


class Place(NamedTuple):
    """Where a mapping stands among those of its source.

    `prefix` begins its ids and `home` those of the table's first mapping; None if there is one mapping only.
    A further mapping of the same table tells of something that need not have happened: a row without its
    time is then no event, and nothing is wrong with it.
    """

    prefix: str | None = None
    home: str | None = None
    is_further: bool = False


class MappedTable:
    """One table with its mapping."""

    def __init__(
        self,
        database: Database,
        fitted: Fitted,
        place: Place,
        *,
        source: str,
        where: str,
    ) -> None:
        self._database = database
        self._fitted = fitted
        self._place = place
        self._source = source
        self._where = where
        self._times = Times(fitted, make_clock(fitted.mapping))
        self._is_key = fitted.table.is_key(fitted.mapping.ids)
        self._columns = fetched_columns(fitted)
        self._repeated: tuple[object, dict[str, int | None]] = (None, {})

    def items(self, query: Query, newest_first: bool) -> Iterator[tuple[int, str, SourceEvent]]:
        """Give the answers of this table in order."""
        reader, conditions = self._reader(), self._conditions(query)
        if conditions is None:
            return
        found = self._in_order(query, conditions, newest_first)
        for ns, event_id, (is_naive, *values) in found:
            row = self._row(values)
            key = Key(ns, event_id, is_naive)
            event = reader.event(row, key, self._remark(reader, row, key))
            if matches(query, event):
                yield ns, event_id, event

    def answers(self, query: Query) -> Iterator[SourceEvent]:
        """Give the answers of this table in any order: the first costs no sorting."""
        conditions = self._conditions(query)
        if conditions is not None:
            conditions += self._times.is_about(query)
            events = self._read(self._times.in_any_order(self._numbered(self._columns), conditions))
            yield from (event for event in events if matches(query, event))

    def with_id(self, event_id: str) -> Iterator[SourceEvent]:
        """Give the event of that id."""
        whole, mark, number = event_id.rpartition("#")
        forms = [event_id, *([whole] if mark and number.isdecimal() and not self._is_key else [])]
        for form in forms:
            conditions = has_id(self._fitted, form, self._place.prefix)
            if conditions is not None:
                events = self._read(select(self._fitted, self._numbered(self._columns), conditions))
                yield from (event for event in events if event.id == event_id)

    def with_id_like(self, part: str) -> Iterator[SourceEvent]:
        """Give the events whose id begins or ends with that."""
        statement = select(self._fitted, self._numbered(self._columns), self._are_like(part))
        for event in self._read(statement):
            if event.id.startswith(part) or event.id.endswith(part):
                yield event

    def names(self, kind: NameKind) -> Iterator[str]:
        """Give the targets or agents of this table, each once."""
        named = self._fitted.mapping.target if kind == "target" else self._fitted.mapping.agent
        reader = self._reader()
        read = reader.target if kind == "target" else reader.agent
        if isinstance(named, Constant):
            if any(True for _ in self.answers(Query(own=True))):
                yield named.value if kind == "agent" else clean_target(named.value)
        elif named is not None:
            column = name_column(self._fitted, named)
            statement = select(self._fitted, (named,), [self._times.is_there()])
            for values in self._database.rows(f"{statement.sql} GROUP BY {column}"):
                name = read({named: values[0]})
                if name is not None:
                    yield name

    def below(self, target: str) -> Iterator[str]:
        """Give the targets that are part of that one."""
        column = self._fitted.mapping.part_of
        if column is not None:
            forms = [*stored_forms(target), f"#{target}"]
            is_part = is_one_of(self._fitted, column, forms)
            for event in self._read(select(self._fitted, self._numbered(self._columns), [is_part])):
                if event.target is not None:
                    yield event.target

    def effects(self, event: SourceEvent) -> Iterator[Tie]:
        """Give the ties from rows of this table to that event."""
        reader = self._reader()
        for column, why in self._fitted.mapping.related:
            parts = split_id(event.id, reader.prefix_of(why.table), 1)
            if parts is None:
                continue
            names_it = is_one_of(self._fitted, column, stored_forms(parts[0]))
            for effect in self._read(
                select(self._fitted, self._numbered(self._columns), [names_it])
            ):
                if any(
                    each.id == event.id and each.reason == why.reason for each in effect.relations
                ):
                    yield Tie(why.reason, effect)

    def all_keys(self) -> Iterator[tuple[Row, Key | str]]:
        """Read the key of every row, or what is wrong with it."""
        mapping = self._fitted.mapping
        columns = tuple(dict.fromkeys([mapping.time, *mapping.ids]))
        return self._read_keys(select(self._fitted, self._numbered(columns), []), columns)

    def raw(self) -> Iterator[RawRow]:
        """Give the rows that are not understood."""
        table = self._fitted.table
        number = () if table.row_name is None else (table.row_name,)
        columns = (*table.columns, *number)
        for row, key in self._read_keys(select(self._fitted, columns, []), columns):
            if isinstance(key, str):
                shown = {column: plain_value(row[column]) for column in table.columns}
                place = " row ".join([table.name, *(str(row[name]) for name in number)])
                content = json.dumps(shown, ensure_ascii=False)
                yield RawRow(place, key, content[:_CONTENT_MAX])

    def _reader(self) -> Reader:
        return Reader(
            self._fitted.mapping,
            source=self._source,
            primitive=self._fitted.table.name,
            getter=itemgetter,
            now_ns=time.time_ns(),
            prefix=self._place.prefix,
            home=self._place.home,
        )

    def _conditions(self, query: Query) -> list[Condition] | None:
        parents = self._reader().prefix_of(self._fitted.mapping.parent_table)
        return has_names(self._fitted, query, parents)

    def _numbered(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The columns, and behind them the number of the row where ids may need it."""
        number = self._fitted.table.row_name
        return columns if self._is_key or number is None else (*columns, number)

    def _find_repeated(self) -> dict[str, int | None]:
        """The ids that several rows have, each with the number of the first, which keeps it."""
        if self._is_key:
            return {}
        version = _look_at(self._database)
        if version != self._repeated[0]:
            self._repeated = version, dict(self._read_repeated())
        return self._repeated[1]

    def _read_repeated(self) -> Iterator[tuple[str, int | None]]:
        mapping, table = self._fitted
        ids = [name_column(self._fitted, column) for column in mapping.ids]
        number = "NULL" if table.row_name is None else f"min({table.row_name})"
        # As they are written: the bytes x'ab' and the text 'ab' are one id.
        grouped = ", ".join(
            f"CASE typeof({column}) WHEN 'blob' THEN lower(hex({column}))"
            f" ELSE CAST({column} AS TEXT) END"
            for column in ids
        )
        rows = self._database.rows(
            f"SELECT {', '.join(ids)}, {number} FROM {quote(table.name)}"
            f" GROUP BY {grouped} HAVING COUNT(*) > 1 LIMIT {_REPEATED_MAX + 1}"
        )
        for count, (*parts, first) in enumerate(rows):
            if count == _REPEATED_MAX:
                raise MappingError(
                    f"{self._where}: table {table.name}: `id` names {', '.join(mapping.ids)}, which"
                    " many rows share; leave it out, or name more columns"
                )
            texts = [render_id(part) for part in parts]
            if None not in texts:
                yield join_id(self._place.prefix, [text for text in texts if text]), first

    def _are_like(self, part: str) -> list[Condition]:
        """Leave out most rows whose id neither begins nor ends with that."""
        ids = self._fitted.mapping.ids
        start = "" if self._place.prefix is None else join_id(self._place.prefix, [""])
        if len(ids) > 1 or not self._is_key or start.startswith(part):
            return []
        column = name_column(self._fitted, ids[0])
        # What follows the last colon stands in the column, whether it is a beginning or an end.
        tail = part.rpartition(":")[2]
        return [
            Condition(f"instr(CAST({column} AS TEXT), ?) OR typeof({column}) = 'blob'", (tail,))
        ]

    def _in_order(
        self, query: Query, conditions: list[Condition], newest_first: bool
    ) -> Iterator[Item]:
        columns = self._numbered(self._columns)
        # Where names narrow it down there are few rows to sort, and looking at all of them twice is slower.
        is_paged = not conditions
        conditions = conditions + self._times.is_about(query)
        asked = self._times.sample(conditions)
        sample = None if asked is None else self._database.row(*asked)
        if asked is not None and sample is None:
            return
        how = {"newest_first": newest_first, "is_paged": is_paged}
        ways = (
            (self._times.in_order(columns, query, conditions, sample and sample[0], **how), 1),
            (self._times.by_second(columns, conditions, **how), NS_PER_UNIT["s"]),
        )
        for statement, unit_ns in ways:
            items = iter(()) if statement is None else self._items(statement, query)
            first = next(items, None)
            if first is not None:
                found = chain([first], items)
                yield from put_ties_in_order(found, newest_first=newest_first, unit_ns=unit_ns)
                return
        by_day = self._times.by_day(columns, conditions, newest_first=newest_first)
        if by_day is not None:
            items = self._items(by_day, query)
            yield from put_days_in_order(items, self._day_of, newest_first=newest_first)
            return
        unordered = self._items(self._times.in_any_order(columns, conditions), query)
        yield from put_in_order(unordered, newest_first=newest_first)

    def _day_of(self, values: Sequence[Any]) -> int:
        # The time's column comes first, behind what we put there ourselves.
        return days_before(values[1])

    def _items(self, statement: Statement, query: Query) -> Iterator[Item]:
        reader, repeated = self._reader(), self._find_repeated()
        since = FIRST_NS if query.since is None else query.since
        until = END_NS if query.until is None else query.until
        for values in self._database.rows(*statement):
            key = self._key(reader, self._row(values), values, repeated)
            if isinstance(key, Key) and since <= key.ns < until:
                yield key.ns, key.id, (key.is_naive, *values)

    def _read(self, statement: Statement) -> Iterator[SourceEvent]:
        reader, repeated = self._reader(), self._find_repeated()
        for values in self._database.rows(*statement):
            row = self._row(values)
            key = self._key(reader, row, values, repeated)
            if isinstance(key, Key):
                yield reader.event(row, key, self._remark(reader, row, key))

    def _read_keys(
        self, statement: Statement, columns: Sequence[str]
    ) -> Iterator[tuple[Row, Key | str]]:
        reader, repeated = self._reader(), self._find_repeated()
        when = self._fitted.mapping.time
        for values in self._database.rows(*statement):
            row = dict(zip(columns, values, strict=False))
            if not self._place.is_further or row[when] is not None:
                yield row, self._key(reader, row, values, repeated)

    def _row(self, values: Sequence[Any]) -> dict[str, Any]:
        # The number of the row, if it was asked for, stands behind the columns.
        return dict(zip(self._columns, values, strict=False))

    def _key(
        self, reader: Reader, row: Row, values: Sequence[Any], repeated: Mapping[str, int | None]
    ) -> Key | str:
        key = reader.key(row)
        if not isinstance(key, Key) or key.id not in repeated:
            return key
        number = None if self._fitted.table.row_name is None else values[-1]
        if number is None:
            return f"another row has the id {key.id} too"
        return key if number == repeated[key.id] else key._replace(id=f"{key.id}#{number}")

    def _remark(self, reader: Reader, row: Row, key: Key) -> str | None:
        if self._is_key:
            return None
        written = reader.key(row)
        is_changed = isinstance(written, Key) and written.id != key.id
        return f"several rows have the id {written[1]}" if is_changed else None


def _look_at(database: Database) -> object:
    """Changes whenever the database does."""
    real = database.path.resolve()
    found: list[Any] = [database.row("PRAGMA data_version")]
    for file in (real, real.with_name(f"{real.name}-wal")):
        try:
            state = file.stat()
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
        except OSError:
            found.append(None)
    return found
