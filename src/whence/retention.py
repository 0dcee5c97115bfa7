"""What is kept for how long: prunes by `[retention] keep`, and knows all who keep something of events outside of the journal."""

import getpass
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from whence.event import Event
from whence.log import Log
from whence.proof.erasing import Owner
from whence.proof.holds import Hold, read_holds
from whence.proof.sealer import Sealer
from whence.proof.settings import read_keep, read_proof_settings
from whence.query import Query
from whence.recorder.recorder import Recorder

REASON = "retention"

_TOGETHER = 50_000
"""So many events are erased at once: their payloads are in memory meanwhile."""


def owners_of(log: Log) -> list[Owner]:
    """All who keep something of events outside of the journal."""
    from whence.decisions import forgetting as decisions
    from whence.learning import forgetting as learning
    from whence.runs import forgetting as runs

    return [owner.owner_of(log) for owner in (runs, learning, decisions)]


def find_old(log: Log, query: Query) -> Iterator[tuple[Event, bool]]:
    """The events of a query that have a payload still, and whether each is held."""
    holds: list[Hold] = read_holds(log.settings)
    for event in log.events(query):
        if len(event.payload):
            yield event, any(hold.holds(event) for hold in holds)


def prune_by_settings(folder: Path, recorder: Callable[[], Recorder]) -> int:
    """Take away the payloads that are older than `[retention] keep`, if it says anything; return how many. What is held is left."""
    erased = 0
    with Log(folder, read_only=True) as log:
        keep = read_keep(log.settings)
        if keep is None:
            return 0
        query = Query(until=log.moment(f"{keep} ago"))
        sealer = Sealer(folder, read_proof_settings(log.settings), recorder, owners=owners_of(log))
        old = (event for event, is_held in find_old(log, query) if not is_held)
        while some := list(islice(old, _TOGETHER)):
            erased += sealer.erase(some, reason=REASON, by=who()).size
    return erased


def who() -> str:
    """Who does it, for the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
