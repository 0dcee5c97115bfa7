"""The Beta distribution: its share below a point, and the point below which a share lies. Pure.

Exact to about 1e-12, and 1e-10 for the largest counts, without a library of statistics: the continued fraction of Lentz for the regularised
incomplete beta function (DLMF 8.17.22), and Newton's steps kept inside a bracket for its inverse.
"""

import math
from functools import lru_cache

_TINY = 1e-300
_CLOSE = 2.0**-52
_STEP_MIN = 1e-7
_SERIES_MIN = 1e-90
"""Below it the squares of the series would be nothing."""
_LAST_TERM = 1e-8
"""Of the step, as the next term is smaller by as much as this one is than the one before."""
_NEARLY_ALL = 1.0 - 2.0**-53
_TERMS_MAX = 100_000
_STEPS_MAX = 200
_KEPT = 131_072
"""Whole numbers of outcomes repeat: many keys of a report share their figures."""

CREDIBLE = 0.95
"""How much of the distribution an interval holds where nobody says."""


def share_below(x: float, alpha: float, beta: float) -> float:
    """The probability that what is distributed as Beta(alpha, beta) is at most `x`.

    Raises:
        ValueError: a parameter is not a finite number above 0.
    """
    _check(alpha, beta)
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    return _share(x, alpha, beta, _log_beta(alpha, beta))


@lru_cache(maxsize=_KEPT)
def interval(alpha: float, beta: float, credible: float = CREDIBLE) -> tuple[float, float]:
    """The interval that holds `credible` of Beta(alpha, beta), with as much left out below as above.

    Raises:
        ValueError: a parameter is not a finite number above 0, or the share is not inside (0, 1).
    """
    if not 0.0 < credible < 1.0:
        raise ValueError(f"credible share is {credible}, want one between 0 and 1")
    outside = (1.0 - credible) / 2
    low, high = quantile(outside, alpha, beta), _quantile_above(outside, alpha, beta)
    # Where next to nothing lies between them, rounding may have put them the wrong way round.
    return min(low, high), max(low, high)


def quantile(share: float, alpha: float, beta: float) -> float:
    """The point below which `share` of Beta(alpha, beta) lies.

    Raises:
        ValueError: a parameter is not a finite number above 0, or the share is outside [0, 1].
    """
    _check(alpha, beta)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}, want one from 0 to 1")
    if share in (0.0, 1.0):
        return share
    guess = _guess(share, alpha, beta)
    if guess > 0.5:
        # From the nearer end, where what is small is still exact.
        return 1.0 - _invert(min(1.0 - share, _NEARLY_ALL), beta, alpha, 1.0 - guess)
    return _invert(share, alpha, beta, guess)


def _quantile_above(share: float, alpha: float, beta: float) -> float:
    """The point above which a share lies, from the end that it is near to, where what is small is still exact."""
    _check(alpha, beta)
    guess = _guess(share, beta, alpha)
    if guess > 0.5:
        return _invert(min(1.0 - share, _NEARLY_ALL), alpha, beta, 1.0 - guess)
    return 1.0 - _invert(share, beta, alpha, guess)


def _invert(share: float, alpha: float, beta: float, guess: float) -> float:
    log_beta = _log_beta(alpha, beta)
    low, high = 0.0, 1.0
    x = max(guess, _TINY)
    for _ in range(_STEPS_MAX):
        error = _share(x, alpha, beta, log_beta) - share
        if error > 0.0:
            high = x
        else:
            low = x
        log_density = (alpha - 1) * math.log(x) + (beta - 1) * math.log1p(-x) - log_beta
        closer = -1.0
        if -700 < log_density < 700:
            step = error / math.exp(log_density)
            closer, is_there = _step(x, step, alpha, beta)
            if is_there and low <= closer <= high:
                return closer
        if not low <= closer <= high:
            closer = _between(low, high)
        elif abs(closer - x) <= _STEP_MIN * closer:
            # The steps shrink with their cube: the next would change nothing.
            return closer
        if high - low <= _CLOSE * high or closer in (0.0, 1.0):
            return closer
        x = closer
    return x


def _step(x: float, step: float, alpha: float, beta: float) -> tuple[float, bool]:
    """Where a step of Newton's leads once the density's slopes are looked at, and whether that is the end.

    The terms are those of the inverse function's series (Schröder's), whose slopes cost no evaluation. Where they shrink
    so quickly that the next would change nothing, this is the end.
    """
    rest = 1.0 - x
    up, down = (alpha - 1) / x, (beta - 1) / rest
    slope = up - down
    bend = slope * step / 2
    if abs(bend) < 0.05 and x > _SERIES_MIN:
        turn = -up / x - down / rest
        second = slope * slope + turn
        third = slope * (second + 2 * turn) + 2 * (up / (x * x) - down / (rest * rest))
        cubic = (3 * slope * slope - second) / 6 * step * step
        quartic = (15 * slope**3 - 10 * slope * second + third) / 24 * step**3
        closer = x - step * (1.0 + bend + cubic + quartic)
        return closer, abs(quartic) < _LAST_TERM and abs(cubic) < _LAST_TERM ** (2 / 3)
    # Halley's, which does not overshoot.
    return x - step / (1.0 - bend if abs(bend) < 0.5 else 1.0), False


def _between(low: float, high: float) -> float:
    """A point inside a bracket; by orders of magnitude where it reaches far towards 0."""
    if high < 1e-3:
        return max(math.sqrt(max(low, _TINY) * high), low)
    return (low + high) / 2


def _guess(share: float, alpha: float, beta: float) -> float:
    """Where to begin: as if normal where both are large, else by the end that the share is near to."""
    if alpha >= 1.0 and beta >= 1.0:
        # Abramowitz and Stegun 26.2.22 and 26.5.22.
        small = max(min(share, 1.0 - share), _TINY)
        t = math.sqrt(-2.0 * math.log(small))
        z = (2.30753 + t * 0.27061) / (1.0 + t * (0.99229 + t * 0.04481)) - t
        z = z if share < 0.5 else -z
        lam = (z * z - 3.0) / 6.0
        h = 2.0 / (1.0 / (2.0 * alpha - 1.0) + 1.0 / (2.0 * beta - 1.0))
        w = -z * math.sqrt(h + lam) / h if h + lam > 0.0 else 0.0
        w -= (1.0 / (2.0 * beta - 1.0) - 1.0 / (2.0 * alpha - 1.0)) * (
            lam + 5.0 / 6.0 - 2.0 / (3.0 * h)
        )
        found = alpha / (alpha + beta * math.exp(min(2.0 * w, 700.0)))
    else:
        log_found = (math.log(share) + math.log(alpha) + _log_beta(alpha, beta)) / alpha
        found = math.exp(min(max(log_found, -700.0), 0.0))
    return min(max(found, 0.0), 1.0)


def _share(x: float, alpha: float, beta: float, log_beta: float) -> float:
    front = math.exp(alpha * math.log(x) + beta * math.log1p(-x) - log_beta)
    # On this side of the mean the fraction settles quickly.
    if x < (alpha + 1.0) / (alpha + beta + 2.0):
        return front * _fraction(x, alpha, beta) / alpha
    return 1.0 - front * _fraction(1.0 - x, beta, alpha) / beta


def _fraction(x: float, alpha: float, beta: float) -> float:
    whole, below, above = alpha + beta, alpha - 1.0, alpha + 1.0
    c, d = 1.0, 1.0 - whole * x / above
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    found = d
    for term in range(1, _TERMS_MAX):
        twice = 2 * term
        # Two terms at a time: those of even and of odd number.
        part = term * (beta - term) * x / ((below + twice) * (alpha + twice))
        d = 1.0 + part * d
        c = 1.0 + part / c
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = c if abs(c) > _TINY else _TINY
        found *= d * c
        part = -(alpha + term) * (whole + term) * x / ((alpha + twice) * (above + twice))
        d = 1.0 + part * d
        c = 1.0 + part / c
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = c if abs(c) > _TINY else _TINY
        found *= d * c
        if abs(d * c - 1.0) <= _CLOSE:
            break
    return found


def _log_beta(alpha: float, beta: float) -> float:
    """The logarithm of B(alpha, beta), also where the three terms are large and nearly cancel."""
    small, large = sorted((alpha, beta))
    if large < 50.0:
        return math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta)
    # Stirling's series for the large ones (DLMF 5.11.1), so that what cancels is never made.
    rest = _stirling_rest(large) - _stirling_rest(large + small)
    if small < 50.0:
        turn = (large - 0.5) * math.log1p(small / large)
        return math.lgamma(small) + rest + small - turn - small * math.log(large + small)
    rest += _stirling_rest(small)
    return (
        0.5 * math.log(2 * math.pi)
        + rest
        - 0.5 * math.log(large)
        - (small - 0.5) * math.log1p(large / small)
        - large * math.log1p(small / large)
    )


def _stirling_rest(x: float) -> float:
    y = 1.0 / (x * x)
    return (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))) / x


def _check(alpha: float, beta: float) -> None:
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not (value > 0.0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value}, want a finite number above 0")
