"""From a question to SQL, for one feed. Pure; names come from `eras` and values are parameters.

A creation whose id is a UUIDv7 streams in the order of ids, which is that of their true times. All else is
ordered by `whence_ns`, a function of ours that finds the true time of a row; it is asked only about the rows of
one window of time at a time, so that the first come soon, and SQLite sorts them, so that memory stays small.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from whence.sources.cells import read_cell
from whence.sources.space.clocks import NS_PER_DAY, NS_PER_S, Zone, date_text, first_id
from whence.sources.space.eras import Table
from whence.sources.space.feeds import Feed

FUNCTION = "whence_ns"
"""(zones, id, created, witness, later) → nanoseconds since 1970, or NULL."""

_DIGITS_MAX = 19
_SECONDS_MAX = 9_000_000_000
"""As nanoseconds that is a number which SQLite can hold."""
_SECOND_LENGTH = len("2026-11-20 19:27:35")
_HEX = "[0-9a-f]"
_LIKE_UUID7 = f"0{'?' * 13}7{'?' * 21}"
"""As `looks_like_uuid7`."""
_UUID7 = f"0{_HEX * 7}-{_HEX * 4}-7{_HEX * 3}-[89ab]{_HEX * 3}-{_HEX * 12}"
_WINDOW_NS = NS_PER_DAY
_WINDOWS_MAX = 6
_OFFSET_NS = NS_PER_DAY * 5 // 8
"""More than any zone is away from UTC."""


class Condition(NamedTuple):
    """Part of a WHERE, with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Window(NamedTuple):
    """True times, half-open; None is unbounded."""

    since: int | None = None
    until: int | None = None


ANY = Condition("1")
NONE = Condition("0")
NUMBERED = Condition(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND UPPER(sql) NOT LIKE '%WITHOUT%ROWID%'"
)
"""The tables whose rows have numbers."""


def expression(table: Table, role: str) -> str:
    """SQL for what a row says in a role: the first of its columns that is filled."""
    columns = [f'r."{column}"' for column in table.columns.get(role, ())]
    if role in table.borrowed:
        return table.borrowed[role]
    if role == "id":
        # An id is one column, or no index would serve; what has none is known by its pair.
        return (
            columns[0]
            if columns
            else f"{_text(table, 'agent')} || '/' || {_text(table, 'channel')}"
        )
    if not columns:
        return "NULL"
    return columns[0] if len(columns) == 1 else f"COALESCE({', '.join(columns)})"


def shown(table: Table, role: str) -> str:
    """SQL for what is read of a row in a role: of a long cell only its beginning."""
    if role == "id" or role in table.borrowed or not table.has(role):
        return expression(table, role)
    number = "r.rowid" if table.is_numbered else None
    cells = [
        read_cell(table.name, column, number=number, cell=f'r."{column}"')
        for column in table.columns[role]
    ]
    return cells[0] if len(cells) == 1 else f"COALESCE({', '.join(cells)})"


def roles_of(table: Table) -> tuple[str, ...]:
    """What is read of each row, in this order."""
    return ("id", *(role for role in (*table.columns, *table.borrowed) if role != "id"))


def one_of(table: Table, role: str, values: Iterable[Any]) -> Condition:
    """Rows that name one of the values in a role; a number may be stored as one, or as text."""
    spelt = [form for value in values for form in _spell(value)]
    if not spelt or not (role == "id" or table.has(role) or role in table.borrowed):
        return NONE
    names = [f'r."{column}"' for column in table.columns.get(role, ())]
    if role == "id" or role in table.borrowed:
        names = [expression(table, role)]
    marks = ", ".join("?" * len(spelt))
    return Condition(
        "(" + " OR ".join(f"{name} IN ({marks})" for name in names) + ")",
        tuple(spelt) * len(names),
    )


def _spell(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, str):
        return (value,)
    digits = value.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        return (value, int(value)) if len(digits) <= _DIGITS_MAX else (value,)
    try:
        number = float(value)
    except ValueError:
        return (value,)
    # As ids are written that are stored as one.
    return (value, number) if str(number) == value and not math.isnan(number) else (value,)


def contains(table: Table, role: str, part: str) -> Condition:
    """Rows whose text in a role holds `part`."""
    return Condition(f"instr({shown(table, role)}, ?)", (part,))


def all_of(*conditions: Condition) -> Condition:
    """Rows that fulfil all of them."""
    return Condition(
        " AND ".join(each.sql for each in conditions),
        tuple(value for each in conditions for value in each.parameters),
    )


def any_of(*conditions: Condition) -> Condition:
    """Rows that fulfil at least one of them."""
    possible = [each for each in conditions if each != NONE]
    if not possible:
        return NONE
    return Condition(
        "(" + " OR ".join(each.sql for each in possible) + ")",
        tuple(value for each in possible for value in each.parameters),
    )


def select_all(feed: Feed, condition: Condition = ANY) -> Condition:
    """All rows of a feed, in no order."""
    where = all_of(condition, _has_later(feed))
    return Condition(
        f"SELECT {_columns(feed.table)} {_from(feed)} WHERE {where.sql}", where.parameters
    )


def select_by_id(
    feed: Feed, condition: Condition, window: Window, *, newest: bool, is_narrow: bool
) -> Condition:
    """The creations that a UUIDv7 dates, in their order.

    Where the condition is narrow its own index is better than that of the ids: the plus keeps SQLite off.
    """
    row_id = ("+" if is_narrow else "") + expression(feed.table, "id")
    # The range costs nothing where ids are numbers; the pattern alone would look at each.
    whole = all_of(condition, _made_in(row_id, window), Condition(f"{row_id} GLOB '{_UUID7}'"))
    order = f"ORDER BY {row_id}{' DESC' if newest else ''}"
    return Condition(
        f"SELECT {_columns(feed.table)} {_from(feed)} WHERE {whole.sql} {order}", whole.parameters
    )


def select_by_time(
    feed: Feed, condition: Condition, window: Window, *, newest: bool, is_counted: bool
) -> Condition:
    """The other events of one window of true time, in their order.

    `is_counted` tells whether `select_counted` finds anything: no index serves such times.
    """
    where = [condition, _has_later(feed), _near(feed, window, is_counted=is_counted)]
    if feed.is_by_id:
        where.append(_is_plain(feed))
    whole = all_of(*where)
    down = " DESC" if newest else ""
    end = f"/{feed.tells.suffix}" if feed.tells.suffix else ""
    # The limit keeps SQLite from asking the function twice for each row.
    return Condition(
        f"SELECT {', '.join(f'c{i}' for i in range(len(roles_of(feed.table))))} FROM ("
        f"SELECT {true_time(feed)} AS ns, {_columns(feed.table)} {_from(feed)}"
        f" WHERE {whole.sql} LIMIT -1"
        f") WHERE ns >= ? AND ns < ? ORDER BY ns{down}, CAST(c0 AS TEXT) || ?{down}",
        (
            zones_key(feed),
            *whole.parameters,
            -math.inf if window.since is None else sortable(window.since),
            math.inf if window.until is None else sortable(window.until),
            end,
        ),
    )


def sortable(ns: int) -> int | float:
    """A time as SQLite can compare it: what is too far away for its whole numbers, as one of its others."""
    return ns if -(2**63) <= ns < 2**63 else float(ns)


def select_plain(feed: Feed) -> Condition:
    """One row whose id is no UUIDv7, if there is any."""
    return Condition(f"SELECT 1 {_from(feed)} WHERE {_is_plain(feed).sql} LIMIT 1")


def select_counted(feed: Feed) -> Condition:
    """One row whose time is text and not a date, if there is any: seconds since 1970, in a column of text."""
    time = _time(feed)
    where = f"{time} NOT GLOB '????-*' AND typeof({time}) = 'text'"
    return Condition(f"SELECT 1 {_from(feed)} WHERE {where} LIMIT 1")


def count(feed: Feed, condition: Condition, limit: int) -> Condition:
    """How many rows fulfil a condition, at most `limit`."""
    return Condition(
        f"SELECT COUNT(*) FROM (SELECT 1 {_from(feed)} WHERE {condition.sql} LIMIT {limit:d})",
        condition.parameters,
    )


def made_in(feed: Feed, window: Window) -> Condition:
    """Rows that were made in a window, as far as their ids tell."""
    return _made_in(expression(feed.table, "id"), window)


def zones_key(feed: Feed) -> str:
    """A feed's zones, as the function gets them."""
    return "/".join(zone.value for zone in feed.zones)


def select_range(feed: Feed) -> Condition:
    """The smallest and the largest of the stored times: numbers come before text."""
    return _ends_of(feed, _time(feed))


def select_ends(feed: Feed) -> Condition:
    """The times of the rows that were stored first and last, which is cheap without any index."""
    time = _time(feed)
    ends = (
        f"(SELECT {time} {_from(feed)} WHERE {time} IS NOT NULL ORDER BY rowid {way} LIMIT 1)"
        for way in ("ASC", "DESC")
    )
    return Condition(f"SELECT {', '.join(ends)}")


def select_ids(feed: Feed) -> Condition:
    """The first and the last id, each by the index that ids have."""
    return _ends_of(feed, expression(feed.table, "id"))


def split(window: Window, low: int, high: int, *, newest: bool) -> list[Window]:
    """Cut a window into several, small ones first, given where the times of the rows lie."""
    low, high = low - _OFFSET_NS, high + _OFFSET_NS
    since = low if window.since is None else max(window.since, low)
    until = high if window.until is None else min(window.until, high)
    windows: list[Window] = []
    size = _WINDOW_NS
    while until - since > size and len(windows) < _WINDOWS_MAX:
        if newest:
            windows.append(Window(until - size, until))
            until -= size
        else:
            windows.append(Window(since, since + size))
            since += size
        size *= 4
    windows.append(Window(since, until))
    # Whatever is left on either side belongs to the outermost.
    first, last = (-1, 0) if newest else (0, -1)
    windows[first] = windows[first]._replace(since=window.since)
    windows[last] = windows[last]._replace(until=window.until)
    return windows


def sample(table: Table) -> Condition:
    """The newest rows that a UUIDv7 dates, to learn the writer's offset from."""
    row_id = expression(table, "id")
    roles = ", ".join(expression(table, role) for role in ("id", "created", "witness"))
    return Condition(
        f"SELECT {roles} FROM \"{table.name}\" AS r WHERE {row_id} GLOB '{_UUID7}'"
        f" ORDER BY {row_id} DESC LIMIT 300"
    )


def select_distinct(feed: Feed, role: str) -> Condition:
    """Every value that the rows of a feed have in a role."""
    where = _has_later(feed)
    return Condition(
        f"SELECT DISTINCT {expression(feed.table, role)} {_from(feed)} WHERE {where.sql}",
        where.parameters,
    )


def select_below(table: Table, root: str) -> Condition:
    """All rows that have `root` above them, as id and parent; a ring ends where it began."""
    row_id, parent = expression(table, "id"), expression(table, "parent")
    return Condition(
        "WITH RECURSIVE below (id, parent) AS (SELECT ?, NULL UNION"
        f' SELECT {row_id}, {parent} FROM below JOIN "{table.name}" AS r ON {parent} = below.id)'
        " SELECT id, parent FROM below WHERE id IS NOT NULL AND parent IS NOT NULL",
        (root,),
    )


def select_sleeps(feed: Feed, words: tuple[str, ...], condition: Condition) -> Condition:
    """Agent, id and time of every session's end."""
    where = all_of(condition, one_of(feed.table, "type", words))
    roles = ", ".join(expression(feed.table, role) for role in ("agent", "id", "created"))
    return Condition(f"SELECT {roles} {_from(feed)} WHERE {where.sql}", where.parameters)


def ends(feed: Feed, prefix: str, part: str) -> Condition:
    """Rows whose event's id begins or ends with `part`."""
    end = f"/{feed.tells.suffix}" if feed.tells.suffix else ""
    whole = f"? || {expression(feed.table, 'id')} || ?"
    return Condition(
        f"(substr({whole}, 1, ?) = ? OR substr({whole}, -?) = ?)",
        (prefix, end, len(part), part, prefix, end, len(part), part),
    )


def _text(table: Table, role: str) -> str:
    return f"CAST({expression(table, role)} AS TEXT)"


def _columns(table: Table) -> str:
    return ", ".join(f"{shown(table, role)} AS c{i}" for i, role in enumerate(roles_of(table)))


def _from(feed: Feed) -> str:
    return f'FROM "{feed.table.name}" AS r'


def _ends_of(feed: Feed, what: str) -> Condition:
    # Two questions, since SQLite takes only one end at a time from an index.
    ends = (f"(SELECT {end}({what}) {_from(feed)})" for end in ("MIN", "MAX"))
    return Condition(f"SELECT {', '.join(ends)}")


def _is_plain(feed: Feed) -> Condition:
    return Condition(f"({expression(feed.table, 'id')} GLOB '{_LIKE_UUID7}') IS NOT 1")


def _time(feed: Feed) -> str:
    return expression(feed.table, feed.tells.later or "created")


def _time_arguments(feed: Feed) -> str:
    table = feed.table
    dated = "time_id" if "time_id" in table.borrowed else "id"
    roles = [expression(table, role) for role in (dated, "created", "witness")]
    later = "NULL" if feed.tells.later is None else _time(feed)
    return ", ".join([*roles, later])


def true_time(feed: Feed) -> str:
    """SQL for the true time of a row: SQLite's own where it tells the same, else our function's."""
    asked = f"{FUNCTION}(?, {_time_arguments(feed)})"
    if feed.tells.later is None and not feed.is_by_id:
        return asked
    time = _time(feed)
    seconds = f"WHEN typeof({time}) = 'integer' AND {time} BETWEEN 0 AND {_SECONDS_MAX} THEN {time}"
    if feed.zones[1] is not Zone.LOCAL:
        # The same text again: it is of this form, and the calendar has it. Only adding makes SQLite check days.
        seconds += (
            f" WHEN length({time}) = {_SECOND_LENGTH} AND {time} >= '1970' AND {time} < '2200'"
            f" AND strftime('%Y-%m-%d %H:%M:%S', {time}, '+0 days') = {time}"
            f" THEN CAST(strftime('%s', {time}) AS INTEGER)"
        )
    return f"COALESCE(CASE {seconds} END * {NS_PER_S}, {asked})"


def _has_later(feed: Feed) -> Condition:
    return ANY if feed.tells.later is None else Condition(f"{_time(feed)} IS NOT NULL")


def _near(feed: Feed, window: Window, *, is_counted: bool) -> Condition:
    """What can be told from the stored time without our function, so that an index serves: roughly."""
    if window == Window() or not (feed.tells.later or feed.table.has("created")):
        return ANY
    time = _time(feed)
    # Numbers come before text, and each bound would let all of the other through.
    numbers = [Condition(f"{time} < ''")]
    texts = [Condition(f"{time} >= ''")]
    for sign, ns, spread in (
        (">=", window.since, -_OFFSET_NS),
        ("<", window.until, _OFFSET_NS + NS_PER_DAY),
    ):
        if ns is not None:
            numbers.append(Condition(f"{time} {sign} ?", ((ns + spread) // NS_PER_S,)))
            # Whole days, since a blank and a T after the date sort otherwise than their times.
            day = date_text(ns + spread)
            if day is not None:
                texts.append(Condition(f"{time} {sign} ?", (day,)))
    either = [all_of(*numbers), all_of(*texts)]
    if is_counted:
        # A column of text makes text of seconds since 1970.
        either.append(
            Condition(f"typeof({time}) = 'text' AND {time} GLOB '[0-9][0-9][0-9][0-9][0-9]*'")
        )
    return any_of(*map(_group, either))


def _made_in(row_id: str, window: Window) -> Condition:
    since = "0" if window.since is None else first_id(window.since)
    until = "1" if window.until is None else min("1", first_id(window.until))
    return Condition(f"{row_id} >= ? AND {row_id} < ?", (since, until))


def _group(condition: Condition) -> Condition:
    return Condition(f"({condition.sql})", condition.parameters)
