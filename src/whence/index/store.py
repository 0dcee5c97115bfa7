"""The index of one log: opens it, keeps it up to date, and answers, whatever befalls its file.

A file that is broken, changed, deleted or of another schema is built anew from the journal. A
folder that does not let us keep an index, or has no room for it, gets a private one for as long as
it is open: among the temporary files or, where there is no room either, in memory.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from whence.errors import StoreError
from whence.index.catchup import (
    Catcher,
    CaughtUp,
    JournalChangedError,
    Losses,
    Progress,
    check_journal,
    check_known_segments,
    keep_losses,
    make_index,
    read_state,
    settle_news,
)
from whence.index.database import (
    DATABASE_ERRORS,
    PATIENCE_S,
    BrokenError,
    RefusedError,
    check_stamp,
    find_file,
    open_database,
    open_in_memory,
    stamp_database,
    throw_away,
    translate,
)
from whence.index.lookup import Lookup
from whence.index.rows import Page, Place, Row
from whence.index.sql import Answer, Value, copy_to_read, open_to_read, run_sql
from whence.index.statistics import Statistic, statistics

if TYPE_CHECKING:
    import tempfile
from whence.journal.forks import watch_forks
from whence.journal.reader import Reader
from whence.query import Query

_SMALL_PAGE, _LARGE_PAGE = 1000, 5000
_TURN_MS = 250
_ATTEMPTS = 4

T = TypeVar("T")
R = TypeVar("R", Row, Place)

# A connection that came over a fork must not be closed by the child: kept, so that it never is.
_inherited: list[object] = []


class Problem(NamedTuple):
    """A place in the journal that could not be read as an event."""

    segment: str
    offset: int
    length: int
    problem: str


class Witness(NamedTuple):
    """How much of a segment the index has read: bytes, and events met there for the first time."""

    consumed: int
    events: int


class Writer(NamedTuple):
    """One writer as its lines tell: when it opened, spoke last (ns), and whether it closed."""

    name: str
    opened: int | None
    last: int
    is_closed: bool
    lost: int


class Index:
    """Look-ups over one journal. Threads may share it; a forked child reopens it by itself.

    What it answers is as of the last `catch_up`. The `seq` of its rows hold until the next one.
    """

    def __init__(self, folder: Path, reader: Reader) -> None:
        self.folder = folder
        self._reader = reader
        # The lock guards all below.
        self._lock = threading.RLock()
        # A child that is forked while SQLite is at work here could never use it.
        watch_forks(self, self._lock)
        self._private: tempfile.TemporaryDirectory[str] | None = None
        self._is_in_memory = False
        self._refusal = ""
        self._losses: Losses = {}
        self._db: sqlite3.Connection | None = None
        self._open()

    @classmethod
    def open(cls, folder: Path, reader: Reader) -> "Index":
        """Open the index of the log in `folder`, an empty one if there is none yet."""
        return cls(folder, reader)

    def after_fork(self) -> None:
        """Begin anew in a forked child: whoever asked in the parent does not exist here."""
        self._lock = threading.RLock()
        watch_forks(self, self._lock)

    @property
    def is_private(self) -> bool:
        """Whether this index is for this process alone, because the folder would not take it."""
        return self._private is not None or self._is_in_memory

    @property
    def refusal(self) -> str:
        """Why the folder would not take this index; empty where it did."""
        return self._refusal if self.is_private else ""

    @property
    def path(self) -> Path:
        """The file that holds the index now; `:memory:` where none does."""
        return self._path

    def close(self) -> None:
        """Close the file in good order. Closing twice is fine."""
        with self._lock:
            if self._db is None:
                return
            try:
                if os.getpid() == self._pid and not self._is_in_memory:
                    stamp_database(self._db, self._path)
            except (sqlite3.Error, OSError):
                # An unstamped file is no harm: it is trusted as it is.
                pass
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        for _ in range(_ATTEMPTS):
            home = self._home()
            try:
                if self._is_in_memory:
                    self._db, self._path = open_in_memory(), Path(":memory:")
                else:
                    self._db, self._path = open_database(home)
            except BrokenError:
                self._discard(home)
                continue
            except RefusedError as error:
                self._go_private(error)
                continue
            self._pid = os.getpid()
            self._lookup = Lookup(self._db, self._reader)
            self._has_checked = False
            return
        raise StoreError(f"cannot open an index in {self.folder}")

    def _discard(self, home: Path) -> None:
        try:
            path = find_file(home)
            if path is not None:
                throw_away(home, path)
        except RefusedError as error:
            self._go_private(error)

    def _go_private(self, refusal: RefusedError) -> None:
        if self._private is not None:
            # There was no room for it either.
            self._is_in_memory = True
            return
        self._refusal = str(refusal)
        # Rare, and dear to load.
        import tempfile

        try:
            self._private = tempfile.TemporaryDirectory(prefix="whence-index-")
        except OSError:
            self._is_in_memory = True

    def _drop(self) -> None:
        if self._db is not None:
            if os.getpid() == self._pid:
                self._db.close()
            else:
                _inherited.append((self._db, self._private))
                self._private = None
        self._db = None
        if self._private is not None:
            self._private.cleanup()
        self._private = None
        self._is_in_memory = False

    def _home(self) -> Path:
        return self.folder if self._private is None else Path(self._private.name)

    def _renew(self) -> None:
        """Throw the file away and begin an empty one."""
        losses = self._losses
        if self._db is not None:
            try:
                stored = self._db.execute("SELECT name, size, kept FROM gone").fetchall()
                losses = _merged({name: (had, kept) for name, had, kept in stored}, losses)
            except sqlite3.Error:
                # What the broken file knew of lost segments is lost with it.
                pass
            self._db.close()
            self._db = None
        if not self._is_in_memory:
            self._discard(self._home())
        self._open()
        self._losses = losses

    def _mend(self, problem: Exception) -> None:
        """Put another index in the place of one that failed, where that helps; StoreError where not."""
        if isinstance(problem, RefusedError):
            if self._db is not None:
                self._db.close()
                self._db = None
            self._go_private(problem)
        elif isinstance(problem, BrokenError | JournalChangedError):
            self._renew()
        else:
            raise StoreError(str(problem)) from problem

    def _connection(self) -> sqlite3.Connection:
        """The connection, opened again after a fork or a `close`."""
        if self._db is not None and os.getpid() != self._pid:
            self._drop()
        if self._db is None:
            self._open()
        assert self._db is not None
        return self._db

    def ask(self, answer: Callable[[Lookup], T], *, by_seq: bool = False) -> T:
        """Answer from one state of the index; a broken file costs a rebuild, not the answer.

        `answer` may be called again. Only an answer about rows named `by_seq` cannot be given
        after a rebuild: their numbers are new.
        """
        with self._lock:
            problem: Exception = StoreError("not tried")
            for _ in range(_ATTEMPTS):
                db = self._connection()
                try:
                    db.execute("BEGIN")
                    try:
                        self._lookup.refresh()
                        return answer(self._lookup)
                    finally:
                        db.rollback()
                except sqlite3.ProgrammingError:
                    raise
                except DATABASE_ERRORS as error:
                    problem = translate(error)
                except BrokenError as error:
                    problem = error
                self._mend(problem)
                self.catch_up()
                if by_seq:
                    raise StoreError("the index was built anew while it was read: ask again")
            raise StoreError(f"cannot ask the index of {self.folder}: {problem}")

    def catch_up(self, progress: Progress | None = None) -> CaughtUp:
        """Take in what the journal holds now; `progress` hears of bytes done and bytes in all.

        Waits while another process does the same, as long as that one moves on.
        """
        with self._lock:
            problem: Exception = StoreError("not tried")
            for _ in range(_ATTEMPTS):
                db = self._connection()
                try:
                    return self._catch_up(db, progress or _no_progress)
                except JournalChangedError as error:
                    self._losses = self._losses | error.losses
                    problem = error
                except BrokenError as error:
                    problem = error
                except DATABASE_ERRORS as error:
                    problem = translate(error)
                self._mend(problem)
            raise StoreError(f"cannot build an index of {self.folder}: {problem}")

    def _catch_up(self, db: sqlite3.Connection, progress: Progress) -> CaughtUp:
        if not self._is_in_memory:
            if find_file(self._home()) != self._path:
                # Deleted, or built anew by another process: go on with the one that counts.
                db.close()
                self._db = None
                db = self._connection()
            check_stamp(db, self._path)
        behind = self._behind(db)
        if not self._has_checked:
            # Once, since it reads a little of every segment; those that grow are looked at again.
            check_known_segments(db, self._reader)
            self._has_checked = True
        state = read_state(db)
        if not behind and "indexed" in state and "unsettled" not in state and not self._losses:
            return CaughtUp(0, 0)
        self._lookup.forget()
        events = fragments = 0
        catcher = Catcher(db, self._reader)
        steps: list[Callable[[], bool]] = []

        def window() -> bool:
            nonlocal events, fragments
            found = catcher.run_window()
            events += found.events
            fragments += found.fragments
            return found.is_last

        steps = [window, lambda: make_index(db), lambda: settle_news(db)]
        for step in steps:
            while True:
                if not self._begin(db):
                    return CaughtUp(events, fragments, max(self._behind(db), 1))
                try:
                    done = step()
                    keep_losses(db, self._losses)
                    db.execute("COMMIT")
                except BaseException:
                    db.rollback()
                    raise
                progress(behind - min(behind, self._behind(db)), behind)
                if done:
                    break
        losses, self._losses = len(self._losses), {}
        return CaughtUp(events, fragments, losses=losses)

    def _behind(self, db: sqlite3.Connection) -> int:
        return check_journal(db, dict(self._reader.segments()))

    def _begin(self, db: sqlite3.Connection) -> bool:
        """Become the one who writes; False if another process is, and does not move on."""
        db.execute(f"PRAGMA busy_timeout = {_TURN_MS}")
        try:
            deadline, seen = time.monotonic() + PATIENCE_S, -1
            while time.monotonic() < deadline:
                try:
                    db.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                        raise
                    now = read_state(db).get("windows", 0)
                    if now != seen:
                        deadline, seen = time.monotonic() + PATIENCE_S, now
                else:
                    return True
            return False
        finally:
            db.execute(f"PRAGMA busy_timeout = {int(PATIENCE_S * 1000)}")

    def find(
        self,
        query: Query,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> Iterator[Row]:
        """Give the events that match by (time, seq), from `after` that of an earlier row.

        Reads page by page, so the caller may stop early, and may take its time.
        """
        return self._pages(Lookup.page, query, newest_first, limit, after)

    def places(
        self, query: Query, *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[Place]:
        """As `find`, for those who want no more than to read the events."""
        return self._pages(Lookup.places, query, newest_first, limit)

    def _pages(
        self,
        read: Callable[[Lookup, Query, Page], list[R]],
        query: Query,
        newest_first: bool,
        limit: int | None,
        after: tuple[int, int] | None = None,
    ) -> Iterator[R]:
        size, started = _SMALL_PAGE, False
        while limit is None or limit > 0:
            wanted = Page(newest_first, size if limit is None else min(size, limit), after)
            found = self.ask(lambda lookup: read(lookup, query, wanted), by_seq=started)  # noqa: B023 asked at once
            yield from found
            if len(found) < wanted.size:
                return
            after, started, size = (found[-1].time, found[-1].seq), True, _LARGE_PAGE
            limit = None if limit is None else limit - len(found)

    def by_id(self, event_id: str) -> Row | None:
        """The event of that id; None if there is none."""
        return self.ask(lambda lookup: lookup.by_id(event_id))

    def by_prefix(self, text: str, limit: int = 20) -> list[Row]:
        """The first `limit` events whose id begins like that, by time."""
        return self.ask(lambda lookup: lookup.by_prefix(text, limit))

    def by_suffix(self, text: str, limit: int = 20) -> list[Row]:
        """At most `limit` events whose id ends like that, the latest read first.

        Reads the whole table: a tenth of a second for a million events.
        """
        return self.ask(lambda lookup: lookup.by_suffix(text, limit))

    def rows(self, seqs: Iterable[int]) -> list[Row]:
        """The rows of these numbers by (time, seq); numbers that there are none of are left out."""
        given = list(seqs)
        return self.ask(lambda lookup: lookup.rows(given), by_seq=True)

    def children(self, seqs: Iterable[int]) -> list[Row]:
        """What these events caused directly, as parents or through links."""
        given = list(seqs)
        return self.ask(lambda lookup: lookup.children(given), by_seq=True)

    def descendants(self, seqs: Iterable[int], limit: int) -> list[Row]:
        """All that these events caused, directly or not: the nearest `limit` of them."""
        given = list(seqs)
        return self.ask(lambda lookup: lookup.descendants(given, limit), by_seq=True)

    def ancestors(self, seq: int) -> list[Row]:
        """The chain of parents, nearest first; stops at a circle."""
        return self.ask(lambda lookup: lookup.ancestors(seq), by_seq=True)

    def links(self, seqs: Iterable[int]) -> list[tuple[int, int]]:
        """Pairs (cause, effect) of the links that lead to or from these events."""
        given = list(seqs)
        return self.ask(lambda lookup: lookup.links(given), by_seq=True)

    def missing_parent(self, seqs: Iterable[int]) -> dict[int, str]:
        """By event: the id of its parent, where no line holds that."""
        given = list(seqs)
        return self.ask(lambda lookup: lookup.missing_parents(given), by_seq=True)

    def agents(self) -> list[str]:
        """All agents that any event names, in order."""
        return self.ask(lambda lookup: lookup.names("agents"))

    def targets(self) -> list[str]:
        """All targets that any event names, in order."""
        return self.ask(lambda lookup: lookup.names("targets"))

    def has_agent(self, name: str) -> bool:
        """Whether any event names that agent."""
        return self.ask(lambda lookup: lookup.number_of("agents", name)) is not None

    def has_target(self, name: str) -> bool:
        """Whether any event names that target."""
        return self.ask(lambda lookup: lookup.number_of("targets", name)) is not None

    def statistics(self, query: Query) -> list[Statistic]:
        """Count what matches, per primitive and type, in their order."""
        return self.ask(lambda lookup: statistics(lookup, query))

    def problems(self) -> list[Problem]:
        """The places of the journal that could not be read, and the segments that went missing."""
        return self.ask(lambda lookup: [Problem(*found) for found in lookup.problems()])

    def witnesses(self) -> dict[str, Witness]:
        """By segment: how much of it was read, as against what it holds now."""
        return self.ask(
            lambda lookup: {name: Witness(*found) for name, *found in lookup.segments()}
        )

    def consumed(self) -> dict[str, int]:
        """By segment: how many bytes of it were read, and judged."""
        return self.ask(lambda lookup: lookup.consumed())

    def losses(self) -> list[Problem]:
        """The segments that are gone, or shorter than what was once read of them."""
        return self.ask(lambda lookup: [Problem(*found) for found in lookup.losses()])

    def writers(self) -> list[Writer]:
        """All writers, by when they were last heard of."""
        return self.ask(lambda lookup: [Writer(*found) for found in lookup.writers()])

    def lost(self) -> dict[str, int]:
        """By writer: how many of its events no line holds, writers without a hole left out."""
        return {writer.name: writer.lost for writer in self.writers() if writer.lost}

    def sql(
        self,
        statement: str,
        params: Sequence[Value] = (),
        note: Callable[[str], None] = lambda _: None,
    ) -> Answer:
        """Run one reading statement over `events` and the tables; return column names and rows.

        `note` hears of payloads that cannot be read, which are NULL then.

        Raises `ValueError` for a statement that does not parse, or that does more than read.
        """
        with self._lock:
            problem: Exception = StoreError("not tried")
            for _ in range(_ATTEMPTS):
                db = self._connection()
                try:
                    opened = copy_to_read(db) if self._is_in_memory else open_to_read(self._path)
                    names, rows = run_sql(opened, self._reader, statement, params, note)
                    return names, self._watched(rows, self._path)
                except (BrokenError, RefusedError) as error:
                    problem = error
                self._mend(problem)
                self.catch_up()
            raise StoreError(f"cannot ask the index of {self.folder}: {problem}")

    def _watched(self, rows: Iterator[tuple[Any, ...]], path: Path) -> Iterator[tuple[Any, ...]]:
        """Give the rows of the index at `path`; if that fails now, the next one to ask has another."""
        try:
            yield from rows
        except (BrokenError, RefusedError) as error:
            with self._lock:
                if self._path == path:
                    self._mend(error)
            raise StoreError(f"the index failed while it was read, ask again: {error}") from error


def _merged(before: Losses, now: Losses) -> Losses:
    """What was lost in all: from the most that a segment held to what it holds now."""
    both = {name: max(before[name][0], now[name][0]) for name in before.keys() & now.keys()}
    return before | now | {name: (had, now[name][1]) for name, had in both.items()}


def _no_progress(_done: int, _total: int) -> None:
    """Stands for a listener where there is none."""
