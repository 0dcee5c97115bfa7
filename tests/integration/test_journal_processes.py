"""Real processes, signals and limits: what they record is kept, or counted as lost."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.crash.account import (
    PROMISES,
    Account,
    Found,
    payload,
    read_back,
    serials,
    writers_without_close,
)
from whence.errors import StoreError
from whence.recorder.recorder import Recorder
from whence.testing.clock import FixedClock

_ROOT = Path(__file__).parents[2]
# The smallest namespace in which a small disk can be mounted; empty where that is not allowed.
_OWN_MOUNTS = ["unshare", "--mount", "--map-root-user"]


def _play(scene: str, folder: Path, *prefix: str) -> Any:
    run = subprocess.run(
        [*prefix, sys.executable, "-m", "tests.integration.scenes", scene, str(folder)],
        cwd=_ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def _keys(stream: str, number: int) -> set[str]:
    return {f"{stream}:{serial}" for serial in range(number)}


def _check_order(found: Found) -> None:
    Account(attempted=set(found.keys)).check_honest(found)


def test_forked_children_record_as_writers_of_their_own(tmp_path: Path) -> None:
    assert _play("forks", tmp_path) == [0] * 6

    found = read_back(tmp_path)
    _check_order(found)
    wanted = [_keys(f"t{n}", 3000) for n in range(4)]
    wanted += [_keys(f"{who}{n}", 50) for who in ("main", "child") for n in range(6)]
    assert set(found.keys) == set().union(*wanted)
    assert len({event.w for event in found.events}) == 7
    assert writers_without_close(found) == set()
    assert found.holes() == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_say_goodbye(method: str, tmp_path: Path) -> None:
    assert _play(method, tmp_path) == [0, 0, 0]

    found = read_back(tmp_path)
    assert set(found.keys) == _keys("parent", 10).union(
        *(_keys(f"child{n}", 100) for n in range(3))
    )
    assert writers_without_close(found) == set()


def test_a_signal_handler_may_record(tmp_path: Path) -> None:
    number = _play("handler", tmp_path)

    found = read_back(tmp_path)
    _check_order(found)
    assert set(found.keys) == _keys("main", 20_000) | {f"handler{n}:0" for n in range(number)}
    assert number > 0
    assert found.holes() == found.fragments == 0


def test_a_signal_handler_may_raise(tmp_path: Path) -> None:
    kept = _play("raising", tmp_path)

    found = read_back(tmp_path)
    _check_order(found)
    assert set(found.keys) >= set(kept) | _keys("other", 20_000)
    assert writers_without_close(found) == set()


def _check_full(outcome: dict[str, Any], found: Found) -> None:
    _check_order(found)
    assert set(found.keys) >= set(outcome["kept"]) | _keys("after", 10)
    assert sum(gap["lost"] for gap in found.own("writer.gap")) >= outcome["lost"]
    assert found.own("writer.close")[-1]["lost"] >= outcome["lost"]


def test_a_file_that_may_not_grow_is_survived(tmp_path: Path) -> None:
    """Needs no rights: the system itself cuts a write short, and then refuses."""
    outcome = _play("full_file", tmp_path)

    found = read_back(tmp_path)
    _check_full(outcome, found)
    assert found.fragments > 0


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    """On a real small disk where one may be mounted, else with a limit on the file."""
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    script = f'mount -t tmpfs -o size=600k tmpfs {disk} && "$0" "$@" && cp -r {disk}/log {copy}'
    may_mount = (
        shutil.which("unshare") is not None
        and not subprocess.run(
            [*_OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True
        ).returncode
    )
    if may_mount:
        outcome = _play("full_disk", disk / "log", *_OWN_MOUNTS, "sh", "-c", script)
    else:
        outcome = _play("full_file", copy)

    _check_full(outcome, read_back(copy))


def test_too_many_open_files_are_survived(tmp_path: Path) -> None:
    outcome = _play("no_files", tmp_path)

    found = read_back(tmp_path)
    assert outcome["lost_at_first"] == 3
    assert outcome["lost_blob"] == 1
    assert set(found.keys) >= _keys("all", 3) | {"blob:1"}
    assert sum(gap["lost"] for gap in found.own("writer.gap")) == outcome["lost"]


def test_threads_keep_their_order_and_lose_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    def record(stream: str) -> None:
        for number, key in zip(range(600), serials(stream), strict=False):
            promise = "wait" if number % 10 == 0 else "disk" if number % 100 == 1 else "os"
            recorder.emit("test", "happened", data=payload(key, 20), **PROMISES[promise])

    threads = [threading.Thread(target=record, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()

    found = read_back(tmp_path)
    _check_order(found)
    assert set(found.keys) == set().union(*(_keys(f"t{n}", 600) for n in range(8)))
    assert found.holes() == found.fragments == recorder.lost == 0


def test_closing_beside_threads_that_want_the_disk_hangs_nobody(tmp_path: Path) -> None:
    """Each call is kept or refused; none is acknowledged and missing, and none waits for ever."""
    for number in range(5):
        folder = tmp_path / str(number)
        recorder = Recorder(folder)
        account = Account()

        def record(stream: str, recorder: Recorder = recorder, account: Account = account) -> None:
            for key in serials(stream):
                account.attempted.add(key)
                try:
                    recorder.emit("test", "happened", data=payload(key, 20), durability="disk")
                except StoreError:
                    return
                account.kept[key] = "disk"

        threads = [threading.Thread(target=record, args=(f"t{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        while len(account.kept) < 20:
            pass
        recorder.close()
        for thread in threads:
            thread.join(timeout=300)
            assert not thread.is_alive()

        found = read_back(folder)
        account.check_honest(found)
        assert account.missing(found) == set()


def test_tasks_share_their_syncs(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    async def record(stream: str) -> None:
        for _, key in zip(range(20), serials(stream), strict=False):
            await recorder.emit_async("test", "happened", data=payload(key, 20))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(64):
                group.create_task(record(f"task{number}"))

    asyncio.run(main())
    recorder.close()

    found = read_back(tmp_path)
    _check_order(found)
    assert set(found.keys) == set().union(*(_keys(f"task{n}", 20) for n in range(64)))


def test_a_task_that_records_after_the_close_is_refused(tmp_path: Path) -> None:
    """Also when tasks had recorded before: nobody is left waiting for a thread that has ended."""
    recorder = Recorder(tmp_path)

    async def main() -> None:
        await recorder.emit_async("test", "happened", data=payload("before:0", 0))
        recorder.close()
        with pytest.raises(StoreError, match="closed"):
            await recorder.emit_async("test", "happened", data=payload("after:0", 0))

    asyncio.run(main())

    assert read_back(tmp_path).keys == ["before:0"]


def test_a_task_that_is_cancelled_disturbs_no_other(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    async def main() -> None:
        tasks = [
            asyncio.create_task(recorder.emit_async("test", "happened", data=payload(f"t{n}:0", 0)))
            for n in range(10)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks[::2])
        assert all(task.done() and not task.cancelled() for task in tasks[1::2])

    asyncio.run(main())
    recorder.close()

    assert set(read_back(tmp_path).keys) >= {f"t{n}:0" for n in range(1, 10, 2)}


def test_a_folder_that_is_removed_is_made_anew(tmp_path: Path) -> None:
    clock, folder = FixedClock(), tmp_path / "log"
    recorder = Recorder(folder, clock=clock)
    recorder.emit("test", "happened", data=payload("before:0", 0))
    shutil.rmtree(folder)
    clock.advance(2)

    recorder.emit("test", "happened", data=payload("after:0", 0))
    recorder.emit("test", "happened", data=payload("after:1", 0), durability="disk")
    recorder.close()

    found = read_back(folder)
    assert found.keys == ["after:0", "after:1"]
    # A name is never used twice, and what was lost shows: the log's own opening among it.
    assert [path.name for path in (folder / "journal").iterdir()] == ["2026-11-20.0001.jsonl"]
    assert [left["why"] for left in found.own("segment.left")] == ["it lost its name"]
    assert found.holes() == 2


def test_what_is_promised_is_found_under_its_name(tmp_path: Path) -> None:
    """A durable event does not go to a file that was removed a moment ago."""
    folder = tmp_path / "log"
    recorder = Recorder(folder, clock=FixedClock())
    recorder.emit("test", "happened", data=payload("before:0", 0))
    shutil.rmtree(folder)

    recorder.emit("test", "happened", data=payload("after:0", 0), durability="disk")
    recorder.close()

    assert read_back(folder).keys == ["after:0"]


def test_a_file_in_place_of_the_folder_is_counted_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, folder = FixedClock(), tmp_path / "log"
    folder.write_text("in the way")
    recorder = Recorder(folder, clock=clock)

    recorder.emit("test", "happened", data=payload("early:0", 0))
    with pytest.raises(StoreError):
        recorder.emit("test", "happened", data=payload("early:1", 0), durability="disk")
    assert recorder.lost == 2
    folder.unlink()
    clock.advance(1)
    recorder.emit("test", "happened", data=payload("late:0", 0))
    recorder.close()

    found = read_back(folder)
    assert found.keys == ["late:0"]
    assert [gap["lost"] for gap in found.own("writer.gap")] == [2]
    # Said once, not for every event.
    assert len(caplog.records) == 1


def test_a_folder_lost_to_a_file_while_recording_is_counted(tmp_path: Path) -> None:
    """Nothing goes on into a file that has no name."""
    clock, folder = FixedClock(), tmp_path / "log"
    recorder = Recorder(folder, clock=clock)
    recorder.emit("test", "happened", data=payload("before:0", 0))
    shutil.rmtree(folder)
    folder.write_text("in the way")
    clock.advance(2)

    recorder.emit("test", "happened", data=payload("early:0", 0))
    assert recorder.lost == 1
    folder.unlink()
    recorder.emit("test", "happened", data=payload("late:0", 0))
    recorder.close()

    assert read_back(folder).keys == ["late:0"]
