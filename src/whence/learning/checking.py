"""Whether what was recorded of learning fits together: its laws, its continuity, and the trust it claims. Pure.

    check = Check(half_life_s)
    for event in events:        # of the primitives `learning` and `trust`, by time
        check.add(event)
    check.misfits

| rule | what does not fit |
|---|---|
| `shape` | an event of a known type lacks what its type says, or says it in a form that nobody can go by |
| `continuity` | a change begins at another value than the one before ended at |
| `decay` | an overlay that decayed is not max(0, old − rate) |
| `adjustment` | an overlay that was pushed is not old + delta, kept within 0 and 1 |
| `bounds` | an overlay or a share is not within 0 and 1 |
| `capital` | capital is not old + delta |
| `trust` | figures of trust are not those that the journal's outcomes come to at that moment |
| `snapshot` | `trust.snapshot` is not what the journal comes to |

What is private or erased tells nothing, so what follows it may begin anywhere, and figures of a key that it was about
cannot be judged until the key is imported anew.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from whence import laws
from whence.event import Event
from whence.learning import changes
from whence.learning.changes import CAPITAL, METRICS, OVERLAY, WEIGHT, learnt_of, read_number
from whence.learning.evidence import (
    DECAY,
    IMPORT,
    PRIMITIVE,
    UPDATE,
    WEIGHT_MAX,
    Belief,
    Evidence,
    Fold,
    believe,
    is_factor,
    is_weight,
    read_imported,
)

TOLERANCE = 1e-6
"""How far a figure may be from what a law wants: that of rounding, and of the moment between asking and recording."""

_RECENT_NS = 250_000_000
"""An outcome that came so shortly before figures were recorded may have come after they were asked for."""

REPORT = "trust_report_generated"

_CHAINS = {
    WEIGHT: ("variable", "from", "to"),
    OVERLAY: ("overlay", "old_value", "new_value"),
    CAPITAL: ("asset", "old_value", "new_value"),
}


class Misfit(msgspec.Struct, frozen=True, kw_only=True):
    """One event that does not fit, by which rule, and why; a snapshot is no event."""

    rule: str
    about: str
    message: str
    event_id: str | None = None
    time_ns: int | None = None


class Check:
    """Takes events by time and gathers those that do not fit."""

    def __init__(self, half_life_s: float | None = None) -> None:
        self.misfits: list[Misfit] = []
        self.learning = 0
        self.trust = 0
        self.untold = 0
        """How many are private or erased."""
        self._fold = Fold(half_life_s)
        self._ends: dict[tuple[str, str], tuple[float, str]] = {}
        # By key what was known before each of its newest outcomes, and when that came.
        self._before: dict[str, deque[tuple[int, Evidence | None]]] = {}
        # Keys with an outcome, a decay or an import that is untold: what they come to is not known here.
        self._unclear: set[str] = set()
        # An untold import may have named any key but those that were imported anew since; None without one.
        self._imported_since: set[str] | None = None

    @property
    def state(self) -> Mapping[str, Evidence]:
        """What the trust events so far come to."""
        return self._fold.keys

    def add(self, event: Event) -> None:
        """Take the next event."""
        if event.primitive == PRIMITIVE:
            self.trust += 1
            self._add_trust(event)
        elif event.primitive == changes.PRIMITIVE and event.duration is None:
            self.learning += 1
            self._add_learning(event)

    def find_snapshot_wrong(self, key: str) -> None:
        """Name a key of which a snapshot does not say what the journal comes to."""
        message = "trust.snapshot does not say what the journal comes to; delete it"
        self.misfits.append(Misfit(rule="snapshot", about=key, message=message))

    # -- trust -------------------------------------------------------------------------------------

    def _add_trust(self, event: Event) -> None:
        if self._is_untold(event):
            self._make_unclear(event)
            return
        if (problem := _find_trust_problem(event)) is not None:
            self._name(event, "shape", event.target or event.type, problem)
            return
        named = [event.target] if event.target else _named_by(event) or list(self._fold.keys)
        for key in named:
            self._remember(key, event.time_ns)
        self._fold.add(event)
        if event.type == IMPORT:
            self._unclear.difference_update(named)
            if self._imported_since is not None:
                self._imported_since.update(named)

    def _make_unclear(self, event: Event) -> None:
        if event.type == IMPORT:
            self._imported_since = set()
        elif event.target is not None:
            self._unclear.add(event.target)
        elif event.type == DECAY:
            self._unclear.update(self._fold.keys)

    def _is_unclear(self, key: str) -> bool:
        if key in self._unclear:
            return True
        return self._imported_since is not None and key not in self._imported_since

    def _remember(self, key: str, now: int) -> None:
        known = self._fold.keys.get(key)
        recent = self._before.setdefault(key, deque())
        while recent and recent[0][0] < now - _RECENT_NS:
            recent.popleft()
        recent.append((now, None if known is None else msgspec.structs.replace(known)))

    # -- learning ----------------------------------------------------------------------------------

    def _add_learning(self, event: Event) -> None:
        if self._is_untold(event):
            self._forget_end(event)
            return
        data = learnt_of(event)
        if event.type in _CHAINS:
            self._check_chain(event, data)
        elif event.type == METRICS:
            self._check_metrics(event, data)
        elif event.type == REPORT:
            self._check_report(event, data)
        elif event.type == "rule_effectiveness":
            self._check_effectiveness(event, data)
        elif event.type == changes.ACTIVATION and not isinstance(data.get("success"), bool):
            name = str(data.get("rule_id"))
            self._name(event, "shape", name, f"success is {_say(data.get('success'))}, want a bool")

    def _check_chain(self, event: Event, data: dict[str, Any]) -> None:
        name_key, before_key, after_key = _CHAINS[event.type]
        name = str(data.get(name_key) or event.target or "")
        before, after = read_number(data.get(before_key)), read_number(data.get(after_key))
        for key, value in ((before_key, before), (after_key, after)):
            if value is None:
                self._name(event, "shape", name, f"{key} is {_say(data.get(key))}, want a number")
        if not name:
            self._name(event, "shape", name, f"it does not say which {name_key}")
        place = event.type, name
        end = self._ends.pop(place, None)
        if after is not None:
            self._ends[place] = after, event.id
        if before is None or after is None:
            return
        if end is not None and not laws.is_close(before, end[0], TOLERANCE):
            message = f"it begins at {before:g}, the one before ended at {end[0]:g} ({end[1]})"
            self._name(event, "continuity", name, message)
        if event.type == OVERLAY:
            self._check_overlay(event, name, data, before, after)
        elif event.type == CAPITAL:
            delta = read_number(data.get("delta"))
            self._check_law(event, "capital", name, after, delta, laws.move_capital, before)

    def _check_overlay(
        self, event: Event, name: str, data: dict[str, Any], before: float, after: float
    ) -> None:
        for value in dict.fromkeys((before, after)):
            if not laws.OVERLAY_MIN <= value <= laws.OVERLAY_MAX:
                self._name(event, "bounds", name, f"it is {value:g}, want from 0 to 1")
        shift = data.get("shift_type")
        if shift == "decay":
            rate = read_number(data.get("rate"))
            self._check_law(event, "decay", name, after, rate, laws.decay_overlay, before)
        elif shift == "adjustment":
            delta = read_number(data.get("delta"))
            self._check_law(event, "adjustment", name, after, delta, laws.adjust_overlay, before)
        elif shift is not None:
            message = f"shift_type is {_say(shift)}, want decay or adjustment"
            self._name(event, "shape", name, message)

    def _check_law(
        self, event: Event, rule: str, name: str, after: float, by: float | None,
        law: Callable[[float, float], float], before: float,
    ) -> None:  # fmt: skip
        if by is None:
            # The seed's callers leave it out where they do not know it.
            return
        wanted = law(before, by)
        # What was added up may be far larger than what came of it.
        rounding = 4 * math.ulp(max(abs(before), abs(by)))
        if not laws.is_close(after, wanted, max(TOLERANCE, rounding)):
            message = f"it went from {before:g} by {by:g} to {after:g}, want {wanted:g}"
            self._name(event, rule, name, message)

    def _check_effectiveness(self, event: Event, data: dict[str, Any]) -> None:
        name = str(data.get("rule_id"))
        rate = read_number(data.get("success_rate"))
        if rate is None:
            said = _say(data.get("success_rate"))
            self._name(event, "shape", name, f"success_rate is {said}, want a number")
        elif not 0.0 <= rate <= 1.0:
            self._name(event, "bounds", name, f"success_rate is {rate:g}, want from 0 to 1")

    def _check_metrics(self, event: Event, data: dict[str, Any]) -> None:
        key = str(data.get("key"))
        # Of old the strength was not always said; the others always were.
        names = ("confidence_strength",) if data.get("confidence_strength") is not None else ()
        told = [read_number(data.get(name)) for name in ("trust", "sample_size", *names)]
        interval = data.get("confidence_interval")
        ends = [read_number(end) for end in interval] if isinstance(interval, list) else []
        figures = [*told[:2], *ends, *told[2:]]
        if len(ends) != 2 or any(figure is None for figure in figures):
            message = (
                "trust, sample_size, both ends of confidence_interval and confidence_strength"
                " are not all numbers"
            )
            self._name(event, "shape", key, message)
            return
        if self._is_unclear(key):
            return
        recent = self._before.get(key, ())
        states = [
            self._fold.keys.get(key),
            *(known for when, known in reversed(recent) if when >= event.time_ns - _RECENT_NS),
        ]
        if not any(self._could_be(figures, known, event.time_ns) for known in states):
            wanted = _figures_of(believe(states[0], event.time_ns, self._fold.half_life_s))
            message = f"{_say_figures(figures)}, but the outcomes come to {_say_figures(wanted)}"
            self._name(event, "trust", key, message)

    def _check_report(self, event: Event, data: dict[str, Any]) -> None:
        """Look at how many keys a report was of. Its averages rest on a threshold that it does not say."""
        summary = data.get("summary")
        total = read_number(summary.get("total_entities")) if isinstance(summary, dict) else None
        if total is None:
            self._name(event, "shape", event.type, "total_entities of its summary is no number")
            return
        if self._unclear or self._imported_since is not None:
            return
        began = event.time_ns - _RECENT_NS
        new = sum(
            any(when >= began and known is None for when, known in recent)
            for recent in self._before.values()
        )
        most = len(self._fold.keys)
        if not most - new <= total <= most:
            message = f"it is of {total:g} keys, but the outcomes are of {most}"
            self._name(event, "trust", event.type, message)

    def _could_be(
        self, figures: Sequence[float | None], known: Evidence | None, time_ns: int
    ) -> bool:
        """Whether figures are what evidence amounts to at a moment, or shortly before, as evidence ages."""
        moments = (time_ns - _RECENT_NS, time_ns)
        ends = [_figures_of(believe(known, each, self._fold.half_life_s)) for each in moments]
        return all(
            told is not None and min(one, other) - TOLERANCE <= told <= max(one, other) + TOLERANCE
            # The strength comes last, where it is said.
            for told, one, other in zip(figures, *ends, strict=False)
        )

    # -- all ---------------------------------------------------------------------------------------

    def _is_untold(self, event: Event) -> bool:
        is_untold = event.data is None and (event.private or not event.payload)
        self.untold += is_untold
        return is_untold

    def _forget_end(self, event: Event) -> None:
        for place in list(self._ends):
            if place[0] == event.type and event.target in (None, place[1]):
                del self._ends[place]

    def _name(self, event: Event, rule: str, about: str, message: str) -> None:
        self.misfits.append(
            Misfit(
                event_id=event.id, time_ns=event.time_ns, rule=rule, about=about, message=message
            )
        )


def differ(
    one: Mapping[str, Evidence], other: Mapping[str, Evidence], *, ages: bool = False
) -> list[str]:
    """The keys of which two states do not say the same; of evidence that ages also as of when."""
    return sorted(
        key
        for key in one.keys() | other.keys()
        if (a := one.get(key)) is None
        or (b := other.get(key)) is None
        or not _say_the_same(a, b)
        or (ages and a.ref_ns != b.ref_ns)
    )


def _say_the_same(one: Evidence, other: Evidence) -> bool:
    """Whether two of them are the same but for the order in which sums were made, down to what has all but faded."""
    counted = [
        (each.n, each.repeats, each.tasks, each.last_ns, each.last_id) for each in (one, other)
    ]
    summed = [(each.successes, each.failures, each.squares) for each in (one, other)]
    return counted[0] == counted[1] and all(
        math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300) for a, b in zip(*summed, strict=True)
    )


def _find_trust_problem(event: Event) -> str | None:
    """Why a trust event tells nothing; None if it does."""
    data = event.data
    if not isinstance(data, dict):
        return f"its payload is {_say(data)}, want a mapping"
    if event.type == UPDATE:
        if not event.target:
            return "it names no key"
        if not isinstance(data.get("success"), bool):
            return f"success is {_say(data.get('success'))}, want a bool"
        if not is_weight(data.get("weight", 1.0)):
            return f"weight is {_say(data.get('weight'))}, want a number above 0 and up to {WEIGHT_MAX:g}"
    elif event.type == DECAY:
        if not is_factor(data.get("factor")):
            return f"factor is {_say(data.get('factor'))}, want a number from 0 to 1"
        if not is_weight(data.get("min_count", 0), zero=True):
            return f"min_count is {_say(data.get('min_count'))}, want a number from 0"
    elif event.type == IMPORT:
        rows = data.get("keys")
        if not isinstance(rows, list) or len(read_imported(rows)) != len(rows):
            return "its keys are not all as an import has them"
    else:
        return f"type is {event.type}, want {UPDATE}, {DECAY} or {IMPORT}"
    return None


def _named_by(event: Event) -> list[str]:
    if event.type != IMPORT:
        return []
    return [each.key for each in read_imported(event.data.get("keys"))]


def _figures_of(belief: Belief) -> list[float]:
    return [belief.trust, belief.sample_size, *belief.interval(), belief.strength]


def _say_figures(figures: Sequence[float | None]) -> str:
    trust, size, low, high, *strength = figures
    said = "".join(f", strength {each:.4g}" for each in strength)
    return f"trust {trust:.4g} ({low:.4g} to {high:.4g}) of {size:.4g}{said}"


def _say(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
