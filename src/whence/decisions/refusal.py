"""What is raised instead of an approval."""

from collections.abc import Mapping
from typing import Any

from whence.errors import WhenceError


class DecisionRefused(WhenceError):  # noqa: N818 - it is an outcome, and called as the gate calls it
    """Not approved: by the rule, or because the decision could not be kept on disk.

    `decision_id` is the event that says so, None where nothing was kept; `votes` are those cast.
    """

    def __init__(
        self,
        reason: str,
        decision_id: str | None = None,
        votes: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.decision_id = decision_id
        self.votes = dict(votes or {})
