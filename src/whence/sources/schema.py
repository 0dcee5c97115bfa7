"""Fits mappings to the tables of a database: every name is looked up, and written as the schema has it."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from whence.errors import CorruptError
from whence.sources.database import Database
from whence.sources.mapping import WORDS, Map, MappingError, Related, suggest_near, template_names

_ROW_NAMES = ("rowid", "_rowid_", "oid")
_HIDDEN = 1


class Table(NamedTuple):
    """A table or view as far as reading it needs. `columns` has their declared types."""

    name: str
    columns: dict[str, str]
    keys: tuple[str, ...]
    """The columns of its primary key."""
    row_name: str | None
    """What the number of a row is called here; None for a view, and WITHOUT ROWID."""
    unique: tuple[frozenset[str], ...] = ()
    """Sets of columns in which no two rows agree."""

    def is_key(self, columns: Iterable[str]) -> bool:
        """Whether these columns, as text, are known to tell every two rows apart."""
        given = frozenset(columns)
        # Without a declared type, 1 and '1' may stand side by side.
        typed = all(column == self.row_name or self.columns[column].strip() for column in given)
        return self.row_name in given or (typed and any(each <= given for each in self.unique))


class Fitted(NamedTuple):
    """A mapping that fits its table: every name in it is one of the table's."""

    mapping: Map
    table: Table


def fit_maps(database: Database, maps: Sequence[Map], where: str) -> list[Fitted]:
    """Fit each mapping to its table.

    Raises:
        MappingError: a table or column is not there; near names are suggested. `where` begins it.
        StoreError, CorruptError: the schema cannot be read.
    """
    names = table_names(database)
    fitted = [_fit(database, mapping, names, where) for mapping in maps]
    mapped = {each.table.name for each in fitted}
    for mapping, table in fitted:
        for other in _other_tables(mapping):
            if other not in mapped:
                raise MappingError(
                    f'{where}: table {table.name} refers to table "{other}", which no mapping is for'
                )
    return fitted


def table_names(database: Database) -> dict[str, str]:
    """The tables and views, each with its kind."""
    return dict(
        database.rows(
            "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        )
    )


def schema_text(database: Database) -> str:
    """Changes whenever the schema does."""
    row = database.row("SELECT group_concat(sql, char(10)) FROM sqlite_master")
    return str(row and row[0])


def read_table(database: Database, name: str, kind: str) -> Table:
    """What there is to know of one table."""
    found = list(
        database.rows(
            "SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden <> ?", (name, _HIDDEN)
        )
    )
    columns = {column: str(declared) for column, declared, _ in found}
    keys = tuple(column for column, _, place in sorted(found, key=lambda row: row[2]) if place)
    indexed: dict[str, set[str]] = {}
    for index, column in database.rows(
        "SELECT i.name, c.name FROM pragma_index_list(?) AS i JOIN pragma_index_info(i.name) AS c"
        ' WHERE i."unique" = 1 AND i.partial = 0',
        (name,),
    ):
        # An expression has no name, and so no column of ours makes that index unique.
        indexed.setdefault(index, set()).add(column)
    unique = [frozenset(each) for each in indexed.values()]
    return Table(
        name=name,
        columns=columns,
        keys=keys,
        row_name=_find_row_name(database, name, columns) if kind == "table" else None,
        unique=(*unique, frozenset(keys)) if keys else tuple(unique),
    )


def quote(name: str) -> str:
    """Write a name of the schema so that SQL takes it for nothing else."""
    return '"' + name.replace('"', '""') + '"'


def _find_row_name(database: Database, table: str, columns: Iterable[str]) -> str | None:
    taken = {column.lower() for column in columns}
    for name in _ROW_NAMES:
        if name not in taken:
            try:
                database.row(f"SELECT {name} FROM {quote(table)} LIMIT 1")
            except CorruptError:
                return None
            return name
    return None


def _fit(database: Database, mapping: Map, names: dict[str, str], where: str) -> Fitted:
    name = _find_table(mapping.table, names, where)
    table = read_table(database, name, names[name])
    about = f"{where}: table {name}"

    def find(column: str, key: str) -> str:
        return _find_column(column, table, f"{about} has no column", key)

    fitted = _spell(mapping, find)
    if not fitted.ids:
        ids = table.keys or ((table.row_name,) if table.row_name else ())
        if not ids:
            raise MappingError(f"{about} has no key of its own, want `id` to name columns")
        fitted = msgspec.structs.replace(fitted, id=ids)
    for word in template_names(fitted):
        if word not in WORDS and word not in table.columns:
            known = [*table.columns, *WORDS]
            raise MappingError(
                f'{about} has no column "{word}", which `text` names{suggest_near(word, known)}'
            )
    # As the schema writes them, since ids begin with them.
    spelled = {other: _find_table(other, names, where) for other in _other_tables(fitted)}
    return Fitted(
        msgspec.structs.replace(
            fitted,
            table=name,
            parent_table=fitted.parent_table and spelled[fitted.parent_table],
            relations={
                column: Related(reason=why.reason, table=why.table and spelled[why.table])
                for column, why in fitted.related
            },
        ),
        table,
    )


def _other_tables(mapping: Map) -> list[str]:
    others = [mapping.parent_table, *(why.table for _, why in mapping.related)]
    return [other for other in others if other is not None]


def _find_table(name: str | None, names: dict[str, str], where: str) -> str:
    if name is None:
        if len(names) == 1:
            return next(iter(names))
        raise MappingError(f"{where} has no `table`, want one of {', '.join(names) or 'none'}")
    by_folded = {each.lower(): each for each in names}
    if name.lower() not in by_folded:
        near = suggest_near(name, names) or f", want one of {', '.join(names) or 'none'}"
        raise MappingError(f'{where} has no table "{name}"{near}')
    return by_folded[name.lower()]


def _find_column(column: str, table: Table, what: str, key: str) -> str:
    if column in table.columns or column == table.row_name:
        return column
    by_folded = {each.lower(): each for each in table.columns}
    if column.lower() not in by_folded:
        near = suggest_near(column, table.columns) or f", want one of {', '.join(table.columns)}"
        raise MappingError(f'{what} "{column}" for `{key}`{near}')
    return by_folded[column.lower()]


def _spell(mapping: Map, find: Callable[[str, str], str]) -> Map:
    """Write every column as the schema does."""
    changes: dict[str, object] = {}
    for key, columns in mapping.columns().items():
        found = tuple(find(column, key) for column in columns)
        if key == "relations":
            changes[key] = dict(zip(found, mapping.relations.values(), strict=True))
        elif key in ("id", "parent", "payload"):
            changes[key] = found
        else:
            changes[key] = found[0]
    return msgspec.structs.replace(mapping, **changes)
