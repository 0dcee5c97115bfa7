"""What does not fit is named by its rule; what fits is not. The same events without a rule's fault are each row's control."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from whence.event import Event
from whence.learning import bayesian_trust_tracker as tracker
from whence.learning import (
    generate_trust_report,
    log_bayesian_trust_metrics,
    log_learning_event,
)
from whence.learning.checking import Check, differ
from whence.learning.evidence import Evidence, believe, fold
from whence.learning.history import check_log
from whence.learning.state import FILE_NAME
from whence.learning.trust import read_courses
from whence.log import default

WEIGHT, OVERLAY, CAPITAL = "variable_weight_update", "overlay_shift", "capital_shift"


def _weight(before: object, after: object) -> tuple[str, dict[str, Any]]:
    return WEIGHT, {"variable": "v", "from": before, "to": after}


def _overlay(before: object, after: object, **more: object) -> tuple[str, dict[str, Any]]:
    return OVERLAY, {"overlay": "hope", "old_value": before, "new_value": after, **more}


def _capital(before: object, after: object, delta: object) -> tuple[str, dict[str, Any]]:
    return CAPITAL, {"asset": "btc", "old_value": before, "new_value": after, "delta": delta}


def _rules_of(*events: tuple[str, Any]) -> list[str]:
    for event_type, data in events:
        log_learning_event(event_type, data)
    return [misfit.rule for misfit in check_log(default()).misfits]


def _wait_5_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on it is five seconds later, and stays so."""
    later = default().recorder.clock() + 5_000_000_000
    monkeypatch.setattr(default().recorder, "clock", lambda: later)


@pytest.mark.parametrize(
    ("rule", "wrong", "right"),
    [
        ("continuity", [_weight(0.1, 0.2), _weight(0.3, 0.4)], [_weight(0.1, 0.2), _weight(0.2, 0.4)]),
        ("continuity", [_overlay(0.1, 0.2), _overlay(0.3, 0.4)], [_overlay(0.1, 0.2), _overlay(0.2, 0.4)]),
        ("continuity", [_capital(1, 3, 2), _capital(4, 5, 1)], [_capital(1, 3, 2), _capital(3, 4, 1)]),
        ("decay", [_overlay(0.5, 0.1, shift_type="decay", rate=0.1)],
         [_overlay(0.5, 0.4, shift_type="decay", rate=0.1)]),
        ("decay", [_overlay(0.05, -0.0, shift_type="decay", rate=0.01)],
         [_overlay(0.05, 0.0, shift_type="decay", rate=0.2)]),
        ("adjustment", [_overlay(0.9, 0.95, shift_type="adjustment", delta=0.3)],
         [_overlay(0.9, 1.0, shift_type="adjustment", delta=0.3)]),
        ("bounds", [_overlay(0.9, 1.2)], [_overlay(0.9, 1.0)]),
        ("capital", [_capital(100, 80, -10)], [_capital(100, 90, -10)]),
        ("capital", [_capital(1e12, 1e12 + 100, -800)], [_capital(1e12, 1e12 - 800, -800)]),
        ("capital", [_capital(1e12, 0.3, 0.2 - 1e12)], [_capital(1e12, 0.3, 0.3 - 1e12)]),
        ("continuity", [_capital(0, 1e12, 1e12), _capital(1e12 + 900, 1e12 + 900, 0)],
         [_capital(0, 1e12, 1e12), _capital(1e12, 1e12 + 900, 900)]),
        ("shape", [_weight("a lot", 0.2)], [_weight(0.1, 0.2)]),
        ("shape", [_weight(0.1, None)], [_weight(0.1, 0)]),
        ("shape", [_weight(0.1, 10**400)], [_weight(0.1, 10**40)]),
        ("shape", [_overlay(0.1, 0.2, shift_type="leap")], [_overlay(0.1, 0.2, shift_type=None)]),
        ("shape", [("rule_activation", {"rule_id": "r", "success": "yes"})],
         [("rule_activation", {"rule_id": "r", "success": False})]),
        ("shape", [("rule_effectiveness", {"rule_id": "r", "success_rate": "high"})],
         [("rule_effectiveness", {"rule_id": "r", "success_rate": 0})]),
        ("bounds", [("rule_effectiveness", {"rule_id": "r", "success_rate": 1.5})],
         [("rule_effectiveness", {"rule_id": "r", "success_rate": 1})]),
    ],
)  # fmt: skip
def test_what_breaks_a_law_is_named_and_what_keeps_it_is_not(
    rule: str, wrong: list[Any], right: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _rules_of(*wrong) == [rule]

    whence.close()
    (tmp_path / "sound").mkdir()
    monkeypatch.chdir(tmp_path / "sound")
    assert _rules_of(*right) == []


def test_each_misfit_names_its_event_and_what_was_wanted() -> None:
    log_learning_event(*_capital(100, 80, -10))
    [misfit] = check_log(default()).misfits
    [event] = default().events(whence.Query(primitive="learning"))

    assert (misfit.event_id, misfit.about) == (event.id, "btc")
    assert "want 90" in misfit.message


def test_figures_of_the_one_tracker_fit_and_those_of_another_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker.batch_update({"rule": [(letter == "T", 1.0) for letter in "TTFTFFTTTF"]})
    log_bayesian_trust_metrics("rule")
    assert _rules_of() == []

    # The seed's fault: the log read a tracker that learning never updated.
    _wait_5_s(monkeypatch)
    wrong = {
        "key": "rule", "kind": "variable", "trust": 0.5, "confidence_interval": [0.025, 0.975],
        "confidence_strength": 0.27, "sample_size": 0,
    }  # fmt: skip
    assert _rules_of(("bayesian_trust_metrics", wrong)) == ["trust"]


def test_a_cached_first_figure_does_not_fit_once_an_outcome_is_older_than_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker.batch_update({"rule": [(True, 1.0)]})
    log_bayesian_trust_metrics("rule")
    [told] = [event.data["data"] for event in default().events(whence.Query(primitive="learning"))]
    tracker.update("rule", False)
    _wait_5_s(monkeypatch)

    assert _rules_of(("bayesian_trust_metrics", told)) == ["trust"]


def test_figures_asked_for_just_before_an_outcome_came_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    _wait_5_s(monkeypatch)
    tracker.batch_update({"rule": [(True, 1.0)]})
    told = {
        "key": "rule", "trust": tracker.get_trust("rule"), "sample_size": 1.0,
        "confidence_interval": list(tracker.get_confidence_interval("rule")),
    }  # fmt: skip
    tracker.update("rule", False)

    assert _rules_of(("bayesian_trust_metrics", told)) == []


def test_figures_of_evidence_that_ages_fit(tmp_path: Path) -> None:
    whence.close()
    (tmp_path / ".whence").mkdir(exist_ok=True)
    (tmp_path / ".whence" / "whence.toml").write_text("[learning]\nhalf_life = 2\n")
    tracker.batch_update({"rule": [(True, 1.0)] * 5})
    log_bayesian_trust_metrics("rule")

    assert _rules_of() == []


@pytest.mark.parametrize(
    ("event_type", "target", "data"),
    [
        ("update", "k", {"success": "yes"}),
        ("update", "k", {"success": True, "weight": -1}),
        ("update", None, {"success": True}),
        ("update", "k", [1]),
        ("decay", None, {"factor": 3}),
        ("decay", None, {"factor": 0.5, "min_count": "few"}),
        ("import", None, {"keys": [["k", "many", 1]]}),
        ("import", None, {}),
        ("leap", "k", {}),
    ],
)
def test_a_trust_event_that_tells_nothing_is_named(
    event_type: str, target: str | None, data: Any
) -> None:
    whence.emit("trust", event_type, target=target, data=data, wait=True)

    assert _rules_of() == ["shape"]
    assert tracker.keys() == []


def test_what_is_private_tells_nothing_and_what_follows_may_begin_anywhere() -> None:
    log_learning_event(*_weight(0.1, 0.2))
    whence.emit("learning", WEIGHT, target="v", data={"data": {}}, private=True)
    log_learning_event(*_weight(0.7, 0.8))
    whence.emit("trust", "update", target="k", data={"success": True}, private=True)
    check = check_log(default())

    assert (check.misfits, check.untold, check.learning, check.trust) == ([], 2, 3, 1)


def _metrics(key: str, trust: float, n: float) -> tuple[str, dict[str, Any]]:
    return "bayesian_trust_metrics", {
        "key": key, "trust": trust, "sample_size": n, "confidence_interval": [0.1, 0.2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event_type", "target"),
    [("update", "k"), ("decay", "k"), ("decay", None), ("import", None)],
)
def test_figures_of_what_is_untold_are_not_judged_until_the_key_is_imported_anew(
    event_type: str, target: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.update("k", True)
    tracker.update("other", True)
    whence.emit("trust", event_type, target=target, data={"factor": 1.0}, private=True)
    _wait_5_s(monkeypatch)
    assert _rules_of(_metrics("k", 0.9, 3)) == []
    assert _rules_of(_metrics("other", 0.9, 3)) == ([] if target is None else ["trust"])

    whence.emit("trust", "import", data={"keys": [["k", 2, 1], ["other", 2, 1]]}, wait=True)
    _wait_5_s(monkeypatch)
    assert "trust" in _rules_of(_metrics("k", 0.9, 3))


@pytest.mark.parametrize(
    ("strength", "rules"), [(0.5, []), (None, []), (1.0, ["trust"]), ("high", ["shape"])]
)
def test_a_claimed_strength_is_one_of_the_figures(strength: object, rules: list[str]) -> None:
    tracker.batch_update({"rule": [(True, 1.0)] * 10})
    figures = {
        "key": "rule", "trust": 11 / 12, "sample_size": 10, "confidence_strength": strength,
        "confidence_interval": list(tracker.get_confidence_interval("rule")),
    }  # fmt: skip

    assert _rules_of(("bayesian_trust_metrics", figures)) == rules


def test_a_report_is_of_as_many_keys_as_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker.batch_update({"a": [(True, 1.0)], "b": [(True, 1.0)]})
    generate_trust_report()
    _wait_5_s(monkeypatch)
    generate_trust_report()
    # Asked for before the newest key came, and recorded after.
    tracker.update("c", True)
    assert _rules_of(("trust_report_generated", {"summary": {"total_entities": 2}})) == []

    assert _rules_of(("trust_report_generated", {"summary": {"total_entities": 99}})) == ["trust"]
    assert "shape" in _rules_of(("trust_report_generated", {"summary": 5}))


def test_a_step_of_the_learning_layer_is_no_learning_event() -> None:
    with whence.span("learning.variable_weight_update", input="x"):
        pass

    assert _rules_of() == []


def test_a_snapshot_that_is_not_what_the_journal_comes_to_is_named(tmp_path: Path) -> None:
    tracker.batch_update({"rule": [(True, 1.0)] * 3, "other": [(True, 1.0)]})
    tracker.save_snapshot()
    assert _rules_of() == []

    # Somebody edits an outcome that the snapshot has taken in.
    [segment] = (tmp_path / ".whence" / "journal").iterdir()
    lines = segment.read_bytes()
    with open(segment, "r+b") as file:
        file.write(lines.replace(b'{"success":true', b'{"success":null', 1))
    misfits = check_log(default()).misfits

    assert [(one.rule, one.about) for one in misfits if one.rule == "snapshot"] == [
        ("snapshot", "rule")
    ]
    os.unlink(tmp_path / ".whence" / FILE_NAME)


def test_states_differ_in_the_keys_that_say_something_else() -> None:
    one = {"a": Evidence(successes=1, n=1), "b": Evidence(successes=1, n=1), "c": Evidence(n=1)}
    other = {"a": Evidence(successes=1 + 1e-12, n=1), "b": Evidence(failures=1, n=1)}

    assert differ(one, other) == ["b", "c"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 3), ("successes", 3.0), ("failures", 1e-9), ("squares", 1e-9), ("last_ns", 6),
        ("last_id", "y"), ("repeats", 1), ("tasks", {"t": 5}), ("ref_ns", 2**62),
    ],
)  # fmt: skip
def test_states_differ_in_all_that_is_told_of_a_key(field: str, value: Any) -> None:
    fields: dict[str, Any] = {
        "successes": 2.0, "squares": 2.0, "n": 2, "ref_ns": 5, "last_ns": 5, "last_id": "x",
    }  # fmt: skip
    one, other = Evidence(**fields), Evidence(**{**fields, field: value})

    assert differ({"k": one}, {"k": one}, ages=True) == []
    assert differ({"k": one}, {"k": other}, ages=True) == ["k"]
    # Where nothing ages the sums are of no moment.
    assert differ({"k": one}, {"k": other}) == ([] if field == "ref_ns" else ["k"])


_json = st.recursive(
    st.none() | st.booleans() | st.sampled_from([10**400, -(10**400), 1e300, 5e-324, 0, -1, 2**63]) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
_names = st.sampled_from(
    ["variable", "from", "to", "overlay", "old_value", "new_value", "rate", "delta", "shift_type",
     "key", "trust", "sample_size", "confidence_interval", "success", "success_rate", "weight",
     "factor", "keys", "data"]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["learning", "trust"]),
            st.sampled_from(
                [WEIGHT, OVERLAY, CAPITAL, "bayesian_trust_metrics", "rule_activation",
                 "rule_effectiveness", "update", "decay", "import", "other"]
            ),
            st.none() | st.sampled_from(["a", "b"]),
            st.dictionaries(_names, _json, max_size=6) | _json,
        ),
        max_size=8,
    )
)  # fmt: skip
def test_nothing_that_was_recorded_makes_the_check_fail(events: list[Any]) -> None:
    check = Check()
    for number, (primitive, event_type, target, data) in enumerate(events):
        check.add(
            Event(
                id=f"e{number}", time=f"2026-11-20T19:27:35.{number:09d}Z", primitive=primitive,
                w="w", n=number, type=event_type, target=target, payload=msgspec.Raw(msgspec.json.encode(data)),
            )
        )  # fmt: skip

    assert check.learning + check.trust == len(events)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["update", "decay", "import"]),
            st.none() | st.sampled_from(["a", "b"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "success": st.booleans() | _json, "weight": _json, "factor": _json,
                    "min_count": _json, "task": _json,
                    "keys": st.lists(st.tuples(st.sampled_from("ab"), _json, _json, _json,
                                               st.lists(st.tuples(_json, _json), max_size=2)), max_size=3),
                },
            ),
        ),
        max_size=8,
    ),
    st.none() | st.sampled_from([0.001, 1.0, 1e9]),
)  # fmt: skip
def test_nothing_that_was_recorded_keeps_trust_from_being_told(
    events: list[Any], half_life_s: float | None
) -> None:
    made = [
        Event(
            id=f"e{number}", time=f"2026-11-20T19:27:35.{number:09d}Z", primitive="trust", w="w",
            n=number, type=event_type, target=target, payload=msgspec.Raw(msgspec.json.encode(data)),
        )
        for number, (event_type, target, data) in enumerate(events)
    ]  # fmt: skip
    folded = fold(made, half_life_s)
    for evidence in folded.keys.values():
        low, high = believe(evidence, 2**61, half_life_s).interval()
        assert 0 <= low <= high <= 1
    for course in read_courses(made, half_life_s).values():
        assert all(0 <= trust <= 1 for _, trust, _ in course)
