"""Files of JSON lines read by a mapping: whatever they hold, and while they are written."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.errors import CorruptError, StoreError
from whence.query import Query, event_as_json, matches
from whence.sources import jsonl, lines
from whence.sources.jsonl import open_source
from whence.sources.offsets import Offsets
from whence.sources.source import Source, by_time

START = 1_795_000_000
KEYS: dict[str, Any] = {"time": "at", "unit": "s", "agent": "who", "target": "on"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "steps.jsonl"


def make(path: Path, **options: Any) -> Source:
    return open_source(path, "steps", {**KEYS, **options})


def ids(source: Source) -> list[str]:
    return [event.id for event in source.events()]


def step(second: int, **keys: Any) -> bytes:
    return json.dumps({"at": START + second, **keys}).encode() + b"\n"


# --- what lines hold ----------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "#a", "b", "", 1, True, 1.5, None, ["a"], "\ud800", "\ufffd"])
_TIMES = st.integers(START, START + 3) | st.sampled_from(
    [None, "x", 1e300, str(START), START + 0.5]
)
_ROWS = st.lists(
    st.fixed_dictionaries({"at": _TIMES, "who": _NAMES, "on": _NAMES, "id": _NAMES, "up": _NAMES})
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ROWS, st.booleans(), st.booleans(), st.integers(1, 3))
def test_a_filter_gives_what_filtering_everything_gives(
    path: Path, rows: list[dict[str, Any]], has_ids: bool, few: bool, held: int
) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = make(path, parent="up", **({"id": "id"} if has_ids else {}))

    with patch.object(jsonl, "HELD", held if few else 1000):
        events = list(source.events())

        assert events == sorted(events, key=by_time)
        assert len({event.id for event in events}) == len(events)
        assert len(events) + len(list(source.raw())) == len(rows)
        for event in events:
            assert source.event(event.id) == event
            assert event in source.matching(event.id[:2], 100)
            for query in (
                Query(since=event.time_ns, until=event.time_ns + 1),
                Query(until=event.time_ns, agent=event.agent),
                Query(agent=event.agent, target=event.target, since=event.time_ns),
                Query(target=event.target),
                Query(parent=event.parent),
            ):
                wanted = [each for each in events if matches(query, each)]
                assert list(source.events(query)) == wanted, query
                assert list(source.events(query, newest_first=True)) == wanted[::-1], query
    assert set(source.names("agent")) == {event.agent for event in events} - {None}
    assert set(source.names("target")) == {event.target for event in events} - {None}


_BITS = st.sampled_from(
    [b'{"at":1795000000,"who":"a"}', b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"\r\n", b"\\",
     b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"\xff", b"\xef\xbb\xbf", b"\\ud800", b"null", b"\0",
     b'{"at":1795000000,"at":1}', b'{"at":1795000000,"x":NaN}', b'{"at":1795000000.5,"x":"\xff"}',
     b"[" * 3000, b'{"at":' + b"1" * 400 + b"}"]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(_BITS | st.binary(max_size=8)).map(b"".join))
def test_whatever_a_file_holds_lines_are_read_or_counted(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    source = make(path)

    events, raw, health = list(source.events()), list(source.raw()), source.health()

    assert (health.events, health.not_understood) == (len(events), len(raw))
    written = [line for line in data.split(b"\n") if line.strip(b"\r\n\t \x0b\x0c")]
    assert len(written) - 1 <= len(events) + len(raw) <= len(written)
    for event in events:
        assert json.loads(json.dumps(event_as_json(event), default=str))["source"] == "steps"
        assert event.agent in (None, "a")


def test_what_is_not_quite_json_is_read_as_it_was_meant(path: Path) -> None:
    path.write_bytes(
        b'\xef\xbb\xbf{"at":1795000000,"x":NaN,"y":1e999,"z":-Infinity}\r\n'
        b'{"at":1795000001,"x":"caf\xe9","y":"\\ud800","z":' + b"9" * 5000 + b"}\r\n"
        b'{"at":1795000002,"x":1,"x":2}\r\n'
    )

    first, second, third = make(path).events()

    assert first.data == {"x": "NaN", "y": "1e999", "z": "-Infinity"}
    assert second.data == {"x": "caf\ufffd", "y": "?", "z": "9" * 5000}
    assert third.data == {"x": 2}


def test_a_line_that_is_too_long_is_not_held(path: Path) -> None:
    path.write_bytes(step(0) + b'{"at":' + b" " * 5000 + b"1}\n" + step(1))

    with patch.object(lines, "LINE_MAX", 1000):
        source = make(path)
        assert ids(source) == ["steps.jsonl:1", "steps.jsonl:3"]
        [row] = source.raw()

    assert row.place == "steps.jsonl:2"
    assert row.problem.startswith("line is too long")


def test_a_line_that_is_not_finished_is_not_there_yet(path: Path) -> None:
    whole = step(1, who="b")
    path.write_bytes(step(0) + whole[:-4])
    source = make(path)
    assert ids(source) == ["steps.jsonl:1"]
    assert source.health().not_understood == 0

    for end in (-3, -2, -1):
        path.write_bytes(step(0) + whole[:end])
        assert len(ids(source)) == (2 if end == -1 else 1)
    path.write_bytes(step(0) + whole + step(2))

    assert ids(source) == ["steps.jsonl:1", "steps.jsonl:2", "steps.jsonl:3"]


def test_a_last_object_without_the_end_of_its_line_is_there(path: Path) -> None:
    """No beginning of an object is an object, so nothing is missing from it."""
    path.write_bytes(step(0, id="a") + step(1, id="a")[:-1])
    source = make(path, id="id")
    assert ids(source) == ["a", "a#2"]

    for _ in range(2):
        with path.open("ab") as file:
            file.write(b"\n" + step(2, id="a")[:-1])
        assert ids(source) == ["a", "a#2", *(["a#3", "a#4"][: _ + 1])]


# --- files --------------------------------------------------------------------------------------


def _write_again(path: Path) -> None:
    path.write_bytes(step(7))


def _rotate(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    path.write_bytes(step(7))


@pytest.mark.parametrize("change", [_write_again, _rotate])
def test_another_file_of_the_same_name_is_read_anew(
    path: Path, change: Callable[[Path], None]
) -> None:
    path.write_bytes(step(0) + step(1))
    source = make(path)
    assert len(ids(source)) == 2

    change(path)

    assert [event.time_ns // 10**9 - START for event in source.events()] == [7]
    assert source.event("steps.jsonl:2") is None


@pytest.mark.parametrize("change", [_write_again, _rotate, Path.unlink])
def test_an_answer_never_mixes_two_files(path: Path, change: Callable[[Path], None]) -> None:
    path.write_bytes(b"".join(step(n) for n in range(5000)))
    answer = make(path).events()
    first = next(answer)

    change(path)

    with pytest.raises(StoreError):
        list(answer)
    assert first.id == "steps.jsonl:1"


def test_a_file_that_vanishes_from_a_folder_takes_only_its_own_events(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"2026-01-0{day}.jsonl").write_bytes(step(day))
    source = make(tmp_path)
    assert ids(source) == ["2026-01-01.jsonl:1", "2026-01-02.jsonl:1"]

    (tmp_path / "2026-01-01.jsonl").unlink()

    assert ids(source) == ["2026-01-02.jsonl:1"]


def test_a_packed_file_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(step(n, who="ab"[n % 2]) for n in range(3000)))
    path = tmp_path / "steps.jsonl.gz"
    path.write_bytes(whole)
    source = make(path)
    events = list(source.events())
    assert len(events) == 3000
    assert list(source.events(newest_first=True)) == events[::-1]

    path.write_bytes(whole[: len(whole) // 2])

    read = list(source.events())
    assert read == events[: len(read)]
    health = source.health()
    assert "is cut off" in health.problem
    assert health.not_understood == len(list(source.raw())) == 1


def test_a_packed_file_is_unpacked_once_for_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading on is cheap, going back is not: what stands behind is read from the same opening."""
    path = tmp_path / "steps.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(step(n, text="x" * 100_000) for n in range(100)), 1))
    source = make(path)
    assert len(ids(source)) == 100
    opened = list[Offsets]()
    real = Offsets.open

    def open_it(file: Offsets) -> IO[bytes]:
        opened.append(file)
        return real(file)

    monkeypatch.setattr(Offsets, "open", open_it)

    assert len(ids(source)) == 100

    assert len(opened) == 1


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_a_packed_file_without_its_end_is_read_and_said_to_be_cut(
    tmp_path: Path, missing: int
) -> None:
    """Its last 8 bytes say how long it was; all lines stand before them."""
    path = tmp_path / "steps.jsonl.gz"
    path.write_bytes(gzip.compress(step(0) + step(1))[:-missing])
    source = make(path)

    assert ids(source) == ["steps.jsonl.gz:1", "steps.jsonl.gz:2"]
    assert "is cut off" in source.health().problem


def test_a_packed_file_that_is_damaged_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl.gz"
    packed = gzip.compress(b"".join(map(step, range(1000))))
    path.write_bytes(packed[:-8] + bytes(8))
    source = make(path)

    assert len(ids(source)) == 1000
    assert "is damaged" in source.health().problem


def test_while_a_day_is_packed_it_is_not_read_twice(tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_bytes(step(0))
    (tmp_path / "day.jsonl.gz").write_bytes(gzip.compress(step(0)))

    assert ids(make(tmp_path)) == ["day.jsonl:1"]


def test_files_that_are_not_there_are_missed(tmp_path: Path) -> None:
    for name in ("gone.jsonl", "gone-*.jsonl"):
        with pytest.raises(StoreError):
            next(make(tmp_path / name).events())
    assert ids(make(tmp_path)) == []


def test_a_path_leads_into_objects_and_lists(path: Path) -> None:
    row = {"at": START, "a": {"b": [{"c": "x"}]}, "a.b": "whole", "who": None}
    path.write_text(json.dumps(row) + "\n")

    [event] = make(path, agent="a.b.0.c", target="a.b", payload=["a.b.1", "at"]).events()

    assert (event.agent, event.target) == ("x", "whole")
    assert event.data == {"a.b.1": None, "at": START}


def test_parts_of_a_target_are_below_it(path: Path) -> None:
    path.write_bytes(step(0, on="t1") + step(1, on="t2", of="#t1") + step(2, on="t3", of="t2"))
    source = make(path, part_of="of")

    assert source.below("t1") == ["t2"]
    assert source.below("t3") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "traces"}, "format 'traces' is unknown; did you mean \"trace\"?"),
        ({"format": "x"}, "want one of trace, learning, decisions"),
        ({"agnt": "x"}, "key `agnt` is unknown; did you mean `agent`?"),
        ({"time": "at", "table": "t"}, "`table` is for databases"),
        ({"map": [{"time": "at"}]}, "lines have one mapping"),
    ],
)
def test_a_wrong_mapping_is_refused_at_once(
    path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        open_source(path, "steps", options)

    assert str(caught.value).startswith("[[source]] steps.jsonl: ")
    assert message in str(caught.value)


def test_lines_of_no_known_format_need_a_mapping(path: Path) -> None:
    path.write_bytes(step(0))
    source = open_source(path, "steps", {})

    with pytest.raises(CorruptError, match="none of trace, learning, decisions"):
        next(source.events())
    assert "whence sources suggest" in source.health().problem


# --- while its owner writes ---------------------------------------------------------------------

_OWNER = """
import json, os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for number in range(1, 2001):
    line = json.dumps({"at": 1795000000 + number % 7, "who": "a", "n": number}).encode() + b"\\n"
    os.write(file, line[:20])
    os.write(file, line[20:])
    if number % 100 == 0:
        print(number, flush=True)
"""


@pytest.fixture
def owner(path: Path) -> Iterator[subprocess.Popen[str]]:
    path.touch()
    command = [sys.executable, "-c", _OWNER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_is_read_while_its_owner_writes(path: Path, owner: subprocess.Popen[str]) -> None:
    assert owner.stdout is not None
    source = make(path)
    seen = 0

    for line in owner.stdout:
        events = list(source.events())
        assert events == sorted(events, key=by_time)
        assert sorted(event.data["n"] for event in events) == list(range(1, len(events) + 1))
        assert len(events) >= max(seen, int(line))
        assert source.health().not_understood == 0
        seen = len(events)

    assert owner.wait() == 0
    assert len(ids(source)) == 2000
