"""Writer processes for the kill table, run as a script.

    python writers.py FOLDER SEED ROUNDS STYLE

Forks four writers a round and kills each at a random moment. A writer reports the key of each
event on a pipe after `emit` has returned. Prints one line of JSON a round: what each writer
reported. Started anew now and then, this also tries the first moments of a process.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.crash.account import PROMISES, payload, serials
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.recorder.recorder import Recorder

WRITERS = 4
_THREADS = 8
_LIFE_S = 0.06
_LONGEST_LIFE_S = 30
_LAYOUT = Layout(segment_bytes=64 * 1024)


class _Buffering(Disk):
    """The control: keeps lines in the process and says that they are written."""

    def __init__(self) -> None:
        held = bytearray()

        def write(fd: int, data: bytes) -> int:
            if not data.startswith(b'{"id":"'):
                return os.write(fd, data)
            held.extend(data)
            if len(held) > 4096:
                os.write(fd, held)
                held.clear()
            return len(data)

        self.write = write


def _sizes(chance: random.Random) -> Iterator[int]:
    """Mostly small, now and then large enough for a blob."""
    while True:
        yield chance.choice([0, 10, 100, 100, 1000, 5000, 60_000] * 10 + [70_000])


def _stream(
    recorder: Recorder, stream: str, seed: str, report: Callable[[str], None], **promise: Any
) -> None:
    sizes = _sizes(random.Random(seed))
    for key in serials(stream):
        recorder.emit("test", "happened", data=payload(key, next(sizes)), **promise)
        report(key)


def _live(folder: Path, name: str, style: str, pipe: int) -> None:
    # Should nobody be left to kill it, it must not fill the disk.
    signal.alarm(_LONGEST_LIFE_S)
    recorder = Recorder(folder, layout=_LAYOUT, disk=_Buffering() if style == "buffering" else None)
    promise = PROMISES.get(style.removeprefix("threads-"), {})
    threads = _THREADS if style.startswith("threads") else 1

    def report(key: str) -> None:
        os.write(pipe, f"{key}\n".encode())

    def stream(number: int) -> None:
        own = f"{name}.{number}"
        _stream(recorder, own, own, report, **promise)

    others = [threading.Thread(target=stream, args=(n,)) for n in range(1, threads)]
    for thread in others:
        thread.start()
    stream(0)


def _round(folder: Path, number: str, style: str, chance: random.Random) -> list[list[str]]:
    pipes, children = [], []
    for writer in range(WRITERS):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(read_end)
                _live(folder, f"{number}.{writer}", style, write_end)
            finally:
                # Reached only if something raised: it is told, for nobody else will.
                traceback.print_exc()
                os._exit(70)
        os.close(write_end)
        pipes.append(read_end)
        children.append(child)
    readers = _read_all(pipes)
    start = time.monotonic()
    lives = sorted((chance.random() * _LIFE_S, child) for child in children)
    for life, child in lives:
        time.sleep(max(0.0, start + life - time.monotonic()))
        os.kill(child, signal.SIGKILL)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "a writer ended before it was killed"
    return readers()


def _read_all(pipes: list[int]) -> Callable[[], list[list[str]]]:
    """Read every pipe to its end, so that no writer is held up by a full one."""
    texts = [b""] * len(pipes)

    def read(at: int) -> None:
        with open(pipes[at], "rb") as pipe:
            texts[at] = pipe.read()

    threads = [threading.Thread(target=read, args=(at,)) for at in range(len(pipes))]
    for thread in threads:
        thread.start()

    def finish() -> list[list[str]]:
        for thread in threads:
            thread.join()
        # Reports are shorter than a pipe's atomic write, so the last is whole or not there.
        return [text.decode().split() for text in texts]

    return finish


def main() -> None:
    folder, seed, rounds, style = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    chance = random.Random(seed)
    for number in range(rounds):
        reported = _round(folder, f"{seed}.{number}", style, chance)
        sys.stdout.write(json.dumps(reported) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
