"""`swarm.spawn`: agents wake, sleep and spawn others."""

from typing import Any

from whence.swarm.emitter import Record
from whence.swarm.plans import SLEEP, SPAWN, WAKE, Id


class Spawn:
    """Agents coming and going. A session's number counts the agent's sessions: the 42nd is 42."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def wake(
        self,
        agent_id: str,
        session_id: Id | None = None,
        *,
        session: int | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent wakes; the session is the target."""
        if session is not None:
            metadata["session"] = session
        return self._record(WAKE, agent_id, session_id, metadata, parent_event_id, private)

    def sleep(
        self,
        agent_id: str,
        session_id: Id | None = None,
        *,
        session: int | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent goes to sleep; the session is the target."""
        if session is not None:
            metadata["session"] = session
        return self._record(SLEEP, agent_id, session_id, metadata, parent_event_id, private)

    def spawn(
        self,
        agent_id: str,
        spawned_id: Id | None = None,
        *,
        caused_by: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent spawns another one, the target; `caused_by` is the event that made it do so."""
        if caused_by is not None:
            metadata["caused_by"] = caused_by
        return self._record(SPAWN, agent_id, spawned_id, metadata, parent_event_id, private)
