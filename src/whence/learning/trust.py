"""How far a rule or variable can be trusted: one tracker, whose state is what the journal's events come to.

    tracker = whence.learning.bayesian_trust_tracker
    tracker.update("rule-7", True)
    tracker.get_trust("rule-7")

Every update is an event of the primitive `trust`, and nothing is kept beside the journal: what is asked is folded
from it, so what another process learnt counts at once, and `as_of` tells any past moment.
"""

import atexit
import heapq
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

import msgspec

from whence.event import Event, check_text, parse_time
from whence.journal.forks import watch_forks
from whence.learning import exchange
from whence.learning.beta import CREDIBLE
from whence.learning.evidence import (
    DECAY,
    IMPORT,
    PRIMITIVE,
    PRIOR,
    UPDATE,
    WEIGHT_MAX,
    Belief,
    Fold,
    believe,
    fold,
    is_factor,
    is_weight,
    read_imported,
)
from whence.learning.report import make_report
from whence.learning.settings import HALF_LIFE_MAX_S, read_half_life
from whence.learning.state import State
from whence.log import Log, default
from whence.query import Query
from whence.settings import Durability

__all__ = ["BayesianTrustTracker", "bayesian_trust_tracker"]

_NS_PER_S = 1_000_000_000
_SECONDS_MAX = 1e11
_TREND = 10
_CREDIBLE_LEAST = 2.0**-52

Moment = int | float | str | None
"""Nanoseconds since 1970 (int), seconds (float), a time phrase, or None for now."""

_logger = logging.getLogger("whence.learning")


# Weak, so that who asks again and again with a tracker of its own does not keep them all.
_states: "WeakSet[State]" = WeakSet()


class BayesianTrustTracker:
    """Trust of keys over one log, or over the process's default one. Safe for threads and forks.

    With a half-life, evidence counts half as much after every `half_life_s` seconds; without one it is
    that of `[learning] half_life`, and where nothing is said evidence does not age.
    """

    def __init__(
        self,
        log: Log | None = None,
        *,
        half_life_s: float | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if half_life_s is not None and not 0 < half_life_s < HALF_LIFE_MAX_S:
            raise ValueError(f"half_life_s is {half_life_s!r}, want seconds above 0")
        self._given = log
        self._half_life_s = half_life_s
        self._clock = clock
        # The lock guards the state, which is that of the log used last.
        self._lock = threading.RLock()
        self._state: State | None = None
        watch_forks(self)

    def after_fork(self) -> None:
        """Begin again in a forked child: another thread may have held the lock, and the state is the parent's."""
        self._lock = threading.RLock()
        self._state = None

    @property
    def log(self) -> Log:
        """Where updates go and where they are read."""
        return self._given if self._given is not None else default()

    # -- recording ---------------------------------------------------------------------------------

    def update(
        self,
        key: str,
        success: bool,
        weight: float = 1.0,
        *,
        task: str | None = None,
        durability: Durability = "disk",
    ) -> str:
        """Record one outcome and return its event's id.

        `task` says of which task it was a trial: trials of one task depend on each other, and a
        second one is counted, warned of, and named in reports.

        Raises:
            TypeError, ValueError: the outcome is no bool, the weight no number above 0, or the key no text.
            StoreError: it could not be kept on disk.
        """
        if type(key) is not str or not key:
            check_text("key", key)
        if type(success) is not bool:
            success = _as_bool(success)
        if weight != 1.0 or type(weight) is bool:
            _check_weight(weight)
        data: dict[str, Any] = {"success": success, "weight": weight}
        if task is not None:
            data["task"] = check_text("task", task)
            self._warn_of_repeat(key, task)
        return self.log.emit(PRIMITIVE, UPDATE, target=key, data=data, durability=durability)

    def batch_update(
        self,
        updates: Mapping[str, Iterable[tuple[bool, float]]],
        *,
        durability: Durability = "os",
    ) -> int:
        """Record many outcomes, as `{key: [(success, weight), …]}`; return how many.

        All are looked at before the first is recorded, so wrong ones change nothing. They survive a
        crash of the process; with durability `disk` a power cut too.
        """
        if not isinstance(updates, Mapping):
            raise TypeError(f"updates are {type(updates).__name__}, want a mapping")
        checked: list[tuple[str, bool, float]] = []
        for key, outcomes in updates.items():
            check_text("key", key)
            for success, weight in outcomes:
                _check_weight(weight)
                checked.append((key, _as_bool(success), weight))
        emit = self.log.emit
        for number, (key, success, weight) in enumerate(checked, start=1):
            is_last = number == len(checked)
            emit(
                PRIMITIVE, UPDATE, target=key, data={"success": success, "weight": weight},
                # One promise for all before it: lines are written in the order they come.
                durability=durability if is_last else None, wait=is_last,
            )  # fmt: skip
        return len(checked)

    def apply_decay(
        self, key: str | None = None, decay_factor: float = 0.99, min_count: float = 5
    ) -> str:
        """Let what is known of a key, or of all, count less from now on, towards the prior.

        Keys whose α+β is not above `min_count` stay as they are. Returns the event's id.
        """
        if not is_factor(decay_factor):
            raise ValueError(f"decay_factor is {decay_factor!r}, want a number from 0 to 1")
        if not is_weight(min_count, zero=True):
            raise ValueError(f"min_count is {min_count!r}, want a number from 0")
        return self.log.emit(
            PRIMITIVE, DECAY, target=key, durability="disk",
            data={"factor": decay_factor, "min_count": min_count},
        )  # fmt: skip

    def import_from_file(self, filepath: str | os.PathLike[str]) -> int:
        """Take over what a file says of its keys, in place of what was known of them; return how many.

        Keys with infinite counts, and those that hold a secret, are left out and warned of.

        Raises:
            NotFoundError, StoreError, CorruptError: the file; then nothing has changed.
        """
        path = Path(filepath)
        found, endless = exchange.read_file(path)
        for key in endless:
            _logger.warning("%s: %r has infinite counts and is left out", path, key)
        for each in found:
            if min(each.alpha, each.beta) < PRIOR:
                _logger.warning(
                    "%s: counts of %r are below those of nothing known, and taken as %g",
                    path, self.log.recorder.payloads.redact(each.key), PRIOR,
                )  # fmt: skip
        # Redacted they would be other keys, and several of them one.
        redact = self.log.recorder.payloads.redact
        secret = [each.key for each in found if redact(each.key) != each.key]
        for key in secret:
            _logger.warning("%s: %r holds a secret and is left out", path, redact(key))
        found = [each for each in found if redact(each.key) == each.key]
        self.log.emit(
            PRIMITIVE, IMPORT, durability="disk",
            data={"file": path.name, "left_out": [*endless, *secret], "keys": msgspec.to_builtins(found)},
        )  # fmt: skip
        return len(found)

    # -- asking ------------------------------------------------------------------------------------

    def believe(self, key: str) -> Belief:
        """All that is known of a key now; the prior for one that is not known."""
        return believe(self._fold().keys.get(key), self._clock(), self._half_life())

    def beliefs(self) -> dict[str, Belief]:
        """The same for every key."""
        now, half_life = self._clock(), self._half_life()
        return {key: believe(each, now, half_life) for key, each in self._fold().keys.items()}

    def keys(self) -> list[str]:
        """The keys that there is evidence for."""
        return list(self._fold().keys)

    def __contains__(self, key: object) -> bool:
        return key in self._fold().keys

    def __len__(self) -> int:
        return len(self._fold().keys)

    def get_trust(self, key: str) -> float:
        """The expected share of successes; 0.5 for a key that is not known."""
        return self.believe(key).trust

    def get_confidence_interval(
        self, key: str, z: float | None = None, *, credible: float = CREDIBLE
    ) -> tuple[float, float]:
        """The exact interval in which trust lies with probability `credible`.

        `z` is the seed's way to say how wide: 1.96 for 0.95.
        """
        if z is not None:
            # A z of 9 would be all of it, and one of 0 a point: no interval has either.
            credible = math.erf(abs(z) / math.sqrt(2))
            credible = min(max(credible, _CREDIBLE_LEAST), 1.0 - _CREDIBLE_LEAST)
        return self.believe(key).interval(credible)

    def get_confidence_strength(self, key: str) -> float:
        """How much there is to go by, up to 1."""
        return self.believe(key).strength

    def get_sample_size(self, key: str) -> float:
        """The weight of all outcomes of a key."""
        return self.believe(key).sample_size

    def get_effective_sample_size(self, key: str) -> float:
        """How many outcomes of equal weight would say as much."""
        return self.believe(key).effective

    def get_chance_above(self, key: str, threshold: float) -> float:
        """How probable it is that a key's trust is above a threshold."""
        return self.believe(key).chance_above(threshold)

    def get_time_since_update(self, key: str) -> float:
        """Seconds since the newest outcome; infinite where there is none."""
        last = self.believe(key).last_ns
        return float("inf") if last is None else (self._clock() - last) / _NS_PER_S

    def get_trend(self, key: str, last: int = _TREND) -> float:
        """How much trust rose (or fell, below 0) over the newest outcomes."""
        course = [trust for _, trust, _ in self.course(key)][-last - 1 :]
        return course[-1] - course[0] if course else 0.0

    def course(self, key: str) -> list[tuple[int, float, str]]:
        """How trust in a key went, outcome by outcome: when, the trust, the event's id."""
        return self.courses([key]).get(key, [])

    def courses(self, keys: Iterable[str]) -> dict[str, list[tuple[int, float, str]]]:
        """The same for some keys."""
        wanted = set(keys)
        return read_courses(self._events_about(wanted), self._half_life(), wanted)

    def events(self, key: str) -> Iterator[Event]:
        """The events that what is known of a key rests on, oldest first."""
        return (event for event in self._events_about({key}) if concerns(event, key))

    def as_of(self, moment: Moment) -> "PastTracker":
        """The tracker as it was at a moment: a time phrase, seconds (float) or nanoseconds (int) since 1970."""
        return PastTracker(self.log, self._settle(moment), self._half_life())

    def generate_report(self, min_samples: float = 5) -> dict[str, Any]:
        """Sections of keys by trust, confidence and age, and a summary."""
        return make_report(self.beliefs(), self._clock(), min_samples)

    def export_to_file(self, filepath: str | os.PathLike[str]) -> int:
        """Write all that is known to a file, whole or not at all; return how many keys.

        Raises:
            StoreError: it could not be written.
        """
        beliefs = self.beliefs()
        courses = read_courses(self._events(), self._half_life())
        history = {
            key: [(when / _NS_PER_S, trust) for when, trust, _ in course]
            for key, course in courses.items()
        }
        exchange.write_file(Path(filepath), beliefs, history, self._clock() / _NS_PER_S)
        return len(beliefs)

    def save_snapshot(self) -> None:
        """Keep what was folded, so that the next opening need not read it again."""
        self._fold()
        if self._state is not None:
            self._state.save()

    # -- the fold ----------------------------------------------------------------------------------

    def _half_life(self) -> float | None:
        return self._half_life_s if self._half_life_s is not None else read_half_life(self.log)

    def _fold(self) -> Fold:
        log, half_life = self.log, self._half_life()
        with self._lock:
            state = self._state
            if state is None or (state.folder, state.half_life_s) != (log.folder, half_life):
                state = self._state = State(log.folder, half_life, read_only=log.read_only)
                _states.add(state)
            return state.fold()

    def _events(self, **fields: Any) -> Iterator[Event]:
        return self.log.events(Query(primitive=PRIMITIVE, until=self._until(), **fields))

    def _until(self) -> int | None:
        return None

    def _events_about(self, keys: Iterable[str]) -> Iterator[Event]:
        """What was recorded of some keys, and what is about all of them."""
        updates = [self._events(target=key) for key in sorted(keys)]
        decays = (event for event in self._events(type=DECAY) if event.target is None)
        found = heapq.merge(
            *updates, decays, self._events(type=IMPORT), key=lambda event: (event.time, event.id)
        )
        return iter(found)

    def _settle(self, moment: Moment) -> int:
        if moment is None:
            return self._clock()
        if isinstance(moment, str):
            try:
                return parse_time(moment)
            except ValueError:
                return self.log.moment(moment)
        if isinstance(moment, float) and not abs(moment) <= _SECONDS_MAX:
            raise ValueError(f"moment is {moment}, want seconds since 1970")
        return moment if isinstance(moment, int) else int(moment * _NS_PER_S)

    def _warn_of_repeat(self, key: str, task: str) -> None:
        known = self._fold().keys.get(key)
        if known is not None and task in known.tasks:
            _logger.warning(
                "trial %d of task %r for %r: trials of one task depend on each other,"
                " so the interval is narrower than what is known",
                known.tasks[task] + 1, task, key,
            )  # fmt: skip


class PastTracker(BayesianTrustTracker):
    """A tracker as of a moment that is past. It is asked, not updated."""

    def __init__(self, log: Log, moment_ns: int, half_life_s: float | None) -> None:
        super().__init__(log, half_life_s=half_life_s, clock=lambda: moment_ns)
        self._folded: Fold | None = None

    def update(self, *_: object, **__: object) -> str:
        """Refused: what is past cannot be updated."""
        raise TypeError("this tracker is as of a past moment; update the tracker it came from")

    batch_update = apply_decay = import_from_file = update  # type: ignore[assignment]

    def _half_life(self) -> float | None:
        return self._half_life_s

    def _fold(self) -> Fold:
        if self._folded is None:
            self._folded = fold(self._events(), self._half_life_s)
        return self._folded

    def _until(self) -> int | None:
        # Half-open as everywhere, but an event of that very moment has happened.
        return self._clock() + 1


def read_courses(
    events: Iterable[Event], half_life_s: float | None, keys: set[str] | None = None
) -> dict[str, list[tuple[int, float, str]]]:
    """How trust went, key by key: after each event, when that was, the trust then, the event's id."""
    made = Fold(half_life_s)
    courses: dict[str, list[tuple[int, float, str]]] = {}
    for event in events:
        made.add(event)
        if event.type == IMPORT:
            data = event.data
            for each in read_imported(data.get("keys") if isinstance(data, dict) else None):
                if keys is None or each.key in keys:
                    past = [(int(at * _NS_PER_S), trust, event.id) for at, trust in each.history]
                    courses[each.key] = [*past, _point(made, each.key, event)]
            continue
        named = [event.target] if event.target else list(courses)
        for key in named:
            if key in made.keys and (keys is None or key in keys):
                courses.setdefault(key, []).append(_point(made, key, event))
    return courses


def concerns(event: Event, key: str) -> bool:
    """Whether what is known of a key rests on an event, too."""
    if event.type == IMPORT:
        data = event.data
        rows = read_imported(data.get("keys") if isinstance(data, dict) else None)
        return any(each.key == key for each in rows)
    return event.target == key or (event.type == DECAY and event.target is None)


def _point(made: Fold, key: str, event: Event) -> tuple[int, float, str]:
    now = event.time_ns
    return now, believe(made.keys[key], now, made.half_life_s).trust, event.id


def _as_bool(success: object) -> bool:
    """An outcome as a bool: also 0 and 1, as numbers of other libraries are."""
    if success in (0, 1) and not isinstance(success, float):
        return bool(success)
    raise TypeError(f"success is {success!r}, want a bool")


def _check_weight(weight: object) -> None:
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise TypeError(f"weight is {type(weight).__name__}, want a number")
    if not is_weight(weight):
        raise ValueError(
            f"weight is {weight!r:.40}, want a number above 0 and up to {WEIGHT_MAX:g}"
        )


def _save_all() -> None:
    for state in list(_states):
        state.save_rest()


atexit.register(_save_all)

bayesian_trust_tracker = BayesianTrustTracker()
"""The process's tracker, over its default log."""
