import errno
import os
from pathlib import Path

import pytest

from whence.testing.faults import FailingDisk, Fault, MisuseError

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _open(disk: FailingDisk, folder: Path) -> int:
    return disk.open(folder / "file", _APPEND, 0o600)


def test_without_a_fault_it_is_the_disk_behind_it(tmp_path: Path) -> None:
    disk = FailingDisk()

    fd = _open(disk, tmp_path)
    assert disk.write(fd, b"abc") == 3
    disk.sync(fd)
    assert disk.fstat(fd).st_size == disk.stat(tmp_path / "file").st_size == 3
    disk.close(fd)
    assert disk.read_start(tmp_path / "file", 2) == b"ab"
    disk.rename(tmp_path / "file", tmp_path / "other")
    disk.sync_folder(tmp_path)
    assert disk.names(tmp_path) == ["other"]
    disk.remove(tmp_path / "other")
    assert disk.make_folder(tmp_path / "folder", 0o700)
    assert not disk.make_folder(tmp_path / "folder", 0o700)
    assert disk.file_system(tmp_path).kind

    assert disk.calls["make_folder"] == 2
    assert disk.open_paths == []
    assert disk.complaints == []
    assert disk.struck == 0


@pytest.mark.parametrize("for_ever", [False, True])
def test_the_call_asked_for_fails(for_ever: bool, tmp_path: Path) -> None:
    fault = Fault(operation="write", at=1, error=errno.ENOSPC, for_ever=for_ever)
    disk = FailingDisk(fault)
    fd = _open(disk, tmp_path)

    results = []
    for _ in range(4):
        try:
            results.append(disk.write(fd, b"ab"))
        except OSError as error:
            results.append(-(error.errno or 0))

    no = -errno.ENOSPC
    assert results == ([2, no, no, no] if for_ever else [2, no, 2, 2])
    disk.heal()
    assert disk.write(fd, b"ab") == 2
    disk.close(fd)
    assert str(fault).startswith("write 1")


def test_half_a_write_says_so(tmp_path: Path) -> None:
    disk = FailingDisk(Fault(operation="write", at=0, error=0, how="half"))
    fd = _open(disk, tmp_path)

    assert disk.write(fd, b"abcde") == 2
    assert (tmp_path / "file").read_bytes() == b"ab"
    disk.close(fd)


def test_what_is_done_may_be_reported_as_failed(tmp_path: Path) -> None:
    disk = FailingDisk(Fault(operation="write", at=0, error=errno.EIO, how="done"))
    fd = _open(disk, tmp_path)

    with pytest.raises(OSError, match="Input/output error"):
        disk.write(fd, b"abc")
    assert (tmp_path / "file").read_bytes() == b"abc"
    disk.close(fd)

    disk = FailingDisk(Fault(operation="open", at=0, error=errno.EIO, how="done"))
    with pytest.raises(OSError, match="Input/output error"):
        disk.open(tmp_path / "made", _APPEND, 0o600)
    assert (tmp_path / "made").exists()
    assert disk.open_paths == []


def test_a_descriptor_that_is_closed_is_not_used(tmp_path: Path) -> None:
    disk = FailingDisk()
    fd = _open(disk, tmp_path)
    disk.close(fd)

    for use in (disk.close, disk.sync, disk.fstat, lambda fd: disk.write(fd, b"")):
        with pytest.raises(MisuseError, match="which is not open"):
            use(fd)
    assert len(disk.complaints) == 4


def test_a_failed_sync_is_not_tried_again(tmp_path: Path) -> None:
    disk = FailingDisk(Fault(operation="sync", at=0, error=errno.EIO))
    fd = _open(disk, tmp_path)
    with pytest.raises(OSError, match="Input/output error"):
        disk.sync(fd)

    with pytest.raises(MisuseError, match="tried again"):
        disk.sync(fd)
    disk.close(fd)


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, _APPEND | os.O_TRUNC])
def test_a_segment_is_only_ever_appended_to(flags: int, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    disk = FailingDisk()

    with pytest.raises(MisuseError, match="anywhere but at its end"):
        disk.open(tmp_path / "journal" / "2026-11-20.0000.jsonl", flags, 0o600)
