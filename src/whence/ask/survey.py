"""One look at every line of a journal: what it holds, and where it contradicts itself or the index.

Believes nothing but the lines. What the index had read is a second witness: it knows of events whose
bytes were destroyed later.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from whence.event import OWN, Event
from whence.index import Problem, Witness
from whence.journal.reader import Piece, Reader, Segment, check_event_format
from whence.journal.seen import Seen
from whence.line import sealed_entry

Progress = Callable[[int, int], None]


class Heard:
    """What the lines of one writer tell of it. `about` is the payload of its first line."""

    def __init__(self, last: Event) -> None:
        self.opened: Event | None = None
        self.last = last
        self.is_closed = False

    @property
    def about(self) -> dict[str, Any]:
        """What it said of itself when it opened."""
        data = self.opened.data if self.opened is not None else None
        return data if isinstance(data, dict) else {}


class Survey:
    """What was found. `unfinished` are ends of segments that no newline ends (yet)."""

    def __init__(self) -> None:
        self.events = 0
        self.seen = Seen()
        self.writers: dict[str, Heard] = {}
        self.gaps: list[Event] = []
        self.blobs: set[str] = set()
        self.problems: list[Problem] = []
        self.unfinished: list[Problem] = []

    def lost(self) -> dict[str, int]:
        """By writer: how many of its events no line holds."""
        return {w: sum(map(len, holes)) for w, holes in self.seen.missing().items()}


def survey(
    reader: Reader,
    segments: Iterable[Segment],
    witnesses: Mapping[str, Witness],
    progress: Progress,
) -> Survey:
    """Read all lines of these segments; `progress` hears of bytes done and bytes in all.

    Raises:
        FormatError: a newer Whence wrote any of it.
        StoreError: a segment cannot be read.
    """
    found, segments = Survey(), list(segments)
    size, before = sum(segment.size for segment in segments), 0
    repeats: dict[tuple[str, int], bytes | None] = {}
    # By segment, of what the index had read: lines, and events met for the first time.
    lines: dict[str, int] = {}
    news: dict[str, int] = {}
    for segment in segments:
        name, end = segment.name, 0
        limit = witnesses[name].consumed if name in witnesses else 0
        lines[name] = news[name] = 0
        for batch in reader.scan_batches(name, 0, segment.size):
            for piece in batch:
                offset, length, event, problem = piece
                if event is None:
                    found.problems.append(Problem(name, offset, length, problem))
                    continue
                is_new = _take(found, event)
                if not is_new:
                    repeats[event.w, event.n] = None
                if offset < limit:
                    lines[name] += 1
                    news[name] += is_new
            end = _end_of(batch, end)
            progress(before + min(end, segment.size), size)
        if end < segment.size:
            rest = "no newline ends the last line"
            found.unfinished.append(Problem(name, end, segment.size - end, rest))
        before += segment.size
    if repeats:
        found.problems += _contradictions(reader, segments, repeats)
    found.problems += _denied(witnesses, lines, news)
    return found


def _take(found: Survey, event: Event) -> bool:
    """Note one event; False if it stood in an earlier line."""
    if not found.seen.add(event.w, event.n):
        return False
    found.events += 1
    heard = found.writers.get(event.w)
    if heard is None:
        heard = found.writers[event.w] = Heard(event)
    heard.last = event
    if event.blob is not None and event.commit is not None:
        found.blobs.add(event.commit)
    if event.primitive == OWN:
        if event.type == "writer.open":
            check_event_format(event)
            heard.opened = event
        elif event.type == "writer.close":
            heard.is_closed = True
        elif event.type == "writer.gap":
            found.gaps.append(event)
    return True


def _end_of(batch: list[Piece], before: int) -> int:
    return batch[-1][0] + batch[-1][1] + 1 if batch else before


def _contradictions(
    reader: Reader, segments: Iterable[Segment], repeats: dict[tuple[str, int], bytes | None]
) -> list[Problem]:
    """The lines that repeat an event's writer and count, and yet are another event.

    Repeats are rare, so their first copies are looked up in a second reading, not remembered in
    the first. An erased copy is the same event as one that is not.
    """
    found = []
    for segment in segments:
        for entry in reader.scan_segment(segment.name, 0, segment.size):
            event = entry.event
            if event is None or (event.w, event.n) not in repeats:
                continue
            sealed, first = sealed_entry(event), repeats[event.w, event.n]
            if first is None:
                repeats[event.w, event.n] = sealed
            elif first != sealed:
                problem = f"other bytes than those of the first event {event.n} of {event.w}"
                found.append(Problem(segment.name, entry.offset, entry.length, problem))
    return found


def _denied(
    witnesses: Mapping[str, Witness], lines: Mapping[str, int], news: Mapping[str, int]
) -> list[Problem]:
    """What the index had read there and the lines do not hold now, or the other way round.

    Of an event that stands in two segments the index may have counted the other copy.
    """
    are_one = sum(news.values()) == sum(
        witness.events for name, witness in witnesses.items() if name in news
    )
    found = []
    for name, witness in witnesses.items():
        if name not in news or witness.events == news[name]:
            continue
        if are_one and witness.events <= lines[name]:
            continue
        problem = (
            f"held {witness.events:,} events when it was indexed, holds {news[name]:,} there now"
        )
        found.append(Problem(name, 0, witness.consumed, problem))
    return found
