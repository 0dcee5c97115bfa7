"""Durable recording for event loops: a task waits, the loop goes on.

Loaded with the recorder, also where no loop ever runs: `asyncio` itself is not.
"""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from whence.journal.syncs import Ticket
from whence.journal.writer import Writer

if TYPE_CHECKING:
    import asyncio


class _Teller:
    """Wakes the tasks of one loop, all that one sync made durable at once."""

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        # Weak, since `_tellers` keeps this for as long as the loop lives.
        self._loop = ref(loop)

    def tell(self, tickets: list[Ticket]) -> None:
        loop = self._loop()
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(_wake, tickets)
        except RuntimeError:
            # The loop was closed while its tasks waited: nobody is left to be told.
            pass


def _wake(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        future = ticket.waiter
        if future.done():
            continue
        if ticket.error is not None:
            future.set_exception(ticket.error)
        else:
            future.set_result(None)


_tellers: "WeakKeyDictionary[asyncio.AbstractEventLoop, _Teller]" = WeakKeyDictionary()


def ask_durable(writer: Writer, head: bytes, tail: bytes) -> "asyncio.Future[None]":
    """Append a line; the future is done when it survives a power cut, or holds the StoreError."""
    # Whoever runs a loop has it loaded.
    import asyncio

    loop = asyncio.get_running_loop()
    teller = _tellers.get(loop)
    if teller is None:
        teller = _tellers[loop] = _Teller(loop)
    ticket = Ticket()
    ticket.waiter = future = loop.create_future()
    writer.ask_durable(head, tail, ticket, teller.tell)
    return future
