"""A decision as its event tells it. Pure.

The event has primitive `decision`, the action as its type, status `success` or `blocked`, and the seed's
seven keys as its payload; one that a gate made has the key `gate` besides.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from whence.event import Event

PRIMITIVE = "decision"
KEYS = ("timestamp", "datetime_utc", "action", "approved", "votes", "subject", "reason")
GATE = "gate"
SIGNATURE = "signature"
"""Under which key a vote has its voter's signature."""

_NS_PER_S = 1_000_000_000
# The end of the year 2261: what nanoseconds in 63 bits can hold.
_SECONDS_MAX = 9_214_646_400
# Where votes are a list: under which of these keys each says whose it is.
_VOTER_KEYS = ("name", "voter", "agent", "agent_id")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided. `votes` and `subject` are None where the payload was not kept, or was erased."""

    id: str
    timestamp: float
    datetime_utc: str
    action: Any
    approved: bool
    votes: Any = None
    subject: Any = None
    reason: Any = ""
    agent: str | None = None
    gate: str | None = None
    is_whole: bool = True
    """Whether the payload is there: the envelope of a decision stays for ever, its payload may not."""

    def as_entry(self) -> dict[str, Any]:
        """The seed's seven keys."""
        return {key: getattr(self, key) for key in KEYS}

    def involves(self, agent: str) -> bool:
        """Whether the agent decided, voted, or is what it was about."""
        if agent == self.agent or agent in voters_of(self.votes):
            return True
        return isinstance(self.subject, Mapping) and self.subject.get("agent_id") == agent


def decision_of(event: Event) -> Decision:
    """Read a decision out of its event; what the payload does not say the envelope does."""
    data = event.data
    said = data if isinstance(data, dict) else {}
    timestamp, at = said.get("timestamp"), said.get("datetime_utc")
    approved, gate = said.get("approved"), said.get(GATE)
    return Decision(
        id=event.id,
        timestamp=_read_moment(timestamp, event.time_ns / _NS_PER_S),
        datetime_utc=at if isinstance(at, str) else event.time,
        action=said.get("action", event.type),
        approved=approved if isinstance(approved, bool) else event.status == "success",
        votes=said.get("votes"),
        subject=said.get("subject"),
        reason=said.get("reason", ""),
        agent=event.agent,
        gate=gate if isinstance(gate, str) else None,
        is_whole=bool(said),
    )


def _read_moment(said: Any, otherwise: float) -> float:
    """Seconds since 1970 that a clock can show; anybody may have written anything."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return otherwise
    return float(said) if 0 <= said <= _SECONDS_MAX else otherwise


def voters_of(votes: Any) -> list[str]:
    """Who voted, of votes by name or in a list; nobody where they are neither."""
    return [name for name, _ in votes_of(votes) if name is not None]


def votes_of(votes: Any) -> Iterator[tuple[str | None, Any]]:
    """Each vote with its own voter, of votes by name or in a list; None as the voter where a vote says none."""
    if isinstance(votes, Mapping):
        yield from ((name if isinstance(name, str) else None, vote) for name, vote in votes.items())
    elif isinstance(votes, list | tuple):
        yield from ((_voter_of(vote), vote) for vote in votes)


def _voter_of(vote: Any) -> str | None:
    said = vote if isinstance(vote, Mapping) else {}
    name = next((said[key] for key in _VOTER_KEYS if key in said), None)
    return name if isinstance(name, str) else None
