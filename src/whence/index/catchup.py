"""Brings the index up to what the journal holds now.

The work goes in windows, each one transaction: entries, names, roll-ups, what was seen of each
writer and how far each segment is read are stored together, so a catch-up that is killed goes on
where its last window ended. Whoever holds the transaction is the one catcher; another process
that gets its turn in between notices by the number of windows stored, and reads on from there.

In the first load the indexes by time, target, agent, parent and root are made at its end.
"""

import gc
import json
import sqlite3
import struct
from collections.abc import Callable, Iterator
from itertools import chain, compress, islice
from typing import NamedTuple

from whence.errors import CorruptError
from whence.event import OWN
from whence.index.family import Family, settle
from whence.index.names import KindNumbers, Numbers
from whence.index.rollups import Tally
from whence.index.schema import INDEXES, INT_MAX, INT_MIN, split_id
from whence.journal.reader import (
    Piece,
    Reader,
    Segment,
    check_event_format,
    decode_pieces,
    line_offsets,
)
from whence.journal.seen import Seen
from whence.line import Block, block_of, decode_lines

WINDOW_EVENTS = 150_000
# Few enough that a batch, column by column, stays in the processor's cache: in megabytes it takes
# a quarter longer.
_BATCH_BYTES = 64 * 1024

# Rows that go in by one statement: most of what a row costs by itself is the statement.
_ROWS = 20
_ROW = "(?,?,?,?,?,?,?,?,?,?,?)"
_INSERT = f"INSERT INTO entries VALUES {_ROW}"
_INSERT_ROWS = f"INSERT INTO entries VALUES {','.join([_ROW] * _ROWS)}"

# What `CREATE INDEX` sorts in one go has to stay in the processor's cache: with more it takes twice
# as long. So it sorts pieces of this size, which it keeps in a temporary file.
_SORT_KIB = 2_000
_SORT_EVENTS_MIN = 100_000

Progress = Callable[[int, int], None]


class CaughtUp(NamedTuple):
    """What a catch-up found: new events, new fragments, and bytes that it left unread.

    `behind` is more than 0 only where another process was catching up and did not move on. `losses`
    counts the segments that were found gone or cut.
    """

    events: int
    fragments: int
    behind: int = 0
    losses: int = 0


class Window(NamedTuple):
    """What one window brought: new events, new fragments, and whether nothing is left to read."""

    events: int
    fragments: int
    is_last: bool


Losses = dict[str, tuple[int, int | None]]
"""By segment that was read: how many bytes it had then, and has now; None if it is gone."""


class JournalChangedError(Exception):
    """The journal is not the one that the index was made from; `losses` is what it lost."""

    def __init__(self, reason: str, losses: Losses) -> None:
        super().__init__(reason)
        self.losses = losses


_rests = struct.Struct(">6x10s").iter_unpack


class _Writer:
    """What is known of one writer: the counts seen, and when it opened, spoke last and closed."""

    def __init__(self, seen: Seen, opened: int | None, last: int, closed: bool) -> None:
        self.seen, self.opened, self.last, self.closed = seen, opened, last, closed


class _Writers(dict[str, _Writer]):
    """Remembers writers by name, as stored if they were met in an earlier catch-up."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__()
        self._execute = db.execute

    def __missing__(self, name: str) -> _Writer:
        find = "SELECT ranges, opened, last, closed FROM writers WHERE name = ?"
        row = self._execute(find, (name,)).fetchone()
        writer = self[name] = (
            _Writer(Seen(), None, INT_MIN, closed=False)
            if row is None
            else _Writer(Seen.load({name: json.loads(row[0])}), row[1], row[2], bool(row[3]))
        )
        return writer


class _Adders(dict[str, Callable[[str, int], bool]]):
    """By writer: what notes a count and tells if it is new. Holds those met in this window."""

    def __init__(self, writers: _Writers) -> None:
        super().__init__()
        self._writers = writers

    def __missing__(self, name: str) -> Callable[[str, int], bool]:
        add = self[name] = self._writers[name].seen.add
        return add


class Catcher:
    """One catch-up: remembers between windows what would be dear to look up again."""

    def __init__(self, db: sqlite3.Connection, reader: Reader) -> None:
        self._db = db
        self._reader = reader
        self._windows_stored = -1
        self._batches: Iterator[tuple[int, int, list[bytes]]] = iter(())

    def run_window(self) -> Window:
        """Take in one window, inside the caller's transaction."""
        # A window makes millions of plain values and no cycles: looking for some takes a fifteenth
        # of the time.
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            return self._run_window()
        finally:
            if was_collecting:
                gc.enable()

    def _run_window(self) -> Window:
        state = read_state(self._db)
        if state.get("windows", 0) != self._windows_stored:
            self._start_over(state)
        events = fragments = 0
        is_last = True
        # By number of the segment.
        consumed: dict[int, int] = {}
        for number, start, lines in self._batches:
            new, broken = self._take(number, start, lines)
            events += new
            fragments += broken
            consumed[number] = _end_of(start, lines)
            if events >= WINDOW_EVENTS:
                is_last = False
                break
        if consumed:
            self._store_window(state, consumed)
        return Window(events, fragments, is_last)

    def _start_over(self, state: dict[str, int]) -> None:
        db = self._db
        last = _last_seq(db)
        self._next = self._window_first = last + 1
        self._family = Family(db, last + 1, has_indexes="indexed" in state)
        self._kinds = KindNumbers(db)
        self._agents = Numbers(db, "agents")
        self._targets = Numbers(db, "targets")
        self._writers = _Writers(db)
        self._adders = _Adders(self._writers)
        self._tally = Tally()
        self._batches = self._read_batches()

    def _read_batches(self) -> Iterator[tuple[int, int, list[bytes]]]:
        """Give the lines not read yet: the number of their segment, where they start, and they."""
        for segment, number, start in find_news(self._db, self._reader):
            step = _BATCH_BYTES
            while start < segment.size:
                end = min(start + step, segment.size)
                before = start
                for offset, lines in self._reader.scan_lines(segment.name, start, end):
                    start = _end_of(offset, lines)
                    yield number, offset, lines
                if start > before:
                    step = _BATCH_BYTES
                elif end < segment.size:
                    # A line longer than that.
                    step *= 4
                else:
                    # The last line is still being written.
                    break

    def _take(self, segment: int, start: int, lines: list[bytes]) -> tuple[int, int]:
        """Store what lines hold; return how many events were new, and how many fragments."""
        fragments = 0
        block = decode_lines(lines)
        if block is not None:
            offsets = line_offsets(start, lines)
        else:
            pieces = decode_pieces(start, lines)
            fragments = self._keep_fragments(segment, pieces)
            offsets = [offset for offset, _, event, _ in pieces if event is not None]
            events = [event for _, _, event, _ in pieces if event is not None]
            if not events:
                return 0, fragments
            block = block_of(events)
        adders = self._adders
        news = [adders[w](w, n) for w, n in zip(block.columns.w, block.columns.n, strict=True)]
        if not all(news):
            offsets = list(compress(offsets, news))
            if not offsets:
                return 0, fragments
            block = block_of(list(compress(block.events, news)))
        self._store_block(segment, offsets, block)
        return len(offsets), fragments

    def _store_block(self, segment: int, offsets: list[int], block: Block) -> None:
        first, size = self._next, len(offsets)
        self._next = first + size
        columns, times = block.columns, block.times_ns
        if min(times) < INT_MIN or max(times) > INT_MAX:
            # Beyond the years 1677 to 2262: SQLite keeps 64 bits.
            times = [min(max(time, INT_MIN), INT_MAX) for time in times]
        names = zip(columns.primitive, columns.type, columns.status, strict=True)
        kinds = list(map(self._kinds.__getitem__, names))
        parents, roots = self._family.place(first, columns.id, columns.parent, columns.trace)
        rows = zip(
            range(first, first + size),
            times,
            self._pack_ids(first, columns.id, times),
            kinds,
            map(self._agents.__getitem__, columns.agent),
            map(self._targets.__getitem__, columns.target),
            parents,
            roots,
            columns.duration,
            (segment,) * size,
            offsets,
            strict=True,
        )
        flat = chain.from_iterable(islice(rows, size // _ROWS * _ROWS))
        self._db.executemany(_INSERT_ROWS, zip(*[flat] * (_ROWS * _ROW.count("?")), strict=True))
        self._db.executemany(_INSERT, rows)
        self._tally.add(times, kinds, columns.duration)
        if any(columns.links):
            for seq, causes in enumerate(columns.links, first):
                if causes:
                    self._family.wait_for_links(seq, causes)
        for w, time in dict(zip(columns.w, times, strict=True)).items():
            self._writers[w].last = time
        if OWN in columns.primitive:
            self._note_own(block, times)
        if self._segment_is_new(segment):
            self._note_first(segment, offsets[0], columns.id[0])

    def _pack_ids(
        self, first: int, ids: tuple[str, ...], times: list[int]
    ) -> list[bytes] | list[bytes | str]:
        packed = _pack_uuids(ids)
        if packed is not None and packed[0] == [time // 1_000_000 for time in times]:
            return packed[1]
        rests: list[bytes | str] = []
        odd: list[tuple[str, int]] = []
        for seq, (event_id, time) in enumerate(zip(ids, times, strict=True), first):
            split = split_id(event_id)
            if split is not None and split[0] == time // 1_000_000:
                rests.append(split[1])
            else:
                rests.append(event_id)
                odd.append((event_id, seq))
        self._db.executemany("INSERT INTO odd_ids VALUES (?, ?)", odd)
        return rests

    def _keep_fragments(self, segment: int, pieces: list[Piece]) -> int:
        rows = [
            (segment, offset, length, problem)
            for offset, length, event, problem in pieces
            if event is None
        ]
        self._db.executemany("INSERT OR REPLACE INTO fragments VALUES (?, ?, ?, ?)", rows)
        return len(rows)

    def _note_own(self, block: Block, times: list[int]) -> None:
        for event, time in zip(block.events, times, strict=True):
            if event.primitive != OWN:
                continue
            if event.type == "writer.open":
                check_event_format(event)
                self._writers[event.w].opened = time
            elif event.type == "writer.close":
                self._writers[event.w].closed = True

    def _segment_is_new(self, segment: int) -> bool:
        find = "SELECT 1 FROM segments WHERE number = ? AND first_id IS NULL"
        return self._db.execute(find, (segment,)).fetchone() is not None

    def _note_first(self, segment: int, offset: int, event_id: str) -> None:
        self._db.execute(
            "UPDATE segments SET first_offset = ?, first_id = ? WHERE number = ?",
            (offset, event_id, segment),
        )

    def _store_window(self, state: dict[str, int], consumed: dict[int, int]) -> None:
        db = self._db
        db.executemany(
            "UPDATE segments SET consumed = ? WHERE number = ?",
            [(end, number) for number, end in consumed.items()],
        )
        self._family.store()
        self._tally.store(db)
        db.executemany(
            "INSERT OR REPLACE INTO writers VALUES (?, ?, ?, ?, ?, ?)",
            [_writer_row(name, self._writers[name]) for name in self._adders],
        )
        self._adders.clear()
        if self._next > self._window_first:
            unsettled = min(state.get("unsettled", self._next), self._window_first)
            write_state(db, "unsettled", unsettled)
        self._window_first = self._next
        self._windows_stored = _count_window(db)


def _end_of(offset: int, lines: list[bytes]) -> int:
    """Where lines end that start at `offset`, their newlines included."""
    return offset + sum(map(len, lines)) + len(lines)


def _pack_uuids(ids: tuple[str, ...]) -> tuple[list[int], list[bytes]] | None:
    """Split UUIDs into milliseconds and rests, all at once; None if any is no lower-case UUID."""
    text = "".join(ids)
    dashes = "-" * len(ids)
    digits = text.replace("-", "")
    if (
        len(digits) != 32 * len(ids)
        or any(text[at::36] != dashes for at in (8, 13, 18, 23))
        or set(map(len, ids)) != {36}
    ):
        return None
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return None
    if raw.hex() != digits:
        return None
    # The first eight bytes of each: milliseconds, and two more.
    starts = struct.unpack(f">{2 * len(ids)}Q", raw)[::2]
    return [start >> 16 for start in starts], list(chain.from_iterable(_rests(raw)))


def _writer_row(name: str, writer: _Writer) -> tuple[str, str, int, int | None, int, bool]:
    lost = sum(len(gap) for gap in writer.seen.missing().get(name, ()))
    ranges = json.dumps(writer.seen.dump()[name], separators=(",", ":"))
    return name, ranges, lost, writer.opened, writer.last, writer.closed


def find_news(db: sqlite3.Connection, reader: Reader) -> list[tuple[Segment, int, int]]:
    """The segments with bytes not read yet: segment, its number, how far it was read.

    A segment that is new gets its number, so this belongs into a transaction. Raises
    `JournalChangedError` if a segment is gone or shorter than what was read of it, begins with
    another event than it did, or has no line ending where reading ended.
    """
    known = _read_known(db)
    segments = reader.segments()
    check_journal(db, {segment.name: segment.size for segment in segments})
    news = []
    for segment in segments:
        if segment.name not in known:
            insert = "INSERT INTO segments (name, consumed) VALUES (?, 0)"
            number = db.execute(insert, (segment.name,)).lastrowid
            assert number is not None
            news.append((segment, number, 0))
            continue
        if segment.size == known[segment.name].consumed:
            continue
        _check_known(reader, segment.name, known[segment.name])
        news.append((segment, known[segment.name].number, known[segment.name].consumed))
    return news


def check_known_segments(db: sqlite3.Connection, reader: Reader) -> None:
    """Look at how each segment begins that was read before; `JournalChangedError` if it is another.

    One whose first line cannot be read was damaged: then the index knows best what it held.
    """
    for name, known in _read_known(db).items():
        if known.first_offset is not None:
            found = _id_at(reader, name, known.first_offset)
            if found not in (None, known.first_id):
                raise JournalChangedError(f"segment {name} was replaced", {})


class _Known(NamedTuple):
    """What was read of a segment: how far, and which event came first where."""

    number: int
    consumed: int
    first_offset: int | None
    first_id: str | None


def _read_known(db: sqlite3.Connection) -> dict[str, _Known]:
    rows = db.execute("SELECT name, number, consumed, first_offset, first_id FROM segments")
    return {name: _Known(*cells) for name, *cells in rows.fetchall()}


def _check_known(reader: Reader, name: str, known: _Known) -> None:
    if (
        known.first_offset is not None
        and _id_at(reader, name, known.first_offset) != known.first_id
    ):
        raise JournalChangedError(f"segment {name} was replaced", {})
    if known.consumed and not reader.ends_line(name, known.consumed):
        # Somebody put bytes into its middle, and all that follow stand elsewhere now.
        raise JournalChangedError(f"segment {name} was changed", {})


def _id_at(reader: Reader, segment: str, offset: int) -> str | None:
    try:
        return reader.read(segment, offset, fill=False).id
    except CorruptError:
        return None


def check_journal(db: sqlite3.Connection, sizes: dict[str, int]) -> int:
    """Return how many bytes are not read yet; `JournalChangedError` if any were taken back."""
    consumed = dict(db.execute("SELECT name, consumed FROM segments").fetchall())
    losses: Losses = {
        name: (size, sizes.get(name))
        for name, size in consumed.items()
        if sizes.get(name, -1) < size
    }
    if losses:
        raise JournalChangedError(f"segments lost bytes: {', '.join(sorted(losses))}", losses)
    return sum(sizes.values()) - sum(consumed.values())


def make_index(db: sqlite3.Connection) -> bool:
    """Make the next index that look-ups use and is not there; return whether that was the last."""
    made = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    wanted = [name for name in INDEXES if name not in made]
    if wanted:
        usual = db.execute("PRAGMA cache_size").fetchone()[0]
        if _last_seq(db) > _SORT_EVENTS_MIN and _has_temporary_files():
            db.execute(f"PRAGMA cache_size = -{_SORT_KIB}")
        try:
            db.execute(INDEXES[wanted[0]])
        finally:
            db.execute(f"PRAGMA cache_size = {usual}")
        _count_window(db)
    if len(wanted) > 1:
        return False
    write_state(db, "indexed", 1)
    return True


def _has_temporary_files() -> bool:
    # Dear to load, but not beside so many events.
    import tempfile

    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return False
    return True


def _last_seq(db: sqlite3.Connection) -> int:
    last: int = db.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()[0]
    return last


def settle_news(db: sqlite3.Connection) -> bool:
    """Tie together what the last windows brought, inside the caller's transaction."""
    first = read_state(db).get("unsettled")
    if first is not None:
        settle(db, first)
        db.execute("DELETE FROM state WHERE key = 'unsettled'")
        _count_window(db)
    return True


def keep_losses(db: sqlite3.Connection, losses: Losses) -> None:
    """Remember what was read once and is no more; a segment that came back whole is not lost."""
    db.executemany(
        "INSERT INTO gone VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET size = max(size, excluded.size), kept = excluded.kept",
        [(name, had, kept) for name, (had, kept) in losses.items()],
    )
    db.execute(
        "DELETE FROM gone WHERE kept IS NULL AND EXISTS"
        " (SELECT 1 FROM segments s WHERE s.name = gone.name AND s.consumed >= gone.size)"
    )


def _count_window(db: sqlite3.Connection) -> int:
    """Show other processes that this one moves on, and that the file is being changed."""
    windows = read_state(db).get("windows", 0) + 1
    write_state(db, "windows", windows)
    write_state(db, "stamp", 0)
    return windows


def read_state(db: sqlite3.Connection) -> dict[str, int]:
    """The few numbers that are kept about the index itself."""
    return dict(db.execute("SELECT key, value FROM state").fetchall())


def write_state(db: sqlite3.Connection, key: str, value: int) -> None:
    """Keep a number about the index itself."""
    db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
