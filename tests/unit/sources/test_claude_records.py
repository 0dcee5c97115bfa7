"""Any lines at all: each is told, silent or kept, and the counts add up."""

import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sources.claude_case import MAIN, OTHER, START_NS, uuid
from whence.errors import CorruptError
from whence.event import format_time
from whence.query import Query, matches
from whence.sources.claude import ClaudeSource
from whence.sources.claude.files import Folder
from whence.sources.claude.payloads import describe_call
from whence.sources.claude.records import decode_record, split_record, time_of
from whence.sources.claude.transcript import read_transcript
from whence.sources.source import by_time

scalars = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
uuids = st.integers(1, 6).map(uuid) | st.text(max_size=4) | anything
times = st.integers(0, 50).map(
    lambda tenth: format_time(START_NS + tenth * 10**8)[:23] + "Z"
) | st.sampled_from(["1999-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2026-11-18", "x"])
calls = st.sampled_from(["t1", "t2", ""])
blocks = st.one_of(
    anything,
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=5) | anything}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": st.text(max_size=5)}),
    st.fixed_dictionaries(
        {
            "type": st.just("tool_use"),
            "id": calls,
            "name": st.sampled_from(["Task", "Bash", 5]),
            "input": anything | st.fixed_dictionaries({"prompt": st.sampled_from(["a", "b"])}),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("tool_result"), "tool_use_id": calls, "content": anything},
        optional={"is_error": st.booleans()},
    ),
)
messages = anything | st.fixed_dictionaries(
    {"content": st.sampled_from(["a", "b"]) | st.lists(blocks, max_size=3)},
    optional={"id": st.sampled_from(["m", "n"]), "usage": anything | st.just({"output_tokens": 7})},
)
kinds = st.sampled_from(
    ["user", "assistant", "system", "summary", "progress", "attachment", "mode", "new", 5]
)
records = st.fixed_dictionaries(
    {"type": kinds},
    optional={
        "uuid": uuids,
        "parentUuid": uuids,
        "timestamp": times | anything,
        "message": messages,
        "summary": st.text(max_size=5),
        "isSidechain": st.booleans(),
        "isMeta": st.booleans(),
        "level": st.sampled_from(["error", "info"]),
        "data": anything
        | st.just({"type": "hook_progress", "agentId": "a", "parentToolUseID": "t1"}),
        "toolUseResult": anything | st.just({"agentId": "x"}),
        "sessionId": anything,
    },
)
lines = (records | anything).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30)


def write(path: Path, texts: list[bytes]) -> int:
    """Write the lines, without line ends inside them; returns how many are not empty."""
    cleaned = [text.replace(b"\n", b" ") for text in texts]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(text + b"\n" for text in cleaned))
    return sum(bool(text.strip()) for text in cleaned)


@given(st.lists(lines, max_size=12), st.lists(lines, max_size=6))
def test_any_lines_are_told_silent_or_kept(main: list[bytes], side: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        project = Path(name) / "project"
        count = write(project / f"{MAIN}.jsonl", main)
        count += write(project / MAIN / "subagents" / "agent-x.jsonl", side)
        source = ClaudeSource(project, "claude")
        folder = Folder(project)
        files, _ = folder.look()
        held = [read_transcript(file, folder.lines(file)) for file in files.values()]
        folder.close()

        events = list(source.events())
        health = source.health()

        assert sum(each.lines for each in held) == count
        for each in held:
            parts = each.told + each.added + each.silent + each.repeated + len(each.problems)
            assert parts == each.lines
            assert len({row.id for row in each.rows}) == len(each.rows)
        assert events == sorted(events, key=by_time)
        assert list(source.events(newest_first=True)) == events[::-1]
        assert (health.events, health.problem) == (len(events), "")
        assert health.not_understood == len(list(source.raw()))
        for event in events:
            msgspec.json.decode(event.payload)
            found = source.event(event.id)
            assert found is not None
            assert found.id == event.id
            for query in (Query(parent=event.id), Query(agent=event.agent, type=event.type)):
                wanted = [other for other in events if matches(query, other)]
                assert list(source.events(query)) == wanted
            for tie in source.causes(event):
                assert event.id in [back.event.id for back in source.effects(tie.event)]
        source.close()


@given(st.lists(records, max_size=6))
def test_a_copy_of_a_session_adds_nothing_but_its_start(told: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        timed = [
            {**record, "uuid": uuid(number), "timestamp": format_time(START_NS + number * 10**9)}
            for number, record in enumerate(told, start=1)
        ]
        project = Path(name) / "project"
        write(project / f"{MAIN}.jsonl", [json.dumps(each).encode() for each in timed])
        source = ClaudeSource(project, "claude")
        alone = [event.id for event in source.events() if event.type != "start"]
        copies = [{**each, "forkedFrom": {"sessionId": MAIN}} for each in timed]
        write(project / f"{OTHER}.jsonl", [json.dumps(each).encode() for each in copies])

        both = [event for event in source.events() if event.type != "start"]

        assert [event.id for event in both] == alone
        assert {event.target for event in both} <= {MAIN}
        source.close()


@given(anything)
def test_any_value_can_be_what_a_tool_is_given(value: Any) -> None:
    data = describe_call({"name": value, "input": value})

    assert len(msgspec.json.encode(data)) < 60_000


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_corrupt(raw: bytes) -> None:
    try:
        pieces, results = split_record(decode_record(raw))
    except CorruptError:
        return

    assert len(pieces) + len(results) < 60


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-18T11:06:40.123Z", "2026-11-18T11:06:40.123000000Z"),
        ("2026-11-18T22:06:40+11:00", "2026-11-18T11:06:40.000000000Z"),
        ("2026-11-18T11:06:40", "2026-11-18T11:06:40.000000000Z"),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_or_left(text: str, wanted: str | None) -> None:
    time_ns = time_of({"timestamp": text})

    assert (None if time_ns is None else format_time(time_ns)) == wanted
