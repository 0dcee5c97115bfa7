"""Subtasks recorded live of a task that only a source tells."""

from pathlib import Path

import pytest

from tests.unit.ask.mixed import recording, stores_of, told
from tests.unit.ask.test_everywhere import ask, ids
from tests.unit.ask.test_weaver import ask as ask_why
from tests.unit.ask.test_weaver import drawn
from whence.ask import subtasks
from whence.sources.source import SourceEvent
from whence.testing.memory import MemorySource


def task(second: float = 60) -> SourceEvent:
    return told("task", second, "ops", "create_task", target="task", fact="task")


@pytest.mark.parametrize("written", ["task", "#task"])
def test_a_live_subtask_hangs_below_the_parent_that_it_names(written: str, tmp_path: Path) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(70)
        data = {"parent_task_id": written}
        sub = log.emit("ops", "create_task", target="sub", data=data)
        done = log.emit("ops", "complete_task", target="sub", parent=sub)
        deep = log.emit(
            "ops", "create_task", target="deep", data={"parent_task_id": "sub"}, parent=sub
        )
    with stores_of(tmp_path, MemorySource([task()])) as (stores, notes):
        assert ids(ask(stores, "task")) == ["task", sub, done, deep]
        tree = [f"  {sub} [parent_id]", f"    {done}", f"    {deep}"]
        assert drawn(ask_why(stores, "task")) == ["task *", *tree]
        marked = [f"  {sub} [parent_id] *", *tree[1:]]
        assert drawn(ask_why(stores, sub)) == ["task", *marked]
        assert drawn(ask_why(stores, done)) == ["task", tree[0], f"    {done} *"]
        assert notes == []


def test_a_number_names_a_task_and_truth_does_not(tmp_path: Path) -> None:
    first = told("task:1", -1, "ops", "create_task", target="1", fact="1")
    another = told("task:True", 0, "ops", "create_task", target="True", fact="True")
    with recording(tmp_path) as (log, _):
        sub = log.emit("ops", "create_task", target="sub", data={"parent_task_id": 1})
        log.emit("ops", "create_task", target="other", data={"parent_task_id": True})
    with stores_of(tmp_path, MemorySource([first, another])) as (stores, _):
        assert ids(ask(stores, target="1")) == ["task:1", sub]
        assert ids(ask(stores, target="True")) == ["task:True"]


def test_a_cause_that_was_recorded_is_not_guessed_at(tmp_path: Path) -> None:
    """What the journal says to have caused a task is not another's for what its payload says."""
    with recording(tmp_path) as (log, clock):
        clock.advance(70)
        data = {"parent_task_id": "task"}
        cause = log.emit("bridge", "send", target="payments")
        log.emit("ops", "create_task", target="sub", data=data, parent=cause)
        log.emit("ops", "create_task", target="self", data={"parent_task_id": "self"})
    with stores_of(tmp_path, MemorySource([task()])) as (stores, _):
        assert ids(ask(stores, "task")) == ["task"]
        assert drawn(ask_why(stores, "task")) == ["task *"]


def test_a_parent_that_was_recorded_live_is_left_to_the_journal(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(60)
        live = log.emit("ops", "create_task", target="task")
        log.emit("ops", "create_task", target="sub", data={"parent_task_id": "task"})
    with stores_of(tmp_path, MemorySource([task()])) as (stores, _):
        assert ids(ask(stores, "task")) == [live]
        assert drawn(ask_why(stores, "task")) == [f"{live} *"]


def test_subtasks_on_both_sides_are_told(tmp_path: Path) -> None:
    """The source knows a subtask, the journal a subtask of that one."""
    source = MemorySource(
        [task(), told("sub", 61, "ops", "create_task", target="sub", fact="sub", because=(("parent_id", "task"),))]
    )  # fmt: skip
    source.subtasks = {"task": ["sub"]}
    with recording(tmp_path) as (log, clock):
        clock.advance(62)
        deep = log.emit("ops", "create_task", target="deep", data={"parent_task_id": "sub"})
    with stores_of(tmp_path, source) as (stores, _):
        assert ids(ask(stores, "task")) == ["task", "sub", deep]
        assert drawn(ask_why(stores, deep)) == [
            "task",
            "  sub [parent_id]",
            f"    {deep} [parent_id] *",
        ]


def test_how_many_tasks_are_looked_at_is_bounded_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subtasks, "_LOOKED_AT_MAX", 3)
    with recording(tmp_path) as (log, clock):
        clock.advance(70)
        made = [
            log.emit("ops", "create_task", target=f"sub-{n}", data={"parent_task_id": "task"})
            for n in range(5)
        ]
    with stores_of(tmp_path, MemorySource([task()])) as (stores, notes):
        assert ids(ask(stores, "task")) == ["task", *made[2:]]
        assert [note.partition(":")[0] for note in notes] == [
            "of tasks recorded live the newest 3 were looked at"
        ]
