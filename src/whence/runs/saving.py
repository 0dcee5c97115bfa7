"""A run's file and the event that commits to it: the file is durable before the event says so."""

import base64
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from whence.laws import CORE_OVERLAYS
from whence.line import commitment
from whence.log import Log
from whence.runs.convert import plain
from whence.runs.digest import digest
from whence.runs.files import check_id, find_folder, path_of, read_file, write_file
from whence.runs.history import PRIMITIVE, SAVE

_SALT_BYTES = 18


def runs_folder(log: Log) -> Path:
    """Where this log's run files are; ValueError for what is wrong with `[runs]`."""
    return find_folder(log.folder, log.settings)


def keep_run(
    log: Log,
    trace_id: str,
    given: Any,
    output: Any,
    *,
    name: str | None = None,
    input_digest: str | None = None,
    agent: str | None = None,
    parent: str | None = None,
    duration: int | None = None,
) -> Path:
    """Write the file of a run, then the event that commits to it. `given` and `output` are plain.

    Raises:
        StoreError: the file could not be kept; then no event says that it was.
        ValueError: the id cannot name a run.
    """
    trace_id = check_id(trace_id)
    content = write_content(trace_id, given, output)
    path = write_file(runs_folder(log), trace_id, content)
    salt = base64.urlsafe_b64encode(os.urandom(_SALT_BYTES)).decode()
    data = {
        "run": name,
        "file": path.name,
        "bytes": len(content),
        "salt": salt,
        "commit": commitment(salt, content),
        "input_digest": input_digest or digest(given),
        "output_digest": digest(output),
        **_outline(output),
    }
    said = {key: value for key, value in data.items() if value is not None}
    log.emit(
        PRIMITIVE, SAVE, agent=agent, target=trace_id, data=said, parent=parent,
        status="success", duration=duration,
    )  # fmt: skip
    return path


def write_content(trace_id: str, given: Any, output: Any) -> bytes:
    """What the file of a run holds."""
    value = {"trace_id": trace_id, "input": given, "output": output}
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    except (ValueError, OverflowError, msgspec.MsgspecError):
        # Integers longer than msgspec writes.
        import json

        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def _outline(output: Any) -> dict[str, Any]:
    """What lists of runs show of what came out."""
    if not isinstance(output, Mapping):
        return {}
    overlays = output.get("overlays")
    core = {
        name: overlays[name]
        for name in CORE_OVERLAYS
        if isinstance(overlays, Mapping) and is_number(overlays.get(name))
    }
    forks = output.get("forks")
    trust = output.get("trust")
    return {
        "trust": trust if is_number(trust) else None,
        "overlays": core or None,
        "forks": len(forks) if isinstance(forks, list) and forks else None,
    }


def is_number(value: Any) -> bool:
    """Whether a plain value is a number; true and false are none."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def save_run(log: Log, trace: Mapping[str, Any]) -> Path:
    """Keep a run that is at hand as `trace_id`, `input` and `output`; return its file.

    Raises:
        KeyError, TypeError, ValueError: it is not that, or cannot be a file.
        StoreError: it could not be kept.
    """
    if not isinstance(trace, Mapping):
        raise TypeError(f"trace is {type(trace).__name__}, want a mapping")
    for key in ("trace_id", "input", "output"):
        if key not in trace:
            raise KeyError(f"trace has no {key!r}")
    return keep_run(log, trace["trace_id"], plain(trace["input"]), plain(trace["output"]))


def load_run(log: Log, trace_id: str) -> dict[str, Any]:
    """Load what a run's file holds.

    Raises:
        NotFoundError: there is no file of it.
        RunFileError: the file is not whole, or no object.
        StoreError: it cannot be read.
        TypeError, ValueError: that is no id.
    """
    return read_file(path_of(runs_folder(log), trace_id)).value
