"""The focus layer: stances and lanes, gates and consent, and where signals go."""

from collections.abc import Callable

from whence.tracing import points

_STANCES = {"note": "execution", "question": "sensemaking", "wish": "execution"}
_BUNDLES = {"note": ("memory", ["scribe"]), "question": ("recall", ["librarian"])}
_CONSENTED = frozenset(["look", "list"])
_WRITABLE = frozenset(["notes", "altitude.session"])


class Focus:
    """Keeps the stance and the lane, and decides what may happen."""

    def __init__(self) -> None:
        self.stance = "sensemaking"
        self.lane = "chat"

    def may_write(self, place: str, write: Callable[[], None]) -> bool:
        """Check the gate; what it allows is done while it is open."""
        with points.focus.gate_check.span("WriteApprovalGate", place=place) as gate:
            allowed = place in _WRITABLE
            gate.note(decision=allowed, reason="known place" if allowed else "unknown place")
            if allowed:
                write()
        return allowed

    def has_consent(self, operation: str) -> bool:
        """Whether the user agreed to an operation once and for all."""
        allowed = operation in _CONSENTED
        points.focus.consent_check(operation, allowed)
        return allowed

    def route(self, kind: str) -> None:
        """Take the stance and lane that a signal needs, and hand it to those who care."""
        stance = _STANCES[kind]
        if stance != self.stance:
            points.focus.stance_change(self.stance, stance, gate="StanceGate")
            self.stance = stance
        bundle, agents = _BUNDLES.get(kind, ("core", ["governor"]))
        if bundle != self.lane:
            points.focus.lane_switch(self.lane, bundle, reason=f"a {kind} came in")
            self.lane = bundle
        points.focus.route(kind, bundle, agents)
