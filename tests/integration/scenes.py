"""Scenes of recording under trouble, each run as a process of its own.

python -m tests.integration.scenes SCENE FOLDER

Prints one JSON value: what the scene wants its test to know.
"""

import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from tests.crash.account import PROMISES, payload, serials
from whence.recorder.recorder import Recorder

_SMALL_DISK = 300_000


def _emit(recorder: Recorder, stream: str, number: int, promise: str = "os") -> None:
    for _, key in zip(range(number), serials(stream), strict=False):
        recorder.emit("test", "happened", data=payload(key, 20), **PROMISES[promise])


def forks(folder: Path) -> Any:
    """Forks while other threads record: the children go on as writers of their own."""
    recorder = Recorder(folder)
    threads = [threading.Thread(target=_emit, args=(recorder, f"t{n}", 3000)) for n in range(4)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(6):
        _emit(recorder, f"main{number}", 50)
        child = os.fork()
        if child == 0:
            _emit(recorder, f"child{number}", 50, "disk" if number % 2 else "os")
            recorder.close()
            os._exit(0)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    for thread in threads:
        thread.join()
    return statuses


def _work(folder: Path, recorder: Recorder | None, stream: str) -> None:
    _emit(recorder or Recorder(folder), stream, 100)


def processes(folder: Path, method: str) -> Any:
    """Children of multiprocessing, which leave without running what `atexit` was given."""
    context = multiprocessing.get_context(method)
    recorder = Recorder(folder)
    _emit(recorder, "parent", 10)
    handed = recorder if method == "fork" else None
    children = [
        context.Process(target=_work, args=(folder, handed, f"child{n}"))  # type: ignore[attr-defined]
        for n in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def handler(folder: Path) -> Any:
    """A signal handler records while what it interrupts records."""
    recorder = Recorder(folder)
    numbers = count()

    def record(signum: int, frame: FrameType | None) -> None:
        # A handler may itself be interrupted: each is a stream of its own, its number taken in one step.
        key = f"handler{next(numbers)}:0"
        recorder.emit("test", "happened", data=payload(key, 20))

    signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    _emit(recorder, "main", 20_000)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return next(numbers)


def raising(folder: Path) -> Any:
    """A signal handler raises out of recording calls; others threads record meanwhile."""
    recorder = Recorder(folder)
    other = threading.Thread(target=_emit, args=(recorder, "other", 20_000))
    kept: list[str] = []
    interrupted, number = 0, 0

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    other.start()
    while other.is_alive() or interrupted < 20:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            for _ in range(200):
                number += 1
                recorder.emit("test", "happened", data=payload(f"main:{number}", 20))
                kept.append(f"main:{number}")
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    other.join()
    recorder.close()
    return kept


def _until_lost(recorder: Recorder, stream: str, size: int) -> list[str]:
    kept: list[str] = []
    for key in serials(stream):
        recorder.emit("test", "happened", data=payload(key, size))
        if recorder.lost > 5:
            return kept
        if not recorder.lost:
            kept.append(key)
    raise AssertionError


def full_file(folder: Path) -> Any:
    """A file may grow no further: a real short write, then EFBIG, then room again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALL_DISK, hard))
    kept = _until_lost(recorder, "before", 777)
    lost = recorder.lost
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _emit(recorder, "after", 10)
    recorder.close()
    return {"kept": kept, "lost": lost}


def full_disk(folder: Path) -> Any:
    """A disk fills up, and has room again when somebody tidies."""
    ballast = folder.parent / "ballast"
    ballast.write_bytes(bytes(_SMALL_DISK))
    recorder = Recorder(folder)
    kept = _until_lost(recorder, "before", 777)
    lost = recorder.lost
    ballast.unlink()
    _emit(recorder, "after", 10)
    recorder.close()
    return {"kept": kept, "lost": lost}


def no_files(folder: Path) -> Any:
    """No more files can be opened when the first event comes, and again when a blob is due."""
    recorder = Recorder(folder)
    taken = []
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    while True:
        try:
            taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    _emit(recorder, "none", 3)
    lost_at_first = recorder.lost
    # One is enough: the segment, or the table of mounts before it.
    os.close(taken.pop())
    _emit(recorder, "one", 3)
    lost = recorder.lost
    recorder.emit("test", "happened", data=payload("blob:0", 70_000))
    lost_blob = recorder.lost - lost
    for fd in taken:
        os.close(fd)
    _emit(recorder, "all", 3)
    recorder.emit("test", "happened", data=payload("blob:1", 70_000))
    recorder.close()
    return {"lost_at_first": lost_at_first, "lost_blob": lost_blob, "lost": recorder.lost}


_SCENES: dict[str, Callable[[Path], Any]] = {
    "forks": forks,
    "fork": lambda folder: processes(folder, "fork"),
    "spawn": lambda folder: processes(folder, "spawn"),
    "forkserver": lambda folder: processes(folder, "forkserver"),
    "handler": handler,
    "raising": raising,
    "full_file": full_file,
    "full_disk": full_disk,
    "no_files": no_files,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(_SCENES[sys.argv[1]](Path(sys.argv[2]))))
