"""The fault table: every operation of a scripted history fails once or for ever, in every way.

Whatever fails, recording with durability `os` never raises, `disk` is never acknowledged and
missing, what is lost is counted, and when the fault is over recording goes on.
"""

import errno
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.account import Found, read_back
from tests.crash.history import FOLDER, History
from whence.errors import CorruptError
from whence.testing.faults import FailingDisk, Fault, How, Operation
from whence.testing.power import SimulatedDisk

_ERRORS: dict[Operation, tuple[tuple[int, How], ...]] = {
    "open": ((errno.EMFILE, "refused"), (errno.ENOSPC, "refused"), (errno.EROFS, "refused"),
             (errno.EIO, "done"), (errno.EINTR, "refused")),
    "write": ((errno.EIO, "refused"), (errno.ENOSPC, "refused"), (errno.EINTR, "refused"),
              (0, "half"), (errno.EIO, "done"), (errno.EINTR, "done")),
    "sync": ((errno.EIO, "refused"), (errno.ENOSPC, "refused"), (errno.EIO, "done"),
             (errno.EINTR, "refused")),
    "sync_folder": ((errno.EIO, "refused"), (errno.EMFILE, "refused"), (errno.EIO, "done")),
    "read_start": ((errno.EIO, "refused"), (errno.EMFILE, "refused"), (errno.EACCES, "refused")),
    "rename": ((errno.EIO, "refused"), (errno.ENOSPC, "refused"), (errno.EIO, "done")),
    "remove": ((errno.EIO, "refused"),),
    "stat": ((errno.EIO, "refused"), (errno.ENOENT, "refused"), (errno.EACCES, "refused")),
    "fstat": ((errno.EIO, "refused"),),
    "close": ((errno.EIO, "done"), (errno.EINTR, "done")),
    "make_folder": ((errno.EROFS, "refused"), (errno.ENOSPC, "refused"), (errno.EIO, "done")),
    "names": ((errno.EIO, "refused"), (errno.EMFILE, "refused")),
    "file_system": ((errno.EMFILE, "refused"),),
}  # fmt: skip


def _count_calls() -> dict[str, int]:
    disk = FailingDisk(inner=SimulatedDisk())
    history = History(disk)
    history.run()
    history.close()
    return dict(disk.calls)


_CALLS = _count_calls()


def _faults(operation: Operation) -> Iterator[Fault]:
    for error, how in _ERRORS[operation]:
        for at in range(_CALLS.get(operation, 0)):
            for for_ever in (False, True):
                yield Fault(operation=operation, at=at, error=error, how=how, for_ever=for_ever)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="whence")


@pytest.mark.parametrize("operation", _ERRORS)
def test_no_fault_breaks_a_promise(operation: Operation, tmp_path: Path) -> None:
    for number, fault in enumerate(_faults(operation)):
        try:
            _check_recovery(fault, tmp_path / f"{number}")
            _check_end(fault, tmp_path / f"{number}-end")
        except BaseException as error:
            error.add_note(f"the fault was: {fault}")
            raise


def _check_recovery(fault: Fault, folder: Path, disk_of: type[FailingDisk] = FailingDisk) -> None:
    """The fault ends while the process still runs: recording works again and tells the gap."""
    inner = SimulatedDisk()
    disk = disk_of(fault, inner)
    history = History(disk)

    history.run()
    lost, refused = history.lost, history.refused
    disk.heal()
    history.clock.advance(2)
    history.emit("disk")
    history.emit("os")
    history.close()

    assert history.refused == refused, "recording did not work again"
    assert history.lost == lost, "more was lost after the fault was over"
    found = _read(inner, folder)
    _check_account(disk, history, found)
    # What is lost shows as a gap; only what the forked process lost before may never be told.
    (last,) = [event.w for event in found.events if event.type == "writer.close"]
    told = {False: 0, True: 0}
    for event in found.events:
        if event.type == "writer.gap":
            told[event.w == last] += event.data["lost"]
    if fault.how == "done":
        # What was reported as failed is told again.
        assert told[True] >= history.lost_since_fork
    else:
        assert told[True] == history.lost_since_fork
        assert told[False] <= lost - history.lost_since_fork


def _check_end(fault: Fault, folder: Path) -> None:
    """The process ends with the fault still on: closing does not raise, the next open works."""
    inner = SimulatedDisk()
    disk = FailingDisk(fault, inner)
    history = History(disk)

    history.run()
    history.close()
    disk.heal()
    history.reopen()
    history.emit("disk")
    history.close()

    _check_account(disk, history, _read(inner, folder))


def _check_account(disk: FailingDisk, history: History, found: Found) -> None:
    account = history.account
    account.check_honest(found)
    assert disk.complaints == []
    assert disk.open_paths == []
    assert account.missing(found, ["disk"]) == set()
    assert len(account.missing(found)) <= history.lost
    assert found.holes() <= history.lost


def _read(disk: SimulatedDisk, folder: Path) -> Found:
    disk.write_to(folder)
    return read_back(folder / FOLDER.relative_to("/"))


def test_the_history_is_worth_its_table(tmp_path: Path) -> None:
    """Without a fault nothing is lost, and the history does all that can fail."""
    inner = SimulatedDisk()
    history = History(FailingDisk(inner=inner))

    history.run()
    history.close()

    found = _read(inner, tmp_path)
    assert history.account.missing(found) == set()
    assert found.fragments == found.holes() == history.lost == history.refused == 0
    assert set(_CALLS) == set(_ERRORS) - {"remove"}
    assert len(list((tmp_path / "simulated/log/journal").iterdir())) >= 5
    assert len(list((tmp_path / "simulated/log/blobs").iterdir())) == 3


class _Deaf(FailingDisk):
    """Stands for a writer that does not listen to how much of its line was taken."""

    def __init__(self, fault: Fault | None, inner: SimulatedDisk) -> None:
        super().__init__(fault, inner)
        heard = self.write

        def write(fd: int, data: bytes) -> int:
            heard(fd, data)
            return len(data)

        self.write = write


def test_the_table_notices_a_writer_that_ignores_short_writes(tmp_path: Path) -> None:
    """The control: the same checks, and a writer that deserves to fail them."""
    failed = 0
    for at in range(_CALLS["write"]):
        fault = Fault(operation="write", at=at, error=0, how="half")
        try:
            _check_recovery(fault, tmp_path / str(at), _Deaf)
        except (AssertionError, CorruptError):
            failed += 1

    assert failed > _CALLS["write"] // 2
