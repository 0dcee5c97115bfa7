"""The kill table: four processes write one journal and are killed anywhere, again and again.

Every event whose call had returned is there once, nothing is invented, each stream stands in its
order, and the next open works.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.account import Account, Found, read_back, writers_without_close
from tests.crash.writers import WRITERS
from whence.event import OWN
from whence.journal.place import Layout
from whence.journal.writer import QUEUE_MAX
from whence.recorder.recorder import Recorder

_ROOT = Path(__file__).parents[2]
_ROUNDS_A_FOLDER = 5


@dataclass(frozen=True, slots=True)
class _Outcome:
    reported: list[list[str]]
    """By killed process: the keys of the events whose calls had returned."""
    found: Found


def _kill(folder: Path, style: str, seed: int, rounds: int) -> _Outcome:
    """Let rounds of writers be killed, then open the journal, record once more, and read it."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.crash.writers", str(folder), str(seed), str(rounds), style],
        cwd=_ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    reported = [keys for line in run.stdout.splitlines() for keys in json.loads(line)]
    assert len(reported) == rounds * WRITERS

    recorder = Recorder(folder, layout=Layout(segment_bytes=64 * 1024))
    recorder.emit("test", "happened", data={"key": "after:0", "size": 0, "filling": ""})
    recorder.close()

    found = read_back(folder)
    assert found.keys[-1] == "after:0"
    # A killed writer is seen: it never said goodbye. Only the last one did.
    closed = [event.w for event in found.events if event.type == "writer.close"]
    assert len(closed) == 1
    assert writers_without_close(found) == {event.w for event in found.events} - {*closed}
    return _Outcome(reported, found)


def _account(outcome: _Outcome) -> Account:
    """Everything a stream could have attempted: what it reported and the one call it was in."""
    account = Account(attempted={"after:0"})
    for keys in outcome.reported:
        account.kept.update(dict.fromkeys(keys, "os"))
    last: dict[str, int] = {}
    for key in account.kept:
        stream, _, serial = key.rpartition(":")
        last[stream] = max(last.get(stream, -1), int(serial))
    for key in outcome.found.keys:
        stream, _, serial = key.rpartition(":")
        if int(serial) <= last.get(stream, -1) + 1:
            account.attempted.add(key)
    account.attempted.update(account.kept)
    return account


def _rounds(full: bool, short: int, long: int) -> range:
    return range((long if full else short) // _ROUNDS_A_FOLDER)


def test_what_had_returned_is_there(tmp_path: Path, full: bool) -> None:
    for seed in _rounds(full, 50, 1000):
        outcome = _kill(tmp_path / str(seed), "plain", seed, _ROUNDS_A_FOLDER)

        account = _account(outcome)
        account.check_honest(outcome.found)
        assert account.missing(outcome.found) == set(), f"the seed was {seed}"
        shutil.rmtree(tmp_path / str(seed))


def test_the_rounds_are_worth_their_time(tmp_path: Path) -> None:
    """Writers really are killed while they write, over rotations and with blobs."""
    outcome = _kill(tmp_path, "plain", 7, 10)

    lengths = [len(keys) for keys in outcome.reported]
    assert max(lengths) > 100
    assert len(list((tmp_path / "journal").iterdir())) > 3
    assert len(list((tmp_path / "blobs").iterdir())) > 3


@pytest.mark.parametrize("style", ["wait", "disk", "threads-wait", "threads-disk"])
def test_stronger_promises_lose_nothing(style: str, tmp_path: Path, full: bool) -> None:
    for seed in _rounds(full, 10, 50):
        outcome = _kill(tmp_path / str(seed), style, seed, _ROUNDS_A_FOLDER)

        account = _account(outcome)
        account.check_honest(outcome.found)
        assert account.missing(outcome.found) == set(), f"the seed was {seed}"
        shutil.rmtree(tmp_path / str(seed))


def test_many_threads_lose_no_more_than_the_queue_holds(tmp_path: Path, full: bool) -> None:
    for seed in _rounds(full, 15, 100):
        outcome = _kill(tmp_path / str(seed), "threads", seed, _ROUNDS_A_FOLDER)

        account = _account(outcome)
        there = set(outcome.found.keys)
        for keys in outcome.reported:
            assert len(set(keys) - there) <= QUEUE_MAX
        # Lines leave the queue in the order of their counts, so only the newest can be lost.
        account.attempted.update(there)
        account.check_honest(outcome.found)
        shutil.rmtree(tmp_path / str(seed))


def test_the_table_notices_a_writer_that_buffers(tmp_path: Path) -> None:
    """The control: a writer that keeps lines in the process, killed in the same way."""
    outcome = _kill(tmp_path, "buffering", 1, _ROUNDS_A_FOLDER)

    assert _account(outcome).missing(outcome.found) != set()


def test_no_writer_leaves_a_hole(tmp_path: Path) -> None:
    """A count that is missing means a lost event, so a kill of one thread must not make one."""
    outcome = _kill(tmp_path, "plain", 3, _ROUNDS_A_FOLDER)

    assert outcome.found.holes() == 0
    assert {event.type for event in outcome.found.events if event.primitive == OWN} == {
        "writer.open",
        "writer.close",
    }
