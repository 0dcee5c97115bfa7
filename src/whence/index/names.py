"""Numbers for names: agents, targets and kinds are stored once and meant by a small integer."""

import sqlite3
from collections.abc import Callable

Kind = tuple[str, str, str | None]
"""What an event is: primitive, type and status."""


class Numbers(dict[str | None, int | None]):
    """Gives each name its number, a new one to a new name; None stays None.

    Belongs to one catch-up: what it hands out is true only once its transaction is committed.
    """

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        super().__init__({None: None})
        self._find = f"SELECT number FROM {table} WHERE name = ?"
        self._keep = f"INSERT INTO {table} (name) VALUES (?)"
        self._execute = db.execute

    def __missing__(self, name: str) -> int:
        found = self._execute(self._find, (name,)).fetchone()
        number = found[0] if found else self._execute(self._keep, (name,)).lastrowid
        assert isinstance(number, int)
        self[name] = number
        return number


class KindNumbers(dict[Kind, int]):
    """Gives each kind its number, a new one to a new kind. As with `Numbers`, for one catch-up."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__({kind: number for number, kind in read_kinds(db).items()})
        self._execute = db.execute

    def __missing__(self, kind: Kind) -> int:
        insert = "INSERT INTO kinds (primitive, type, status) VALUES (?, ?, ?)"
        number = self._execute(insert, kind).lastrowid
        assert number is not None
        self[kind] = number
        return number


class Names(dict[int | None, str | None]):
    """Gives each number its name, read when first asked for; KeyError where there is none."""

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        super().__init__({None: None})
        self._find = f"SELECT name FROM {table} WHERE number = ?"
        self._execute: Callable[..., sqlite3.Cursor] = db.execute

    def __missing__(self, number: int) -> str:
        found = self._execute(self._find, (number,)).fetchone()
        if found is None:
            raise KeyError(number)
        self[number] = found[0]
        return str(found[0])


def read_kinds(db: sqlite3.Connection) -> dict[int, Kind]:
    """All kinds by their numbers."""
    rows = db.execute("SELECT number, primitive, type, status FROM kinds")
    return {number: (primitive, type_, status) for number, primitive, type_, status in rows}
