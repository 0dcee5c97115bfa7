"""Any sequence of what a log goes through, beside a model in memory of what it must hold.

To extend it, add a rule, or an invariant that asks the model.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.crash.account import PROMISES, payload, read_back
from whence.event import OWN
from whence.journal.blobs import fill
from whence.journal.place import Layout
from whence.journal.reader import Cursor, Entry, Reader
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock

_SIZES = st.sampled_from([0, 0, 10, 300, 3000, 70_000])
_PROMISES = st.sampled_from(["os", "os", "os", "wait", "disk"])


class Log(RuleBasedStateMachine):
    """`model` is every key that was acknowledged, in the order of acknowledgement."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="whence-"))
        self.clock = FixedClock("2026-11-20T23:59:00.000000000Z")
        self.reader = Reader(self.folder)
        self.model: list[str] = []
        self.number = 0
        self.followed: list[str] = []
        self.cursors: list[tuple[Cursor, int]] = []

    @initialize()
    def begin(self) -> None:
        self.recorder = self.open()
        self.news: Iterator[Entry | None] = self.reader.follow(
            Cursor("0000-00-00.0000", 0), poll_s=0
        )

    def teardown(self) -> None:
        self.recorder.close()
        self.reader.close()
        shutil.rmtree(self.folder)

    def open(self) -> Recorder:
        layout = Layout(segment_bytes=4096)
        return Recorder(self.folder, clock=self.clock, layout=layout)

    def next_key(self) -> str:
        self.number += 1
        return f"main:{self.number}"

    @rule(promise=_PROMISES, size=_SIZES)
    def append(self, promise: str, size: int) -> None:
        key = self.next_key()
        self.recorder.emit("test", "happened", data=payload(key, size), **PROMISES[promise])
        self.model.append(key)

    @rule(number=st.integers(2, 6), promise=_PROMISES)
    def append_from_threads(self, number: int, promise: str) -> None:
        keys = [self.next_key() for _ in range(number)]

        def record(key: str) -> None:
            self.recorder.emit("test", "happened", data=payload(key, 5), **PROMISES[promise])

        threads = [threading.Thread(target=record, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.model += keys

    @rule(seconds=st.sampled_from([0.1, 1.5, 61.0, 86_400.0, -2.0, -86_400.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(number=st.integers(0, 4), is_killed=st.booleans())
    def fork(self, number: int, is_killed: bool) -> None:
        """A child records too, and ends well or is killed after its last call."""
        keys = [self.next_key() for _ in range(number)]
        child = os.fork()
        if child == 0:
            try:
                for key in keys:
                    self.recorder.emit("test", "happened", data=payload(key, 50))
                if is_killed:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.recorder.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        self.model += keys

    @rule()
    def close_and_reopen(self) -> None:
        self.recorder.close()
        self.recorder = self.open()

    @rule()
    def die_and_reopen(self) -> None:
        """As after a kill: the writer is abandoned where it stands."""
        self.recorder._writer.abandon()
        self.recorder = self.open()

    @rule(left=st.sampled_from([b'{"id":"half', b'{"id":"whole"}', b"\x00" * 20, b"#"]))
    def die_inside_a_write(self, left: bytes) -> None:
        """A killed process may leave any beginning of a line; the next line is glued to it."""
        segments = self.reader.segments()
        if segments:
            path = self.folder / "journal" / f"{segments[-1].name}.jsonl"
            with path.open("ab") as file:
                file.write(left)

    @rule()
    def follow(self) -> None:
        for entry in iter(lambda: next(self.news), None):
            assert entry is not None
            if entry.event is not None and entry.event.primitive != OWN:
                self.followed.append(fill(self.folder, entry.event).data["key"])
        assert sorted(self.followed) == sorted(self.visible())

    @rule()
    def remember_a_place(self) -> None:
        segments = self.reader.segments()
        if segments:
            last = segments[-1]
            self.cursors.append((Cursor(last.name, last.size), len(self.model)))

    @precondition(lambda self: self.cursors)
    @rule(data=st.data())
    def read_on_from_a_place(self, data: st.DataObject) -> None:
        """What came after a place is what reading on from it gives, as long as time went on."""
        cursor, count = data.draw(st.sampled_from(self.cursors))
        keys = self.keys_of(self.reader.scan(cursor))
        assert set(keys) <= set(self.model[count:])

    @rule()
    def read_backward(self) -> None:
        forward = [*self.reader.scan()]
        assert [*self.reader.scan_back()] == forward[::-1]
        for entry in forward[::7]:
            if entry.event is not None:
                event = self.reader.read(entry.segment, entry.offset)
                assert event == fill(self.folder, entry.event)

    @invariant()
    def nothing_is_lost(self) -> None:
        found = read_back(self.folder)
        assert sorted(found.keys) == sorted(self.model)
        assert found.holes() == 0
        assert self.recorder.lost == 0

    def visible(self) -> list[str]:
        return self.keys_of(self.reader.scan())

    def keys_of(self, entries: Iterator[Entry]) -> list[str]:
        events = [e.event for e in entries if e.event is not None and e.event.primitive != OWN]
        return [fill(self.folder, event).data["key"] for event in events]


def test_a_log_holds_what_it_acknowledged(full: bool) -> None:
    steps, examples = (60, 1_000) if full else (30, 40)
    run_state_machine_as_test(
        Log, settings=settings(stateful_step_count=steps, max_examples=examples)
    )
