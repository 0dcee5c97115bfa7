"""Timelines over real journals: what belongs to a story, in which order, and what is left out."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.ask import story
from whence.ask import timeline as timelines
from whence.ask.timeline import Timeline
from whence.errors import NotFoundError
from whence.log import Log
from whence.query import Query


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with whence.open(tmp_path / ".whence") as opened:
        yield opened


def ids(timeline: Timeline) -> list[str]:
    return [row.event.id for row in timeline.rows]


def create(log: Log, task: str, **fields: Any) -> str:
    return log.emit("ops", "create_task", agent="zealot-1", target=task, **fields)


def test_a_task_takes_in_its_subtasks_and_what_came_of_them(log: Log) -> None:
    root = create(log, "task")
    sub = create(log, "sub", parent=root)
    subsub = create(log, "subsub", parent=sub)
    elsewhere = log.emit("bridge", "send", agent="haiku-1", target="payments", parent=subsub)
    answer = log.emit("memory", "add_entry", agent="haiku-1", links=[elsewhere])
    claim = log.emit("ops", "claim_task", agent="haiku-1", target="subsub")
    log.emit("bridge", "send", agent="haiku-1", target="payments")
    create(log, "another")

    assert ids(log.timeline("task")) == [root, sub, subsub, elsewhere, answer, claim]
    assert ids(log.timeline("subsub")) == [subsub, elsewhere, answer, claim]


def test_a_decomposition_lists_subtasks(log: Log) -> None:
    root = create(log, "task")
    decomposed = log.emit("ops", "decompose_task", target="task", data={"subtasks": ["a", 1, "no"]})
    claim = log.emit("ops", "claim_task", agent="haiku-1", target="a")

    assert ids(log.timeline("task")) == [root, decomposed, claim]


def test_tasks_of_a_session_are_not_its_subtasks(log: Log) -> None:
    wake = log.emit("spawn", "wake", agent="zealot-1", target="session-42")
    created = create(log, "task", parent=wake)
    log.emit("ops", "claim_task", agent="haiku-1", target="task")

    assert ids(log.timeline("session-42")) == [wake, created]


def test_subtasks_in_a_circle_end(log: Log) -> None:
    one = create(log, "one")
    two = create(log, "two", parent=one)
    three = create(log, "one", parent=two)

    assert ids(log.timeline("one")) == [one, two, three]


def test_a_channel_is_what_was_said_there(log: Log) -> None:
    first = log.emit("bridge", "send", agent="boss", target="#payments", data={"text": "go"})
    create(log, "task", parent=first)
    second = log.emit("bridge", "recv", agent="zealot-1", target="payments")

    timeline = log.timeline("#payments")

    assert ids(timeline) == [first, second]
    assert [row.text for row in timeline.rows] == ['boss posted: "go"', "zealot-1 read"]


def test_an_agent_is_what_it_did(log: Log) -> None:
    mine = create(log, "task")
    log.emit("ops", "claim_task", agent="haiku-1", target="task", parent=mine)
    second = log.emit("spawn", "sleep", agent="zealot-1")

    assert ids(log.timeline("zealot-1")) == [mine, second]
    assert ids(log.timeline(agent="zealot-1")) == [mine, second]


def test_a_name_of_both_is_both(log: Log) -> None:
    did = log.emit("spawn", "wake", agent="zealot-1")
    about = log.emit("memory", "archive_entry", agent="haiku-1", target="zealot-1")

    assert ids(log.timeline("zealot-1")) == [did, about]


def test_an_event_stands_among_its_causes_and_effects(log: Log) -> None:
    cause = log.emit("ops", "a")
    other = log.emit("ops", "b")
    event = log.emit("ops", "c", parent=cause, links=[other])
    effect = log.emit("ops", "d", parent=event)
    log.emit("ops", "sibling", parent=cause)

    timeline = log.timeline(event)

    assert ids(timeline) == [cause, other, event, effect]
    assert timeline.subject is not None
    assert timeline.subject.event is not None


def test_a_trace_is_all_its_events(log: Log) -> None:
    with log.span("a.b") as span:
        inside = log.emit("ops", "step")

    # A span has the time at which it began, and the id that it got then.
    assert ids(log.timeline(query=Query(trace=span.id))) == [span.id, inside]


def test_a_trace_from_elsewhere_is_what_names_it(log: Log) -> None:
    # As a program does that continues a trace of another one.
    line = '{"id":"a","time":"2026-11-20T00:00:00.000000000Z","primitive":"ops","type":"step",'
    tail = f'"trace":"elsewhere","w":"{"w" * 12}","n":1,"salt":"{"s" * 24}","data":{{"a":123456}}}}'
    log.emit("ops", "step")
    segment = next((log.folder / "journal").iterdir())
    with segment.open("a") as file:
        file.write(f"{line}{tail}\n")

    assert ids(log.timeline("elsewhere")) == ["a"]
    assert ids(log.timeline("elsewhere", query=Query(trace="b"))) == []
    assert [node.id for node in log.causality("elsewhere").roots] == ["a"]


def test_what_one_agent_did_is_not_what_another_did(log: Log) -> None:
    create(log, "task")
    claim = log.emit("ops", "claim_task", agent="haiku-1", target="task")

    assert ids(log.timeline("zealot-1", agent="haiku-1")) == []
    assert ids(log.timeline("haiku-1", target="task")) == [claim]
    assert [node.id for node in log.causality("haiku-1").roots] == [claim]


def test_nothing_named_is_everything_but_our_own(log: Log) -> None:
    made = [log.emit("ops", "step") for _ in range(3)]

    assert ids(log.timeline()) == made
    assert len(ids(log.timeline(query=Query(own=True)))) == 4


def test_filters_apply_on_top(log: Log) -> None:
    root = create(log, "task")
    claim = log.emit("ops", "claim_task", agent="haiku-1", target="task", parent=root)
    said = log.emit("bridge", "send", agent="haiku-1", target="payments", parent=claim)
    failed = log.emit("ops", "step", agent="haiku-1", parent=root, status="error")
    since = next(log.events(Query(type="send"))).time_ns

    def ask(**query: Any) -> list[str]:
        return ids(log.timeline("task", query=Query(**query)))

    assert ask(agent="haiku-1") == [claim, said, failed]
    assert ask(primitive="bridge") == [said]
    assert ask(type="claim_task") == [claim]
    assert ask(status="error") == [failed]
    assert ask(since=since) == [said, failed]
    assert ask(until=since) == [root, claim]
    assert ask(parent=root) == [claim, failed]
    assert ids(log.timeline("task", query=Query(target="#payments"))) == [said]
    assert ids(log.timeline(target="#task", agent="haiku-1")) == [claim, said, failed]
    assert ids(log.timeline(query=Query(target="task", agent="haiku-1"))) == [claim, said, failed]


def test_names_are_looked_up_before_they_filter(log: Log) -> None:
    create(log, "task")

    with pytest.raises(NotFoundError, match="no agent is called 'haiku-1'"):
        log.timeline(target="task", agent="haiku-1")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Log, list[str]]]]:
    """Logs of one event, of two, and so on, each with the ids of its events."""
    with ExitStack() as stack:
        made = []
        for count in range(1, 8):
            log = stack.enter_context(whence.open(tmp_path_factory.mktemp("log") / ".whence"))
            steps = [log.emit("ops", "step", target="task", agent="a") for _ in range(count)]
            made.append((log, steps))
        yield made


@given(
    count=st.integers(0, 6), limit=st.integers(0, 8), newest=st.booleans(), is_story=st.booleans()
)
def test_a_limit_counts_what_it_leaves_out(
    logs: list[tuple[Log, list[str]]], count: int, limit: int, newest: bool, is_story: bool
) -> None:
    log, made = logs[count]
    timeline = log.timeline("task" if is_story else "a", limit=limit, newest=newest)

    wanted = made[max(len(made) - limit, 0) :] if newest else made[:limit]
    assert ids(timeline) == wanted
    assert timeline.more == len(made) - len(wanted)
    assert timeline.more_is_exact
    assert bool(timeline.rows) == bool(wanted)


def test_what_is_left_out_is_counted_up_to_a_number(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timelines, "COUNTED_MAX", 3)
    made = [log.emit("ops", "step", agent="a") for _ in range(10)]

    timeline = log.timeline("a", limit=2)

    assert ids(timeline) == made[-2:]
    assert (timeline.more, timeline.more_is_exact) == (3, False)


def test_a_story_larger_than_memory_keeps_the_newest(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "STORY_MAX", 5)
    made = [log.emit("ops", "step", target="task") for _ in range(10)]

    timeline = log.timeline("task")

    assert ids(timeline) == made[-5:]
    assert not timeline.more_is_exact


def test_the_title_is_what_the_creation_calls_it(log: Log) -> None:
    create(log, "task", data={"description": "Build payment system"})
    create(log, "plain")

    assert log.timeline("task").title == "Build payment system"
    assert log.timeline("plain").title == ""


def test_only_a_second_claim_is_a_retry(log: Log) -> None:
    for task in ("task", "task", "other"):
        log.emit("ops", "claim_task", agent="haiku-1", target=task)

    told = [row.text for row in log.timeline("task").rows]

    assert told == ["claimed by haiku-1", "claimed by haiku-1 (retry)"]
    newest = log.timeline("task", limit=1)
    assert [row.text for row in newest.rows] == ["claimed by haiku-1 (retry)"]


def test_rows_are_read_as_often_as_one_iterates(log: Log) -> None:
    timeline_of_none = log.timeline()
    log.emit("ops", "step")
    timeline = log.timeline()

    assert not timeline_of_none.rows
    assert len(list(timeline.rows)) == len(list(timeline.rows)) == 1


def test_a_line_that_breaks_later_is_left_out_and_noted(log: Log) -> None:
    log.emit("ops", "step", target="task", data="first")
    second = log.emit("ops", "step", target="task", data="second")
    timeline = log.timeline("task")
    segment = next((log.folder / "journal").iterdir())
    segment.write_bytes(segment.read_bytes().replace(b'"first"', b'"fi"rst'))

    assert ids(timeline) == [second]
    assert len(log.warnings) == 1
    assert log.warnings[0].startswith("cannot read event")


def test_a_broken_line_keeps_its_place_in_a_tree(log: Log) -> None:
    first = create(log, "task", data="first")
    second = log.emit("ops", "step", target="task", data="second", parent=first)
    assert log.resolve(first).name == first
    segment = next((log.folder / "journal").iterdir())
    segment.write_bytes(segment.read_bytes().replace(b'"first"', b'"fi"rst'))

    nodes = [node for _, node in log.causality("task").nodes()]

    assert [node.id for node in nodes] == [first, second]
    assert (nodes[0].event, nodes[0].text) == (None, "ops create_task (cannot be read)")
    assert log.causality("task").as_json()["nodes"][0]["id"] == first


def test_json_holds_subject_rows_and_what_is_left_out(log: Log) -> None:
    create(log, "task", data={"title": "Build"})
    log.emit("ops", "complete_task", target="task")

    found = log.timeline("task", limit=1).as_json()

    assert found["subject"] == {"kind": "target", "name": "task", "is_channel": False}
    assert (found["title"], found["more"], found["more_is_exact"]) == ("Build", 1, True)
    (row,) = found["rows"]
    assert (row["type"], row["text"], row["data"]) == ("complete_task", "completed", {})
    assert log.timeline().as_json()["subject"] is None
