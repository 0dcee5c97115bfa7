"""A signer under another user: who records never has the key, who signs never writes to the journal, and both can verify."""

import codecs
import os
import shutil
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import whence
from whence.errors import StoreError
from whence.proof import keyring
from whence.proof.proving import Prover
from whence.proof.sealer import Sealer
from whence.proof.settings import ProofSettings
from whence.proof.verifying import verify

_RECORDS, _SIGNS, _GROUP = 60_001, 60_002, 100

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root becomes other users")


@pytest.fixture
def root() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    os.chown(made, _RECORDS, _GROUP)
    made.chmod(0o750)
    for name, user in (("signer", _SIGNS), ("recorder", _RECORDS)):
        (made / name).mkdir(mode=0o700)
        os.chown(made / name, user, user)
    yield made
    shutil.rmtree(made)


def _as(user: int, act: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([_GROUP])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            os.umask(0o077)
            act()
            os._exit(0)
        except BaseException:  # noqa: BLE001 told to the test
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_records_and_another_signs_and_both_verify(root: Path) -> None:
    import grp

    folder = root / ".whence"
    (root / "whence.toml").write_text(f'[journal]\ngroup = "{grp.getgrgid(_GROUP).gr_name}"\n')
    (root / "whence.toml").chmod(0o644)
    settings = ProofSettings(keys=str(root / "signer" / "keys"), origin="whence/two")

    def record() -> None:
        with whence.open(folder) as log:
            for number in range(5):
                log.emit("ops", "note", target=f"t{number}", data={"number": number})

    def sign() -> None:
        with whence.open(folder) as log:
            sealed = Sealer(folder, settings, lambda: log.recorder).seal()
        assert sealed is not None
        assert sealed.is_new

    def look() -> None:
        report = verify(folder, keys=[key])
        assert report.is_verified, report.problems
        assert Prover(folder).prove(2).line

    def rotate() -> None:
        with whence.open(folder) as log, pytest.raises(StoreError):
            Sealer(folder, settings, lambda: log.recorder).rotate()

    def take_away() -> None:
        with pytest.raises(PermissionError):
            next((folder / "journal").iterdir()).unlink()
        with pytest.raises(PermissionError):
            (folder / "journal").rename(folder / "elsewhere")

    # Loads all that is needed: other users may not be able to read where this Python is.
    _rehearse(root / "rehearsal")
    _as(_RECORDS, record)
    _as(_SIGNS, sign)
    _as(_RECORDS, record)
    _as(_SIGNS, sign)
    key = keyring.need_signer(root / "signer" / "keys", folder, "whence/two").key.verifier()
    for user in (_RECORDS, _SIGNS):
        _as(user, look)
    _as(_SIGNS, take_away)
    # A change of the key is told in the journal: refused before anything is begun.
    _as(_SIGNS, rotate)
    _as(_RECORDS, record)
    _as(_SIGNS, sign)
    _as(_RECORDS, look)
    # The lock is the sealer's alone.
    for path in {*(folder / "tree").iterdir()} - {folder / "tree" / "lock"}:
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def _rehearse(folder: Path) -> None:
    codecs.lookup("ascii")
    settings = ProofSettings(keys=str(folder / "keys"))
    with whence.open(folder) as log:
        log.emit("ops", "note")
        sealer = Sealer(folder, settings, lambda: log.recorder)
        sealer.seal()
        sealer.rotate()
    assert verify(folder).is_verified
    assert Prover(folder).prove(1).line
