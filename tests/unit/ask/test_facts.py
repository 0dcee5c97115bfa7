"""The same fact, recorded live and told by a source: told once, and no other fact taken for it."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.ask.mixed import START_NS, recording, stores_of, told
from tests.unit.ask.test_everywhere import ask, ids
from whence.ask import facts, reading
from whence.ask.facts import Recorded
from whence.index import Index
from whence.query import Query
from whence.sources.source import SourceEvent
from whence.testing.memory import MemorySource

HOUR = 3_600
DAY = 24 * HOUR


def sent(number: int, second: float = 0, **fields: Any) -> SourceEvent:
    name = str(number)
    return told(f"m{number}", second, "bridge", "send", target="payments", fact=name, **fields)


@pytest.mark.parametrize(
    ("data", "is_same"),
    [
        ({"message_id": 3}, True),
        ({"message_id": "3"}, True),
        ({"id": "3"}, True),
        ({"priority": 3, "content": "3", "note_id": 3}, False),
        ({"message_id": 4, "session": 3}, False),
        ({"message_id": ["3"]}, False),
        ({}, False),
    ],
)
def test_only_the_keys_that_name_a_fact_do(
    data: dict[str, Any], is_same: bool, tmp_path: Path
) -> None:
    with recording(tmp_path) as (log, _):
        live = log.emit("bridge", "send", target="payments", data=data)
    with stores_of(tmp_path, MemorySource([sent(3, 1)])) as (stores, _):
        assert ids(ask(stores)) == ([live] if is_same else [live, "m3"])


def test_truth_is_no_number(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        live = log.emit("bridge", "send", target="payments", data={"message_id": True})
    event = told("e", 1, "bridge", "send", target="payments", fact="True")
    with stores_of(tmp_path, MemorySource([event])) as (stores, _):
        assert ids(ask(stores)) == [live, "e"]


@pytest.mark.parametrize(
    ("type", "target", "fact"),
    [
        ("wake", "session-1", "1"),
        ("sleep", "session-1", "1"),
        ("wake", "01a1", "01a1"),
    ],
)
@pytest.mark.parametrize(
    ("agent", "is_same"), [("zealot-1", True), (None, True), ("haiku-1", False)]
)
def test_the_session_of_another_agent_is_another_one(
    type: str, target: str, fact: str, agent: str | None, is_same: bool, tmp_path: Path
) -> None:
    with recording(tmp_path) as (log, _):
        live = log.emit("spawn", type, agent="zealot-1", target=target, data={"session": 1})
    event = told("e", 1, "spawn", type, agent=agent, target=target, fact=fact)
    with stores_of(tmp_path, MemorySource([event])) as (stores, _):
        assert ids(ask(stores)) == ([live] if is_same else [live, "e"])


def test_two_agents_read_the_same_message(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        live = log.emit(
            "bridge", "recv", agent="a", target="payments", data={"message_id": 3}
        )  # fmt: skip
    marks = [
        told(agent, 1, "bridge", "recv", agent=agent, target="payments", fact="3")
        for agent in ("a", "b")
    ]
    with stores_of(tmp_path, MemorySource(marks)) as (stores, _):
        assert ids(ask(stores)) == [live, "b"]


@pytest.mark.parametrize(("second", "is_same"), [(DAY, True), (DAY + 1, False)])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_task_is_the_same_within_a_day(
    second: int, is_same: bool, is_before: bool, tmp_path: Path
) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(2 * DAY)
        live = log.emit("ops", "create_task", target="task-1")
    at = 2 * DAY - second if is_before else 2 * DAY + second
    event = told("e", at, "ops", "create_task", target="task-1", fact="task-1")
    with stores_of(tmp_path, MemorySource([event])) as (stores, _):
        assert set(ids(ask(stores))) == ({live} if is_same else {live, "e"})


@pytest.mark.parametrize(("second", "is_same"), [(HOUR, True), (HOUR + 1, False)])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_message_is_the_same_within_an_hour(
    second: int, is_same: bool, is_before: bool, tmp_path: Path
) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(DAY)
        live = log.emit("bridge", "send", target="payments", data={"message_id": 3})
    event = sent(3, DAY - second if is_before else DAY + second)
    with stores_of(tmp_path, MemorySource([event])) as (stores, _):
        assert set(ids(ask(stores))) == ({live} if is_same else {live, "m3"})


@pytest.mark.parametrize(
    ("type", "target", "data"),
    [("create_task", "task-1", None), ("send", "payments", {"message_id": "task-1"})],
)
def test_what_the_question_leaves_out_hides_nothing(
    type: str, target: str, data: dict[str, Any] | None, tmp_path: Path
) -> None:
    """Of each fact that a question is about, one of its two tellings is in the answer."""
    primitive = "ops" if type == "create_task" else "bridge"
    with recording(tmp_path) as (log, clock):
        clock.advance(10)
        live = log.emit(primitive, type, agent="01a1-uuid", target=target, data=data)
        log.emit("ops", "step", agent="zealot-1", target="other")
    source = MemorySource(
        [told("e", 5, primitive, type, agent="zealot-1", target=target, fact="task-1")]
    )
    middle = START_NS + 7_000_000_000
    with stores_of(tmp_path, source) as (stores, _):
        assert ids(ask(stores, target)) == [live]
        assert ids(ask(stores, target, query=Query(until=middle))) == ["e"]
        assert ids(ask(stores, target, query=Query(since=middle))) == [live]
        assert ids(ask(stores, target, agent="zealot-1")) == ["e"]
        assert "e" in ids(ask(stores, "zealot-1"))
        assert ids(ask(stores, query=Query(agent="01a1-uuid"))) == [live]
        assert ids(ask(stores, "e")) == ["e"]


def test_a_busy_channel_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 300
    with recording(tmp_path) as (log, clock):
        live = []
        for number in range(size):
            clock.advance(60)
            live.append(
                log.emit("bridge", "send", target="payments", data={"message_id": number})
            )  # fmt: skip
    source = MemorySource([sent(number, 60 * number + 61.5) for number in range(size)])
    monkeypatch.setattr(facts, "_HELD_ROWS_MAX", 250)
    found: list[Query] = []
    find = Index.find

    def count(self: Index, query: Query, **how: Any) -> Any:
        found.append(query)
        return find(self, query, **how)

    monkeypatch.setattr(Index, "find", count)
    with stores_of(tmp_path, source) as (stores, _):
        assert ids(ask(stores, "payments")) == live
        # Five hours are four windows at most.
        assert len(found) < 10


def test_what_is_held_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_HELD_ROWS_MAX", 20)
    with recording(tmp_path) as (log, clock):
        for number in range(60):
            clock.advance(HOUR / 4)
            log.emit("bridge", "send", target="payments", data={"message_id": number})
    source = MemorySource([sent(number, (number + 1) * HOUR / 4) for number in range(60)])
    with stores_of(tmp_path, source) as (stores, _):
        recorded = Recorded(stores)
        for event in source.events():
            assert recorded.is_live(event)
            assert recorded._held <= 20
            assert sum(map(facts._size, recorded._windows.values())) == recorded._held


def test_what_is_looked_at_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_LOOKED_AT_MAX", 5)
    with recording(tmp_path) as (log, clock):
        for number in range(60):
            clock.advance(HOUR / 20)
            log.emit("bridge", "send", target="payments", data={"message_id": number})
    source = MemorySource([sent(number, HOUR) for number in range(100, 103)])
    with stores_of(tmp_path, source) as (stores, notes):
        recorded = Recorded(stores)
        assert not any(map(recorded.is_live, source.events()))
        assert notes == ["5 or more bridge send on payments in 2 hours: some may be shown twice"]


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that are already busy with a few events."""
    monkeypatch.setattr(facts, "_BUSY", 3)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("away", [-3_599, -1_200, -20, 0, 20, 1_200, 3_599])
def test_a_fact_is_found_in_a_busy_channel_wherever_it_is_within_the_hour(
    away: int, tmp_path: Path
) -> None:
    with recording(tmp_path) as (log, clock):
        live = []
        for number in range(150):
            clock.advance(60)
            live.append(
                log.emit("bridge", "send", target="payments", data={"message_id": number})
            )  # fmt: skip
    source = MemorySource([sent(75, 76 * 60 + away), sent(75, 76 * 60 + 3_601)])
    with stores_of(tmp_path, source) as (stores, notes):
        recorded = Recorded(stores)
        same, another = sorted(
            source.events(), key=lambda event: abs(event.time_ns - START_NS - 76 * 60 * 10**9)
        )
        found = recorded.find(same)
        assert found is not None
        assert found.id == live[75]
        assert recorded.find(another) is None
        assert notes == []


@pytest.mark.usefixtures("busy")
def test_what_is_read_of_a_busy_channel_is_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first rows of an answer do not wait for an hour of messages to be read."""
    with recording(tmp_path) as (log, clock):
        for number in range(1_000):
            clock.advance(2)
            log.emit("bridge", "send", target="payments", data={"message_id": number})
    source = MemorySource([sent(number, 2 * number + 2.5) for number in range(1_000)])
    read: list[int] = []
    read_events = reading.read_events

    def count(reader: Any, rows: Any, note: Any) -> Any:
        read.append(len(rows))
        return read_events(reader, rows, note)

    monkeypatch.setattr(facts, "read_events", count)
    with stores_of(tmp_path, source) as (stores, _):
        rows = iter(ask(stores, "payments").rows)
        first = [next(rows).event.id for _ in range(10)]
        assert len({*first}) == 10
        assert sum(read) < 30
        assert source.read < 200
