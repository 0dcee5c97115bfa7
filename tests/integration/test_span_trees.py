"""Any program of nested, concurrent, failing and blocked spans yields exactly the tree it executed."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import whence
from tests.integration.programs import (
    FOLLOWED,
    IN_PROCESSES,
    IN_THREADS,
    Program,
    Told,
    foretell,
    named,
    programs,
    run,
    tell,
)
from tests.unit.recorder.recording import read_events
from whence.tracing import follow_threads

_PROCESSES_EXAMPLES = 15
"""Each starts several processes."""


def play(program: Program) -> Told:
    """Run a program with a log of its own and tell what that holds."""
    with tempfile.TemporaryDirectory() as folder:
        with whence.open(Path(folder) / "log") as log:
            run(log, program)
            assert log.current_cause() is None
        events = read_events(log.folder)
    by_id = {event.id: event for event in events}
    for event in events:
        above = event
        while above.parent is not None:
            above = by_id[above.parent]
        # Left out only where it is not known, and by a root, which is its own.
        assert event.trace in (None, above.id)
    return tell(events)


@given(program=programs(("tasks",)))
def test_tasks(program: Program) -> None:
    assert play(program) == foretell(program)


@given(program=programs(IN_THREADS))
def test_threads(program: Program) -> None:
    assert play(program) == foretell(program)


@given(program=programs((*IN_THREADS, "tasks")))
def test_threads_and_tasks(program: Program) -> None:
    assert play(program) == foretell(program)


@given(program=programs((*FOLLOWED, "tasks")))
def test_threads_that_are_followed(program: Program) -> None:
    follow_threads()
    try:
        assert play(program) == foretell(program)
    finally:
        follow_threads(False)


@settings(max_examples=_PROCESSES_EXAMPLES)
@given(program=programs((*IN_PROCESSES, "bound", "tasks")))
def test_processes(program: Program) -> None:
    assert play(program) == foretell(program)


TWO = [["span", "span", False, [["event"], ["event"]]]]


def in_span(how: str) -> Program:
    return named([["span", "span", False, [["together", how, [TWO, TWO]]]]])


@pytest.mark.parametrize("how", [*IN_THREADS, *IN_PROCESSES, "tasks"])
def test_each_way_of_doing_two_things_at_once(how: str) -> None:
    assert play(in_span(how)) == foretell(in_span(how))


# --- controls: the comparison goes red without what is claimed to hold --------------------------


class OneStack:
    """One stack for the whole process, as the seed's own code has it, in place of the context."""

    def __init__(self) -> None:
        self.held: list[Any] = []

    def get(self) -> Any:
        return self.held[-1] if self.held else None

    def set(self, cause: Any) -> str:
        self.held.append(cause)
        return "pushed"

    def reset(self, token: str) -> None:
        self.held.pop()


def play_with_one_stack(program: Program, folder: Path) -> Told:
    with whence.open(folder / "log") as log:
        recorder: Any = log.recorder
        recorder.cause_variable = OneStack()
        recorder._cause = recorder.cause_variable.get
        run(log, program)
    return tell(read_events(log.folder))


NESTED = named([["span", "span", False, [["event"], *TWO]]])
WAITING = named([["generator", True, [[["event"]], [["event"]]], [[["event"]], [["event"]]], 1]])


def test_one_stack_for_the_whole_process_goes_red(tmp_path: Path) -> None:
    assert play_with_one_stack(NESTED, tmp_path / "nested") == foretell(NESTED)
    for number, program in enumerate([in_span("tasks"), WAITING]):
        assert play(program) == foretell(program)
        told = play_with_one_stack(program, tmp_path / str(number))
        assert told.keys() == foretell(program).keys()
        assert told != foretell(program)


@pytest.mark.parametrize("how", ["bare", *FOLLOWED])
def test_what_is_not_carried_goes_red(how: str) -> None:
    assert play(in_span(how)) != foretell(in_span("bound"))
