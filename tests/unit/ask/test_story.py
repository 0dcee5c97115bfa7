"""A story is what one gets by going over all events again and again until none is added."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.index.lines import BASE_NS, append, make_id, make_line, open_index
from whence.ask.references import Subject
from whence.ask.story import tell_story
from whence.query import Query

TASKS = ("one", "two", "three")


class Made(NamedTuple):
    """One event: what it is, on which task, what caused it and what else did."""

    primitive: str
    type: str
    target: str | None
    parent: int | None
    links: frozenset[int]


@st.composite
def histories(draw: st.DrawFn) -> list[Made]:
    """Some events of a few tasks, each caused by any of them, itself and later ones included."""
    size = draw(st.integers(1, 12))
    anyone = st.integers(0, size - 1)
    return [
        Made(
            draw(st.sampled_from(["ops", "ops", "bridge"])),
            draw(st.sampled_from(["create_task", "claim_task", "step", "decompose_task"])),
            draw(st.sampled_from([*TASKS, "elsewhere", None])),
            draw(st.none() | anyone),
            draw(st.frozensets(anyone, max_size=2)),
        )
        for _ in range(size)
    ]


def listed(event: Made) -> set[str]:
    """Each decomposition of a task lists the next one."""
    if event.type != "decompose_task" or event.target is None:
        return set()
    return {after for task, after in pairwise(TASKS) if task == event.target}


def gathered(history: list[Made], task: str) -> set[int]:
    tasks, story = {task}, set[int]()
    while True:
        own = {at for at, event in enumerate(history) if event.target in tasks}
        caused = {
            at for at, event in enumerate(history) if event.parent in story or event.links & story
        }
        subtasks = {
            event.target
            for event in history
            if event.type == "create_task"
            and event.target is not None
            and event.parent in own
            and history[event.parent or 0].primitive == event.primitive
        }
        known = {event.target for event in history if event.target is not None}
        named = {name for at in own for name in listed(history[at])} & known
        if own | caused <= story and subtasks | named <= tasks:
            return story
        story |= own | caused
        tasks |= subtasks | named


@given(history=histories(), limit=st.none() | st.integers(0, 14), newest=st.booleans())
def test_a_story_holds_all_that_belongs_to_it(
    history: list[Made], limit: int | None, newest: bool
) -> None:
    ids = [make_id(BASE_NS + at, at) for at in range(len(history))]
    lines = [
        make_line(
            at,
            id=ids[at],
            time=BASE_NS + at,
            primitive=event.primitive,
            type=event.type,
            target=event.target,
            parent=None if event.parent is None else ids[event.parent],
            links=[ids[cause] for cause in sorted(event.links)] or None,
            data={"subtasks": sorted(listed(event))},
        )
        for at, event in enumerate(history)
    ]
    task = history[0].target or "one"
    subject = Subject(kind="target", name=task)
    wanted = [ids[at] for at in sorted(gathered(history, task))]

    with tempfile.TemporaryDirectory() as name:
        append(Path(name), lines)
        with open_index(Path(name)) as index:
            story = index.ask(
                lambda lookup: tell_story(
                    lookup, index._reader, subject, Query(),
                    limit=limit, newest=newest, note=pytest.fail,
                )
            )  # fmt: skip

    count = len(wanted) if limit is None else min(limit, len(wanted))
    shown = wanted[len(wanted) - count :] if newest else wanted[:count]
    assert [place.id for place in story.shown] == shown
    assert (story.more, story.is_all) == (len(wanted) - count, True)
