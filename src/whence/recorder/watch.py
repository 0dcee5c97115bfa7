"""Spans that stay open: written down while they are, so that a killed process leaves them visible.

A thread looks at the open spans a few times a second while there are any, and ends when there were
none for a while. It is stopped before a fork, whose child would not have it.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Protocol

_OPEN_AFTER_NS = 1_000_000_000
"""A span that is open for so long is worth an event of its own."""

THREAD_NAME = "whence-watch"

_LOOK_EVERY_S = 0.25
_IDLE_LOOKS_MAX = 20

_PATIENCE_S = 10
"""How long a fork waits for the thread to end: it may wait for the thread that forks."""


class Watched(Protocol):
    """A span that is open."""

    def tell_open(self, now_ns: int, after_ns: int) -> None:
        """Write down that it is open, once, if it was for as long as `after_ns`. Never raises."""
        ...


class Watch:
    """The open spans of one recorder, and the thread that looks at them."""

    def __init__(self) -> None:
        self.open: dict[Watched, None] = {}
        """One step to add and one to take out, so neither takes a lock."""
        self.is_on = False
        """Whether a thread looks: whoever adds a span and finds that none does calls `start`."""
        # The lock guards `is_on` and the fields below. Re-entrant: a handler may open spans too.
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        _watches.add(self)

    def start(self) -> None:
        """Have a thread look at what is open."""
        with self._lock:
            if self.is_on:
                return
            # Also where no thread can be started any more, or each span would try again.
            self.is_on = True
            self._wake = threading.Event()
            self._thread = threading.Thread(
                target=_look, args=(weakref.ref(self), self._wake), name=THREAD_NAME, daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None

    def stop(self) -> None:
        """Have no thread look until the next span begins."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE_S)
        self.is_on = False

    def tell(self, after_ns: int = _OPEN_AFTER_NS) -> None:
        """Write down what is open for as long as that and was not told yet."""
        now = time.perf_counter_ns()
        for span in list(self.open):
            span.tell_open(now, after_ns)

    def end_if_idle(self) -> bool:
        """Whether the thread may end: nothing is open, and the next span will start another."""
        with self._lock:
            # In this order: a span adds itself before it asks whether somebody looks.
            self.is_on = False
            if self.open:
                self.is_on = True
            return not self.is_on

    def after_fork(self) -> None:
        """Begin anew in a forked child: what is open belongs to the parent."""
        self.open.clear()
        self.is_on = False
        self._lock = threading.RLock()
        self._thread = None


def _look(reference: "weakref.ref[Watch]", wake: threading.Event) -> None:
    idle = 0
    while not wake.wait(_LOOK_EVERY_S):
        watch = reference()
        if watch is None:
            return
        watch.tell()
        idle = 0 if watch.open else idle + 1
        if idle > _IDLE_LOOKS_MAX and watch.end_if_idle():
            return
        del watch


_watches: "weakref.WeakSet[Watch]" = weakref.WeakSet()


def _all() -> Iterable[Watch]:
    return list(_watches)


def _before_fork() -> None:
    for watch in _all():
        watch.stop()


def _go_on() -> None:
    for watch in _all():
        if watch.open:
            watch.start()


def _after_fork() -> None:
    for watch in _all():
        watch.after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_go_on, after_in_child=_after_fork)
