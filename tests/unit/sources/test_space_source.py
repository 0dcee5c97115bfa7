"""A swarm's own databases: what is told of them, what is not made up, and what becomes of bad ones."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.sources.space_case import (
    DOCUMENT,
    FIRST,
    LATER,
    NAMED,
    ONE,
    Rows,
    add_rows,
    document_rows,
    epoch,
    first_rows,
    local,
    make_store,
    one_rows,
    utc,
    utc_ms,
    uuid7,
)
from whence.ask.phrases import phrase
from whence.errors import CorruptError, StoreError
from whence.query import Query, matches
from whence.sources.source import SourceEvent, by_time
from whence.sources.space import SpaceSource, open_source

Open = Callable[..., SpaceSource]


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """Makes a store and opens it; all are closed at the end."""
    sources: list[SpaceSource] = []

    def make(schemas: Mapping[str, str], rows: Rows = (), only: str = "") -> SpaceSource:
        make_store(tmp_path, schemas, rows)
        source = open_source(tmp_path / only if only else tmp_path, "swarm", {})
        sources.append(source)
        return source

    yield make
    for source in sources:
        source.close()


def tell(source: SpaceSource, query: Query = Query()) -> list[str]:
    return [
        f"{event.time[11:23]} {event.primitive} {event.type} {event.agent} {event.target}"
        for event in source.events(query)
    ]


def one(source: SpaceSource, **wanted: str) -> SourceEvent:
    (event,) = source.events(Query(**wanted))  # type: ignore[arg-type]
    return event


STORY = [
    "14:00:00.000 spawn create_agent None zealot-1",
    "14:00:00.000 spawn create_agent None haiku-1",
    "14:00:01.000 bridge create_channel None payments",
    f"14:00:02.000 spawn spawn None {uuid7(2)}",
    "14:00:05.000 spawn wake zealot-1 session-1",
    "14:00:10.000 bridge send zealot-1 payments",
    "14:00:10.000 bridge note zealot-1 payments",
    f"14:00:20.000 memory add_entry haiku-1 {uuid7(20)}",
    f"14:00:30.000 spawn sleep zealot-1 {uuid7(2)}",
    f"14:00:40.000 memory add_entry haiku-1 {uuid7(40)}",
    f"14:00:41.000 memory archive_entry haiku-1 {uuid7(20)}",
    f"14:00:50.000 knowledge add_discovery zealot-1 {uuid7(50)}",
    f"14:01:30.000 knowledge archive_discovery zealot-1 {uuid7(50)}",
    "14:05:00.000 ops create_task None task-abc123",
    "14:05:00.000 ops create_task None task-sub1",
    "14:05:00.000 ops create_task None task-sub2",
    "14:05:05.000 spawn sleep zealot-1 session-1",
    "14:10:05.000 spawn wake haiku-1 session-1",
    "14:10:10.000 bridge send haiku-1 payments",
    "14:15:05.000 spawn wake zealot-1 session-2",
    "14:20:05.000 spawn sleep zealot-1 session-2",
    "14:20:10.000 bridge send zealot-1 payments",
    "14:20:10.000 bridge recv haiku-1 payments",
    "14:30:00.000 ops complete_task haiku-1 task-sub2",
]


@pytest.mark.parametrize("is_named", [False, True])
def test_the_story_is_the_same_in_both_forms_of_the_six_databases(
    opened: Open, is_named: bool
) -> None:
    source = opened(NAMED, document_rows(LATER)) if is_named else opened(DOCUMENT, document_rows())

    assert tell(source) == STORY
    note = "columns named after their table" if is_named else "columns `agent_id` and `id`"
    assert source.health().note == note


def test_the_first_era_has_names_for_agents_and_numbers_for_ids(opened: Open) -> None:
    source = opened(FIRST, first_rows())

    assert tell(source, Query(agent="zealot-1")) == [
        "14:00:00.000 spawn wake zealot-1 session-1",
        "14:00:00.000 bridge send zealot-1 payments",
        "14:01:00.000 spawn sleep zealot-1 session-1",
        "14:02:00.000 bridge send zealot-1 payments",
        "14:03:00.000 spawn wake zealot-1 session-2",
    ]
    sent = source.event("message:10")
    assert sent is not None
    assert (sent.fact, sent.data["message_id"], sent.data["content"]) == ("10", 10, "blocked")
    assert source.health().note == "columns `identity` and `sender`"


def test_the_one_database_tells_claims_and_spawns(opened: Open) -> None:
    source = opened(ONE, one_rows(), only="space.db")

    assert tell(source, Query(primitive="ops")) == [
        f"14:00:40.000 ops create_task zealot-1 {uuid7(40)}",
        f"14:00:50.000 ops claim_task haiku-1 {uuid7(40)}",
        f"14:01:00.000 ops complete_task haiku-1 {uuid7(40)}",
    ]
    assert tell(source, Query(primitive="spawn", agent="zealot-1")) == [
        f"14:00:04.000 spawn spawn zealot-1 {uuid7(4)}",
        f"14:00:30.000 spawn sleep zealot-1 {uuid7(3)}",
    ]
    child = one(source, type="spawn", target=uuid7(4))
    assert [(tie.reason, tie.event.target) for tie in source.causes(child)] == [
        ("parent_spawn_id", uuid7(3))
    ]
    assert source.health().note == "one space.db"


def test_a_spawn_is_that_of_whoever_spawned(opened: Open) -> None:
    """Its row says whose it is; who spawned is whose the spawn above it is, and else is not known."""
    source = opened(ONE, one_rows(), only="space.db")

    first, second = source.events(Query(type="spawn", primitive="spawn"))

    assert (first.agent, first.data["spawned"], first.inferred) == (None, "zealot-1", ())
    assert (second.agent, second.data["spawned"]) == ("zealot-1", "haiku-1")
    assert second.inferred == ("agent",)
    assert [phrase(first), phrase(second)] == ["spawned zealot-1", "zealot-1 spawned haiku-1"]
    assert {"zealot-1", "haiku-1"} <= set(source.names("agent"))


def test_who_spawned_is_left_unsaid_where_each_row_would_have_to_be_searched_for(
    opened: Open,
) -> None:
    bare = {"space": ONE["space"].replace("spawns (id TEXT PRIMARY KEY", "spawns (id TEXT")}
    source = opened(bare, one_rows(), only="space.db")

    told = list(source.events(Query(type="spawn", primitive="spawn")))

    assert [(event.agent, event.data["spawned"]) for event in told] == [
        (None, "zealot-1"),
        (None, "haiku-1"),
    ]


def test_what_was_never_recorded_is_told_as_the_present_only(opened: Open) -> None:
    """No database holds when a task was claimed or blocked, nor who completed it."""
    source = opened(DOCUMENT, document_rows())

    created = one(source, type="create_task", target="task-sub1")
    assert created.data["status_now"] == "blocked"
    assert created.data["assigned_to"] == "haiku-1"
    assert created.data["description"] == "Build"
    assert created.inferred == ()
    assert not {"claim_task", "block_task"} & {event.type for event in source.events()}
    done = one(source, type="complete_task")
    assert (done.agent, done.inferred) == ("haiku-1", ("agent",))
    read = one(source, type="recv")
    assert (read.inferred, read.data["message_id"]) == (("time",), uuid7(1210))


def test_a_task_that_ended_otherwise_is_not_said_to_be_complete(opened: Open) -> None:
    task = {"id": "t", "status": "cancelled", "created_at": utc(0), "completed_at": utc(9)}
    source = opened(DOCUMENT, [("ops", "tasks", task)])

    (_, ended) = source.events()

    assert ended.inferred == ("type",)
    assert ended.data["status_now"] == "cancelled"


def test_relations_name_their_column(opened: Open) -> None:
    source = opened(DOCUMENT, document_rows())

    def ties(event_id: str) -> list[tuple[str, str]]:
        event = source.event(event_id)
        assert event is not None
        return [(tie.reason, tie.event.id) for tie in source.causes(event)]

    assert ties("task:task-sub1") == [("parent_id", "task:task-abc123")]
    assert ties("task:task-sub2/complete") == [("id", "task:task-sub2")]
    assert ties(uuid7(40)) == [("supersedes", uuid7(20)), ("parent_id", uuid7(20))]
    assert ties(f"{uuid7(20)}/archive") == [("memory_id", uuid7(20)), ("superseded_by", uuid7(40))]
    assert ties(uuid7(1210)) == [("mention", uuid7(0, 2))]
    assert ties(f"bookmark:{uuid7(0, 2)}/{uuid7(1)}") == [("last_seen_id", uuid7(1210))]
    agent = source.event(uuid7(0, 2))
    assert agent is not None
    assert [(tie.reason, tie.event.id) for tie in source.effects(agent)] == [
        ("mention", uuid7(1210))
    ]
    assert sorted(source.below("task-abc123")) == ["task-sub1", "task-sub2"]
    assert source.below("task-sub1") == []


@pytest.mark.parametrize(
    ("text", "count"),
    [("@haiku-1 go", 1), ("ask @haiku-1.", 1), ("@haiku-1, @haiku-1!", 1), ("(@haiku-1)", 1),
     ("mail me@haiku-1", 0), ("@haiku-12", 0), ("@nobody", 0), ("haiku-1", 0), ("@zealot-1 @haiku-1", 2)],
)  # fmt: skip
def test_a_mention_names_an_agent_of_the_store(opened: Open, text: str, count: int) -> None:
    message = {"id": uuid7(5), "channel_id": uuid7(1), "agent_id": uuid7(0, 1), "content": text}
    source = opened(DOCUMENT, [*document_rows(), ("bridge", "messages", message)])

    told = source.event(uuid7(5))

    assert told is not None
    assert [relation.reason for relation in told.relations] == ["mention"] * count


def test_tasks_in_a_ring_end(opened: Open) -> None:
    tasks = [{"id": a, "parent_id": b, "created_at": utc(0)} for a, b in ("ab", "bc", "ca")]
    source = opened(DOCUMENT, [("ops", "tasks", task) for task in tasks])

    assert sorted(source.below("a")) == ["b", "c"]


def test_local_times_without_an_id_take_the_stores_offset_and_say_so(opened: Open) -> None:
    task = {"task_id": "old", "creator_id": "x", "content": "", "created_at": local(500)}
    source = opened(ONE, [*one_rows(), ("space", "tasks", {**task, "status": "open"})])

    created = one(source, target="old")

    assert created.time == "2025-10-22T14:08:20.000000000Z"
    assert created.inferred == ("time",)


def test_a_clock_that_is_off_is_remarked(opened: Open) -> None:
    message = {"channel_id": uuid7(1), "agent_id": "x", "content": ""}
    rows: Rows = [
        ("bridge", "messages", {**message, "id": uuid7(3e9)}),
        ("bridge", "messages", {**message, "id": "old", "created_at": "1970-01-01 00:00:05"}),
    ]
    source = opened(DOCUMENT, rows)

    assert [event.remark for event in source.events()] == [
        "its clock says 1970-01-01",
        "its clock is ahead: 2120-11-15",
    ]


def test_times_that_are_too_far_away_for_nanoseconds_are_told_in_order(opened: Open) -> None:
    times = ["1500-01-01 00:00:00", "1600-01-01 00:00:00", utc(0), "2300-01-01 00:00:00",
             "9000-01-01 00:00:00"]  # fmt: skip
    tasks = [
        {"id": f"t{9 - i}", "created_at": time, "description": "x"} for i, time in enumerate(times)
    ]
    source = opened(DOCUMENT, [("ops", "tasks", task) for task in tasks])

    told = list(source.events())

    assert [event.time[:4] for event in told] == ["1500", "1600", "2025", "2300", "9000"]
    assert [event.remark for event in told] == [
        "its clock says 1500-01-01", "its clock says 1600-01-01", None,
        "its clock is ahead: 2300-01-01", "its clock is ahead: 9000-01-01",
    ]  # fmt: skip
    assert list(source.events(newest_first=True)) == told[::-1]
    assert source.health().events == len(told)
    for since in range(len(told)):
        for until in range(since, len(told)):
            query = Query(since=told[since].time_ns, until=told[until].time_ns)
            assert list(source.events(query)) == told[since:until]


def test_one_database_alone_tells_ids_where_it_knows_no_names(opened: Open) -> None:
    source = opened(DOCUMENT, document_rows(), only="ops.db")

    assert {event.primitive for event in source.events()} == {"ops"}
    assert one(source, type="complete_task").agent == uuid7(0, 2)


def test_a_space_db_stands_for_what_was_moved_into_it(opened: Open) -> None:
    source = opened({**DOCUMENT, **ONE}, [*document_rows(), *one_rows()])

    assert "ops create_task None task-abc123" not in " ".join(tell(source))
    assert source.health().note == "one space.db"


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_space_db_that_holds_nothing_hides_nothing(
    opened: Open, tmp_path: Path, is_empty: bool
) -> None:
    source = opened(
        DOCUMENT if is_empty else {**DOCUMENT, "space": "CREATE TABLE x (a)"}, document_rows()
    )
    if is_empty:
        (tmp_path / "space.db").touch()

    assert tell(source) == STORY
    note = (
        "columns `agent_id` and `id`; space.db has none of the store's tables: older ones are read"
    )
    assert source.health().note == note
    with closing(sqlite3.connect(tmp_path / "space.db")) as one_database:
        one_database.executescript(ONE["space"])
    assert source.health().note == "one space.db"


def test_all_that_is_locked_is_named(opened: Open, tmp_path: Path) -> None:
    source = opened(DOCUMENT, document_rows())
    owners = []
    for name in ("ops", "memory"):
        owner = sqlite3.connect(tmp_path / f"{name}.db", isolation_level=None)
        owner.execute("PRAGMA journal_mode=DELETE")
        owner.execute("BEGIN EXCLUSIVE")
        owners.append(owner)

    with pytest.raises(StoreError, match=r"memory\.db is locked.*ops\.db is locked"):
        list(source.events())
    health = source.health()
    assert "memory.db is locked" in health.problem
    assert "ops.db is locked" in health.problem
    for owner in owners:
        owner.close()


def test_a_part_that_is_damaged_costs_only_itself(opened: Open, tmp_path: Path) -> None:
    source = opened(DOCUMENT, document_rows())
    (tmp_path / "memory.db").write_bytes(b"no database")
    events = source.events()

    told = [next(events) for _ in range(len(STORY) - 3)]

    assert "memory" not in {event.primitive for event in told}
    with pytest.raises(
        CorruptError, match=r"memory\.db is encrypted, damaged or no SQLite database"
    ):
        next(events)
    health = source.health()
    assert health.events == len(STORY) - 3
    assert "memory.db" in health.problem
    with pytest.raises(CorruptError):
        source.event(uuid7(20))


def test_a_half_migrated_store_tells_what_it_can(opened: Open) -> None:
    """Both names of a column at once, each with some of the values; and a table that lost its ids."""
    schemas = {
        "bridge": "CREATE TABLE messages (message_id TEXT, channel_id TEXT, sender TEXT,"
        " agent_id TEXT, content TEXT); CREATE TABLE notes (content TEXT);"
        "CREATE VIEW broken AS SELECT * FROM gone",
        "spawn": DOCUMENT["spawn"],
    }
    message = {"channel_id": "c", "content": "x"}
    rows: Rows = [
        ("bridge", "messages", {**message, "message_id": uuid7(1), "sender": "haiku-1"}),
        ("bridge", "messages", {**message, "message_id": uuid7(2), "agent_id": uuid7(0, 1)}),
        ("spawn", "agents", {"id": uuid7(0, 1), "name": "zealot-1"}),
    ]
    source = opened(schemas, rows)
    events = source.events(Query(primitive="bridge"))

    assert [(event.agent, event.target) for event in (next(events), next(events))] == [
        ("haiku-1", "c"),
        ("zealot-1", "c"),
    ]
    with pytest.raises(CorruptError, match="table notes has no column note_id or id"):
        next(events)
    assert next(source.events(Query(agent="haiku-1"))).id == uuid7(1)


def test_the_data_of_an_event_is_an_object_or_as_it_stands(opened: Open) -> None:
    rows: Rows = [
        ("events", "events", {"id": uuid7(number), "event_type": "hired", "data": data})
        for number, data in enumerate(['{"to": "haiku-1"}', "for haiku-1", "[1]"])
    ]

    found = [event.data for event in opened(DOCUMENT, rows).events()]

    assert found == [{"to": "haiku-1"}, {"data": "for haiku-1"}, {"data": "[1]"}]


def test_rows_that_are_not_understood_say_why(opened: Open) -> None:
    rows: Rows = [
        ("events", "events", {"id": uuid7(1), "event_type": None}),
        ("bridge", "messages", {"id": None, "created_at": utc(1)}),
        (
            "bridge",
            "messages",
            {"id": "0zzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz", "created_at": utc(1)},
        ),
        ("ops", "tasks", {"id": "t", "created_at": utc(1), "completed_at": "soon"}),
    ]
    source = opened(DOCUMENT, rows)

    assert sorted(row.problem for row in source.raw()) == [
        "completed_at is 'soon', want a time",
        "created_at is '2025-10-22 14:00:01', want a time",
        "its id is None",
        "its type is None",
    ]
    assert source.health().not_understood == 4
    assert [event.id for event in source.events()] == ["task:t"]


def test_nothing_that_a_row_holds_breaks_the_reading(opened: Open) -> None:
    odd = [b"\xff\x00", "\x00", "", 1.5, -(2**63), "x" * 5000, "@", "[[[["]
    rows: list[tuple[str, str, dict[str, Any]]] = []
    for number, value in enumerate(odd):
        message = {"id": uuid7(number), "channel_id": value, "agent_id": value, "content": value}
        rows.append(("bridge", "messages", message))
        spoken = {"id": uuid7(number, 1), "source": value, "event_type": "x", "data": value}
        rows.append(("events", "events", spoken))
        memory = {"memory_id": uuid7(number, 2), "archived_at": value, "supersedes": value}
        rows.append(("memory", "memories", memory))
    source = opened(DOCUMENT, rows)

    events = list(source.events())

    assert len(events) >= 3 * len(odd)
    assert list(source.events(newest_first=True)) == events[::-1]
    assert source.health().events == len(events)
    for event in events:
        assert source.event(event.id) == event


def test_a_folder_without_databases_and_a_wrong_option_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds none of events\.db"):
        next(open_source(tmp_path, "swarm", {}).events())
    with pytest.raises(ValueError, match="zone is no option"):
        open_source(tmp_path, "swarm", {"zone": "UTC"})
    make_store(tmp_path, {"other": "CREATE TABLE t (a)"})
    source = open_source(tmp_path / "other.db", "swarm", {})
    with pytest.raises(CorruptError, match="none of the store's tables"):
        next(source.events())
    source.close()


_WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30)
number = 0
while True:
    number += 1
    row = (f"m-{number}", "c", "haiku-1", "x", f"2025-10-22 14:00:{number % 60:02d}")
    with database:
        database.execute("INSERT INTO messages (id, channel_id, agent_id, content, created_at)"
                         " VALUES (?, ?, ?, ?, ?)", row)
    print(number, flush=True)
"""


def test_the_owner_writes_on_while_we_read(opened: Open, tmp_path: Path) -> None:
    source = opened(DOCUMENT, document_rows())
    path = tmp_path / "bridge.db"
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, path], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        try:
            seen = 0
            for _ in range(10):
                written = int(writer.stdout.readline())
                found = len(list(source.events(Query(agent="haiku-1", type="send")))) - 1
                assert found >= max(written, seen)
                seen = found
        finally:
            writer.kill()
    add_rows(
        tmp_path, [("bridge", "messages", {"id": "last", "channel_id": "c", "created_at": utc(1)})]
    )
    assert source.event("message:last") is not None


TIMES = st.one_of(
    st.integers(0, 400).map(lambda hours: hours * 1800.5), st.sampled_from([0.0, 86400.0])
)
IDS = st.booleans()


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(
        st.tuples(TIMES, IDS, st.sampled_from([-11, 0, 5.5, 14]), TIMES | st.none()),
        max_size=25,
    ),
    data=st.data(),
)
def test_any_mixture_of_ids_and_zones_comes_in_true_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], data: st.DataObject
) -> None:
    stored: list[tuple[str, str, dict[str, Any]]] = []
    wanted: list[float] = []
    for number, (at, has_uuid, hours, later) in enumerate(rows):
        row_id = uuid7(at, number) if has_uuid else f"t.{number}"
        offset = timedelta(hours=hours)
        done = None if later is None else local(at + later, offset)
        task = {"task_id": row_id, "creator_id": f"a-{number % 2}", "created_at": local(at, offset)}
        if not has_uuid:
            # Without an id the offset is anybody's guess, so such a row says its zone.
            task["created_at"] = utc_ms(at) + "Z"
            done = None if later is None else utc_ms(at + later) + "+00:00"
        stored.append(("space", "tasks", {**task, "completed_at": done}))
        wanted += [at] if later is None else [at, at + later]
    folder = tmp_path_factory.mktemp("mixed")
    make_store(folder, ONE, stored)
    source = open_source(folder / "space.db", "swarm", {})

    events = list(source.events())
    assert [event.time_ns for event in events] == sorted(
        epoch(0) * 10**9 + round(at * 10**9) for at in wanted
    )
    assert events == sorted(events, key=by_time)
    assert list(source.events(newest_first=True)) == events[::-1]
    times = [event.time_ns for event in events] or [0]
    since = data.draw(st.none() | st.sampled_from(times))
    until = data.draw(st.none() | st.sampled_from(times))
    query = Query(since=since, until=until, agent=data.draw(st.sampled_from([None, "a-1"])))
    assert list(source.events(query)) == [event for event in events if matches(query, event)]
    source.close()


def test_what_was_learnt_of_a_store_is_forgotten_when_its_owner_writes(
    opened: Open, tmp_path: Path
) -> None:
    """Its connection stays open, so nothing beside the file tells that but SQLite itself."""
    source = opened(DOCUMENT, document_rows())
    with closing(sqlite3.connect(tmp_path / "ops.db", isolation_level=None)) as owner:
        owner.execute("UPDATE tasks SET handover = 'x' WHERE id = 'task-sub1'")
        before = len([*source.events()])
        assert not source.has_name("target", "task-new")
        assert source.below("task-sub1") == []

        owner.execute(
            "INSERT INTO tasks (id, parent_id, created_at) VALUES ('task-new', 'task-sub1', ?)",
            (str(epoch(400)),),
        )

        assert source.has_name("target", "task-new")
        assert source.below("task-sub1") == ["task-new"]
        new = source.event("task:task-new")
        assert new is not None
        window = Query(since=new.time_ns, until=new.time_ns + 1)
        assert [event.target for event in source.events(window)] == ["task-new"]
        assert len([*source.events()]) == before + 1


@given(parents=st.lists(st.integers(-1, 12), max_size=12), asked=st.permutations(range(12)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_subtasks_are_found_in_whatever_order_they_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, parents: list[int], asked: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("ops")
    tasks = {f"t{number}": f"t{parent}" for number, parent in enumerate(parents)}
    rows = [
        ("ops", "tasks", {"id": row_id, "parent_id": parent, "created_at": utc(0)})
        for row_id, parent in tasks.items()
    ]
    make_store(folder, {"ops": DOCUMENT["ops"]}, rows)
    source = open_source(folder, "swarm", {})

    for number in asked:
        root = f"t{number}"
        below: set[str] = set()
        while more := {row_id for row_id, up in tasks.items() if up in below | {root}} - below:
            below |= more
        assert sorted(source.below(root)) == sorted(below - {root})
    source.close()


@pytest.mark.parametrize(
    ("schemas", "rows"),
    [(FIRST, first_rows), (DOCUMENT, document_rows), (ONE, one_rows)],
    ids=["first", "document", "one"],
)
@pytest.mark.parametrize("is_indexed", [False, True])
def test_a_name_is_there_if_an_event_has_it(
    opened: Open,
    tmp_path: Path,
    schemas: Mapping[str, str],
    rows: Callable[[], Rows],
    is_indexed: bool,
) -> None:
    extra = {
        name: f"{schemas[name]}; CREATE INDEX by_agent ON {table} ({column})"
        for name, table, column in (
            ("bridge", "messages", "sender" if schemas is FIRST else "agent_id"),
            ("memory", "memories", "identity" if schemas is FIRST else "agent_id"),
        )
        if name in schemas
    }
    source = opened({**schemas, **extra} if is_indexed else schemas, rows())
    events = [*source.events()]
    agents = {event.agent for event in events if event.agent}
    targets = {event.target for event in events if event.target}

    for name in {*agents, *targets, "nobody", "session-99", "", "0"}:
        assert source.has_name("agent", name) == (name in agents), name
        assert source.has_name("target", name) == (name in targets), name
