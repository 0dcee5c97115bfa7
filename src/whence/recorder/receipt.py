"""What the caller of a private event gets: the only copy of what was committed to."""

from typing import Self

from whence.event import Event
from whence.line import commitment


class Receipt(str):
    """The id of a private event, with the salt and payload by which it can be revealed.

    The journal holds only the commitment. Keep `salt` and `payload`, or nobody will ever know
    what the event said; give them to somebody, and they can check it with `check`.
    """

    __slots__ = ("payload", "salt")

    salt: str
    payload: bytes

    def __new__(cls, event_id: str, salt: str, payload: bytes) -> Self:
        """Hold on to what the event says beside its id."""
        receipt = super().__new__(cls, event_id)
        receipt.salt = salt
        receipt.payload = payload
        return receipt

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, bytes]]:
        """Keep all three parts in copies and pickles."""
        return type(self), (str.__str__(self), self.salt, self.payload)

    def check(self, event: Event) -> bool:
        """Tell whether this is what the event committed to."""
        return event.id == self and event.commit == commitment(self.salt, self.payload)
