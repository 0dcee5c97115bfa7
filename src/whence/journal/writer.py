"""Appends lines to the journal for one process.

No lock is shared with other processes: every write is whole lines to an `O_APPEND` descriptor, so
a stopped or dead process never blocks another. Within the process a caller either writes its own
line or, while another thread is writing, leaves it on a bounded queue for that thread to write.

Counts are given out under the lock, in the order of writing, so a writer's lines stand in the
order of their counts, and a count that is missing is an event that was lost.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from whence.errors import FormatError, StoreError
from whence.event import format_time
from whence.journal.disk import Disk
from whence.journal.place import Layout, Opened, Place
from whence.journal.reader import check_start
from whence.journal.syncs import AsyncSync, GroupSync, Ticket

QUEUE_MAX = 256
"""How many lines may be returned but not written, when threads record at the same moment."""

_NS_PER_S = 1_000_000_000
_NS_PER_DAY = 86_400 * _NS_PER_S
_NS_PER_RETRY = _NS_PER_S // 10
_TRIES = 4
_CHECK_EVERY = 1024
_MARK = b"#\n"

_logger = logging.getLogger("whence")


class Line:
    """A line on its way: what stands before and after the writer's part, then the whole."""

    __slots__ = ("head", "tail", "ticket", "whole")

    def __init__(self, head: bytes, tail: bytes, ticket: Ticket | None, whole: bytes = b"") -> None:
        self.head = head
        self.tail = tail
        self.ticket = ticket
        self.whole = whole


MakeOwn = Callable[[str, dict[str, Any]], tuple[bytes, bytes]]
"""Makes a housekeeping event of a type and payload: its head and tail."""

_Result = TypeVar("_Result")


class VolatileDiskError(StoreError):
    """The line is written, and nobody can promise that it survives a power cut."""


class Writer:
    """Owns this process's place at the end of one journal. Safe for any number of threads.

    Opens nothing before the first line. In a forked child make a new one: `abandon` this one first.
    """

    # More attributes than an instance dict shares its keys for: slots are what keeps them quick.
    __slots__ = (
        "_about", "_announced_in", "_announcement", "_async", "_check_due_n", "_check_due_ns",
        "_checked_ns", "_clock", "_group", "_is_busy", "_is_closed", "_is_failing", "_is_torn",
        "_lock", "_make_own", "_mark", "_n", "_place", "_queue", "_reason", "_unreported",
        "_warnings", "_write", "folder", "lost", "name",
    )  # fmt: skip

    def __init__(
        self,
        folder: Path,
        name: str,
        make_own: MakeOwn,
        *,
        clock: Callable[[], int],
        layout: Layout = Layout(),
        disk: Disk | None = None,
        about: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.folder = folder
        self.name = name
        self.lost = 0
        self._make_own = make_own
        self._clock = clock
        self._about = about
        disk = disk or Disk()
        self._write = disk.write
        # Lines returned but not written. Appended to by anyone, shortened under the lock.
        self._queue: list[Line] = []
        # What to tell the program's log; told without the lock, since a log handler may record.
        self._warnings: list[str] = []
        # The lock guards all fields below. It is re-entrant so that a signal handler or finalizer
        # that interrupts its holder can tell so by `_is_busy` and leave its line on the queue.
        # Whoever holds it and may be interrupted is busy.
        self._lock = threading.RLock()
        self._is_busy = False
        self._is_closed = False
        self._place = Place(folder, disk, layout, self._warnings.append)
        self._mark = f',"w":"{name}","n":'.encode()
        # Count 0 belongs to `writer.open`, which is written with the first segment.
        self._n = 1
        # What we say first in a segment and have not yet said there, and the generation in which
        # we last did.
        self._announcement = b""
        self._announced_in = 0
        self._is_torn = False
        # When to look again whether this is still the segment to write to: by time and by count.
        self._checked_ns = 0
        self._check_due_ns = 0
        self._check_due_n = 0
        self._unreported = 0
        self._reason = ""
        self._is_failing = False
        self._group = GroupSync(self)
        self._async = AsyncSync(self._group)

    def append(self, head: bytes, salt: bytes, payload: bytes, time_ns: int) -> None:
        """Hand one line to the operating system, or to the thread that is writing just now.

        `head` is the envelope up to the writer's part. Never raises for what the world refuses:
        the line is then counted as lost and shows as a gap.
        """
        queue = self._queue
        is_unusual = False
        try:
            if self._lock.acquire(False):
                try:
                    if self._is_busy or queue:
                        queue.append(Line(head, _tail(salt, payload), None))
                    else:
                        line = b""
                        self._is_busy = True
                        try:
                            n = self._n
                            if n >= self._check_due_n or not (
                                self._checked_ns <= time_ns < self._check_due_ns
                            ):
                                is_unusual = True
                                self._check()
                                n = self._n
                            line = b'%b%b%d,"salt":"%b","data":%b}\n' % (
                                head, self._mark, n, salt, payload,
                            )  # fmt: skip
                            # No call stands between the line and its count, so neither can an
                            # interrupt: no two lines share a count, and none is left out.
                            self._n = n + 1
                            fd = self._place.fd
                            if fd is None or self._is_torn:
                                is_unusual = True
                                self._put([line])
                                self._report_gap()
                            else:
                                written = self._write(fd, line)
                                if written != len(line):
                                    is_unusual = True
                                    self._is_torn = True
                                    self._put([line])
                        except OSError as error:
                            is_unusual = True
                            self._fail(line, error)
                        except BaseException:
                            # Interrupted where it is not known whether the line was taken. Written
                            # again with the same count and bytes it is one event to every reader.
                            if line:
                                queue.insert(0, Line(b"", b"", None, line))
                            raise
                        finally:
                            self._is_busy = False
                finally:
                    self._lock.release()
            else:
                queue.append(Line(head, _tail(salt, payload), None))
            if queue or is_unusual:
                self._combine()
        except BaseException:
            self._let_go()
            raise

    def append_made(self, head: bytes, tail: bytes) -> None:
        """As `append`, for a line whose part after the writer's is made already."""
        self._queue.append(Line(head, tail, None))
        self._combine()

    def append_waiting(self, head: bytes, tail: bytes) -> None:
        """As `append`, and return only when the line has left this process.

        Inside a handler that interrupts a write, nobody can wait: the line is then only queued.
        """
        self._queue.append(Line(head, tail, None))
        if not self._is_interrupting():
            self._alone(self._drain)
        self._combine()

    def append_durable(self, head: bytes, tail: bytes) -> None:
        """Return when the line survives a power cut; StoreError when that cannot be promised."""
        ticket = Ticket()
        self._queue.append(Line(head, tail, ticket))
        # Also where it is not busy yet: who leads needs the lock, and nobody would let it go.
        if self._holds_lock():
            raise StoreError("cannot wait for the disk inside a handler that interrupts a write")
        self._group.wait(ticket)

    def ask_durable(
        self, head: bytes, tail: bytes, ticket: Ticket, tell: Callable[[list[Ticket]], None]
    ) -> None:
        """As `append_durable` for event loops: returns at once, `tell` gets the ticket when done."""
        self._queue.append(Line(head, tail, ticket))
        self._async.ask(ticket, tell)

    def lose(self, reason: str) -> None:
        """Count an event that could not be made into a line, so that it shows as a gap."""
        with self._lock:
            self._n += 1
            if not self._unreported:
                self._warn(reason)
            self._note_lost(1, reason)
        self._combine()

    def close(self) -> None:
        """Write what is queued and `writer.close`, and give everything back.

        May be called again: what somebody tried to record since then is told as lost.

        Does nothing inside a handler that interrupts a write or a wait, which is still to be
        finished: call it again when the handler has returned.
        """
        if self._holds_lock() or self._group.is_inside():
            return
        self._async.close()
        with self._group.stopped():
            self._alone(self._close_now)
        self._combine()

    def abandon(self) -> None:
        """Give descriptors back in a forked child, without a word and without any lock."""
        self._is_closed = True
        self._unreported = 0
        self._queue = []
        self._place.close()

    def sync_written(self, tickets: list[Ticket]) -> None:
        """Make the tickets' lines durable, in a new segment if a sync fails. See `Syncable`."""
        try:
            self._sync_written(tickets)
        finally:
            # What interrupted us while we were busy has only left its line.
            self._combine()

    def _sync_written(self, tickets: list[Ticket]) -> None:
        problem: OSError | None = None
        for _ in range(2):
            due = self._alone(lambda: self._prepare_sync(tickets))
            # Others have queued lines meanwhile; they must not wait for the disk.
            self._combine()
            try:
                self._place.sync(due)
            except OSError as error:
                problem = error
            else:
                problem = None
            self._alone(lambda due=due: self._place.settle(due))  # type: ignore[misc]
            if problem is None:
                return
        raise self._unsynced(problem) from problem

    # -- what follows holds the lock, and is busy -----------------------------------------------

    def _drain(self) -> None:
        """Write all that is queued. Lines leave the queue only when their write has returned."""
        while self._queue:
            self._check_if_due()
            batch = self._queue[:]
            for line in batch:
                if not line.whole:
                    self._number(line)
            kept = self._put([line.whole for line in batch])
            for at, line in enumerate(batch):
                if line.ticket is not None:
                    self._settle(line.ticket, line.whole, at < kept)
            del self._queue[: len(batch)]
            self._report_gap()

    def _number(self, line: Line) -> None:
        n = self._n
        whole = b"%b%b%d%b" % (line.head, self._mark, n, line.tail)
        # Nothing but these two: no call and no formatting, in which an interrupt could come.
        self._n = n + 1
        line.whole = whole

    def _settle(self, ticket: Ticket, whole: bytes, is_kept: bool) -> None:
        ticket.line = whole
        ticket.taken_by = self._place.generation
        if is_kept:
            self._place.promise()
        else:
            ticket.error = StoreError(f"cannot write to {self.folder}: {self._reason}")

    def _put(self, lines: list[bytes]) -> int:
        """Write whole lines; return how many were kept, the rest counted as lost."""
        kept = 0
        if self._announce():
            kept = self._write_lines(lines)
        if kept < len(lines):
            self._note_failure(len(lines) - kept, self._reason)
        else:
            self._is_failing = False
        return kept

    def _write_lines(self, lines: list[bytes]) -> int:
        """Write whole lines; return how many were kept. `_reason` says why not all."""
        kept, tries = 0, 0
        reason = "write took nothing"
        while kept < len(lines) and tries < _TRIES:
            fd = self._place.fd
            if fd is None:
                return kept
            mark = _MARK if self._is_torn else b""
            try:
                written = self._write(fd, mark + b"".join(lines[kept:])) - len(mark)
            except InterruptedError as error:
                reason, tries = error.strerror or "interrupted", tries + 1
                continue
            except OSError as error:
                # What was taken of the line, if anything, is a fragment; the mark ends it.
                self._is_torn = True
                reason = error.strerror or "write failed"
                break
            before = kept
            while kept < len(lines) and written >= len(lines[kept]):
                written -= len(lines[kept])
                kept += 1
            self._is_torn = kept < len(lines)
            tries = 0 if kept > before else tries + 1
        if kept < len(lines):
            self._reason = reason
        return kept

    def _put_own(self, type: str, data: dict[str, Any]) -> bool:
        """Write a housekeeping event; False if it could not be written."""
        # Counted before this one is, so that it also stands before it.
        self._announce()
        line = Line(*self._make_own(type, data), None)
        self._number(line)
        return self._put([line.whole]) == 1

    def _announce(self) -> bool:
        """Write what stands before all else of ours in a segment, if it does not; False if it cannot.

        `writer.open` with count 0 in the first, `segment.open` in each later one: so the first event
        of every segment tells its format. The same bytes again if that failed before.
        """
        place = self._place
        if place.fd is None:
            return False
        if self._announced_in == place.generation:
            return True
        if not self._announcement:
            is_first = not self._announced_in
            head, tail = self._make_own(
                "writer.open" if is_first else "segment.open", self._about()
            )
            n = 0 if is_first else self._n
            whole = b"%b%b%d%b" % (head, self._mark, n, tail)
            # As in `_number`: nothing in which an interrupt could come.
            if not is_first:
                self._n = n + 1
            self._announcement = whole
        if self._write_lines([self._announcement]) == 0:
            return False
        self._announced_in = place.generation
        self._announcement = b""
        return True

    def _fail(self, line: bytes, error: OSError) -> None:
        """Go on after a write that failed: once more if it was only interrupted, else count it."""
        if line and isinstance(error, InterruptedError):
            self._put([line])
            return
        self._is_torn = True
        self._note_failure(1, error.strerror or "write failed")

    def _note_failure(self, number: int, reason: str) -> None:
        self._note_lost(number, reason)
        if not self._is_failing:
            self._is_failing = True
            self._warn(reason)

    def _warn(self, reason: str) -> None:
        self._warnings.append(f"cannot record to {self.folder}: {reason}; counting what is lost")

    def _note_lost(self, number: int, reason: str) -> None:
        self.lost += number
        self._unreported += number
        self._reason = reason
        # The next line looks first whether all is well again, and then reports the gap.
        self._check_due_ns = 0

    def _check_if_due(self) -> None:
        if self._n >= self._check_due_n or not (
            self._checked_ns <= self._clock() < self._check_due_ns
        ):
            self._check()

    def _check(self) -> None:
        """Look whether this is still the segment to write to: once a second, and now and then."""
        now = self._clock()
        self._checked_ns = now
        # Until all is looked at, so that an interrupt in between does not count as having looked.
        self._check_due_ns = 0
        if self._is_closed:
            self._reason = "the log is closed"
            return
        place = self._place
        generation = place.generation
        due_ns = min(now + _NS_PER_S, (now // _NS_PER_DAY + 1) * _NS_PER_DAY)
        left = None
        try:
            if place.segment is None:
                place.check_starts(check_start)
            left = place.choose(format_time(now)[:10])
        except (OSError, StoreError, FormatError) as error:
            self._reason = str(getattr(error, "strerror", None) or error)
            # A present segment goes on in use: better there than nowhere.
            due_ns = 0 if place.fd is None else now + _NS_PER_RETRY
        self._check_due_n = self._n + _CHECK_EVERY
        self._check_due_ns = due_ns
        if place.generation != generation:
            self._is_torn = self._is_failing = False
        self._announce()
        if left is not None:
            self._put_own("segment.left", {"segment": str(left), "why": "it lost its name"})
        self._report_gap()

    def _report_gap(self) -> None:
        """Record how many events were lost, once writing works again."""
        number = self._unreported
        if not number or self._is_failing or self._place.fd is None:
            return
        if self._put_own("writer.gap", {"lost": number, "reason": self._reason}):
            self._unreported -= number

    def _prepare_sync(self, tickets: list[Ticket]) -> list[Opened]:
        """Have the tickets' lines in segments that can be synced; return what to sync."""
        place = self._place
        self._drain()
        if not self._is_closed:
            if place.is_bad(place.generation):
                self._move_on()
            elif place.has_lost_its_name():
                # About to promise, and nobody would find what is written here.
                self._check()
        if place.has_bad:
            self._write_again([ticket for ticket in tickets if place.is_bad(ticket.taken_by)])
        if place.is_volatile:
            raise VolatileDiskError(f"{self.folder} is on a disk that forgets at a power cut")
        return place.due()

    def _move_on(self) -> None:
        """Leave a segment whose sync failed; StoreError if there is no other."""
        # Interrupted in here there may be none: the next line looks.
        self._check_due_ns = 0
        try:
            left = self._place.leave()
        except OSError as error:
            raise self._unsynced(error) from error
        self._is_torn = self._is_failing = False
        self._put_own("segment.left", {"segment": str(left), "why": "its sync failed"})

    def _write_again(self, tickets: list[Ticket]) -> None:
        """Write lines whose segment could not be synced to the present one: same bytes, same counts.

        They stand in the old segment too, so what cannot be written again is not lost.
        """
        again = [ticket for ticket in tickets if ticket.error is None]
        kept = (
            self._write_lines([ticket.line for ticket in again])
            if again and self._announce()
            else 0
        )
        for at, ticket in enumerate(again):
            self._settle(ticket, ticket.line, at < kept)

    def _unsynced(self, problem: OSError | None) -> StoreError:
        reason = problem.strerror if problem is not None else "unknown"
        return StoreError(f"cannot sync the journal in {self.folder}: {reason}")

    def _close_now(self) -> None:
        if self._is_closed and (not self._unreported or not self._open_again()):
            return
        self._drain()
        if self._unreported:
            # The last chance to say so: try even if nothing worked a moment ago.
            self._is_failing = False
            self._check()
        if self._announced_in:
            self._put_own("writer.close", {"last": self._n, "lost": self.lost})
        due = self._place.due()
        try:
            # Somebody may be on the way to wait for lines that were written just now.
            self._place.sync(due)
        except OSError as error:
            self._warnings.append(f"cannot sync the journal in {self.folder}: {error.strerror}")
        self._is_closed = True
        self._check_due_ns = 0
        self._place.close()

    def _open_again(self) -> bool:
        """Go on after the end in a segment of its own, to say what came too late; False if none can be."""
        try:
            # Not where all was deleted meanwhile, as a test's folder may be.
            is_open = self.folder.is_dir() and self._place.leave() is not None
        except (OSError, StoreError):
            return False
        self._is_closed = not is_open
        return is_open

    # -- what follows does not ------------------------------------------------------------------

    def _alone(self, act: Callable[[], _Result]) -> _Result:
        """Do something with the lock, and so that what interrupts it only leaves its line."""
        with self._lock:
            self._is_busy = True
            try:
                return act()
            finally:
                self._is_busy = False

    def _combine(self) -> None:
        """See to it that queued lines are written: by us, or by who is writing now."""
        try:
            while self._queue and self._lock.acquire(False):
                try:
                    if self._is_busy:
                        return
                    self._alone(self._drain)
                finally:
                    self._lock.release()
                # Looked at again after the lock is free, so that no line is left behind.
            if len(self._queue) > QUEUE_MAX and not self._is_interrupting():
                self._alone(self._drain)
        except BaseException:
            self._let_go()
            raise
        while self._warnings and not self._is_interrupting():
            try:
                warning = self._warnings.pop(0)
            except IndexError:
                # Another thread told it between the two.
                return
            _logger.warning("%s", warning)

    def _is_interrupting(self) -> bool:
        """Whether this is a handler or finalizer that interrupts this very thread as it writes."""
        return self._is_busy and self._holds_lock()

    def _holds_lock(self) -> bool:
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]

    def _let_go(self) -> None:
        """Release the lock if an interrupt came after it was taken and before that was known."""
        while not self._is_busy and self._holds_lock():
            self._lock.release()


def _tail(salt: bytes, payload: bytes) -> bytes:
    return b',"salt":"%b","data":%b}\n' % (salt, payload)
