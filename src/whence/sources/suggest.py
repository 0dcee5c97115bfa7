"""Proposes a mapping for a store by looking at it: TOML that loads as it is, with comments that say why.

Names are looked at first, then a sample of values. What is proposed is a guess, and every guess is told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from whence.errors import CorruptError, StoreError
from whence.sources.builtin import recognise
from whence.sources.database import Database, is_database, open_database
from whence.sources.lines import decode_line, open_lines, read_lines
from whence.sources.schema import quote, read_table, table_names
from whence.sources.times import Clock, Unit

SAMPLE = 200
"""So many rows are looked at."""

_PLAUSIBLE_NS = (631_152_000 * 10**9, 4_102_444_800 * 10**9)
"""1990 to 2100: a number that would be elsewhen in a unit is not in that unit."""

_UNITS: tuple[Unit, ...] = ("s", "ms", "us", "ns", "julian")
_TIME_WORDS = ("timestamp", "created_at", "time", "ts", "datetime", "date", "created", "at", "when")
_AGENT_WORDS = ("agent_id", "agent", "agent_name", "assigned_to", "author", "user_id", "user",
                "username", "actor", "who", "sender", "identity", "owner", "worker")  # fmt: skip
_TARGET_WORDS = ("target", "target_id", "task_id", "task", "channel_id", "channel", "object_id",
                 "subject", "topic", "item", "room", "key", "name")  # fmt: skip
_PARENT_WORDS = ("parent_id", "parent", "parent_event_id", "parent_span_id", "caused_by",
                 "reply_to", "in_reply_to")  # fmt: skip
_TYPE_WORDS = ("event_type", "type", "kind", "action", "event", "operation", "level")
_STATUS_WORDS = ("status", "state", "outcome", "result")
_STATUSES = {"done": "success", "ok": "success", "complete": "success", "completed": "success",
             "succeeded": "success", "failed": "error", "failure": "error",
             "fail": "error"}  # fmt: skip
_DURATIONS = {"duration_ns": "ns", "duration_us": "us", "duration_ms": "ms", "elapsed_ms": "ms",
              "latency_ms": "ms", "duration_s": "s", "elapsed_s": "s"}  # fmt: skip
_ID_WORDS = ("id", "event_id", "uuid", "guid", "message_id", "span_id")


class _Found(NamedTuple):
    """A key of a mapping, its value, and why."""

    key: str
    value: Any
    why: str


class _Sample(NamedTuple):
    """What is known of rows of one kind: their columns, and some values of each."""

    columns: Sequence[str]
    values: Mapping[str, Sequence[Any]]


def suggest(path: Path) -> str:
    """Propose a mapping for the database or file of JSON lines at `path`, as a `[[source]]` table.

    Raises:
        StoreError, CorruptError: it cannot be read, is neither of the two, or nothing in it says when something
            happened.
    """
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name a database or a file of JSON lines in it")
    if is_database(path):
        with open_database(path) as database:
            return _suggest_database(database, path)
    return _suggest_lines(path)


def _suggest_database(database: Database, path: Path) -> str:
    proposed: dict[str, list[_Found] | str] = {}
    for name, kind in table_names(database).items():
        try:
            proposed[name] = _map_table(database, name, kind)
        except CorruptError as error:
            proposed[name] = f"since {error}"
    mapped = [name for name, found in proposed.items() if not isinstance(found, str)]
    if not mapped:
        raise CorruptError(f"{path}: no table has a column that says when")
    parts = ["\n".join(_begin("sqlite", path))]
    parts += [
        "\n".join(["[[source.map]]", *_lay_out(_keep_mapped(found, mapped))])
        for found in proposed.values()
        if not isinstance(found, str)
    ]
    reasons = [found for found in proposed.values() if isinstance(found, str)]
    for reason in dict.fromkeys(reasons):
        left = ", ".join(name for name, found in proposed.items() if found == reason)
        parts.append(f"# Left out, {_one_line(reason)}: {_one_line(left)}")
    return "\n\n".join(parts) + "\n"


def _keep_mapped(found: Iterable[_Found], mapped: Sequence[str]) -> Iterator[_Found]:
    """Leave out relations to tables that tell of no events."""
    for each in found:
        if each.key == "relations":
            folded = {name.casefold() for name in mapped}
            kept = {c: why for c, why in each.value.items() if why["table"].casefold() in folded}
            if kept:
                yield each._replace(value=kept)
        else:
            yield each


def _suggest_lines(path: Path) -> str:
    with open_lines(path) as file:
        lines = list(islice(read_lines(file, path), SAMPLE))
    rows = [row for line in lines if isinstance(row := decode_line(line.data), dict)]
    if not rows:
        what = "is neither a SQLite database nor JSON lines" if lines else "is empty"
        raise CorruptError(f"{path} {what}: nothing can be proposed")
    head = _begin("jsonl", path)
    form = recognise(rows)
    if form is not None:
        known = _Found("format", form, "built in: its lines have those keys")
        return "\n".join([*head, *_lay_out([known])]) + "\n"
    flat = [dict(_flatten(row)) for row in rows]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    sample = _Sample(columns, {column: [row.get(column) for row in flat] for column in columns})
    found = _map_sample(sample, keys=(), related={})
    if isinstance(found, str):
        raise CorruptError(f"{path} is left out {found}")
    return "\n".join([*head, *_lay_out(found)]) + "\n"


def _begin(kind: str, path: Path) -> list[str]:
    return [
        "# Proposed by looking at names and at some values: check what the comments say.",
        "[[source]]",
        f"kind = {_write(kind)}",
        f"path = {_write(str(path))}",
    ]


def _map_table(database: Database, name: str, kind: str) -> list[_Found] | str:
    table = read_table(database, name, kind)
    order = f" ORDER BY {table.row_name} DESC" if table.row_name else ""
    columns = list(table.columns)
    shown = ", ".join(map(quote, columns))
    rows = list(database.rows(f"SELECT {shown} FROM {quote(name)}{order} LIMIT {SAMPLE}"))
    sample = _Sample(columns, {c: [row[i] for row in rows] for i, c in enumerate(columns)})
    foreign = dict(database.rows('SELECT "from", "table" FROM pragma_foreign_key_list(?)', (name,)))
    found = _map_sample(sample, keys=table.keys, related=foreign, table=name)
    if isinstance(found, str):
        return found
    has_id = any(each.key == "id" for each in found)
    if not has_id and not table.keys and table.row_name is None:
        return "since nothing tells their rows apart"
    why = f"{kind}; events are of the primitive {name!r} unless `primitive` says otherwise"
    return [_Found("table", name, why), *found]


def _map_sample(
    sample: _Sample, *, keys: Sequence[str], related: Mapping[str, str], table: str = ""
) -> list[_Found] | str:
    """What a mapping of these rows could say, or why there is none."""
    when = _find_time(sample)
    if when is None:
        return "since no column says when"
    column, unit, why = when
    found = [_Found("time", column, why)]
    taken = {column}
    if unit == "iso":
        found += _find_zone(sample.values[column])
    else:
        found.append(_Found("unit", unit, "in this unit its numbers are times of our days"))

    def add(key: str, words: Sequence[str], why: str) -> str | None:
        name = _find_word(sample, words, taken)
        if name is not None:
            taken.add(name)
            found.append(_Found(key, name, f"{why}, by its name"))
        return name

    if keys:
        value = keys[0] if len(keys) == 1 else list(keys)
        found.append(_Found("id", value, "the primary key"))
        taken.update(keys)
    else:
        own = _find_word(sample, _ID_WORDS, taken)
        if own is not None and _is_unique(sample.values[own]):
            found.append(_Found("id", own, "no value occurs twice in the sample"))
            taken.add(own)
    _find_parent(sample, related, table, taken, found)
    add("agent", _AGENT_WORDS, "who did it")
    if add("target", _TARGET_WORDS, "what it happened to") is None and len(keys) == 1:
        found.append(_Found("target", keys[0], "each row is taken for a thing of its own"))
    add("type", _TYPE_WORDS, "what happened")
    status = add("status", _STATUS_WORDS, "how it ended")
    if status is not None:
        words = {str(value) for value in sample.values[status] if isinstance(value, str)}
        known = {word: _STATUSES[word] for word in sorted(words) if word in _STATUSES}
        if known:
            found.append(_Found("statuses", known, "words that plainly mean one of ours"))
    for word, each in _DURATIONS.items():
        name = _find_word(sample, (word,), taken)
        if name is not None:
            found.append(_Found("duration", name, "how long it took, by its name"))
            found.append(_Found("duration_unit", each, "by its name"))
            break
    causes = {each.value for each in found if each.key == "parent"}
    others = {c: t for c, t in related.items() if c not in causes and t != table}
    if others and table:
        relations = {c: {"reason": c, "table": t} for c, t in others.items()}
        found.append(_Found("relations", relations, "foreign keys"))
    return found


def _find_time(sample: _Sample) -> tuple[str, Unit, str] | None:
    """The column that most plausibly says when, its unit, and why."""
    fitting: list[tuple[int, str, Unit, str]] = []
    for place, column in enumerate(sample.columns):
        values = [value for value in sample.values[column] if value is not None]
        unit = _find_unit(values)
        rank = _rank(column, _TIME_WORDS)
        if rank is None and _words(column)[-1:] in (["at"], ["time"], ["date"], ["on"], ["ts"]):
            rank = len(_TIME_WORDS) + place
        if unit is None and not values and rank is not None:
            fitting.append((1000 + rank, column, "iso", "its name; there are no values to look at"))
        elif unit is not None and rank is not None:
            fitting.append((rank, column, unit, "its name, and its values are times"))
        elif unit == "iso":
            fitting.append((500 + place, column, unit, "its values are times"))
    if not fitting:
        return None
    _, column, unit, why = min(fitting)
    return column, unit, why


def _find_unit(values: Sequence[Any]) -> Unit | None:
    """The one unit in which nearly all values are times of our days."""
    if not values:
        return None
    if sum(Clock("iso").read(value) is not None for value in values) >= 0.9 * len(values):
        return "iso"
    if any(isinstance(value, str | bool) for value in values):
        return None
    for unit in _UNITS:
        readings = [Clock(unit).read(value) for value in values]
        first, end = _PLAUSIBLE_NS
        plausible = sum(each is not None and first <= each.ns < end for each in readings)
        if plausible >= 0.9 * len(values):
            return unit
    return None


def _find_zone(values: Iterable[Any]) -> Iterator[_Found]:
    readings = [Clock("iso", UTC).read(value) for value in values]
    if any(each is not None and each.is_naive for each in readings):
        yield _Found(
            "zone", "UTC", 'texts name no zone: is it UTC, "local", or a name as "Europe/Berlin"?'
        )


def _find_parent(
    sample: _Sample,
    related: Mapping[str, str],
    table: str,
    taken: set[str],
    found: list[_Found],
) -> None:
    own = [column for column, other in related.items() if other == table and column not in taken]
    name = own[0] if own else _find_word(sample, _PARENT_WORDS, taken)
    if name is not None and name not in taken and (own or name not in related):
        why = "a foreign key to its own table" if own else "by its name"
        found.append(_Found("parent", name, f"the row that caused it, {why}"))
        taken.add(name)


def _find_word(sample: _Sample, words: Sequence[str], taken: Iterable[str]) -> str | None:
    """The column whose name is most like the first of the words."""
    ranked = [
        (rank, place, column)
        for place, column in enumerate(sample.columns)
        if column not in taken and (rank := _rank(column, words)) is not None
    ]
    return min(ranked)[2] if ranked else None


def _rank(column: str, words: Sequence[str]) -> int | None:
    """How early in `words` a column's name stands, its own last part counting a little less."""
    joined = "_".join(_words(column))
    if joined in words:
        return words.index(joined)
    last = "_".join(_words(column.rpartition(".")[2]))
    return len(words) + words.index(last) if "." in column and last in words else None


def _words(name: str) -> list[str]:
    """The words of a name: `createdAt`, `created_at` and `created-at` are two."""
    spaced = "".join(
        f" {c.lower()}" if c.isupper() else c if c.isalnum() or c == "." else " " for c in name
    )
    return spaced.split()


def _is_unique(values: Sequence[Any]) -> bool:
    usable = [value for value in values if isinstance(value, str | int) and value != ""]
    return len(usable) == len(values) and len(set(usable)) == len(usable) > 0


def _flatten(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of an object with those of the objects in it: `data.user.name`."""
    for key, value in row.items():
        if isinstance(value, dict) and before.count(".") < 3:
            yield from _flatten(value, f"{before}{key}.")
        elif not isinstance(value, list | dict):
            yield f"{before}{key}", value


def _lay_out(found: Iterable[_Found]) -> Iterator[str]:
    for key, value, why in found:
        yield f"{key} = {_write(value)}  # {_one_line(why)}"


def _write(value: Any) -> str:
    """A value as TOML. Its texts are written as JSON has them, which TOML takes too."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_write(key)} = {_write(each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_write, value))}]"
    # The one character that JSON lets stand and TOML does not.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
