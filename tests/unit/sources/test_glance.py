"""What is told of lines by their bytes is what decoding them tells, however they are written."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.query import Query, matches
from whence.sources import jsonl, lines
from whence.sources.glance import make_key, make_needle
from whence.sources.jsonl import JsonlSource, open_source
from whence.sources.source import SourceEvent

START = 1_795_000_000
KEYS: dict[str, Any] = {
    "time": "at",
    "unit": "s",
    "agent": "who",
    "target": "on",
    "part_of": "of",
    "parent": "up",
    "relations": {"after": "after"},
}

_WORDS = [
    "a",
    "#a",
    "ab",
    "b/c",
    'q"',
    "ü",
    "😀",
    "?",
    "7",
    "true",
    "NaN",
    "back\\slash",
    "\n",
    "\x7f",
]
_OTHERS = [7, -0.0, True, None, 1.5, ["a"], {"id": "a"}, "\ud800", "\ufffd", ""]
_BARE = ["NaN", "-0", "1e999", "-Infinity", "007", '"\\q"', "9" * 30]


def _escape(text: str, which: list[bool]) -> str:
    """Write some characters of a text as their numbers, or with the escapes that JSON has for them."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    if len(written) != len(text):
        return json.dumps(text)[1:-1]
    letters = zip(text, which * len(text), strict=False)
    return "".join(
        each if not is_hidden else "\\/" if each == "/" else json.dumps(each)[1:-1]
        if not each.isascii() else f"\\u{ord(each):04x}"
        for each, is_hidden in letters
    )  # fmt: skip


_TEXTS = st.builds(
    lambda text, which: f'"{_escape(text, which)}"',
    st.sampled_from(_WORDS),
    st.lists(st.booleans(), min_size=1, max_size=3) | st.just([False]),
)
_VALUES = _TEXTS | st.sampled_from([json.dumps(each) for each in _OTHERS]) | st.sampled_from(_BARE)


@st.composite
def _rows(draw: st.DrawFn) -> bytes:
    """A line as any writer may write it: keys escaped, twice, or below others."""
    keys = ["who", "on", "of", "up", "after", "id", "data"]
    parts = [f'"at": {draw(st.integers(START, START + 2))}']
    for name in draw(st.lists(st.sampled_from(keys), max_size=6)):
        key = f"\\u{ord(name[0]):04x}{name[1:]}" if draw(st.integers(0, 9)) == 0 else name
        value = draw(_VALUES)
        space = draw(st.sampled_from(["", " "]))
        parts.append(f'"{key}"{space}:{space}{value}')
    text = "{" + ",".join(parts) + "}"
    line = text.encode(errors="surrogatepass")
    broken = draw(st.integers(0, 19))
    return line[:-1] if broken == 0 else line.replace(b"a", b"\xff") if broken == 1 else line


def _ask(path: Path, query: Query, **keys: Any) -> list[SourceEvent]:
    """What a new source answers to its first question, oldest first and newest first."""
    first, second = (open_source(path, "steps", {**KEYS, **keys}) for _ in range(2))
    events = list(first.events(query))
    assert list(second.events(query, newest_first=True)) == events[::-1]
    return events


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(_rows(), max_size=8), st.booleans(), st.booleans(), st.integers(1, 300))
def test_the_first_question_is_answered_as_if_all_were_known(
    tmp_path: Path, written: list[bytes], has_ids: bool, is_ended: bool, size: int
) -> None:
    for name in ("1.jsonl", "2.jsonl"):
        part = written[: len(written) // 2] if name[0] == "1" else written[len(written) // 2 :]
        (tmp_path / name).write_bytes(b"\n".join(part) + b"\n" * is_ended)
    keys = {"id": "id"} if has_ids else {}
    known = open_source(tmp_path, "steps", {**KEYS, **keys})
    events = list(known.events())
    names = {name for each in events for name in (each.agent, each.target, each.parent) if name}

    with patch.object(jsonl, "SIFTED_MIN", 0), patch.object(lines, "BLOCK", size):
        for name in [*names, *_WORDS]:
            for query in (Query(agent=name), Query(target=name, since=0), Query(parent=name)):
                wanted = [each for each in events if matches(query, each)]
                assert _ask(tmp_path, query, **keys) == wanted, query
            new = open_source(tmp_path, "steps", {**KEYS, **keys})
            assert new.has_name("target", name) == known.has_name("target", name)
            assert new.below(name) == known.below(name)
        for each in events:
            new = open_source(tmp_path, "steps", {**KEYS, **keys})
            assert new.event(each.id) == each
            assert new.effects(each) == known.effects(each)


def _is_sifted(source: JsonlSource) -> bool:
    return bool(source._sifted) and not source._files


def test_a_first_question_about_a_name_reads_only_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    rows = [
        {"at": START + n, "id": f"e{n}", "on": f"t{n % 50}", "up": f"e{n - 50}"} for n in range(500)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with patch.object(jsonl, "SIFTED_MIN", 0):
        source = open_source(path, "steps", {**KEYS, "id": "id"})
        assert isinstance(source, JsonlSource)

        assert [each.id for each in source.events(Query(target="t7"))][:2] == ["e7", "e57"]
        assert source.has_name("target", "t7")
        assert source.event("e57") is not None
        assert _is_sifted(source)
        with path.open("a") as file:
            file.write(json.dumps({"at": START, "id": "new", "on": "t7"}) + "\n")
        assert len(list(source.events(Query(target="t7")))) == 11

    assert not _is_sifted(source)


def test_a_file_that_cannot_be_read_takes_only_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").symlink_to(tmp_path / "nothing")
    (tmp_path / "2.jsonl").mkdir()
    other = tmp_path / "3.jsonl"
    other.write_text(f'{{"at":{START},"on":"a"}}\n')

    with patch.object(jsonl, "SIFTED_MIN", 0):
        source = open_source(tmp_path, "steps", KEYS)
        assert [each.id for each in source.events(Query(target="a"))] == ["3.jsonl:1"]
        source.close()
        (tmp_path / "1.jsonl").unlink()
        (tmp_path / "2.jsonl").rmdir()
        assert source.has_name("target", "a")
        other.unlink()
        assert not source.has_name("target", "a")


@pytest.mark.parametrize("second", ['"x"', '"\\u0078"'])
def test_an_id_that_other_lines_have_too_is_numbered_as_ever(tmp_path: Path, second: str) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_text(
        f'{{"at":{START},"id":{second},"on":"a"}}\n{{"at":{START},"id":"x","on":"b"}}\n'
    )

    with patch.object(jsonl, "SIFTED_MIN", 0):
        assert [each.id for each in _ask(path, Query(target="b"), id="id")] == ["x#2"]


@pytest.mark.parametrize(
    ("name", "line", "is_there"),
    [
        ("task-1", b'{"a":"task-1"}', True),
        ("task-1", b'{"a":"#task-1"}', True),
        ("task-1", b'{"a":"task-12"}', False),
        ("task-1", b'{"a":"t\\u0061sk-1"}', True),
        ("task-1", b'{"a":"\\u00e4\\n"}', False),
        ("a/b", b'{"a":"a\\/b"}', True),
        ("12", b'{"a":12}', True),
        ("ü", b'{"a":"\\u00fc"}', True),
        ("?", b'{"a":"\\ud800"}', True),
    ],
)
def test_a_needle_finds_every_way_to_write_a_name(name: str, line: bytes, is_there: bool) -> None:
    needle = make_needle(name)
    assert needle is not None
    block = b"{}\n" + line + b"\n{}\n"

    assert list(needle.lines(block)) == ([(3, len(block) - 3)] if is_there else [])


def test_names_that_no_line_has_have_no_needle() -> None:
    assert make_needle("") is make_needle("\ud800") is None


def test_keys_tell_their_values_only_if_all_are_plain() -> None:
    key = make_key("id")
    assert key is not None

    assert key.values(b'{"id":"a","x":{"id" : -5}}\n{"ids":1}\n') == [b'"a"', b"-5"]
    for line in (b'{"id":null}', b'{"id":"a\\n"}', b'{"\\u0069d":"a"}', b'{"id":{}}'):
        assert key.values(line) is None
    assert make_key("by.id") is make_key("(target)") is None
