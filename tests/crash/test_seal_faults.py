"""Sealing, handing over and erasing on a disk that fails: every writing system call fails once or for ever.

Whatever fails: it is an error that says so, nothing is signed that is not on disk, and once the disk is well the next seal goes on
from there, and all of it is verified.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.errors import WhenceError
from whence.proof import keyring
from whence.proof.folder import TreeFolder
from whence.proof.sealer import Sealer
from whence.proof.settings import ProofSettings
from whence.proof.verifying import verify
from whence.retention import owners_of

_CALLS = ("write", "pwrite", "fsync", "replace", "unlink", "truncate", "open")
_ERRORS = (errno.ENOSPC, errno.EIO)

Act = Callable[[Sealer, whence.Log], object]


def _seal(sealer: Sealer, _log: whence.Log) -> object:
    return sealer.seal()


def _rotate(sealer: Sealer, _log: whence.Log) -> object:
    return sealer.rotate()


def _erase(sealer: Sealer, log: whence.Log) -> object:
    events = [event for event in log.events(whence.Query(target="ada")) if event.data is not None]
    return sealer.erase(events, reason="asked", by="tester")


@contextmanager
def _failing(call: int, error: int, *, for_ever: bool) -> Iterator[list[int]]:
    """Let the call of that number fail, of those that write; the list tells how many there were."""
    seen, struck = 0, 0
    real = {name: getattr(os, name) for name in _CALLS}
    told = [0]

    def wrap(name: str) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            nonlocal seen, struck
            # Reading goes on: it is the disk that is full.
            writes = name != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT)
            if writes:
                number, seen = seen, seen + 1
                told[0] = seen
                if number == call or (for_ever and number > call):
                    struck += 1
                    raise OSError(error, os.strerror(error))
            return real[name](*arguments, **options)

        return act

    for name in _CALLS:
        setattr(os, name, wrap(name))
    try:
        yield told
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _begin(folder: Path) -> ProofSettings:
    settings = ProofSettings(keys=str(folder / "keys"), origin="whence/faults")
    with whence.open(folder / ".whence") as log:
        log.emit("ops", "note", target="ada", data={"text": "the-secret"})
        Sealer(log.folder, settings, lambda: log.recorder, owners=owners_of(log)).seal()
        log.emit("ops", "note", target="ada", data={"text": "the-secret"})
        log.emit("ops", "note", target="bob", data={"text": "nothing"})
    return settings


def _strike(folder: Path, act: Act, call: int, error: int, *, for_ever: bool) -> bool:
    """Let one call fail while something is done, then do it again; whether the call was reached."""
    folder.mkdir()
    settings = _begin(folder)
    log_folder, heads = folder / ".whence", []
    with whence.open(log_folder) as log:
        sealer = Sealer(log_folder, settings, lambda: log.recorder, owners=owners_of(log))
        first = sealer.signer().key.verifier()
        log.recorder  # noqa: B018 made before anything fails
        log.emit("ops", "note", target="bob", wait=True)
        # Whatever the system says, it is told as an error of ours.
        with _failing(call, error, for_ever=for_ever) as told, suppress(WhenceError):
            act(sealer, log)
        reached = told[0] > call
        head = keyring.need_signer(folder / "keys", log_folder, "whence/faults").head()
        assert head is not None
        heads.append(head)
        # A new one, as after a restart; what was begun is finished by whoever seals next.
        again = Sealer(log_folder, settings, lambda: log.recorder, owners=owners_of(log))
        again.seal()
        act(again, log)
        final = again.seal()
        assert final is not None
        heads.append(final.checkpoint)
    tree = TreeFolder(log_folder)
    for each in heads:
        assert tree.hash(0, each.size) == each.root
    assert heads[0].size <= heads[1].size
    report = verify(log_folder, keys=[first])
    assert not report.is_broken, report.problems
    if act is _erase:
        content = b"".join(path.read_bytes() for path in (log_folder / "journal").iterdir())
        assert b"the-secret" not in content
    return reached


@pytest.mark.parametrize("act", [_seal, _rotate, _erase])
def test_whatever_fails_the_next_seal_goes_on_and_all_is_verified(
    act: Act, tmp_path: Path, full: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="whence")
    strikes, call = 0, 0
    while True:
        reached = False
        for error in _ERRORS if full else (_ERRORS[call % 2],):
            for for_ever in (False, True):
                folder = tmp_path / f"{call}-{error}-{for_ever}"
                reached |= _strike(folder, act, call, error, for_ever=for_ever)
        if not reached:
            break
        strikes += 1
        call += 1 if full else 2
    assert strikes > 5


def test_a_tree_that_is_not_written_and_yet_signed_makes_the_table_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a sealer that does not listen to the disk."""
    real = TreeFolder._grow

    def deaf(self: TreeFolder, name: str, content: bytes) -> None:
        with suppress(WhenceError):
            real(self, name, content)

    monkeypatch.setattr(TreeFolder, "_grow", deaf)
    failed = 0
    for call in range(25):
        try:
            _strike(tmp_path / str(call), _seal, call, errno.ENOSPC, for_ever=False)
        except (AssertionError, WhenceError):
            failed += 1
    assert failed
