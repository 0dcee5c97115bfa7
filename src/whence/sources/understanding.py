"""How lines are read: one in full, or many at once as far as an index of them needs.

Reading many decodes the mapping's own keys and skips the rest, which takes a fraction of the time. It gives
what reading each in full would give, or nothing: whatever is not plain is left to the slow way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, cast

import msgspec

from whence.sources.builtin import Format, Object, keep
from whence.sources.glance import Key as GlanceKey
from whence.sources.glance import make_key
from whence.sources.lines import Line, decode_line, is_large
from whence.sources.mapping import Map
from whence.sources.rows import Key, Reader, Row


class Skimmed(NamedTuple):
    """What an index keeps of lines that are all events: for each, in their order."""

    sizes: list[int]
    """Bytes, the end of the line included."""
    times: list[int]
    ids: list[str]
    """Empty if lines have no ids of their own."""
    names: dict[str, Sequence[str | None]]
    relations: list[tuple[str, ...]]
    """The ids that each is related to; empty if the mapping relates none."""


class Understanding:
    """What is made of an object before the mapping sees it, and the mapping."""

    def __init__(self, form: Format, reader: Reader) -> None:
        self.reader = reader
        self._prepare = form.prepare
        keys = {*_kept_keys(reader.mapping), *form.looks_at}
        wanted = TypedDict("wanted", dict.fromkeys(keys, Any), total=False)  # type: ignore[misc]
        self._decode = cast("Callable[[bytes], Object]", msgspec.json.Decoder(wanted).decode)

    def read(self, line: Line, place: str) -> tuple[Object, Key] | str:
        """The row and key of a line, or what is wrong with it."""
        if line.is_too_long:
            return f"line is too long: {line.end - line.offset:,} bytes"
        row = decode_line(line.data)
        if isinstance(row, str):
            return row
        row = self._prepare(row)
        key = self.reader.key(row, place)
        return key if isinstance(key, str) else (row, key)

    def skim(self, block: bytes) -> Skimmed | None:
        """What there is to keep of these whole lines; None unless all of them are plainly events."""
        if not _is_text(block):
            # The part that is skipped is not looked at closely enough to notice.
            return None
        # Each by itself, since an object may stand in two lines, or two in one.
        lines = block.split(b"\n")
        lines.pop()
        try:
            rows = list(map(self._decode, lines))
        except (msgspec.MsgspecError, RecursionError):
            return None
        if self._prepare is not keep:
            rows = list(map(self._prepare, rows))
        sizes = [len(line) + 1 for line in lines]
        times, ids = self.reader.times(rows), self.reader.ids(rows)
        if times is None or ids is None or is_large(max(sizes)):
            return None
        return Skimmed(
            sizes=sizes,
            times=times,
            ids=ids,
            names={name: find(rows) for name, find in self._named().items()},
            relations=self._related(rows),
        )

    def can_glance(self, name: str) -> bool:
        """Whether a line that has this name, id or relation has its bytes, and ids can be compared by theirs."""
        mapping = self.reader.mapping
        if mapping.ids and self.id_key() is None:
            return False
        columns = {
            "id": mapping.ids,
            "parent": mapping.parents,
        }
        if name in columns:
            return len(columns[name]) == 1
        if name == "relations":
            return bool(mapping.related)
        return isinstance(getattr(mapping, name), str)

    def id_key(self) -> GlanceKey | None:
        """The key that ids stand under, if it can be told by bytes."""
        ids = self.reader.mapping.ids
        return make_key(ids[0]) if len(ids) == 1 else None

    def names(self) -> list[str]:
        """The names by which lines are looked up."""
        return list(self._named())

    def names_of(self, row: Row) -> dict[str, str | None]:
        """The names that a row has."""
        return {name: find([row])[0] for name, find in self._named().items()}

    def _named(self) -> Mapping[str, Callable[[Sequence[Row]], Sequence[str | None]]]:
        mapping, reader = self.reader.mapping, self.reader
        named = {
            "agent": (mapping.agent, reader.agents),
            "target": (mapping.target, reader.targets),
            "part_of": (mapping.part_of, reader.wholes),
            "parent": (mapping.parents, reader.parents),
        }
        return {name: find for name, (column, find) in named.items() if column}

    def _related(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        if not self.reader.mapping.relations:
            return []
        return [tuple(each.id for each in self.reader.relations(row)) for row in rows]


def _kept_keys(mapping: Map) -> Iterable[str]:
    """The keys of an object that an index of it needs: as they are written, and what a path begins with."""
    named = mapping.columns()
    for name in ("time", "id", "agent", "target", "part_of", "parent", "relations"):
        for key in named.get(name, ()):
            yield key
            yield key.partition(".")[0]


def _is_text(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeError:
        return False
    return True
