import errno
import gc
import logging
import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.crash.account import Found, payload, read_back, serials
from whence.errors import StoreError
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.journal.writer import QUEUE_MAX
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock
from whence.testing.faults import FailingDisk, Fault


def _emit(recorder: Recorder, number: int = 1, size: int = 0, stream: str = "main") -> None:
    keys = serials(stream)
    for _ in range(number):
        recorder.emit("test", "happened", data=payload(next(keys), size))


def _segments(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".jsonl") for path in (folder / "journal").iterdir())


def _types(found: Found) -> list[str]:
    return [event.type for event in found.events]


def test_nothing_is_made_before_the_first_event(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "log")
    recorder.close()

    assert not (tmp_path / "log").exists()


def test_a_writer_says_hello_and_goodbye(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    _emit(recorder, 3)
    recorder.close()
    recorder.close()

    found = read_back(tmp_path)
    assert _types(found) == ["writer.open", *["happened"] * 3, "writer.close"]
    assert [event.n for event in found.events] == [0, 1, 2, 3, 4]
    assert found.own("writer.close") == [{"last": 4, "lost": 0}]
    (hello,) = found.own("writer.open")
    assert {"host", "pid", "boot", "version", "format", "clock"} <= hello.keys()


def test_a_new_day_and_a_full_segment_begin_a_new_one(tmp_path: Path) -> None:
    clock = FixedClock("2026-11-20T23:59:00.000000000Z")
    recorder = Recorder(tmp_path, clock=clock, layout=Layout(segment_bytes=4096))
    _emit(recorder, size=5000)
    clock.advance(2)
    _emit(recorder, stream="next")
    clock.set("2026-11-21T00:00:00.000000000Z")
    _emit(recorder, stream="day")
    recorder.close()

    assert _segments(tmp_path) == ["2026-11-20.0000", "2026-11-20.0001", "2026-11-21.0000"]


def test_many_events_in_one_second_still_begin_a_new_segment(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, clock=FixedClock(), layout=Layout(segment_bytes=4096))
    _emit(recorder, 3000)
    recorder.close()

    assert len(_segments(tmp_path)) == 3


def test_a_clock_that_steps_back_a_day_keeps_the_order(tmp_path: Path) -> None:
    clock = FixedClock("2026-11-21T00:00:01.000000000Z")
    recorder = Recorder(tmp_path, clock=clock)
    _emit(recorder)
    clock.advance(-60)
    _emit(recorder, stream="back")
    recorder.close()

    assert _segments(tmp_path) == ["2026-11-21.0000"]
    assert [event.n for event in read_back(tmp_path).events] == [0, 1, 2, 3]


def test_the_next_process_goes_on_in_the_segment_that_has_room(tmp_path: Path) -> None:
    for _ in range(3):
        recorder = Recorder(tmp_path, clock=FixedClock(), layout=Layout(segment_bytes=4096))
        _emit(recorder, size=2000)
        recorder.close()

    assert _segments(tmp_path) == ["2026-11-20.0000", "2026-11-20.0001"]


def _make_journal(folder: Path, days: str, newer: str) -> None:
    """Write a journal with a segment for each of these days of a month, one of a newer format."""
    for day in days:
        recorder = Recorder(folder, clock=FixedClock(f"2026-11-2{day}T00:00:00.000000000Z"))
        _emit(recorder, stream=day)
        recorder.close()
    path = folder / "journal" / f"2026-11-2{newer}.0000.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2', 1))


@pytest.mark.parametrize(
    ("days", "newer", "today"),
    [("1", "1", 1), ("1", "1", 2), ("12", "2", 2), ("123", "3", 4), ("123", "1", 4)],
    ids=["this one", "the only one", "the last, of two", "the last", "the first"],
)
def test_a_journal_of_a_newer_format_is_not_recorded_to(
    days: str, newer: str, today: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted as lost and told once, with both versions; only `disk` raises."""
    _make_journal(tmp_path, days, newer)
    journal = tmp_path / "journal"
    before = {path: path.read_bytes() for path in journal.iterdir()}
    clock = FixedClock(f"2026-11-2{today}T00:00:00.000000000Z")
    recorder = Recorder(tmp_path, clock=clock)

    _emit(recorder, 2, stream="late")
    recorder.emit("test", "happened", wait=True)
    clock.advance(2)
    with pytest.raises(StoreError, match=r"format 2 .*format 1"):
        recorder.emit("test", "happened", durability="disk")
    recorder.close()

    assert recorder.lost == 4
    assert {path: path.read_bytes() for path in journal.iterdir()} == before
    assert len(caplog.records) == 1
    assert re.search(r"cannot record to .*: journal has format 2 .*format 1", caplog.text)


def test_a_newer_format_shows_at_the_head_of_every_segment_of_its_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its writer joined an older segment, and opened the next as it went on."""
    clock = FixedClock("2026-11-20T23:59:59.000000000Z")
    old = Recorder(tmp_path, clock=clock)
    _emit(old, stream="old")
    old.close()
    with monkeypatch.context() as upgraded:
        upgraded.setattr("whence.recorder.host.FORMAT", 2)
        new = Recorder(tmp_path, clock=clock)
        _emit(new, stream="new")
        clock.advance(1)
        _emit(new, stream="day")
        new.close()
    late = Recorder(tmp_path, clock=clock)
    _emit(late, stream="late")
    late.close()

    assert late.lost == 1
    assert read_back(tmp_path).keys == ["old:0", "new:0", "day:0"]


@pytest.mark.parametrize("before", [b"", b"x" * 60_000 + b"\n"], ids=["long", "after a fragment"])
def test_a_first_line_tells_its_format_however_long_it_is(before: bytes, tmp_path: Path) -> None:
    _make_journal(tmp_path, "1", newer="1")
    path = tmp_path / "journal" / "2026-11-21.0000.jsonl"
    line = path.read_bytes().replace(b'"format":2', b'"format":2,"more":"%b"' % (b"x" * 50_000))
    path.write_bytes(before + line)
    recorder = Recorder(tmp_path, clock=FixedClock("2026-11-21T00:00:00.000000000Z"))
    _emit(recorder, stream="late")
    recorder.close()

    assert recorder.lost == 1


def test_a_writer_says_its_format_first_in_each_segment(tmp_path: Path) -> None:
    clock = FixedClock()
    recorder = Recorder(tmp_path, clock=clock)
    for day in "abc":
        _emit(recorder, 2, stream=day)
        clock.advance(86_400)
    recorder.close()

    found = read_back(tmp_path)
    assert _types(found) == [
        "writer.open", *["happened"] * 2, "segment.open", *["happened"] * 2,
        "segment.open", *["happened"] * 2, "writer.close",
    ]  # fmt: skip
    assert [event.n for event in found.events] == list(range(10))
    (hello,), again = found.own("writer.open"), found.own("segment.open")
    assert all(each["format"] == hello["format"] for each in again)
    assert len(_segments(tmp_path)) == 3


def test_nothing_of_a_writer_stands_before_its_format(tmp_path: Path) -> None:
    clock, disk = FixedClock(), FailingDisk()
    recorder = Recorder(tmp_path, clock=clock, disk=disk)
    _emit(recorder, stream="before")
    clock.advance(86_400)
    disk.fault = Fault(operation="write", at=disk.calls["write"], error=errno.ENOSPC, for_ever=True)
    _emit(recorder, stream="lost")
    disk.heal()
    _emit(recorder, stream="after")
    recorder.close()

    found = read_back(tmp_path)
    assert _types(found) == [
        "writer.open", "happened", "segment.open", "happened", "writer.gap", "writer.close"
    ]  # fmt: skip
    assert found.keys == ["before:0", "after:0"]
    counts = [event.n for event in found.events]
    assert counts == sorted(counts)


def test_a_segment_that_cannot_be_read_is_still_written_to(tmp_path: Path) -> None:
    _make_journal(tmp_path, "12", newer="2")
    disk = FailingDisk(Fault(operation="read_start", at=0, error=errno.EACCES, for_ever=True))
    recorder = Recorder(tmp_path, disk=disk)
    _emit(recorder)
    recorder.close()

    assert disk.struck == 2
    assert recorder.lost == 0


def test_a_pipe_with_the_name_of_a_segment_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    os.mkfifo(tmp_path / "journal" / "2026-11-20.0000.jsonl")
    recorder = Recorder(tmp_path)
    _emit(recorder)
    recorder.close()

    assert recorder.lost == 0


def test_one_promise_does_not_keep_every_later_segment_open(tmp_path: Path) -> None:
    clock, disk = FixedClock(), FailingDisk()
    recorder = Recorder(tmp_path, clock=clock, disk=disk, layout=Layout(segment_bytes=4096))
    recorder.emit("test", "happened", durability="disk", data=payload("disk:0", 0))
    for number in range(30):
        _emit(recorder, size=5000, stream=f"s{number}")
        clock.advance(2)

    assert len(_segments(tmp_path)) > 20
    assert len(disk.open_paths) <= 2
    recorder.close()
    assert disk.open_paths == []


def test_what_is_recorded_after_the_close_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path)
    _emit(recorder)
    recorder.close()

    _emit(recorder, 3, stream="late")
    with pytest.raises(StoreError, match="the log is closed"):
        recorder.emit("test", "happened", durability="disk")

    assert recorder.lost == 4
    assert read_back(tmp_path).keys == ["main:0"]
    assert len(caplog.records) == 1


def test_what_came_after_the_close_is_told_as_lost_when_it_is_closed_again(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    _emit(recorder)
    recorder.close()
    _emit(recorder, 3, stream="late")

    recorder.close()
    recorder.close()

    found = read_back(tmp_path)
    assert found.own("writer.gap") == [{"lost": 3, "reason": "the log is closed"}]
    assert found.own("segment.left") == []
    assert [said["lost"] for said in found.own("writer.close")] == [0, 3]
    assert len(_segments(tmp_path)) == 2


def test_a_log_that_is_gone_after_the_close_is_not_made_again(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "log")
    _emit(recorder)
    recorder.close()
    shutil.rmtree(tmp_path / "log")
    _emit(recorder, stream="late")

    recorder.close()

    assert not (tmp_path / "log").exists()
    assert recorder.lost == 1


def test_a_lost_blob_shows_even_if_nothing_follows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FailingDisk(Fault(operation="rename", at=0, error=errno.ENOSPC))
    recorder = Recorder(tmp_path, disk=disk)
    _emit(recorder, size=70_000)
    recorder.close()

    found = read_back(tmp_path)
    assert found.keys == []
    assert [gap["lost"] for gap in found.own("writer.gap")] == [1]
    assert found.own("writer.close")[0]["lost"] == 1
    assert "No space left" in caplog.text


def test_a_fragment_of_our_own_is_ended_before_the_next_line(tmp_path: Path) -> None:
    """So that it can never be read as anything, whatever the next line holds."""
    disk = FailingDisk(Fault(operation="write", at=1, error=0, how="half"))
    recorder = Recorder(tmp_path, disk=disk)
    _emit(recorder, 2)
    recorder.close()

    raw = next((tmp_path / "journal").iterdir()).read_bytes()
    assert b'#\n{"id":"' in raw
    found = read_back(tmp_path)
    assert found.keys == ["main:0", "main:1"]
    assert found.fragments == 1
    assert recorder.lost == 0


class _Gate(Disk):
    """Holds up the write that is on its way when it is shut."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.held = threading.Event()

        def write(fd: int, data: bytes) -> int:
            if not self.gate.is_set():
                self.held.set()
                self.gate.wait()
            return os.write(fd, data)

        self.write = write


def test_no_more_return_than_the_queue_may_hold(tmp_path: Path) -> None:
    """Callers beyond it wait for the thread that writes."""
    disk = _Gate()
    recorder = Recorder(tmp_path, disk=disk)
    _emit(recorder)
    returned: list[int] = []

    def record(number: int) -> None:
        for key, _ in zip(serials(f"t{number}"), range(300), strict=False):
            recorder.emit("test", "happened", data=payload(key, 0))
            returned.append(number)

    disk.gate.clear()
    threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
    threads[0].start()
    disk.held.wait()
    for thread in threads[1:]:
        thread.start()
    # In the end all seven wait, each with a line that has not returned.
    queue = recorder._writer._queue
    while len(queue) <= QUEUE_MAX or len(queue) - len(returned) != 7:
        time.sleep(0.001)
    assert len(returned) <= QUEUE_MAX
    disk.gate.set()
    for thread in threads:
        thread.join()
    recorder.close()

    found = read_back(tmp_path)
    assert len(found.keys) == 2401
    assert found.holes() == 0


def test_a_slow_disk_holds_up_nobody_who_does_not_ask_for_it(tmp_path: Path) -> None:
    """While one thread waits for a sync, others record."""
    syncing, go_on = threading.Event(), threading.Event()

    class Slow(Disk):
        def sync(self, fd: int) -> None:
            syncing.set()
            go_on.wait()
            super().sync(fd)

    recorder = Recorder(tmp_path, disk=Slow())
    waiting = threading.Thread(
        target=lambda: recorder.emit("test", "happened", data=payload("d:0", 0), durability="disk")
    )
    waiting.start()
    syncing.wait()
    _emit(recorder, 1000)
    written = read_back(tmp_path).keys
    go_on.set()
    waiting.join()
    recorder.close()

    assert len(written) == 1001


def test_a_log_handler_may_record(tmp_path: Path) -> None:
    """Also while the warning it is given is about recording."""
    disk = FailingDisk(Fault(operation="write", at=2, error=errno.EIO))
    recorder = Recorder(tmp_path, disk=disk)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            recorder.emit("log", "message", data=payload("log:0", 0), wait=True)

    handler = Handler()
    logger = logging.getLogger("whence")
    logger.addHandler(handler)
    try:
        _emit(recorder, 5)
    finally:
        logger.removeHandler(handler)
    recorder.close()

    found = read_back(tmp_path)
    assert "log:0" in found.keys
    assert len(found.keys) == 5
    assert recorder.lost == 1


def test_a_finalizer_may_record_wherever_it_runs(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    keys = serials("finalizer")
    ended = []

    class Ended:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            key = next(keys)
            recorder.emit("test", "happened", data=payload(key, 0))
            ended.append(key)

    before = gc.get_threshold()
    gc.set_threshold(3)
    try:
        main = serials("main")
        for _ in range(500):
            Ended()
            recorder.emit("test", "happened", data=payload(next(main), 0))
    finally:
        gc.set_threshold(*before)
    gc.collect()
    recorder.close()

    found = read_back(tmp_path)
    assert len(ended) == 500
    assert len(found.keys) == 1000
    assert found.holes() == found.fragments == recorder.lost == 0
