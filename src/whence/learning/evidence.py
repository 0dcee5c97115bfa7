"""What is known of one key: outcomes folded into a few numbers, and what they say about trust. Pure.

Outcomes are Bernoulli trials over a Beta(1, 1) prior. An outcome of weight w adds w to the successes or the
failures; with a half-life it counts w·2^(−age/half-life) at any later moment. The sums are kept as of
the newest outcome, so the order in which outcomes arrive does not matter.
"""

import math
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from whence.event import Event
from whence.learning.beta import CREDIBLE, interval, share_below

PRIMITIVE = "trust"
UPDATE, DECAY, IMPORT = "update", "decay", "import"

PRIOR = 1.0
"""Both parameters of the prior: any trust is as likely as any other."""

WEIGHT_MAX = 1e9
"""No outcome weighs more, so that a million of them still add up exactly enough."""

COUNT_MAX = 1e15
"""Nor does a file say more of one key."""

_SECONDS_MAX = 9e9
"""In 2255: later moments are no 64 bits of nanoseconds, and a snapshot could not be kept."""
_NS_PER_S = 1e9


class Evidence(msgspec.Struct, array_like=True):
    """The sums of one key as of `ref_ns`; `n` counts outcomes, `repeats` those of a task seen before."""

    successes: float = 0.0
    failures: float = 0.0
    squares: float = 0.0
    """The sum of the squared weights, from which the effective number of outcomes follows."""
    n: int = 0
    ref_ns: int = 0
    last_ns: int | None = None
    last_id: str = ""
    repeats: int = 0
    tasks: dict[str, int] = {}


class Imported(msgspec.Struct, array_like=True, frozen=True):
    """What a file says of one key: its parameters, when it was updated, how its trust went."""

    key: str
    alpha: float
    beta: float
    last_s: float | None = None
    history: tuple[tuple[float, float], ...] = ()
    as_of_s: float | None = None
    """When its parameters were what they are, so that evidence ages from then on; unsaid that is `last_s`."""


class Belief(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence for one key amounts to at one moment."""

    alpha: float = PRIOR
    beta: float = PRIOR
    effective: float = 0.0
    """How many outcomes of equal weight would say as much (Kish)."""
    n: int = 0
    last_ns: int | None = None
    last_id: str = ""
    repeats: int = 0

    @property
    def trust(self) -> float:
        """The expected share of successes."""
        return self.alpha / (self.alpha + self.beta)

    @property
    def sample_size(self) -> float:
        """The weight of all outcomes, without the prior."""
        return self.alpha + self.beta - 2 * PRIOR

    @property
    def strength(self) -> float:
        """How much there is to go by, from about 0.27 for nothing to 1."""
        return strength_of(self.sample_size)

    def interval(self, credible: float = CREDIBLE) -> tuple[float, float]:
        """Between which values trust lies, as probable as `credible`."""
        return interval(self.alpha, self.beta, credible)

    def chance_above(self, threshold: float) -> float:
        """How probable it is that trust is above a threshold."""
        return 1.0 - share_below(threshold, self.alpha, self.beta)


def strength_of(sample_size: float) -> float:
    """The seed's confidence strength: 1/(1+e^(−0.1(n−10)))."""
    return 1.0 / (1.0 + math.exp(-0.1 * (sample_size - 10.0)))


def believe(evidence: Evidence | None, now_ns: int, half_life_s: float | None) -> Belief:
    """What the evidence amounts to at a moment; the prior where there is none."""
    if evidence is None:
        return Belief()
    left = _fade(now_ns - evidence.ref_ns, half_life_s)
    weight = evidence.successes + evidence.failures
    return Belief(
        alpha=PRIOR + evidence.successes * left,
        beta=PRIOR + evidence.failures * left,
        effective=weight * weight / evidence.squares if evidence.squares else 0.0,
        n=evidence.n,
        last_ns=evidence.last_ns,
        last_id=evidence.last_id,
        repeats=evidence.repeats,
    )


class Fold:
    """All keys' evidence, event after event. The same events give the same state, wherever it is folded."""

    def __init__(self, half_life_s: float | None = None) -> None:
        self.half_life_s = half_life_s
        self.keys: dict[str, Evidence] = {}

    def add(self, event: Event) -> None:
        """Take one event of the primitive `trust`; what is private, erased or no update tells nothing."""
        data = event.data
        if not isinstance(data, dict):
            return
        if event.type == UPDATE:
            success, weight = data.get("success"), data.get("weight", 1.0)
            if event.target and isinstance(success, bool) and is_weight(weight):
                task = data.get("task")
                self._add(event, event.target, success, weight, task if _is_text(task) else None)
        elif event.type == DECAY:
            self._decay(event, data)
        elif event.type == IMPORT:
            for each in read_imported(data.get("keys")):
                self.keys[each.key] = _begin(each, event)

    def _add(self, event: Event, key: str, success: bool, weight: float, task: str | None) -> None:
        now = event.time_ns
        known = self.keys.get(key)
        if known is None:
            known = self.keys[key] = Evidence(ref_ns=now)
        if self.half_life_s is not None:
            weight = self._bring(known, now, weight)
        if success:
            known.successes += weight
        else:
            known.failures += weight
        known.squares += weight * weight
        known.n += 1
        # By id where moments are the same, as journals of several writers are read in any order.
        if known.last_ns is None or (now, event.id) >= (known.last_ns, known.last_id):
            known.last_ns, known.last_id = now, event.id
        if task is not None:
            before = known.tasks.get(task, 0)
            # A new dictionary: the default one is everybody's.
            known.tasks = {**known.tasks, task: before + 1} if not known.tasks else known.tasks
            known.tasks[task] = before + 1
            known.repeats += bool(before)

    def _bring(self, known: Evidence, now: int, weight: float) -> float:
        """Bring the sums to the newer of both moments; return what the outcome weighs there."""
        if now >= known.ref_ns:
            left = _fade(now - known.ref_ns, self.half_life_s)
            _scale(known, left)
            known.ref_ns = now
            return weight
        return weight * _fade(known.ref_ns - now, self.half_life_s)

    def _decay(self, event: Event, data: dict[str, Any]) -> None:
        factor, least = data.get("factor"), data.get("min_count", 0)
        if factor is None or not is_factor(factor) or not is_weight(least, zero=True):
            return
        named = [event.target] if event.target else list(self.keys)
        for key in named:
            known = self.keys.get(key)
            if known is None:
                continue
            belief = believe(known, event.time_ns, self.half_life_s)
            if belief.alpha + belief.beta > least:
                _scale(known, factor)


def is_weight(value: object, *, zero: bool = False) -> bool:
    """Whether a value can be the weight of an outcome."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (value > 0 or (zero and value == 0)) and value <= WEIGHT_MAX


def is_factor(value: object) -> bool:
    """Whether a value can be the share of the evidence that is kept."""
    return is_weight(value, zero=True) and float(cast(float, value)) <= 1


def read_imported(rows: object) -> list[Imported]:
    """The keys of an import event, whatever somebody made of it."""
    found: list[Imported] = []
    for row in rows if isinstance(rows, list) else ():
        try:
            each = msgspec.convert(row, Imported)
        except msgspec.ValidationError:
            continue
        if each.key and is_count(each.alpha) and is_count(each.beta):
            found.append(
                msgspec.structs.replace(
                    each,
                    last_s=each.last_s if is_moment(each.last_s) else None,
                    as_of_s=each.as_of_s if is_moment(each.as_of_s) else None,
                    history=tuple(
                        (at, trust)
                        for at, trust in each.history
                        if is_moment(at) and 0 <= trust <= 1
                    ),
                )
            )
    return found


def is_count(value: float) -> bool:
    """Whether a number can be a parameter of what is known of a key."""
    return 0 < value <= COUNT_MAX


def is_moment(seconds: float | None) -> bool:
    """Whether seconds since 1970 can be when something was learnt."""
    return seconds is not None and abs(seconds) < _SECONDS_MAX


def is_possible(known: Evidence) -> bool:
    """Whether evidence is such as outcomes and imports can come to."""
    most = COUNT_MAX + WEIGHT_MAX * known.n
    return (
        known.n >= known.repeats >= 0
        and 0 <= known.successes <= most
        and 0 <= known.failures <= most
        and 0 <= known.squares <= most * WEIGHT_MAX
    )


def fold(events: Iterable[Event], half_life_s: float | None = None) -> Fold:
    """Fold events, oldest first."""
    made = Fold(half_life_s)
    for event in events:
        made.add(event)
    return made


def _begin(imported: Imported, event: Event) -> Evidence:
    successes, failures = imported.alpha - PRIOR, imported.beta - PRIOR
    last = None if imported.last_s is None else int(imported.last_s * _NS_PER_S)
    as_of = last if imported.as_of_s is None else int(imported.as_of_s * _NS_PER_S)
    # As one outcome of weight 1 for each unit: what their weights were is not in the file.
    return Evidence(
        successes=max(0.0, successes),
        failures=max(0.0, failures),
        squares=max(0.0, successes) + max(0.0, failures),
        n=round(max(0.0, successes) + max(0.0, failures)),
        ref_ns=event.time_ns if as_of is None else min(as_of, event.time_ns),
        last_ns=last,
        last_id=event.id,
    )


def _scale(known: Evidence, left: float) -> None:
    known.successes *= left
    known.failures *= left
    known.squares *= left * left


def _fade(age_ns: int, half_life_s: float | None) -> float:
    """What is left of a weight after some time."""
    if half_life_s is None or age_ns <= 0:
        return 1.0
    return float(2.0 ** (-age_ns / (half_life_s * _NS_PER_S)))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
