"""The functions that systems of the seed's kind call, under their names: they report failures and return.

What goes wrong is logged in the seed's words. `whence.decisions.record.record` and `read_decisions` do the same
and raise. All go to the process's default log.
"""

import logging
from datetime import datetime
from typing import Any

from whence.decisions.history import read_decisions
from whence.decisions.record import read_verdict, record
from whence.log import default

TOPIC = "learning.federation_update"
KIND = "consensus_decision"

_logger = logging.getLogger("whence.decisions")


def record_decision(
    action: str,
    approved: bool,
    votes: Any,
    subject: Any,
    reason: str = "",
    event_bus_emit: bool = True,
) -> bool:
    """Record a decision; True once it survives a power cut, False and a line in the log if it could not be kept.

    Whatever follows from an approval has to look at the answer, or use `gate`, which cannot be overlooked.
    With `event_bus_emit` it is told on the default bus as `learning.federation_update` with the whole subject;
    what leaves this machine by that does so only with consent.
    """
    try:
        log = default()
        event_id = record(log, action, approved, votes, subject, reason)
    except Exception as error:  # noqa: BLE001 - whatever it was: the answer is False, and the log says why
        _logger.warning("[reasoning_trace] persist failed: %s", _say(error))
        return False
    if event_bus_emit:
        try:
            from whence.decisions.bus import emit_event

            told = {
                "kind": KIND,
                "action": action,
                "approved": read_verdict(approved),
                "subject": subject,
                "votes": votes,
                "reason": reason,
            }
            emit_event(TOPIC, told, log=log, parent=event_id)
        except Exception as error:  # noqa: BLE001 - the decision is on disk, so the answer stays True
            _logger.warning("[reasoning_trace] event emit failed: %s", _say(error))
    return True


def read_recent(
    limit: int = 200,
    *,
    action: str | None = None,
    approved: bool | None = None,
    agent: str | None = None,
    since: float | datetime | str | None = None,
) -> list[dict[str, Any]]:
    """The newest `limit` decisions that match, with the seed's seven keys, the newest last.

    Filters come before the limit. `agent` is who decided or voted, or whom it was about; `since` is seconds
    since 1970, a datetime or a time phrase. Nothing, and a line in the log, where they cannot be read.
    """
    try:
        found = read_decisions(
            default(), int(limit), action=action, approved=approved, agent=agent, since=since
        )
        return [decision.as_entry() for decision in found]
    except Exception as error:  # noqa: BLE001 - as the seed: nobody's dashboard fails by it
        _logger.warning("[reasoning_trace] read failed: %s", _say(error))
        return []


def _say(error: BaseException) -> str:
    from whence.draw.cells import printable

    try:
        return printable(str(error)) or type(error).__name__
    except Exception:  # noqa: BLE001 - an error of the caller's, whose text may raise too
        return type(error).__name__
