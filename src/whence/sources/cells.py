"""Cells of foreign databases that are too long to hold: their beginning is read, and how long they are.

`read_cell` writes the SQL. A text of more than `KEPT` bytes is cut before SQLite sorts it, or else as it comes. A cell
of more than `HELD_MAX` is not even loaded: SQLite refuses it, the table is looked through for such rows once, and of
their cells only the beginning is read, by a handle. Other rows cost next to nothing, and the statement stays the
same, so that its rows come in the same order when it is run again.
"""

import codecs
import secrets
import sqlite3
from typing import Any, TypeGuard

KEPT = 65_536
"""So many bytes of a text are read."""

HELD_MAX = 8 * 1024 * 1024
"""SQLite loads no longer cell, not even to compare it."""

CUT = "…"

Cut = tuple[str, int]
"""What stands where a text was cut: its beginning, and how many characters it has."""

_HEAVY = 1024
_CHARACTERS = KEPT // 4
"""A text of no more characters is none of more than `KEPT` bytes."""
_CHUNK = 1024 * 1024
_HAS_LONG = "whence_has_long"
_BEGINNING = "whence_beginning"
_SHORTEN = "whence_shorten"


def read_cell(
    table: str, column: str, *, number: str | None, cell: str, kind: str = "'text'", whole: str = ""
) -> str:
    """SQL for a cell that may be long: `whole`, or the cell itself, where it is not.

    `number` is SQL for that of its row; without one a cell that is too long to load is refused. `kind` is SQL for
    what a long one is: of bytes the first are given.
    """
    short = (
        f"CASE WHEN length({cell}) > {_CHARACTERS} THEN {_SHORTEN}(CAST({cell} AS BLOB), {kind})"
        f" ELSE {whole or cell} END"
    )
    if number is None:
        return short
    where = f"{_literal(table)}, {_literal(column)}, {number}, {kind}"
    beginning = f"CASE WHEN {_HAS_LONG}({_literal(table)}) THEN {_BEGINNING}({where}) END"
    return f"COALESCE({beginning}, {short})"


def is_cut(value: object) -> TypeGuard[Cut]:
    """Whether a value stands for a text that was cut."""
    return type(value) is tuple


def mark_cut(cut: Cut) -> str:
    """The beginning of a text that was cut, with a mark where it ends."""
    return cut[0] + CUT


class Cells:
    """The long cells of one connection. Made, it watches over all that is read by it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._token = secrets.token_hex(8).encode()
        self._asked: set[str] = set()
        self._long: dict[str, set[int]] = {}
        """The numbers of rows with long cells, by table; empty until one is met."""
        self._lengths: dict[tuple[str, str, int, int], int] = {}
        self.weight = 0
        """About how many bytes of long texts were read."""
        self._encoding = ""
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, HELD_MAX)
        connection.create_function(_HAS_LONG, 1, self._has_long, deterministic=True)
        connection.create_function(_BEGINNING, 4, self._find_beginning, deterministic=True)
        connection.create_function(_SHORTEN, 2, self._shorten, deterministic=True)

    def look_closely(self) -> bool:
        """From now on take texts of any bytes and length; False if it was so. Python's own reading is quicker."""
        was = self._connection.text_factory == self._decode
        self._connection.text_factory = self._decode
        return not was

    def learn(self) -> bool:
        """Find the long cells of the tables that were asked for; whether there are more than was known."""
        known = sum(map(len, self._long.values()))
        for table in self._asked:
            self._long[table] = self._look_through(table)
        return sum(map(len, self._long.values())) > known

    def _decode(self, text: bytes) -> str | Cut:
        size = len(text)
        if size > _HEAVY:
            self.weight += min(size, KEPT)
            if size > KEPT:
                return self._cut(text)
        return text.decode(errors="replace")

    def _cut(self, text: bytes) -> Cut:
        if text.startswith(self._token):
            _, length, _, beginning = text.split(b":", 3)
            return beginning.decode(), int(length)
        return _begin(text[:KEPT], "utf-8"), len(text.decode(errors="replace"))

    def _shorten(self, data: bytes, kind: str) -> str | bytes:
        if kind == "blob":
            return data[:_HEAVY]
        self.look_closely()
        encoding = self._find_encoding()
        text = data.decode(encoding, errors="replace")
        return text if len(data) <= KEPT else self._mark(_begin(data[:KEPT], encoding), len(text))

    def _mark(self, beginning: str, length: int) -> str:
        # Filled up to more than is kept of any other text, so that it is looked at when it comes.
        filling = " " * (KEPT - len(beginning))
        return f"{self._token.decode()}:{length}:{filling}:{beginning}"

    def _has_long(self, table: str) -> bool:
        self._asked.add(table)
        return bool(self._long.get(table))

    def _find_beginning(
        self, table: str, column: str, number: int, kind: str
    ) -> str | bytes | None:
        """The beginning of a cell that is too long now; None for any other, which is then read as it is."""
        if number not in self._long[table]:
            return None
        try:
            with self._connection.blobopen(table, column, number, readonly=True) as blob:
                if len(blob) <= HELD_MAX:
                    return None
                if kind == "blob":
                    return blob.read(_HEAVY)
                encoding = self._find_encoding()
                key = (table, column, number, len(blob))
                if key not in self._lengths:
                    self._lengths[key] = _count(blob, encoding)
                blob.seek(0)
                beginning = _begin(blob.read(KEPT), encoding)
        except sqlite3.Error:
            return None
        self.look_closely()
        return self._mark(beginning, self._lengths[key])

    def _find_encoding(self) -> str:
        """How texts stand in the file."""
        if not self._encoding:
            (self._encoding,) = self._connection.execute("PRAGMA encoding").fetchone()
        return self._encoding

    def _look_through(self, table: str) -> set[int]:
        found: set[int] = set()
        named = self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        columns = [name for (name,) in named]
        tests = " OR ".join(f"length({_quote(name)}) > {HELD_MAX}" for name in columns)
        sql = f"SELECT rowid, {tests} FROM {_quote(table)} WHERE rowid > ? ORDER BY rowid"
        last = -(2**63)
        while True:
            try:
                for number, is_long in self._connection.execute(sql, (last,)):
                    last = number
                    if is_long:
                        found.add(number)
                return found
            except sqlite3.DataError:
                # The row that was fetched ahead may be lost with the one that is too long.
                rest = f"SELECT rowid FROM {_quote(table)} WHERE rowid > ? ORDER BY rowid LIMIT 2"
                ahead = [number for (number,) in self._connection.execute(rest, (last,))]
                long = [each for each in ahead if self._is_long(table, columns, each)]
                if not long:
                    return found
                found.update(long)
                last = max(long)

    def _is_long(self, table: str, columns: list[str], number: int) -> bool:
        for column in columns:
            try:
                with self._connection.blobopen(table, column, number, readonly=True) as blob:
                    if len(blob) > HELD_MAX:
                        return True
            except sqlite3.Error:
                # Neither text nor bytes.
                continue
        return False


def _begin(data: bytes, encoding: str) -> str:
    """The whole characters that bytes begin with."""
    return codecs.getincrementaldecoder(encoding)(errors="replace").decode(data)


def _count(blob: Any, encoding: str) -> int:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    length = 0
    while chunk := blob.read(_CHUNK):
        length += len(decoder.decode(chunk))
    return length + len(decoder.decode(b"", final=True))


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
