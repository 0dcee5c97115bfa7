"""The power goes while a log is sealed, erased and handed over: what was not synced is gone, as if it had never been written.

What would be left is taken after each sync: every file as it was synced last, under the names that its folder had when that was. From
each of these the next seal goes on: nothing that was signed is missing, and no head is signed that does not extend the ones before.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import whence
from whence.errors import WhenceError
from whence.proof import keyring, sealing
from whence.proof.folder import TreeFolder
from whence.proof.sealer import Sealer
from whence.proof.settings import ProofSettings
from whence.proof.verifying import verify
from whence.retention import owners_of

_ORIGIN = "whence/power"


class Remembering:
    """What a disk would still have after a power cut: contents by file, names by folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._contents: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        self.states = 0

    def sync(self, fd: int) -> None:
        """Remember a file's content, or a folder's names, as they are now."""
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        if path.is_relative_to(self.root):
            status = os.fstat(fd)
            if path.is_dir():
                self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
            else:
                self._contents[status.st_ino] = path.read_bytes()
            self.states += 1

    def sync_all(self) -> None:
        """What was there before is on disk."""
        for path in (self.root, *self.root.rglob("*")):
            if path.is_dir():
                self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
            else:
                self._contents[path.stat().st_ino] = path.read_bytes()

    def write(self, target: Path) -> None:
        """Lay out what would be left, from the root on by names that were synced."""
        self._write(self.root, target)

    def _write(self, folder: Path, target: Path) -> None:
        target.mkdir()
        for name, inode in self._names.get(folder, {}).items():
            if folder / name in self._names or (folder / name).is_dir():
                self._write(folder / name, target / name)
            else:
                (target / name).write_bytes(self._contents.get(inode, b""))
                if folder.name == "keys":
                    (target / name).chmod(0o600)


@contextmanager
def _remembering(disk: Remembering, after: Callable[[], None]) -> Iterator[None]:
    real = {name: getattr(os, name) for name in ("fsync", "fdatasync")}

    def wrap(name: str) -> Callable[[int], None]:
        def act(fd: int) -> None:
            real[name](fd)
            disk.sync(fd)
            after()

        return act

    for name in real:
        setattr(os, name, wrap(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _seal(sealer: Sealer, _log: whence.Log) -> object:
    return sealer.seal()


def _rotate(sealer: Sealer, _log: whence.Log) -> object:
    return sealer.rotate()


def _erase(sealer: Sealer, log: whence.Log) -> object:
    return sealer.erase(list(log.events(whence.Query(target="ada"))), reason="asked", by="tester")


def _check(left: Path, signed: list[tuple[int, bytes]]) -> None:
    """Go on from what is left, and see that all that was signed is still there."""
    folder = left / ".whence"
    settings = ProofSettings(keys=str(left / "keys"), origin=_ORIGIN)
    with whence.open(folder) as log:
        log.emit("ops", "after")
        sealed = Sealer(folder, settings, lambda: log.recorder, owners=owners_of(log)).seal()
        assert sealed is not None
    tree = TreeFolder(folder)
    for size, root in signed:
        assert size <= sealed.checkpoint.size
        assert tree.hash(0, size) == root
    report = verify(folder)
    assert not report.is_broken, report.problems


def _run(
    tmp_path: Path, act: Callable[[Sealer, whence.Log], object], *, is_first: bool = False
) -> int:
    root = tmp_path / "disk"
    root.mkdir()
    folder = root / ".whence"
    settings = ProofSettings(keys=str(root / "keys"), origin=_ORIGIN)
    with whence.open(folder) as log:
        sealer = Sealer(folder, settings, lambda: log.recorder, owners=owners_of(log))
        log.emit("ops", "note", target="ada", data={"text": "the-secret"})
        if not is_first:
            sealer.seal()
        disk = Remembering(root)
        if not is_first:
            disk.sync_all()
        log.emit("ops", "note", target="ada", data={"text": "the-secret"})
        # Another process begins a segment that nobody syncs.
        [segment] = (folder / "journal").iterdir()
        with open(segment, "rb") as file:
            first = file.readline()
        other = first.replace(b'"w":"', b'"w":"z', 1)
        at = other.index(b'"w":"z') + 6
        other = other[: other.index(b'"', at) - 1] + other[other.index(b'"', at) :]
        other = other.replace(b'"id":"0', b'"id":"1', 1)
        (folder / "journal" / f"{segment.stem[:-1]}9.jsonl").write_bytes(other)
        # What anybody has seen signed: a head that left the signer.
        signed: list[tuple[int, bytes]] = []
        shown = 0

        def after() -> None:
            nonlocal shown
            signer = keyring.find_signer(root / "keys", folder, _ORIGIN)
            head = signer.head() if signer is not None else None
            left = tmp_path / f"left{disk.states}"
            disk.write(left)
            _check(left, signed)
            shutil.rmtree(left)
            if head is not None and (head.size, head.root) not in signed:
                signed.append((head.size, head.root))
                shown += 1

        with _remembering(disk, _once(after)):
            act(sealer, log)
    assert shown > 0
    return disk.states


def _once(after: Callable[[], None]) -> Callable[[], None]:
    """What is looked at syncs, too, and is not looked at."""
    is_inside = False

    def act() -> None:
        nonlocal is_inside
        if not is_inside:
            is_inside = True
            try:
                after()
            finally:
                is_inside = False

    return act


@pytest.mark.parametrize("act", [_seal, _erase, _rotate])
def test_whatever_a_power_cut_leaves_is_gone_on_from(
    tmp_path: Path, act: Callable[[Sealer, whence.Log], object]
) -> None:
    assert _run(tmp_path, act) > 10


def test_nor_does_it_lose_what_a_first_seal_signed(tmp_path: Path) -> None:
    assert _run(tmp_path, _seal, is_first=True) > 10


def test_a_sealer_that_does_not_sync_segments_makes_it_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same table, and a protection that is off."""
    monkeypatch.setattr(sealing, "_sync_segment", lambda _folder, _name: None)
    with pytest.raises((AssertionError, WhenceError)):
        _run(tmp_path, _seal)
