"""Events of a task find their causes by themselves, where the process knows or finds them."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import whence
from tests.unit.recorder.recording import read_events
from tests.unit.swarm.swarming import by_id, last, run_process
from whence.ask.causality import Node
from whence.event import Event
from whence.recorder.receipt import Receipt
from whence.swarm import Swarm, emitter, tasks


def test_a_subtask_is_caused_by_the_creation_of_its_parent(folder: Path, swarm: Swarm) -> None:
    created = swarm.ops.create_task("z", "task")
    swarm.ops.claim_task("h", "task")
    swarm.ops.create_task("z", "sub", "task")

    assert last(folder).parent == created
    assert last(folder).data == {"parent_task_id": "task"}


def test_each_step_is_caused_by_the_one_that_it_follows(folder: Path, swarm: Swarm) -> None:
    created = swarm.ops.create_task("z", "task")
    split = swarm.ops.decompose_task("z", "task")
    claimed = swarm.ops.claim_task("h", "task")
    blocked = swarm.ops.block_task("h", "task")
    retried = swarm.ops.claim_task("h", "task")
    done = swarm.ops.complete_task("h", "task")
    reduced = swarm.ops.reduce_task("h", "task")
    again = swarm.ops.claim_task("h", "task")

    parents = {event.id: event.parent for event in read_events(folder)}
    assert parents == {
        created: None,
        split: created,
        claimed: created,
        blocked: claimed,
        retried: blocked,
        done: retried,
        reduced: retried,
        again: created,
    }
    assert not any(event.links for event in read_events(folder))


def test_a_block_is_answered_once(folder: Path, swarm: Swarm) -> None:
    created = swarm.ops.create_task("z", "task")
    swarm.ops.claim_task("h", "task")
    swarm.ops.block_task("h", "task")
    swarm.ops.claim_task("h", "task")
    swarm.ops.claim_task("other", "task")
    assert last(folder).parent == created

    swarm.ops.block_task("other", "task")
    swarm.ops.complete_task("other", "task")
    swarm.ops.claim_task("other", "task")
    assert last(folder).parent == created


def test_a_task_that_is_created_again_begins_anew(folder: Path, swarm: Swarm) -> None:
    swarm.ops.create_task("z", "task")
    swarm.ops.claim_task("h", "task")
    swarm.ops.block_task("h", "task")
    created = swarm.ops.create_task("z", "task")
    swarm.ops.claim_task("h", "task")

    assert last(folder).parent == created


def test_a_step_of_an_unknown_task_has_no_cause(folder: Path, swarm: Swarm) -> None:
    swarm.ops.complete_task("h", "task")
    swarm.ops.block_task("h", "task")
    swarm.ops.create_task("z", "sub", "nowhere")

    assert [event.parent for event in read_events(folder)] == [None] * 3


def test_the_general_form_and_the_functions_share_what_they_know(
    folder: Path, log: whence.Log
) -> None:
    created = Swarm(log).emit("ops", "create_task", task_id="#7")
    Swarm(log).ops.claim_task("h", 7)
    assert last(folder).parent == created

    swarm = Swarm(log)
    swarm.emit("ops", "create_task", task_id="sub", parent_task_id="#7")
    assert last(folder).parent == created


def test_logs_do_not_mix(folder: Path, swarm: Swarm, tmp_path: Path) -> None:
    swarm.ops.create_task("z", "task")
    with whence.open(tmp_path / "other") as other:
        Swarm(other).ops.claim_task("h", "task")

        assert last(other.folder).parent is None


# --- who else may say what the cause is -----------------------------------------------------


def test_a_cause_that_is_given_wins_alone(folder: Path, log: whence.Log, swarm: Swarm) -> None:
    swarm.ops.create_task("z", "task")
    answer = swarm.bridge.send("z", "payments", content="here is the key")
    with log.cause("around"):
        swarm.ops.claim_task("h", "task", parent_event_id=answer)

    assert (last(folder).parent, last(folder).links) == (answer, ())


def test_what_is_around_stays_the_parent_and_the_tasks_own_cause_is_linked(
    folder: Path, log: whence.Log, swarm: Swarm
) -> None:
    created = swarm.ops.create_task("z", "task")
    with log.span("turn.think") as span:
        claimed = swarm.ops.claim_task("h", "task")
        swarm.ops.block_task("h", "task", links=["more", claimed])
        swarm.ops.create_task("z", "sub", "task", links=["more"])

    claim, block, subtask, _ = read_events(folder)[1:]
    assert (claim.parent, claim.links) == (span.id, (created,))
    assert (block.parent, block.links) == (span.id, ("more", claimed))
    assert (subtask.parent, subtask.links) == (span.id, ("more", created))


def test_what_is_around_is_not_linked_as_well(folder: Path, log: whence.Log, swarm: Swarm) -> None:
    created = swarm.ops.create_task("z", "task")
    with log.cause(created):
        swarm.ops.claim_task("h", "task")

    assert (last(folder).parent, last(folder).links) == (created, ())


def test_the_tree_of_the_seeds_example(log: whence.Log, swarm: Swarm) -> None:
    need = swarm.bridge.send("human", "payments", 42, content="we need payments")
    entry = swarm.memory.add_entry(
        "z", "z:arch-notes", content="design payment flow", caused_by=need
    )
    swarm.ops.create_task("z", "task-abc123", caused_by=entry)
    for number in (1, 2, 3):
        swarm.ops.create_task("z", f"task-sub{number}", "task-abc123")
        claim = swarm.ops.claim_task(f"haiku-{number}", f"task-sub{number}")
        if number == 1:
            stuck = swarm.bridge.send("haiku-1", "payments", 43, content="blocked", caused_by=claim)
            swarm.ops.block_task("haiku-1", "task-sub1", caused_by=stuck)
        else:
            swarm.ops.complete_task(f"haiku-{number}", f"task-sub{number}")

    (root,) = log.causality("task-abc123").roots
    assert list(_outline(root)) == [
        'bridge message #payments:42 ("we need payments")',
        '  memory entry z:arch-notes ("design payment flow")',
        "    ops task-abc123 created",
        "      ops task-sub1 (claimed by haiku-1)",
        '        bridge message #payments:43 ("blocked")',
        "          ops task-sub1 blocked",
        "      ops task-sub2 (claimed by haiku-2)",
        "        ops task-sub2 completed",
        "      ops task-sub3 (claimed by haiku-3)",
        "        ops task-sub3 completed",
    ]


def _outline(node: Node, depth: int = 0) -> Iterator[str]:
    yield "  " * depth + node.text
    for child in node.children:
        yield from _outline(child, depth + 1)


# --- from anywhere --------------------------------------------------------------------------


def test_threads_share_what_they_know(folder: Path, swarm: Swarm) -> None:
    number, steps = 8, 50
    parent = swarm.ops.create_task("z", "task")
    barrier = threading.Barrier(number)

    def work(thread: int) -> None:
        barrier.wait()
        for step in range(steps):
            name = f"{thread}.{step}"
            swarm.ops.create_task("z", name, "task")
            swarm.ops.claim_task("h", name)
            swarm.ops.complete_task("h", name)

    with ThreadPoolExecutor(number) as pool:
        list(pool.map(work, range(number)))

    events = by_id(folder)
    assert len(events) == 1 + 3 * number * steps
    for event in events.values():
        if event.type == "create_task":
            assert event.parent == (parent if event.id != parent else None)
        else:
            assert event.parent is not None
            assert events[event.parent].target == event.target


def test_threads_with_handles_of_their_own_share_it_too(
    log: whence.Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = threading.Barrier(8)
    names = [f"task-{number}" for number in range(8)]

    def work(name: str) -> tuple[Swarm, str]:
        barrier.wait()
        swarm = Swarm(log)
        return swarm, swarm.ops.create_task("z", name)

    with ThreadPoolExecutor(8) as pool:
        handles = list(pool.map(work, names))

    monkeypatch.setattr(emitter, "read_steps", None)
    for swarm, _ in handles:
        assert [swarm.created(name) for name in names] == [created for _, created in handles]


def test_tasks_of_an_event_loop_have_causes_of_their_own(
    folder: Path, log: whence.Log, swarm: Swarm
) -> None:
    async def work(name: str) -> str:
        with log.span(f"turn.{name}") as span:
            swarm.ops.create_task("z", name)
            await asyncio.sleep(0)
            swarm.ops.claim_task("h", name)
        return span.id

    async def work_all() -> list[str]:
        return await asyncio.gather(*(work(f"task-{number}") for number in range(5)))

    spans = asyncio.run(work_all())

    events = read_events(folder)
    for number, span in enumerate(spans):
        created, claimed = (event for event in events if event.target == f"task-{number}")
        assert (created.parent, created.links) == (span, ())
        assert (claimed.parent, claimed.links) == (span, (created.id,))


def test_a_forked_child_knows_what_its_parent_knew(folder: Path, swarm: Swarm) -> None:
    created = swarm.ops.create_task("z", "task")
    child = os.fork()
    if child == 0:
        swarm.ops.claim_task("child", "task")
        swarm.ops.create_task("child", "sub", "task")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    swarm.ops.claim_task("parent", "task")

    assert status == 0
    events = [event for event in read_events(folder) if event.id != created]
    assert sorted((event.agent or "", event.parent) for event in events) == [
        ("child", created),
        ("child", created),
        ("parent", created),
    ]


# --- other processes ------------------------------------------------------------------------


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks for which the journal was searched, all in vain."""
    searched: list[str] = []

    def read_steps(_: Path, task_id: str, *__: object) -> list[tuple[str, str]]:
        searched.append(task_id)
        return []

    monkeypatch.setattr(emitter, "read_steps", read_steps)
    return searched


def test_a_subtask_finds_a_parent_that_another_process_created(folder: Path, swarm: Swarm) -> None:
    created = run_process(folder, "print(swarm.ops.create_task('z', '#task'))")
    run_process(folder, "swarm.ops.claim_task('z', 'task')")

    swarm.ops.create_task("z", "sub", "task")

    assert last(folder).parent == created


def test_a_claim_here_does_not_hide_that_another_process_created_the_parent(
    folder: Path, log: whence.Log, swarm: Swarm
) -> None:
    swarm.ops.claim_task("h", "task")
    created = run_process(folder, "print(swarm.ops.create_task('z', 'task'))")

    swarm.ops.create_task("h", "sub", "task")

    assert last(folder).parent == created
    assert log.causality("task").roots[-1].children[0].text == "ops sub created"


def test_create_block_and_retry_in_three_processes_are_one_tree(
    folder: Path, log: whence.Log
) -> None:
    run_process(folder, "swarm.ops.create_task('z', 'task')")
    run_process(folder, "swarm.ops.claim_task('h', 'task'); swarm.ops.block_task('h', 'task')")
    run_process(folder, "swarm.ops.claim_task('i', 'task'); swarm.ops.complete_task('i', 'task')")

    (root,) = log.causality("task").roots
    assert list(_outline(root)) == [
        "ops task (claimed by h)",
        "  ops task blocked",
        "    ops task claimed by i",
        "      ops task completed",
    ]


def test_subtasks_of_a_task_that_this_process_only_claimed_are_in_its_tree(
    folder: Path, log: whence.Log
) -> None:
    run_process(folder, "swarm.ops.create_task('z', 'task')")
    run_process(
        folder,
        """
        swarm.ops.claim_task("h", "task")
        swarm.ops.create_task("h", "sub", "task")
        """,
    )

    (root,) = log.causality("task").roots
    assert list(_outline(root)) == ["ops task (claimed by h)", "  ops sub created"]


@pytest.mark.parametrize("step", ["block_task", "complete_task", "reduce_task"])
def test_any_first_step_in_a_process_follows_the_claim_in_another(
    folder: Path, swarm: Swarm, step: str
) -> None:
    swarm.ops.create_task("z", "task")
    claimed = run_process(folder, "print(swarm.ops.claim_task('h', 'task'))")

    swarm.emit("ops", step, task_id="task")

    assert last(folder).parent == claimed


def test_a_retry_answers_the_block_in_another_process_since_the_claim_in_this_one(
    folder: Path, swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emitter, "_LOOK_BACK_PAUSE", 0)
    created = swarm.ops.create_task("z", "task")
    swarm.ops.claim_task("h", "task")
    blocked = run_process(folder, "print(swarm.ops.block_task('i', 'task'))")

    swarm.ops.claim_task("h", "task")
    assert last(folder).parent == blocked

    swarm.ops.claim_task("h", "task")
    assert last(folder).parent == created


def test_a_task_that_is_forgotten_is_found_again(folder: Path) -> None:
    run_process(
        folder,
        """
        whence.swarm.tasks._TASKS_MAX = 2
        swarm.ops.create_task("z", "task")
        for number in range(3):
            swarm.ops.create_task("z", f"other{number}")
        swarm.ops.claim_task("z", "task")
        for number in range(3):
            swarm.ops.create_task("z", f"more{number}")
        swarm.ops.create_task("z", "sub", "task")
        """,
    )

    events = [event for event in read_events(folder) if event.target in ("task", "sub")]
    assert [event.parent for event in events] == [None, events[0].id, events[0].id]


def test_the_journal_is_read_once_for_a_parent_that_is_not_there(
    swarm: Swarm, searches: list[str]
) -> None:
    for number in range(3):
        swarm.ops.create_task("z", f"sub{number}", "nowhere")

    assert searches == ["nowhere"]


def test_after_a_search_in_vain_none_is_made_for_a_step_for_a_while(
    swarm: Swarm, searches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0, 0, 10, 1009, 1010, 1010, 2010])
    monkeypatch.setattr(emitter, "monotonic_ns", lambda: next(times))

    swarm.ops.claim_task("h", "first")
    swarm.ops.claim_task("h", "second")
    swarm.ops.claim_task("h", "third")

    assert searches == ["first", "third"]


def test_a_search_that_finds_something_is_followed_by_the_next_at_once(
    folder: Path, swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = run_process(
        folder,
        "for name in 'abc': print(swarm.ops.create_task('z', name))",
    ).split()
    monkeypatch.setattr(emitter, "monotonic_ns", lambda: 0)

    claimed = [swarm.ops.claim_task("h", name) for name in "abc"]

    events = by_id(folder)
    assert [events[each].parent for each in claimed] == created


def test_what_is_looked_for_costs_no_index(folder: Path, swarm: Swarm) -> None:
    swarm.ops.create_task("z", "task")
    loaded = run_process(
        folder,
        """
        import sys
        swarm.ops.create_task("z", "sub", "task")
        print("sqlite3" in sys.modules)
        """,
    )

    assert loaded == "False"
    assert last(folder).parent
    assert [path.name for path in folder.iterdir()] == ["journal"]


def test_it_is_not_read_where_the_cause_is_known(
    log: whence.Log, swarm: Swarm, searches: list[str]
) -> None:
    with log.cause("around"):
        swarm.ops.create_task("z", "sub", "nowhere")
        swarm.ops.claim_task("h", "unknown")
        swarm.ops.claim_task("h", "task")
    swarm.ops.create_task("z", "sub", "nowhere", parent_event_id="given")
    swarm.ops.claim_task("h", "unknown", parent_event_id="given")
    swarm.ops.block_task("h", "task")
    swarm.ops.claim_task("h", "task")
    swarm.ops.complete_task("h", "task")

    assert searches == []


def test_what_can_be_no_target_is_refused_as_ever(swarm: Swarm) -> None:
    with pytest.raises(ValueError, match="target holds a lone surrogate"):
        swarm.ops.claim_task("h", "\ud800")


def test_a_process_that_asks_knows_the_task_from_then_on(folder: Path, swarm: Swarm) -> None:
    created, claimed, blocked = run_process(
        folder,
        """
        print(swarm.ops.create_task("z", "task"))
        print(swarm.ops.claim_task("h", "task"))
        print(swarm.ops.block_task("h", "task"))
        """,
    ).split()

    assert swarm.created("task") == created
    swarm.ops.complete_task("other", "task")
    swarm.ops.claim_task("other", "task")

    done, again = read_events(folder)[-2:]
    assert done.parent == claimed
    assert again.parent == created
    assert blocked


def test_a_retry_in_another_process_answers_the_block(folder: Path, swarm: Swarm) -> None:
    blocked = run_process(
        folder,
        """
        swarm.ops.create_task("z", "task")
        swarm.ops.claim_task("h", "task")
        print(swarm.ops.block_task("h", "task"))
        """,
    )

    swarm.created("#task")
    swarm.ops.claim_task("h", "task")

    assert last(folder).parent == blocked


def test_nobody_created_what_nobody_created(swarm: Swarm) -> None:
    assert swarm.created("task") is None
    swarm.ops.claim_task("h", "task")
    assert swarm.created("task") is None
    created = swarm.ops.create_task("z", "task")
    assert swarm.created("task") == created


# --- how long it is remembered --------------------------------------------------------------


def test_the_tasks_touched_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_TASKS_MAX", 3)
    known = tasks.Tasks()
    for name in "abc":
        known.add(name).note("create_task", name)

    assert known.get("a") is not None
    known.add("d")
    known.add("e")

    assert [name for name in "abcde" if known.get(name)] == ["a", "d", "e"]


def test_the_receipt_of_a_private_event_is_not_kept(folder: Path, swarm: Swarm) -> None:
    """It holds the payload, which nobody but the caller may have."""
    created = swarm.ops.create_task("z", "task", description="secret", private=True)
    swarm.ops.claim_task("h", "task")

    known = swarm.created("task")
    assert isinstance(created, Receipt)
    assert type(known) is str
    assert last(folder).parent == known == created


def test_a_rule_makes_it_private_and_a_caller_public(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text(
        '[[privacy.rule]]\nagent = "haiku-*"\nprimitive = "memory"', encoding="utf-8"
    )
    with whence.open(tmp_path) as log:
        swarm = Swarm(log)
        hidden = swarm.memory.add_entry("haiku-1", "m-1", content="x")
        also = swarm.emit("memory", "add_entry", agent_id="haiku-1", memory_id="m-2", content="x")
        shown = swarm.memory.add_entry("haiku-1", "m-3", content="x", private=False)
        other = swarm.memory.add_entry("zealot-1", "m-4", content="x")

    assert isinstance(hidden, Receipt)
    assert isinstance(also, Receipt)
    assert [_private(by_id(tmp_path)[id]) for id in (hidden, also, shown, other)] == [
        True, True, False, False,
    ]  # fmt: skip


def _private(event: Event) -> bool:
    return event.private and event.data is None
