"""`swarm.knowledge`: what agents found out and share."""

from typing import Any

from whence.swarm.emitter import Record
from whence.swarm.plans import ADD_DISCOVERY, ARCHIVE_DISCOVERY, Id


class Knowledge:
    """Discoveries; the discovery is the target."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def add_discovery(
        self,
        agent_id: str,
        knowledge_id: Id,
        domain: str | None = None,
        *,
        content: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent shares what it found out."""
        if domain is not None:
            metadata["domain"] = domain
        if content is not None:
            metadata["content"] = content
        return self._record(
            ADD_DISCOVERY, agent_id, knowledge_id, metadata, parent_event_id, private
        )

    def archive_discovery(
        self,
        agent_id: str,
        knowledge_id: Id,
        *,
        reason: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent puts a discovery away."""
        if reason is not None:
            metadata["reason"] = reason
        return self._record(
            ARCHIVE_DISCOVERY, agent_id, knowledge_id, metadata, parent_event_id, private
        )
