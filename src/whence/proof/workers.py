"""Stretches of a log looked at on all cores, by processes that load this module and never the program that asks.

What `multiprocessing` would start runs a script without a main guard once more in each of them, and that may record.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from whence.proof.folder import Taken
from whence.proof.looking import Looked, look

_AHEAD = 3
"""So many stretches a worker are looked at before they are asked for: more would not be worth their memory."""


class _Worker:
    """A process that looks. One that dies is nobody's loss: its stretch is looked at here."""

    def __init__(self) -> None:
        path = os.pathsep.join(each for each in sys.path if each)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from whence.proof.workers import serve; serve()"],
            env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def look(self, folder: Path, taken: Taken) -> Looked:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((folder, taken), self._process.stdin)
            self._process.stdin.flush()
            looked = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            return look(folder, taken)
        assert isinstance(looked, Looked)
        return looked

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def look_at_all(folder: Path, ranges: Sequence[Taken], many: int) -> Iterator[Looked]:
    """Look at stretches in their order, by so many processes at once."""
    workers = [_Worker() for _ in range(many)]
    free: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def look_by_one(taken: Taken) -> Looked:
        worker = free.get()
        try:
            return worker.look(folder, taken)
        finally:
            free.put(worker)

    pool = ThreadPoolExecutor(many, thread_name_prefix="whence-looking")
    waiting: deque[Future[Looked]] = deque()
    try:
        for each in ranges:
            waiting.append(pool.submit(look_by_one, each))
            if len(waiting) >= _AHEAD * many:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for worker in workers:
            worker.close()
        pool.shutdown(cancel_futures=True)


def serve() -> None:
    """Look at what is asked for, until nobody asks any more."""
    # Ctrl-C is for who asks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever is printed must not stand among the answers.
    os.dup2(2, 1)
    while True:
        try:
            folder, taken = pickle.load(asked)
        except EOFError:
            return
        pickle.dump(look(folder, taken), answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
