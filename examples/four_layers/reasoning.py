"""The reasoning layer: what kind of request it is, and how to go about it."""

from whence.tracing import points

_STRATEGIES = {"question": ("recall", "it may be known"), "note": ("act", "it is to be kept")}


class Reasoning:
    """Looks at the words of a request, and at nothing else."""

    def classify(self, request: str) -> str:
        """What kind of request it is."""
        with points.reasoning.classify.span(input=request) as step:
            if request.startswith("zoom "):
                kind, confidence = "change of level", 1.0
            elif request.startswith("remember "):
                kind, confidence = "note", 0.9
            elif request.endswith("?"):
                kind, confidence = "question", 0.8
            else:
                kind, confidence = "wish", 0.5
            step.note(input_type=kind, confidence=confidence)
        return kind

    def choose(self, kind: str) -> str:
        """How to go about it."""
        strategy, reason = _STRATEGIES.get(kind, ("act", "somebody wants it done"))
        points.reasoning.route(strategy, reason, input=kind)
        return strategy

    def escalate(self, from_level: int, to_level: int, trigger: str) -> None:
        """Hand it to another level."""
        points.reasoning.escalate(from_level, to_level, trigger)
