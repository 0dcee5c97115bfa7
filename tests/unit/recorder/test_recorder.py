"""What a call records is what stands in the journal, and recording never breaks the program."""

import asyncio
import copy
import gc
import json
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import reference
from tests.strategies import (
    LOOK_ALIKES,
    broken_texts,
    counts,
    hostile_values,
    ids,
    names,
    payloads,
    texts,
)
from tests.unit.recorder.recording import (
    by_type,
    read_all,
    read_events,
    read_own,
    recorder_in,
)
from whence.errors import StoreError
from whence.event import OWN, STATUSES, id_time_ms
from whence.journal.blobs import fill
from whence.journal.disk import Disk
from whence.journal.folder import segment_path
from whence.journal.reader import Reader
from whence.line import ENVELOPE_BYTES_MAX, INLINE_BYTES_MAX, NUMBER_MAX, sealed_entry
from whence.query import clean_target
from whence.recorder.payload import Payloads
from whence.recorder.receipt import Receipt
from whence.recorder.recorder import Recorder


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with recorder_in(tmp_path) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """A recorder for the many examples of a property: redaction off, so values come back whole."""
    folder = tmp_path_factory.mktemp("shared")
    with recorder_in(folder, payloads=Payloads(redactor=None)) as recorder:
        yield recorder


def raw_lines(folder: Path) -> list[bytes]:
    """The bytes of every line, in order."""
    reader = Reader(folder)
    found = []
    for segment in reader.segments():
        content = segment_path(folder, segment.name).read_bytes()
        assert content.endswith(b"\n")
        found += content.split(b"\n")[:-1]
    reader.close()
    return found


def last_line(recorder: Recorder) -> bytes:
    return raw_lines(recorder.folder)[-1]


# --- from a call to a line ------------------------------------------------------------------


@given(
    primitive=names,
    type=names,
    agent=st.none() | names,
    target=st.none() | names,
    parent=st.none() | ids,
    links=st.lists(ids, max_size=3),
    status=st.sampled_from([None, *STATUSES]),
    duration=st.none() | counts,
    data=st.none() | st.dictionaries(texts, payloads, max_size=3),
)
def test_what_is_recorded_is_what_the_reference_writes(
    shared: Recorder, data: dict[str, Any] | None, **fields: Any
) -> None:
    event_id = shared.emit(**fields, data=data)

    raw = last_line(shared)
    line = reference.read_line(raw)
    assert line is not None
    assert line.salt is not None
    assert line.data is not None
    expected = {"id": event_id, "time": line.fields["time"], **fields}
    expected |= {key: line.fields[key] for key in ("w", "n")}
    if fields["target"] is not None:
        expected["target"] = clean_target(fields["target"])
    expected["links"] = fields["links"] or None
    assert raw == reference.encode_line(expected, line.salt, line.data)
    if data is None or "$marks" not in data:
        assert json.loads(line.data) == (data or {})


def test_an_event_has_an_id_of_its_time_which_is_returned(recorder: Recorder) -> None:
    before = time.time_ns()
    event_id = recorder.emit("ops", "create_task", agent="zealot-1", target="task-1", data={"a": 1})
    after = time.time_ns()

    (event,) = read_events(recorder.folder)
    assert event.id == event_id
    assert type(event_id) is str
    assert before <= event.time_ns <= after
    assert id_time_ms(event_id) == event.time_ns // 10**6
    assert event.data == {"a": 1}


def test_an_event_can_be_read_when_its_call_returns(recorder: Recorder) -> None:
    for count in range(1, 5):
        recorder.emit("ops", "step")

        assert len(read_events(recorder.folder)) == count


def test_nothing_is_written_before_something_is_recorded(tmp_path: Path) -> None:
    with recorder_in(tmp_path / "log") as recorder, recorder.cause("id-1"):
        recorder.span("layer.step")

    assert not (tmp_path / "log").exists()


def test_a_writer_says_hello_and_goodbye_and_counts_without_holes(recorder: Recorder) -> None:
    for _ in range(3):
        recorder.emit("ops", "step")
    recorder.close()

    events = read_all(recorder.folder)
    assert [(event.primitive, event.type) for event in events] == [
        (OWN, "writer.open"),
        *[("ops", "step")] * 3,
        (OWN, "writer.close"),
    ]
    assert [event.n for event in events] == [0, 1, 2, 3, 4]
    assert len({event.w for event in events}) == 1
    opened = events[0].data
    assert opened["pid"] == os.getpid()
    assert {"host", "boot", "version", "clock", "format"} <= set(opened)
    assert events[-1].data["last"] == 4
    assert events[-1].data["lost"] == 0


def test_no_salt_is_used_twice(recorder: Recorder) -> None:
    for _ in range(1_500):
        recorder.emit("ops", "step")

    salts = [event.salt for event in read_all(recorder.folder)]
    assert len(set(salts)) == len(salts) == 1_501


@pytest.mark.parametrize("target", ["#payments", "payments"])
def test_a_channel_is_stored_without_its_mark(recorder: Recorder, target: str) -> None:
    recorder.emit("bridge", "send", target=target)

    (event,) = read_events(recorder.folder)
    assert event.target == "payments"


@pytest.mark.parametrize(
    "now",
    [-(10**9) - 5, -5, 0, 1, 999_999_999, 10**9, 10**9 + 5, 1_795_203_655_104_233_123, 10**17],
)
def test_whatever_the_clock_says_is_written_in_full(tmp_path: Path, now: int) -> None:
    with recorder_in(tmp_path, clock=lambda: now) as recorder:
        recorder.emit("ops", "step")
        recorder.emit("ops", "step", wait=True)

    assert {event.time_ns for event in read_all(tmp_path)} == {now}


def test_times_may_step_back_and_ids_do_not(tmp_path: Path) -> None:
    clock = iter(1_795_203_655_000_000_000 - step * 10**10 for step in range(100))
    with recorder_in(tmp_path, clock=clock.__next__) as recorder:
        made = [recorder.emit("ops", "step") for _ in range(10)]

    assert made == sorted(set(made))
    assert [event.id for event in read_events(tmp_path)] == made


def test_more_names_than_are_kept_are_recorded_too(recorder: Recorder) -> None:
    for at in range(20_005):
        recorder.emit("ops", "step", target=f"task-{at}")

    assert [event.target for event in read_events(recorder.folder)] == [
        f"task-{at}" for at in range(20_005)
    ]


# --- payloads -------------------------------------------------------------------------------


@given(st.dictionaries(texts, payloads, max_size=4).filter(lambda data: "$marks" not in data))
def test_any_json_comes_back_as_it_was(shared: Recorder, data: dict[str, Any]) -> None:
    shared.emit("ops", "step", data=data)

    line = reference.read_line(last_line(shared))
    assert line is not None
    assert json.loads(line.data or b"") == data


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_text_that_looks_like_a_part_of_a_line_confuses_nobody(
    recorder: Recorder, text: str
) -> None:
    data = {text: [text, {text: text}], "key": text * 3}
    recorder.emit(text, text, agent=text, target=f"x{text}", links=[text, text], data=data)

    (event,) = read_events(recorder.folder)
    assert (event.primitive, event.type, event.agent) == (text, text, text)
    assert (event.target, event.links) == (f"x{text}", (text, text))
    assert event.data == data


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (None, {}),
        ({}, {}),
        ([], []),
        ("", ""),
        ("text", "text"),
        (5, 5),
        (True, True),
        (10**300, 10**300),
        ([1, [2, [3]]], [1, [2, [3]]]),
    ],
)
def test_a_payload_need_not_be_an_object(recorder: Recorder, data: object, stored: object) -> None:
    recorder.emit("ops", "step", data=data)

    (event,) = read_events(recorder.folder)
    assert event.data == stored


def test_a_number_that_json_lacks_becomes_null_and_is_marked(recorder: Recorder) -> None:
    recorder.emit("ops", "step", data={"a": math.nan, "b": [math.inf, -math.inf, 1.5]})

    (event,) = read_events(recorder.folder)
    assert event.data == {
        "a": None,
        "b": [None, None, 1.5],
        "$marks": {"/a": "nan", "/b/0": "inf", "/b/1": "-inf"},
    }


@given(hostile_values)
def test_no_payload_ever_raises_or_is_lost(shared: Recorder, data: Any) -> None:
    lost = shared.lost
    shared.emit("ops", "step", data=data)
    shared.emit("ops", "step", data={"key": data})

    assert shared.lost == lost
    for raw in raw_lines(shared.folder)[-2:]:
        assert reference.is_valid(raw)


def test_the_callers_objects_are_not_changed(recorder: Recorder) -> None:
    data = {"password": "hunter2", "nan": math.nan, "list": [{"token": "abc"}, b"x"]}
    before = copy.deepcopy(data)
    links = ["id-1"]
    recorder.emit("ops", "step", data=data, links=links)
    recorder.emit("ops", "step", data=data, links=links, private=True)

    assert repr(data) == repr(before)
    assert links == ["id-1"]


@pytest.mark.parametrize("size", [0, 1, 10, 11, 12, 13, 14, 100])
def test_a_line_has_room_for_its_sealed_entry(recorder: Recorder, size: int) -> None:
    recorder.emit("ops", "step", data="x" * size)

    raw = last_line(recorder)
    (event,) = read_events(recorder.folder)
    assert len(sealed_entry(event)) <= len(raw)


@pytest.mark.parametrize("more", [0, 1])
def test_a_large_payload_goes_to_a_blob(recorder: Recorder, more: int) -> None:
    text = "x" * (INLINE_BYTES_MAX - 2 + more)
    recorder.emit("ops", "step", data=text)

    (event,) = read_events(recorder.folder)
    assert event.blob == (INLINE_BYTES_MAX + 1 if more else None)
    assert (event.salt is None) == bool(more)
    assert fill(recorder.folder, event).data == text


# --- wrong use ------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["primitive", "type", "agent", "target", "parent"])
@pytest.mark.parametrize("value", [5, b"text", ["text"], object(), {}])
def test_what_is_not_text_is_refused(recorder: Recorder, field: str, value: object) -> None:
    fields: dict[str, Any] = {"primitive": "ops", "type": "step", field: value}
    with pytest.raises(TypeError):
        recorder.emit(**fields)
    assert read_events(recorder.folder) == []


@pytest.mark.parametrize("field", ["primitive", "type", "agent", "target", "parent"])
def test_empty_text_is_refused(recorder: Recorder, field: str) -> None:
    fields: dict[str, Any] = {"primitive": "ops", "type": "step", field: ""}
    with pytest.raises(ValueError, match=f"{field} is empty"):
        recorder.emit(**fields)
    assert read_events(recorder.folder) == []


@pytest.mark.parametrize("field", ["primitive", "type", "agent", "target", "parent"])
@given(text=broken_texts)
def test_text_that_no_file_can_hold_is_refused(shared: Recorder, field: str, text: str) -> None:
    fields: dict[str, Any] = {"primitive": "ops", "type": "step", field: text}
    with pytest.raises(ValueError, match=f"{field} holds a lone surrogate"):
        shared.emit(**fields)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("status", "fine", ValueError),
        ("status", "", ValueError),
        ("status", 0, ValueError),
        ("duration", "5", TypeError),
        ("duration", 1.5, TypeError),
        ("duration", -1, ValueError),
        ("duration", NUMBER_MAX + 1, ValueError),
        ("links", "id-1", TypeError),
        ("links", 5, TypeError),
        ("links", [5], TypeError),
        ("links", [""], ValueError),
        ("links", ["\ud800"], ValueError),
        ("durability", "paper", ValueError),
        ("durability", 5, ValueError),
    ],
)
def test_another_value_than_a_field_can_have_is_refused(
    recorder: Recorder, field: str, value: Any, error: type[Exception]
) -> None:
    wrong: dict[str, Any] = {field: value}
    with pytest.raises(error):
        recorder.emit("ops", "step", **wrong)
    assert read_events(recorder.folder) == []
    assert recorder.lost == 0


@pytest.mark.parametrize("how", [{}, {"wait": True}, {"private": True}, {"durability": "disk"}])
def test_an_envelope_over_its_size_is_refused(recorder: Recorder, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="envelope has"):
        recorder.emit("ops", "step", agent="é" * (ENVELOPE_BYTES_MAX // 2), **how)
    assert read_events(recorder.folder) == []


def test_the_largest_envelope_can_be_written_and_erased(recorder: Recorder) -> None:
    size = ENVELOPE_BYTES_MAX
    while True:
        try:
            recorder.emit("ops", "step", agent="a" * size)
            break
        except ValueError:
            size -= 1

    (event,) = read_events(recorder.folder)
    assert reference.is_valid(sealed_entry(event))
    assert size > ENVELOPE_BYTES_MAX - 250


def test_wrong_use_leaves_the_recorder_as_it_was(recorder: Recorder) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="primitive is empty"):
            recorder.emit("", "step")
    recorder.emit("ops", "step")
    recorder.close()

    assert [event.n for event in read_all(recorder.folder)] == [0, 1, 2]


# --- private events -------------------------------------------------------------------------


def test_of_a_private_event_only_a_commitment_is_stored(recorder: Recorder) -> None:
    receipt = recorder.emit("ops", "secret", data={"who": "Mallory Quiller"}, private=True)

    (event,) = read_events(recorder.folder)
    assert isinstance(receipt, Receipt)
    assert event.id == receipt
    assert event.private
    assert event.data is None
    assert (event.salt, event.blob) == (None, None)
    assert event.commit == reference.commitment(receipt.salt, receipt.payload)
    everything = b"".join(
        path.read_bytes() for path in recorder.folder.rglob("*") if path.is_file()
    )
    assert b"Quiller" not in everything
    assert receipt.salt.encode() not in everything


def test_a_receipt_reveals_what_was_committed_to_and_nothing_else(recorder: Recorder) -> None:
    receipt = recorder.emit("ops", "secret", data={"who": "Mallory"}, private=True)
    other = recorder.emit("ops", "other", data={"who": "Mallory"}, private=True)
    assert isinstance(receipt, Receipt)
    assert isinstance(other, Receipt)

    found = by_type(recorder.folder)
    assert json.loads(receipt.payload) == {"who": "Mallory"}
    assert receipt.check(found["secret"])
    assert not receipt.check(found["other"])
    assert not Receipt(receipt, receipt.salt, receipt.payload + b" ").check(found["secret"])
    assert not Receipt(receipt, receipt.salt, b'{"who":"Malory"}').check(found["secret"])
    assert not Receipt(receipt, other.salt, receipt.payload).check(found["secret"])
    assert not Receipt("another", receipt.salt, receipt.payload).check(found["secret"])
    assert not receipt.check(msgspec.structs.replace(found["secret"], commit="A" * 43))


def test_a_private_payload_may_be_large(recorder: Recorder) -> None:
    receipt = recorder.emit("ops", "secret", data="x" * 200_000, private=True)
    assert isinstance(receipt, Receipt)

    (event,) = read_events(recorder.folder)
    assert receipt.check(event)
    assert not (recorder.folder / "blobs").exists()


def test_a_receipt_is_kept_by_copies_and_pickles(recorder: Recorder) -> None:
    receipt = recorder.emit("ops", "secret", data={"who": "Mallory"}, private=True)

    (event,) = read_events(recorder.folder)
    for kept in (copy.copy(receipt), copy.deepcopy(receipt), pickle.loads(pickle.dumps(receipt))):
        assert isinstance(kept, Receipt)
        assert kept == receipt
        assert kept.check(event)


@pytest.mark.parametrize("how", [{"wait": True}, {"durability": "disk"}, {"durability": "os"}])
def test_a_private_event_can_be_recorded_in_every_way(
    recorder: Recorder, how: dict[str, Any]
) -> None:
    receipt = recorder.emit("ops", "secret", data=1, private=True, **how)
    assert isinstance(receipt, Receipt)

    (event,) = read_events(recorder.folder)
    assert receipt.check(event)


# --- promises -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"wait": True}, {"durability": "os"}, {"durability": "disk"}])
def test_an_event_is_the_same_in_every_way_of_recording(
    recorder: Recorder, how: dict[str, Any]
) -> None:
    event_id = recorder.emit(
        "ops", "step", agent="a", target="#t", data={"k": 1}, parent="p", links=["l"],
        status="error", duration=7, **how,
    )  # fmt: skip

    (event,) = read_events(recorder.folder)
    line = reference.read_line(last_line(recorder))
    assert line is not None
    assert event.id == event_id
    assert line.fields == {
        "id": event_id, "time": event.time, "primitive": "ops", "type": "step", "agent": "a",
        "target": "t", "parent": "p", "status": "error", "duration": 7, "links": ["l"],
        "w": event.w, "n": 1,
    }  # fmt: skip
    assert line.data == b'{"k":1}'


def test_tasks_record_durably_beside_each_other(recorder: Recorder) -> None:
    async def main() -> list[str]:
        with recorder.span("layer.main"):
            many = (recorder.emit_async("ops", "step", data={"at": at}) for at in range(30))
            made = await asyncio.gather(*many)
        return [*made, await recorder.emit_async("ops", "secret", data="x", private=True)]

    made = asyncio.run(main())
    recorder.close()

    events = {event.id: event for event in read_events(recorder.folder)}
    main_id = next(event.id for event in events.values() if event.type == "main")
    assert [events[event_id].data for event_id in made[:-1]] == [{"at": at} for at in range(30)]
    assert {events[event_id].parent for event_id in made[:-1]} == {main_id}
    assert isinstance(made[-1], Receipt)
    assert made[-1].check(events[made[-1]])


def test_wrong_use_is_refused_by_tasks_too(recorder: Recorder) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="agent is int"):
            await recorder.emit_async("ops", "step", agent=5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="envelope has"):
            await recorder.emit_async("ops", "step", agent="a" * ENVELOPE_BYTES_MAX)

    asyncio.run(main())
    assert read_events(recorder.folder) == []


class _SlowDisk(Disk):
    """Keeps all who wait for a sync waiting until it is told to go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def sync(self, fd: int) -> None:
        self.go_on.wait()
        super().sync(fd)


def test_a_task_that_gives_up_waiting_has_recorded(tmp_path: Path) -> None:
    disk = _SlowDisk()

    async def main(recorder: Recorder) -> str:
        task = asyncio.create_task(recorder.emit_async("ops", "given_up"))
        await asyncio.sleep(0)
        task.cancel()
        disk.go_on.set()
        return await recorder.emit_async("ops", "waited")

    with recorder_in(tmp_path, disk=disk) as recorder:
        asyncio.run(main(recorder))

    assert sorted(by_type(tmp_path)) == ["given_up", "waited"]


def test_a_loop_that_ends_leaves_the_recorder_whole(tmp_path: Path) -> None:
    """And the recorder does not keep the loop."""
    disk = _SlowDisk()
    loops = []

    async def main(recorder: Recorder) -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        recorder_task = asyncio.create_task(recorder.emit_async("ops", "late"))
        await asyncio.sleep(0.01)
        assert not recorder_task.done()

    with recorder_in(tmp_path, disk=disk) as recorder:
        asyncio.run(main(recorder))
        disk.go_on.set()
        assert asyncio.run(recorder.emit_async("ops", "next"))
        gc.collect()
        assert loops[0]() is None

    assert sorted(by_type(tmp_path)) == ["late", "next"]


class _StubbornDisk(Disk):
    """Refuses to write while `is_full`."""

    def __init__(self) -> None:
        self.is_full = False
        self._take = self.write
        self.write = self._write

    def _write(self, fd: int, data: bytes) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return self._take(fd, data)


def test_what_could_not_be_recorded_is_counted_and_the_count_recorded(tmp_path: Path) -> None:
    disk = _StubbornDisk()
    with recorder_in(tmp_path, disk=disk) as recorder:
        recorder.emit("ops", "before")
        disk.is_full = True
        for _ in range(5):
            recorder.emit("ops", "missing")
        assert recorder.lost == 5
        with pytest.raises(StoreError, match="No space left"):
            recorder.emit("ops", "missing", durability="disk")
        assert recorder.lost == 6
        disk.is_full = False
        recorder.emit("ops", "after")

    assert [event.type for event in read_events(tmp_path)] == ["before", "after"]
    assert sum(gap.data["lost"] for gap in read_own(tmp_path, "writer.gap")) == 6
    (closed,) = read_own(tmp_path, "writer.close")
    assert closed.data["lost"] == 6


def test_a_task_is_told_that_its_promise_cannot_be_kept(tmp_path: Path) -> None:
    disk = _StubbornDisk()
    with recorder_in(tmp_path, disk=disk) as recorder:
        recorder.emit("ops", "before")
        disk.is_full = True
        with pytest.raises(StoreError, match="No space left"):
            asyncio.run(recorder.emit_async("ops", "missing"))
        disk.is_full = False

    assert recorder.lost == 1
    assert list(by_type(tmp_path)) == ["before"]


def test_a_folder_that_cannot_be_made_is_counted_and_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with recorder_in(tmp_path / "file" / "log") as recorder:
        for _ in range(3):
            recorder.emit("ops", "step")
            recorder.emit("ops", "step", data="x" * 100_000)
        with recorder.span("layer.step"):
            pass
        assert recorder.lost == 7
        with pytest.raises(StoreError):
            recorder.emit("ops", "step", durability="disk")


def test_threads_record_everything_in_their_own_order(recorder: Recorder) -> None:
    def work(name: int) -> None:
        for at in range(300):
            recorder.emit("ops", "step", agent=f"thread-{name}", data={"at": at})

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()

    events = read_events(recorder.folder)
    assert recorder.lost == 0
    for name in range(8):
        mine = [event for event in events if event.agent == f"thread-{name}"]
        assert [event.data["at"] for event in mine] == list(range(300))
        assert [event.id for event in mine] == sorted(event.id for event in mine)
    counted = [event.n for event in read_all(recorder.folder)]
    assert counted == list(range(len(counted)))


# --- the end, and other processes -----------------------------------------------------------


def test_closing_twice_says_goodbye_once(recorder: Recorder) -> None:
    recorder.emit("ops", "step")
    recorder.close()
    recorder.close()

    assert len(read_own(recorder.folder, "writer.close")) == 1


def test_closing_what_never_recorded_writes_nothing(tmp_path: Path) -> None:
    Recorder(tmp_path / "log").close()

    assert not (tmp_path / "log").exists()


def test_what_is_recorded_after_closing_is_counted(recorder: Recorder) -> None:
    recorder.emit("ops", "step")
    recorder.close()
    recorder.emit("ops", "late")
    recorder.emit("ops", "late", wait=True)
    recorder.emit("ops", "late", private=True)
    with recorder.span("layer.late"):
        pass

    assert recorder.lost == 4
    with pytest.raises(StoreError):
        recorder.emit("ops", "late", durability="disk")
    assert [event.type for event in read_events(recorder.folder)] == ["step"]


def run(script: str, folder: Path, *, sends: signal.Signals | None = None) -> int:
    """Run a program that records to `folder`; return its exit code."""
    code = (
        "from whence.recorder.recorder import Recorder\nimport os, sys\nfrom pathlib import Path\n"
    )
    code += "recorder = Recorder(Path(sys.argv[1]))\n" + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(folder)],
        timeout=60,
        check=False,
        stderr=subprocess.PIPE if sends is None else subprocess.DEVNULL,
    )
    return done.returncode


@pytest.mark.parametrize(
    ("ending", "code"),
    [("", 0), ("sys.exit(3)", 3), ("raise LookupError", 1), ("recorder.close()", 0)],
)
def test_a_program_that_ends_says_goodbye(tmp_path: Path, ending: str, code: int) -> None:
    assert run(f'recorder.emit("ops", "step")\n{ending}\n', tmp_path) == code

    (closed,) = read_own(tmp_path, "writer.close")
    assert closed.data["last"] == 2
    assert [event.type for event in read_events(tmp_path)] == ["step"]


def test_a_program_that_is_killed_has_kept_what_returned_and_says_no_goodbye(
    tmp_path: Path,
) -> None:
    script = 'for _ in range(50): recorder.emit("ops", "step")\nos.kill(os.getpid(), 9)\n'

    assert run(script, tmp_path) == -9
    assert len(read_events(tmp_path)) == 50
    assert read_own(tmp_path, "writer.close") == []


def test_threads_that_still_record_at_exit_lose_nothing_that_returned(tmp_path: Path) -> None:
    script = """
        import threading, time
        returned = open(os.path.join(sys.argv[1] + "-ids"), "w", buffering=1)
        def work():
            while True:
                returned.write(recorder.emit("ops", "step") + "\\n")
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.3)
    """
    assert run(script, tmp_path / "log") == 0

    stored = {event.id for event in read_events(tmp_path / "log")}
    written = (tmp_path / "log-ids").read_text().split("\n")[:-1]
    (closed,) = read_own(tmp_path / "log", "writer.close")
    # What came after goodbye was counted, and only that.
    at_goodbye = [event_id for event_id in written if event_id < closed.id]
    assert set(at_goodbye) <= stored


def test_a_forked_child_is_a_writer_of_its_own(tmp_path: Path) -> None:
    script = """
        recorder.emit("ops", "before")
        with recorder.span("layer.step"):
            child = os.fork()
            for _ in range(300):
                recorder.emit("ops", "parent" if child else "child")
            if child == 0:
                recorder.close()
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    assert run(script, tmp_path) == 0

    everything = read_all(tmp_path)
    writers = {event.w for event in everything}
    assert len(writers) == 2
    for w in writers:
        counted = [event.n for event in everything if event.w == w]
        assert counted == list(range(len(counted)))
    by_parent = [event for event in everything if event.type in ("parent", "child")]
    (step,) = (event for event in everything if event.type == "step")
    assert len(by_parent) == 600
    assert {event.parent for event in by_parent} == {step.id}
    assert len({event.id for event in everything}) == len(everything)
    assert len({event.salt for event in everything}) == len(everything)


_open: list[Recorder] = []


def _leave_open(folder: str, name: str) -> None:
    """Record, and let the end of the process close it."""
    _open.append(Recorder(Path(folder)))
    _open[-1].emit("ops", name)


def _use_inherited(name: str) -> None:
    _open[0].emit("ops", name)


def test_a_process_of_multiprocessing_says_goodbye(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_leave_open, args=(str(tmp_path), "child")
    )
    process.start()
    process.join(60)

    assert process.exitcode == 0
    assert [event.type for event in read_events(tmp_path)] == ["child"]
    assert len(read_own(tmp_path, "writer.close")) == 1


@pytest.mark.parametrize("kind", ["inherited", "own"])
def test_a_child_of_multiprocessing_that_leaves_its_log_open_says_goodbye(
    tmp_path: Path, kind: str
) -> None:
    context = multiprocessing.get_context("fork")
    with recorder_in(tmp_path) as recorder:
        recorder.emit("ops", "parent")
        _open[:] = [recorder]
        process = (
            context.Process(target=_use_inherited, args=("child",))
            if kind == "inherited"
            else context.Process(target=_leave_open, args=(str(tmp_path), "child"))
        )
        process.start()
        process.join(60)
        assert process.exitcode == 0
        assert len(read_own(tmp_path, "writer.close")) == 1
    _open.clear()

    assert sorted(by_type(tmp_path)) == ["child", "parent"]
    assert len({event.w for event in read_all(tmp_path)}) == 2


def test_a_recorder_that_is_dropped_says_goodbye_and_keeps_no_descriptor(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0

    gc.collect()
    before = descriptors()
    recorder = Recorder(tmp_path)
    recorder.emit("ops", "step")
    del recorder
    gc.collect()

    assert descriptors() == before
    assert len(read_own(tmp_path, "writer.close")) == 1


def test_what_whence_says_of_itself_nobody_else_can(recorder: Recorder) -> None:
    """Else a program could forge a newer format, and nobody could read its log any more."""
    with pytest.raises(ValueError, match="keeps for itself"):
        recorder.emit("whence", "writer.open", data={"format": 2})
    with pytest.raises(ValueError, match="keeps for itself"):
        recorder.span("whence.gap")


def test_long_names_are_written_and_not_kept(recorder: Recorder) -> None:
    recorder.emit("ops", "step", target="t" * 5_000)
    recorder.emit("ops", "step", target="t" * 5_000)

    assert [event.target for event in read_events(recorder.folder)] == ["t" * 5_000] * 2
    assert recorder._names.get(("ops", "step", None, "t" * 5_000)) is None


def test_a_payload_that_could_not_be_kept_apart_is_counted_with_disk_too(tmp_path: Path) -> None:
    with recorder_in(tmp_path, durability="disk") as recorder:
        (tmp_path / "blobs").write_text("a file where a folder should be")
        with pytest.raises(StoreError, match="blob"):
            recorder.emit("ops", "step", data="x" * 100_000)
        with pytest.raises(StoreError, match="blob"):
            asyncio.run(recorder.emit_async("ops", "step", data="x" * 100_000))

        assert recorder.lost == 2


_RECORD_IN_EVERY_WAY = """
import pathlib, sys
from whence import settings
from whence.recorder.making import make_recorder
loaded = set(sys.modules)
assert "asyncio" not in loaded
import asyncio
recorder = make_recorder(pathlib.Path(sys.argv[1]), settings.load(pathlib.Path(sys.argv[1])), "os")
recorder.emit("ops", "step", data={"password": "x", "large": "x" * 100_000})
recorder.emit("ops", "step", private=True, durability="disk")
with recorder.span("ops.step"):
    asyncio.run(recorder.emit_async("ops", "step"))
recorder.close()
print(sorted(name for name in {*sys.modules} - loaded if name.startswith("whence")))
"""


def test_all_that_recording_needs_is_loaded_before_it_begins(tmp_path: Path) -> None:
    """A handler that interrupts an import would find half of what it imports, and could not record."""
    (tmp_path / "whence.toml").write_text('[[privacy.rule]]\nprimitive = "x"\nprivate = true\n')
    ran = subprocess.run(
        [sys.executable, "-c", _RECORD_IN_EVERY_WAY, str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ran.stdout == "[]\n"
