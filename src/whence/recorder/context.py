"""What an event is caused by when nobody says: the span or cause around it.

Each log has one context variable, so threads, asyncio tasks and executors each have their own. A
process that another one started on behalf of an event has that event as the cause of everything
that has no other, in all its threads.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from pathlib import Path
from typing import TYPE_CHECKING

from whence.journal.forks import loading
from whence.recorder.envelope import quote

if TYPE_CHECKING:
    from whence.recorder.headers import Members, TraceParent


class Cause:
    """The event that what is recorded now comes from, and its root where that is known.

    `text` is both as they stand in an envelope, or "" until somebody needs it.
    """

    __slots__ = ("id", "text", "trace")

    def __init__(self, id: str, trace: str | None) -> None:
        self.id = id
        self.trace = trace
        self.text = ""

    def write(self) -> str:
        """Write what names this cause in an envelope, and keep it."""
        text = f',"parent":{quote(self.id)}'
        if self.trace is not None:
            text += f',"trace":{quote(self.trace)}'
        self.text = text
        return text

    def outer(self) -> "Cause | None":
        """The cause around this one, as far as it is known here."""
        return None

    def says_sampled(self) -> bool | None:
        """Whether its trace was chosen to be recorded; None where nobody chose."""
        return None


class Sent(Cause):
    """A cause that came from elsewhere, and what its sender said of the trace.

    `root` is what names the trace in headers, `members` are those of others in `tracestate`.
    """

    __slots__ = ("is_sampled", "members", "root")

    def __init__(
        self,
        id: str,
        trace: str | None,
        root: str,
        members: "Members" = (),
        is_sampled: bool | None = None,
    ) -> None:
        super().__init__(id, trace)
        self.root = root
        self.members = members
        self.is_sampled = is_sampled

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.id, self.trace, self.root, self.members, self.is_sampled)

    def says_sampled(self) -> bool | None:
        """What the sender said."""
        return self.is_sampled


class Inherited(Sent):
    """The event on whose behalf this process was started."""

    __slots__ = ()


def send(cause: Cause) -> Sent:
    """What another process has to know of a cause."""
    sampled = None
    root: str | None = cause.trace
    members: Members = ()
    step: Cause | None = cause
    while step is not None:
        if sampled is None:
            sampled = step.says_sampled()
        if isinstance(step, Sent):
            root, members = step.root, step.members
            break
        if step.outer() is None:
            root = root or str(step.id)
        step = step.outer()
    return Sent(str(cause.id), cause.trace, root or str(cause.id), members, sampled)


def receive(traceparent: str, tracestate: str) -> "tuple[TraceParent, Members, str | None] | None":
    """What two headers say: where the sender was, others' members, our own event's id.

    None where there is no valid `traceparent`: then the other one may not be read.
    """
    with loading:
        from whence.recorder.headers import ours_in, parse_traceparent, parse_tracestate

    parent = parse_traceparent(traceparent)
    if parent is None:
        return None
    members = parse_tracestate(tracestate)
    return parent, members, ours_in(members)


def inherit() -> Inherited | None:
    """The cause of this process, where its environment names one of ours."""
    tracestate = os.environ.get("TRACESTATE", "")
    # Where there is none, which is most often, nobody pays for reading it.
    if "whence=" not in tracestate:
        return None
    received = receive(os.environ.get("TRACEPARENT", ""), tracestate)
    if received is None:
        return None
    parent, members, event_id = received
    if event_id is None:
        return None
    return Inherited(event_id, None, parent.trace_id, members, parent.is_sampled)


CauseVar = ContextVar[Cause | None]

variables: dict[Path, CauseVar] = {}
"""By folder, so that all handles of one log have the same causes, also when it was opened again."""


def variable_of(folder: Path) -> CauseVar:
    """The variable of one log."""
    known = variables.get(folder)
    if known is None:
        started_for = inherit()
        known = variables.setdefault(folder, ContextVar("whence.cause", default=started_for))
    return known


def forget() -> None:
    """Have no cause here but that of the process, whatever is open."""
    for variable in list(variables.values()):
        variable.set(inherit())


@contextmanager
def caused_by(variable: CauseVar, event_id: str) -> Iterator[None]:
    """Have everything recorded inside name `event_id` as its cause. Its root stays open."""
    token = variable.set(Cause(event_id, None))
    try:
        yield
    finally:
        leave(variable, token)


def leave(variable: CauseVar, token: Token[Cause | None]) -> None:
    """Go back to the cause that held before `token` was given out. Never raises."""
    try:
        variable.reset(token)
    except (ValueError, RuntimeError):
        # Ended in another context than it began in, as a generator may be: that one is not ours.
        # Or left already, by a span that pauses.
        pass
