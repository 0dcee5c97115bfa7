"""Decisions that several agents voted on: recorded before anything follows from them.

    with whence.decisions.gate("upgrade_proposal", {"prompt_id": "p-7"}) as gate:
        gate.vote("constitutional", True)
        gate.vote("local_probe", False, "two probes failed")
    # Here only if it was approved and the record is on disk; else DecisionRefused was raised.

`record_decision` and `read_recent` are the seed's functions: they report failures and return. `bus` and
`consent` are modules. What is named here is loaded when it is first used.
"""

# As `typing` has it, which takes longer to load than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from whence.decisions import bus, consent, rules, signatures
    from whence.decisions.decision import Decision
    from whence.decisions.documented import read_recent, record_decision
    from whence.decisions.gates import Gate, gate
    from whence.decisions.history import read_decisions
    from whence.decisions.refusal import DecisionRefused

_HOMES = {
    "Decision": "whence.decisions.decision",
    "DecisionRefused": "whence.decisions.refusal",
    "Gate": "whence.decisions.gates",
    "gate": "whence.decisions.gates",
    "read_decisions": "whence.decisions.history",
    "read_recent": "whence.decisions.documented",
    "record_decision": "whence.decisions.documented",
}
_MODULES = ("bus", "consent", "rules", "signatures")

__all__ = [
    "Decision",
    "DecisionRefused",
    "Gate",
    "bus",
    "consent",
    "gate",
    "read_decisions",
    "read_recent",
    "record_decision",
    "rules",
    "signatures",
]


if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _HOMES and name not in _MODULES:
            raise AttributeError(f"module 'whence.decisions' has no attribute {name!r}")
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"whence.decisions.{name}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__():
        return __all__
