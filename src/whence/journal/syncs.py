"""Durable acknowledgements: one sync shared by all who wait for one.

Callers hand in a ticket for a line that has been written, and wait. Whoever gets the lock first
syncs for everybody who has handed in a ticket by then.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from whence.errors import StoreError


class Ticket:
    """One line's claim to be on disk: its bytes, and which opened segment took them."""

    __slots__ = ("error", "gate", "is_done", "line", "taken_by", "waiter")

    def __init__(self) -> None:
        self.line = b""
        self.taken_by = -1
        self.is_done = False
        self.error: StoreError | None = None
        # Opened for a caller who sleeps: when the ticket is done, or when it is its turn to sync.
        self.gate: threading.Lock | None = None
        self.waiter: Any = None
        """Whatever the caller wants to find again when the ticket comes back."""


class Syncable(Protocol):
    """What a group of tickets is made durable with."""

    def sync_written(self, tickets: list[Ticket]) -> None:
        """Return when the line of every ticket survives a power cut; StoreError if it cannot be."""


Tell = Callable[[list[Ticket]], None]
"""Called with tickets that are done."""


class GroupSync:
    """Lets many threads share each sync. Safe for any number of them.

    One thread at a time leads: it syncs for all who wait, wakes them, and hands the lead to one
    who has come meanwhile. Who sleeps is woken once, not once per sync.
    """

    def __init__(self, target: Syncable) -> None:
        self._target = target
        # Held by who leads; it may be released by another thread than took it.
        self._lead = threading.Lock()
        # Appended to by anyone, shortened by who leads.
        self._waiting: list[Ticket] = []
        # Guards the moment in which the lead passes to a sleeper, who may just be giving up.
        self._handing = threading.Lock()
        self._inside: set[int] = set()

    def wait(self, ticket: Ticket) -> None:
        """Return when the ticket's line is durable; StoreError if that cannot be promised."""
        self.wait_all([ticket])
        if ticket.error is not None:
            raise ticket.error

    def wait_all(self, tickets: list[Ticket]) -> None:
        """Make several lines durable at once; each ticket then holds its own error or None."""
        me = threading.get_ident()
        if me in self._inside:
            # A signal handler or finalizer interrupted this very thread while it waits: the line
            # is queued and will be written, but who would wake it has to wait for it.
            raise StoreError("cannot wait for the disk inside a handler that interrupts a wait")
        self._inside.add(me)
        try:
            self._wait_inside(tickets)
        finally:
            self._inside.discard(me)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep everybody from syncing inside the block."""
        with self._lead:
            yield

    def _wait_inside(self, tickets: list[Ticket]) -> None:
        first = tickets[0]
        first.gate = threading.Lock()
        first.gate.acquire()
        self._waiting.extend(tickets)
        if not self._lead.acquire(False):
            try:
                first.gate.acquire()
            except BaseException:
                self._give_up(first)
                raise
            if first.is_done:
                return
        try:
            self._sync_waiting()
        finally:
            self._pass_on()

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
            if ticket.gate is not None:
                ticket.gate.release()

    def _pass_on(self) -> None:
        """Hand the lead to a sleeper, or lay it down and look once more whether one has come."""
        while True:
            with self._handing:
                for ticket in self._waiting:
                    if ticket.gate is not None and not ticket.is_done:
                        ticket.gate.release()
                        return
                self._lead.release()
            if not self._waiting or not self._lead.acquire(False):
                return

    def _give_up(self, ticket: Ticket) -> None:
        """Stop sleeping on a ticket, and hand on the lead if it was just handed to us."""
        with self._handing:
            was_woken = ticket.gate is not None and ticket.gate.acquire(False)
            ticket.gate = None
        if was_woken and not ticket.is_done:
            self._pass_on()


class AsyncSync:
    """Tells event loops when lines are durable, from one thread that syncs for all of them."""

    def __init__(self, group: GroupSync) -> None:
        self._group = group
        # Appended to by anyone, taken as a whole by the thread.
        self._asked: list[tuple[Ticket, Tell]] = []
        # Opened to wake the thread; the lock guards its start.
        self._gate = threading.Lock()
        self._gate.acquire()
        self._is_asleep = False
        self._is_closed = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, ticket: Ticket, tell: Tell) -> None:
        """Have `tell` called, from another thread, with this and other tickets when they are done."""
        self._asked.append((ticket, tell))
        if self._is_asleep:
            self._wake()
        elif self._thread is None:
            self._start()

    def close(self) -> None:
        """Finish what was asked and end the thread."""
        self._is_closed = True
        if self._thread is not None:
            self._wake()
            self._thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="whence-sync", daemon=True)
                thread.start()
                self._thread = thread

    def _wake(self) -> None:
        self._is_asleep = False
        with suppress(RuntimeError):
            # Open already: somebody else woke it at the same moment.
            self._gate.release()

    def _run(self) -> None:
        while True:
            if not self._asked:
                if self._is_closed:
                    return
                self._is_asleep = True
                if not self._asked and not self._is_closed:
                    self._gate.acquire()
                self._is_asleep = False
                continue
            asked = self._asked[:]
            del self._asked[: len(asked)]
            self._serve(asked)

    def _serve(self, asked: list[tuple[Ticket, Tell]]) -> None:
        self._group.wait_all([ticket for ticket, _ in asked])
        groups: dict[Tell, list[Ticket]] = {}
        for ticket, tell in asked:
            groups.setdefault(tell, []).append(ticket)
        for tell, tickets in groups.items():
            tell(tickets)
