"""Where a subscriber is: kept at once, whole after any tear, and never guessed."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.decisions.places import FOLDER_NAME, Place
from whence.errors import ConflictError, CorruptError

_HALF = 4096


def _file(tmp_path: Path) -> Path:
    return tmp_path / ".whence" / FOLDER_NAME / "dash"


def _begin(tmp_path: Path) -> Path:
    with whence.open(tmp_path / ".whence") as log:
        log.emit("bus", "t", data={"data": 1})
    return tmp_path / ".whence"


def test_a_new_subscriber_is_kept_before_it_hears_anything(tmp_path: Path) -> None:
    folder = _begin(tmp_path)
    with Place(folder, "dash") as place:
        begun = dict(place.places)
    with whence.open(folder) as log:
        log.emit("bus", "t", data={"data": 2})
    with Place(folder, "dash") as place:
        assert place.places == begun
    with Place(folder, None) as place:
        assert place.places != begun
    assert _file(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [0, 1])
def test_of_two_records_one_may_be_torn(tmp_path: Path, torn: int) -> None:
    folder = _begin(tmp_path)
    with Place(folder, "dash") as place:
        for offset in (10, 20, 30):
            place.move("2026-11-20.0000", offset)
            place.keep()
    with open(_file(tmp_path), "r+b") as file:
        file.seek(torn * _HALF + 5)
        file.write(b"\0" * 100)
    with Place(folder, "dash") as place:
        assert place.places["2026-11-20.0000"] in (20, 30)


@pytest.mark.parametrize("content", [b"x", b"{}", b"[1,{}]", b"\xff" * 8192, b" " * 8192])
def test_a_file_that_tells_no_place_is_no_beginning(tmp_path: Path, content: bytes) -> None:
    folder = _begin(tmp_path)
    _file(tmp_path).parent.mkdir()
    _file(tmp_path).write_bytes(content)
    with pytest.raises(CorruptError, match="tells no place"), Place(folder, "dash"):
        pass
    # Nor does a refusal keep it held, or change it.
    assert _file(tmp_path).read_bytes() == content
    _file(tmp_path).unlink()
    with Place(folder, "dash") as place:
        assert place.places


@given(st.binary(max_size=9000), st.integers(0, 8191))
def test_no_bytes_are_taken_for_a_place_that_was_never_kept(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with Place(folder, "dash") as place:
        place.move("2026-11-20.0000", 7)
        place.keep()
    file = folder / FOLDER_NAME / "dash"
    whole = bytearray(file.read_bytes())
    whole[at : at + len(content)] = content
    file.write_bytes(whole)
    try:
        with Place(folder, "dash") as place:
            assert place.places in ({}, {"2026-11-20.0000": 7})
    except CorruptError:
        pass


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", ".hidden", "a\n", "x" * 101])
def test_a_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="subscriber is"):
        Place(tmp_path, name)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    folder = _begin(tmp_path)
    _file(tmp_path).parent.mkdir()
    (tmp_path / "precious").write_text("")
    os.symlink(tmp_path / "precious", _file(tmp_path))
    with pytest.raises(whence.StoreError), Place(folder, "dash"):
        pass
    assert (tmp_path / "precious").read_text() == ""


def test_a_subscriber_is_one_process(tmp_path: Path) -> None:
    folder = _begin(tmp_path)
    with Place(folder, "dash"), pytest.raises(ConflictError), Place(folder, "dash"):
        pass


def test_only_segments_that_may_still_grow_are_kept(tmp_path: Path) -> None:
    with Place(tmp_path, "dash") as place:
        for day in range(1, 100):
            place.move(f"2026-{1 + day // 28:02}-{1 + day % 28:02}.0000", day)
        place.keep()
        kept = dict(place.places)
    with Place(tmp_path, "dash") as place:
        assert place.places == kept
        assert len(kept) == 60
        assert 99 in kept.values()
