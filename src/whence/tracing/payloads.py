"""From what a caller says of a step to what is kept of it, and from there to what others are told.

Nothing here raises, whatever is given.
"""

from collections.abc import Mapping
from typing import Any

from whence.event import decode_json
from whence.recorder.context import Cause
from whence.recorder.recorder import Recorder
from whence.tracing.events import OWN_KEYS, SUMMARY_MAX, TraceEvent, tell
from whence.tracing.layers import as_name, as_text

_NAME_MAX = 1_000
"""An envelope has room for two of them, and a reader's line for none."""


def make_payload(
    recorder: Recorder,
    component: Any,
    input_data: Any,
    level: Any,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What is kept with a step: its summaries, its level and what the caller says besides."""
    data = {} if metadata is None else _attributes(metadata)
    if not is_empty(component):
        data["component"] = summarise(recorder, component)
    if not is_empty(input_data):
        data["input"] = summarise(recorder, input_data)
    # Compared as text: what is none may do anything when it is compared.
    if type(level) is not str or level != "info":
        data["level"] = as_text(level)
    return data


def _attributes(metadata: Any) -> dict[str, Any]:
    """A caller's values as a payload of our own, in which they hide nothing of ours."""
    try:
        data = {**metadata}
        return data if OWN_KEYS.isdisjoint(data) else {"attributes": data}
    except Exception:  # noqa: BLE001 - no mapping, or one that fails: the recorder says what it is
        return {"metadata": metadata}


def is_empty(value: Any) -> bool:
    """Whether there is nothing to keep; asks nothing of a value, which may do anything."""
    return value is None or (type(value) is str and not value)


def summarise(recorder: Recorder, value: Any) -> str:
    """The first characters of a value's text, marked where there were more."""
    text = value if type(value) is str else as_text(value)
    return text if len(text) <= SUMMARY_MAX else recorder.payloads.cut(text, SUMMARY_MAX)


def name_or_none(value: Any) -> str | None:
    """An agent or target as an envelope can hold it, cut with a mark; None where there is none."""
    if value is None:
        return None
    name = as_name(value)
    return (name if len(name) <= _NAME_MAX else f"{name[: _NAME_MAX - 1]}…") or None


def retell(
    recorder: Recorder,
    trace_id: str,
    cause: Cause | None,
    time_ns: int,
    duration_ns: int,
    layer: str,
    operation: str,
    status: str,
    data: dict[str, Any],
    private: bool,
) -> TraceEvent:
    """Tell a step as the journal has it: without its secrets, and without a private payload."""
    kept = {} if private else decode_json(recorder.payloads.encode(data))
    parent = None if cause is None else str(cause.id)
    return tell(trace_id, parent, time_ns, duration_ns, layer, operation, status, kept)
