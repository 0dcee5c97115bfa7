"""A listener in a thread of its own, so that one which is slow, or never returns, holds up nobody.

slow = in_background(push_to_dashboard)
bus.on("theme.*", slow)
...
slow.close(timeout_s=5)
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

_WAITING_MAX = 10_000
_PAUSE_S = 0.01

_logger = logging.getLogger("whence.decisions")


class Background:
    """Calls a listener in a thread of its own, in the order of events. Safe for threads and forks.

    At most so many events wait for it: one that comes then is not told, `missed` counts it and the log says so. A
    forked child begins with nobody waiting.
    """

    def __init__(self, callback: Callable[[str, Any], object], waiting: int = _WAITING_MAX) -> None:
        if not callable(callback):
            raise TypeError(f"callback is {type(callback).__name__}, want a function")
        if type(waiting) is not int or waiting < 1:
            raise ValueError(f"waiting is {waiting!r}, want at least 1")
        self._callback = callback
        self._waiting = waiting
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self.missed = 0
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(self._waiting)
        # The lock guards the beginning of the thread and what is missed.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, topic: str, data: Any) -> None:
        """Have the listener hear of an event as soon as it is free."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=(self._queue,), name="whence-listener", daemon=True
                )
                self._thread.start()
        try:
            self._queue.put_nowait((topic, data))
        except queue.Full:
            with self._lock:
                self.missed += 1
                is_first = self.missed == 1
            if is_first:
                _logger.warning("a listener is behind by %d events: more are missed", self._waiting)

    def close(self, timeout_s: float | None = None) -> bool:
        """Wait until all that came so far was heard; False where that took longer than it may."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while self._queue.unfinished_tasks:
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _work(self, waiting: "queue.Queue[tuple[str, Any]]") -> None:
        while True:
            topic, data = waiting.get()
            try:
                self._callback(topic, data)
            except Exception:
                _logger.exception("a listener to %s raised", topic)
            finally:
                waiting.task_done()


def in_background(
    callback: Callable[[str, Any], object], waiting: int = _WAITING_MAX
) -> Background:
    """Make a listener for `EventBus.on` that never holds up who emits."""
    return Background(callback, waiting)
