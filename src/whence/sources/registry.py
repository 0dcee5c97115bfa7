"""Which sources there are: declared in `whence.toml`, or given as `kind:path`.

A kind's module is loaded when a source of it is opened.
"""

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec

from whence.sources.source import Source

KINDS: dict[str, str] = {
    "space-os": "whence.sources.space",
    "sqlite": "whence.sources.sqlite",
    "jsonl": "whence.sources.jsonl",
    "git": "whence.sources.git",
    "claude-code": "whence.sources.claude",
}
"""Each kind's module; it has a function `open_source`, which is an `OpenSource`."""


class OpenSource(Protocol):
    """Makes a source of one kind."""

    def __call__(self, path: Path, name: str, options: Mapping[str, Any]) -> Source:
        """Make a source of what stands at `path`, with the other keys of its table.

        Touches nothing but `options`: what is wrong with them is a ValueError that names the key.
        """
        ...


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A source as somebody declared it. `given` is its path in their words."""

    kind: str
    path: Path
    given: str
    name: str | None = None
    options: dict[str, Any] = {}


def parse_source(text: str, folder: Path) -> Declared:
    """Read `kind:path`, a path relative to `folder`; ValueError says what is wrong."""
    kind, colon, path = text.partition(":")
    if not colon or not path:
        raise ValueError(f"source is {text!r}, want KIND:PATH with one of {', '.join(KINDS)}")
    return Declared(kind=_check_kind(kind), path=_resolve(path, folder), given=path)


def parse_tables(tables: object, folder: Path) -> list[Declared]:
    """Read the `[[source]]` tables of a `whence.toml` that stands in `folder`."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError("source is not a list of tables, want [[source]]")
    declared: list[Declared] = []
    for number, table in enumerate(tables, start=1):
        options = dict(table)
        kind, path = options.pop("kind", None), options.pop("path", None)
        for key, value in (("kind", kind), ("path", path)):
            if not isinstance(value, str) or not value:
                raise ValueError(f"[[source]] number {number} has no `{key}`")
        name = options.pop("name", None)
        if not isinstance(name, str | None):
            raise ValueError(f"[[source]] number {number}: name is no text")
        declared.append(
            Declared(
                kind=_check_kind(kind), path=_resolve(path, folder), given=path, name=name,
                options=options,
            )
        )  # fmt: skip
    return declared


def open_all(declared: Iterable[Declared]) -> list[Source]:
    """Make the sources, each with a name of its own; nothing of theirs is opened yet.

    Where nobody named it, the only source of its kind is called by its kind, and others by their path too.
    """
    listed = list(declared)
    kinds = Counter(each.kind for each in listed if each.name is None)
    sources: list[Source] = []
    taken: Counter[str] = Counter()
    for each in listed:
        name = each.name or (each.kind if kinds[each.kind] == 1 else f"{each.kind}:{each.given}")
        taken[name] += 1
        if taken[name] > 1:
            name = f"{name} ({taken[name]})"
        open_source = cast("OpenSource", importlib.import_module(KINDS[each.kind]).open_source)
        sources.append(open_source(each.path, name, each.options))
    return sources


def _check_kind(kind: str) -> str:
    if kind in KINDS:
        return kind
    near = get_close_matches(kind, KINDS, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"source kind {kind!r} is unknown, want one of {', '.join(KINDS)}{hint}")


def _resolve(path: str, folder: Path) -> Path:
    return folder / Path(path).expanduser()
