"""Overlays and capital move by their laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.laws import (
    adjust_overlay,
    decay_overlay,
    find_conflicts,
    is_close,
    move_capital,
)

_OVERLAY = st.floats(0, 1)
_NUMBER = st.floats(-1e9, 1e9)


@given(value=_OVERLAY, rate=st.floats(0, 10))
def test_decay_only_takes_away_and_ends_at_zero(value: float, rate: float) -> None:
    assert 0 <= decay_overlay(value, rate) <= value


def test_decay_takes_its_rate() -> None:
    assert is_close(decay_overlay(0.5, 0.2), 0.3, 1e-12)
    assert decay_overlay(0.1, 0.2) == 0


@given(value=_OVERLAY, delta=_NUMBER)
def test_an_adjusted_overlay_stays_within_its_bounds(value: float, delta: float) -> None:
    assert 0 <= adjust_overlay(value, delta) <= 1


@pytest.mark.parametrize(
    ("value", "delta", "wanted"), [(0.5, 0.2, 0.7), (0.9, 0.2, 1), (0.1, -0.2, 0)]
)
def test_an_adjustment_is_added(value: float, delta: float, wanted: float) -> None:
    assert is_close(adjust_overlay(value, delta), wanted, 1e-12)


def test_capital_has_no_bounds() -> None:
    assert move_capital(10, -25) == -15


def test_opposites_conflict_where_both_are_dominant() -> None:
    overlays = {"hope": 0.65, "despair": 0.9, "rage": 0.7, "fatigue": 0.64}

    assert find_conflicts(overlays) == [("hope", "despair")]
    assert find_conflicts(overlays, 0.6) == [("hope", "despair"), ("rage", "fatigue")]
    assert find_conflicts({"hope": 1.0}) == []


def test_what_differs_by_more_than_rounding_is_not_close() -> None:
    assert is_close(0.1 + 0.2, 0.3, 1e-9)
    assert is_close(1e12 + 0.01, 1e12, 1e-9)
    assert not is_close(0.31, 0.3, 1e-9)
    assert not is_close(1e12 + 1, 1e12, 1e-9)
