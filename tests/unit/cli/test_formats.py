"""Answers for programs and documents."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from whence.ask.timeline import TimelineRow
from whence.cli.formats import (
    Graph,
    dot_digraph,
    format_document,
    format_event,
    format_pretty,
    graph_of_rows,
    markdown_list,
    markdown_table,
    mermaid_flowchart,
    mermaid_sequence,
)
from whence.event import Event

_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_HARMFUL = set("\x1b\x7f\x9b\u202e\u2028\n")


def _event(id: str = "e1", *, payload: bytes = b"{}", **fields: Any) -> Event:
    return Event(
        id=id, time="2025-10-22T14:00:00.000000000Z", primitive="ops", type="t", w="w", n=1,
        salt="s", payload=msgspec.Raw(payload), **fields,
    )  # fmt: skip


@given(value=_JSON, text=_TEXT)
def test_an_event_is_exactly_what_was_recorded_and_harms_no_terminal(value: Any, text: str) -> None:
    payload = json.dumps(value, ensure_ascii=False).encode()
    line = format_event(_event(payload=payload), text=text)

    assert json.loads(line)["data"] == value
    assert json.loads(line)["text"] == text
    assert not _HARMFUL & set(line)


def test_numbers_come_out_digit_for_digit() -> None:
    raw = b'{"big":123456789012345678901234567890,"long":0.1000,"huge":1e999}'

    assert raw.decode() in format_event(_event(payload=raw))


def test_an_event_without_payload_has_no_data() -> None:
    event = msgspec.structs.replace(_event(), payload=msgspec.Raw(b""), salt=None, commit="c")

    assert "data" not in json.loads(format_event(event))


@given(keys=st.dictionaries(_TEXT, _JSON, max_size=3), items=st.lists(_JSON, max_size=3))
def test_a_document_is_json_as_a_whole(keys: dict[str, Any], items: list[Any]) -> None:
    keys.pop("events", None)
    lines = format_document(keys, "events", map(json.dumps, items))

    assert json.loads("\n".join(lines)) == {**keys, "events": items}


def test_lone_surrogates_can_be_written() -> None:
    assert format_pretty({"a": "\ud800"}).encode() == b'{\n  "a": "\\ud800"\n}'


def test_markdown_shows_text_as_it_is() -> None:
    lines = list(markdown_table("a | b", [TimelineRow(_event(agent="*me*"), "<b>`x`|y & z</b>")]))

    assert lines == [
        r"### a \| b",
        "",
        "| Time (UTC) | Primitive | Agent | What happened |",
        "| --- | --- | --- | --- |",
        r"| 2025-10-22 14:00:00 | ops | \*me\* | &lt;b>\`x\`\|y &amp; z&lt;/b> |",
    ]
    assert list(markdown_list("t", [(0, "a"), (1, "b")]))[2:] == ["- a", "  - b"]


def test_mermaid_text_is_never_syntax() -> None:
    rows = [TimelineRow(_event(agent="end; a", target="#b"), 'say "x"; <y>')]

    assert list(mermaid_sequence(rows)) == [
        "sequenceDiagram",
        "    participant p0 as end#59; a",
        "    participant p1 as #35;b",
        "    p0->>p1: say #34;x#34;#59; #60;y#62;",
    ]
    assert list(mermaid_flowchart(Graph(labels=['"a"', "b"], edges=[(0, 1)]))) == [
        "flowchart TD",
        '    n0["#34;a#34;"]',
        '    n1["b"]',
        "    n0 --> n1",
    ]


def test_graphviz_text_is_never_syntax() -> None:
    assert list(dot_digraph('a "b" \\', Graph(labels=['c"', "d\n"], edges=[(0, 1)]))) == [
        r'digraph "a \"b\" \\" {',
        "    rankdir=LR;",
        "    node [shape=box];",
        r'    n0 [label="c\""];',
        '    n1 [label="d⏎"];',
        "    n0 -> n1;",
        "}",
    ]


def test_where_only_ascii_is_drawn_documents_say_the_rest_in_their_own_codes() -> None:
    """What reads the document shows what was recorded; no stray escapes stand in it."""
    text = "é → 日\U0001f389 & \ud800"
    rows = [TimelineRow(_event(agent="ö"), text)]
    graph = Graph(labels=[text, "x" * 100], edges=[(0, 1)], dotted={(0, 1): "ü"})

    assert list(markdown_list(text, [(0, "…")], ascii=True)) == [
        r"### &#233; -> &#26085;&#127881; &amp; \\ud800", "", "- ...",
    ]  # fmt: skip
    assert list(markdown_table("t", rows, ascii=True))[-1] == (
        r"| 2025-10-22 14:00:00 | ops | &#246; | &#233; -> &#26085;&#127881; &amp; \\ud800 |"
    )
    assert list(mermaid_sequence(rows, ascii=True)) == [
        "sequenceDiagram",
        "    participant p0 as #246;",
        "    p0->>p0: #233; -#62; #26085;#127881; #38; #92;ud800",
    ]
    assert list(mermaid_flowchart(graph, ascii=True)) == [
        "flowchart TD",
        '    n0["#233; -#62; #26085;#127881; #38; #92;ud800"]',
        f'    n1["{"x" * 57}..."]',
        '    n0 -. "#252;" .-> n1',
    ]
    assert list(dot_digraph("ä & b", graph, ascii=True)) == [
        'digraph "&#228; &amp; b" {',
        "    rankdir=LR;",
        "    node [shape=box];",
        r'    n0 [label="&#233; -> &#26085;&#127881; &amp; \\ud800"];',
        f'    n1 [label="{"x" * 57}..."];',
        '    n0 -> n1 [style=dotted, label="&#252;"];',
        "}",
    ]


def test_rows_whose_causes_are_rows_are_connected() -> None:
    rows = [
        TimelineRow(_event("a"), "first"),
        TimelineRow(_event("b", parent="a"), "second"),
        TimelineRow(_event("c", parent="elsewhere", links=("a", "b")), "third"),
    ]

    assert graph_of_rows(rows).edges == [(0, 1), (0, 2), (1, 2)]
