from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.errors import StoreError
from whence.journal import folder as folders
from whence.journal.disk import Disk
from whence.journal.folder import (
    FileSystem,
    SegmentName,
    check_file_system,
    find_mount,
    parse_segment,
    segment_names,
    segment_path,
)
from whence.recorder.recorder import Recorder
from whence.testing.power import SimulatedDisk

_names = st.builds(SegmentName, st.dates().map(str), st.integers(0, 100_000))


@given(name=_names)
def test_a_segment_name_reads_back(name: SegmentName) -> None:
    assert parse_segment(str(name)) == name


@given(names=st.lists(_names, unique=True))
def test_segments_come_in_the_order_of_the_journal(names: list[SegmentName]) -> None:
    files = [f"{name}.jsonl" for name in names] + ["notes.jsonl", "2026-11-20.0000.jsonl.tmp"]

    assert segment_names(files) == sorted(names)


@pytest.mark.parametrize(
    "name",
    ["", "..", "../../etc/passwd", "2026-11-20", "2026-11-20.1", "2026-11-20.0000/x", "x.0000",
     "2026-11-20.0000\n", "２026-11-20.0000", "2026-13-45.0000", "2026-02-29.0000", "0000-01-01.0000"],
)  # fmt: skip
def test_what_is_no_segment_is_no_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="want YYYY-MM-DD"):
        segment_path(tmp_path, name)


_TABLE = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
23 22 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw,size=4k
24 22 0:21 / /dev/shm rw - tmpfs tmpfs rw
25 22 0:50 / /net/home rw shared:1 - nfs4 server:/home rw,vers=4.2
26 22 0:51 / /with\040space rw - xfs /dev/vdb rw
27 22 0:52 / /hidden rw - ext4 /dev/vdc rw
28 22 0:53 / /hidden rw master:2 propagate_from:1 - btrfs /dev/vdd rw
29 22 0:54 / /scratch rw - overlay overlay rw,lowerdir=/a,volatile
30 22 0:55 / /drvfs rw - 9p drvfs rw
broken row
31 22 0:56 / /short rw -
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/log", "ext4"),
        ("/dev", "devtmpfs"),
        ("/dev/shm/log", "tmpfs"),
        ("/dev/shmx", "devtmpfs"),
        ("/net/home/me", "nfs4"),
        ("/net/homeless", "ext4"),
        ("/with space/log", "xfs"),
        ("/hidden/log", "btrfs"),
        ("/scratch", "overlay"),
        ("/drvfs/c", "9p"),
        ("/short/log", "ext4"),
    ],
)
def test_the_deepest_and_latest_mount_holds_a_path(path: str, kind: str) -> None:
    assert find_mount(path, _TABLE)[0] == kind


def _pretend(monkeypatch: pytest.MonkeyPatch, kind: str, options: str = "rw") -> None:
    monkeypatch.setattr(folders, "_mount_of", lambda path: (kind, options))


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "fuseblk", "9p", "drvfs", "virtiofs",
     "afs", "ceph", "glusterfs", "vboxsf", "an unknown file system"],
)  # fmt: skip
def test_what_may_tear_lines_is_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _pretend(monkeypatch, kind)

    with pytest.raises(StoreError, match=f"is on {kind}, which may tear"):
        check_file_system(tmp_path)
    recorder = Recorder(tmp_path)
    recorder.emit("test", "happened")
    assert recorder.lost == 1
    with pytest.raises(StoreError, match="may tear"):
        recorder.emit("test", "happened", durability="disk")


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "f2fs", "apfs", "overlay"])
def test_local_disks_are_accepted(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _pretend(monkeypatch, kind)

    assert check_file_system(tmp_path) == FileSystem(kind, is_volatile=False)


@pytest.mark.parametrize(
    ("kind", "options"), [("tmpfs", "rw"), ("ramfs", "rw"), ("overlay", "rw,upperdir=/u,volatile")]
)
def test_what_forgets_at_a_power_cut_refuses_the_promise_of_disk(
    kind: str, options: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _pretend(monkeypatch, kind, options)
    recorder = Recorder(tmp_path)

    recorder.emit("test", "happened")
    with pytest.raises(StoreError, match="forgets at a power cut"):
        recorder.emit("test", "happened", durability="disk")

    assert recorder.lost == 0


def test_a_simulated_disk_answers_for_itself() -> None:
    disk = SimulatedDisk(kind="tmpfs")
    disk.make_folder(Path("/log"), 0o700)

    assert disk.file_system(Path("/log")) == FileSystem("tmpfs", is_volatile=True)


def test_the_real_disk_says_what_holds_a_folder(tmp_path: Path) -> None:
    assert Disk().file_system(tmp_path).kind
