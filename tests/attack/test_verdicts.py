"""What a verdict rests on: nothing that could not be looked at hides what is broken, and nobody is believed who was not named."""

import json
import os
from pathlib import Path
from struct import Struct

import whence
from tests.attack.conftest import Case
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
