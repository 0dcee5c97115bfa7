"""What events say of change, and how it is gathered and thinned."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.event import Event
from whence.learning.changes import Course, gather, read_change, thin


def _event(event_type: str, data: Any, number: int = 0, **fields: Any) -> Event:
    return Event(
        id=f"e{number}", time=f"2026-11-20T19:27:35.{number:09d}Z", primitive="learning",
        w="w", n=number, type=event_type, payload=msgspec.Raw(msgspec.json.encode(data)), **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event_type", "data", "kind", "name", "before", "value"),
    [
        ("variable_weight_update", {"variable": "v", "from": 1, "to": 2}, "variable", "v", 1, 2),
        ("overlay_shift", {"overlay": "hope", "old_value": 0.1, "new_value": 0}, "overlay", "hope", 0.1, 0),
        ("capital_shift", {"asset": "btc", "old_value": 1, "new_value": 2}, "capital", "btc", 1, 2),
        ("rule_activation", {"rule_id": "r", "success": True}, "rule", "r", None, 1),
        ("rule_activation", {"rule_id": 7, "success": False}, "rule", "7", None, 0),
        ("rule_effectiveness", {"rule_id": "r", "success_rate": 0.5}, "effectiveness", "r", None, 0.5),
        ("bayesian_trust_metrics", {"key": "k", "trust": 0.25}, "trust", "k", None, 0.25),
        ("forecast_scored", {"forecast_id": "f", "score": 0.75}, "forecast", "f", None, 0.75),
        ("symbolic_upgrade_applied", {"changes": {}}, "event", "symbolic_upgrade_applied", None, None),
        ("variable_weight_update", {}, "event", "variable_weight_update", None, None),
        ("variable_weight_update", [1], "event", "variable_weight_update", None, None),
        ("variable_weight_update", {"variable": "v", "to": "x"}, "variable", "v", None, None),
        ("variable_weight_update", {"variable": "v", "to": 10**400}, "variable", "v", None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_change_says_what_it_is_of(
    event_type: str, data: Any, kind: str, name: str, before: Any, value: Any, is_wrapped: bool
) -> None:
    change = read_change(_event(event_type, {"data": data} if is_wrapped else data))

    assert change is not None
    assert (change.kind, change.name, change.before, change.value) == (kind, name, before, value)


def test_a_step_and_an_event_of_another_primitive_are_no_change() -> None:
    assert read_change(_event("variable_weight_update", {}, duration=5)) is None
    assert read_change(msgspec.structs.replace(_event("x", {}), primitive="ops")) is None


def test_courses_stand_by_kind_and_those_that_changed_most_first() -> None:
    told = [
        ("rule_activation", {"rule_id": "r", "success": True, "variable_id": "v"}),
        ("rule_activation", {"rule_id": "r", "success": False}),
        ("variable_weight_update", {"variable": "b", "from": 0.5, "to": 1}),
        ("variable_weight_update", {"variable": "a", "from": 1, "to": 2}),
        ("variable_weight_update", {"variable": "b", "from": 1, "to": 3}),
    ]
    events = [_event(*each, number) for number, each in enumerate(told)]
    courses = gather(change for event in events if (change := read_change(event)))

    assert [(one.kind, one.name, one.size) for one in courses] == [
        ("variable", "b", 2), ("variable", "a", 1), ("rule", "r", 2),
    ]  # fmt: skip
    assert (courses[0].first, courses[0].last) == (0.5, 3)
    assert [value for _, value, _ in courses[2].points] == [1.0, 0.5]
    assert [event_id for _, _, event_id in courses[2].points] == ["e0", "e1"]


def test_of_a_long_course_the_newest_points_are_kept_and_all_are_counted() -> None:
    course = Course("variable", "v", kept=3)
    for number in range(10):
        change = read_change(
            _event("variable_weight_update", {"variable": "v", "to": number}, number)
        )
        assert change is not None
        course.add(change)

    assert (course.size, course.first, course.last, len(course.points)) == (10, 0, 9, 3)


@given(st.lists(st.none() | st.floats(-1e9, 1e9), max_size=300), st.integers(2, 40))
def test_thinning_keeps_both_ends_the_extremes_and_only_what_was_there(
    values: list[float | None], most: int
) -> None:
    points = [(number, value, f"e{number}") for number, value in enumerate(values)]
    known = [(when, value, event_id) for when, value, event_id in points if value is not None]
    kept = thin(points, most)

    assert len(kept) <= max(most, 4)
    assert set(kept) <= set(known)
    assert kept == sorted(kept)
    if known:
        assert (kept[0], kept[-1]) == (known[0], known[-1])
        for best in (min, max):
            assert best(value for _, value, _ in kept) == best(value for _, value, _ in known)
