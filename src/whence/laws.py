"""The laws by which overlays and capital move, from one turn of a simulation to the next. Pure.

An overlay is a feeling of the simulated crowd, from 0 to 1; capital is money per asset. Those who
check what was recorded and those who learn from it go by the same arithmetic.
"""

import math
from collections.abc import Mapping

CORE_OVERLAYS = ("hope", "despair", "rage", "fatigue", "trust")
"""The overlays that every simulation of the seed's kind has."""

OVERLAY_MIN = 0.0
OVERLAY_MAX = 1.0

DOMINANT = 0.65
"""From this value on an overlay sets the tone."""

OPPOSITES = (("hope", "despair"), ("rage", "fatigue"))
"""Overlays that cannot both set the tone."""

_CLOSE = 64 * 2.0**-52
"""Some of the smallest steps between two numbers: what adding up many in another order comes to."""


def decay_overlay(value: float, rate: float) -> float:
    """What a turn leaves of an overlay that nothing feeds."""
    return max(OVERLAY_MIN, value - rate)


def adjust_overlay(value: float, delta: float) -> float:
    """An overlay after a push in either direction; it stays within its bounds."""
    return min(OVERLAY_MAX, max(OVERLAY_MIN, value + delta))


def move_capital(value: float, delta: float) -> float:
    """Capital after a gain or a loss; it has no bounds."""
    return value + delta


def find_conflicts(
    overlays: Mapping[str, float], dominant: float = DOMINANT
) -> list[tuple[str, str]]:
    """Name the opposites that are both dominant."""
    return [
        (one, other)
        for one, other in OPPOSITES
        if overlays.get(one, OVERLAY_MIN) >= dominant
        and overlays.get(other, OVERLAY_MIN) >= dominant
    ]


def is_close(found: float, wanted: float, tolerance: float) -> bool:
    """Whether a value is what a law wants, but for rounding: `tolerance`, more where numbers are large."""
    return math.isclose(found, wanted, rel_tol=_CLOSE, abs_tol=tolerance)
