"""What is recorded live under ids and told by a store under names: found by either, told once."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path

import pytest

from tests.unit.ask.mixed import START_NS, recording, stores_of, told
from tests.unit.ask.test_everywhere import ask, ids
from whence.ask.questions import find_moment, find_subject, tell_causality
from whence.errors import NotFoundError, StoreError
from whence.query import Query
from whence.sources.source import NameKind, SourceEvent, Spellings
from whence.sources.space import open_source
from whence.testing.memory import MemorySource

CHANNEL = "01a1fa7c-e082-7000-8000-000000000001"
OTHER = "01a1fa7c-e082-7000-8000-000000000002"
AGENT = "01a1fa7c-e082-7000-8000-00000000000a"
WRITINGS = [CHANNEL, f"channel:{CHANNEL}"]


def sent(message: str, second: float = 1, source: str = "memory") -> SourceEvent:
    return told(
        f"{source}-{message}", second, "bridge", "send", agent="haiku-1", target="payments",
        fact=message, source=source, data={"content": "hello", "message_id": message},
    )  # fmt: skip


def swarm(*events: SourceEvent, name: str = "memory", channel: str = CHANNEL) -> MemorySource:
    source = MemorySource(events, name=name)
    source.ids = {
        ("target", "payments"): [channel, f"channel:{channel}"],
        ("agent", "haiku-1"): [AGENT],
    }
    return source


@pytest.mark.parametrize("target", WRITINGS)
def test_a_message_under_ids_is_the_one_under_names(target: str, tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        data = {"message_id": "m1", "content": "hello"}
        live = log.emit("bridge", "send", agent=AGENT, target=target, data=data)
    with stores_of(tmp_path, swarm(sent("m1"), sent("m2", 2))) as (stores, notes):
        both = [live, "memory-m2"]
        assert ids(ask(stores)) == both
        for reference in ("#payments", "payments", target, "haiku-1", AGENT):
            assert ids(ask(stores, reference)) == both, reference
        for limit in (1, 2):
            assert ids(ask(stores, "payments", limit=limit)) == both[-limit:]
            assert ids(ask(stores, "payments", limit=limit, newest=False)) == both[:limit]
        assert ids(ask(stores, target="payments", agent="haiku-1")) == both
        assert ids(ask(stores, agent=AGENT)) == both
        assert ids(ask(stores, "payments", agent="haiku-1")) == both
        assert ids(ask(stores, query=Query(target="payments", agent=AGENT))) == both
        assert notes == []


@pytest.mark.parametrize("target", WRITINGS)
def test_ids_are_said_as_names_and_kept_as_they_are(target: str, tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        log.emit("bridge", "send", agent=AGENT, target=target, data={"content": "hello"})
    with stores_of(tmp_path, swarm(sent("m2", 2))) as (stores, _):
        (live, _) = ask(stores).rows
        assert live.text == 'haiku-1 posted to #payments: "hello"'
        assert (live.as_json()["agent"], live.as_json()["target"]) == (AGENT, target)
        for name in ("payments", *WRITINGS):
            assert [row.text for row in ask(stores, target=name).rows] == [
                'haiku-1 posted: "hello"'
            ] * 2
        for name in ("haiku-1", AGENT):
            assert [row.text for row in ask(stores, agent=name).rows] == [
                "sent message to #payments"
            ] * 2
        (root, _) = tell_causality(stores, "payments", depth=None, width=None, is_wide=False).roots
        assert root.text == 'bridge message #payments ("hello")'


def test_names_that_only_a_table_knows_lead_to_the_live_events(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        live = log.emit("bridge", "send", agent=AGENT, target=CHANNEL)
    with stores_of(tmp_path, swarm()) as (stores, _):
        assert find_subject(stores, "payments").is_channel
        for reference in ("payments", "haiku-1"):
            assert ids(ask(stores, reference)) == [live]
        assert ids(ask(stores, agent="haiku-1")) == [live]
        with pytest.raises(NotFoundError):
            ask(stores, "deployments")


def test_an_id_that_is_an_events_own_means_that_event(tmp_path: Path) -> None:
    made = told(CHANNEL, 0, "bridge", "create_channel", target="payments", fact=CHANNEL)
    with stores_of(tmp_path, swarm(made, sent("m1"))) as (stores, _):
        assert find_subject(stores, CHANNEL).told == made
        assert ids(ask(stores, target=CHANNEL)) == [CHANNEL, "memory-m1"]


def test_channels_that_share_a_name_are_all_meant_and_stay_apart(tmp_path: Path) -> None:
    source = swarm(
        told(CHANNEL, 0, "bridge", "create_channel", target="payments", fact=CHANNEL),
        told(OTHER, 0, "bridge", "create_channel", target="payments", fact=OTHER),
        sent("m1", 2),
        sent("m2", 3),
    )
    source.ids["target", "payments"] += [OTHER, f"channel:{OTHER}"]
    with recording(tmp_path) as (log, clock):
        clock.advance(1)
        made = log.emit("bridge", "create_channel", target=f"channel:{OTHER}")
        clock.advance(1)
        live = [
            log.emit("bridge", "send", target=target, data={"message_id": message})
            for target, message in ((CHANNEL, "m1"), (OTHER, "m3"))
        ]
    with stores_of(tmp_path, source) as (stores, _):
        assert set(ids(ask(stores, "payments"))) == {CHANNEL, made, *live, "memory-m2"}


def test_another_stores_channel_of_that_name_is_another_channel(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        live = log.emit("bridge", "send", target=CHANNEL, data={"message_id": "3"})
    one = swarm(sent("3", source="one"), name="one")
    two = swarm(sent("3", source="two"), name="two", channel=OTHER)
    with stores_of(tmp_path, one, two) as (stores, _):
        assert ids(ask(stores, "payments")) == [live, "two-3"]
        assert ids(ask(stores)) == [live, "two-3"]


def test_an_id_that_stores_call_differently_is_said_as_it_is(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        log.emit("ops", "step", agent=AGENT)
    other = MemorySource(name="other")
    other.ids = {("agent", "zealot-1"): [AGENT]}
    with stores_of(tmp_path, swarm(), other) as (stores, _):
        assert [row.text for row in ask(stores).rows] == [f"step by {AGENT}"]
        assert len(ids(ask(stores, agent="zealot-1"))) == 1


@pytest.mark.parametrize(("agent", "is_same"), [(AGENT, True), (OTHER, False)])
def test_what_each_agent_does_for_itself_is_the_same_under_its_id(
    agent: str, is_same: bool, tmp_path: Path
) -> None:
    with recording(tmp_path) as (log, _):
        data = {"message_id": 3}
        live = log.emit("bridge", "recv", agent=agent, target="payments", data=data)
    event = told("e", 1, "bridge", "recv", agent="haiku-1", target="payments", fact="3")
    with stores_of(tmp_path, swarm(event)) as (stores, _):
        assert ids(ask(stores)) == ([live] if is_same else [live, "e"])


def test_last_wake_of_a_name_is_that_of_its_id(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(60)
        log.emit("spawn", "wake", agent=AGENT, target="session-1")
    with stores_of(tmp_path, swarm(sent("m1"))) as (stores, _):
        asked = {"agent": "haiku-1", "target": None, "now": START_NS + 10**12, "zone": UTC}
        assert find_moment(lambda: stores, "last wake", **asked) == START_NS + 60 * 10**9  # type: ignore[arg-type]


def test_what_is_caused_meets_in_one_tree(tmp_path: Path) -> None:
    """The live event has its cause in the journal, the store's the mention of an agent."""
    made = told("agent-row", 0, "spawn", "create_agent", target="zealot-1", fact="x")
    mentioning = told(
        "m1", 1, "bridge", "send", agent="haiku-1", target="payments", fact="m1",
        because=(("mention", "agent-row"),),
    )  # fmt: skip
    with recording(tmp_path) as (log, _):
        cause = log.emit("ops", "block_task", target="task")
        data = {"message_id": "m1"}
        live = log.emit("bridge", "send", agent=AGENT, target=CHANNEL, data=data, parent=cause)
    with stores_of(tmp_path, swarm(made, mentioning)) as (stores, _):
        for reference in (live, "m1", "payments"):
            tree = tell_causality(stores, reference, depth=None, width=None, is_wide=False)
            assert {node.id for _, node in tree.nodes()} == {"agent-row", cause, live}, reference


def test_a_source_that_fails_costs_its_names_alone(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        live = log.emit("bridge", "send", agent=AGENT, target=CHANNEL)
    broken = swarm(name="broken")
    broken.fails = StoreError("it is locked")
    with stores_of(tmp_path, broken, swarm(sent("m1"))) as (stores, notes):
        assert ids(ask(stores, "payments")) == [live, "memory-m1"]
        assert {*notes} == {"source broken: it is locked"}


Store = Callable[..., Spellings]


@pytest.fixture
def spelt(tmp_path: Path) -> Store:
    """A store's answers, where two channels are called payments, one of them by a number."""
    path = tmp_path / "bridge.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE channels (id, name TEXT, topic TEXT, created_at TEXT)")
        database.execute("CREATE TABLE agents (agent_id TEXT, identity TEXT, created_at TEXT)")
        database.executemany(
            "INSERT INTO channels (id, name) VALUES (?, ?)",
            [(CHANNEL, "payments"), (7, "#payments"), ("c3", "ops"), ("c4", None), (None, "no-id")],
        )
        database.execute("INSERT INTO agents VALUES (?, 'haiku-1', NULL)", (AGENT,))
    return open_source(path, "space", {}).spellings


def test_a_store_says_how_its_channels_and_agents_may_be_written(spelt: Store) -> None:
    payments = (("payments",), (CHANNEL, f"channel:{CHANNEL}", "channel:7"))
    for text in ("payments", CHANNEL, f"channel:{CHANNEL}", "channel:7"):
        names, written = spelt("target", text)
        assert (names, {*written}) == (payments[0], {*payments[1]}), text
    assert spelt("target", "c3") == (("ops",), ("c3", "channel:c3"))
    assert spelt("agent", "haiku-1") == (("haiku-1",), (AGENT, f"agent:{AGENT}"))
    assert spelt("agent", AGENT) == spelt("target", AGENT) == spelt("agent", "haiku-1")


@pytest.mark.parametrize("text", ["7", "c4", "no-id", "nothing", "channel:", "", "agent:7"])
def test_what_a_store_does_not_call_by_a_name_has_no_other_writing(text: str, spelt: Store) -> None:
    """A bare number may be anything's, so it is not taken for a channel's."""
    assert spelt("target", text) == ((), ())


class _Watched(MemorySource):
    """Remembers what it is asked for by name."""

    def events(
        self, query: Query = Query(), *, newest_first: bool = False
    ) -> Iterator[SourceEvent]:
        self.asked = {*getattr(self, "asked", ()), query.agent, query.target}
        return super().events(query, newest_first=newest_first)

    def has_name(self, kind: NameKind, name: str) -> bool:
        self.asked = {*getattr(self, "asked", ()), name}
        return super().has_name(kind, name)


def test_a_source_is_not_searched_for_what_it_calls_by_a_name(tmp_path: Path) -> None:
    """It could read all that happened in a channel, and none of that bears the id."""
    source = _Watched([sent("m1")])
    source.ids = swarm().ids
    with stores_of(tmp_path, source) as (stores, _):
        for name in ("payments", *WRITINGS):
            assert ids(ask(stores, target=name)) == ["memory-m1"]
        assert ids(ask(stores, agent=AGENT)) == ["memory-m1"]
        assert source.asked == {None, "payments", "haiku-1"}
