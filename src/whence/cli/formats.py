r"""Answers for programs and documents: JSON, JSON lines, Markdown, Mermaid, Graphviz.

JSON is exact: reading it gives what was recorded. Characters that could meddle with a terminal
stand in it as `\u` escapes, which mean the same. Keys are only ever added.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from whence.ask.timeline import TimelineRow
from whence.draw.cells import fit, printable
from whence.event import Event, format_time
from whence.query import Query, event_as_json

# What JSON may hold as it is, but a terminal should not see: C1 controls, marks of direction, line
# separators; and lone surrogates, which cannot be written at all.
_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_LABEL_CELLS = 60


def format_document(keys: Mapping[str, Any], name: str, items: Iterable[str]) -> Iterator[str]:
    """Write a document for a program line by line: some keys, then a list of finished items."""
    yield "{"
    for key, value in keys.items():
        yield f"  {dump(key)}: {dump(value)},"
    yield f"  {dump(name)}: ["
    before = ""
    for item in items:
        if before:
            yield f"    {before},"
        before = item
    if before:
        yield f"    {before}"
    yield "  ]"
    yield "}"


def format_event(event: Event, **more: Any) -> str:
    """Write an event as one line of JSON: the keys of its line in the journal, then `more`.

    The payload is not decoded: it comes out digit for digit as it was recorded.
    """
    if event.payload:
        text = _escape(msgspec.json.encode(event).decode())
    else:
        text = dump(event_as_json(event))
    return f"{text[:-1]},{dump(more)[1:]}" if more else text


def dump(value: Any) -> str:
    """Write a value as JSON on one line."""
    return _escape(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def format_pretty(value: Any) -> str:
    """Write a value as JSON over several lines."""
    return _escape(json.dumps(value, ensure_ascii=False, indent=2))


def window_keys(query: Query) -> dict[str, str | None]:
    """The window that an answer covers, half-open; None is open."""
    return {
        "since": None if query.since is None else format_time(query.since),
        "until": None if query.until is None else format_time(query.until),
    }


def markdown_table(
    title: str,
    rows: Iterable[TimelineRow],
    *,
    ascii: bool = False,  # noqa: A002 as the option
) -> Iterator[str]:
    """Lay rows out as a table of Markdown; times are UTC."""
    write = partial(_markdown, ascii=ascii)
    yield f"### {write(title)}"
    yield ""
    yield "| Time (UTC) | Primitive | Agent | What happened |"
    yield "| --- | --- | --- | --- |"
    for row in rows:
        event = row.event
        cells = (event.time[:19].replace("T", " "), event.primitive, event.agent or "", row.text)
        yield f"| {' | '.join(map(write, cells))} |"


def markdown_list(
    title: str,
    items: Iterable[tuple[int, str]],
    *,
    ascii: bool = False,  # noqa: A002 as the option
) -> Iterator[str]:
    """Lay a tree out as a nested list of Markdown; each item has its depth from 0."""
    yield f"### {_markdown(title, ascii=ascii)}"
    yield ""
    for depth, text in items:
        yield f"{'  ' * depth}- {_markdown(text, ascii=ascii)}"


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What led to what: labels, and pairs of their places, cause first; `dotted` ones have a reason."""

    labels: Sequence[str]
    edges: Sequence[tuple[int, int]]
    dotted: Mapping[tuple[int, int], str] = {}


def mermaid_flowchart(graph: Graph, *, ascii: bool = False) -> Iterator[str]:  # noqa: A002 as the option
    """Draw a graph for Mermaid, causes above effects."""
    write = partial(_mermaid, ascii=ascii)
    yield "flowchart TD"
    for place, label in enumerate(graph.labels):
        yield f'    n{place}["{write(label)}"]'
    for edge in graph.edges:
        reason = graph.dotted.get(edge)
        arrow = f'-. "{write(reason)}" .->' if reason else "-->"
        yield f"    n{edge[0]} {arrow} n{edge[1]}"


def mermaid_sequence(rows: Sequence[TimelineRow], *, ascii: bool = False) -> Iterator[str]:  # noqa: A002 as the option
    """Draw rows for Mermaid as messages from who did it to what it was done to."""
    write = partial(_mermaid, ascii=ascii)
    names: dict[str, int] = {}
    for row in rows:
        for name in _ends(row.event):
            names.setdefault(name, len(names))
    yield "sequenceDiagram"
    for name, number in names.items():
        yield f"    participant p{number} as {write(name)}"
    for row in rows:
        doer, done_to = (names[name] for name in _ends(row.event))
        yield f"    p{doer}->>p{done_to}: {write(row.text)}"


def dot_digraph(title: str, graph: Graph, *, ascii: bool = False) -> Iterator[str]:  # noqa: A002 as the option
    """Draw a graph for Graphviz."""
    write = partial(_dot, ascii=ascii)
    yield f"digraph {write(title)} {{"
    yield "    rankdir=LR;"
    yield "    node [shape=box];"
    for place, label in enumerate(graph.labels):
        yield f"    n{place} [label={write(label, cells=_LABEL_CELLS)}];"
    for edge in graph.edges:
        reason = graph.dotted.get(edge)
        look = f" [style=dotted, label={write(reason)}]" if reason else ""
        yield f"    n{edge[0]} -> n{edge[1]}{look};"
    yield "}"


def graph_of_rows(rows: Sequence[TimelineRow]) -> Graph:
    """Connect the rows of a timeline whose causes are rows too."""
    places = {row.event.id: place for place, row in enumerate(rows)}
    edges = [
        (places[cause], place)
        for place, row in enumerate(rows)
        for cause in (row.event.parent, *row.event.links)
        if cause in places
    ]
    return Graph(labels=[f"{row.event.primitive}: {row.text}" for row in rows], edges=edges)


def _ends(event: Event) -> tuple[str, str]:
    doer = event.agent or event.primitive
    return doer, event.target or doer


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _markdown(text: str, *, ascii: bool) -> str:  # noqa: A002 as the option
    shown = re.sub(r"([\\|`*_\[\]])", r"\\\1", _shown(text, ascii=ascii))
    return _coded(shown.replace("&", "&amp;").replace("<", "&lt;"), "&#{};", ascii=ascii)


def _mermaid(text: str, *, ascii: bool) -> str:  # noqa: A002 as the option
    """Write text so that nothing in it is syntax: as character codes, which Mermaid shows plain."""
    shown = _shown(text, _LABEL_CELLS, ascii=ascii)
    plain = re.sub(r'[#;"<>&{}`\\%]', lambda found: f"#{ord(found[0])};", shown)
    return _coded(plain, "#{};", ascii=ascii)


def _dot(text: str, cells: int | None = None, *, ascii: bool) -> str:  # noqa: A002 as the option
    shown = _shown(text, cells, ascii=ascii)
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{_coded(escaped, "&#{};", ascii=ascii)}"'


def _shown(text: str, cells: int | None = None, *, ascii: bool) -> str:  # noqa: A002 as the option
    """Make recorded text harmless and cut it; where only ASCII is drawn, signs that look like it become it."""
    shown = printable(text)
    if ascii:
        shown = _NOT_ASCII.sub(_plain_look, shown)
    return shown if cells is None else fit(shown, cells, "..." if ascii else "…")


def _plain_look(found: re.Match[str]) -> str:
    look = printable(found[0], ascii=True)
    return found[0] if look.startswith("\\") else look


def _coded(text: str, code: str, *, ascii: bool) -> str:  # noqa: A002 as the option
    """Write what is not ASCII as character codes, which the format's own readers show as what they are."""
    return _NOT_ASCII.sub(lambda found: code.format(ord(found[0])), text) if ascii else text
