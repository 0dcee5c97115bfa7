"""Outcomes as evidence: the seed's golden figures, and that their order does not matter."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.event import Event, format_time
from whence.learning.evidence import Belief, Fold, believe, fold
from whence.learning.report import make_report
from whence.testing.clock import FixedClock

_START = FixedClock().now_ns
_DAY_NS = 86_400 * 10**9
_ids = itertools.count()


def _event(type: str, data: object, *, key: str | None = "k", at_ns: int = _START) -> Event:
    import msgspec

    return Event(
        id=f"event-{next(_ids)}", time=format_time(at_ns), primitive="trust", type=type,
        target=key, w="w", n=next(_ids), salt="s", payload=msgspec.Raw(msgspec.json.encode(data)),
    )  # fmt: skip


def _outcome(success: bool, weight: float = 1.0, **fields: object) -> Event:
    at_ns = fields.pop("at_ns", _START)
    assert isinstance(at_ns, int)
    return _event("update", {"success": success, "weight": weight, **fields}, at_ns=at_ns)


def _belief(
    events: list[Event], *, at_ns: int = _START, half_life_s: float | None = None
) -> Belief:
    return believe(fold(events, half_life_s).keys.get("k"), at_ns, half_life_s)


def test_ten_outcomes_of_the_seed_give_its_figures() -> None:
    belief = _belief([_outcome(letter == "T") for letter in "TTFTFFTTTF"])

    assert (belief.alpha, belief.beta) == (7.0, 5.0)
    assert belief.trust == pytest.approx(0.58333333333, abs=1e-10)
    assert belief.sample_size == 10
    assert belief.strength == 0.5


def test_ten_of_ten_have_the_exact_interval_and_not_one_beyond_one() -> None:
    low, high = _belief([_outcome(True)] * 10).interval()

    assert (round(low, 3), round(high, 3)) == (0.715, 0.998)


def test_nothing_known_is_the_prior() -> None:
    belief = _belief([])

    assert (belief.trust, belief.sample_size, belief.effective, belief.n) == (0.5, 0, 0, 0)
    assert belief.interval() == pytest.approx((0.025, 0.975), abs=1e-12)
    assert belief.chance_above(0.8) == pytest.approx(0.2)


_outcomes = st.lists(
    st.tuples(
        st.booleans(),
        st.floats(1e-3, 100.0),
        st.integers(0, 30).map(lambda day: _START + day * _DAY_NS),
    ),
    min_size=1,
    max_size=20,
)


@given(outcomes=_outcomes, seed=st.integers(), half_life_s=st.sampled_from([None, 86_400.0, 1e6]))
def test_the_order_of_outcomes_does_not_matter(
    outcomes: list[tuple[bool, float, int]], seed: int, half_life_s: float | None
) -> None:
    events = [_outcome(success, weight, at_ns=at) for success, weight, at in outcomes]
    shuffled = events.copy()
    random.Random(seed).shuffle(shuffled)
    later = _START + 31 * _DAY_NS
    one = _belief(events, at_ns=later, half_life_s=half_life_s)
    other = _belief(shuffled, at_ns=later, half_life_s=half_life_s)

    assert (one.alpha, one.beta, one.effective) == pytest.approx(
        (other.alpha, other.beta, other.effective), rel=1e-9
    )
    assert (one.n, one.last_ns) == (other.n, other.last_ns)


@given(outcomes=_outcomes, half_life_s=st.floats(3_600.0, 1e7))
def test_decay_is_what_its_formula_says(
    outcomes: list[tuple[bool, float, int]], half_life_s: float
) -> None:
    events = [_outcome(success, weight, at_ns=at) for success, weight, at in outcomes]
    now = _START + 40 * _DAY_NS
    aged = [
        (success, weight * 2 ** (-((now - at) / 1e9) / half_life_s))
        for success, weight, at in outcomes
    ]
    belief = _belief(events, at_ns=now, half_life_s=half_life_s)

    assert belief.alpha == pytest.approx(1 + sum(weight for success, weight in aged if success))
    assert belief.beta == pytest.approx(1 + sum(weight for success, weight in aged if not success))


def test_evidence_that_is_ages_old_leaves_the_prior_and_no_infinity() -> None:
    belief = _belief([_outcome(True)], at_ns=_START + 10**18, half_life_s=1.0)

    assert belief.trust == 0.5


def test_an_applied_decay_leaves_the_prior_alone_and_spares_what_is_rare() -> None:
    events = [_outcome(True)] * 8
    decay = _event("decay", {"factor": 0.5, "min_count": 5})

    assert _belief([*events, decay]).alpha == 5.0
    assert _belief([*events[:2], decay]).alpha == 3.0
    assert _belief([*events, _event("decay", {"factor": 0.5, "min_count": 5}, key=None)]).alpha == 5


def test_weights_that_differ_say_less_than_their_number() -> None:
    even = _belief([_outcome(True, 2.0)] * 4)
    uneven = _belief([_outcome(True, 8.0), *[_outcome(True, 0.01)] * 3])

    assert (even.n, even.effective) == (4, 4.0)
    assert uneven.n == 4
    assert 1.0 < uneven.effective < 1.1


def test_trials_of_one_task_are_counted_as_dependent() -> None:
    tasks = ["a", "b", "a", "a", None]
    events = [_outcome(True, task=task) for task in tasks]

    assert _belief(events).repeats == 2
    assert fold([]).keys == {}


@pytest.mark.parametrize(
    "event",
    [
        _event("update", {"success": 1, "weight": 1.0}),
        _event("update", {"success": True, "weight": -1.0}),
        _event("update", {"success": True, "weight": True}),
        _event("update", {"weight": 1.0}),
        _event("update", [True, 1.0]),
        _event("update", {"success": True}, key=None),
        _event("decay", {"factor": 2.0}),
        _event("decay", {"factor": None}),
        _event("import", {"keys": [["k", "many", 1.0]]}),
        _event("import", {"keys": "k"}),
        _event("import", None),
        _event("someone else's", {"success": True}),
    ],
    ids=lambda event: f"{event.type} {event.data}",
)
def test_an_event_that_is_no_update_tells_nothing(event: Event) -> None:
    known = Fold()
    known.add(event)

    assert known.keys == {}


def test_an_import_takes_the_place_of_what_was_known() -> None:
    events = [_outcome(False), _event("import", {"keys": [["k", 9.0, 3.0, 1e9]]}, key=None)]
    belief = _belief([*events, _outcome(True)])

    assert (belief.alpha, belief.beta) == (10.0, 3.0)


def test_every_section_of_a_report_can_be_filled() -> None:
    now = _START + 2 * _DAY_NS
    outcomes = {
        "good": [(True, _START)] * 40,
        "bad": [(False, _START)] * 40,
        "little": [(True, now)],
    }
    beliefs = {
        key: _belief([_outcome(success, at_ns=at) for success, at in each], at_ns=now)
        for key, each in outcomes.items()
    }
    report = make_report(beliefs, now)
    sections = {
        name: [entry["key"] for entry in entries]
        for name, entries in report.items()
        if name != "summary"
    }

    assert sections == {
        "high_trust": ["good"],
        "low_trust": ["bad"],
        "high_confidence": ["bad", "good"],
        "low_confidence": ["little"],
        "recently_updated": ["little"],
        "stale": ["bad", "good"],
    }
    assert report["summary"] == {
        "total_entities": 3,
        "active_entities": 2,
        "avg_trust": 0.5,
        "avg_confidence": pytest.approx(0.9525741268),
    }
    assert set(report["stale"][0]) >= {
        "key", "trust", "confidence", "ci", "sample_size", "last_update"
    }  # fmt: skip
    assert report["stale"][0]["events"] == {"count": 40, "last": beliefs["bad"].last_id}


def test_a_report_of_nothing_has_no_averages_to_divide() -> None:
    assert make_report({}, _START)["summary"]["avg_trust"] == 0.0
