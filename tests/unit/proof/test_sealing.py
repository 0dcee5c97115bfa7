"""Sealing: positions, keys outside of the log, one sealer at a time, and nothing signed that is not on disk."""

import hashlib
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion  # type: ignore[import-untyped]

import whence
from whence.errors import CorruptError, NotFoundError, StoreError
from whence.line import decode_line, sealed_entry
from whence.proof import keyring
from whence.proof.folder import TreeFolder
from whence.proof.keyring import Signer
from whence.proof.keys import parse_signer
from whence.proof.notes import verify_note
from whence.proof.sealer import Sealer
from whence.proof.sealing import Sealed, read_history, seal
from whence.proof.settings import ProofSettings
from whence.proof.tree import EMPTY_ROOT
from whence.proof.verifying import verify


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return keyring.make_key(tmp_path / "keys", tmp_path / ".whence", "whence/test")


def _record(tmp_path: Path, many: int = 3) -> None:
    with whence.open(tmp_path / ".whence") as log:
        for number in range(many):
            log.emit("ops", "claim_task", target=f"t{number}", data={"number": number})


def _seal(tmp_path: Path, signer: Signer) -> Sealed:
    sealed = seal(tmp_path / ".whence", signer)
    assert sealed is not None
    return sealed


def test_every_event_gets_one_position_and_keeps_it(tmp_path: Path, signer: Signer) -> None:
    _record(tmp_path)
    first = _seal(tmp_path, signer)
    tree = TreeFolder(tmp_path / ".whence")
    before = list(tree.places(0, first.checkpoint.size))
    _record(tmp_path)
    second = _seal(tmp_path, signer)
    after = list(tree.places(0, second.checkpoint.size))

    assert (first.before, first.checkpoint.size) == (0, 5)
    assert (second.before, second.checkpoint.size) == (5, 10)
    assert after[:5] == before
    for position, (segment, offset) in enumerate(after):
        assert tree.find(segment, offset, 10) == position
    assert tree.find(after[0][0], 1, 10) is None


def test_what_is_new_alone_is_signed(tmp_path: Path, signer: Signer) -> None:
    _record(tmp_path)
    first, again = _seal(tmp_path, signer), _seal(tmp_path, signer)

    assert (first.is_new, again.is_new) == (True, False)
    assert again.note == first.note
    assert len(list(read_history(tmp_path / ".whence"))) == 1


def test_the_tree_is_that_of_another_implementation(tmp_path: Path, signer: Signer) -> None:
    _record(tmp_path, 300)
    sealed = _seal(tmp_path, signer)
    tree = TreeFolder(tmp_path / ".whence")
    [segment] = (tmp_path / ".whence" / "journal").iterdir()
    entries = [sealed_entry(decode_line(line)) for line in segment.read_bytes().splitlines()]
    other = InmemoryTree(algorithm="sha256")
    for entry in entries:
        other.append_entry(entry)
    size = sealed.checkpoint.size

    assert other.get_size() == size == len(entries)
    assert other.get_root() == sealed.checkpoint.root
    for index in (0, 1, 255, 256, size - 1):
        proof = other.prove_inclusion(index + 1, size)
        verify_inclusion(other.get_leaf(index + 1), sealed.checkpoint.root, proof)
        # Theirs begins with the leaf itself.
        assert proof.serialize()["path"][1:] == [each.hex() for each in tree.inclusion(index, size)]
    for old in (1, 200, 256, size):
        assert other.get_root(old) == tree.hash(0, old)
        verify_consistency(
            tree.hash(0, old), sealed.checkpoint.root, other.prove_consistency(old, size)
        )


def test_the_key_is_outside_and_its_owners_alone(tmp_path: Path, signer: Signer) -> None:
    _record(tmp_path)
    _seal(tmp_path, signer)
    [key] = (tmp_path / "keys").glob("*.key")

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert parse_signer(key.read_text().strip()).name == "whence/test"
    everything = b"".join(
        path.read_bytes() for path in (tmp_path / ".whence").rglob("*") if path.is_file()
    )
    assert key.read_bytes().split(b"+")[-1].strip() not in everything
    head = signer.head()
    assert head is not None
    assert head.size == 5
    key.chmod(0o644)
    with pytest.raises(StoreError, match="can be read by others"):
        keyring.find_signer(tmp_path / "keys", tmp_path / ".whence", "whence/test")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"PRIVATE+KEY+x", b"x" * 5000])
def test_a_key_file_that_holds_none_is_named(
    tmp_path: Path, signer: Signer, content: bytes
) -> None:
    [key] = (tmp_path / "keys").glob("*.key")
    key.write_bytes(content)
    with pytest.raises(CorruptError, match="holds no key"):
        keyring.find_signer(tmp_path / "keys", tmp_path / ".whence", signer.origin)


def test_the_first_seal_makes_a_key_and_says_so_and_no_other_takes_its_place(
    tmp_path: Path,
) -> None:
    _record(tmp_path)
    settings = ProofSettings(keys=str(tmp_path / "keys"))
    with whence.open(tmp_path / ".whence") as log:
        sealed = Sealer(log.folder, settings, lambda: log.recorder).seal()
        [event] = log.events(whence.Query(primitive="whence", type="key"))
    assert sealed is not None
    assert sealed.checkpoint.origin.startswith("whence/")
    assert event.data["vkey"].startswith(sealed.checkpoint.origin + "+")

    elsewhere = ProofSettings(keys=str(tmp_path / "others"))
    with pytest.raises(NotFoundError, match="no key of"):
        Sealer(tmp_path / ".whence", elsewhere, None).seal()
    # Found again by the folder, also where the checkpoint is gone: then it is an alarm, not a new beginning.
    (tmp_path / ".whence" / "checkpoint").unlink()
    again = Sealer(tmp_path / ".whence", settings, None).seal()
    assert again is not None
    assert again.checkpoint.origin == sealed.checkpoint.origin


def test_fragments_are_told_and_that_is_sealed_too(tmp_path: Path) -> None:
    _record(tmp_path)
    [segment] = (tmp_path / ".whence" / "journal").iterdir()
    with open(segment, "ab") as file:
        file.write(b'{"id":"torn\n')
    settings = ProofSettings(keys=str(tmp_path / "keys"))
    with whence.open(tmp_path / ".whence") as log:
        sealed = Sealer(log.folder, settings, lambda: log.recorder).seal()
        [event] = log.events(whence.Query(primitive="whence", type="fragment"))
    assert sealed is not None
    assert len(sealed.fragments) == 1
    assert event.data["length"] == 11
    assert verify(tmp_path / ".whence").is_verified


def test_nothing_recorded_is_nothing_sealed(tmp_path: Path, signer: Signer) -> None:
    with pytest.raises(StoreError, match="nothing is recorded"):
        seal(tmp_path / ".whence", signer)
    with pytest.raises(StoreError, match="nothing is sealed"):
        verify(tmp_path / ".whence")
    assert TreeFolder(tmp_path / ".whence").hash(0, 0) == EMPTY_ROOT


def test_one_seals_at_a_time_and_a_dead_one_holds_nothing(tmp_path: Path, signer: Signer) -> None:
    _record(tmp_path)
    with TreeFolder(tmp_path / ".whence").locked() as is_ours:
        assert is_ours
        assert seal(tmp_path / ".whence", signer) is None
        # A forked child does not hold it for us.
        context = multiprocessing.get_context("fork")
        child = context.Process(target=os._exit, args=(0,))
        child.start()
        child.join()
    assert _seal(tmp_path, signer).checkpoint.size == 5


def test_it_goes_on_by_itself_while_a_process_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_KEYS", str(tmp_path / "keys"))
    (tmp_path / ".whence").mkdir()
    (tmp_path / ".whence" / "whence.toml").write_text(
        '[proof]\nseal = "on"\norigin = "whence/auto"\n'
    )
    with whence.open(tmp_path / ".whence") as log:
        for number in range(100):
            log.emit("ops", "claim_task", data={"number": number})
    report = verify(tmp_path / ".whence")

    assert report.is_verified
    assert (report.origin, report.unsealed, report.size) == ("whence/auto", 0, 103)


@pytest.mark.parametrize(("said", "is_sealed"), [("", True), ("auto", True), ("off", False)])
def test_a_log_that_was_sealed_once_goes_on_by_itself_where_its_key_is(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch, said: str, is_sealed: bool
) -> None:
    _record(tmp_path)
    assert verify_unsealed(tmp_path) is None
    _seal(tmp_path, signer)
    if said:
        (tmp_path / ".whence" / "whence.toml").write_text(f'[proof]\nseal = "{said}"\n')
    # Who has no key here records, and leaves it to those who do.
    monkeypatch.setenv("WHENCE_KEYS", str(tmp_path / "nobody"))
    _record(tmp_path)
    assert verify_unsealed(tmp_path) == 5
    monkeypatch.setenv("WHENCE_KEYS", str(tmp_path / "keys"))
    _record(tmp_path)
    assert verify_unsealed(tmp_path) == (0 if is_sealed else 10)


def test_a_forked_child_records_and_leaves_sealing_to_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_KEYS", str(tmp_path / "keys"))
    (tmp_path / ".whence").mkdir()
    (tmp_path / ".whence" / "whence.toml").write_text('[proof]\nseal = "on"\n')
    with whence.open(tmp_path / ".whence") as log:
        for number in range(20):
            log.emit("ops", "parent", data={"number": number})
            child = os.fork()
            if child == 0:
                log.emit("ops", "child", data={"number": number})
                # What a lock held at the fork would stop for ever.
                hashlib.sha256(b"x").digest()
                names = {each.name for each in threading.enumerate()}
                log.close()
                os._exit(1 if "whence-sealer" in names else 0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    report = verify(tmp_path / ".whence")

    assert report.is_verified
    assert report.unsealed == 0


def verify_unsealed(tmp_path: Path) -> int | None:
    """How many events are not sealed yet; None where nothing is."""
    if not (tmp_path / ".whence" / "checkpoint").exists():
        return None
    return verify(tmp_path / ".whence").unsealed


def test_what_goes_wrong_while_it_goes_on_is_said_once(
    tmp_path: Path, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    _record(tmp_path)
    _seal(tmp_path, signer)
    os.truncate(tmp_path / ".whence" / "tree" / "0", 32)
    stop = threading.Event()
    settings = ProofSettings(keys=str(tmp_path / "keys"))
    thread = threading.Thread(
        target=Sealer(tmp_path / ".whence", settings, None).follow,
        args=(stop,),
        kwargs={"every_s": 0.01},
    )
    thread.start()
    while "the key signed" not in caplog.text:
        stop.wait(0.01)
    stop.wait(0.05)
    stop.set()
    thread.join()

    assert caplog.text.count("cannot seal") == 1


def test_an_hour_in_which_nothing_happens_is_told(tmp_path: Path) -> None:
    _record(tmp_path)
    settings, now = ProofSettings(keys=str(tmp_path / "keys")), [0.0]
    with whence.open(tmp_path / ".whence") as log:
        sealer = Sealer(log.folder, settings, lambda: log.recorder, clock=lambda: now[0])
        stop = threading.Event()
        stop.set()
        sealer.follow(stop)
        now[0] += 3601
        sealer.follow(stop)
        sealer.follow(stop)
        alive = list(log.events(whence.Query(primitive="whence", type="alive")))

    assert len(alive) == 1


_WORKER = """
import sys
from pathlib import Path
import whence
from whence.proof import keyring
from whence.proof.sealing import seal
folder, keys = Path(sys.argv[1]), Path(sys.argv[2])
signer = keyring.need_signer(keys, folder, "whence/test")
with whence.open(folder) as log:
    print("ready", flush=True)
    number = 0
    while True:
        for _ in range(20):
            number += 1
            log.emit("ops", "claim_task", data={"number": number})
        sealed = seal(folder, signer, wait=True)
        print(sealed.checkpoint.size, sealed.checkpoint.root.hex(), flush=True)
"""


def test_whenever_a_sealer_is_killed_its_heads_extend_each_other(
    tmp_path: Path, signer: Signer, full: bool
) -> None:
    heads: list[tuple[int, str]] = []
    for kill in range(200 if full else 12):
        with subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path / ".whence"), str(tmp_path / "keys")],
            stdout=subprocess.PIPE, text=True,
        ) as worker:  # fmt: skip
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
            for _ in range(1 + kill % 3):
                worker.stdout.readline()
            threading.Event().wait(0.0007 * (kill % 11))
            worker.send_signal(signal.SIGKILL)
            rows = [line.split() for line in worker.stdout if line.endswith("\n")]
            heads += [(int(size), root) for size, root in rows]
        signed = signer.head()
        assert signed is not None
        heads.append((signed.size, signed.root.hex()))
        sealed = _seal(tmp_path, signer)
        heads.append((sealed.checkpoint.size, sealed.checkpoint.root.hex()))

    tree = TreeFolder(tmp_path / ".whence")
    assert [size for size, _ in heads] == sorted(size for size, _ in heads)
    assert all(tree.hash(0, size).hex() == root for size, root in heads)
    report = verify(tmp_path / ".whence", keys=[signer.key.verifier()])
    assert not report.is_broken, report.problems[:3]
    for note, _ in read_history(tmp_path / ".whence"):
        assert verify_note(note, [signer.key.verifier()])


def test_the_handle_verifies_what_is_sealed(tmp_path: Path, signer: Signer) -> None:
    _record(tmp_path)
    _seal(tmp_path, signer)
    with whence.open(tmp_path / ".whence", read_only=True) as log:
        report = log.verify(keys=[signer.key.verifier()])

    assert report.is_verified
    assert (report.key_from, report.size) == ("given", 5)
