"""What the seed calls a trace event: one step of one layer, as its files and tools show it.

`TraceEvent` has the seed's fields under the seed's names. A line of `trace.jsonl` is one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import msgspec

from whence.event import Event
from whence.recorder.payload import MARKS

SUMMARY_MAX = 100
"""Of an input or output so many characters are kept, as the seed does."""

OWN_KEYS = frozenset(
    [
        "component",
        "input",
        "output",
        "error",
        "reason_blocked",
        "level",
        "status",
        "attributes",
        MARKS,
    ]
)
"""What the payload of a step says of itself: a caller's values of these names stand below `attributes`."""

_SAID_ELSEWHERE = OWN_KEYS - {MARKS}
_NS_PER_MS = 1_000_000


@dataclass(slots=True)
class TraceEvent:
    """One step: its layer, its operation, what went in, what came out, how long it took."""

    trace_id: str
    parent_id: str | None
    timestamp: str
    hrm_layer: str
    operation: str
    component: str
    input_summary: str
    output_summary: str
    duration_ms: int
    status: str
    metadata: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> "TraceEvent":
        """The step that an event of the journal stands for."""
        data = {} if event.data is None else event.data
        if not isinstance(data, dict):
            data = {"value": data}
        # A status that the envelope does not know stands in the payload.
        status = event.status or _summarise(data.get("status")) or "success"
        return tell(
            event.id, event.parent, event.time_ns, event.duration, event.primitive, event.type,
            status, data,
        )  # fmt: skip

    def as_line(self) -> bytes:
        """Write the step as a line of the seed's file; values that JSON lacks become text."""
        return msgspec.json.encode(self, enc_hook=_say) + b"\n"


def tell(
    trace_id: str,
    parent_id: str | None,
    time_ns: int,
    duration_ns: int | None,
    layer: str,
    operation: str,
    status: str,
    data: Mapping[str, Any],
) -> TraceEvent:
    """Tell what was recorded in the seed's words; `data` is its payload."""
    moment = datetime.fromtimestamp(time_ns / 1e9, timezone.utc).astimezone()  # noqa: UP017
    return TraceEvent(
        trace_id=trace_id,
        parent_id=parent_id,
        timestamp=moment.isoformat(),
        hrm_layer=layer,
        operation=operation,
        component=_summarise(data.get("component")),
        input_summary=_summarise(data.get("input")),
        output_summary=_summarise(data.get("output")),
        duration_ms=(duration_ns or 0) // _NS_PER_MS,
        status=status,
        metadata=metadata_of(data),
    )


def metadata_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a payload says besides the fields that every step has."""
    metadata = {key: value for key, value in data.items() if key not in _SAID_ELSEWHERE}
    others = data.get("attributes")
    if isinstance(others, dict):
        metadata |= others
    elif others is not None:
        metadata["attributes"] = others
    error = data.get("error")
    if isinstance(error, dict):
        metadata["error"] = error.get("message") or error.get("type")
    elif error is not None:
        metadata["error"] = error
    if "reason_blocked" in data:
        metadata.setdefault("reason", data["reason_blocked"])
    return metadata


def _summarise(value: Any) -> str:
    if value is None:
        return ""
    # Plain text, also of what is marked as cut.
    text = str.__str__(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SUMMARY_MAX else text[: SUMMARY_MAX - 1] + "…"


def _say(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - it is not ours, and may raise anything
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
