"""What a report says of trust: sections of keys and figures over all of them. Pure.

A key is judged by its trust once it has `min_samples` of weight; how little is known of it, and how old that is,
counts for every key. Low confidence means below one half, which takes ten outcomes: the seed asked for a
value that no key can have, so that its list was always empty.
"""

import math
from collections.abc import Mapping
from typing import Any

from whence.learning.beta import interval
from whence.learning.evidence import PRIOR, Belief, strength_of

HIGH_TRUST, LOW_TRUST = 0.8, 0.2
HIGH_CONFIDENCE, LOW_CONFIDENCE = 0.8, 0.5
RECENT_S, STALE_S = 3_600.0, 86_400.0
SECTIONS = (
    "high_trust", "low_trust", "high_confidence", "low_confidence", "recently_updated", "stale",
)  # fmt: skip

_NS_PER_S = 1e9


def make_report(
    beliefs: Mapping[str, Belief], now_ns: int, min_samples: float = 5
) -> dict[str, Any]:
    """The report as the seed has it. Every entry names the newest event that it rests on, and how many."""
    report: dict[str, Any] = {name: [] for name in SECTIONS}
    trusts, strengths = [], []
    for key in sorted(beliefs):
        belief = beliefs[key]
        entry = make_entry(key, belief)
        trust, strength = entry["trust"], entry["confidence"]
        if entry["sample_size"] >= min_samples:
            trusts.append(trust)
            strengths.append(strength)
            if trust > HIGH_TRUST:
                report["high_trust"].append(entry)
            elif trust < LOW_TRUST:
                report["low_trust"].append(entry)
            if strength > HIGH_CONFIDENCE:
                report["high_confidence"].append(entry)
        if strength < LOW_CONFIDENCE:
            report["low_confidence"].append(entry)
        age = age_of(belief, now_ns)
        if age < RECENT_S:
            report["recently_updated"].append(entry)
        elif age > STALE_S:
            report["stale"].append(entry)
    report["summary"] = {
        "total_entities": len(beliefs),
        "active_entities": len(trusts),
        "avg_trust": math.fsum(trusts) / len(trusts) if trusts else 0.0,
        "avg_confidence": math.fsum(strengths) / len(strengths) if strengths else 0.0,
    }
    return report


def make_entry(key: str, belief: Belief) -> dict[str, Any]:
    """One key's figures, by the seed's names and ours. Keys are only ever added."""
    alpha, beta = belief.alpha, belief.beta
    # As the belief's own properties have it; a call fewer for each, since reports have many keys.
    sample_size = alpha + beta - 2 * PRIOR
    return {
        "key": key,
        "trust": alpha / (alpha + beta),
        "confidence": strength_of(sample_size),
        "ci": list(interval(alpha, beta)),
        "sample_size": sample_size,
        "last_update": None if belief.last_ns is None else belief.last_ns / _NS_PER_S,
        "effective_sample_size": belief.effective,
        "dependent": belief.repeats,
        "events": {"count": belief.n, "last": belief.last_id},
    }


def age_of(belief: Belief, now_ns: int) -> float:
    """Seconds since the newest outcome; endless where none is known."""
    return math.inf if belief.last_ns is None else (now_ns - belief.last_ns) / _NS_PER_S


def is_stale(belief: Belief, now_ns: int) -> bool:
    """Whether there was no outcome for a day."""
    return age_of(belief, now_ns) > STALE_S
