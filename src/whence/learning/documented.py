"""The functions that systems of the seed's kind call, under their names: each is the process's logger's."""

import os
from typing import Any

from whence.learning.recording import PulseLearningLogger
from whence.settings import Durability


def log_learning_event(
    event_type: str, data: Any = None, context: Any = None, *, durability: Durability = "disk"
) -> str | None:
    """Record a learning event of any type. See `PulseLearningLogger.log_event`."""
    return PulseLearningLogger().log_event(event_type, data, context, durability=durability)


def log_variable_weight_change(var: str, old_weight: float, new_weight: float) -> str | None:
    """Record that a variable's weight changed."""
    return PulseLearningLogger().log_variable_weight_change(var, old_weight, new_weight)


def log_symbolic_upgrade(plan: Any) -> str | None:
    """Record that a symbolic upgrade was applied."""
    return PulseLearningLogger().log_symbolic_upgrade(plan)


def log_revision_trigger(reason: str) -> str | None:
    """Record what made a revision necessary."""
    return PulseLearningLogger().log_revision_trigger(reason)


def log_arc_regret(scores: Any) -> str | None:
    """Record how arcs were scored by regret."""
    return PulseLearningLogger().log_arc_regret(scores)


def log_learning_summary(summary: Any) -> str | None:
    """Record what a session of learning came to."""
    return PulseLearningLogger().log_learning_summary(summary)


def log_rule_activation(
    rule_id: str, variable_id: str, outcome: Any, forecast_id: str, success: bool
) -> str | None:
    """Record that a rule was applied, and whether that did well."""
    return PulseLearningLogger().log_rule_activation(
        rule_id, variable_id, outcome, forecast_id, success
    )


def log_bayesian_trust_metrics(key: str, kind: str = "variable") -> str | None:
    """Record how far a key is trusted now."""
    return PulseLearningLogger().log_bayesian_trust_metrics(key, kind)


def log_rule_effectiveness(
    rule_id: str, activation_count: int, success_rate: float, impact_score: float
) -> str | None:
    """Record how well a rule does."""
    return PulseLearningLogger().log_rule_effectiveness(
        rule_id, activation_count, success_rate, impact_score
    )


def generate_trust_report(min_samples: float = 5) -> dict[str, Any]:
    """Make the tracker's report, and record that."""
    return PulseLearningLogger().generate_trust_report(min_samples)


def export_trust_data(filepath: str | os.PathLike[str]) -> bool:
    """Write the tracker's file; False, and an event that says why, if that failed."""
    return PulseLearningLogger().export_trust_data(filepath)


def import_trust_data(filepath: str | os.PathLike[str]) -> bool:
    """Take over a tracker's file; False, and an event that says why, if that failed."""
    return PulseLearningLogger().import_trust_data(filepath)
