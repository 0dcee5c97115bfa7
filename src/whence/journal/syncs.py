"""Durable acknowledgements: one sync shared by all who wait for one.

Callers hand in a ticket for a line that has been queued, and wait. One of them at a time syncs
for everybody who has handed in a ticket by then. An exception may be raised in a waiting thread
anywhere (Ctrl-C, a handler that raises): nobody else may then wait for it for ever.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from whence.errors import StoreError

_LOOK_AGAIN_S = 0.5
"""How long a sleeper trusts that somebody will wake it: only a thread that was interrupted in the
very moment of doing so breaks that."""

_logger = logging.getLogger("whence")


class Ticket:
    """One line's claim to be on disk: its bytes, and which opened segment took them."""

    __slots__ = ("error", "gate", "is_done", "is_gone", "line", "taken_by", "waiter")

    def __init__(self) -> None:
        self.line = b""
        self.taken_by = -1
        self.is_done = False
        # Its caller waits no longer.
        self.is_gone = False
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

    One thread at a time leads: it syncs for all who wait, wakes them, lays the lead down, and
    wakes one who has come meanwhile. Others sleep until they are served or it is their turn.
    """

    def __init__(self, target: Syncable) -> None:
        self._target = target
        # Guards `_leader`: who syncs now, if its caller is not gone.
        self._taking = threading.Lock()
        self._leader: Ticket | None = None
        self._stopper: Ticket | None = None
        # Appended to by anyone, shortened by who leads.
        self._waiting: list[Ticket] = []
        # The threads that wait, lead, or keep others from leading.
        self._inside: set[int] = set()

    def is_inside(self) -> bool:
        """Whether this is a handler or finalizer that interrupts this very thread in here."""
        return threading.get_ident() in self._inside

    def wait(self, ticket: Ticket) -> None:
        """Return when the ticket's line is durable; StoreError if that cannot be promised."""
        self.wait_all([ticket])
        if ticket.error is not None:
            raise ticket.error

    def wait_all(self, tickets: list[Ticket]) -> None:
        """Make several lines durable at once; each ticket then holds its own error or None."""
        if self.is_inside():
            # A signal handler or finalizer interrupted this very thread while it waits: the line
            # is queued and will be written, but who would wake it has to wait for it.
            raise StoreError("cannot wait for the disk inside a handler that interrupts a wait")
        me = threading.get_ident()
        try:
            self._inside.add(me)
            self._wait_inside(tickets)
        finally:
            self._inside.discard(me)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep everybody from syncing inside the block. Not for a thread that is inside already."""
        mine = Ticket()
        mine.gate = threading.Lock()
        mine.gate.acquire()
        me = threading.get_ident()
        try:
            self._inside.add(me)
            while not self._lead(mine):
                self._stopper = mine
                mine.gate.acquire(timeout=_LOOK_AGAIN_S)
            self._stopper = None
            yield
        finally:
            mine.is_gone = True
            self._inside.discard(me)
            self._wake_one()

    def _wait_inside(self, tickets: list[Ticket]) -> None:
        first = tickets[0]
        first.gate = gate = threading.Lock()
        gate.acquire()
        try:
            self._waiting.extend(tickets)
            while not first.is_done:
                if self._lead(first):
                    self._sync_waiting()
                else:
                    gate.acquire(timeout=_LOOK_AGAIN_S)
        finally:
            # From here on the lead is free, whatever interrupts us.
            first.is_gone = True
            if self._leader is first:
                self._wake_one()

    def _lead(self, ticket: Ticket) -> bool:
        """Take the lead if nobody has it."""
        with self._taking:
            leader, stopper = self._leader, self._stopper
            if leader is not None and not leader.is_gone:
                return leader is ticket
            if stopper is not None and not stopper.is_gone and stopper is not ticket:
                return False
            self._leader = ticket
            return True

    def _sync_waiting(self) -> None:
        batch = self._waiting[:]
        error: StoreError | None = None
        try:
            self._target.sync_written(batch)
        except StoreError as problem:
            error = problem
        for ticket in batch:
            if ticket.is_done:
                continue
            ticket.error = ticket.error or error
            ticket.is_done = True
            _open(ticket)
        # Last: who is still in here after an interrupt is served again.
        del self._waiting[: len(batch)]

    def _wake_one(self) -> None:
        stopper = self._stopper
        if stopper is not None and not stopper.is_gone:
            return _open(stopper)
        for ticket in self._waiting[:]:
            if ticket.gate is not None and not ticket.is_done and not ticket.is_gone:
                return _open(ticket)


def _open(ticket: Ticket) -> None:
    """Wake who sleeps on a ticket; no harm if nobody does."""
    if ticket.gate is not None:
        try:
            ticket.gate.release()
        except RuntimeError:
            # Open already.
            pass


class AsyncSync:
    """Tells event loops when lines are durable, from one thread that syncs for all of them."""

    def __init__(self, group: GroupSync) -> None:
        self._group = group
        # Appended to by anyone, and taken without a lock: a handler may close the log while the
        # very thread that it interrupts takes.
        self._asked: deque[tuple[Ticket, Tell]] = deque()
        # Opened to wake the thread.
        self._gate = threading.Lock()
        self._gate.acquire()
        self._is_asleep = False
        self._is_closed = False
        # Held to start the thread; re-entrant for what interrupts that.
        self._guard = threading.RLock()
        self._thread: threading.Thread | None = None

    def ask(self, ticket: Ticket, tell: Tell) -> None:
        """Have `tell` called, from another thread, with this and other tickets when they are done."""
        self._asked.append((ticket, tell))
        if self._is_closed:
            # Nothing takes long any more.
            self._serve(self._take())
        elif self._is_asleep:
            self._wake()
        elif self._thread is None:
            self._start()

    def close(self) -> None:
        """Finish what was asked and end the thread."""
        self._is_closed = True
        thread = self._thread
        # It may be this one, if a finalizer closes the log.
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            self._wake()
            thread.join()
        # Somebody may have asked just as the thread ended.
        self._serve(self._take())

    def _start(self) -> None:
        with self._guard:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="whence-sync", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError as error:
                self._thread = None
                raise StoreError(f"cannot start the thread that syncs: {error}") from error

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
            try:
                self._serve(self._take())
            except BaseException:
                # Who asked has been told, and who asks next needs this thread.
                _logger.warning("syncing the journal failed, and goes on", exc_info=True)

    def _take(self) -> list[tuple[Ticket, Tell]]:
        taken: list[tuple[Ticket, Tell]] = []
        for _ in range(len(self._asked)):
            try:
                taken.append(self._asked.popleft())
            except IndexError:
                # Another thread takes too: the log is being closed.
                break
        return taken

    def _serve(self, asked: list[tuple[Ticket, Tell]]) -> None:
        if not asked:
            return
        try:
            self._group.wait_all([ticket for ticket, _ in asked])
        finally:
            # Also when something went wrong that nobody foresaw: no task waits for ever.
            groups: dict[Tell, list[Ticket]] = {}
            for ticket, tell in asked:
                if not ticket.is_done:
                    ticket.error = StoreError("cannot sync the journal: its thread failed")
                groups.setdefault(tell, []).append(ticket)
            for tell, tickets in groups.items():
                tell(tickets)
