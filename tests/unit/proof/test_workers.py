"""Looking at a log on all cores: the same verdict, and the program that asks is not run again."""

import subprocess
import sys
from pathlib import Path

import whence
from whence.proof import keyring
from whence.proof.folder import TreeFolder
from whence.proof.sealing import seal
from whence.proof.verifying import verify
from whence.proof.workers import _Worker, look_at_all

_SCRIPT = """
import sys, whence
from pathlib import Path
from whence.proof.verifying import verify
with open(sys.argv[2], "a") as file:
    file.write("ran\\n")
print(verify(Path(sys.argv[1]), workers=2).is_verified)
"""


def _make(tmp_path: Path) -> Path:
    folder = tmp_path / ".whence"
    signer = keyring.make_key(tmp_path / "keys", folder, "whence/many")
    with whence.open(folder) as log:
        log.recorder.emit_own("key", {"vkey": str(signer.key.verifier())})
        for number in range(12):
            log.emit("ops", "note", data={"number": number})
            seal(folder, signer)
    seal(folder, signer)
    return folder


def test_a_script_without_a_guard_is_run_once(tmp_path: Path) -> None:
    folder = _make(tmp_path)
    (tmp_path / "script.py").write_text(_SCRIPT)
    said = subprocess.run(
        [sys.executable, "script.py", str(folder), "ran.txt"], cwd=tmp_path, capture_output=True, text=True
    )  # fmt: skip
    assert (said.stdout, said.stderr) == ("True\n", "")
    assert (tmp_path / "ran.txt").read_text() == "ran\n"


def test_what_many_find_is_what_one_finds(tmp_path: Path) -> None:
    folder = _make(tmp_path)
    [segment] = (folder / "journal").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b'"number":7', b'"number":8'))
    one, two = (verify(folder, workers=workers) for workers in (1, 2))

    assert one.is_broken
    assert (one.problems, one.payloads, one.key) == (two.problems, two.payloads, two.key)


def test_one_that_dies_is_nobodys_loss(tmp_path: Path) -> None:
    folder = _make(tmp_path)
    ranges = TreeFolder(folder).ranges()
    worker = _Worker()
    worker._process.kill()
    worker._process.wait()
    looked = worker.look(folder, ranges[0])
    worker.close()

    assert looked == next(look_at_all(folder, ranges, 2))
