"""Erasing: the payload goes everywhere we reach, everything else stays, and every proof still holds; all of it or nothing."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

import whence
from whence.errors import ConflictError, CorruptError, StoreError
from whence.event import Event
from whence.line import encode_event
from whence.proof import erasing, keyring
from whence.proof.erasing import read_intent
from whence.proof.folder import TreeFolder
from whence.proof.holds import Hold, check_holds, read_holds
from whence.proof.proving import Prover
from whence.proof.report import Report
from whence.proof.sealer import Erased, Sealer
from whence.proof.settings import ProofSettings
from whence.proof.verifying import verify
from whence.retention import owners_of
from whence.runs.commitments import check_saved

_SECRET = "the-secret-of-ada"


class Case:
    """A log with somebody's secret in lines, a blob, a run's file, trust, and nobody's in others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".whence"
        self.settings = ProofSettings(keys=str(folder / "keys"), origin="whence/erased")
        with whence.open(self.folder) as log:
            for number in range(30):
                who = "ada" if number % 3 == 0 else "bob"
                text = _SECRET if who == "ada" else "nothing"
                log.emit("ops", "note", target=who, data={"text": f"{text} ü {number}"})
            log.emit("ops", "short", target="ada", data=1)
            log.emit("ops", "large", target="ada", data={"text": _SECRET * 5_000})
            with log.run("forecast", {"secret_of": _SECRET}, trace_id="ada") as run:
                run.result({"text": _SECRET})
            log.emit("ops", "private", target="ada", data={"text": _SECRET}, private=True)

    def seal(self) -> None:
        with whence.open(self.folder) as log:
            self.sealer(log).seal()

    def sealer(self, log: whence.Log) -> Sealer:
        return Sealer(self.folder, self.settings, lambda: log.recorder, owners=owners_of(log))

    def events(self) -> list[Event]:
        with whence.open(self.folder, read_only=True) as log:
            return list(log.events(whence.Query(target="ada")))

    def erase(self, events: list[Event] | None = None) -> Erased:
        events = self.events() if events is None else events
        with whence.open(self.folder) as log:
            return self.sealer(log).erase(events, reason="asked", by="tester")

    def verify(self) -> Report:
        runs = self.folder / "runs"
        return verify(self.folder, check_file=lambda event: check_saved(event, runs))

    def holds_secret(self) -> list[str]:
        """Every file of the log that has it still."""
        return [
            path.name
            for path in self.folder.rglob("*")
            if path.is_file() and _SECRET.encode() in path.read_bytes()
        ]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_what_is_erased_is_nowhere_and_all_else_is_as_it_was(case: Case) -> None:
    case.seal()
    before = {event.id: event for event in case.events()}
    with whence.open(case.folder, read_only=True) as log:
        others = list(log.events(whence.Query(target="bob")))
    [segment] = (case.folder / "journal").iterdir()
    size = segment.stat().st_size
    old = Prover(case.folder)
    assert len(case.holds_secret()) >= 3
    erased = case.erase()

    assert erased.left == ()
    assert case.holds_secret() == []
    assert segment.stat().st_size > size
    for event in case.events():
        same = msgspec.structs.replace(
            before[event.id], salt=None, payload=event.payload, commit=event.commit, blob=event.blob
        )
        assert event == same
        assert event.data is None
    with whence.open(case.folder, read_only=True) as log:
        assert list(log.events(whence.Query(target="bob"))) == others
        [told] = log.events(whence.Query(primitive="whence", type="erased"))
    assert (told.data["reason"], told.data["by"]) == ("asked", "tester")
    assert "ada" not in str(told.data)
    report = case.verify()
    assert report.is_verified, report.problems
    assert report.erased == erased.size
    # The proof that was made before still holds, by the checkpoint that was kept.
    report = verify(case.folder, since=old.note)
    assert (report.is_verified, report.proven_since) == (True, old.checkpoint.size)
    # And what was erased can still be proven to have been there.
    assert Prover(case.folder).prove(1).line.rstrip().endswith(b'"}')


def test_what_is_not_sealed_is_sealed_first_and_erasing_twice_is_nothing(case: Case) -> None:
    assert case.erase().size > 10
    assert case.erase() == Erased(0, ())
    assert case.verify().is_verified


def test_the_snapshot_of_trust_goes_with_its_outcomes_and_mirrors_are_named(
    case: Case, tmp_path: Path
) -> None:
    from whence.learning.trust import BayesianTrustTracker

    (case.folder / "whence.toml").write_text(f'[decisions]\nmirror = "{tmp_path}/traces"\n')
    with whence.open(case.folder) as log:
        tracker = BayesianTrustTracker(log)
        tracker.update("ada", True)
        tracker.save_snapshot()
        log.emit("decision", "pay", target="ada", data={"text": _SECRET}, status="success")
    erased = case.erase()

    assert not (case.folder / "trust.snapshot").exists()
    assert len(erased.left) == 1
    assert "is a mirror, and still has it" in erased.left[0]
    with whence.open(case.folder, read_only=True) as log:
        assert BayesianTrustTracker(log).keys() == []


def test_copies_that_were_written_again_and_fragments_go_too(case: Case) -> None:
    [segment] = (case.folder / "journal").iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    copied = next(line for line in lines if _SECRET.encode() in line)
    with open(segment, "ab") as file:
        # A write that was tried again, and one that was torn and has the next line glued to it.
        file.write(copied)
        file.write(copied[: len(copied) // 2 + 40] + lines[-1])
    case.erase()

    assert case.holds_secret() == []
    report = case.verify()
    assert not report.is_broken, report.problems


def test_a_reader_that_reads_meanwhile_sees_one_or_the_other(case: Case) -> None:
    case.seal()
    stop, wrong = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while not stop.is_set():
                with whence.open(case.folder, read_only=True) as log:
                    for event in log.events(whence.Query(target="ada", type="note")):
                        assert event.data is None or _SECRET in event.data["text"]
                    assert log.warnings == []
        except BaseException as error:  # noqa: BLE001 told by the test
            wrong.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for event in case.events():
        case.erase([event])
    stop.set()
    thread.join()

    assert wrong == []
    assert case.holds_secret() == []


def test_who_records_meanwhile_is_not_disturbed(case: Case) -> None:
    with whence.open(case.folder) as log:
        for number in range(20):
            log.emit("ops", "other", data={"number": number})
            if number % 5 == 0:
                case.erase(case.events()[:3])
        ids = [log.emit("ops", "last") for _ in range(3)]
    with whence.open(case.folder, read_only=True) as log:
        assert {event.id for event in log.events(whence.Query(type="last"))} == set(ids)
        assert len(list(log.events(whence.Query(type="other")))) == 20
    case.erase()
    assert case.verify().is_verified


# -- killed ----------------------------------------------------------------------------------------

_WORKER = """
import sys, os
from pathlib import Path
import whence
from whence.retention import owners_of
from whence.proof import erasing
from whence.proof.sealer import Sealer
from whence.proof.settings import ProofSettings
folder, keys, stop_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0
def die(name):
    def wrapped(*args, **kwargs):
        global seen
        if seen == stop_at:
            os.kill(os.getpid(), 9)
        seen += 1
        found = real[name](*args, **kwargs)
        if seen == stop_at:
            os.kill(os.getpid(), 9)
        seen += 1
        return found
    return wrapped
import os as system
real = {name: getattr(os, name) for name in ("pwrite", "unlink", "fsync", "replace", "write", "fdatasync")}
with whence.open(folder) as log:
    events = list(log.events(whence.Query(target="ada")))
    sealer = Sealer(folder, ProofSettings(keys=keys, origin="whence/erased"), lambda: log.recorder, owners=owners_of(log))
    sealer.seal()
    for name in real:
        setattr(os, name, die(name))
    sealer.erase(events, reason="asked", by="tester")
    for name in real:
        setattr(os, name, real[name])
print(seen)
"""


def _kill_at(case: Case, step: int) -> int:
    """Run an erasure that is killed at a step; return how it ended."""
    keys = str(case.settings.keys)
    return subprocess.run(
        [sys.executable, "-c", _WORKER, str(case.folder), keys, str(step)], capture_output=True
    ).returncode


def test_whenever_it_is_killed_all_of_it_is_erased_or_nothing(tmp_path: Path, full: bool) -> None:
    outcomes = set()
    step, stride = 0, 1 if full else 7
    while True:
        folder = tmp_path / str(step)
        folder.mkdir()
        case = Case(folder)
        ended = _kill_at(case, step)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        report = case.verify()
        assert not report.is_broken, (step, report.problems)
        is_begun = read_intent(case.folder) is not None
        # The next one who seals finishes what was begun, and nothing else.
        case.seal()
        left = case.holds_secret()
        report = case.verify()
        assert not report.is_broken, (step, report.problems)
        assert read_intent(case.folder) is None
        if is_begun:
            assert left == [], step
        outcomes.add(bool(left))
        if left:
            assert len([event for event in case.events() if event.data is not None]) > 10
        step += stride
    assert outcomes == {True, False}


def test_an_intent_that_is_none_or_leads_elsewhere_writes_nothing(case: Case) -> None:
    case.seal()
    intent = case.folder / "tree" / "intent"
    [segment] = (case.folder / "journal").iterdir()
    content = segment.read_bytes()
    strokes = [{"segment": "../../etc/passwd", "offset": 0, "text": "x"}]
    whole = {
        "id": "a",
        "ids": [],
        "positions": [],
        "strokes": strokes,
        "blobs": [],
        "reason": "",
        "by": "",
        "after": {},
    }
    for wrong in (b"", b"{", b"[]", b"\xff", msgspec.json.encode(whole)):
        intent.write_bytes(wrong)
        with pytest.raises((CorruptError, ValueError)):
            read_intent(case.folder)
        assert segment.read_bytes().startswith(content)


def test_a_disk_that_fails_is_an_error_and_the_next_finishes(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.seal()

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fail)
        with pytest.raises(StoreError, match="No space left"):
            case.erase()
    assert read_intent(case.folder) is not None
    case.seal()
    assert case.holds_secret() == []
    assert case.verify().is_verified


# -- holds -----------------------------------------------------------------------------------------


def test_what_is_held_is_not_erased(case: Case) -> None:
    (case.folder / "whence.toml").write_text('[[hold]]\ntarget = "ada"\nreason = "audit"\n')
    with whence.open(case.folder, read_only=True) as log:
        holds = read_holds(log.settings)
        with pytest.raises(ConflictError, match="is held \\(target ada: audit\\)"):
            check_holds(holds, log.events(whence.Query(target="ada")))
        check_holds(holds, log.events(whence.Query(target="bob")))
        with pytest.raises(ConflictError, match="everything: all"):
            check_holds([Hold(reason="all")], log.events(whence.Query(target="bob")))


@pytest.mark.parametrize("text", ["[[hold]]\n", '[[hold]]\nreason = 1\n', '[[hold]]\nreason = "x"\nwhat = 1\n', "[hold]\nreason = 1\n"])  # fmt: skip
def test_a_hold_that_is_none_is_refused(case: Case, text: str) -> None:
    (case.folder / "whence.toml").write_text(text)
    with whence.open(case.folder, read_only=True) as log, pytest.raises(ValueError, match="hold"):
        read_holds(log.settings)


# -- the command -----------------------------------------------------------------------------------


def _ask(case: Case, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WHENCE_KEYS": str(case.settings.keys)}
    return subprocess.run(
        [sys.executable, "-m", "whence", "-C", str(case.folder), *words], env=environment,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_command_asks_first_and_wants_a_reason_and_something_to_erase(case: Case) -> None:
    assert _ask(case, "erase", "--target", "ada").returncode == 2
    assert _ask(case, "erase", "--reason", "x", "--yes").returncode == 2
    assert _ask(case, "erase", "@last", "--target", "ada", "--reason", "x", "--yes").returncode == 2
    said = _ask(case, "erase", "--target", "ada", "--reason", "x")
    assert (said.returncode, "nobody is here to ask" in said.stderr) == (2, True)
    assert case.holds_secret() != []

    said = _ask(case, "erase", "--target", "ada", "--reason", "x", "--yes")
    assert said.returncode == 0, said.stderr
    assert "erased" in said.stderr
    assert case.holds_secret() == []
    assert (
        "nothing to erase"
        in _ask(case, "erase", "--target", "ada", "--reason", "x", "--yes").stderr
    )
    assert _ask(case, "verify").returncode == 0


def test_old_payloads_are_pruned_and_held_ones_left(case: Case) -> None:
    assert _ask(case, "hold").stdout == "nothing is held\n"
    assert _ask(case, "hold", "--target", "bob").returncode == 2
    assert _ask(case, "hold", "--reason", "x").returncode == 2
    assert _ask(case, "hold", "--target", 'b"ob', "--reason", 'x "y"').returncode == 0
    assert _ask(case, "hold", "--target", "bob", "--reason", "audit").returncode == 0
    assert "target bob: audit" in _ask(case, "hold").stdout
    assert _ask(case, "prune", "--yes").returncode == 2
    assert "nothing to prune" in _ask(case, "prune", "--before", "1h ago", "--yes").stderr
    assert _ask(case, "erase", "--target", "bob", "--reason", "x", "--yes").returncode == 1

    said = _ask(case, "prune", "--before", "now", "--yes")
    assert said.returncode == 0, said.stderr
    assert "20 are held, and left" in said.stderr
    assert case.holds_secret() == []
    with whence.open(case.folder, read_only=True) as log:
        assert all(event.data for event in log.events(whence.Query(target="bob")))
    with open(case.folder / "whence.toml", "a") as file:
        file.write('\n[retention]\nkeep = "180 days"\n')
    assert "nothing to prune" in _ask(case, "prune", "--yes").stderr
    assert _ask(case, "verify").returncode == 0


def test_what_is_older_than_it_is_kept_goes_by_itself(case: Case) -> None:
    (case.folder / "whence.toml").write_text('[retention]\nkeep = "180 days"\n')
    with whence.open(case.folder) as log:
        log.recorder.clock = lambda: 1_600_000_000 * 10**9
        log.emit("ops", "old", target="eve", data={"text": "long ago"})
    environment = {**os.environ, "WHENCE_KEYS": str(case.settings.keys)}
    with subprocess.Popen(
        [sys.executable, "-m", "whence", "-C", str(case.folder), "seal", "--follow"], env=environment,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    ) as sealer:  # fmt: skip
        assert sealer.stderr is not None
        for line in sealer.stderr:
            if line.startswith("pruned"):
                break
        sealer.send_signal(signal.SIGINT)

    with whence.open(case.folder, read_only=True) as log:
        [event] = log.events(whence.Query(target="eve"))
    assert event.data is None
    assert case.holds_secret() != []


def test_a_line_that_somebody_made_up_is_not_written_over(case: Case) -> None:
    """An id in a payload is no line of that event."""
    [first, *_] = case.events()
    with whence.open(case.folder) as log:
        log.emit(
            "ops", "quote", data={"line": {"id": first.id}, "text": encode_event(first).decode()}
        )
    case.erase([first])
    with whence.open(case.folder, read_only=True) as log:
        [quote] = log.events(whence.Query(type="quote"))
    assert _SECRET in quote.data["text"]
    assert case.verify().is_verified


def test_places_are_those_of_the_tree(case: Case) -> None:
    case.seal()
    found = list(erasing.find_lines(case.folder, [case.events()[0].id]))

    assert len(found) == 1
    assert TreeFolder(case.folder).find(found[0][0], found[0][1], 100) == 1
    assert (
        keyring.find_signer(Path(str(case.settings.keys)), case.folder, "whence/erased") is not None
    )
