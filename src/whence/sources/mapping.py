"""What a mapping says: which column is the id, the time, the agent and so on. Pure.

A mapping is what somebody wrote in a `[[source]]` table; `docs/how-to/read-other-stores.md` lists its keys.
`rows` turns rows into events by it.
"""

import string
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args

import msgspec

from whence.errors import CorruptError
from whence.event import STATUSES, Status
from whence.sources.times import NS_PER_UNIT, Clock, Unit, parse_zone


class MappingError(CorruptError, ValueError):
    """A mapping and the store it is for do not fit; the message names the key, table and column."""


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{ is = "…" }`: the same for every row, where a plain text would name a column."""

    value: str = msgspec.field(name="is")


class Related(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a column names another event, and in which table that one is; in its own if None."""

    reason: str
    table: str | None = None


Named = str | Constant
"""A column, or a constant."""


class Map(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One mapping as it was written. Texts are columns, except where a key says otherwise.

    `primitives`, `types` and `statuses` say what words of the column become.
    """

    table: str | None = None
    time: str = ""
    unit: Unit = "iso"
    zone: str | None = None
    id: str | tuple[str, ...] = ()
    agent: Named | None = None
    target: Named | None = None
    part_of: str | None = None
    parent: str | tuple[str, ...] = ()
    parent_table: str | None = None
    type: Named | None = None
    types: dict[str, str] = {}
    primitive: Named | None = None
    primitives: dict[str, str] = {}
    status: str | None = None
    statuses: dict[str, Status] = {}
    duration: str | None = None
    duration_unit: Literal["s", "ms", "us", "ns"] = "ms"
    payload: Literal["*"] | tuple[str, ...] = "*"
    text: str | None = None
    relations: dict[str, str | Related] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns that make up the id; none if it is the row's place."""
        return (self.id,) if isinstance(self.id, str) else self.id

    @property
    def parents(self) -> tuple[str, ...]:
        """The columns that make up the parent's id."""
        return (self.parent,) if isinstance(self.parent, str) else self.parent

    @property
    def related(self) -> list[tuple[str, Related]]:
        """The columns that relate rows to others, each with why."""
        return [
            (column, Related(reason=why) if isinstance(why, str) else why)
            for column, why in self.relations.items()
        ]

    def columns(self) -> dict[str, list[str]]:
        """The columns that are named, by the key that names them; those of `text` aside."""
        one = {
            "time": self.time,
            "agent": self.agent,
            "target": self.target,
            "part_of": self.part_of,
            "type": self.type,
            "primitive": self.primitive,
            "status": self.status,
            "duration": self.duration,
        }
        named = {key: [value] for key, value in one.items() if isinstance(value, str) and value}
        many = {
            "id": self.ids,
            "parent": self.parents,
            "payload": () if self.payload == "*" else self.payload,
            "relations": tuple(self.relations),
        }
        return named | {key: list(columns) for key, columns in many.items() if columns}

    def text_columns(self, columns: Iterable[str]) -> list[str]:
        """Those of `columns` that the text names."""
        named = set(template_names(self))
        return [column for column in columns if column in named]

    def told_columns(self) -> frozenset[str]:
        """The columns that an envelope tells in full, so that a payload of all others leaves them out."""
        named = self.columns()
        kept = ("payload", "part_of", "relations")
        return frozenset(column for key in named if key not in kept for column in named[key])


def decode_maps(options: Mapping[str, Any], where: str) -> list[Map]:
    """Read the mappings of a source: its keys, or those of each of its `[[source.map]]` tables.

    `where` begins every message.

    Raises:
        ValueError: a key is unknown or its value is not of its kind; near keys are suggested.
    """
    tables = options.get("map")
    if tables is None:
        return [_decode_map(options, where)] if options else []
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise ValueError(f"{where}: `map` is no list of tables, want [[source.map]]")
    for key in options:
        if key != "map":
            raise ValueError(f"{where}: key `{key}` stands beside [[source.map]], want it inside")
    return [_decode_map(table, where) for table in tables]


def suggest_near(word: str, known: Iterable[str], quote: str = '"') -> str:
    """`; did you mean "x"?`, or "" if nothing known is like it."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), by_folded, 1)
    return f"; did you mean {quote}{by_folded[near[0]]}{quote}?" if near else ""


def _decode_map(table: Mapping[str, Any], where: str) -> Map:
    for key in table:
        if key not in Map.__struct_fields__:
            near = suggest_near(key, Map.__struct_fields__, "`")
            raise ValueError(f"{where}: key `{key}` is unknown{near}")
    about = f"{where}: table {table['table']}" if isinstance(table.get("table"), str) else where
    try:
        found = msgspec.convert(dict(table), Map)
        make_clock(found)
        split_template(found.text or "")
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"{about}: {_explain(str(error))}") from error
    if not found.time:
        raise ValueError(f"{about} has no `time`, want the column that says when")
    for key, empty in (("id", "" in found.ids), ("parent", "" in found.parents)):
        if empty:
            raise ValueError(f"{about}: `{key}` is empty, want a column")
    return found


_CHOICES = {"unit": get_args(Unit), "duration_unit": tuple(NS_PER_UNIT)}


def _explain(message: str) -> str:
    """Turn `Expected … - at `$.time`` around, so that the key comes first."""
    what, at, path = message.rpartition(" - at `$.")
    if not at:
        return message
    if what.startswith("Invalid enum value"):
        choices = ", ".join(_CHOICES.get(path.removesuffix("`"), STATUSES))
        what = f"{what.removeprefix('Invalid enum value ')} is unknown, want one of {choices}"
    kind = what[:1].lower() + what[1:].replace("object", "{ is = … }").replace(" | null", "")
    return f"`{path.removesuffix('`')}`: {kind}"


def make_clock(mapping: Map) -> Clock:
    """How the mapping's time column says when. ValueError for an unknown zone."""
    zone = parse_zone(mapping.zone or "UTC")
    return Clock(mapping.unit, zone, is_declared=mapping.zone is not None and zone is not None)


def split_template(text: str) -> list[tuple[str, str | None]]:
    """Split `{agent} moved {item}` into literal stretches, each with the name that follows it.

    Raises:
        ValueError: braces do not match, or a name carries a format of its own.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"text {text!r}: {error}") from error
    for _, name, form, conversion in parts:
        if name == "" or form or conversion:
            raise ValueError(f"text {text!r}: a name in braces is a column, with nothing after it")
    return [(literal, name) for literal, name, _, _ in parts]


def template_names(mapping: Map) -> list[str]:
    """The names in the mapping's text: columns, or words of the event."""
    return [name for _, name in split_template(mapping.text or "") if name is not None]


WORDS = ("id", "agent", "target", "primitive", "type", "status", "duration")
"""What a text may name besides columns: the words of the event."""
