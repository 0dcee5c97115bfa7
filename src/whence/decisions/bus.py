"""Events for whoever listens: in this process at once, in others by following the journal.

    bus = whence.decisions.bus
    bus.default_bus.on("learning.*", lambda topic, data: ...)
    bus.emit_event("learning.federation_update", {"kind": "consensus_decision"})

What is emitted here is an event of the primitive `bus` with the topic as its type, so it can be asked about, too.
"""

import fcntl
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

from whence.decisions.consent import ConsentRefused, Scope, guard, parse_destination
from whence.errors import ConflictError, StoreError
from whence.event import Event, check_text
from whence.journal import blobs
from whence.journal.reader import Cursor, Reader
from whence.log import Log, default

PRIMITIVE = "bus"

Callback = Callable[[str, Any], object]
"""Hears of a topic and what is said of it."""

_WILD = re.compile(r"[*?\[]").search
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII).fullmatch
_CACHED_MAX = 4_096

_logger = logging.getLogger("whence.decisions")

_process = os.urandom(8).hex()
"""Tells what this process emitted, and has heard already, from what others did."""


def _renew_process() -> None:
    global _process
    _process = os.urandom(8).hex()


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
            except Exception:
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
    is emitted, the refusal is an event, and the answer is 0. Fields without consent are withheld.
    """
    where = parse_destination(destination)
    try:
        said = guard.release(topic, data, where, scope=scope, fields=fields)
    except ConsentRefused as error:
        _logger.warning("%s", error)
        return 0
    told = {"data": said, "destination": where.text, "process": _process}
    (log or default()).emit(PRIMITIVE, check_text("topic", topic), data=told, parent=parent)
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
    was is kept after each event, so after a crash the last event may be told once more. Returns how many were told.

    Raises:
        ConflictError: another process is this subscriber.
        StoreError: the journal cannot be read, or the place not kept.
    """
    chosen, target = log or default(), bus or default_bus
    with _Place(chosen.folder, subscriber) as place:
        reader, told = Reader(chosen.folder), 0
        try:
            for entry in reader.follow(place.cursor or _end_of(reader), poll_s=poll_s):
                if entry is not None and entry.event is not None:
                    event = entry.event
                    if event.primitive == PRIMITIVE and _tell(target, chosen.folder, event):
                        told += 1
                        place.keep(Cursor(entry.segment, entry.offset + entry.length + 1))
                if stop is not None and stop.is_set():
                    return told
        finally:
            reader.close()
    return told


def _tell(bus: EventBus, folder: Path, event: Event) -> bool:
    data = blobs.fill(folder, event).data
    if not isinstance(data, dict) or (data.get("process") == _process and bus is default_bus):
        return False
    bus.emit(event.type, data.get("data"))
    return True


def _end_of(reader: Reader) -> Cursor | None:
    segments = reader.segments()
    return Cursor(segments[-1].name, segments[-1].size) if segments else None


class _Place:
    """Where a subscriber is, in a file of its own that one process holds."""

    def __init__(self, folder: Path, name: str | None) -> None:
        if name is not None and not _NAME(name):
            raise ValueError(f"subscriber is {name!r}, want letters, digits, dots and dashes")
        self._path = None if name is None else folder / "subscribers" / f"{name}.json"
        self._fd = -1
        self.cursor: Cursor | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = os.pread(self._fd, 4096, 0)
        except BlockingIOError as error:
            os.close(self._fd)
            raise ConflictError(f"{self._path.stem} is followed by another process") from error
        except OSError as error:
            raise StoreError(f"cannot use {self._path}: {error.strerror}") from error
        with suppress(ValueError, TypeError, KeyError):
            # What is no place means that it begins now.
            found = json.loads(content)
            self.cursor = Cursor(str(found["segment"]), int(found["offset"]))
        return self

    def keep(self, cursor: Cursor) -> None:
        if self._path is None:
            return
        content = json.dumps(cursor._asdict()).encode().ljust(128) + b"\n"
        try:
            # In one write over what was there, always as long: a crash leaves one of both.
            os.pwrite(self._fd, content, 0)
        except OSError as error:
            raise StoreError(f"cannot write to {self._path}: {error.strerror}") from error

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
