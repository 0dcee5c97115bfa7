"""Appends lines to the journal for one process.

No lock is shared with other processes: every write is whole lines to an `O_APPEND` descriptor, so
a stopped or dead process never blocks another. Within the process a caller either writes its own
line or, while another thread is writing, leaves it on a bounded queue for that thread to write.

Counts are given out under the lock, in the order of writing, so a writer's lines stand in the
order of their counts, and a count that is missing is an event that was lost.
"""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from whence.errors import StoreError
from whence.event import format_time
from whence.journal.disk import Disk
from whence.journal.folder import (
    SegmentName,
    check_file_system,
    journal_folder,
    segment_names,
    segment_path,
)
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


class Layout(NamedTuple):
    """How a journal's files are made: segment size and who may read them."""

    segment_bytes: int = 256 * 1024 * 1024
    folder_mode: int = 0o700
    file_mode: int = 0o600
    group: int | None = None


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


class Writer:
    """Owns this process's place at the end of one journal. Safe for any number of threads.

    Opens nothing before the first line. In a forked child make a new one: `abandon` this one first.
    """

    # More attributes than an instance dict shares its keys for: slots are what keeps them quick.
    __slots__ = (
        "_about",
        "_announcement",
        "_async",
        "_bad",
        "_check_due_n",
        "_check_due_ns",
        "_checked_ns",
        "_clock",
        "_disk",
        "_fd",
        "_folder_synced",
        "_generation",
        "_group",
        "_is_announced",
        "_is_busy",
        "_is_closed",
        "_is_failing",
        "_is_torn",
        "_is_volatile",
        "_layout",
        "_lock",
        "_make_own",
        "_mark",
        "_n",
        "_promises_disk",
        "_queue",
        "_reason",
        "_retired",
        "_segment",
        "_unreported",
        "_write",
        "folder",
        "lost",
        "name",
    )

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
        self._layout = layout
        self._disk = disk or Disk()
        self._about = about
        self._write = self._disk.write
        # Lines returned but not written. Appended to by anyone, shortened under the lock.
        self._queue: list[Line] = []
        # The lock guards all fields below. It is re-entrant so that a signal handler or finalizer
        # that interrupts its holder can tell so by `_is_busy` and leave its line on the queue.
        self._lock = threading.RLock()
        self._is_busy = False
        self._is_closed = False
        self._fd: int | None = None
        self._segment: SegmentName | None = None
        self._mark = f',"w":"{name}","n":'.encode()
        # Count 0 belongs to `writer.open`, which is written with the first segment.
        self._n = 1
        self._announcement = b""
        self._is_announced = False
        self._is_torn = False
        # When to look again whether this is still the segment to write to: by time and by count.
        self._checked_ns = 0
        self._check_due_ns = 0
        self._check_due_n = 0
        self._unreported = 0
        self._reason = ""
        self._is_failing = False
        self._is_volatile = False
        # Which opening of a segment took a line; those whose sync failed; what is left to sync.
        self._generation = 0
        self._bad: set[int] = set()
        self._retired: list[tuple[int, int]] = []
        self._promises_disk = False
        self._folder_synced = -1
        self._group = GroupSync(self)
        self._async = AsyncSync(self._group)

    def append(self, head: bytes, salt: bytes, payload: bytes, time_ns: int) -> None:
        """Hand one line to the operating system, or to the thread that is writing just now.

        `head` is the envelope up to the writer's part. Never raises for what the world refuses:
        the line is then counted as lost and shows as a gap.
        """
        queue = self._queue
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
                            self._check()
                            n = self._n
                        self._n = n + 1
                        line = b'%b%b%d,"salt":"%b","data":%b}\n' % (
                            head, self._mark, n, salt, payload,
                        )  # fmt: skip
                        if self._fd is None or self._is_torn:
                            self._put([line])
                            self._report_gap()
                        else:
                            written = self._write(self._fd, line)
                            if written != len(line):
                                self._finish(line)
                    except OSError as error:
                        self._is_torn = True
                        self._note_failure(1, error.strerror or "write failed")
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
        if queue:
            self._combine()

    def append_made(self, head: bytes, tail: bytes) -> None:
        """As `append`, for a line whose part after the writer's is made already."""
        self._queue.append(Line(head, tail, None))
        self._combine()

    def append_waiting(self, head: bytes, tail: bytes) -> None:
        """As `append`, and return only when the line has left this process."""
        self._queue.append(Line(head, tail, None))
        with self._lock:
            if not self._is_busy:
                self._drain()

    def append_durable(self, head: bytes, tail: bytes) -> None:
        """Return when the line survives a power cut; StoreError when that cannot be promised."""
        ticket = Ticket()
        self._queue_durable(head, tail, ticket)
        self._group.wait(ticket)

    def ask_durable(
        self, head: bytes, tail: bytes, ticket: Ticket, tell: Callable[[list[Ticket]], None]
    ) -> None:
        """As `append_durable` for event loops: returns at once, `tell` gets the ticket when done."""
        self._queue_durable(head, tail, ticket)
        self._async.ask(ticket, tell)

    def lose(self, reason: str) -> None:
        """Count an event that could not be made into a line, so that it shows as a gap."""
        with self._lock:
            self._n += 1
            self._note_lost(1, reason)

    def close(self) -> None:
        """Write what is queued and `writer.close`, and give everything back. May be called twice."""
        self._async.close()
        with self._group.stopped(), self._lock:
            if self._is_closed:
                return
            self._drain()
            if self._is_announced:
                self._put_own("writer.close", {"last": self._n, "lost": self.lost})
            self._is_closed = True
            self._check_due_ns = 0
            self._close_files()

    def abandon(self) -> None:
        """Give descriptors back in a forked child, without a word and without any lock."""
        self._is_closed = True
        self._queue = []
        self._close_files()

    def sync_written(self, tickets: list[Ticket]) -> None:
        """Make the tickets' lines durable, in a new segment if a sync fails. See `Syncable`."""
        problem: OSError | None = None
        for _ in range(2):
            with self._lock:
                self._drain()
                self._write_again([t for t in tickets if t.taken_by in self._bad])
                if self._is_volatile:
                    raise StoreError(f"{self.folder} is on a disk that forgets at a power cut")
                generation, fd = self._generation, self._fd
                files, self._retired = self._retired, []
            if fd is not None:
                files.append((generation, fd))
            try:
                problem = self._sync_files(files, generation)
                if problem is None:
                    return self._sync_folder(generation)
            except OSError as error:
                problem = error
            with self._lock:
                if self._generation == generation:
                    self._move_on("its sync failed", problem)
        reason = problem.strerror if problem is not None else "unknown"
        raise StoreError(f"cannot sync the journal in {self.folder}: {reason}") from problem

    # -- what follows holds the lock ------------------------------------------------------------

    def _finish(self, line: bytes) -> None:
        """Write a line again of which the system took a part."""
        self._is_torn = True
        self._put([line])

    def _drain(self) -> None:
        """Write all that is queued. Lines leave the queue only when their write has returned."""
        if self._is_busy:
            return
        self._is_busy = True
        try:
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
        finally:
            self._is_busy = False

    def _number(self, line: Line) -> None:
        n = self._n
        whole = b"%b%b%d%b" % (line.head, self._mark, n, line.tail)
        # No call stands between these two, so no interrupt can come between them either.
        self._n = n + 1
        line.whole = whole

    def _settle(self, ticket: Ticket, whole: bytes, is_kept: bool) -> None:
        ticket.line = whole
        ticket.taken_by = self._generation
        if not is_kept:
            ticket.error = StoreError(f"cannot write to {self.folder}: {self._reason}")

    def _put(self, lines: list[bytes]) -> int:
        """Write whole lines; return how many were kept, the rest counted as lost."""
        kept, tries, reason = 0, 0, "write took nothing"
        while kept < len(lines) and tries < _TRIES:
            mark = _MARK if self._is_torn else b""
            try:
                if self._fd is None:
                    raise OSError(0, self._reason or "no segment is open")
                written = self._write(self._fd, mark + b"".join(lines[kept:])) - len(mark)
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
            self._note_failure(len(lines) - kept, reason)
        else:
            self._is_failing = False
        return kept

    def _put_own(self, type: str, data: dict[str, Any]) -> bool:
        """Write a housekeeping event; False if it could not be written."""
        line = Line(*self._make_own(type, data), None)
        self._number(line)
        return self._put([line.whole]) == 1

    def _announce(self) -> None:
        """Write `writer.open` with count 0, the same bytes again if that failed before."""
        if not self._announcement:
            head, tail = self._make_own("writer.open", self._about())
            self._announcement = b"%b%b0%b" % (head, self._mark, tail)
        lost = self.lost, self._unreported
        self._is_announced = self._put([self._announcement]) == 1
        self.lost, self._unreported = lost

    def _note_lost(self, number: int, reason: str) -> None:
        self.lost += number
        self._unreported += number
        self._reason = reason
        # The next line looks first whether all is well again, and then reports the gap.
        self._check_due_ns = 0

    def _note_failure(self, number: int, reason: str) -> None:
        self._note_lost(number, reason)
        if not self._is_failing:
            self._is_failing = True
            _logger.warning("cannot record to %s: %s; counting what is lost", self.folder, reason)

    def _check_if_due(self) -> None:
        if self._n >= self._check_due_n or not (
            self._checked_ns <= self._clock() < self._check_due_ns
        ):
            self._check()

    def _check(self) -> None:
        """Look whether this is still the segment to write to: once a second, and now and then."""
        now = self._clock()
        self._checked_ns = now
        self._check_due_ns = min(now + _NS_PER_S, (now // _NS_PER_DAY + 1) * _NS_PER_DAY)
        self._check_due_n = self._n + _CHECK_EVERY
        if self._is_closed:
            return self._refuse("the log is closed")
        try:
            self._choose_segment(format_time(now)[:10])
        except (OSError, StoreError) as error:
            self._refuse(str(getattr(error, "strerror", None) or error))
        if self._fd is not None and not self._is_announced:
            self._announce()
        self._report_gap()

    def _refuse(self, reason: str) -> None:
        if self._fd is None:
            self._reason = reason
            self._check_due_ns = 0
        else:
            # The present segment goes on in use: better there than nowhere.
            self._check_due_ns = self._checked_ns + _NS_PER_RETRY

    def _report_gap(self) -> None:
        """Record how many events were lost, once writing works again."""
        number = self._unreported
        if not number or self._is_failing or self._fd is None:
            return
        if self._put_own("writer.gap", {"lost": number, "reason": self._reason}):
            self._unreported -= number

    def _choose_segment(self, day: str) -> None:
        current = self._segment
        if self._fd is None or current is None:
            return self._open_segment(self._latest(day))
        try:
            at_path = self._disk.stat(segment_path(self.folder, str(current)))
        except FileNotFoundError:
            at_path = None
        mine = self._disk.fstat(self._fd)
        if at_path is None or (at_path.st_ino, at_path.st_dev) != (mine.st_ino, mine.st_dev):
            self._move_on("it lost its name", None)
        elif day != current.day or mine.st_size >= self._layout.segment_bytes:
            self._open_segment(self._latest(day))

    def _latest(self, day: str) -> SegmentName:
        """The day's newest segment that has room, or the name of the next one."""
        root = journal_folder(self.folder)
        try:
            names = [name for name in segment_names(self._disk.names(root)) if name.day == day]
        except FileNotFoundError:
            names = []
        if not names:
            return SegmentName(day, 0)
        newest = names[-1]
        size = self._disk.stat(segment_path(self.folder, str(newest))).st_size
        return newest if size < self._layout.segment_bytes else newest.next_number()

    def _move_on(self, why: str, problem: OSError | None) -> None:
        """Leave a segment that can no longer be trusted for one with a name never used before."""
        left = self._segment
        if left is None:
            return
        try:
            self._open_segment(max(left, self._latest(left.day)).next_number())
        except (OSError, StoreError) as error:
            self._refuse(str(getattr(error, "strerror", None) or error))
            return
        reason = problem.strerror if problem is not None else None
        self._put_own("segment.left", {"segment": str(left), "why": why, "reason": reason})

    def _open_segment(self, name: SegmentName) -> None:
        layout, disk, root = self._layout, self._disk, journal_folder(self.folder)
        for folder in (self.folder, root):
            if disk.make_folder(folder, layout.folder_mode):
                self._share(os.chown, folder)
                disk.sync_folder(folder.parent)
        self._is_volatile = check_file_system(root).is_volatile
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        path = segment_path(self.folder, str(name))
        fd = disk.open(path, flags, layout.file_mode)
        self._share(os.chown, path)
        self._retire()
        self._fd, self._segment = fd, name
        self._generation += 1
        self._is_torn = False

    def _share(self, change_owner: Callable[[Path, int, int], None], path: Path) -> None:
        if self._layout.group is None:
            return
        try:
            change_owner(path, -1, self._layout.group)
            os.chmod(path, self._layout.folder_mode if path.is_dir() else self._layout.file_mode)
        except OSError as error:
            _logger.warning("cannot give %s to its group: %s", path, error.strerror)

    def _retire(self) -> None:
        if self._fd is None:
            return
        if self._promises_disk:
            # Somebody may be waiting for lines in it: the next sync covers it and closes it.
            self._retired.append((self._generation, self._fd))
        else:
            self._disk.close(self._fd)
        self._fd = None

    def _write_again(self, tickets: list[Ticket]) -> None:
        """Write lines whose segment could not be synced to the present one: same bytes, same counts."""
        again = [ticket for ticket in tickets if ticket.error is None]
        if not again:
            return
        lost = self.lost, self._unreported
        kept = self._put([ticket.line for ticket in again])
        # They stand in the old segment too, so they are not lost, only not durable.
        self.lost, self._unreported = lost
        for at, ticket in enumerate(again):
            self._settle(ticket, ticket.line, at < kept)

    def _close_files(self) -> None:
        for _, fd in self._retired:
            self._disk.close(fd)
        self._retired = []
        if self._fd is not None:
            self._disk.close(self._fd)
        self._fd = None

    # -- what follows does not ------------------------------------------------------------------

    def _combine(self) -> None:
        """See to it that queued lines are written: by us, or by who is writing now."""
        while self._queue and self._lock.acquire(False):
            try:
                if self._is_busy:
                    return
                self._drain()
            finally:
                self._lock.release()
            # Looked at again after the lock is free, so that no line is left behind.
        if len(self._queue) > QUEUE_MAX:
            with self._lock:
                self._drain()

    def _queue_durable(self, head: bytes, tail: bytes, ticket: Ticket) -> None:
        self._promises_disk = True
        self._queue.append(Line(head, tail, ticket))

    def _sync_files(self, files: list[tuple[int, int]], current: int) -> OSError | None:
        problem: OSError | None = None
        for generation, fd in files:
            try:
                self._disk.sync(fd)
            except OSError as error:
                # Never tried again on this descriptor: the kernel forgets what it could not write.
                self._bad.add(generation)
                problem = error
            finally:
                if generation != current:
                    self._disk.close(fd)
        return problem

    def _sync_folder(self, generation: int) -> None:
        if self._folder_synced != generation:
            self._disk.sync_folder(journal_folder(self.folder))
            self._folder_synced = generation


def _tail(salt: bytes, payload: bytes) -> bytes:
    return b',"salt":"%b","data":%b}\n' % (salt, payload)
