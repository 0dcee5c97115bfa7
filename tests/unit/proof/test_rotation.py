"""A log's key is handed over: who trusts the old one is led to the new one, and the old one signs nothing more that is believed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.proof import keyring
from whence.proof.keyring import Signer, make_signer
from whence.proof.keys import SignerKey, VerifierKey
from whence.proof.notes import parse_note, sign_note, verify_note
from whence.proof.sealer import Sealer
from whence.proof.sealing import CHECKPOINT, read_checkpoint
from whence.proof.settings import ProofSettings
from whence.proof.succession import Succession, announce
from whence.proof.verifying import verify


class Case:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".whence"
        self.keys = folder / "keys"
        self.settings = ProofSettings(keys=str(self.keys), origin="whence/turned")
        self.seal()

    @property
    def signer(self) -> Signer:
        return keyring.need_signer(self.keys, self.folder, "whence/turned")

    def seal(self) -> None:
        with whence.open(self.folder) as log:
            log.emit("ops", "claim_task", data={"number": 1})
            Sealer(self.folder, self.settings, lambda: log.recorder).seal()

    def rotate(self) -> None:
        with whence.open(self.folder) as log:
            Sealer(self.folder, self.settings, lambda: log.recorder).rotate()

    def check(self, key: VerifierKey | None = None) -> list[str]:
        report = verify(self.folder, keys=[key] if key is not None else [])
        return [each.message for each in report.problems]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_who_trusts_the_old_key_is_led_to_the_new_one(case: Case) -> None:
    first = case.signer.key.verifier()
    case.rotate()
    second = case.signer.key.verifier()
    shown = read_checkpoint(case.folder)
    assert shown is not None
    assert len(verify_note(shown[0], [first, second])) == 2
    case.seal()
    case.rotate()
    case.seal()
    third = case.signer.key.verifier()

    assert len({first, second, third}) == 3
    for key in (None, first, second, third):
        assert case.check(key) == []
    report = verify(case.folder, keys=[first])
    assert report.key == str(third)
    assert not list(case.keys.glob("*.next"))


def test_a_later_head_of_the_old_key_is_refused(case: Case) -> None:
    old = case.signer.key
    case.rotate()
    case.seal()
    note = parse_note((case.folder / CHECKPOINT).read_bytes())
    (case.folder / CHECKPOINT).write_bytes(str(sign_note(note.text, [old])).encode())

    for key in (None, old.verifier()):
        assert "not signed by" in case.check(key)[0]
    # And the sealer takes it for what it is.
    with (
        whence.open(case.folder) as log,
        pytest.raises(whence.WhenceError, match="is not signed with the key"),
    ):
        Sealer(case.folder, case.settings, lambda: log.recorder).seal()


def test_nobody_else_hands_the_log_over(case: Case) -> None:
    """Whoever can write to the journal can write a `key` event; without the old key's signature it says nothing."""
    old, stranger = case.signer.key, make_signer("whence/turned")
    with whence.open(case.folder) as log:
        log.recorder.emit_own("key", announce(stranger.verifier()))
        log.recorder.emit_own("key", announce(stranger.verifier(), stranger))
        forged = announce(stranger.verifier(), stranger)
        log.recorder.emit_own("key", {**forged, "by": old.verifier().key_id.hex()})
        odd: list[Any] = [
            None,
            [],
            {},
            {"vkey": 1},
            {**forged, "signature": 7},
            {**forged, "vkey": "x"},
        ]
        for each in odd:
            log.recorder.emit_own("key", each)
    case.seal()
    assert case.check() == case.check(old.verifier()) == []

    note = parse_note((case.folder / CHECKPOINT).read_bytes())
    (case.folder / CHECKPOINT).write_bytes(str(sign_note(note.text, [stranger])).encode())
    for key in (None, old.verifier()):
        assert "not signed by" in case.check(key)[0]


def test_an_announcement_is_of_one_key(case: Case) -> None:
    one, two, three = (SignerKey("n", bytes([number]) * 32) for number in range(3))
    told = announce(two.verifier(), one)
    succession = Succession([one.verifier()])
    succession.take(5, {**told, "vkey": str(three.verifier())})
    assert succession.keys_at(100) == [one.verifier()]
    succession.take(5, told)

    assert succession.keys_at(6) == [two.verifier()]
    assert set(succession.keys_at(5)) == {two.verifier(), one.verifier()}


_WORKER = """
import os, sys
from pathlib import Path
import whence
from whence.proof.sealer import Sealer
from whence.proof.settings import ProofSettings
folder, keys, stop_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0
def die(real):
    def wrapped(*args, **kwargs):
        global seen
        if seen == stop_at:
            os.kill(os.getpid(), 9)
        seen += 1
        return real(*args, **kwargs)
    return wrapped
with whence.open(folder) as log:
    sealer = Sealer(folder, ProofSettings(keys=keys, origin="whence/turned"), lambda: log.recorder)
    sealer.seal()
    for name in ("write", "fsync", "replace", "unlink", "fdatasync"):
        setattr(os, name, die(getattr(os, name)))
    sealer.rotate()
"""


def test_whenever_it_is_killed_the_log_goes_on_and_is_verified(tmp_path: Path, full: bool) -> None:
    step, ended = 0, -9
    while ended:
        (tmp_path / str(step)).mkdir()
        case = Case(tmp_path / str(step))
        first = case.signer.key.verifier()
        ended = subprocess.run(
            [sys.executable, "-c", _WORKER, str(case.folder), str(case.keys), str(step)],
            check=False,
        ).returncode
        assert ended in (0, -9)
        case.seal()
        assert [each for each in case.check(first) if "counted" not in each] == [], step
        case.rotate()
        case.seal()
        assert [each for each in case.check(first) if "counted" not in each] == [], step
        assert case.signer.key.verifier() != first
        step += 1 if full else 4
    assert step > 10


def test_the_command_rotates(case: Case) -> None:
    before = case.signer.key.verifier()
    environment = {**os.environ, "WHENCE_KEYS": str(case.keys)}
    command = [sys.executable, "-m", "whence", "-C", str(case.folder), "seal", "--rotate"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert said.returncode == 0, said.stderr
    assert said.stdout.count("\u2014") == 2
    assert case.signer.key.verifier() != before
    assert (
        subprocess.run([*command, "--follow"], env=environment, capture_output=True).returncode == 2
    )


def test_who_trusts_the_newest_key_believes_what_those_before_it_signed_until_then() -> None:
    one, two, three, forger = (SignerKey("n", bytes([number]) * 32) for number in range(4))
    succession = Succession([three.verifier()])
    succession.take(0, announce(one.verifier()))
    succession.take(5, announce(two.verifier(), one))
    succession.take(6, announce(forger.verifier(), forger))
    succession.take(9, announce(three.verifier(), two))

    assert succession.keys_at(10) == [three.verifier()]
    assert set(succession.keys_at(9)) == {three.verifier(), two.verifier()}
    assert set(succession.keys_at(5)) == {each.verifier() for each in (one, two, three)}


def test_what_a_crash_kept_from_being_shown_is_shown_as_both_keys_signed_it(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    first = case.signer.key.verifier()
    for step in ("keep_checkpoint", "_take"):
        # Between the signature and its showing; and after it was shown by who goes on, before both sign again.
        monkeypatch.setattr(f"whence.proof.sealing.{step}", die)
        with pytest.raises(KeyboardInterrupt):
            case.rotate() if step == "keep_checkpoint" else case.seal()
        monkeypatch.undo()
        if step == "keep_checkpoint":
            # The seal before the change may have been the one that died.
            with pytest.raises(KeyboardInterrupt):
                _die_at_the_second(case, monkeypatch, die)
            monkeypatch.undo()
        assert case.check(first) == []
    case.seal()
    assert case.check(first) == []


def _die_at_the_second(case: Case, monkeypatch: pytest.MonkeyPatch, die: Any) -> None:
    from whence.proof import sealing

    calls, keep = 0, sealing.keep_checkpoint

    def act(*arguments: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        (die if calls == 2 else keep)(*arguments, **options)

    monkeypatch.setattr(sealing, "keep_checkpoint", act)
    case.rotate()
