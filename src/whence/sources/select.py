"""From a question to SQL over one mapped table. Pure.

A statement asks for no less than the question does, and often a little more: whoever runs it looks at each
event again. It asks SQLite for the order of time only where the column's own order is that of time, which the
statement itself makes sure of: if it is not so, it gives nothing, and the rows come by second, by day or in any
order, to be sorted by whoever asks.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from whence.query import Query
from whence.sources.cells import read_cell
from whence.sources.mapping import Constant, Named
from whence.sources.rows import BLOB_SHOWN, DEFAULT_TYPE, split_id, stored_forms
from whence.sources.schema import Fitted, quote
from whence.sources.times import DAY_NS, END_NS, FIRST_NS, Clock, raw_bound, raw_end

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_DAY_SHAPE = "????-??-??"
_SECOND = _DAY_SHAPE + "{between}??:??:??"
"""How a text begins that has seconds. What stands for the marks need not be looked at: it is digits, or the
text is no time."""
_SECOND_LENGTH = len("2026-11-20T19:27:35")
_NO_OFFSET_MAX = len("2026-11-20T19:27:35+1")
"""A text that names an offset is longer."""
_NS_PER_S = 10**9

PAGE = 200
"""So many rows are found by a look at all, before all are sorted."""


class Condition(NamedTuple):
    """A part of a WHERE clause with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Statement(NamedTuple):
    """SQL that a database can run."""

    sql: str
    parameters: tuple[Any, ...]


def fetched_columns(fitted: Fitted) -> tuple[str, ...]:
    """The columns that reading a row needs, in their order."""
    mapping, table = fitted
    if mapping.payload == "*":
        rest = list(table.columns)
    else:
        named = mapping.text_columns(table.columns)
        rest = [*named, *(c for columns in mapping.columns().values() for c in columns)]
    return tuple(dict.fromkeys([mapping.time, *mapping.ids, *rest]))


def select(
    fitted: Fitted,
    columns: tuple[str, ...],
    conditions: list[Condition],
    *,
    order: str = "",
) -> Statement:
    """Ask for these columns of the rows that meet all conditions."""
    told = fitted.mapping.told_columns() | set(fitted.mapping.relations)
    shown = ", ".join(_expression(fitted, column, told) for column in columns)
    where = " AND ".join(f"({condition.sql})" for condition in conditions)
    return Statement(
        f"SELECT {shown} FROM {quote(fitted.table.name)}{f' WHERE {where}' if where else ''}{order}",
        tuple(value for condition in conditions for value in condition.parameters),
    )


def _expression(fitted: Fitted, column: str, told: frozenset[str] | set[str]) -> str:
    name, table = name_column(fitted, column), fitted.table
    if column == table.row_name:
        return name
    whole, declared = name, table.columns[column].upper()
    if column not in told and (not declared or "BLOB" in declared):
        # A picture is not fetched to show its first bytes.
        shown = f"substr({name}, 1, {BLOB_SHOWN + 1})"
        whole = f"CASE typeof({name}) WHEN 'blob' THEN {shown} ELSE {name} END"
    kind = f"typeof({name})"
    return read_cell(table.name, column, number=table.row_name, cell=name, kind=kind, whole=whole)


def name_column(fitted: Fitted, column: str) -> str:
    """Write a column, or the number of the row, for SQL."""
    return column if column == fitted.table.row_name else quote(column)


def is_one_of(fitted: Fitted, column: str, values: list[str | int | bytes]) -> Condition:
    """The column holds one of these values."""
    marks = ", ".join("?" * len(values))
    return Condition(f"{name_column(fitted, column)} IN ({marks})", tuple(values))


def has_id(fitted: Fitted, event_id: str, prefix: str | None) -> list[Condition] | None:
    """The rows of that id; None if it is none of this table."""
    return _are_parts(fitted, fitted.mapping.ids, event_id, prefix)


def _are_parts(
    fitted: Fitted, columns: tuple[str, ...], event_id: str, prefix: str | None
) -> list[Condition] | None:
    parts = split_id(event_id, prefix, len(columns))
    if parts is None:
        return None
    return [
        is_one_of(fitted, column, stored_forms(part))
        for column, part in zip(columns, parts, strict=True)
    ]


def has_names(fitted: Fitted, query: Query, parent_prefix: str | None) -> list[Condition] | None:
    """What the query asks of names and ids; None if no row of this table can be an answer."""
    mapping = fitted.mapping
    found: list[Condition] = []
    if query.parent is not None:
        parts = _are_parts(fitted, mapping.parents, query.parent, parent_prefix)
        if parts is None or not mapping.parents:
            return None
        found += parts
    if query.status is not None and mapping.status is None:
        return None
    for named, wanted, default, words in (
        (mapping.agent, query.agent, None, {}),
        (mapping.target, query.target, None, {}),
        (mapping.type, query.type, DEFAULT_TYPE, mapping.types),
        (mapping.primitive, query.primitive, fitted.table.name, mapping.primitives),
    ):
        condition = _is_named(fitted, named, wanted, default, words)
        if condition is None:
            return None
        found += condition
    return found


def _is_named(
    fitted: Fitted,
    named: Named | None,
    wanted: str | None,
    default: str | None,
    words: dict[str, str],
) -> list[Condition] | None:
    if wanted is None:
        return []
    if isinstance(named, str):
        if words or wanted == default:
            return []
        # A channel is stored with its sign or without.
        return [is_one_of(fitted, named, [*stored_forms(wanted), f"#{wanted}"])]
    value = words.get(named.value, named.value) if isinstance(named, Constant) else default
    return [] if value is not None and value.removeprefix("#") == wanted.removeprefix("#") else None


class Times:
    """The time column of one table, and what of a question it can be asked."""

    def __init__(self, fitted: Fitted, clock: Clock) -> None:
        self._fitted = fitted
        self._clock = clock
        self._name = name_column(fitted, fitted.mapping.time)

    def is_about(self, query: Query) -> list[Condition]:
        """What holds for every row within the query's bounds, however its time is written."""
        if self._clock.unit != "iso":
            return []
        found = []
        if query.since is not None and query.since > FIRST_NS + 2 * DAY_NS:
            found.append(Condition(f"{self._name} >= ?", (_day(query.since - DAY_NS),)))
        if query.until is not None and query.until < END_NS - 3 * DAY_NS:
            found.append(
                Condition(f"{self._name} < ?", (_day(max(query.until, FIRST_NS) + 2 * DAY_NS),))
            )
        return found

    def sample(self, conditions: list[Condition]) -> Statement | None:
        """What to ask first: a time as this table writes it. None if there is no need."""
        if self._clock.unit != "iso":
            return None
        return select(
            self._fitted,
            (self._fitted.mapping.time,),
            [*conditions, Condition(f"typeof({self._name}) = 'text'")],
            order=" LIMIT 1",
        )

    def in_order(
        self,
        columns: tuple[str, ...],
        query: Query,
        conditions: list[Condition],
        sample: Any,
        *,
        newest_first: bool,
        is_paged: bool,
    ) -> Statement | None:
        """Ask for the rows by time; nothing comes if SQLite's order of the column is not that of time.

        None if it cannot be. If it `is_paged`, the first rows come before the rest is sorted.
        """
        if self._clock.unit == "iso":
            shape = _find_shape(sample, self._clock)
            if shape is None:
                return None
            odd = shape.is_broken_by(self._name)
            bounds = shape.bounds(self._name, query)
        else:
            # Texts and bytes come after all numbers.
            odd = Condition(f"{self._name} >= ''")
            bounds = self._number_bounds(query)
        return self._by(
            [self._name],
            columns,
            [*conditions, self._is_said(), *bounds],
            self._is_any(conditions, odd),
            newest_first=newest_first,
            is_paged=is_paged,
        )

    def by_second(
        self,
        columns: tuple[str, ...],
        conditions: list[Condition],
        *,
        newest_first: bool,
        is_paged: bool,
    ) -> Statement | None:
        """Ask for the rows by the second that their texts name; nothing comes if one may mean another.

        None if that could be any. See `in_order`.
        """
        if self._clock.unit != "iso" or self._clock.offset != timedelta(0):
            return None
        whole = _SECOND.format(between="?")
        # One that names no second, or an offset.
        odd = Condition(
            f"{self._name} NOT GLOB '{whole}*' AND {self._name} GLOB '{_DAY_SHAPE}*'"
            f" OR length({self._name}) > {_NO_OFFSET_MAX}"
            f" AND {self._name} GLOB '{'?' * _SECOND_LENGTH}*[+-]*'"
        )
        return self._by(
            [f"substr({self._name}, 1, 10)", f"substr({self._name}, 12, 8)"],
            columns,
            [*conditions, self._is_said()],
            self._is_any(conditions, odd),
            newest_first=newest_first,
            is_paged=is_paged,
        )

    def _by(
        self,
        terms: list[str],
        columns: tuple[str, ...],
        conditions: list[Condition],
        odd: Condition,
        *,
        newest_first: bool,
        is_paged: bool,
    ) -> Statement:
        number, way = self._fitted.table.row_name, "DESC" if newest_first else "ASC"
        if not is_paged or number is None:
            order = _order_by(terms, way)
            return _unless(odd, select(self._fitted, columns, conditions, order=order), -1)
        # With the number, which rows are the first is always the same.
        order = _order_by([*terms, number], way)
        page = _unless(odd, select(self._fitted, (number,), conditions, order=order), PAGE)
        rest = _unless(odd, select(self._fitted, columns, conditions, order=order), -1)
        return _in_turn(
            select(
                self._fitted,
                columns,
                [Condition(f"{number} IN ({page.sql})", page.parameters)],
                order=order,
            ),
            Statement(f"{rest.sql} OFFSET {PAGE}", rest.parameters),
        )

    def by_day(
        self, columns: tuple[str, ...], conditions: list[Condition], *, newest_first: bool
    ) -> Statement | None:
        """Ask for the rows by the day that their text begins with. None if they are no texts."""
        if self._clock.unit != "iso":
            return None
        order = _order_by([self._name], "DESC" if newest_first else "ASC")
        return select(self._fitted, columns, [*conditions, self.is_there()], order=order)

    def in_any_order(self, columns: tuple[str, ...], conditions: list[Condition]) -> Statement:
        """Ask for the rows as they come, without those that say no time."""
        return select(self._fitted, columns, [*conditions, self.is_there()])

    def is_there(self) -> Condition:
        """Leaves out most rows that say no time."""
        if self._clock.unit == "iso":
            return Condition(f"{self._name} GLOB '{_DAY}*'")
        return Condition(f"{self._name} IS NOT NULL")

    def _is_said(self) -> Condition:
        """Leaves out rows that would take up a page and be no events."""
        return Condition(f"{self._name} IS NOT NULL")

    def _is_any(self, conditions: list[Condition], odd: Condition) -> Condition:
        """One of the rows that meet the conditions is odd."""
        looked_at = " AND ".join(f"({each.sql})" for each in [*conditions, odd])
        return Condition(
            f"EXISTS (SELECT 1 FROM {quote(self._fitted.table.name)} WHERE {looked_at})",
            tuple(value for each in [*conditions, odd] for value in each.parameters),
        )

    def _number_bounds(self, query: Query) -> list[Condition]:
        unit, found = self._clock.unit, []
        if query.since is not None:
            found.append(Condition(f"{self._name} >= ?", (raw_bound(unit, query.since),)))
        if query.until is not None:
            found.append(Condition(f"{self._name} < ?", (raw_end(unit, query.until),)))
        return found


def _order_by(terms: list[str], way: str) -> str:
    return f" ORDER BY {', '.join(f'{term} {way}' for term in terms)}"


def _unless(odd: Condition, statement: Statement, limit: int) -> Statement:
    """At most so many rows, and none if something is odd: then none is looked at, either."""
    return Statement(
        f"{statement.sql} LIMIT CASE WHEN {odd.sql} THEN 0 ELSE {limit} END",
        (*statement.parameters, *odd.parameters),
    )


def _in_turn(first: Statement, rest: Statement) -> Statement:
    """One statement, so that both see the database of the same moment; `rest` is run when it is its turn."""
    return Statement(
        f"SELECT * FROM ({first.sql}) UNION ALL SELECT * FROM ({rest.sql})",
        (*first.parameters, *rest.parameters),
    )


class _Shape(NamedTuple):
    """How all texts of a column are written: then they sort as the times they mean."""

    between: str
    """What stands between the day and the time of day."""
    offset: timedelta
    end: str
    """The zone, at the end of each text."""
    length: int

    def is_broken_by(self, name: str) -> Condition:
        """A text that is written another way: it may sort elsewhere.

        Where the end sorts before a point, or is none, texts may have a fraction or not: both are looked for.
        """
        whole = _SECOND.format(between=self.between)
        fraction = self.length - _SECOND_LENGTH - len(self.end)
        tail = f".{'[0-9]' * (fraction - 1)}" if fraction else ""
        usual = f"{name} NOT GLOB '{whole}{tail}{self.end}'"
        if self.end == "Z":
            return Condition(usual)
        inner = f"substr({name}, {_SECOND_LENGTH + 1}, length({name}) - {_SECOND_LENGTH + len(self.end)})"
        return Condition(
            f"{usual} AND ({name} NOT GLOB '{whole}*{self.end}' OR {inner} <> '' AND"
            f" ({inner} NOT GLOB '.[0-9]*' OR substr({inner}, 2) GLOB '*[^0-9]*'))"
        )

    def bounds(self, name: str, query: Query) -> list[Condition]:
        """The query's bounds, to the second."""
        found = []
        if query.since is not None and query.since > FIRST_NS + 2 * DAY_NS:
            found.append(Condition(f"{name} >= ?", (self._second(query.since),)))
        if query.until is not None and FIRST_NS + 2 * DAY_NS < query.until < END_NS - 2 * DAY_NS:
            found.append(Condition(f"{name} < ?", (self._second(query.until + _NS_PER_S),)))
        return found

    def _second(self, ns: int) -> str:
        moment = _moment(ns) + self.offset
        return f"{moment:%Y-%m-%d}".zfill(10) + self.between + f"{moment:%H:%M:%S}"


def _find_shape(sample: Any, clock: Clock) -> _Shape | None:
    """The shape of a text, if texts of its shape sort as times."""
    if not isinstance(sample, str) or len(sample) < _SECOND_LENGTH or clock.read(sample) is None:
        return None
    between, rest = sample[10], sample[_SECOND_LENGTH:]
    end = rest.lstrip(".0123456789")
    if between not in "T " or rest[:1] not in (".", end[:1]) or " " in end or "," in end:
        return None
    if end == "":
        offset = clock.offset
    elif end == "Z":
        offset = timedelta(0)
    elif end[0] in "+-" and len(end) == len("+00:00"):
        offset = timedelta(hours=int(end[1:3]), minutes=int(end[4:6])) * (
            -1 if end[0] == "-" else 1
        )
    else:
        offset = None
    return None if offset is None else _Shape(between, offset, end, len(sample))


def _moment(ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // _NS_PER_S)


def _day(ns: int) -> str:
    return f"{_moment(ns):%Y-%m-%d}".zfill(10)
