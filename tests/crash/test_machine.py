"""Any sequence of what a log goes through, beside a model in memory of what it must hold.

To extend it, add a rule, or an invariant that asks the model.
"""

import asyncio
import os
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
from whence.index import Index
from whence.journal.blobs import fill
from whence.journal.place import Layout
from whence.journal.reader import Cursor, Entry, Reader
from whence.query import Query
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock

_SIZES = st.sampled_from([0, 0, 10, 300, 3000, 70_000])
_PROMISES = st.sampled_from(["os", "os", "os", "wait", "disk"])


_LAST = 7


class Kept(NamedTuple):
    """What an event was recorded with, and the id that its call returned."""

    key: str
    id: str
    time: int
    agent: str
    target: str


class Log(RuleBasedStateMachine):
    """`model` is every event that was acknowledged, in the order of acknowledgement."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="whence-"))
        self.clock = FixedClock("2026-11-20T23:59:00.000000000Z")
        self.reader = Reader(self.folder)
        self.index: Index | None = None
        self.model: list[Kept] = []
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
        self.close_the_index()
        self.reader.close()
        shutil.rmtree(self.folder)

    def open(self) -> Recorder:
        layout = Layout(segment_bytes=4096)
        return Recorder(self.folder, clock=self.clock, layout=layout)

    def next_key(self) -> str:
        self.number += 1
        return f"main:{self.number}"

    def keep(self, key: str, event_id: str) -> None:
        self.model.append(Kept(key, event_id, self.clock(), **self.names_of(key)))

    def names_of(self, key: str) -> dict[str, Any]:
        """Who did it to what: a few names, so that each has several events."""
        number = int(key.rpartition(":")[2])
        return {"agent": f"agent-{number % 3}", "target": f"task-{number % 4}"}

    def record(self, key: str, size: int, **promise: Any) -> str:
        names = self.names_of(key)
        return self.recorder.emit("test", "happened", **names, data=payload(key, size), **promise)

    @rule(promise=_PROMISES, size=_SIZES)
    def append(self, promise: str, size: int) -> None:
        key = self.next_key()
        self.keep(key, self.record(key, size, **PROMISES[promise]))

    @rule(number=st.integers(2, 6), promise=_PROMISES)
    def append_from_threads(self, number: int, promise: str) -> None:
        keys = [self.next_key() for _ in range(number)]

        def record(key: str) -> None:
            self.keep(key, self.record(key, 5, **PROMISES[promise]))

        threads = [threading.Thread(target=record, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @rule(number=st.integers(2, 6))
    def append_batch(self, number: int) -> None:
        """Tasks of an event loop that share a sync."""

        async def record(key: str) -> None:
            names, data = self.names_of(key), payload(key, 5)
            self.keep(key, await self.recorder.emit_async("test", "happened", **names, data=data))

        async def record_all() -> None:
            await asyncio.gather(*(record(self.next_key()) for _ in range(number)))

        asyncio.run(record_all())

    @rule(seconds=st.sampled_from([0.1, 1.5, 61.0, 86_400.0, -2.0, -86_400.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(number=st.integers(0, 4), is_killed=st.booleans())
    def fork(self, number: int, is_killed: bool) -> None:
        """A child records too, and ends well or is killed after its last call."""
        keys = [self.next_key() for _ in range(number)]
        told, tell = os.pipe()
        with warnings.catch_warnings():
            # Newer Pythons warn of forks beside threads: that one may sleep here is the point.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                for key in keys:
                    os.write(tell, f"{self.record(key, 50)}\n".encode())
                if is_killed:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.recorder.close()
            finally:
                os._exit(0)
        os.close(tell)
        os.waitpid(child, 0)
        with os.fdopen(told) as answers:
            for key, event_id in zip(keys, answers.read().split(), strict=True):
                self.keep(key, event_id)

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
        assert set(keys) <= {kept.key for kept in self.model[count:]}

    @rule()
    def read_backward(self) -> None:
        forward = [*self.reader.scan()]
        assert [*self.reader.scan_back()] == forward[::-1]
        for entry in forward[::7]:
            if entry.event is not None:
                event = self.reader.read(entry.segment, entry.offset)
                assert event == fill(self.folder, entry.event)

    @rule(stays_open=st.booleans())
    def ask_the_index(self, stays_open: bool) -> None:
        """Caught up, it finds every event by all that it was recorded with, and no other."""
        index = self.index = self.index or Index.open(self.folder, self.reader)
        index.catch_up()

        for kept in self.model:
            row = index.by_id(kept.id)
            assert row is not None
            assert (row.time, row.agent, row.target) == (kept.time, kept.agent, kept.target)
            assert self.reader.read(row.segment, row.offset).data["key"] == kept.key
        for name in ("agent", "target"):
            ids: dict[str, list[str]] = {}
            for kept in self.model:
                ids.setdefault(getattr(kept, name), []).append(kept.id)
            assert sorted(ids) == (index.agents() if name == "agent" else index.targets())
            for value, wanted in ids.items():
                found = index.find(Query(agent=value) if name == "agent" else Query(target=value))
                assert sorted(row.id for row in found) == sorted(wanted)
        newest = index.find(Query(), newest_first=True, limit=_LAST)
        times = sorted((kept.time for kept in self.model), reverse=True)
        assert [row.time for row in newest] == times[:_LAST]
        assert sum(line.count for line in index.statistics(Query())) == len(self.model)
        assert not any(index.lost().values())
        if not stays_open:
            self.close_the_index()

    def close_the_index(self) -> None:
        if self.index is not None:
            self.index.close()
            self.index = None

    @rule(name=st.booleans())
    def delete_the_index(self, name: bool) -> None:
        """Its name, or the file behind it, also while it is open."""
        link = self.folder / "index.sqlite"
        if link.exists():
            (link if name else link.resolve()).unlink()

    @rule(
        percent=st.integers(0, 99),
        other=st.sampled_from([bytes(4096), b"\xff", b"not a database"]),
    )
    def corrupt_the_index(self, percent: int, other: bytes) -> None:
        """Other bytes in its place; found out by whoever opens it next."""
        self.close_the_index()
        path = (self.folder / "index.sqlite").resolve()
        if not path.exists():
            return
        raw = path.read_bytes()
        start = len(raw) * percent // 100
        path.write_bytes((raw[:start] + other + raw[start + len(other) :])[: len(raw)])
        # An hour ago, so that nobody takes it for a process that is just closing its index.
        then = time.time() - 3600
        os.utime(path, (then, then))

    @invariant()
    def nothing_is_lost(self) -> None:
        found = read_back(self.folder)
        assert sorted(found.keys) == sorted(kept.key for kept in self.model)
        assert found.holes() == 0
        assert self.recorder.lost == 0

    def visible(self) -> list[str]:
        return self.keys_of(self.reader.scan())

    def keys_of(self, entries: Iterator[Entry]) -> list[str]:
        events = [e.event for e in entries if e.event is not None and e.event.primitive != OWN]
        return [fill(self.folder, event).data["key"] for event in events]


def test_a_log_holds_what_it_acknowledged(full: bool) -> None:
    steps, examples = (60, 300) if full else (30, 40)
    run_state_machine_as_test(
        Log, settings=settings(stateful_step_count=steps, max_examples=examples)
    )
