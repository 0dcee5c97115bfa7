"""How events and steps are recorded: the calls that a log, the process's default one and rooms share."""

from collections.abc import Awaitable, Collection
from typing import TYPE_CHECKING, Any, Protocol

from whence.event import Status
from whence.settings import Durability

if TYPE_CHECKING:
    from whence.recorder.span import Span


class Emit(Protocol):
    """How to record one event; `Recorder.emit` tells the rest."""

    def __call__(
        self,
        primitive: str,
        type: str,
        *,
        agent: str | None = None,
        target: str | None = None,
        data: Any = None,
        parent: str | None = None,
        links: Collection[str] = (),
        status: Status | None = None,
        duration: int | None = None,
        private: bool | None = None,
        durability: Durability | None = None,
        wait: bool = False,
    ) -> str:
        """Record one event and return its id."""
        ...


class EmitAsync(Protocol):
    """How to record one event durably while others run; `Recorder.emit_async` tells the rest."""

    def __call__(
        self,
        primitive: str,
        type: str,
        *,
        agent: str | None = None,
        target: str | None = None,
        data: Any = None,
        parent: str | None = None,
        links: Collection[str] = (),
        status: Status | None = None,
        duration: int | None = None,
        private: bool | None = None,
    ) -> Awaitable[str]:
        """Record one event and return its id when it survives a power cut."""
        ...


class MakeSpan(Protocol):
    """How to record a step; `Recorder.span` tells the rest."""

    def __call__(
        self,
        name: str,
        *,
        component: str | None = None,
        input: Any = None,
        agent: str | None = None,
        target: str | None = None,
        links: Collection[str] = (),
        data: dict[str, Any] | None = None,
        private: bool | None = None,
    ) -> "Span":
        """Record a step with its duration; what is recorded inside it names it as its cause."""
        ...
