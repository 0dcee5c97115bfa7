"""Databases of any layout, read by a mapping."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.contract.sources.case import Case
from whence.sources.source import Source
from whence.sources.sqlite import open_source

START = 1_795_000_000
ROWS = 14

_ORDERS = "CREATE TABLE orders (id {id}, at {time}, who TEXT, item TEXT, state TEXT, after INTEGER)"
_ORDER_KEYS: dict[str, Any] = {
    "table": "orders",
    "time": "at",
    "agent": "who",
    "target": "item",
    "status": "state",
    "parent": "after",
    "relations": {"after": "after"},
}


def _write(folder: Path, statement: str, rows: list[tuple[Any, ...]] | None = None) -> None:
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / "shop.db", timeout=10)) as connection, connection:
        if rows is None:
            connection.executescript(statement)
        else:
            connection.executemany(statement, rows)


def _open(folder: Path, **options: Any) -> Source:
    return open_source(folder / "shop.db", "sqlite:shop.db", options)


def _order(number: int, at: Any) -> tuple[Any, ...]:
    state = ("success", "blocked", None)[number % 3]
    return (number, at, f"agent-{number % 2}", f"#item-{number % 3}", state, number - 1 or None)


def _single(
    name: str, time: str, at: Callable[[int], Any], odd: Any, *, index: bool = False, **keys: Any
) -> Case:
    """A table of orders whose times `at` writes; every second order shares its time with the last."""
    insert = "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)"

    def make(folder: Path) -> Source:
        _write(folder, _ORDERS.format(id="INTEGER PRIMARY KEY", time=time))
        if index:
            _write(
                folder, "CREATE INDEX by_time ON orders (at); CREATE INDEX by_who ON orders (who)"
            )
        _write(folder, insert, [_order(each, at(START + each // 2)) for each in range(1, ROWS)])
        return _open(folder, **_ORDER_KEYS, **keys)

    def add(folder: Path) -> None:
        _write(folder, insert, [_order(ROWS, at(START + ROWS))])

    def spoil(folder: Path) -> None:
        _write(folder, insert, [_order(ROWS + 1, odd)])

    return Case(name=name, make=make, add=add, spoil=spoil)


def _text(second: int) -> str:
    with closing(sqlite3.connect(":memory:")) as connection:
        (text,) = connection.execute("SELECT datetime(?, 'unixepoch')", (second,)).fetchone()
    return str(text)


def _mixed(second: int) -> str:
    """As a program writes that was changed more than once."""
    text = _text(second)
    return (f"{text}.25", f"{text.replace(' ', 'T')}Z", f"{text}+11:00")[second % 3]


def _make_view(folder: Path) -> Source:
    _write(folder, _ORDERS.format(id="INTEGER PRIMARY KEY", time="INTEGER"))
    _write(
        folder, "CREATE VIEW sold AS SELECT id AS number, at * 1000 AS at, who, item FROM orders"
    )
    _add_to_view(folder, range(1, ROWS))
    keys = {"table": "SOLD", "id": "number", "time": "at", "unit": "ms"}
    return _open(folder, **keys, agent="who", target="item")


def _add_to_view(folder: Path, numbers: range = range(ROWS, ROWS + 2)) -> None:
    rows = [_order(number, START + number // 2) for number in numbers]
    _write(folder, "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", rows)


def _spoil_view(folder: Path) -> None:
    _write(folder, "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", [_order(ROWS + 5, None)])


_SEVERAL = """
CREATE TABLE "odd ""task" (id TEXT PRIMARY KEY, made REAL, done TEXT, who, "part of" TEXT) WITHOUT ROWID;
CREATE TABLE message (room TEXT, number INTEGER, at TEXT, who TEXT, task TEXT, PRIMARY KEY (room, number));
CREATE TABLE log (line TEXT, who TEXT, what BLOB, at INTEGER);
"""


def _make_several(folder: Path) -> Source:
    _write(folder, _SEVERAL)
    _write(folder, 'INSERT INTO "odd ""task" VALUES (?, ?, ?, ?, ?)', [
        (f"task:{n}", START + n / 2, _text(START + 9) if n % 2 else None, n % 2, f"task:{n // 2}")
        for n in range(1, 6)
    ])  # fmt: skip
    _write(folder, "INSERT INTO message VALUES (?, ?, ?, ?, ?)", [
        (f"room:{n % 2}", n, f"{_text(START + n)}.{n}", f"agent-{n % 3}", f"task:{n}")
        for n in range(1, 7)
    ])  # fmt: skip
    _write(folder, "INSERT INTO log VALUES (?, ?, ?, ?)", [
        (f"line {n // 2}", None, bytes([n]), (START + n) * 10**6) for n in range(5)
    ])  # fmt: skip
    return _open(
        folder,
        map=[
            {"table": 'odd "task', "time": "made", "unit": "s", "agent": "who", "target": "id",
             "part_of": "part of"},
            {"table": 'odd "task', "time": "done", "zone": "+01:00", "target": "id",
             "parent": "id", "type": {"is": "done"}},
            {"table": "message", "time": "at", "zone": "America/New_York", "agent": "who",
             "target": "room", "relations": {"task": {"reason": "about", "table": 'odd "task'}},
             "text": "{who} said {number} in {room}"},
            {"table": "log", "id": "line", "time": "at", "unit": "us", "agent": {"is": "cron"},
             "primitive": {"is": "system"}, "payload": ["what"]},
        ],
    )  # fmt: skip


def _add_to_several(folder: Path) -> None:
    _write(folder, "INSERT INTO log VALUES ('line 1', NULL, NULL, ?)", [((START + 99) * 10**6,)])
    _write(
        folder, "INSERT INTO message VALUES ('room:0', 99, ?, NULL, 'task:1')", [(_text(START),)]
    )


def _spoil_several(folder: Path) -> None:
    _write(folder, "INSERT INTO log VALUES (NULL, NULL, x'00ff', ?)", [(START * 10**6,)])


CASES = [
    _single("sqlite: seconds", "INTEGER", lambda second: second, "soon", unit="s"),
    _single("sqlite: milliseconds, indexed", "INTEGER", lambda second: second * 1000, None,
            index=True, unit="ms"),
    _single("sqlite: parts of seconds", "REAL", lambda second: second + 0.25, "never", unit="s"),
    _single("sqlite: days of Julius", "REAL", lambda second: second / 86400 + 2440587.5, None,
            unit="julian"),
    _single("sqlite: numbers as text", "TEXT", lambda second: str(second * 10**9), "0x10", unit="ns"),
    _single("sqlite: text of UTC, indexed", "TEXT", _text, "2026-13-01 00:00:00", index=True),
    _single("sqlite: text of Sydney", "TEXT", _text, b"2026-01-01 00:00:00", zone="Australia/Sydney"),
    _single("sqlite: text of here", "DATETIME", _text, 5, zone="local"),
    _single("sqlite: text of many kinds", "TEXT", _mixed, "yesterday"),
    Case(name="sqlite: a view", make=_make_view, add=_add_to_view, spoil=_spoil_view),
    Case(name="sqlite: several tables", make=_make_several, add=_add_to_several,
         spoil=_spoil_several),
]  # fmt: skip
