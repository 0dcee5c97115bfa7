"""Durable acknowledgements: one sync shared by all who wait for one.

Callers hand in a ticket for a line that has been written, and wait. Whoever gets the lock first
syncs for everybody who has handed in a ticket by then.
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from whence.errors import StoreError


class Ticket:
    """One line's claim to be on disk: its bytes, and which opened segment took them."""

    __slots__ = ("error", "is_done", "line", "taken_by", "waiter")

    def __init__(self) -> None:
        self.line = b""
        self.taken_by = -1
        self.is_done = False
        self.error: StoreError | None = None
        self.waiter: Any = None
        """Whatever the caller wants to find again when the ticket comes back."""


class Syncable(Protocol):
    """What a group of tickets is made durable with."""

    def sync_written(self, tickets: list[Ticket]) -> None:
        """Return when the line of every ticket survives a power cut; StoreError if it cannot be."""


class GroupSync:
    """Lets many threads share each sync. Safe for any number of them."""

    def __init__(self, target: Syncable) -> None:
        self._target = target
        # Held by whoever syncs; guards `_is_syncing`. `_waiting` grows without it.
        self.quiet = threading.RLock()
        self._is_syncing = False
        self._waiting: list[Ticket] = []

    def wait(self, ticket: Ticket) -> None:
        """Return when the ticket's line is durable; StoreError if that cannot be promised."""
        self.wait_all([ticket])
        if ticket.error is not None:
            raise ticket.error

    def wait_all(self, tickets: list[Ticket]) -> None:
        """Make several lines durable at once; each ticket then holds its own error or None."""
        self._waiting.extend(tickets)
        with self.quiet:
            if self._is_syncing:
                # A signal handler or finalizer interrupted this very thread while it syncs: the
                # line is queued and will be written, but nobody can wait for it here.
                raise StoreError("cannot wait for the disk inside a handler that interrupts a sync")
            if not all(ticket.is_done for ticket in tickets):
                self._is_syncing = True
                try:
                    self._sync_waiting()
                finally:
                    self._is_syncing = False

    def _sync_waiting(self) -> None:
        batch = self._waiting[:]
        error: StoreError | None = None
        try:
            self._target.sync_written(batch)
        except StoreError as problem:
            error = problem
        del self._waiting[: len(batch)]
        for ticket in batch:
            ticket.error = ticket.error or error
            ticket.is_done = True


class AsyncSync:
    """Tells event loops when lines are durable, from one thread that syncs for all of them."""

    def __init__(self, group: GroupSync) -> None:
        self._group = group
        # The condition guards `_asked` and `_is_closed`.
        self._wake = threading.Condition()
        self._asked: list[tuple[Ticket, Callable[[list[Ticket]], None]]] = []
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def ask(self, ticket: Ticket, tell: Callable[[list[Ticket]], None]) -> None:
        """Have `tell` called, from another thread, with this and other tickets when they are done."""
        with self._wake:
            self._asked.append((ticket, tell))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="whence-sync", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Finish what was asked and end the thread."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._asked and not self._is_closed:
                    self._wake.wait()
                asked, self._asked = self._asked, []
            if not asked:
                return
            self._group.wait_all([ticket for ticket, _ in asked])
            groups: dict[Callable[[list[Ticket]], None], list[Ticket]] = {}
            for ticket, tell in asked:
                groups.setdefault(tell, []).append(ticket)
            for tell, tickets in groups.items():
                tell(tickets)
