"""From rows to events by a mapping. Pure.

A row is a mapping from columns to plain values. It is understood if its id and its time can be read; what
else cannot be read is left out of the envelope and kept in the payload.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from whence.event import STATUSES, Status, format_time
from whence.query import clean_target
from whence.sources.cells import is_cut, mark_cut
from whence.sources.mapping import Constant, Map, Named, make_clock, split_template
from whence.sources.source import Relation, SourceEvent, check_clock
from whence.sources.times import NS_PER_UNIT, read_duration

DEFAULT_TYPE = "record"
"""The type of rows whose mapping names none; it is then inferred."""

BLOB_SHOWN = 64
"""The most bytes of a BLOB that a payload shows."""

_UNREADABLE = re.compile("[\ufffd\ud800-\udfff]").search
"""What stands where bytes were no text. A store cannot be asked for such a name, so it is none."""

_UNKNOWN = "?"
"""Stands in a text for what a row does not say."""

_SHOWN = 40

Row = Mapping[str, Any]
Getter = Callable[[Row], Any]


def render_id(value: Any) -> str | None:
    """One part of an id as text: of a text, a whole number, or bytes as hexadecimal digits."""
    if isinstance(value, str):
        return value if value and (value.isascii() or not _UNREADABLE(value)) else None
    if isinstance(value, bytes):
        return value.hex() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def render_word(value: Any) -> str | None:
    """An agent, target or type as text."""
    return ("true" if value else "false") if isinstance(value, bool) else render_id(value)


def render_ids(values: Sequence[Any]) -> list[str] | None:
    """Each as `render_id` does; None if one of them is no id."""
    if _are_plain(values):
        return list(values) if all(values) else None
    found = [each for each in map(render_id, values) if each is not None]
    return found if len(found) == len(values) else None


def render_words(values: Sequence[Any]) -> list[str | None]:
    """Each as `render_word` does."""
    if _are_plain(values):
        return [each or None for each in values]
    return list(map(render_word, values))


def _are_plain(values: Sequence[Any]) -> bool:
    """Whether these are texts that need no more care than whether they are empty."""
    return set(map(type, values)) == {str} and "".join(values).isascii()


def stored_forms(text: str) -> list[str | int | bytes]:
    """Every value that a database can hold and that `render_id` writes as `text`."""
    forms: list[str | int | bytes] = [text]
    digits = text.removeprefix("-")
    if digits.isdecimal() and digits.isascii() and len(digits) < 20 and str(int(text)) == text:
        forms.append(int(text))
    if text and len(text) % 2 == 0 and set(text) <= set("0123456789abcdef"):
        forms.append(bytes.fromhex(text))
    return forms


def join_id(prefix: str | None, parts: Sequence[str]) -> str:
    """Write the id of an event: its table if there are several, and the parts of its row's key."""
    if prefix is None and len(parts) == 1:
        return parts[0]
    whole = [*([] if prefix is None else [prefix]), *parts]
    # The last part needs no care: whoever splits knows how many there are.
    return ":".join([*map(_escape, whole[:-1]), whole[-1]])


def split_id(text: str, prefix: str | None, size: int) -> list[str] | None:
    """The parts that `join_id` joined, or None if the id is of another table."""
    parts = text.split(":", size - 1 + (prefix is not None))
    parts[:-1] = [part.replace("%3A", ":").replace("%25", "%") for part in parts[:-1]]
    if prefix is not None and parts.pop(0) != prefix:
        return None
    return parts if len(parts) == size else None


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace(":", "%3A")


class Key(NamedTuple):
    """What makes a row an event: when, and which. `is_naive` says that it named no zone."""

    ns: int
    id: str
    is_naive: bool


class _Field(NamedTuple):
    """Where a part of the envelope is found; the column is None if there is none."""

    column: str | None
    get: Getter


class Reader:
    """Turns the rows of one mapping into events. `getter` says how a column is found in a row.

    `prefix` begins every id where a source has several mappings, and `home` those of the row's table where
    another one is meant; both are None otherwise.
    """

    def __init__(
        self,
        mapping: Map,
        *,
        source: str,
        primitive: str,
        getter: Callable[[str], Getter],
        now_ns: int,
        prefix: str | None = None,
        home: str | None = None,
    ) -> None:
        self.mapping = mapping
        self._prefix = prefix
        self._home = home
        self._source = source
        self._default_primitive = primitive
        self.now_ns = now_ns
        self._clock = make_clock(mapping)
        self._time = getter(mapping.time)
        self._ids = [(column, getter(column)) for column in mapping.ids]
        self._parents = [getter(column) for column in mapping.parents]
        self._agent = _field(mapping.agent, getter)
        self._target = _field(mapping.target, getter)
        self._part_of = _field(mapping.part_of, getter)
        self._type = _field(mapping.type, getter)
        self._primitive = _field(mapping.primitive, getter)
        self._status = _field(mapping.status, getter)
        self._duration = _field(mapping.duration, getter)
        self._duration_unit = NS_PER_UNIT[mapping.duration_unit]
        self._relations = [
            (getter(column), why.reason, self.prefix_of(why.table))
            for column, why in mapping.related
        ]
        self._listed = (
            None
            if mapping.payload == "*"
            else [(column, getter(column)) for column in mapping.payload]
        )
        self._told = mapping.told_columns()
        self._text = [
            (literal, None if name is None else (name, getter(name)))
            for literal, name in split_template(mapping.text or "")
        ]

    def prefix_of(self, table: str | None) -> str | None:
        """What ids of that table begin with; of the row's own one for None."""
        return self._home if table is None or self._home is None else table

    def key(self, row: Row, place: str = "") -> Key | str:
        """The row's key, or what is wrong with it. `place` is its id if the mapping names none."""
        value = self._time(row)
        reading = self._clock.read(value)
        if reading is None:
            wanted = (
                "an ISO time" if self.mapping.unit == "iso" else f"a time in {self.mapping.unit}"
            )
            return f"{self.mapping.time} is {_shorten(value)}, want {wanted}"
        if not self._ids:
            return Key(reading.ns, place, reading.is_naive)
        parts = []
        for column, get in self._ids:
            part = render_id(get(row))
            if part is None:
                return f"{column} is {_shorten(get(row))}, want an id"
            parts.append(part)
        if self._prefix is None and len(parts) == 1:
            return Key(reading.ns, parts[0], reading.is_naive)
        return Key(reading.ns, join_id(self._prefix, parts), reading.is_naive)

    def times(self, rows: Sequence[Row]) -> list[int] | None:
        """The times of these rows; None if one of them has no `key`."""
        return self._clock.read_all(list(map(self._time, rows)))

    def ids(self, rows: Sequence[Row]) -> list[str] | None:
        """The ids of these rows, none if they are their places; None if one of them has no `key`."""
        parts = [render_ids(list(map(get, rows))) for _, get in self._ids]
        if None in parts:
            return None
        if self._prefix is None and len(parts) == 1:
            return parts[0]
        return [join_id(self._prefix, each) for each in zip(*filter(None, parts), strict=True)]

    def agents(self, rows: Sequence[Row]) -> list[str | None]:
        """The agents of these rows."""
        return render_words(list(map(self._agent.get, rows)))

    def targets(self, rows: Sequence[Row]) -> list[str | None]:
        """The targets of these rows."""
        return _clean(render_words(list(map(self._target.get, rows))))

    def wholes(self, rows: Sequence[Row]) -> list[str | None]:
        """The targets that these rows' own are part of."""
        return _clean(render_words(list(map(self._part_of.get, rows))))

    def parents(self, rows: Sequence[Row]) -> list[str | None]:
        """The ids of these rows' parents."""
        return list(map(self.parent, rows))

    def agent(self, row: Row) -> str | None:
        """The row's agent."""
        return render_word(self._agent.get(row))

    def target(self, row: Row) -> str | None:
        """The row's target."""
        return self.targets([row])[0]

    def part_of(self, row: Row) -> str | None:
        """The target that the row's own is part of."""
        return self.wholes([row])[0]

    def parent(self, row: Row) -> str | None:
        """The id of the row's parent."""
        parts = []
        for get in self._parents:
            part = render_id(get(row))
            if part is None:
                return None
            parts.append(part)
        return join_id(self.prefix_of(self.mapping.parent_table), parts) if parts else None

    def relations(self, row: Row) -> tuple[Relation, ...]:
        """What the row's columns relate it to."""
        if not self._relations:
            return ()
        found = []
        for get, reason, prefix in self._relations:
            value = get(row)
            for each in value if isinstance(value, list) else [value]:
                part = render_id(each)
                if part is not None:
                    found.append(Relation(reason, join_id(prefix, [part])))
        return tuple(dict.fromkeys(found))

    def event(self, row: Row, key: Key, remark: str | None = None) -> SourceEvent:
        """The event that a row is, once its key was read."""
        mapping = self.mapping
        type = _translate(mapping.types, render_word(self._type.get(row)))
        primitive = _translate(mapping.primitives, render_word(self._primitive.get(row)))
        envelope: dict[str, Any] = {
            "id": key.id,
            "agent": self.agent(row),
            "target": self.target(row),
            "primitive": primitive or self._default_primitive,
            "type": type or DEFAULT_TYPE,
            "status": _read_status(mapping.statuses, self._status.get(row)),
            "duration": read_duration(self._duration.get(row), self._duration_unit),
        }
        unread = [
            field.column
            for field, read in (
                (self._agent, envelope["agent"]),
                (self._target, envelope["target"]),
                (self._type, type),
                (self._primitive, primitive),
                (self._status, envelope["status"]),
                (self._duration, envelope["duration"]),
            )
            if read is None and field.column is not None
        ]
        is_guess = key.is_naive and not self._clock.is_declared
        return SourceEvent(
            **envelope,
            time=format_time(key.ns),
            parent=self.parent(row),
            source=self._source,
            inferred=("time",) * is_guess + ("type",) * (type is None),
            remark=remark or check_clock(key.ns, self.now_ns),
            relations=self.relations(row),
            payload=msgspec.Raw(msgspec.json.encode(self._payload(row, envelope, unread))),
        )

    def _payload(self, row: Row, envelope: dict[str, Any], unread: Sequence[str]) -> dict[str, Any]:
        if self._listed is None:
            payload = {
                column: plain_value(value)
                for column, value in row.items()
                if value is not None and (column not in self._told or column in unread)
            }
        else:
            payload = {column: plain_value(get(row)) for column, get in self._listed}
        if tuple in map(type, row.values()):
            cut = {column: value for column, value in row.items() if is_cut(value)}
            lengths = {f"{column}_length": cut[column][1] for column in cut if column in payload}
            payload = lengths | payload
        if self._text:
            # A column of the same name is not lost.
            if "text" in payload:
                payload["text_"] = payload.pop("text")
            payload["text"] = "".join(
                literal + (self._fill(name, row, envelope) if name else "")
                for literal, name in self._text
            )
        return payload

    def _fill(self, name: tuple[str, Getter], row: Row, envelope: dict[str, Any]) -> str:
        word, get = name
        value = get(row)
        if value is None:
            value = envelope.get(word)
        value = plain_value(value)
        if isinstance(value, str):
            return value
        return _UNKNOWN if value is None else json.dumps(value, ensure_ascii=False)


def _clean(targets: list[str | None]) -> list[str | None]:
    return [clean_target(each) if each and each[0] == "#" else each for each in targets]


def _field(named: Named | None, getter: Callable[[str], Getter]) -> _Field:
    if isinstance(named, str):
        return _Field(named, getter(named))
    value = named.value if isinstance(named, Constant) else None
    return _Field(None, lambda _: value)


def _translate(words: Mapping[str, str], word: str | None) -> str | None:
    return words.get(word, word) if words and word is not None else word


def _read_status(words: Mapping[str, Status], value: Any) -> Status | None:
    word = render_word(value)
    if word is None:
        return None
    if word in words:
        return words[word]
    for status in STATUSES:
        if word == status:
            return status
    return None


def plain_value(value: Any) -> Any:
    """A value as JSON can carry it: bytes as digits, their number limited, infinities as words, cuts marked."""
    if is_cut(value):
        return mark_cut(value)
    if isinstance(value, bytes):
        return value[:BLOB_SHOWN].hex() + ("…" if len(value) > BLOB_SHOWN else "")
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _shorten(value: Any) -> str:
    if value is None:
        return "missing"
    text = repr(value[0][:_SHOWN] if is_cut(value) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
