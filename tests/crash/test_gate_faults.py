"""The gate on a disk that fails or loses its power: what was approved is in the journal, whatever the disk does.

Every operation of a short story of decisions fails once or for ever, in every way; the power goes at each of them. An approval
that returned is found in what is left after a power cut; everything else was refused loudly.
"""

import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from whence.decisions import DecisionRefused, Gate
from whence.journal.blobs import fill
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.journal.reader import Reader
from whence.log import Log
from whence.recorder.recorder import Recorder
from whence.testing.faults import FailingDisk, Fault, How, Operation
from whence.testing.power import PowerLostError, SimulatedDisk

_FOLDER = Path("/simulated/log")
_ERRORS: dict[Operation, tuple[tuple[int, How], ...]] = {
    "open": ((errno.ENOSPC, "refused"), (errno.EIO, "done")),
    "write": ((errno.ENOSPC, "refused"), (0, "half"), (errno.EIO, "done")),
    "sync": ((errno.EIO, "refused"), (errno.ENOSPC, "refused"), (errno.EIO, "done")),
    "sync_folder": ((errno.EIO, "refused"),),
    "rename": ((errno.ENOSPC, "refused"),),
    "make_folder": ((errno.ENOSPC, "refused"),),
}

Decide = Callable[[Gate], Any]
Approved = list[str]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="whence")


def _trusting(gate: Gate) -> None:
    """Stands for a gate that takes a record for kept once it was handed over."""
    log = gate._log
    assert log is not None
    log.emit("decision", "pay", data={"gate": gate.id, "approved": True})


def _story(disk: Disk, approved: Approved, decide: Decide = Gate.decide) -> None:
    """Six decisions, one of them large, over several segments; `approved` gets the gate of each that was."""
    log = Log(_FOLDER)
    log._recorder = Recorder(_FOLDER, disk=disk, layout=Layout(segment_bytes=2048))
    try:
        for number in range(6):
            size = 70_000 if number == 3 else 100
            gate = Gate("pay", {"number": number, "text": "x" * size}, log=log)
            gate.vote("ada", True)
            try:
                decide(gate)
            except DecisionRefused:
                continue
            approved.append(gate.id)
    finally:
        log.close()


def _kept(disk: SimulatedDisk, folder: Path, seed: int) -> set[str]:
    """The gates that a reader finds after a power cut."""
    disk.power_cut(seed).write_to(folder)
    left = folder / _FOLDER.relative_to("/")
    reader = Reader(left)
    try:
        events = [entry.event for entry in reader.scan() if entry.event is not None]
    finally:
        reader.close()
    return {fill(left, each).data["gate"] for each in events if each.primitive == "decision"}


def _calls() -> dict[str, int]:
    disk = FailingDisk(inner=SimulatedDisk())
    _story(disk, [])
    return dict(disk.calls)


_CALLS = _calls()


def _faults() -> Iterator[Fault]:
    for operation, errors in _ERRORS.items():
        for error, how in errors:
            for at in range(_CALLS.get(operation, 0)):
                for for_ever in (False, True):
                    yield Fault(operation=operation, at=at, error=error, how=how, for_ever=for_ever)


def _lost_on_a_failing_disk(fault: Fault, folder: Path, decide: Decide = Gate.decide) -> set[str]:
    inner, approved = SimulatedDisk(), Approved()
    disk = FailingDisk(fault, inner)
    _story(disk, approved, decide)
    assert disk.complaints == []
    return set(approved) - _kept(inner, folder, seed=1)


def _lost_without_power(lasts: int, folder: Path, decide: Decide = Gate.decide) -> set[str]:
    disk, approved = SimulatedDisk(lasts=lasts, seed=lasts), Approved()
    try:
        _story(disk, approved, decide)
    except PowerLostError:
        pass
    return set(approved) - _kept(disk, folder, seed=lasts)


def test_without_a_fault_all_are_approved_and_kept(tmp_path: Path) -> None:
    disk, approved = SimulatedDisk(), Approved()
    _story(disk, approved)

    assert len(approved) == 6
    assert set(approved) == _kept(disk, tmp_path, seed=3)
    assert set(_CALLS) >= set(_ERRORS)


def test_no_fault_lets_an_approval_stand_without_its_record(tmp_path: Path) -> None:
    refused = 0
    for number, fault in enumerate(_faults()):
        inner, approved = SimulatedDisk(), Approved()
        disk = FailingDisk(fault, inner)
        _story(disk, approved)
        refused += len(approved) < 6
        assert disk.complaints == []
        assert set(approved) <= _kept(inner, tmp_path / str(number), seed=number), str(fault)
    # The table is worth something: many of these faults stood in the way.
    assert refused > 20


def test_no_power_cut_lets_an_approval_stand_without_its_record(tmp_path: Path) -> None:
    disk = SimulatedDisk()
    _story(disk, [])
    for lasts in range(disk.operations):
        assert _lost_without_power(lasts, tmp_path / str(lasts)) == set()


def test_a_gate_that_takes_a_record_for_kept_makes_both_tables_red(tmp_path: Path) -> None:
    full = [fault for fault in _faults() if fault.operation == "write" and fault.for_ever]
    lost = [
        _lost_on_a_failing_disk(fault, tmp_path / f"f{n}", _trusting)
        for n, fault in enumerate(full)
    ]
    cut = [_lost_without_power(lasts, tmp_path / f"p{lasts}", _trusting) for lasts in range(40)]

    assert any(lost)
    assert any(cut)


def test_what_can_only_be_counted_is_no_execution(tmp_path: Path) -> None:
    """The disk fills up between the approval and its execution."""
    inner = SimulatedDisk()
    disk = FailingDisk(None, inner)
    log = Log(_FOLDER)
    log._recorder = Recorder(_FOLDER, disk=disk)
    gate, ran = Gate("pay", {}, log=log), False
    gate.vote("ada", True)
    gate.decide()
    disk.fault = Fault(operation="write", at=0, error=errno.ENOSPC, for_ever=True)
    with pytest.raises(DecisionRefused, match="could not be kept"), gate.execution():
        ran = True
    log.close()

    assert not ran
    assert _kept(inner, tmp_path, seed=1) == {gate.id}
