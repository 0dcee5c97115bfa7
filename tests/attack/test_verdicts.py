"""What a verdict rests on: nothing that could not be looked at hides what is broken, and nobody is believed who was not named."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from struct import Struct

import pytest

import whence
from tests.attack.conftest import Case
from whence.errors import StoreError
from whence.proof import keyring
from whence.proof.policies import parse_policy
from whence.proof.sealing import seal
from whence.proof.verifying import verify

_PLACE = Struct(">Q")


def _insert_behind_the_first_line(case: Case, raw: bytes) -> None:
    """Put bytes into the sealed journal, and move all that is not signed along with it."""
    at = case.segment.read_bytes().index(b"\n") + 1
    case.edit(lambda content: content[:at] + raw + content[at:])
    entries = case.folder / "tree" / "entries"
    places = [place for (place,) in _PLACE.iter_unpack(entries.read_bytes())]
    moved = [place + len(raw) if place >= at else place for place in places]
    entries.write_bytes(b"".join(map(_PLACE.pack, moved)))
    ranges = case.folder / "tree" / "ranges"
    lines = []
    for line in ranges.read_text().splitlines():
        name, start, end, first, size = line.split()
        start, end = (str(int(each) + len(raw) if int(each) >= at else int(each)) for each in (start, end))  # fmt: skip
        lines.append(f"{name} {start} {end} {first} {size}\n")
    ranges.write_text("".join(lines))


def test_a_line_that_is_no_event_and_that_nobody_reported_is_not_verified(case: Case) -> None:
    first = case.segment.read_bytes().split(b"\n")[0]
    forged = first.replace(b'{"id":"', b'{"evil":1,"id":"', 1) + b"\n"
    assert json.loads(forged)["evil"] == 1
    _insert_behind_the_first_line(case, forged)
    report = case.verify()

    assert not report.is_verified
    assert any("no sealed event reports them" in each.message for each in report.problems)


def test_a_hundred_that_cannot_be_read_do_not_hide_one_that_is_broken(tmp_path: Path) -> None:
    folder = tmp_path / ".whence"
    signer = keyring.make_key(tmp_path / "keys", folder, "whence/blobs")
    with whence.open(folder) as log:
        for number in range(205):
            log.emit("ops", "large", data={"text": f"{number}" + "x" * 70_000})
        log.emit("ops", "small", data={"text": "honest"})
    seal(folder, signer)
    for blob in (folder / "blobs").iterdir():
        blob.unlink()
        blob.mkdir()
    [segment] = (folder / "journal").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"honest", b"forged"))
    report = verify(folder, keys=[signer.key.verifier()])

    assert report.is_broken
    assert report.problems[0].position == 206


def test_a_policy_says_whom_to_believe_and_nobody_else_does(case: Case, tmp_path: Path) -> None:
    other = keyring.make_key(tmp_path / "others", tmp_path / "b", "whence/other").key.verifier()
    same_name = keyring.make_key(tmp_path / "forgers", tmp_path / "c", "whence/attacked")
    for text in (f"log {other}\n", f"log {same_name.key.verifier()}\n", ""):
        policy = parse_policy(f"{text}quorum none\n".encode())
        assert verify(case.folder, policy=policy).is_broken
        assert verify(case.folder, policy=policy, keys=[case.vkey]).is_broken
    policy = parse_policy(f"log {case.vkey}\nquorum none\n".encode())
    report = verify(case.folder, policy=policy)
    assert (report.is_verified, report.key_from) == (True, "the policy")
    assert verify(case.folder, policy=policy, keys=[case.vkey]).is_verified


def test_a_checkpoint_that_was_removed_is_an_alarm_by_what_the_signer_says(case: Case) -> None:
    (case.folder / "checkpoint").unlink()
    report = case.verify(head=True)

    assert report.is_broken
    assert "it was removed" in report.problems[0].message


def test_files_that_cannot_be_read_are_said_and_the_rest_is_looked_at(case: Case) -> None:
    for name in ("tree/0", "tree/entries", "checkpoints.jsonl", "runs"):
        path = case.folder / name
        path.rename(aside := path.with_name("aside"))
        if name == "runs":
            aside_file = next(aside.iterdir()).name
            path.mkdir()
            (path / aside_file).mkdir()
        else:
            path.mkdir()
        report = case.verify()
        assert not report.is_verified, name
        assert not report.is_broken, (name, report.problems)
        content = case.segment.read_bytes()
        case.edit(lambda content: content.replace(b'"number":7', b'"number":8'))
        assert case.verify().is_broken, name
        case.segment.write_bytes(content)
        for each in path.iterdir():
            each.rmdir()
        path.rmdir()
        aside.rename(path)
    assert case.verify().is_verified


def test_what_stands_above_the_signed_size_is_told(case: Case) -> None:
    with open(case.folder / "tree" / "0", "ab") as file:
        file.write(os.urandom(64))
    report = case.verify()

    assert (report.is_verified, report.above) == (True, 2)


def test_what_was_erased_while_it_was_looked_at_is_not_broken(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whence.proof.folder import Taken
    from whence.proof.looking import Looked, look
    from whence.proof.sealer import Sealer
    from whence.proof.settings import ProofSettings

    settings = ProofSettings(keys=str(case.keys), origin="whence/attacked")
    with whence.open(case.folder) as log:
        sealer = Sealer(case.folder, settings, lambda: log.recorder)
        events = list(log.events(whence.Query(target="t7")))

        def look_late(folder: Path, taken: Taken) -> Looked:
            if events:
                sealer.erase([events.pop()], reason="asked", by="tester")
            return look(folder, taken)

        monkeypatch.setattr("whence.proof.verifying.look", look_late)
        report = case.verify()
    assert (report.is_verified, report.erased) == (True, 1), report.problems


def test_nobody_is_licensed_to_take_away_what_comes_later(case: Case) -> None:
    with whence.open(case.folder) as log:
        log.recorder.emit_own("erased", {"positions": [[0, 2**62]], "intent": "x"})
        log.emit("ops", "note", data={"text": "later"})
    case.seal()
    assert case.verify().is_verified
    from whence.line import decode_line, sealed_entry

    line = next(each for each in case.segment.read_bytes().split(b"\n") if b'"later"' in each)
    entry = sealed_entry(decode_line(line)).ljust(len(line))
    case.edit(lambda content: content.replace(line, entry))
    report = case.verify()

    assert report.is_broken
    assert "no sealed event says that it was erased" in report.problems[0].message


def test_reports_of_any_shape_are_read(case: Case) -> None:
    with whence.open(case.folder) as log:
        for offset in ([1], {"a": 1}, None, "x", 2**70):
            log.recorder.emit_own("fragment", {"segment": "x", "offset": offset, "length": 1})
            log.recorder.emit_own("erased", {"positions": [offset], "fragments": [[offset, 1, 1]]})
    case.seal()
    assert not case.verify().problems[0].message.startswith("Traceback")


def test_another_log_in_its_place_is_an_alarm_for_who_has_its_key(
    case: Case, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    with whence.open(foreign) as log:
        log.emit("ops", "note")
    seal(foreign, keyring.make_key(tmp_path / "others", foreign, "whence/foreign"))
    case.folder.rename(tmp_path / "aside")
    foreign.rename(case.folder)
    said = subprocess.run(
        [sys.executable, "-m", "whence", "verify", "--dir", str(case.folder)],
        env=os.environ | {"WHENCE_KEYS": str(case.keys)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 1, said
    assert "BROKEN" in said.stdout


def test_a_writer_that_begins_with_something_else_than_its_opening_is_named(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ".whence"
    signer = keyring.make_key(tmp_path / "keys", folder, "whence/opening")
    with whence.open(folder) as log:
        log.emit("ops", "note")
    [segment] = (folder / "journal").iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    note = next(line for line in lines if b'"type":"note"' in line)
    forged = note.replace(b'"n":1', b'"n":0').replace(b'"w":"', b'"w":"zz', 1)
    at = forged.index(b'"w":"zz') + 7
    end = forged.index(b'"', at)
    forged = forged[: end - 2] + forged[end:]
    segment.write_bytes(b"".join(lines) + forged)
    seal(folder, signer)
    report = verify(folder, keys=[signer.key.verifier()])

    assert any("something else than its opening" in each.message for each in report.problems)


@pytest.mark.parametrize(
    "name", ["checkpoint", "checkpoints.jsonl", "tree/0", "tree/ranges", "tree/entries", "run", "segment"]
)  # fmt: skip
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(case: Case, name: str) -> None:
    path = case.folder / name
    if name == "run":
        path = next((case.folder / "runs").glob("*.json"))
    elif name == "segment":
        path = case.segment
    path.unlink()
    os.mkfifo(path)
    if name.startswith("checkpoint"):
        with suppress(StoreError):
            assert not case.verify().is_verified
    else:
        assert not case.verify().is_verified
