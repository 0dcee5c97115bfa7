"""What a system learns, as events: the seed's logger and functions, each durable before it returns.

An event's payload is `{"data": …}`, with `context` only where one was given. Where a path is named by
`WHENCE_LEARNING_LOG_PATH`, `PULSE_LEARNING_LOG_PATH` or `[learning] mirror`, the seed's line is kept there, too.
"""

import logging
import os
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from whence.errors import StoreError, WhenceError
from whence.event import decode_json
from whence.learning import mirror
from whence.learning.changes import PRIMITIVE
from whence.learning.settings import OnError, find_mirror, read_on_error
from whence.learning.trust import bayesian_trust_tracker
from whence.log import Log, default
from whence.settings import Durability

SUBJECTS = ("variable", "rule_id", "overlay", "asset", "key", "forecast_id", "variable_id")
"""What a learning event is about: the first of these in its data."""

_FAILURES = (WhenceError, OSError, ValueError, TypeError)

_logger = logging.getLogger("whence.learning")


class PulseLearningLogger:
    """The process's learning log. However often it is made, there is one. Safe for threads and forks.

    With `on_error` as `raise` an event that could not be kept is a `StoreError`; as `count` it adds to
    `failed` and a line in the log. None leaves that to `[learning] on_error`, which is `raise`.
    """

    _only: "PulseLearningLogger | None" = None
    _lock = threading.Lock()

    on_error: OnError | None
    failed: int

    def __new__(cls, on_error: OnError | None = None) -> Self:
        """Return the one there is; `on_error`, if given, holds from now on."""
        if on_error not in (None, "raise", "count"):
            raise ValueError(f"on_error is {on_error!r}, want 'raise' or 'count'")
        with cls._lock:
            if cls._only is None:
                made = super().__new__(cls)
                made.on_error, made.failed = None, 0
                cls._only = made
            only = cls._only
        if on_error is not None:
            only.on_error = on_error
        assert isinstance(only, cls)
        return only

    @property
    def log(self) -> Log:
        """The process's default log."""
        return default()

    def log_event(
        self,
        event_type: str,
        data: Any = None,
        context: Any = None,
        *,
        durability: Durability = "disk",
    ) -> str | None:
        """Record one event and return its id; None where it could not be kept and that is only counted.

        Raises:
            StoreError: it could not be kept, in the journal or in the mirror.
        """
        log = self.log
        try:
            path = find_mirror(log)
            payload = {"data": {} if data is None else data}
            if context is not None:
                payload["context"] = context
            if path is None:
                return _emit(log, event_type, payload, durability)
            # The same id in both, so that one event read from both places is one.
            seed_id = str(uuid.uuid4())
            moment = datetime.now(UTC)
            event_id = _emit(log, event_type, {"event_id": seed_id, **payload}, durability)
            mirror.append(path, _seed_line(log, seed_id, moment, event_type, payload))
            return event_id
        except StoreError as error:
            if (self.on_error or read_on_error(log)) == "raise":
                raise
            self.failed += 1
            _logger.warning("learning event %s could not be kept: %s", event_type, error)
            return None

    def log_variable_weight_change(
        self, var: str, old_weight: float, new_weight: float
    ) -> str | None:
        """A variable's weight went from one value to another."""
        return self.log_event(
            "variable_weight_update", {"variable": var, "from": old_weight, "to": new_weight}
        )

    def log_symbolic_upgrade(self, plan: Any) -> str | None:
        """A symbolic upgrade was applied."""
        return self.log_event("symbolic_upgrade_applied", {"changes": plan})

    def log_revision_trigger(self, reason: str) -> str | None:
        """Something made a revision necessary."""
        return self.log_event("symbolic_revision_triggered", {"reason": reason})

    def log_arc_regret(self, scores: Any) -> str | None:
        """The regret of arcs was scored."""
        return self.log_event("symbolic_arc_regret", {"regret_scores": scores})

    def log_learning_summary(self, summary: Any) -> str | None:
        """What a session of learning came to."""
        return self.log_event("meta_learning_summary", summary)

    def log_rule_activation(
        self, rule_id: str, variable_id: str, outcome: Any, forecast_id: str, success: bool
    ) -> str | None:
        """A rule was applied, and whether that did well."""
        return self.log_event(
            "rule_activation",
            {
                "rule_id": rule_id, "variable_id": variable_id, "outcome": outcome,
                "forecast_id": forecast_id, "success": success,
            },
        )  # fmt: skip

    def log_bayesian_trust_metrics(self, key: str, kind: str = "variable") -> str | None:
        """How far a key is trusted now, by the process's one tracker."""
        belief = bayesian_trust_tracker.believe(key)
        return self.log_event(
            "bayesian_trust_metrics",
            {
                "key": key, "kind": kind, "trust": belief.trust,
                "confidence_interval": list(belief.interval()),
                "confidence_strength": belief.strength, "sample_size": belief.sample_size,
            },
        )  # fmt: skip

    def log_rule_effectiveness(
        self, rule_id: str, activation_count: int, success_rate: float, impact_score: float
    ) -> str | None:
        """How well a rule does."""
        return self.log_event(
            "rule_effectiveness",
            {
                "rule_id": rule_id, "activation_count": activation_count,
                "success_rate": success_rate, "impact_score": impact_score,
                "timestamp": datetime.now(UTC).isoformat(),
            },
        )  # fmt: skip

    def generate_trust_report(self, min_samples: float = 5) -> dict[str, Any]:
        """The tracker's report; that it was made is an event."""
        report = bayesian_trust_tracker.generate_report(min_samples)
        self.log_event(
            "trust_report_generated",
            {
                "summary": report["summary"],
                "high_trust_count": len(report["high_trust"]),
                "low_trust_count": len(report["low_trust"]),
            },
        )
        return report

    def export_trust_data(self, filepath: str | os.PathLike[str]) -> bool:
        """Write the tracker's file; whether that went well is an event and returned."""
        try:
            bayesian_trust_tracker.export_to_file(filepath)
        except _FAILURES as error:
            self._fail("trust_data_export_failed", filepath, error)
            return False
        self.log_event("trust_data_exported", {"filepath": os.fspath(filepath)})
        return True

    def import_trust_data(self, filepath: str | os.PathLike[str]) -> bool:
        """Take over a tracker's file; whether that went well is an event and returned. A bad file changes nothing."""
        try:
            bayesian_trust_tracker.import_from_file(filepath)
        except _FAILURES as error:
            self._fail("trust_data_import_failed", filepath, error)
            return False
        self.log_event("trust_data_imported", {"filepath": os.fspath(filepath)})
        return True

    def _fail(
        self, event_type: str, filepath: str | os.PathLike[str], error: BaseException
    ) -> None:
        _logger.warning("%s: %s", event_type, error)
        self.log_event(event_type, {"filepath": str(filepath), "error": str(error)})


def find_subject(data: Any) -> str | None:
    """What a learning event is about, by its data."""
    if isinstance(data, Mapping):
        for name in SUBJECTS:
            value = data.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
    return None


def _emit(log: Log, event_type: str, payload: dict[str, Any], durability: Durability) -> str:
    target = find_subject(payload["data"])
    try:
        return log.emit(PRIMITIVE, event_type, target=target, data=payload, durability=durability)
    except ValueError:
        if target is None:
            raise
        # Too long a name for an envelope, or no text that can stand there: the data has it.
        return log.emit(PRIMITIVE, event_type, data=payload, durability=durability)


def _seed_line(
    log: Log, seed_id: str, moment: datetime, event_type: str, payload: dict[str, Any]
) -> dict[str, Any]:
    # As it was recorded: without the secrets, and with what JSON cannot carry as text.
    kept = decode_json(log.recorder.payloads.encode(payload))
    line = {
        "event_id": seed_id,
        "timestamp": moment.isoformat(),
        "event_type": event_type,
        "data": kept["data"],
    }
    return line | {"context": kept["context"]} if "context" in kept else line
