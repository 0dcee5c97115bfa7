"""A sealed log to attack, the checkpoints that an auditor kept, and the verdicts."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import whence
from whence.proof import keyring
from whence.proof.keyring import Signer
from whence.proof.keys import VerifierKey
from whence.proof.notes import Note
from whence.proof.report import Report
from whence.proof.sealing import seal
from whence.proof.verifying import verify
from whence.runs.commitments import check_saved

BLOB = "b" * 70_000


class Case:
    """One log, sealed twice, with a blob, a private event, a fragment, and a run's file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".whence"
        self.keys = folder / "keys"
        self.signer: Signer = keyring.make_key(self.keys, self.folder, "whence/attacked")
        with whence.open(self.folder) as log:
            log.recorder.emit_own("key", {"vkey": str(self.signer.key.verifier())})
            for number in range(20):
                log.emit(
                    "ops", "claim_task", agent="ada", target=f"t{number}", data={"number": number}
                )
            log.emit("ops", "large", data={"text": BLOB})
            log.emit("ops", "secret", data={"text": "s"}, private=True)
            with log.run("forecast", {"turn": 1}) as run:
                run.result({"trust": 0.5})
        self.old = self.seal()
        with whence.open(self.folder) as log:
            for number in range(20, 40):
                log.emit(
                    "ops", "claim_task", agent="bob", target=f"t{number}", data={"number": number}
                )
        with open(self.segment, "ab") as file:
            file.write(b'{"id":"torn\n')
        self.seal()
        with whence.open(self.folder) as log:
            self.report_fragment(log)
        self.new = self.seal()

    def report_fragment(self, log: whence.Log) -> None:
        from hashlib import sha256

        offset = self.segment.read_bytes().index(b'{"id":"torn\n')
        raw = b'{"id":"torn'
        log.recorder.emit_own(
            "fragment",
            {"segment": self.segment.stem, "offset": offset, "length": len(raw),
             "sha256": sha256(raw).hexdigest()},
        )  # fmt: skip

    @property
    def segment(self) -> Path:
        """The first segment."""
        return min((self.folder / "journal").iterdir())

    @property
    def vkey(self) -> VerifierKey:
        """The log's key, as an auditor has it."""
        return self.signer.key.verifier()

    def seal(self) -> Note:
        """Seal what there is; return the checkpoint."""
        sealed = seal(self.folder, self.signer)
        assert sealed is not None
        return sealed.note

    def edit(self, change: Callable[[bytes], bytes]) -> None:
        """Change the journal's bytes behind everybody's back."""
        content = self.segment.read_bytes()
        changed = change(content)
        assert changed != content
        self.segment.write_bytes(changed)

    def verify(self, *, since: Note | None = None, head: bool = False, key: bool = True) -> Report:
        """What an auditor is told."""
        runs = self.folder / "runs"
        return verify(
            self.folder, keys=[self.vkey] if key else [], since=since,
            head=self.signer.head() if head else None, check_file=lambda event: check_saved(event, runs),
        )  # fmt: skip


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A log to attack; before anything is done to it, it is verified."""
    made = Case(tmp_path)
    report = made.verify(since=made.old, head=True)
    assert report.is_verified, msgspec.to_builtins(report.problems)
    assert (report.fragments, report.private, report.files, report.unsealed) == (1, 1, 1, 0)
    return made
