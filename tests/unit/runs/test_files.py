import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence import settings
from whence.errors import NotFoundError, StoreError
from whence.runs.files import (
    RunFileError,
    check_id,
    find_folder,
    id_of,
    list_files,
    path_of,
    read_file,
    salvage,
    write_file,
)

_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@given(_ids)
def test_whatever_an_id_is_its_file_is_in_the_folder_and_tells_it(trace_id: str) -> None:
    path = path_of(Path("runs"), trace_id)

    assert path.parent == Path("runs")
    assert len(path.name.encode()) <= 200
    assert not path.name.startswith(".")
    assert id_of(path) in (trace_id, None)
    assert id_of(path) == trace_id or "~" in path.name


@given(_ids, _ids)
def test_two_ids_never_share_a_file(one: str, other: str) -> None:
    assert (path_of(Path("runs"), one) == path_of(Path("runs"), other)) == (one == other)


@pytest.mark.parametrize(
    "trace_id", ["../x", "/etc/passwd", "..", ".", "a/b", "a\0b", "~", "é" * 64]
)
def test_ids_that_would_lead_elsewhere_stay_in_the_folder(tmp_path: Path, trace_id: str) -> None:
    write_file(tmp_path / "runs", trace_id, b"{}")

    assert os.listdir(tmp_path) == ["runs"]
    assert [path.parent for path in list_files(tmp_path / "runs")] == [tmp_path / "runs"]


def test_long_ids_have_files_of_their_own() -> None:
    paths = {path_of(Path(), "é" * 62 + end) for end in "abc"}

    assert len(paths) == 3
    assert {len(path.name) for path in paths} == {200}
    assert {id_of(path) for path in paths} == {None}


@pytest.mark.parametrize("trace_id", ["", "a" * 129, "\ud800"])
def test_what_cannot_name_a_run_is_refused(trace_id: str) -> None:
    with pytest.raises(ValueError, match="trace_id"):
        check_id(trace_id)


def test_an_id_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="trace_id is int"):
        check_id(7)


def test_a_file_is_read_as_it_was_written_and_only_its_owner_may(tmp_path: Path) -> None:
    path = write_file(tmp_path / "runs", "a", b'{"trace_id":"a","input":{"x":1},"output":[]}')

    read = read_file(path)

    assert (read.trace_id, read.input, read.output) == ("a", {"x": 1}, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["a.json"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"trace_id": "a", "input": {"x": 1', "torn"),
        (b'{"trace_id": "a", "inp', "torn"),
        ('{"trace_id": "é'.encode()[:-1], "torn"),
        (b'{"trace_id": tru', "torn"),
        (b'{"trace_id": -', "torn"),
        (b'{"a": "\\u00', "torn"),
        (b'{"trace_id": "\xff"}', "not UTF-8"),
        (b"\x00" * 100, "not JSON"),
        (b"hello", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1} {', "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b"[1, 2]", "not an object"),
        (b"null", "not an object"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"a":' * 201 + b"1" + b"}" * 201, "nested too deep"),
        (b'{"a": "' + b"x" * 2_000 + b'"}', "too large"),
    ],
)
def test_a_file_that_is_no_run_says_why(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)

    with pytest.raises(RunFileError, match=problem) as raised:
        read_file(path, limit=1_000 if problem == "too large" else 10_000_000)

    assert raised.value.problem == problem
    assert raised.value.path == path


def test_a_file_as_deep_as_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a":' * 200 + b"1" + b"}" * 200)

    assert "a" in read_file(path).value


def test_numbers_that_json_does_not_know_are_read_as_python_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"input": float("inf")}))

    assert read_file(path).input == float("inf")


def test_what_is_no_file_is_named_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()

    for name in ("pipe.json", "folder.json"):
        with pytest.raises(RunFileError, match="not a file"):
            read_file(tmp_path / name)
    with pytest.raises(NotFoundError):
        read_file(tmp_path / "none.json")


def test_a_folder_that_takes_nothing_is_an_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = write_file(tmp_path, "a", b"{}")
    (tmp_path / "b").write_text("")

    with pytest.raises(StoreError, match="cannot keep"):
        write_file(tmp_path / "b", "a", b"{}")

    assert path.read_bytes() == b"{}"


def test_only_run_files_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", ".c.json", "d.txt", ".e.tmp"):
        (tmp_path / name).write_text("")

    assert [path.name for path in list_files(tmp_path)] == ["a.json", "b.json"]
    assert list(list_files(tmp_path / "none")) == []


def test_the_folder_is_the_environment_s_the_settings_or_the_log_s(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text('[runs]\ndir = "traces"\n')
    said = settings.load(tmp_path / ".whence")
    log = tmp_path / ".whence"

    assert find_folder(log, settings.Settings(), {}) == log / "runs"
    assert find_folder(log, said, {}) == tmp_path / "traces"
    assert find_folder(log, said, {"TRACE_OUTPUT_DIR": "/t"}) == Path("/t")
    assert find_folder(log, said, {"TRACE_OUTPUT_DIR": "/t", "WHENCE_RUNS_DIR": "/w"}) == Path("/w")


def test_a_folder_setting_that_is_no_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text("[runs]\ndir = 7\n")

    with pytest.raises(ValueError, match="want a path"):
        find_folder(tmp_path, settings.load(tmp_path), {})


# -- salvaging ------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(), _plain), st.sampled_from([None, 2]), st.data())
def test_a_file_cut_off_anywhere_is_torn_and_gives_back_what_is_whole(
    value: dict[str, object], indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    cut = data.draw(st.integers(1, len(text) - 1))

    found = salvage(text[:cut])

    assert found.damage == "torn"
    assert isinstance(found.value, dict)
    assert list(found.value) == list(value)[: len(found.value)]
    for key in list(found.value)[:-1]:
        assert found.value[key] == value[key]


@given(_plain)
def test_what_is_whole_is_salvaged_whole(value: object) -> None:
    text = json.dumps(value).encode()

    assert salvage(text).value == json.loads(text)
    assert salvage(text).damage == ""


@given(st.binary())
def test_salvaging_takes_anything(content: bytes) -> None:
    assert 0 <= salvage(content).end <= len(content)


def test_what_stands_before_damage_is_salvaged() -> None:
    found = salvage(b'{"trace_id": "a", "input": {"x": [1, 2, oops]}}')

    assert found.value == {"trace_id": "a", "input": {"x": [1, 2]}}
    assert found.damage == "damaged"
    assert found.end == 40


def test_a_number_at_the_end_may_have_had_more_digits() -> None:
    assert salvage(b'{"a": 1, "b": 12').value == {"a": 1}


def test_bytes_that_are_no_text_do_not_hide_the_rest() -> None:
    assert salvage(b'{"a": 1, "b": "\xff", "c": ').value == {"a": 1, "b": "\ufffd"}
