"""The altitude layer: from how far up things are looked at, and what is done there."""

from examples.four_layers.focus import Focus
from examples.four_layers.memory import Memory
from whence.tracing import points

_LOWEST, _HIGHEST = 1, 4


class Plan:
    """What is to be done: one action, and what it is done to."""

    def __init__(self, action: str, subject: str) -> None:
        self.action = action
        self.subject = subject

    def __str__(self) -> str:
        return f"{self.action}: {self.subject}"


class Altitude:
    """Keeps the level, from 4 (why) down to 1 (do it)."""

    def __init__(self, focus: Focus, memory: Memory) -> None:
        self.level = 3
        self._focus = focus
        self._memory = memory

    def transition(self, to_level: int, reason: str) -> bool:
        """Go to another level, if the gate lets us; say whether it did."""
        with points.altitude.transition.span(self.level, to_level, reason) as step:
            if not _LOWEST <= to_level <= _HIGHEST:
                step.block(f"there is no L{to_level}")
                return False
            if self._focus.may_write("altitude.session", lambda: self._keep(to_level)):
                return True
            step.block("the session may not be written")
            return False

    def _keep(self, level: int) -> None:
        self._memory.write("altitude", "session", f"we are at L{level}")
        self.level = level

    def plan(self, request: str) -> Plan:
        """Make a plan of a request."""
        with points.altitude.plan.span(self.level, request) as step:
            action, _, subject = request.partition(" ")
            plan = Plan(action, subject.removeprefix("that "))
            step.note(plan_summary=str(plan))
        return plan

    def evaluate(self, plan: Plan) -> str:
        """Whether the plan fits the level that we are at."""
        verdict = "fits" if self.level <= 2 or plan.action != "send" else "too high up"
        points.altitude.evaluate(self.level, verdict, 0.9, plan=str(plan))
        return verdict

    def execute(self, plan: Plan) -> str:
        """Do it, if the layer of focus agrees."""
        with points.altitude.execute.span(self.level, plan.action) as step:
            if plan.action == "remember":
                done = self._focus.may_write(
                    "notes", lambda: self._memory.write("notes", plan.subject[:20], plan.subject)
                )
                answer = "I will remember." if done else "I may not write that down."
            elif self._focus.has_consent(plan.action):
                answer = f"Done: {plan}."
            else:
                answer = f"I may not {plan.action} without your consent."
                step.block(f"nobody consented to {plan.action}")
            step.set_output(answer)
        return answer
