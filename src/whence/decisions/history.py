"""Reads decisions back, across days, as few of the journal's as are asked for."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from whence.decisions.decision import PRIMITIVE, Decision, decision_of
from whence.log import Log
from whence.query import Query

_NS_PER_S = 1_000_000_000
# The event is recorded just after its clock was read, also where a clock is set back by a little.
_SLACK_NS = _NS_PER_S


def read_decisions(
    log: Log,
    limit: int | None = None,
    *,
    action: str | None = None,
    approved: bool | None = None,
    agent: str | None = None,
    since: float | datetime | str | None = None,
) -> list[Decision]:
    """The newest `limit` decisions that match, the oldest of them first; all of them without a limit.

    `since` is seconds since 1970, a datetime (without a zone it is local) or a time phrase. `agent` is who
    decided or voted, or whom it was about.

    Raises:
        ValueError, TypeError: `since` or `limit` is none. PhraseError is a ValueError.
        StoreError, NotFoundError, FormatError: the log cannot be read.
    """
    if limit is not None and limit <= 0:
        return []
    found = iterate_decisions(log, action=action, approved=approved, agent=agent, since=since)
    return list(islice(found, limit))[::-1]


def iterate_decisions(
    log: Log,
    *,
    action: str | None = None,
    approved: bool | None = None,
    agent: str | None = None,
    since: float | datetime | str | None = None,
) -> Iterator[Decision]:
    """Give the decisions that match, newest first, reading on as they are taken."""
    start = None if since is None else _seconds(log, since)
    low = None if start is None else int(start * _NS_PER_S) - _SLACK_NS
    for event in log.events(Query(primitive=PRIMITIVE, since=low), newest_first=True):
        decision = decision_of(event)
        if (
            (action is None or decision.action == action)
            and (approved is None or decision.approved == approved)
            and (agent is None or decision.involves(agent))
            and (start is None or decision.timestamp >= start)
        ):
            yield decision


def _seconds(log: Log, since: Any) -> float:
    if isinstance(since, datetime):
        return since.timestamp()
    if isinstance(since, str):
        return log.moment(since) / _NS_PER_S
    if isinstance(since, bool) or not isinstance(since, int | float):
        raise TypeError(f"since is {type(since).__name__}, want seconds, a datetime or a phrase")
    if not abs(since) < 2**33:
        raise ValueError(f"since is {since}, want seconds since 1970")
    return float(since)
