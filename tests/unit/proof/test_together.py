"""Many who seal, erase and change the key at once, and what others' words, disks and services can do to them: never to who records."""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import whence
from tests.unit.proof.test_erasing import Case
from whence.errors import StoreError
from whence.proof import erasing, keyring, sealer
from whence.proof.erasing import Intent, read_intent, told_of
from whence.proof.folder import Taken, TreeFolder
from whence.proof.keys import COSIGNATURE, SignerKey
from whence.proof.sealer import Sealer
from whence.proof.sealing import RollbackError
from whence.proof.verifying import verify
from whence.retention import owners_of


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


# -- sealing ---------------------------------------------------------------------------------------


def test_who_seals_follows_a_change_of_the_key_that_somebody_else_made(case: Case) -> None:
    case.seal()
    first = keyring.need_signer(Path(str(case.settings.keys)), case.folder, "whence/erased").key
    with whence.open(case.folder) as one, whence.open(case.folder) as other:
        follower = case.sealer(one)
        follower.seal()
        case.sealer(other).rotate()
        one.emit("ops", "after")
        assert follower.seal() is not None
    report = verify(case.folder, keys=[first.verifier()])
    assert report.is_verified, report.problems
    assert report.key != str(first.verifier())


def test_a_fragment_is_reported_before_it_is_signed(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    [segment] = (case.folder / "journal").iterdir()
    with open(segment, "ab") as file:
        file.write(b'{"id":"torn\n')
    case.seal()
    assert verify(case.folder).is_verified
    with open(segment, "ab") as file:
        file.write(b'{"id":"torn again\n')
    # Killed after the report and before the signature: the next one signs.
    monkeypatch.setattr("whence.proof.sealing.sign_note", _die)
    with pytest.raises(KeyboardInterrupt):
        case.seal()
    monkeypatch.undo()
    case.seal()
    report = verify(case.folder)
    assert (report.is_verified, report.fragments) == (True, 2), report.problems


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_fork_of_the_same_key_is_not_written_over(case: Case, tmp_path: Path) -> None:
    shutil.copytree(case.folder, tmp_path / "before")
    case.seal()
    ours = (case.folder / "checkpoint").read_bytes()
    shutil.rmtree(case.folder)
    shutil.move(tmp_path / "before", case.folder)
    with whence.open(case.folder) as log:
        log.emit("ops", "other")
    keys = Path(str(case.settings.keys))
    (keys / "whence%2Ferased.head").unlink()
    case.seal()
    theirs = (case.folder / "checkpoint").read_bytes()
    assert ours != theirs
    (case.folder / "checkpoint").write_bytes(ours)
    with pytest.raises(RollbackError, match="another history"):
        case.seal()
    assert (case.folder / "checkpoint").read_bytes() == ours


def test_stretches_of_seconds_are_put_together_and_everything_is_found(tmp_path: Path) -> None:
    tree = TreeFolder(tmp_path)
    with tree.locked():
        for number in range(3_000):
            name = "2026-11-20.0000" if number % 100 < 90 else "2026-11-21.0000"
            start = tree.reached().get(name, 0)
            tree.append(
                number, bytes(32), [Taken(name, start, start + 10, number, 1)], [(name, start)]
            )
        before = list(tree.places(0, 3_000))
        tree.tidy()
    fresh = TreeFolder(tmp_path)
    assert len(fresh.ranges()) < 200
    assert list(fresh.places(0, 3_000)) == list(tree.places(0, 3_000)) == before
    for position in range(0, 3_000, 7):
        assert fresh.find(*before[position], 3_000) == position
    assert [fresh.find("2026-11-20.0000", 5, 3_000), fresh.find("2026-11-22.0000", 0, 9)] == [
        None
    ] * 2
    assert sum(each.size for each in fresh.ranges()) == 3_000
    fresh.cut(2_995)
    assert sum(each.size for each in TreeFolder(tmp_path).ranges()) == 2_995


def test_a_lock_that_is_held_while_nothing_is_sealed_is_an_alarm(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.seal()
    now = [1_000.0]
    with whence.open(case.folder) as log, TreeFolder(case.folder).locked():
        log.emit("ops", "waiting")
        waiting = Sealer(case.folder, case.settings, lambda: log.recorder, clock=lambda: now[0])
        for now[0] in (1_000.0, 1_030.0):
            waiting._go_on(lambda _: None)
        assert caplog.messages == []
        now[0] = 1_061.0
        waiting._go_on(lambda _: None)
        waiting._go_on(lambda _: None)
    assert len(caplog.messages) == 1
    assert "has sealed nothing for 60 seconds" in caplog.messages[0]


@pytest.mark.parametrize(
    "said", ['keys = "{file}/keys"', 'origin = "not a name"', 'keys = "~nobody-at-all/keys"', 'keys = "a\\u0000b"']
)  # fmt: skip
def test_what_stands_in_the_way_of_sealing_is_never_the_recorders(
    tmp_path: Path, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WHENCE_KEYS", raising=False)
    (tmp_path / "file").write_text("")
    (tmp_path / ".whence").mkdir()
    text = f'[proof]\nseal = "on"\n{said.replace("{file}", str(tmp_path / "file"))}\n'
    (tmp_path / ".whence" / "whence.toml").write_text(text)
    with whence.open(tmp_path / ".whence") as log:
        log.emit("ops", "note")
    with whence.open(tmp_path / ".whence", read_only=True) as log:
        assert len(list(log.events())) == 1


def test_a_disk_that_forgets_is_sealed_and_erased_on_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir():
        pytest.skip("no tmpfs here")
    root = Path(tempfile.mkdtemp(dir=shared))
    try:
        case = Case(root)
        case.seal()
        with whence.open(case.folder) as log:
            case.sealer(log).rotate()
        assert case.erase().size > 10
        assert case.holds_secret() == []
        case.seal()
        report = case.verify()
        assert report.is_verified, report.problems
        with whence.open(case.folder, read_only=True) as log:
            assert len(list(log.events(whence.Query(primitive="whence", type="key")))) == 2
    finally:
        shutil.rmtree(root)


def test_who_cannot_write_to_the_journal_begins_no_change_of_the_key(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.seal()
    with whence.open(case.folder) as log:
        signer = case.sealer(log)

        def refuse(*_: object) -> None:
            raise StoreError("read-only")

        monkeypatch.setattr(log.recorder, "emit_own", refuse, raising=True)
        with pytest.raises(StoreError, match="read-only"):
            signer.rotate()
    assert list(Path(str(case.settings.keys)).glob("*.next")) == []


# -- erasing ---------------------------------------------------------------------------------------


def test_many_positions_are_told_in_parts_and_none_of_them_in_a_blob(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.proof.erasing._ROWS_TOLD", 3)
    case.erase()
    report = case.verify()
    assert report.is_verified, report.problems
    with whence.open(case.folder, read_only=True) as log:
        told = list(log.events(whence.Query(primitive="whence", type="erased")))
    assert len(told) > 3
    assert sorted(each.data["part"] for each in told) == list(range(len(told)))
    assert all(each.blob is None for each in told)


def test_the_largest_part_stays_well_under_what_goes_to_a_blob() -> None:
    rows = [(2**63 + 2 * each, 2**63 + 2 * each + 1) for each in range(5_000)]
    fragments = [("2026-11-27.0000", 2**40 + each, 2**24) for each in range(5_000)]
    intent = Intent(
        id="i" * 32, ids=[], positions=rows, strokes=[], blobs=[], reason="r" * 4_096, by="b" * 64,
        after={}, fragments=fragments,
    )  # fmt: skip
    parts = told_of(intent)
    assert max(len(json.dumps(each)) for each in parts) < 60_000
    assert sum(len(each["positions"]) for each in parts) == len(rows)


def test_an_erasure_that_comes_second_finishes_the_first(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.seal()
    events = case.events()
    monkeypatch.setattr(sealer, "carry_out", _die)
    with pytest.raises(KeyboardInterrupt):
        case.erase(events[:5])
    monkeypatch.undo()
    assert read_intent(case.folder) is not None
    case.erase(events[5:])
    assert case.holds_secret() == []
    assert read_intent(case.folder) is None


def test_what_was_torn_off_at_the_end_of_a_segment_goes_too(case: Case) -> None:
    case.seal()
    [segment] = (case.folder / "journal").iterdir()
    line = next(each for each in segment.read_bytes().splitlines() if b"the-secret" in each)
    older = segment.with_name("2026-01-01.0000.jsonl")
    older.write_bytes(line)
    case.erase()
    assert case.holds_secret() == []
    assert case.verify().is_verified


def test_another_event_that_bears_the_same_id_is_left_alone(case: Case) -> None:
    [segment] = (case.folder / "journal").iterdir()
    line = next(each for each in segment.read_bytes().splitlines() if b"the-secret" in each)
    other = line.replace(b'"target":"ada"', b'"target":"bob"').replace(b'"w":"', b'"w":"z', 1)
    at = other.index(b'"w":"z') + 6
    other = other[: other.index(b'"', at) - 1] + other[other.index(b'"', at) :]
    other = other.replace(b"the-secret-of-ada", b"what-is-held-here")
    with open(segment, "ab") as file:
        file.write(other + b"\n")
    case.erase()
    assert case.holds_secret() == []
    assert b"what-is-held-here" in segment.read_bytes()


@pytest.mark.parametrize("file", ["..", ".", "victim.json", "bob.json"])
def test_an_events_word_on_its_file_is_not_believed(case: Case, file: str) -> None:
    with whence.open(case.folder) as log:
        with log.run("forecast", {"turn": 1}, trace_id="bob") as run:
            run.result({"turn": 2})
        (case.folder / "runs" / "victim.json").write_text("{}")
        data = {"file": file, "bytes": 1, "salt": "A" * 24, "commit": "B" * 43}
        log.emit("run", "save", agent="evil", target="evil", data=data)
    with whence.open(case.folder, read_only=True) as log:
        evil = list(log.events(whence.Query(agent="evil")))
    assert case.erase(evil).size == 1
    case.seal()
    assert (case.folder / "runs" / "victim.json").exists()
    assert (case.folder / "runs" / "bob.json").exists()


def test_an_owner_that_fails_is_named_and_stops_nobody(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.seal()

    def fail(_: object) -> Iterator[str]:
        raise StoreError("its disk is gone")
        yield ""

    with whence.open(case.folder) as log:
        owners = [
            each if each.name != "runs" else type(each)("runs", each.names_of, fail)
            for each in owners_of(log)
        ]
        failing = Sealer(case.folder, case.settings, lambda: log.recorder, owners=owners)
        events = list(log.events(whence.Query(target="ada")))
        assert "its disk is gone" in failing.erase(events, reason="asked", by="tester").left
    assert read_intent(case.folder) is None


def test_who_records_prunes_what_is_older_than_is_kept_and_leaves_what_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "_DAILY_AFTER_S", 0.0)
    folder = tmp_path / ".whence"
    folder.mkdir()
    said = (
        f'[proof]\nseal = "on"\nkeys = "{tmp_path}/keys"\n[retention]\nkeep = "1 ms"\n'
        '[[hold]]\ntarget = "held"\nreason = "audit"\n'
    )
    with whence.open(folder) as log:
        for target in ("held", "free"):
            log.emit("ops", "note", target=target, data={"text": f"secret-{target}"})
    (folder / "whence.toml").write_text(said)
    pruned = threading.Event()
    monkeypatch.setattr(sealer, "carry_out", _then(erasing.carry_out, pruned))
    with whence.open(folder) as log:
        log.emit("ops", "new")
        assert pruned.wait(60)
    content = b"".join(path.read_bytes() for path in (folder / "journal").iterdir())
    assert b"secret-held" in content
    assert b"secret-free" not in content
    report = verify(folder)
    assert (report.is_verified, report.erased > 0) == (True, True), report.problems


def _then(act: Callable[..., Any], done: threading.Event) -> Callable[..., Any]:
    def both(*arguments: Any) -> Any:
        answer = act(*arguments)
        done.set()
        return answer

    return both


# -- witnesses -------------------------------------------------------------------------------------


def test_a_witness_that_never_answers_holds_up_nobody(tmp_path: Path) -> None:
    asked, is_over = threading.Event(), threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            is_over.wait()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = SignerKey("silent", b"s" * 32).verifier(COSIGNATURE)
    folder = tmp_path / ".whence"
    folder.mkdir()
    (folder / "policy.txt").write_text(
        f"witness W {key} http://127.0.0.1:{server.server_address[1]}\nquorum W\n"
    )
    (folder / "whence.toml").write_text(
        f'[proof]\nseal = "on"\nkeys = "{tmp_path}/keys"\npolicy = "policy.txt"\n'
    )
    try:
        log = whence.open(folder)
        log.emit("ops", "note")
        assert asked.wait(60)
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        # Were it waited for, this would not come back before the answer, which comes only after it.
        log.close()
        assert verify(folder).is_verified
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
