"""From what a run was and what came of its executions to a verdict."""

from typing import Any

import pytest

from whence.runs.capturing import CapturedStep
from whence.runs.compare import Tolerance
from whence.runs.digest import digest
from whence.runs.judging import Doing, Word, compare_doings, judge, say_difference

_ANY = Tolerance("output.note", anything=True)


def did(
    output: Any, *states: Any, is_kept: bool = True, id: str | None = None, has_steps: bool = True
) -> Doing:
    steps = tuple(
        CapturedStep(
            name="turn", digest=digest(state), state=state if is_kept else None, has_state=is_kept
        )
        for state in states
    )
    return Doing(id=id, steps=steps if has_steps else None, output=output)


@pytest.mark.parametrize(
    ("recorded", "first", "second", "word"),
    [
        ({"x": 1}, {"x": 1}, {"x": 1}, "IDENTICAL"),
        ({"x": 1}, {"x": 2}, {"x": 2}, "ENVIRONMENT_CHANGED"),
        ({"x": 1}, {"x": 1}, {"x": 2}, "NOT_DETERMINISTIC"),
        ({"x": 1}, {"x": 2}, {"x": 1}, "NOT_DETERMINISTIC"),
        ({"note": 1}, {"note": 2}, {"note": 2}, "WITHIN_TOLERANCE"),
        ({"note": 1}, {"note": 1}, {"note": 2}, "WITHIN_TOLERANCE"),
        ({"note": 1}, {"note": 2}, {"note": 3}, "WITHIN_TOLERANCE"),
        ({"x": 1}, {"x": 1.0}, {"x": 1.0}, "ENVIRONMENT_CHANGED"),
    ],
)
def test_the_word_says_what_is_unlike_what(
    recorded: Any, first: Any, second: Any, word: Word
) -> None:
    found, _ = judge(did(recorded), [did(first), did(second)], [_ANY], "ENVIRONMENT_CHANGED")

    assert found == word


def test_of_what_is_not_deterministic_the_executions_are_told() -> None:
    word, found = judge(did(1), [did(2), did(2), did(3)], [], "DIVERGED")

    assert word == "NOT_DETERMINISTIC"
    assert [say_difference(each) for each in found.differences] == ["output was 2, is 3"]


def test_steps_come_before_what_came_out() -> None:
    found = compare_doings(did(1, {"hope": 1}, {"hope": 2}), did(2, {"hope": 1}, {"hope": 3}))

    assert [say_difference(each) for each in found.differences] == [
        "steps[1].state.hope was 2, is 3",
        "output was 1, is 2",
    ]


def test_steps_whose_states_were_not_kept_are_compared_by_their_digests() -> None:
    found = compare_doings(did(1, {"hope": 1}, is_kept=False), did(1, {"hope": 2}))

    (difference,) = found.differences
    assert difference.path == ("steps", 0, "digest")
    assert (difference.left, difference.right) == (digest({"hope": 1}), digest({"hope": 2}))


def test_of_steps_that_one_has_more_the_first_is_told() -> None:
    more = compare_doings(did(1, 1), did(1, 1, 2, 3))
    fewer = compare_doings(did(1, 1, 2, 3), did(1, 1))

    assert [say_difference(each) for each in more.differences] == [
        'steps[1] was not there, is {"step": "turn"}'
    ]
    assert [say_difference(each) for each in fewer.differences] == [
        'steps[1] was {"step": "turn"}, is not there'
    ]


def test_a_runner_that_records_nothing_is_held_to_what_it_says() -> None:
    whole = {"overlays": {}, "variables": {}, "trust": 1, "forks": []}

    assert compare_doings(did(whole, 1), did({"trust": 1}, has_steps=False)).is_same
    assert not compare_doings(did(whole, 1), did({"trust": 1}, 1)).is_same
    assert not compare_doings(did(whole), did({"trust": 2}, has_steps=False)).is_same
    forked = {**whole, "forks": [1]}
    assert not compare_doings(did(forked), did({"trust": 1}, has_steps=False)).is_same


def test_the_id_of_a_run_is_its_own() -> None:
    one, other = did({"id": "run-1"}, id="run-1"), did({"id": "run-2"}, id="run-2")

    assert compare_doings(one, other).is_same
    assert not compare_doings(one, did({"id": "run-3"}, id="run-2")).is_same
