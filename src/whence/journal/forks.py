"""Begin anew in a forked child: there, a lock may be held by a thread that does not exist.

A fork waits a moment for what must not be cut in two: modules being loaded, and the insides of SQLite.
"""

import os
import threading
import weakref
from typing import Protocol

loading = threading.RLock()
"""Held while modules are loaded that a child may need: forked in the middle of an import, it would wait
for ever when it imports the same."""

_PATIENCE_S = 10
"""How long a fork waits for one lock: whoever holds it may wait for the thread that forks."""


class Forked(Protocol):
    """Holds locks, or what else a child must not share with its parent."""

    def after_fork(self) -> None:
        """Begin anew in a child that was just forked. Nothing else runs meanwhile."""
        ...


_known: "weakref.WeakSet[Forked]" = weakref.WeakSet()
_awaited: "weakref.WeakKeyDictionary[Forked, threading.RLock]" = weakref.WeakKeyDictionary()
# Of the fork that is under way, by the thread that forks.
_held: "list[threading.RLock]" = []


def watch_forks(held: Forked, lock: "threading.RLock | None" = None) -> None:
    """Have `held` begin anew in every child, for as long as it lives; forks wait for its `lock`."""
    _known.add(held)
    if lock is not None:
        _awaited[held] = lock


def _wait() -> None:
    for lock in [loading, *_awaited.values()]:
        if lock.acquire(timeout=_PATIENCE_S):
            _held.append(lock)


def _go_on() -> None:
    while _held:
        _held.pop().release()


def _renew() -> None:
    _go_on()
    for held in list(_known):
        held.after_fork()


os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_renew)
