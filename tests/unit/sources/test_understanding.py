"""Many lines read at once: what reading each in full gives, or nothing."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.sources import lines
from whence.sources.builtin import FORMATS, Format, keep
from whence.sources.jsonl import JsonlSource, find_key, open_source
from whence.sources.lines import split_lines
from whence.sources.mapping import decode_maps
from whence.sources.rows import Reader
from whence.sources.understanding import Understanding

START = 1_795_000_000
_KEYS: dict[str, Any] = {
    "time": "at",
    "unit": "s",
    "agent": "by.name",
    "target": "on.0",
    "part_of": "of",
    "parent": ["up", "by.id"],
    "relations": {"after": "after"},
}

_WORDS = st.sampled_from(["a", "#a", "b", "", "ü", 1, True, None])
_OBJECTS = st.fixed_dictionaries(
    {"at": st.integers(START, START + 3), "id": st.sampled_from(["x", "y", "ü"]) | st.integers(0, 3)},
    optional={
        "by": st.fixed_dictionaries({}, optional={"name": _WORDS, "id": _WORDS}) | _WORDS,
        "by.name": _WORDS,
        "on": st.lists(_WORDS, max_size=2) | _WORDS,
        "of": _WORDS,
        "up": _WORDS,
        "after": st.lists(_WORDS, max_size=2) | _WORDS,
        "rest": st.lists(_WORDS, max_size=2),
    },
)  # fmt: skip
_PLAIN = st.builds(
    lambda row, is_ascii: json.dumps(row, ensure_ascii=is_ascii).encode(), _OBJECTS, st.booleans()
)
_ODD = st.sampled_from(
    [b"", b" ", b"{}", b"[]", b'{"at":', b'1795000000}', b'{"at":1795000000}{"at":1795000001}',
     b'{"at":1795000000,"id":"z","at":1}', b'{"\\u0061t":1795000000,"id":"z"}', b'{"at":"x","id":1}',
     b'{"at":1795000000,"id":"z","rest":1e999}', b'{"at":1795000000,"id":"z","rest":"\xff"}',
     b'{"at":1795000000,"id":"z","rest":"\\ud800"}', b'{"at":1795000000,"id":"z","rest":NaN}',
     b'{"at":1795000000,"id":"z","rest":"\\q"}', b'{"at":1795000000,"id":"z"}\r']
)  # fmt: skip
_BLOCKS = st.lists(_PLAIN) | st.lists(_PLAIN | _ODD)


def understand(form: Format, **keys: Any) -> Understanding:
    [mapping] = decode_maps({**form.options, **keys}, "test")
    reader = Reader(mapping, source="test", primitive="test", getter=find_key, now_ns=0)
    return Understanding(form, reader)


@given(_BLOCKS, st.sampled_from([{}, {"id": "id"}, {"id": ["id", "at"]}]))
def test_many_lines_are_read_as_each_is(written: list[bytes], ids: dict[str, Any]) -> None:
    understanding = understand(Format(frozenset(), {}, keep), **_KEYS, **ids)
    block = b"".join(line + b"\n" for line in written)

    skimmed = understanding.skim(block) if block else None

    if skimmed is not None:
        each = list(split_lines(block, 0))
        read = [understanding.read(line, "") for line in each]
        rows = [found[0] for found in read if not isinstance(found, str)]
        keys = [found[1] for found in read if not isinstance(found, str)]
        assert len(keys) == len(each)
        assert skimmed.sizes == [line.end - line.offset for line in each]
        assert skimmed.times == [key.ns for key in keys]
        assert skimmed.ids == ([key.id for key in keys] if ids else [])
        reader = understanding.reader
        for name, find in (
            ("agent", reader.agent),
            ("target", reader.target),
            ("part_of", reader.part_of),
            ("parent", reader.parent),
        ):
            assert skimmed.names[name] == list(map(find, rows))
        assert skimmed.relations == [
            tuple(relation.id for relation in reader.relations(row)) for row in rows
        ]


@given(st.lists(_PLAIN, min_size=1))
def test_plain_lines_are_read_at_once(written: list[bytes]) -> None:
    understanding = understand(Format(frozenset(), {}, keep), **_KEYS, id="id")

    assert understanding.skim(b"".join(line + b"\n" for line in written)) is not None


@pytest.mark.parametrize("name", FORMATS)
def test_built_in_formats_look_at_no_other_keys_than_they_say(name: str) -> None:
    form = FORMATS[name]
    seen: set[str] = set()

    class Watched(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            seen.add(key)
            return super().get(key, default)

    form.prepare(Watched(hrm_layer="alt", operation="alt.x", data={"key": 1}, subject={"id": 1}))

    assert seen == set(form.looks_at)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_BLOCKS, st.integers(1, 200), st.booleans(), st.booleans())
def test_a_file_tells_the_same_whatever_is_read_at_once(
    tmp_path: Path, written: list[bytes], size: int, has_ids: bool, is_ended: bool
) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b"\n".join(written) + b"\n" * is_ended)

    def tell() -> Any:
        source = open_source(path, "steps", {**_KEYS, **({"id": "id"} if has_ids else {})})
        assert isinstance(source, JsonlSource)
        events = list(source.events())
        effects = [source.effects(event) for event in events]
        return events, effects, list(source.raw()), source.health()

    with patch.object(Understanding, "skim", lambda *_: None):
        wanted = tell()
    with patch.object(lines, "BLOCK", size):
        assert tell() == wanted
