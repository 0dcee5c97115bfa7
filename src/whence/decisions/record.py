"""Records a decision so that it survives a power cut, or raises.

One clock read gives `timestamp`, `datetime_utc` and the day of the mirror. Votes and subjects of any shape are
kept whole: what JSON cannot carry becomes its marked `repr`, secrets are redacted and marked.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from whence.decisions.decision import GATE, PRIMITIVE
from whence.decisions.mirror import mirror
from whence.event import Status
from whence.log import Log
from whence.recorder.payload import Payloads
from whence.recorder.receipt import Receipt

TARGETS = ("prompt_id", "agent_id", "task_id", "proposal_id", "id")
"""What a decision is about: the first of these in its subject."""

_PLAIN_TYPE = "decide"
_TYPE_BYTES_MAX = 256
_TARGET_BYTES_MAX = 1024
_NUMBER_BITS_MAX = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record(
    log: Log,
    action: Any,
    approved: Any,
    votes: Any,
    subject: Any,
    reason: Any = "",
    *,
    agent: str | None = None,
    parent: str | None = None,
    links: Collection[str] = (),
    gate: str | None = None,
) -> str:
    """Record one decision and return the id of its event, which is on disk by then.

    `gate` is the id of the gate that decided. `approved` is a bool, or a number or nothing that Python takes
    for one; a text or object that would count as true is refused.

    Raises:
        StoreError: it could not be kept on disk.
        TypeError, ValueError: the verdict is none, the log is for reading only, or a cause is no id.
    """
    verdict = read_verdict(approved)
    recorder = log.recorder
    now_ns = recorder.clock()
    moment = _EPOCH + timedelta(microseconds=now_ns // 1000)
    data = {
        "timestamp": now_ns / 1_000_000_000,
        "datetime_utc": moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z",
        "action": action,
        "approved": verdict,
        "votes": votes,
        "subject": subject,
        "reason": reason,
    }
    kept = data if gate is None else {**data, GATE: gate}
    status: Status = "success" if verdict else "blocked"
    event_id = log.emit(
        PRIMITIVE, _name_type(action, recorder.payloads), agent=agent,
        target=find_target(subject, recorder.payloads), data=kept, parent=parent, links=links,
        status=status, durability="disk",
    )  # fmt: skip
    # From here on the decision survives a power cut; a mirror that fails costs it nothing.
    if not isinstance(event_id, Receipt):
        mirror(log, moment.date(), data)
    return str.__str__(event_id)


def read_verdict(approved: Any) -> bool:
    """Read a verdict; TypeError for what would count as true and is neither a bool nor a number."""
    if isinstance(approved, bool):
        return approved
    if approved and not (isinstance(approved, int | float) and approved == 1):
        raise TypeError(f"approved is {type(approved).__name__}, want bool")
    return bool(approved)


def find_target(subject: Any, payloads: Payloads) -> str | None:
    """What a decision is about, where its subject says so in a way that an envelope can hold."""
    if not isinstance(subject, Mapping):
        return None
    for name in TARGETS:
        value = None
        # A mapping that cannot be read is still a subject.
        with suppress(Exception):
            value = subject.get(name)
        text = _as_text(value)
        if _fits(text, _TARGET_BYTES_MAX, payloads):
            return text
    return None


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value) if value.bit_length() <= _NUMBER_BITS_MAX else ""
    return ""


def _name_type(action: Any, payloads: Payloads) -> str:
    text = str.__str__(action) if isinstance(action, str) else ""
    return text if _fits(text, _TYPE_BYTES_MAX, payloads) else _PLAIN_TYPE


def _fits(text: str, size: int, payloads: Payloads) -> bool:
    """Whether an envelope can hold a text. Nothing is redacted there, so it must hold no secret."""
    if not text or len(text) > size:
        return False
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return False
    return len(raw) <= size and payloads.redact(text) == text
