"""A verification that goes on from where an earlier one got to: the same verdict, and what was noted is never believed blindly."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.attack.conftest import Case
from whence.errors import CorruptError, StoreError
from whence.proof import keyring
from whence.proof.keyring import make_signer
from whence.proof.policies import parse_policy
from whence.proof.resuming import Noted, read_noted, write_noted
from whence.proof.sealing import seal
from whence.proof.verifying import verify


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def _grow(case: Case, many: int = 3) -> None:
    with whence.open(case.folder) as log:
        for number in range(many):
            log.emit("ops", "more", data={"number": number})
    case.seal()


def test_what_is_new_is_looked_at_and_the_rest_is_remembered(case: Case, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    first = verify(case.folder, keys=[case.vkey], resume=noted)
    assert (first.is_verified, first.resumed) == (True, None)
    for _ in range(3):
        _grow(case)
        looked = list[int]()
        report = verify(
            case.folder, keys=[case.vkey], resume=noted,
            progress=lambda done, _, looked=looked: looked.append(done),  # type: ignore[misc]
        )  # fmt: skip
        whole = verify(case.folder, keys=[case.vkey])
        assert report.is_verified, report.problems
        assert report.resumed is not None
        assert max(looked) < case.segment.stat().st_size // 2
        for name in (
            "size",
            "root",
            "payloads",
            "private",
            "files",
            "fragments",
            "lost",
            "key",
            "left_open",
        ):
            assert getattr(report, name) == getattr(whole, name), name


def test_one_that_was_interrupted_anywhere_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".whence"
    signer = keyring.make_key(tmp_path / "keys", folder, "whence/many")
    with whence.open(folder) as log:
        for number in range(12):
            log.emit("ops", "note", data={"number": number})
            seal(folder, signer)
    seal(folder, signer)
    monkeypatch.setattr("whence.proof.verifying._NOTE_EVERY_S", 0.0)
    for stop in range(1, 13):
        noted, calls = tmp_path / f"noted{stop}", 0

        def interrupt(_done: int, _in_all: int, stop: int = stop) -> None:
            nonlocal calls
            calls += 1
            if calls == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            verify(folder, keys=[signer.key.verifier()], resume=noted, progress=interrupt)
        report = verify(folder, keys=[signer.key.verifier()], resume=noted)
        assert report.is_verified, report.problems
        assert (report.resumed is not None) == (stop > 1)


def test_another_history_before_what_was_noted_is_broken_all_the_same(
    case: Case, tmp_path: Path
) -> None:
    """The root of all is compared: what was looked at then has to be what is signed now."""
    noted = tmp_path / "noted"
    verify(case.folder, keys=[case.vkey], resume=noted)
    other = tmp_path / "other"
    other.mkdir()
    forged = Case(other)
    _grow(forged)
    report = verify(forged.folder, resume=noted)
    assert report.is_broken


def test_a_log_that_is_shorter_than_what_was_noted_is_an_alarm_and_another_log_is_refused(
    case: Case, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    verify(case.folder, resume=noted)
    found = read_noted(noted)
    assert found is not None
    found.tree.size += 1
    found.tree.tails[0] += bytes(32)
    write_noted(noted, found)
    report = verify(case.folder, resume=noted)
    assert report.is_broken
    assert "were verified before" in report.problems[0].message
    found.report.origin = "whence/another"
    write_noted(noted, found)
    report = verify(case.folder, resume=noted)
    assert not report.is_verified
    assert "was noted of whence/another" in report.problems[0].message


def test_what_was_broken_stays_broken(case: Case, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    case.edit(lambda content: content.replace(b'"number":30', b'"number":31'))
    first = verify(case.folder, keys=[case.vkey], resume=noted)
    _grow(case)
    assert first.is_broken
    assert verify(case.folder, keys=[case.vkey], resume=noted).is_broken


def test_a_checkpoint_that_was_not_asked_for_then_is_proven_from_the_beginning(
    case: Case, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    verify(case.folder, resume=noted)
    _grow(case)
    found = read_noted(noted)
    assert found is not None
    found.roots.clear()
    write_noted(noted, found)
    report = verify(case.folder, since=case.old, resume=noted)
    assert (report.is_verified, report.resumed) == (True, None)
    assert report.proven_since is not None


def test_what_a_policy_said_is_of_one_verification_and_hides_behind_no_other(
    case: Case, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    stranger = make_signer("whence/other").verifier()
    wrong = parse_policy(f"log {stranger}\nquorum none\n".encode())
    right = parse_policy(f"log {case.vkey}\nquorum none\n".encode())
    for policy, is_verified in ((right, True), (wrong, False), (right, True), (wrong, False)):
        report = verify(case.folder, policy=policy, resume=noted)
        assert report.is_verified == is_verified, report.problems
        assert report.is_broken != is_verified


@given(st.binary(max_size=200))
def test_a_file_that_is_something_else_is_refused(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noted"
        path.write_bytes(content)
        with pytest.raises(CorruptError, match="does not say how far"):
            read_noted(path)


def test_a_tree_that_is_none_a_folder_and_no_file(case: Case, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    assert read_noted(noted) is None
    verify(case.folder, resume=noted)
    good = msgspec.msgpack.decode(noted.read_bytes(), type=Noted)
    for size, tails in ((-1, []), (2**70, []), (good.tree.size, []), (good.tree.size, [b"x"])):
        raw = msgspec.to_builtins(good)
        raw["tree"] = {"size": min(size, 2**63), "tails": tails}
        noted.write_bytes(msgspec.msgpack.encode(raw))
        with pytest.raises(CorruptError):
            read_noted(noted)
    noted.unlink()
    noted.mkdir()
    with pytest.raises(StoreError):
        read_noted(noted)
