"""Threads and thread pools that take the cause along, where a program asks for it.

`threading.Thread.start` and `ThreadPoolExecutor.submit` are then ours, and call what they were. What
a thread does is caused by what started it; what a pool does, by what submitted it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as pools
from functools import wraps
from typing import Any

from whence.journal.forks import loading
from whence.recorder.carrying import Carried
from whence.recorder.watch import THREAD_NAME as WATCHER

# `loading` guards these two, which forks wait for. By what is replaced: what it was, and what it is while that is so.
_is_on = False
_replaced: dict[tuple[type, str], tuple[Any, Any]] = {}

_worker = getattr(pools, "_worker", None)


def follow_threads(on: bool = True) -> None:
    """Have threads and thread pools take the cause along from now on; with False no more.

    Do it once, early. Doing it again changes nothing, and so does undoing what was not done.
    """
    global _is_on
    with loading:
        _is_on = on
        for owner, name, make in _PLACES:
            if on:
                _replace(owner, name, make)
            else:
                _restore(owner, name)


def _replace(owner: type, name: str, make: Any) -> None:
    original, now = _replaced.get((owner, name), (None, None))[0], getattr(owner, name)
    # What somebody else put over ours calls it still; what was there before does not.
    if original is None or now is original:
        ours = wraps(now)(make(now))
        _replaced[owner, name] = (now, ours)
        setattr(owner, name, ours)


def _restore(owner: type, name: str) -> None:
    original, ours = _replaced.get((owner, name), (None, None))
    # What somebody else put over ours stays, and ours below it only passes on.
    if ours is not None and getattr(owner, name) is ours:
        setattr(owner, name, original)
        del _replaced[owner, name]


def _make_start(original: Any) -> Any:
    def start(self: threading.Thread) -> Any:
        # A pool's threads work for whoever submits, and ours for all: not for whoever came first.
        if not _is_on or getattr(self, "_target", None) is _worker or self.name == WATCHER:
            return original(self)
        carried = Carried()
        if carried.is_nothing():
            return original(self)
        run, own = self.run, self.__dict__.get("run")

        def give_back() -> None:
            if own is None:
                self.__dict__.pop("run", None)
            else:
                self.__dict__["run"] = own

        def run_there() -> None:
            # At once, or the thread would hold itself.
            give_back()
            carried.run(run)

        self.__dict__["run"] = run_there
        try:
            original(self)
        except BaseException:
            give_back()
            raise

    return start


def _make_submit(original: Any) -> Any:
    def submit(self: ThreadPoolExecutor, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not _is_on:
            return original(self, fn, *args, **kwargs)
        carried = Carried()
        if carried.is_nothing():
            return original(self, fn, *args, **kwargs)
        return original(self, carried.run, fn, *args, **kwargs)

    return submit


_PLACES: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (threading.Thread, "start", _make_start),
    (ThreadPoolExecutor, "submit", _make_submit),
)
