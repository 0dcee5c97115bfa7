import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from whence.errors import CorruptError, StoreError
from whence.event import Event
from whence.journal.blobs import blob_path, fill, read_blob, write_blob
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.journal.reader import Cursor, Reader
from whence.recorder.recorder import Recorder
from whence.testing.faults import FailingDisk, Fault

_SALT = "s" * 24
_LARGE = {"text": "x" * 70_000}


def _write(folder: Path, payload: bytes = b"{}") -> str:
    return write_blob(folder, Disk(), Layout(), _SALT, payload)


def test_a_blob_reads_back(tmp_path: Path) -> None:
    commit = _write(tmp_path, b'{"a":"\\n"}\n')

    assert read_blob(tmp_path, commit) == (_SALT, b'{"a":"\\n"}\n')


def test_a_blob_that_is_gone_is_none(tmp_path: Path) -> None:
    commit = _write(tmp_path)
    blob_path(tmp_path, commit).unlink()

    assert read_blob(tmp_path, commit) is None


@pytest.mark.parametrize("change", [b"", b"x", b"{}", b"s" * 24 + b"\n{ }", b"\xff\xfe\n{}"])
def test_a_changed_blob_is_corrupt(change: bytes, tmp_path: Path) -> None:
    commit = _write(tmp_path)
    blob_path(tmp_path, commit).write_bytes(change)

    with pytest.raises(CorruptError, match="does not match its name"):
        read_blob(tmp_path, commit)


@pytest.mark.parametrize("commit", ["", "../x", "a" * 42, "a" * 44, "/" * 43, "a" * 42 + "\n"])
def test_what_is_no_commitment_is_no_path(commit: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="want 43 characters"):
        blob_path(tmp_path, commit)


def _point_at_something(path: Path) -> None:
    path.symlink_to(__file__)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, _point_at_something])
def test_a_blob_that_is_no_file_is_the_worlds_refusal(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    commit = _write(tmp_path)
    blob_path(tmp_path, commit).unlink()
    make(blob_path(tmp_path, commit))

    with pytest.raises(StoreError, match="cannot read blob"):
        read_blob(tmp_path, commit)


def test_folders_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """Also where a blob is the first that a log keeps."""
    before = os.umask(0)
    try:
        recorder = Recorder(tmp_path / "log")
        recorder.emit("test", "happened", data=_LARGE)
        recorder.close()
    finally:
        os.umask(before)

    for path in [tmp_path / "log", *(tmp_path / "log").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_group_may_read_all_of_it(tmp_path: Path) -> None:
    layout = Layout(folder_mode=0o750, file_mode=0o640, group=os.getgid())
    recorder = Recorder(tmp_path / "log", layout=layout)
    recorder.emit("test", "happened", data=_LARGE)
    recorder.close()

    for path in [tmp_path / "log", *(tmp_path / "log").rglob("*")]:
        wanted = 0o750 if path.is_dir() else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
        assert path.stat().st_gid == os.getgid()


@pytest.mark.parametrize("operation", ["write", "sync", "rename"])
def test_a_blob_that_cannot_be_kept_leaves_nothing_behind(operation: str, tmp_path: Path) -> None:
    fault = Fault(operation=operation, at=0, error=28, for_ever=True)  # type: ignore[arg-type]
    disk = FailingDisk(fault)

    with pytest.raises(StoreError, match="No space left"):
        write_blob(tmp_path, disk, Layout(), _SALT, b"{}")

    assert list((tmp_path / "blobs").iterdir()) == []
    assert disk.open_paths == []


def _event(folder: Path) -> tuple[Event, Cursor]:
    recorder = Recorder(folder)
    recorder.emit("test", "happened", data=_LARGE)
    recorder.close()
    entries = [e for e in Reader(folder).scan() if e.event and e.event.type == "happened"]
    assert entries[0].event is not None
    return entries[0].event, Cursor(entries[0].segment, entries[0].offset)


def test_the_line_of_a_blob_holds_no_payload_and_reading_it_does(tmp_path: Path) -> None:
    event, place = _event(tmp_path)

    assert event.data is None
    assert event.blob == len(b'{"text":""}') + 70_000
    assert Reader(tmp_path).read(*place).data == _LARGE


def test_an_event_whose_blob_is_gone_has_no_payload(tmp_path: Path) -> None:
    event, place = _event(tmp_path)
    assert event.commit is not None
    blob_path(tmp_path, event.commit).unlink()

    assert Reader(tmp_path).read(*place) == event


def test_an_event_whose_blob_was_changed_is_corrupt(tmp_path: Path) -> None:
    event, place = _event(tmp_path)
    assert event.commit is not None
    blob_path(tmp_path, event.commit).write_bytes(b"changed")

    with pytest.raises(CorruptError, match="does not match its name"):
        Reader(tmp_path).read(*place)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"x" * 70_000, "is not JSON"),
        (b"", "is not JSON"),
        (b'{"a":1} {}', "is not JSON"),
        (b'"' + b"\xff" * 70_000 + b'"', "is not UTF-8"),
        (b"[" * 70_000, "is nested deeper than 200"),
        (b"[" * 201 + b"]" * 201, "is nested deeper than 200"),
    ],
)
def test_a_blob_that_matches_its_name_and_is_no_payload_is_corrupt(
    payload: bytes, problem: str, tmp_path: Path
) -> None:
    """Whoever wrote it wrote the line that names it too."""
    event, _ = _event(tmp_path)
    commit = _write(tmp_path, payload)
    event = msgspec.structs.replace(event, commit=commit)

    with pytest.raises(CorruptError, match=problem):
        read_blob(tmp_path, commit)
    with pytest.raises(CorruptError, match=problem):
        fill(tmp_path, event)


@pytest.mark.parametrize(
    "payload",
    [b"[" * 200 + b"]" * 200, b"[" + b"[]," * 300 + b"0]", b'"' + b"[" * 500 + b'\\""', b"1e999"],
)
def test_a_blob_is_judged_by_its_brackets_and_not_by_its_text(
    payload: bytes, tmp_path: Path
) -> None:
    commit = _write(tmp_path, payload)

    assert read_blob(tmp_path, commit) == (_SALT, payload)
