"""The Beta distribution: as exact as SciPy, and as binomial sums in whole numbers."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.learning.scipy_values import QUANTILES, SHARES
from whence.learning.beta import interval, quantile, share_below


@pytest.mark.parametrize(("share", "alpha", "beta", "wanted"), QUANTILES)
def test_quantiles_are_scipys(share: float, alpha: float, beta: float, wanted: float) -> None:
    assert quantile(share, alpha, beta) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize(("x", "alpha", "beta", "wanted"), SHARES)
def test_shares_are_scipys(x: float, alpha: float, beta: float, wanted: float) -> None:
    assert share_below(x, alpha, beta) == pytest.approx(wanted, abs=1e-10)


@given(x=st.fractions(0, 1, max_denominator=50), alpha=st.integers(1, 40), beta=st.integers(1, 40))
def test_shares_of_whole_numbers_are_binomial_sums(x: Fraction, alpha: int, beta: int) -> None:
    trials = alpha + beta - 1
    exact = sum(
        math.comb(trials, k) * x**k * (1 - x) ** (trials - k) for k in range(alpha, trials + 1)
    )

    assert share_below(float(x), alpha, beta) == pytest.approx(float(exact), abs=1e-12)


_parameters = st.floats(0.5, 1e5)


@given(share=st.floats(0.001, 0.999), alpha=_parameters, beta=_parameters)
def test_a_quantile_has_its_share_below(share: float, alpha: float, beta: float) -> None:
    assert share_below(quantile(share, alpha, beta), alpha, beta) == pytest.approx(share, abs=1e-9)


@given(alpha=st.floats(1e-3, 1e9), beta=st.floats(1e-3, 1e9), share=st.floats(0, 1))
def test_any_parameters_have_an_interval_inside_bounds(
    alpha: float, beta: float, share: float
) -> None:
    low, high = interval(alpha, beta)

    assert 0.0 <= low <= high <= 1.0
    assert 0.0 <= quantile(share, alpha, beta) <= 1.0


@pytest.mark.parametrize(
    ("credible", "beta"),
    [*itertools.product([1e-9, 0.5, 0.95, 0.999], [1e3, 1e9]), (1e-9, 1e15), (0.5, 1e15)],
)
def test_both_ends_are_exact_where_nearly_all_failed(credible: float, beta: float) -> None:
    low, high = interval(1.0, beta, credible)
    outside = (1 - credible) / 2

    # For Beta(1, b) the share below x is 1 - (1 - x)^b.
    assert low == pytest.approx(-math.expm1(math.log1p(-outside) / beta), rel=1e-8, abs=0)
    assert high == pytest.approx(-math.expm1(math.log(outside) / beta), rel=1e-8, abs=0)


def test_the_ends_are_the_ends() -> None:
    assert (quantile(0.0, 2, 3), quantile(1.0, 2, 3)) == (0.0, 1.0)
    assert (share_below(-1, 2, 3), share_below(2, 2, 3)) == (0.0, 1.0)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_wrong_parameters_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="alpha is"):
        quantile(0.5, wrong, 1)
    with pytest.raises(ValueError, match="beta is"):
        share_below(0.5, 1, wrong)
    with pytest.raises(ValueError, match="share is"):
        interval(1, 1, wrong + 1 if wrong == 0 else wrong)
    with pytest.raises(ValueError, match="share is"):
        quantile(wrong - 0.5, 1, 1)
