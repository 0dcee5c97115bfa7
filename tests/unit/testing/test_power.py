import os
from pathlib import Path

import pytest

from whence.testing.power import PowerLostError, SimulatedDisk

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_FOLDER = Path("/a/log")
_FILE = _FOLDER / "file"
_SEEDS = range(60)


def _disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_folder(_FOLDER, 0o700)
    disk.sync_folder(_FOLDER.parent)
    disk.sync_folder(_FOLDER.parent.parent)
    return disk


def _written(disk: SimulatedDisk, content: bytes, *, is_synced: bool = True) -> int:
    fd = disk.open(_FILE, _APPEND, 0o600)
    disk.write(fd, content)
    if is_synced:
        disk.sync(fd)
        disk.sync_folder(_FOLDER)
    return fd


def _contents(disk: SimulatedDisk, target: Path) -> dict[str, bytes]:
    disk.write_to(target)
    return {path.name: path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_it_works_as_a_disk_does() -> None:
    disk = _disk()
    fd = _written(disk, b"abc")

    assert disk.fstat(fd).st_size == disk.stat(_FILE).st_size == 3
    assert disk.fstat(fd).st_ino == disk.stat(_FILE).st_ino
    assert disk.names(_FOLDER) == ["file"]
    assert not disk.make_folder(_FOLDER, 0o700)
    with pytest.raises(FileExistsError):
        disk.open(_FILE, os.O_CREAT | os.O_EXCL, 0o600)
    with pytest.raises(FileNotFoundError):
        disk.open(_FOLDER / "other", os.O_WRONLY, 0o600)
    with pytest.raises(FileNotFoundError):
        disk.remove(_FOLDER / "other")
    with pytest.raises(FileNotFoundError):
        disk.rename(_FOLDER / "other", _FILE)
    with pytest.raises(NotADirectoryError):
        disk.names(_FILE)
    with pytest.raises(NotADirectoryError):
        disk.stat(_FILE / "below")
    with pytest.raises(IsADirectoryError):
        disk.open(_FOLDER, os.O_WRONLY, 0o600)
    disk.rename(_FILE, _FOLDER / "other")
    disk.remove(_FOLDER / "other")
    assert disk.names(_FOLDER) == []
    disk.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        disk.write(fd, b"")


def test_what_is_synced_survives(tmp_path: Path) -> None:
    disk = _disk()
    _written(disk, b"abc")

    for seed in _SEEDS:
        assert _contents(disk.power_cut(seed), tmp_path / str(seed)) == {"file": b"abc"}


def test_what_is_not_synced_is_cut_and_torn_and_whole(tmp_path: Path) -> None:
    disk = _disk()
    fd = _written(disk, b"kept")
    disk.write(fd, b"x" * 100)

    found = [_contents(disk.power_cut(seed), tmp_path / str(seed))["file"] for seed in _SEEDS]

    assert all(content.startswith(b"kept") for content in found)
    assert b"kept" in found
    assert b"kept" + b"x" * 100 in found
    assert any(b"\0" in content and content.endswith(b"x") for content in found)
    assert any(4 < len(content) < 104 for content in found)


def test_a_name_that_is_not_synced_may_go(tmp_path: Path) -> None:
    disk = _disk()
    fd = disk.open(_FILE, _APPEND, 0o600)
    disk.write(fd, b"abc")
    disk.sync(fd)

    found = [len(_contents(disk.power_cut(seed), tmp_path / str(seed))) for seed in _SEEDS]

    assert set(found) == {0, 1}


def test_a_rename_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    disk = _disk()
    _written(disk, b"abc")
    disk.rename(_FILE, _FOLDER / "other")

    found = [[*_contents(disk.power_cut(seed), tmp_path / str(seed))] for seed in _SEEDS]

    assert sorted(map(tuple, set(map(tuple, found)))) == [("file",), ("other",)]


def test_changes_of_names_survive_in_any_order(tmp_path: Path) -> None:
    disk = _disk()
    for name in "ab":
        disk.close(disk.open(_FOLDER / name, _APPEND, 0o600))

    found = {"".join(_contents(disk.power_cut(seed), tmp_path / str(seed))) for seed in _SEEDS}

    assert {"", "a", "b"} < found


def test_without_syncing_it_lies(tmp_path: Path) -> None:
    disk = SimulatedDisk(syncs=False)
    disk.make_folder(_FOLDER, 0o700)
    _written(disk, b"abc")

    assert any(not _contents(disk.power_cut(seed), tmp_path / str(seed)) for seed in _SEEDS)


def test_the_power_goes_where_it_is_told_to() -> None:
    disk = SimulatedDisk(lasts=2)
    disk.make_folder(_FOLDER, 0o700)
    disk.sync_folder(_FOLDER.parent)

    with pytest.raises(PowerLostError):
        disk.open(_FILE, _APPEND, 0o600)
    with pytest.raises(PowerLostError):
        disk.names(_FOLDER)
    assert disk.operations == 3
