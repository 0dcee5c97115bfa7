"""The story of seed 004, recorded by several processes, and the answers in the seed's words."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from whence.draw import tree
from whence.log import Log
from whence.query import Query

# Runs as another process: `worker.py FOLDER AGENT TASK CAUSE`, and prints the id of its message.
WORKER = """
import sys, whence
folder, agent, task, cause = sys.argv[1:]
with whence.open(folder) as log, log.cause(cause):
    claim = log.emit("ops", "claim_task", agent=agent, target=task)
    with log.cause(claim):
        if task != "task-sub1":
            log.emit("ops", "complete_task", agent=agent, target=task)
        else:
            said = {"content": "Blocked on API key", "message_id": 43}
            message = log.emit("bridge", "send", agent=agent, target="#payments", data=said)
            with log.cause(message):
                log.emit("memory", "add_entry", agent=agent, target="haiku-1:stripe",
                         data={"message": "stripe config issue"})
                log.emit("ops", "block_task", agent=agent, target=task,
                         data={"reason": "need API key"})
            print(message)
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    with whence.open(tmp_path_factory.mktemp("story") / ".whence") as opened:
        _tell(opened)
        yield opened


def _tell(log: Log) -> None:
    human = log.emit(
        "bridge", "send", agent="human", target="#payments",
        data={"content": "we need payments", "message_id": 42},
    )  # fmt: skip
    wake = log.emit("spawn", "wake", agent="zealot-1", target="session-42")
    log.emit("bridge", "recv", agent="zealot-1", target="payments", data={"unreads": 3})
    log.emit("memory", "load", agent="zealot-1", data={"count": 12, "topic": "payments"})
    notes = log.emit(
        "memory", "add_entry", agent="zealot-1", target="zealot-1:arch-notes", parent=human,
        data={"message": "design payment flow"}, links=[wake],
    )  # fmt: skip
    task = log.emit(
        "ops", "create_task", agent="zealot-1", target="task-abc123", parent=notes,
        data={"description": "Build payment system"},
    )  # fmt: skip
    log.emit(
        "ops", "decompose_task", agent="zealot-1", target="task-abc123", parent=task,
        data={"subtasks": ["task-sub1", "task-sub2", "task-sub3"]},
    )  # fmt: skip
    with log.cause(task):
        subs = [
            log.emit("ops", "create_task", agent="zealot-1", target=f"task-sub{n}")
            for n in (1, 2, 3)
        ]
    said = [_work(log, f"haiku-{n}", f"task-sub{n}", sub) for n, sub in enumerate(subs, start=1)]
    log.emit(
        "bridge", "send", agent="zealot-1", target="payments", links=[said[0]],
        data={"content": "API key in .env.example", "message_id": 44},
    )  # fmt: skip
    log.emit(
        "knowledge", "add_discovery", agent="zealot-1", target="k-1",
        data={"domain": "architecture"},
    )  # fmt: skip
    log.emit("ops", "claim_task", agent="haiku-1", target="task-sub1")
    log.emit("ops", "complete_task", agent="haiku-1", target="task-sub1")
    log.emit("spawn", "sleep", agent="zealot-1", target="session-42")


def _work(log: Log, agent: str, task: str, cause: str) -> str:
    words = [sys.executable, "-c", WORKER, str(log.folder), agent, task, cause]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def _told(log: Log, reference: str, query: Query = Query()) -> list[str]:
    rows = log.timeline(reference, query=query).rows
    return [f"{row.event.primitive:<9} | {row.text}" for row in rows]


def test_what_happened_to_the_task(log: Log) -> None:
    assert log.timeline("task-abc123").title == "Build payment system"
    assert _told(log, "task-abc123") == [
        "ops       | created by zealot-1",
        "ops       | decomposed into 3 subtasks",
        "ops       | task-sub1 created by zealot-1",
        "ops       | task-sub2 created by zealot-1",
        "ops       | task-sub3 created by zealot-1",
        "ops       | task-sub1 claimed by haiku-1",
        'bridge    | haiku-1 posted to #payments: "Blocked on API key"',
        'memory    | haiku-1 added "stripe config issue"',
        "ops       | task-sub1 blocked (reason: need API key)",
        "ops       | task-sub2 claimed by haiku-2",
        "ops       | task-sub2 completed",
        "ops       | task-sub3 claimed by haiku-3",
        "ops       | task-sub3 completed",
        'bridge    | zealot-1 posted to #payments: "API key in .env.example"',
        "ops       | task-sub1 claimed by haiku-1 (retry)",
        "ops       | task-sub1 completed",
    ]


def test_what_the_agent_did_since_it_woke(log: Log) -> None:
    since = log.moment("last wake", agent="zealot-1")

    assert _told(log, "zealot-1", Query(since=since)) == [
        "spawn     | woke (session 42)",
        "bridge    | read #payments (3 unreads)",
        "memory    | loaded 12 entries (topic: payments)",
        'memory    | added "design payment flow"',
        "ops       | created task-abc123",
        "ops       | decomposed task-abc123 into 3 subtasks",
        "ops       | created task-sub1",
        "ops       | created task-sub2",
        "ops       | created task-sub3",
        "bridge    | sent message to #payments",
        "knowledge | added domain=architecture",
        "spawn     | sleep",
    ]


def test_what_was_said_in_the_channel(log: Log) -> None:
    assert _told(log, "#payments", Query(type="send")) == [
        'bridge    | human posted: "we need payments"',
        'bridge    | haiku-1 posted: "Blocked on API key"',
        'bridge    | zealot-1 posted: "API key in .env.example"',
    ]


def test_what_caused_it_and_what_came_of_it(log: Log) -> None:
    causality = log.causality("task-abc123")
    drawn = tree(causality.roots, lambda node: node.children, lambda node: node.text)

    assert list(drawn) == [
        'bridge message #payments:42 ("we need payments")',
        '  └─> memory entry zealot-1:arch-notes ("design payment flow")',
        "      └─> ops task-abc123 created",
        "          ├─> ops task-abc123 decomposed into 3 subtasks",
        "          ├─> ops task-sub1 (claimed by haiku-1)",
        '          │   └─> bridge message #payments:43 ("Blocked on API key")',
        '          │       ├─> memory entry haiku-1:stripe ("stripe config issue")',
        "          │       ├─> ops task-sub1 blocked",
        '          │       └─> bridge message #payments:44 ("API key in .env.example")',
        "          ├─> ops task-sub2 (claimed by haiku-2)",
        "          │   └─> ops task-sub2 completed",
        "          └─> ops task-sub3 (claimed by haiku-3)",
        "              └─> ops task-sub3 completed",
        "spawn zealot-1 woke (session 42)",
        '  └─> memory entry zealot-1:arch-notes ("design payment flow")',
    ]
    assert causality.is_complete
    assert {node.event.target for _, node in causality.nodes() if node.is_asked and node.event} == {
        "task-abc123"
    }
    assert [node.note for node in causality.roots[1].children] == ["seen above"]


def test_one_branch_shows_the_way_down_to_it_and_what_is_below(log: Log) -> None:
    block = next(log.events(Query(type="block_task")))

    told = [(depth, node.text) for depth, node in log.causality(block.id).nodes()]

    assert told[:6] == [
        (0, 'bridge message #payments:42 ("we need payments")'),
        (1, 'memory entry zealot-1:arch-notes ("design payment flow")'),
        (2, "ops task-abc123 created"),
        (3, "ops task-sub1 (claimed by haiku-1)"),
        (4, 'bridge message #payments:43 ("Blocked on API key")'),
        (5, "ops task-sub1 blocked"),
    ]


def test_limits_fold_and_count(log: Log) -> None:
    causality = log.causality("task-abc123", depth=1, width=2)
    more = {node.text: node.more for _, node in causality.nodes() if node.more}

    assert more == {"ops task-abc123 created": 2, "ops task-sub1 (claimed by haiku-1)": 1}


def test_a_search_finds_what_was_said_in_any_process(log: Log) -> None:
    found = [event.agent for event in log.find("api key", ignore_case=True)]

    assert found == ["zealot-1", "haiku-1", "haiku-1"]
    assert [event.type for event in log.find(pattern="^Blocked", query=Query(agent="haiku-1"))] == [
        "send"
    ]


def test_a_cause_that_no_line_holds_is_said(tmp_path: Path) -> None:
    with whence.open(tmp_path / ".whence") as log:
        event = log.emit("ops", "step", parent="nowhere-to-be-found")

        (root,) = log.causality(event).roots

    assert root.note == "missing parent nowhere-to-be-found"
    assert root.missing == ("nowhere-to-be-found",)


def test_a_link_that_no_line_holds_is_said(tmp_path: Path) -> None:
    """Once, where its event is told: also that of a claim which is told with its task."""
    with whence.open(tmp_path / ".whence") as log:
        first = log.emit("ops", "first")
        task = log.emit(
            "ops", "create_task", target="task", parent="away", links=[first, "lost-1", "away"]
        )
        claim = log.emit("ops", "claim_task", target="task", parent=task, links=["lost-2"])
        log.emit("ops", "step", parent=claim, links=[first])

        told = [(node.note, node.missing) for _, node in log.causality(task).nodes()]

    said = "missing parent away, missing link lost-1, missing link lost-2"
    assert told == [("", ()), (said, ("away", "lost-1", "lost-2")), ("", ()), ("seen above", ())]


def test_causes_in_a_circle_end(tmp_path: Path) -> None:
    with whence.open(tmp_path / ".whence") as log:
        first = log.emit("ops", "a", links=["later"])
    # Nobody can name an id that is not made yet, save by writing lines of its own.
    segment = next((tmp_path / ".whence" / "journal").iterdir())
    text = segment.read_text()
    line = next(line for line in text.splitlines() if '"type":"a"' in line)
    circle = (
        line.replace(f'"id":"{first}"', '"id":"later"')
        .replace('"type":"a"', '"type":"b"')
        .replace('"links":["later"]', f'"links":["{first}"]')
        .replace('"n":1', '"n":9')
    )
    segment.write_text(text + circle + "\n")

    with whence.open(tmp_path / ".whence") as log:
        told = [(depth, node.text, node.note) for depth, node in log.causality(first).nodes()]

    assert told == [(0, "ops a", ""), (1, "ops b", ""), (2, "ops a", "cycle")]


def test_a_chain_of_thousands_is_told_whole(tmp_path: Path) -> None:
    with whence.open(tmp_path / ".whence") as log:
        ids = [log.emit("ops", "step")]
        for _ in range(5_000):
            ids.append(log.emit("ops", "step", parent=ids[-1]))

        down = [node.id for _, node in log.causality(ids[0]).nodes()]
        up = [node.id for _, node in log.causality(ids[-1]).nodes()]

    assert down == ids
    assert up == ids


def test_questions_are_answered_while_others_write(tmp_path: Path) -> None:
    """Each answer holds what had been recorded when it was asked for, whoever recorded it."""
    folder = tmp_path / ".whence"
    code = f"""
import whence
with whence.open({str(folder)!r}) as log:
    for number in range(2_000):
        log.emit("ops", "step", target="task", data=number)
"""
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    counts: list[int] = []
    done = threading.Event()

    def ask() -> None:
        with whence.open(folder, read_only=True) as log:
            while not done.is_set():
                counts.append(sum(1 for _ in log.events(Query(target="task"))))

    asker = threading.Thread(target=ask)
    asker.start()
    assert [writer.wait() for writer in writers] == [0, 0]
    done.set()
    asker.join()

    with whence.open(folder, read_only=True) as log:
        assert sum(1 for _ in log.events(Query(target="task"))) == 4_000
        assert not log.warnings
    assert counts == sorted(counts)


def test_an_index_that_is_deleted_comes_back(tmp_path: Path) -> None:
    with whence.open(tmp_path / ".whence") as log:
        event = log.emit("ops", "step", target="task")
        assert log.resolve(event).name == event
        for file in log.folder.glob("*index*"):
            file.unlink()
        log.emit("ops", "step", target="task")

        assert len(list(log.timeline("task").rows)) == 2
