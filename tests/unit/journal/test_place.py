"""Which segment is written to, whatever else lies in the journal's folder."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.account import payload
from whence.journal.disk import Disk
from whence.journal.folder import parse_segment
from whence.journal.place import Layout, Place
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock
from whence.testing.faults import FailingDisk, Fault

_NEWEST = "2026-11-20.0000.jsonl"


def _record(folder: Path, key: str = "main:0") -> Recorder:
    recorder = Recorder(folder, clock=FixedClock())
    recorder.emit("test", "happened", data=payload(key, 0))
    return recorder


def _ignore(warning: str) -> None:
    pass


def _point_nowhere(path: Path) -> None:
    path.symlink_to("/nonexistent/x")


def _point_at_something(path: Path) -> None:
    target = path.with_name("something")
    target.write_text("not ours\n")
    path.symlink_to(target)


@pytest.mark.parametrize("make", [_point_nowhere, _point_at_something, Path.mkdir, os.mkfifo])
def test_what_only_has_the_name_of_a_segment_is_passed_by(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    """A fresh process then writes to the next number, and to nothing that is not its own."""
    (tmp_path / "journal").mkdir()
    make(tmp_path / "journal" / _NEWEST)

    recorder = _record(tmp_path)
    recorder.close()

    assert recorder.lost == 0
    assert (tmp_path / "journal/2026-11-20.0001.jsonl").read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("name", ["2026-11-20.00000", "2026-11-20.01000", "2026-11-20.000"])
def test_a_segment_has_one_name_only(name: str, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / f"{name}.jsonl").write_text("")

    recorder = _record(tmp_path)
    recorder.close()

    assert parse_segment(name) is None
    assert recorder.lost == 0
    assert (tmp_path / "journal" / _NEWEST).exists()


def test_a_segment_that_goes_away_while_it_is_chosen_is_passed_by(tmp_path: Path) -> None:
    _record(tmp_path).close()
    disk = FailingDisk(Fault(operation="stat", at=0, error=2))
    place = Place(tmp_path, disk, Layout(), _ignore)

    place.choose("2026-11-20")
    place.close()

    assert str(place.segment) == "2026-11-20.0001"


@pytest.mark.parametrize("umask", [0, 0o777])
def test_files_and_folders_have_their_modes_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        recorder = _record(tmp_path / "log")
        recorder.emit("test", "happened", data=payload("main:1", 70_000))
        recorder.close()
    finally:
        os.umask(before)

    assert recorder.lost == 0
    for path in [tmp_path / "log", *(tmp_path / "log").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_the_mode_of_a_segment_that_is_there_is_left_alone(tmp_path: Path) -> None:
    _record(tmp_path).close()
    path = tmp_path / "journal" / _NEWEST
    path.chmod(0o640)

    _record(tmp_path, "next:0").close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_opening_by_a_new_name_fails_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FileExistsError):
        Disk().open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def test_a_link_that_comes_as_a_segment_is_opened_is_not_followed(tmp_path: Path) -> None:
    """Between looking and opening, somebody else may put one there."""

    class HastyDisk(Disk):
        def open(self, path: Path, flags: int, mode: int) -> int:
            _point_at_something(path)
            return super().open(path, flags, mode)

    place = Place(tmp_path, HastyDisk(), Layout(), _ignore)

    with pytest.raises(OSError):
        place.choose("2026-11-20")
    place.close()


def _remove(path: Path) -> None:
    path.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def _move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def _link_and_remove(path: Path) -> None:
    os.link(path, path.with_name("kept"))
    path.unlink()


def _replace(path: Path) -> None:
    _move(path)
    path.write_text("")


@pytest.mark.parametrize("harm", [_remove, _move, _move_folder, _link_and_remove, _replace])
def test_a_segment_that_nobody_would_find_is_noticed(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    place = Place(tmp_path, Disk(), Layout(), _ignore)
    assert not place.has_lost_its_name()
    place.choose("2026-11-20")
    assert not place.has_lost_its_name()

    harm(tmp_path / "journal" / _NEWEST)

    assert place.has_lost_its_name()
    place.close()


def test_a_name_that_another_file_has_is_not_ours(tmp_path: Path) -> None:
    """Only the file itself counts, not that there is one of its name."""
    place = Place(tmp_path, Disk(), Layout(), _ignore)
    place.choose("2026-11-20")
    path = tmp_path / "journal" / _NEWEST
    path.rename(path.with_name("moved"))
    path.write_text("")

    left = place.choose("2026-11-20")

    assert str(left) == "2026-11-20.0000"
    assert str(place.segment) == "2026-11-20.0001"
    place.close()
