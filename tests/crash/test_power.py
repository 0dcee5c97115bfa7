"""The power-loss table: the power goes anywhere, and what was not synced is dropped and torn.

What was acknowledged with durability `disk` is there afterwards, whatever the disk forgets.
"""

import errno
from pathlib import Path

import pytest

from tests.crash.account import Found, payload, read_back
from tests.crash.history import FOLDER, History
from whence.errors import CorruptError
from whence.journal.disk import Disk
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock
from whence.testing.faults import FailingDisk, Fault, Operation
from whence.testing.power import PowerLostError, SimulatedDisk

_SHORT = 300
_FULL = 6_000


def _count_operations() -> int:
    disk = SimulatedDisk()
    history = History(disk)
    history.run()
    history.close()
    return disk.operations


_OPERATIONS = _count_operations()


def _cut(seed: int, folder: Path, *, syncs: bool = True, durability: str = "") -> set[str]:
    """Run until the power goes, look at what is left; returns what was promised and is missing."""
    disk = SimulatedDisk(lasts=seed * 7 % _OPERATIONS, seed=seed, syncs=syncs)
    history = History(disk, durability=durability)
    try:
        history.run()
        history.close()
    except PowerLostError:
        pass
    left = disk.power_cut(seed)
    found = _read(left, folder / "cut")
    _check_honest(history, found)
    missing = history.account.missing(found, ["disk"])

    # The machine comes up again, and the log is opened on what is left.
    history.recover(left)
    history.emit("disk")
    history.emit("os")
    history.close()

    after = _read(left.power_cut(seed + 1), folder / "after")
    _check_honest(history, after)
    assert set(found.keys) <= set(after.keys)
    return missing | history.account.missing(after, ["disk"])


def _check_honest(history: History, found: Found) -> None:
    history.account.check_honest(found)


def _read(disk: SimulatedDisk, folder: Path) -> Found:
    disk.write_to(folder)
    return read_back(folder / FOLDER.relative_to("/"))


@pytest.mark.parametrize("durability", ["", "disk"])
def test_what_was_promised_survives(durability: str, tmp_path: Path, full: bool) -> None:
    for seed in range(_FULL if full else _SHORT):
        try:
            missing = _cut(seed, tmp_path / str(seed), durability=durability)
        except BaseException as error:
            error.add_note(f"the seed was {seed}")
            raise

        assert missing == set(), f"the seed was {seed}"


@pytest.mark.parametrize("operation", ["sync", "sync_folder"])
def test_what_was_promised_after_a_failed_sync_survives(
    operation: Operation, tmp_path: Path
) -> None:
    """A failed sync leaves nobody knows what; the promise is then kept in another segment."""
    calls = FailingDisk(inner=SimulatedDisk())
    History(calls, durability="disk").run()
    for at in range(calls.calls[operation]):
        for seed in range(3):
            inner = SimulatedDisk()
            fault = Fault(operation=operation, at=at, error=errno.EIO, for_ever=seed == 2)
            disk = FailingDisk(fault, inner)
            history = History(disk, durability="disk")
            history.run()

            found = _read(inner.power_cut(seed), tmp_path / f"{at}-{seed}")

            assert history.account.missing(found) == set(), f"{fault}, seed {seed}"
            assert disk.complaints == []
            history.close()


_DEEP = Path("/made/by/nobody/yet")


def _record_durably(recorder: Recorder, key: str, size: int = 0) -> None:
    recorder.emit("test", "happened", data=payload(key, size), durability="disk")


def _check_there(disk: SimulatedDisk, key: str, target: Path) -> None:
    for seed in range(20):
        disk.power_cut(seed).write_to(target / str(seed))
        assert key in read_back(target / str(seed) / _DEEP.relative_to("/")).keys, f"seed {seed}"


@pytest.mark.parametrize("size", [0, 70_000])
def test_a_promise_holds_in_folders_that_were_made_for_it(size: int, tmp_path: Path) -> None:
    """Their names are in folders too, up to the first that was there before."""
    disk = SimulatedDisk()
    recorder = Recorder(_DEEP, disk=disk)

    _record_durably(recorder, "main:0", size)

    _check_there(disk, "main:0", tmp_path)
    recorder.close()


@pytest.mark.parametrize("above", [0, 1, 2])
@pytest.mark.parametrize("size", [0, 70_000])
@pytest.mark.parametrize("later_s", [0, 2])
def test_a_promise_holds_in_folders_that_were_made_anew(
    later_s: int, size: int, above: int, tmp_path: Path
) -> None:
    """Somebody removed the log, or more, between two promises: long ago, or just now."""
    disk, clock = SimulatedDisk(), FixedClock()
    recorder = Recorder(_DEEP, disk=disk, clock=clock)
    _record_durably(recorder, "main:0")
    disk.remove_tree([_DEEP, *_DEEP.parents][above])
    clock.advance(later_s)

    _record_durably(recorder, "main:1", size)

    _check_there(disk, "main:1", tmp_path)


def test_a_promise_holds_in_folders_whose_maker_was_killed(tmp_path: Path) -> None:
    """The log's own folders are made anew by a process that syncs nothing."""
    disk, clock = SimulatedDisk(), FixedClock()
    recorder = Recorder(_DEEP, disk=disk, clock=clock)
    _record_durably(recorder, "main:0")
    disk.remove_tree(_DEEP)
    other = Recorder(_DEEP, disk=disk, clock=clock)
    other.emit("test", "happened", data=payload("other:0", 0))
    clock.advance(2)

    _record_durably(recorder, "main:1")

    _check_there(disk, "main:1", tmp_path)


def test_the_real_disk_says_which_folders_it_made(tmp_path: Path) -> None:
    made = [tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c"]

    assert Disk().make_folder(made[2], 0o700) == made
    assert Disk().make_folder(made[2], 0o700) == []


def test_the_table_notices_a_disk_that_does_not_sync(tmp_path: Path) -> None:
    """The control: with syncing switched off the same table finds losses."""
    lost = 0
    for seed in range(_SHORT // 3):
        try:
            lost += bool(_cut(seed, tmp_path / str(seed), syncs=False))
        except (AssertionError, CorruptError):
            # A line that named a blob is there, and the blob is not, or not whole.
            lost += 1

    assert lost > _SHORT // 10
