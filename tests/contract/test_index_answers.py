"""Whatever the journal holds, and however it came: the index gives what filtering everything gives.

The model is a list of events and the plain rules. Hypothesis draws the events, the order in which
they arrive, when the index catches up, and what happens to its file in between.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.index.lines import BASE_NS, append, make_id, make_line
from whence.event import Event
from whence.index import Index, Row
from whence.index import lookup as lookup_module
from whence.index.schema import INT_MAX, INT_MIN
from whence.journal.reader import Reader
from whence.line import decode_line
from whence.query import Query, StepQuery, matches

SEGMENTS = ("2026-09-21.0000", "2026-09-21.0001", "2026-09-22.0000")
WRITERS = ("w00000000000", "w11111111111")
AGENTS = (None, "zealot-1", "haiku-1", "ünï")
TARGETS = (None, "task-1", "payments")
SECOND = 1_000_000_000
TIMES = st.one_of(
    st.integers(0, 3).map(lambda step: BASE_NS + step),
    st.integers(0, 400).map(lambda step: BASE_NS + step * SECOND),
    st.just(-SECOND),
    # Beyond what 64 bits hold, and at their very ends.
    st.sampled_from([9_300_000_000 * SECOND, 9_400_000_000 * SECOND, -9_300_000_000 * SECOND]),
    st.sampled_from([INT_MAX, INT_MAX + 1, INT_MIN]),
)
BOUNDS = (10**30, INT_MAX, INT_MAX + 1, INT_MIN, -(10**30))


@dataclass
class World:
    """A journal on disk, and the same events as a list."""

    folder: Path
    reader: Reader
    events: list[Event] = field(default_factory=list)

    def by_id(self) -> dict[str, Event]:
        return {event.id: event for event in self.events}


@dataclass(frozen=True)
class Draft:
    """One event of a drawn history, its references as places in that history."""

    time: int
    form: str
    primitive: str
    agent: str | None
    target: str | None
    parent: int | None
    trace: int | None
    link: int | None
    status: str | None
    duration: int | None
    segment: int
    writer: int
    step: str


DRAFTS = st.builds(
    Draft,
    time=TIMES,
    form=st.sampled_from(["ours", "ours", "other time", "text", "upper"]),
    primitive=st.sampled_from(["ops", "bridge", "whence"]),
    agent=st.sampled_from(AGENTS),
    target=st.sampled_from(TARGETS),
    parent=st.one_of(st.none(), st.integers(0, 14)),
    trace=st.one_of(st.none(), st.integers(0, 14)),
    link=st.one_of(st.none(), st.none(), st.integers(0, 14)),
    status=st.sampled_from([None, "success", "error", "blocked"]),
    duration=st.one_of(st.none(), st.just(0), st.integers(1, 10**12)),
    segment=st.integers(0, len(SEGMENTS) - 1),
    writer=st.integers(0, len(WRITERS) - 1),
    step=st.sampled_from(
        ["go on"] * 6 + ["catch up", "again", "fragment", "reopen", "delete", "corrupt", "truncate"]
    ),
)


def id_of(number: int, drafts: list[Draft]) -> str:
    """The id of a place in the history; one beyond its end is an id that no line holds."""
    if number >= len(drafts):
        return make_id(BASE_NS, 1000 + number)
    time = max(drafts[number].time, 0)
    return {
        "ours": make_id(time, number),
        "other time": make_id(time + 5 * SECOND, number),
        "text": f"imported/{number}",
        "upper": make_id(time, 0xABC000 + number).upper(),
    }[drafts[number].form]


def play(world: World, drafts: list[Draft], sabotage: Callable[[World, str], None]) -> Index:
    """Write the history down step by step, and do what its steps say."""
    index = Index.open(world.folder, world.reader)
    counts = dict.fromkeys(WRITERS, 0)
    for number, draft in enumerate(drafts):
        writer = WRITERS[draft.writer]
        references = {
            name: id_of(place, drafts)
            for name, place in (("parent", draft.parent), ("trace", draft.trace))
            if place is not None
        }
        line = make_line(
            counts[writer],
            id=id_of(number, drafts),
            time=draft.time,
            primitive=draft.primitive,
            agent=draft.agent,
            target=draft.target,
            status=draft.status,
            duration=draft.duration,
            links=None if draft.link is None else [id_of(draft.link, drafts)],
            w=writer,
            **references,
        )
        counts[writer] += 1
        world.events.append(decode_line(line[:-1]))
        segment = SEGMENTS[draft.segment]
        append(world.folder, [line], segment)
        if draft.step == "again":
            append(world.folder, [line], segment)
        elif draft.step == "fragment":
            append(world.folder, [b'{"id":"torn\n'], segment)
        elif draft.step == "catch up":
            index.catch_up()
        elif draft.step != "go on":
            index.catch_up()
            index.close()
            sabotage(world, draft.step)
            index = Index.open(world.folder, world.reader)
    index.catch_up()
    return index


def sabotage(world: World, step: str) -> None:
    """Do to the file of the index what may befall it."""
    file = world.folder / "index.sqlite"
    if step == "delete":
        file.unlink()
    elif step == "corrupt":
        raw = bytearray(file.read_bytes())
        at = sum(len(event.id) for event in world.events) * 7919 % len(raw)
        raw[at] ^= 0x55
        write_an_hour_ago(file, bytes(raw))
    elif step == "truncate":
        write_an_hour_ago(file, file.read_bytes()[:5000])


def write_an_hour_ago(file: Path, content: bytes) -> None:
    """Change a file so that nobody takes it for a process that is just closing its index."""
    file.write_bytes(content)
    then = time.time() - 3600
    os.utime(file, (then, then))


@contextmanager
def new_world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="whence-test-"))
    reader = Reader(folder)
    try:
        yield World(folder, reader)
    finally:
        reader.close()
        shutil.rmtree(folder)


def root_of(event: Event, events: dict[str, Event]) -> Event | None:
    """Where the path from the event ends, itself maybe; None for a path that is a circle."""
    met = {event.id}
    while True:
        name = event.trace if event.trace is not None else event.parent
        up = events.get(name) if name is not None else None
        if up is None or up is event:
            return event
        if up.id in met:
            return None
        met.add(up.id)
        event = up


def in_trace(event: Event, root: str, events: dict[str, Event]) -> bool:
    """Whether a question for the trace of `root` finds the event."""
    top = root_of(event, events)
    return root in (event.id, event.trace) or (top is not None and top.id == root)


def expect(world: World, query: Query) -> list[str]:
    events = world.by_id()
    return sorted(
        event.id
        for event in world.events
        if matches(plain(query), event)
        and (query.trace is None or in_trace(event, query.trace, events))
    )


def plain(query: Query) -> Query:
    """The query without its trace, which knows more in the index than in a line."""
    return msgspec.structs.replace(query, trace=None)


def has_circle(world: World) -> bool:
    events = world.by_id()
    return any(root_of(event, events) is None for event in world.events)


@given(
    drafts=st.lists(DRAFTS, min_size=1, max_size=14),
    data=st.data(),
)
def test_every_question_is_answered_as_by_filtering_everything(
    drafts: list[Draft], data: st.DataObject
) -> None:
    with (
        new_world() as world,
        play(world, drafts, sabotage) as index,
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        ids = [event.id for event in world.events]
        times = sorted({event.time_ns for event in world.events})
        query = Query(
            target=data.draw(st.sampled_from([*TARGETS, None, "nobody"])),
            agent=data.draw(st.sampled_from([*AGENTS, None])),
            primitive=data.draw(st.sampled_from([None, None, "ops", "whence", "none"])),
            type=data.draw(st.sampled_from([None, None, "note"])),
            parent=data.draw(st.sampled_from([None, None, None, *ids, id_of(14, drafts)])),
            trace=data.draw(st.sampled_from([None, None, None, *ids, id_of(14, drafts)])),
            status=data.draw(st.sampled_from([None, None, "error"])),
            since=data.draw(st.sampled_from([None, None, *times, *BOUNDS])),
            until=data.draw(st.sampled_from([None, None, *times, *BOUNDS])),
            own=data.draw(st.booleans()),
        )
        if data.draw(st.booleans()):
            slow = data.draw(st.sampled_from([None, None, 0, 1, 10**9]))
            query = StepQuery(**msgspec.structs.asdict(query), slow=slow)
        if query.trace is not None and has_circle(world):
            return
        newest_first = data.draw(st.booleans())
        # With 0, every kind counts as rare, and is looked for through the roll-ups.
        monkeypatch.setattr(lookup_module, "_RARE", data.draw(st.sampled_from([0, 100])))

        rows = list(index.find(query, newest_first=newest_first))

        assert sorted(row.id for row in rows) == expect(world, query)
        order = [(row.time, row.seq) for row in rows]
        assert order == sorted(order, reverse=newest_first)
        assert [row.id for row in pages(index, query, newest_first)] == [row.id for row in rows]
        count = {(one.primitive, one.type): one.count for one in index.statistics(query)}
        assert sum(count.values()) == len(rows)


def pages(index: Index, query: Query, newest_first: bool) -> Iterator[Row]:
    after = None
    while found := list(index.find(query, newest_first=newest_first, limit=2, after=after)):
        yield from found
        after = (found[-1].time, found[-1].seq)


@given(drafts=st.lists(DRAFTS, min_size=1, max_size=14))
def test_rows_say_what_the_lines_say_and_how_they_hang_together(drafts: list[Draft]) -> None:
    with new_world() as world, play(world, drafts, sabotage) as index:
        events = world.by_id()
        rows = list(index.find(Query(own=True)))
        by_seq = {row.seq: row for row in rows}
        assert len(by_seq) == len(world.events)
        for row in rows:
            event = events[row.id]
            assert world.reader.read(row.segment, row.offset) == event
            assert (row.time, row.primitive, row.type) == (
                min(max(event.time_ns, INT_MIN), INT_MAX),
                event.primitive,
                event.type,
            )
            assert (row.agent, row.target) == (event.agent, event.target)
            assert (row.status, row.duration) == (event.status, event.duration)
            assert index.by_id(row.id) == row
            assert row in index.by_prefix(row.id)
            assert row in index.by_prefix(row.id[:7], 99)
            assert row in index.by_suffix(row.id)
            assert row in index.by_suffix(row.id[-3:], 99)
            parent = events.get(event.parent or "")
            assert (by_seq[row.parent].id if row.parent else None) == (parent and parent.id)
            missing = index.missing_parent([row.seq]).get(row.seq)
            assert missing == (event.parent if parent is None else None)
            top = root_of(event, events)
            if top is not None:
                assert (by_seq[row.root].id if row.root else event.id) == top.id
        assert index.by_id("nothing") is None
        assert index.agents() == sorted({event.agent for event in world.events if event.agent})
        assert index.targets() == sorted({event.target for event in world.events if event.target})
        assert index.lost() == {}


@given(drafts=st.lists(DRAFTS, min_size=1, max_size=14), data=st.data())
def test_causes_and_effects_are_found_however_they_arrived(
    drafts: list[Draft], data: st.DataObject
) -> None:
    with new_world() as world, play(world, drafts, sabotage) as index:
        events = world.by_id()
        start = data.draw(st.sampled_from(world.events))
        row = index.by_id(start.id)
        assert row is not None
        causes = {
            event.id: [cause for cause in (event.parent, *event.links) if cause in events]
            for event in world.events
        }

        children = {child.id for child in index.children([row.seq])}
        below = {found.id for found in index.descendants([row.seq], 99)}
        above = [found.id for found in index.ancestors(row.seq)]

        assert children == {name for name, named in causes.items() if start.id in named}
        assert below == reachable(start.id, causes) - {start.id}
        assert above == chain(start, events)
        by_seq = {found.seq: found.id for found in index.find(Query(own=True))}
        pairs = {(by_seq[cause], by_seq[effect]) for cause, effect in index.links(by_seq)}
        assert pairs == {
            (cause, event.id) for event in world.events for cause in event.links if cause in events
        }


def reachable(start: str, causes: dict[str, list[str]]) -> set[str]:
    found, news = {start}, {start}
    while news:
        news = {name for name, named in causes.items() if set(named) & news} - found
        found |= news
    return found


def chain(event: Event, events: dict[str, Event]) -> list[str]:
    met, found = {event.id}, []
    while (up := events.get(event.parent or "")) is not None and up.id not in met:
        met.add(up.id)
        found.append(up.id)
        event = up
    return found


@pytest.mark.parametrize("offset", range(0, 60_000, 1_237))
def test_a_changed_byte_anywhere_in_the_file_costs_no_answer(tmp_path: Path, offset: int) -> None:
    lines = [
        make_line(n, time=BASE_NS + n * SECOND, agent=f"agent-{n % 7}", duration=n * 1000)
        for n in range(60)
    ]
    append(tmp_path, lines)
    with Index.open(tmp_path, Reader(tmp_path)) as index:
        index.catch_up()
    file = tmp_path / "index.sqlite"
    raw = bytearray(file.read_bytes())
    raw[offset % len(raw)] ^= 0xFF
    write_an_hour_ago(file, bytes(raw))

    with Index.open(tmp_path, Reader(tmp_path)) as index:
        index.catch_up()
        rows = list(index.find(Query(agent="agent-3")))
        statistics = index.statistics(Query())

    assert [row.time for row in rows] == [BASE_NS + n * SECOND for n in range(3, 60, 7)]
    assert [(one.count, one.total_ns) for one in statistics] == [(60, sum(range(60)) * 1000)]
