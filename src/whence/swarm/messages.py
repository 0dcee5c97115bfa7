"""`swarm.bridge`: what agents say and read in channels."""

from typing import Any

from whence.swarm.emitter import Record
from whence.swarm.plans import NOTE, RECV, SEND, Id


class Bridge:
    """Messages in channels; the channel is the target, and `#payments` is `payments`."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def send(
        self,
        agent_id: str,
        channel_id: Id,
        message_id: Id | None = None,
        *,
        content: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent posts a message."""
        if message_id is not None:
            metadata["message_id"] = message_id
        if content is not None:
            metadata["content"] = content
        return self._record(SEND, agent_id, channel_id, metadata, parent_event_id, private)

    def recv(
        self,
        agent_id: str,
        channel_id: Id,
        *,
        unreads: int | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent reads a channel, in which so many messages were new to it."""
        if unreads is not None:
            metadata["unreads"] = unreads
        return self._record(RECV, agent_id, channel_id, metadata, parent_event_id, private)

    def note(
        self,
        agent_id: str,
        channel_id: Id,
        *,
        content: str | None = None,
        parent_event_id: str | None = None,
        private: bool | None = None,
        **metadata: Any,
    ) -> str:
        """An agent notes something in a channel."""
        if content is not None:
            metadata["content"] = content
        return self._record(NOTE, agent_id, channel_id, metadata, parent_event_id, private)
