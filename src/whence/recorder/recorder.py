"""From a call to a line: context, ids, redaction, salts. Knows no index and asks no questions.

One encode and one write on the caller's thread; no hashing but for private and large payloads.
Recording never raises into the program it watches, save for plain misuse and for durability
`disk`, whose promise must be kept or refused.
"""

import atexit

# Not used here, but by `commitment` when it is first called: then no file may be left to open.
import hmac  # noqa: F401
import logging
import os
import sys
import time
import weakref
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from whence.errors import StoreError
from whence.event import OWN, Status, check_text, decode_json, format_second, format_time
from whence.journal.blobs import write_blob
from whence.journal.disk import Disk
from whence.journal.place import Layout
from whence.journal.writer import VolatileDiskError, Writer
from whence.line import (
    ENVELOPE_BYTES_MAX,
    INLINE_BYTES_MAX,
    commitment,
    line_padding,
)
from whence.recorder.context import Cause, Inherited, caused_by, forget, variable_of
from whence.recorder.envelope import Names, write_extras, write_kind
from whence.recorder.host import describe_host
from whence.recorder.ids import IdMaker, Pool, make_salts
from whence.recorder.loops import ask_durable
from whence.recorder.payload import Payloads
from whence.recorder.receipt import Receipt
from whence.recorder.span import Span
from whence.recorder.watch import Watch
from whence.settings import Durability

_NS_PER_S = 1_000_000_000
_WRITER_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
# What is left for the envelope's head beside `,"w":"…","n":…` at its longest.
_HEAD_BYTES_MAX = ENVELOPE_BYTES_MAX - 50
_EMPTY = b"{}"

_logger = logging.getLogger("whence")

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
        self.cause_variable = variable_of(folder)
        self.forks = 0
        """How often this recorder went into a child: a span ends in the process it began in."""
        self.watch = Watch()
        self._cause = self.cause_variable.get
        self._durability = durability
        self._is_plain = durability == "os"
        self.payloads = payloads or Payloads()
        self._encode = self.payloads.encode
        self._layout = layout
        self._disk = disk or Disk()
        self._random = random
        self._names = Names()
        self._span_names = self._names.get_span
        # The second that a time was last written for: its digits, and its text.
        self._second = ("none yet", "")
        self._start()
        _recorders.add(self)
        _close_with_multiprocessing()

    def _start(self) -> None:
        """Begin as a writer of our own: at the start, and again in a forked child."""
        self.random = Pool(self._random)
        """Random bytes for ids of other forms, a few at a time."""
        self.make_id = IdMaker(self.random).make
        # Half a block, so that salts and ids do not run out at the same call.
        salts = make_salts(self.random)
        self._salts = salts[: len(salts) // 2]
        self._writer = Writer(
            self.folder,
            "".join(_WRITER_ALPHABET[byte % 36] for byte in self._random(12)),
            self._make_own,
            clock=self.clock,
            layout=self._layout,
            disk=self._disk,
            about=describe_host,
        )
        self._append = self._writer.append

    @property
    def lost(self) -> int:
        """How many events this process could not record so far."""
        return self._writer.lost

    def emit(
        self,
        primitive: str,
        type: str,
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
        """Record one event and return its id.

        Name all but the first two arguments: their order is not a promise. (Python fills missing
        keyword-only arguments slower than these, by two percent of an event.)

        `parent` is the id of the event that caused this one, by default the span or `cause`
        around the call; `links` are further causes. With `private` only a commitment to `data`
        is stored and a `Receipt` returned; None leaves that to the rules of `[privacy]`. When this returns the event survives a crash of the
        process, with durability `disk` also a power cut (else StoreError); `wait` excludes the
        one exception, which is other threads recording at the same moment.
        """
        now = self.clock()
        event_id = self.make_id(now)
        names = self._names.get((primitive, type, agent, target)) or self._names.write(
            primitive, type, agent, target
        )
        cause = self._cause() if parent is None else self._cause_of(parent)
        extras = ""
        if status is not None or duration is not None or links or private:
            extras = write_extras(status, duration, links, private)
        if private or wait or durability is not None:
            payload = self._payload(data)
            head = self._head(event_id, now, names, cause, extras)
            salt = self._salt()
            self._keep(head, salt, payload, bool(private), durability or self._durability, wait)
            return Receipt(event_id, salt.decode(), payload) if private else event_id
        # From here on as in `record`: its call and `_head`'s would cost every event a tenth.
        digits = str(now)
        second = self._second
        if digits[:-9] != second[0]:
            second, digits = self._next_second(now)
        head = (
            f'{{"id":"{event_id}","time":"{second[1]}{digits[-9:]}Z",{names}'
            f"{(cause.text or cause.write()) if cause is not None else ''}{extras}"
        ).encode()
        payload = _EMPTY if data is None else self._encode(data)
        if (
            self._is_plain
            and 13 <= len(payload) <= INLINE_BYTES_MAX
            and len(head) < _HEAD_BYTES_MAX
        ):
            try:
                salt = self._salts.pop()
            except IndexError:
                salt = self._salt()
            self._append(head, salt, payload, now)
        else:
            self._keep(head, self._salt(), payload, False, self._durability, False)
        return event_id

    async def emit_async(
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
    ) -> str:
        """As `emit` with durability `disk`, for event loops: tasks that wait share each sync."""
        now = self.clock()
        event_id = self.make_id(now)
        names = self._names.get((primitive, type, agent, target)) or self._names.write(
            primitive, type, agent, target
        )
        cause = self._cause() if parent is None else self._cause_of(parent)
        head = self._head(
            event_id, now, names, cause, write_extras(status, duration, links, private)
        )
        _check_size(head)
        payload, salt = self._payload(data), self._salt()
        try:
            tail = self._tail(salt, payload, bool(private))
        except StoreError as error:
            self._writer.lose(str(error))
            raise
        await ask_durable(self._writer, head, tail)
        return Receipt(event_id, salt.decode(), payload) if private else event_id

    def span(
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
    ) -> Span:
        """Record a step with its duration; what is recorded inside it names it as its cause.

        `name` splits at its first dot into primitive and type.
        """
        values = {**data} if data else {}
        if component is not None:
            values["component"] = component
        if input is not None:
            values["input"] = input
        names = self._span_names((name, agent, target)) or self._names.write_span(
            name, agent, target
        )
        extras = write_extras(None, None, links, private) if links or private else ""
        return Span(self, names, extras, values, bool(private))

    def cause(self, event_id: str) -> AbstractContextManager[None]:
        """Have everything recorded inside the block name `event_id` as its cause."""
        return caused_by(self.cause_variable, check_text("event_id", event_id))

    def current_cause(self) -> str | None:
        """The id that an event recorded here and now would name as its cause."""
        cause = self._cause()
        return cause.id if cause else None

    def cause_around(self) -> str | None:
        """As `current_cause`, but None where only the start of this process is one."""
        cause = self._cause()
        return None if cause is None or isinstance(cause, Inherited) else cause.id

    def lose(self, reason: str) -> None:
        """Count an event that could not be recorded, so that it shows as a gap."""
        self._writer.lose(reason)

    def close(self) -> None:
        """Write what is left and say goodbye, so that a missing goodbye means a crash."""
        # A span that is still open then ends with the process.
        self.watch.tell(after_ns=0)
        self.watch.stop()
        self._writer.close()

    def __del__(self) -> None:
        # Dropped without a word it would look like a crash, and keep its descriptor.
        writer = getattr(self, "_writer", None)
        try:
            if writer is not None:
                writer.close()
        except BaseException:  # noqa: BLE001
            # Python would only print it: nobody can be told from here.
            pass

    def after_fork(self) -> None:
        """Begin anew in a forked child: the parent's queue, counts and descriptors are not ours."""
        self._writer.abandon()
        self.forks += 1
        self._start()

    def _cause_of(self, parent: str) -> Cause:
        cause = self._cause()
        if cause is not None and cause.id == parent:
            return cause
        return Cause(check_text("parent", parent), None)

    def record(
        self,
        event_id: str,
        time_ns: int,
        duration_ns: int,
        names: str,
        extras: str,
        data: dict[str, Any],
        private: bool,
    ) -> str:
        """Record a span that ended, with the log's own durability; return its id, or a receipt."""
        digits = str(time_ns)
        second = self._second
        if digits[:-9] != second[0]:
            second, digits = self._next_second(time_ns)
        head = f'{{"id":"{event_id}","time":"{second[1]}{digits[-9:]}Z",{names}{extras}'.encode()
        payload = self._encode(data) if data else _EMPTY
        if (
            self._is_plain
            and not private
            and 13 <= len(payload) <= INLINE_BYTES_MAX
            and len(head) < _HEAD_BYTES_MAX
        ):
            try:
                salt = self._salts.pop()
            except IndexError:
                salt = self._salt()
            self._append(head, salt, payload, time_ns + duration_ns)
            return event_id
        salt = self._salt()
        self._keep(head, salt, payload, private, self._durability, False)
        return Receipt(event_id, salt.decode(), payload) if private else event_id

    def write_names(self, primitive: str, type: str, agent: str | None, target: str | None) -> str:
        """Write the names of a span that is made by hand; ValueError for what cannot stand there."""
        names = self._names.get((primitive, type, agent, target))
        return names or self._names.write(primitive, type, agent, target)

    def is_private(self, primitive: str, type: str, agent: str | None) -> bool:  # noqa: ARG002
        """Whether an event is private where its caller does not say."""
        return False

    def record_open(
        self,
        span_id: str,
        since_ns: int,
        age_ns: int,
        names: str,
        cause: Cause | None,
        data: dict[str, Any],
        private: bool,
    ) -> None:
        """Record that a span is open: as an event on the same target by the same agent, linked to it."""
        now = self.clock()
        known = decode_json(b"{%b}" % names.encode())
        told = {
            "span": span_id,
            "name": f"{known['primitive']}.{known['type']}",
            "since": format_time(since_ns),
            "age": age_ns,
            # In one step: the step goes on, and may note more meanwhile.
            "data": data.copy(),
        }
        event_id = self.make_id(now)
        about = self._names.write("span", "open", known.get("agent"), known.get("target"))
        extras = write_extras(None, None, [span_id], private)
        head = self._head(event_id, now, about, cause, extras)
        self._keep(head, self._salt(), self._payload(told), private, "os", False)

    def _salt(self) -> bytes:
        while True:
            try:
                return self._salts.pop()
            except IndexError:
                self._salts.extend(make_salts(self.random))

    def _payload(self, data: Any) -> bytes:
        return _EMPTY if data is None else self._encode(data)

    def _head(self, event_id: str, now: int, names: str, cause: Cause | None, extras: str) -> bytes:
        """The envelope up to the writer's part, as `whence.line` would encode it."""
        digits = str(now)
        second = self._second
        if digits[:-9] != second[0]:
            second, digits = self._next_second(now)
        return (
            f'{{"id":"{event_id}","time":"{second[1]}{digits[-9:]}Z",{names}'
            f"{(cause.text or cause.write()) if cause is not None else ''}{extras}"
        ).encode()

    def _next_second(self, now: int) -> tuple[tuple[str, str], str]:
        """The second that `now` is in, for as long as it lasts, and the digits it ends with."""
        digits = str(now)
        if now < _NS_PER_S:
            # A clock that far back: nine digits are not all there, so nothing is kept.
            text = format_time(now)
            return ("", text[:20]), text[20:29]
        self._second = second = (digits[:-9], format_second(now // _NS_PER_S))
        return second, digits

    def _tail(self, salt: bytes, payload: bytes, private: bool) -> bytes:
        """What follows the writer's part: salt and payload, or the commitment in their place."""
        if private:
            return b',"commit":"%b"}\n' % commitment(salt.decode(), payload).encode()
        if len(payload) > INLINE_BYTES_MAX:
            return self._to_blob(salt.decode(), payload)
        padding = line_padding(len(payload))
        return b',"salt":"%b","data":%b}%b\n' % (salt, payload, padding)

    def _to_blob(self, salt: str, payload: bytes) -> bytes:
        commit = write_blob(self.folder, self._disk, self._layout, salt, payload)
        return b',"commit":"%b","blob":%d}\n' % (commit.encode(), len(payload))

    def _keep(
        self, head: bytes, salt: bytes, payload: bytes, private: bool, durability: str, wait: bool
    ) -> None:
        """Append a line and return when the promise asked for holds."""
        _check_size(head)
        if durability not in ("os", "disk"):
            raise ValueError(f"durability is {durability!r}, want 'os' or 'disk'")
        try:
            tail = self._tail(salt, payload, private)
        except StoreError as error:
            self._writer.lose(str(error))
            if durability == "disk":
                raise
            return
        if durability == "disk":
            self._writer.append_durable(head, tail)
        elif wait:
            self._writer.append_waiting(head, tail)
        else:
            self._writer.append_made(head, tail)

    def emit_own(self, type: str, data: dict[str, Any]) -> None:
        """Record a housekeeping event, which is as safe as its disk is when this returns; StoreError if it could not be kept."""
        lost = self._writer.lost
        try:
            self._writer.append_durable(*self._make_own(type, data))
        except VolatileDiskError:
            if self._writer.lost > lost:
                raise

    def _make_own(self, type: str, data: dict[str, Any]) -> tuple[bytes, bytes]:
        now = self.clock()
        event_id = self.make_id(now)
        head = self._head(event_id, now, write_kind(OWN, type), None, "")
        return head, self._tail(self._salt(), self._encode(data), False)


def _check_size(head: bytes) -> None:
    if len(head) > _HEAD_BYTES_MAX:
        raise ValueError(f"envelope has {len(head)} bytes, want at most {_HEAD_BYTES_MAX}")


def _close_all() -> None:
    for recorder in list(_recorders):
        try:
            recorder.close()
        except Exception:
            # At exit nobody can be told but the log, and the others are still to be closed.
            _logger.warning("cannot close %s", recorder.folder, exc_info=True)


def _after_fork() -> None:
    for recorder in list(_recorders):
        recorder.after_fork()
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # A child of multiprocessing forgets its parent's finalizers first, and then does this.
        util.register_after_fork(_close_all, lambda _: _begin_with_multiprocessing())


_POOLS = ("concurrent.futures.process", "multiprocessing.pool")


def _begin_with_multiprocessing() -> None:
    _close_with_multiprocessing()
    target = getattr(sys.modules["multiprocessing"].current_process(), "_target", None)
    if getattr(target, "__module__", None) in _POOLS:
        # Its tasks are not caused by what happened to be going on when the worker was made.
        forget()


_finalizer: Any = None


def _close_with_multiprocessing() -> None:
    """A child of multiprocessing leaves by `os._exit`, which runs no atexit but its finalizers."""
    global _finalizer
    util = sys.modules.get("multiprocessing.util")
    if util is not None and (_finalizer is None or not _finalizer.still_active()):
        _finalizer = util.Finalize(None, _close_all, exitpriority=0)


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
