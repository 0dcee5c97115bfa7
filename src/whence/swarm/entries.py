"""`swarm.memory`: what agents write down for themselves."""

from collections.abc import Sequence
from typing import Any

from whence.swarm.emitter import Record
from whence.swarm.plans import ADD_ENTRY, ARCHIVE_ENTRY, LOAD, Id


class Memory:
    """Entries of an agent's memory; the entry is the target."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def add_entry(
        self,
        agent_id: str,
        memory_id: Id,
        topic: str | None = None,
        *,
        content: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent adds an entry."""
        if topic is not None:
            metadata["topic"] = topic
        if content is not None:
            metadata["content"] = content
        return self._record(ADD_ENTRY, agent_id, memory_id, metadata, parent_event_id, private)

    def archive_entry(
        self,
        agent_id: str,
        memory_id: Id,
        *,
        reason: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent puts an entry away."""
        if reason is not None:
            metadata["reason"] = reason
        return self._record(ARCHIVE_ENTRY, agent_id, memory_id, metadata, parent_event_id, private)

    def load(
        self,
        agent_id: str,
        topic: str | None = None,
        *,
        entries: Sequence[Id] | int | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent loads its entries on a topic: how many, or which."""
        if topic is not None:
            metadata["topic"] = topic
        if entries is not None:
            metadata["entries"] = entries
        return self._record(LOAD, agent_id, None, metadata, parent_event_id, private)
