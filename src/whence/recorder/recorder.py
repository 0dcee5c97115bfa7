"""From a call to a line: context, ids, redaction, salts. Knows no index and asks no questions.

One encode and one write on the caller's thread; no hashing but for private and large payloads.
Recording never raises into the program it watches, save for plain misuse and for durability
`disk`, whose promise must be kept or refused.
"""

import atexit
import base64
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from whence.errors import StoreError
from whence.event import OWN, Head, Status, check_status, check_text, format_second
from whence.journal.blobs import write_blob
from whence.journal.disk import Disk
from whence.journal.writer import Layout, Writer
from whence.line import ENVELOPE_BYTES_MAX, INLINE_BYTES_MAX, commitment, encode_head, line_padding
from whence.query import clean_target
from whence.recorder.context import Cause, caused_by, make_variable
from whence.recorder.host import describe_host
from whence.recorder.ids import IdMaker
from whence.recorder.payload import Payloads
from whence.recorder.receipt import Receipt
from whence.recorder.span import Span
from whence.settings import Durability

_NS_PER_S = 1_000_000_000
_SALT_BYTES = 18
_SALTS_AT_ONCE = 256
_NAMES_MAX = 20_000
_WRITER_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
# `,"w":"…","n":…` at its longest.
_WRITER_PART_BYTES = 50
_EMPTY = b"{}"

_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


class Recorder:
    """Records events to one journal. Share one per process; safe for threads, tasks and forks."""

    def __init__(
        self,
        folder: Path,
        *,
        durability: Durability = "os",
        payloads: Payloads | None = None,
        layout: Layout = Layout(),
        disk: Disk | None = None,
        clock: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.cause_variable = make_variable()
        self._durability = durability
        self._encode = (payloads or Payloads()).encode
        self._layout = layout
        self._disk = disk or Disk()
        self._random = random
        self._second = (0, "")
        # What has been checked once: primitives, types and agents; targets as they are stored.
        self._names: set[str | None] = {None}
        self._targets: dict[str | None, str | None] = {None: None}
        self._start()
        _recorders.add(self)

    def _start(self) -> None:
        """Begin as a writer of our own: at the start, and again in a forked child."""
        self.make_id = IdMaker(self._random).make
        self._salts: list[bytes] = []
        self._writer = Writer(
            self.folder,
            "".join(_WRITER_ALPHABET[byte % 36] for byte in self._random(12)),
            self._make_own,
            clock=self.clock,
            layout=self._layout,
            disk=self._disk,
            about=describe_host,
        )

    @property
    def lost(self) -> int:
        """How many events this process could not record so far."""
        return self._writer.lost

    def emit(
        self,
        primitive: str,
        type: str,
        *,
        agent: str | None = None,
        target: str | None = None,
        data: Any = None,
        parent: str | None = None,
        links: Iterable[str] = (),
        status: Status | None = None,
        duration: int | None = None,
        private: bool = False,
        durability: Durability | None = None,
        wait: bool = False,
    ) -> str:
        """Record one event and return its id.

        `parent` is the id of the event that caused this one, by default the span or `cause`
        around the call; `links` are further causes. With `private` only a commitment to `data`
        is stored and a `Receipt` returned. When this returns the event survives a crash of the
        process, with durability `disk` also a power cut (else StoreError); `wait` excludes the
        one exception, which is other threads recording at the same moment.
        """
        now = self.clock()
        event_id = self.make_id(now)
        head, tail, receipt = self._line(
            event_id, now, primitive, type, agent, target, self._cause_of(parent),
            status, duration, links, data, private,
        )  # fmt: skip
        self._keep(head, tail, now, durability or self._durability, wait)
        return receipt or event_id

    async def emit_async(self, primitive: str, type: str, **fields: Any) -> str:
        """As `emit` with durability `disk`, for event loops: tasks that wait share each sync."""
        from whence.recorder.loops import wait_durable

        now = self.clock()
        event_id = self.make_id(now)
        head, tail, receipt = self._line(
            event_id, now, primitive, type, fields.pop("agent", None), fields.pop("target", None),
            self._cause_of(fields.pop("parent", None)), fields.pop("status", None),
            fields.pop("duration", None), fields.pop("links", ()), fields.pop("data", None),
            fields.pop("private", False),
        )  # fmt: skip
        if fields:
            raise TypeError(f"emit_async got unknown {', '.join(fields)}")
        if head:
            await wait_durable(self._writer, head, tail)
        return receipt or event_id

    def span(
        self,
        name: str,
        *,
        component: str | None = None,
        input: Any = None,
        agent: str | None = None,
        target: str | None = None,
        links: Iterable[str] = (),
        data: dict[str, Any] | None = None,
    ) -> Span:
        """Record a step with its duration; what is recorded inside it names it as its cause.

        `name` splits at its first dot into primitive and type.
        """
        values = dict(data) if data else {}
        if component is not None:
            values["component"] = component
        if input is not None:
            values["input"] = input
        return Span(self, name, agent=agent, target=target, links=tuple(links), data=values)

    def cause(self, event_id: str) -> AbstractContextManager[None]:
        """Have everything recorded inside the block name `event_id` as its cause."""
        return caused_by(self.cause_variable, check_text("event_id", event_id))

    def current_cause(self) -> str | None:
        """The id that an event recorded here and now would name as its cause."""
        cause = self.cause_variable.get()
        return cause.parent if cause else None

    def write_span(
        self,
        event_id: str,
        time_ns: int,
        name: str,
        cause: Cause | None,
        agent: str | None,
        target: str | None,
        status: Status,
        duration: int,
        links: tuple[str, ...],
        data: dict[str, Any],
    ) -> None:
        """Record a span that has ended."""
        primitive, dot, type = name.partition(".")
        if not dot:
            primitive, type = "span", name
        head, tail, _ = self._line(
            event_id, time_ns, primitive, type, agent, target, cause, status, duration, links,
            data, False,
        )  # fmt: skip
        self._keep(head, tail, self.clock(), self._durability, False)

    def close(self) -> None:
        """Write what is left and say goodbye, so that a missing goodbye means a crash."""
        self._writer.close()

    def after_fork(self) -> None:
        """Begin anew in a forked child: the parent's queue, counts and descriptors are not ours."""
        self._writer.abandon()
        self._start()

    def _keep(self, head: bytes, tail: bytes, now: int, durability: str, wait: bool) -> None:
        if not head:
            return
        if durability == "os":
            if wait:
                self._writer.append_waiting(head, tail)
            else:
                self._writer.append(head, tail, now)
        elif durability == "disk":
            self._writer.append_durable(head, tail)
        else:
            raise ValueError(f"durability is {durability!r}, want 'os' or 'disk'")

    def _cause_of(self, parent: str | None) -> Cause | None:
        cause = self.cause_variable.get()
        if parent is None or (cause is not None and cause.parent == parent):
            return cause
        return Cause(check_text("parent", parent), None)

    def _line(
        self,
        event_id: str,
        now: int,
        primitive: str,
        type: str,
        agent: str | None,
        target: str | None,
        cause: Cause | None,
        status: Status | None,
        duration: int | None,
        links: Iterable[str],
        data: Any,
        private: bool,
    ) -> tuple[bytes, bytes, Receipt | None]:
        """Make the two halves of a line; an empty head where it could not be made and was counted."""
        names = self._names
        if primitive not in names or type not in names or agent not in names:
            self._check_names(primitive=primitive, type=type, agent=agent)
        try:
            stored_target = self._targets[target]
        except (KeyError, TypeError):
            stored_target = self._check_target(target)
        if status is not None:
            check_status(status)
        second = now // _NS_PER_S
        known = self._second
        if second != known[0]:
            self._second = known = (second, format_second(second))
        head = encode_head(
            Head(
                id=event_id,
                time=f"{known[1]}{now - second * _NS_PER_S:09d}Z",
                primitive=primitive,
                type=type,
                agent=agent,
                target=stored_target,
                parent=cause.parent if cause else None,
                trace=cause.trace if cause else None,
                status=status,
                duration=duration,
                links=_check_links(links) if links else (),
                private=private,
            )
        )
        if len(head) > ENVELOPE_BYTES_MAX - _WRITER_PART_BYTES:
            raise ValueError(f"envelope has {len(head)} bytes, want at most {ENVELOPE_BYTES_MAX}")
        payload = _EMPTY if data is None else self._encode(data)
        try:
            salt = self._salts.pop()
        except IndexError:
            salt = self._more_salts()
        if private:
            receipt = Receipt(event_id, salt.decode(), payload)
            return head, b',"commit":"%b"}\n' % _commit(salt, payload), receipt
        size = len(payload)
        if size > INLINE_BYTES_MAX:
            return self._to_blob(head, salt, payload)
        padding = line_padding(size) if size < 13 else b""
        return head, b',"salt":"%b","data":%b}%b\n' % (salt, payload, padding), None

    def _to_blob(self, head: bytes, salt: bytes, payload: bytes) -> tuple[bytes, bytes, None]:
        modes = (self._layout.folder_mode, self._layout.file_mode)
        try:
            commit = write_blob(self.folder, self._disk, salt.decode(), payload, modes)
        except StoreError as error:
            if self._durability == "disk":
                raise
            self._writer.lose(str(error))
            return b"", b"", None
        return head, b',"commit":"%b","blob":%d}\n' % (commit.encode(), len(payload)), None

    def _make_own(self, type: str, data: dict[str, Any]) -> tuple[bytes, bytes]:
        now = self.clock()
        head, tail, _ = self._line(
            self.make_id(now), now, OWN, type, None, None, None, None, None, (), data, False
        )
        return head, tail

    def _more_salts(self) -> bytes:
        block = base64.urlsafe_b64encode(self._random(_SALT_BYTES * _SALTS_AT_ONCE))
        self._salts.extend([block[at : at + 24] for at in range(24, len(block), 24)])
        return block[:24]

    def _check_names(self, **names: str | None) -> None:
        if len(self._names) > _NAMES_MAX:
            self._names = {None}
        for field, name in names.items():
            if name is not None or field != "agent":
                self._names.add(check_text(field, name))

    def _check_target(self, target: str | None) -> str:
        if len(self._targets) > _NAMES_MAX:
            self._targets = {None: None}
        stored = clean_target(check_text("target", target))
        self._targets[target] = stored
        return stored


def _check_links(links: Iterable[str]) -> tuple[str, ...]:
    return tuple(check_text("link", link) for link in links)


def _commit(salt: bytes, payload: bytes) -> bytes:
    return commitment(salt.decode(), payload).encode()


def _close_all() -> None:
    for recorder in list(_recorders):
        recorder.close()


def _after_fork() -> None:
    for recorder in list(_recorders):
        recorder.after_fork()
    # A child of multiprocessing leaves by os._exit, which runs no atexit; it runs these instead.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, _close_all, exitpriority=0)


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
