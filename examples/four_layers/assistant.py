"""The assistant: each request goes through all layers."""

from examples.four_layers.altitude import Altitude
from examples.four_layers.focus import Focus
from examples.four_layers.learning import Learning
from examples.four_layers.memory import Memory
from examples.four_layers.reasoning import Reasoning
from whence.tracing import tracer


class Assistant:
    """Answers requests, offline and always the same way."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.focus = Focus()
        self.learning = Learning()
        self.reasoning = Reasoning()
        self.altitude = Altitude(self.focus, self.memory)

    def answer(self, request: str) -> str:
        """Answer one request; everything that happens on the way is below one step."""
        with tracer.span("sys", "request", "assistant.py", request, target="chat") as step:
            answer = self._answer(request)
            if step:
                step.set_output(answer)
        return answer

    def _answer(self, request: str) -> str:
        kind = self.reasoning.classify(request)
        self.learning.observe(kind)
        if kind == "change of level":
            level = self.altitude.level + (1 if "out" in request else -1)
            if not self.altitude.transition(level, "user requested it"):
                return "There is nothing beyond."
            return f"We look at it from L{self.altitude.level} now."
        self.focus.route(kind)
        strategy = self.reasoning.choose(kind)
        if strategy == "recall":
            return self._recall(request)
        plan = self.altitude.plan(request)
        if self.altitude.evaluate(plan) == "too high up":
            # Somebody wants to see it done: down to where things are done.
            self.reasoning.escalate(self.altitude.level, 1, "plan is too high up")
            self.altitude.transition(1, "plan is too high up")
        return self.altitude.execute(plan)

    def _recall(self, request: str) -> str:
        words = {word.strip("?.,:") for word in request.lower().split()}
        notes = [self.memory.read("notes", key) or "" for key in self.memory.keys("notes")]
        best = max(notes, key=lambda note: len(words & set(note.lower().split())), default="")
        return best or "I do not know."
