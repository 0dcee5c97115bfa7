"""How a system changed, and how far its rules can be trusted.

    whence.learning.log_variable_weight_change("inflation", 0.4, 0.55)
    whence.learning.bayesian_trust_tracker.update("rule-7", True)

The functions of the seed's kind record to the process's default log, durably. What is named here is loaded when it
is first used.
"""

# As `typing` has it, which takes longer to load than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from whence.learning.documented import (
        export_trust_data,
        generate_trust_report,
        import_trust_data,
        log_arc_regret,
        log_bayesian_trust_metrics,
        log_learning_event,
        log_learning_summary,
        log_revision_trigger,
        log_rule_activation,
        log_rule_effectiveness,
        log_symbolic_upgrade,
        log_variable_weight_change,
    )
    from whence.learning.recording import PulseLearningLogger
    from whence.learning.trust import BayesianTrustTracker, bayesian_trust_tracker

_HOMES = {
    **dict.fromkeys(("BayesianTrustTracker", "bayesian_trust_tracker"), "whence.learning.trust"),
    "PulseLearningLogger": "whence.learning.recording",
}
_DOCUMENTED = (
    "export_trust_data",
    "generate_trust_report",
    "import_trust_data",
    "log_arc_regret",
    "log_bayesian_trust_metrics",
    "log_learning_event",
    "log_learning_summary",
    "log_revision_trigger",
    "log_rule_activation",
    "log_rule_effectiveness",
    "log_symbolic_upgrade",
    "log_variable_weight_change",
)

__all__ = [
    "BayesianTrustTracker",
    "PulseLearningLogger",
    "bayesian_trust_tracker",
    "export_trust_data",
    "generate_trust_report",
    "import_trust_data",
    "log_arc_regret",
    "log_bayesian_trust_metrics",
    "log_learning_event",
    "log_learning_summary",
    "log_revision_trigger",
    "log_rule_activation",
    "log_rule_effectiveness",
    "log_symbolic_upgrade",
    "log_variable_weight_change",
]


if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _HOMES and name not in _DOCUMENTED:
            raise AttributeError(f"module 'whence.learning' has no attribute {name!r}")
        from importlib import import_module

        home = _HOMES.get(name, "whence.learning.documented")
        value = globals()[name] = getattr(import_module(home), name)
        return value

    def __dir__():
        return __all__
