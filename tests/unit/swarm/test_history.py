"""What the journal says of a task is read from its end, and only its own lines count."""

from pathlib import Path
from typing import Any

import pytest

import whence
from whence.errors import StoreError
from whence.journal.folder import segment_path
from whence.journal.reader import Reader
from whence.swarm.history import read_steps
from whence.swarm.tasks import Task


def known(folder: Path, task_id: str, within_bytes: int | None = None) -> tuple[str | None, ...]:
    task = Task()
    task.replay(read_steps(folder, task_id, within_bytes))
    return task.created, task.claimed, task.blocked


def test_an_empty_place_knows_nothing(tmp_path: Path) -> None:
    assert known(tmp_path / "nowhere", "task") == (None, None, None)


def test_steps_are_taken_in_the_order_of_the_journal(log: whence.Log, folder: Path) -> None:
    log.emit("ops", "create_task", target="task")
    log.emit("ops", "block_task", target="task")
    created = log.emit("ops", "create_task", target="task")
    log.emit("ops", "claim_task", target="task")
    log.emit("ops", "block_task", target="task")
    claimed = log.emit("ops", "claim_task", target="task")
    assert known(folder, "task") == (created, claimed, None)

    blocked = log.emit("ops", "block_task", target="task")
    assert known(folder, "task") == (created, claimed, blocked)


def test_it_is_read_up_to_what_is_known(log: whence.Log, folder: Path) -> None:
    log.emit("ops", "create_task", target="task")
    mine = log.emit("ops", "claim_task", target="task")
    blocked = log.emit("ops", "block_task", target="task")
    claimed = log.emit("ops", "claim_task", target="task")
    task = Task()
    task.note("claim_task", mine)

    steps = read_steps(folder, "task", known=task)
    assert steps == [("block_task", blocked), ("claim_task", claimed)]

    task.replay(steps)
    assert (task.created, task.claimed, task.blocked) == (None, claimed, None)
    assert read_steps(folder, "task", known=task) == []


def test_what_only_looks_like_a_step_is_none(log: whence.Log, folder: Path) -> None:
    created = log.emit("ops", "create_task", target='ta"sk')
    lookalike: dict[str, Any] = {"x": {"primitive": "ops", "target": 'ta"sk'}}
    log.emit("ops", "create_task", target="other", data=lookalike)
    log.emit("bridge", "claim_task", target='ta"sk', data={"y": '"primitive":"ops"'})
    log.emit("ops", "create_task", target='ta"sk2')
    log.emit("ops", "other", target='ta"sk')

    assert known(folder, 'ta"sk') == (created, None, None)


def test_only_so_much_is_read(log: whence.Log, folder: Path) -> None:
    created = log.emit("ops", "create_task", target="task")
    for _ in range(40):
        log.emit("ops", "step", data={"text": "x" * 60_000})

    assert known(folder, "task", 100_000) == (None, None, None)
    assert known(folder, "task") == (created, None, None)


def test_lines_that_are_glued_or_torn_are_read_as_far_as_they_can_be(
    log: whence.Log, folder: Path
) -> None:
    created = log.emit("ops", "create_task", target="task")
    reader = Reader(folder)
    (segment,) = reader.segments()
    reader.close()
    log.close()
    path = segment_path(folder, segment.name)
    lines = path.read_bytes()
    at = lines.index(f'{{"id":"{created}"'.encode())
    torn = b'{"id":"x","primitive":"ops","type":"claim_task","target":"task"'
    path.write_bytes(lines[:at] + torn + lines[at:] + torn)

    assert known(folder, "task") == (created, None, None)


def test_what_cannot_be_read_is_not_known(
    log: whence.Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording goes on."""
    log.emit("ops", "create_task", target="task")

    def refuse(_: Reader) -> None:
        raise StoreError("no")

    monkeypatch.setattr(Reader, "segments", refuse)

    assert known(folder, "task") == (None, None, None)
