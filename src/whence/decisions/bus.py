"""Events for whoever listens: in this process at once, in others by following the journal.

    bus = whence.decisions.bus
    bus.default_bus.on("learning.*", lambda topic, data: ...)
    bus.emit_event("learning.federation_update", {"kind": "consensus_decision"})

What is emitted here is an event of the primitive `bus` with the topic as its type, so it can be asked about, too.
"""

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from whence.decisions.background import in_background
from whence.decisions.consent import ConsentRefused, Scope, guard, parse_destination
from whence.decisions.places import Place
from whence.errors import CorruptError
from whence.event import Event, check_text
from whence.journal import blobs
from whence.journal.reader import Reader
from whence.log import Log, default
from whence.recorder.receipt import Receipt

__all__ = ["EventBus", "default_bus", "emit_event", "follow", "in_background"]

PRIMITIVE = "bus"

Callback = Callable[[str, Any], object]
"""Hears of a topic and what is said of it."""

_WILD = re.compile(r"[*?\[]").search
_CACHED_MAX = 4_096

_logger = logging.getLogger("whence.decisions")

_process = os.urandom(8).hex()
"""Tells what this process emitted, and has heard already, from what others did."""


_private: deque[str] = deque(maxlen=1_000)
"""The newest of those whose payload was not kept, so that they cannot say whose they are."""


def _renew_process() -> None:
    global _process
    _process = os.urandom(8).hex()
    _private.clear()


os.register_at_fork(after_in_child=_renew_process)


class EventBus:
    """Listeners by topic. Safe for threads.

    Who listens is settled when an event is emitted: what a listener adds or removes counts from the next.
    """

    def __init__(self) -> None:
        # The lock guards the listeners and what is known of topics. Re-entrant, for handlers of signals.
        self._lock = threading.RLock()
        self._listeners: dict[str, list[tuple[Callback, bool]]] = {}
        self._known: dict[str, tuple[tuple[str, Callback, bool], ...]] = {}
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def on(self, topic: str, callback: Callback) -> None:
        """Call `callback(topic, data)` for each event of a topic, or of those that a pattern such as `theme.*` fits."""
        self._add(topic, callback, once=False)

    def once(self, topic: str, callback: Callback) -> None:
        """The same for the next event alone."""
        self._add(topic, callback, once=True)

    def off(self, topic: str, callback: Callback) -> bool:
        """Stop calling it, once where it was added more than once; whether it was there."""
        with self._lock:
            for each in self._listeners.get(topic, ()):
                if each[0] == callback:
                    return self._remove(topic, each)
        return False

    def emit(self, topic: str, data: Any = None) -> int:
        """Tell all who listen, those of exactly this topic first; return how many ran without raising."""
        listeners = self._known.get(topic)
        if listeners is None:
            listeners = self._find(topic)
        ran = 0
        for pattern, callback, once in listeners:
            if once:
                with self._lock:
                    if not self._remove(pattern, (callback, True)):
                        continue
            try:
                callback(topic, data)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except (
                BaseException
            ):  # also what ends a program or a task: it is not the listener's to end ours
                _logger.exception("a listener to %s raised", pattern)
            else:
                ran += 1
        return ran

    def _add(self, topic: str, callback: Callback, *, once: bool) -> None:
        check_text("topic", topic)
        if not callable(callback):
            raise TypeError(f"callback is {type(callback).__name__}, want a function")
        with self._lock:
            self._listeners.setdefault(topic, []).append((callback, once))
            self._known = {}

    def _remove(self, topic: str, listener: tuple[Callback, bool]) -> bool:
        known = self._listeners.get(topic, [])
        if listener not in known:
            return False
        known.remove(listener)
        if not known:
            del self._listeners[topic]
        self._known = {}
        return True

    def _find(self, topic: str) -> tuple[tuple[str, Callback, bool], ...]:
        with self._lock:
            exact = [(topic, *each) for each in self._listeners.get(topic, ())]
            wild = [
                (pattern, *each)
                for pattern, listeners in self._listeners.items()
                if pattern != topic and _WILD(pattern) and fnmatchcase(topic, pattern)
                for each in listeners
            ]
            found = (*exact, *wild)
            if len(self._known) < _CACHED_MAX:
                self._known[topic] = found
            return found


default_bus = EventBus()
"""The process's bus."""


def emit_event(
    topic: str,
    data: Any = None,
    *,
    destination: object = Scope.EDGE_ONLY,
    scope: object = None,
    fields: Mapping[str, object] | None = None,
    log: Log | None = None,
    parent: str | None = None,
) -> int:
    """Record an event of the bus and tell those who listen here; return how many ran without raising.

    It stays on this machine unless another destination is named, and consent allows that: else nothing
    is emitted, the refusal is an event, and the answer is 0. Fields without consent are withheld. A listener that is slow
    holds up who emits: `in_background` makes one that does not.

    Raises:
        StoreError: the log keeps events on disk, and this one could not be kept; then nobody is told.
    """
    where = parse_destination(destination)
    try:
        said = guard.release(topic, data, where, scope=scope, fields=fields)
    except ConsentRefused as error:
        _logger.warning("%s", error)
        return 0
    told = {"data": said, "destination": where.text, "process": _process}
    event_id = (log or default()).emit(
        PRIMITIVE, check_text("topic", topic), data=told, parent=parent
    )
    if isinstance(event_id, Receipt):
        _private.append(str.__str__(event_id))
    return default_bus.emit(topic, said)


def follow(
    log: Log | None = None,
    *,
    bus: EventBus | None = None,
    subscriber: str | None = None,
    stop: threading.Event | None = None,
    poll_s: float = 0.01,
) -> int:
    """Tell a bus what other processes emit, each event once and in the order of the journal, until `stop` is set.

    A named subscriber goes on where it left off; one that is new, or has no name, begins now. Where it
    was is kept after each event, so after a crash the one in hand is told once more. Of an event whose payload is private or
    erased the topic is told, with None. Returns how many were told.

    Raises:
        ConflictError: another process is this subscriber.
        CorruptError: the file that keeps its place was damaged.
        StoreError: the journal cannot be read, or the place not kept.
    """
    chosen, target = log or default(), bus or default_bus
    with Place(chosen.folder, subscriber) as place:
        reader, told, is_kept = Reader(chosen.folder), 0, True
        try:
            for entry in reader.follow(places=place.places, poll_s=poll_s):
                if entry is not None:
                    place.move(entry.segment, entry.offset + entry.length + 1)
                    is_kept = False
                    if entry.event is not None and _tell(target, chosen.folder, entry.event):
                        told += 1
                        is_kept = True
                        place.keep()
                elif not is_kept:
                    is_kept = True
                    place.keep()
                if stop is not None and stop.is_set():
                    return told
        finally:
            reader.close()
    return told


def _tell(bus: EventBus, folder: Path, event: Event) -> bool:
    """Tell of an event of the bus; not again of one that this process has told its own bus when it emitted it."""
    if event.primitive != PRIMITIVE:
        return False
    try:
        data = blobs.fill(folder, event).data
    except CorruptError as error:
        _logger.warning("%s tells nothing: %s", event.id, error)
        data = None
    told = data if isinstance(data, dict) else {}
    if bus is default_bus and (told.get("process") == _process or event.id in _private):
        return False
    bus.emit(event.type, told.get("data"))
    return True
