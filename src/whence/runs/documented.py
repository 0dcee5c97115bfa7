"""The functions that simulations of the seed's kind call, under their names: they report failures and return.

What goes wrong is logged in the seed's words. `save`, `load` and `replay` of `whence.runs` do the same and
raise. All go to the process's default log.
"""

import logging
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from whence.draw.cells import printable
from whence.errors import NotFoundError, WhenceError
from whence.log import default
from whence.runs.convert import overlay_to_dict, plain, variables_to_dict
from whence.runs.saving import load_run, runs_folder, save_run

logger = logging.getLogger("whence.runs")

_FAILURES = (WhenceError, OSError, KeyError, TypeError, ValueError)


def generate_trace_id() -> str:
    """Make an id for a run: a UUID of version 4, as text."""
    return str(uuid.uuid4())


def assign_trace_metadata(
    sim_input: Mapping[str, Any], sim_output: Mapping[str, Any]
) -> dict[str, Any]:
    """Give a run an id, save it, and return it as `trace_id`, `input` and `output`.

    What was given is copied, not changed. If it cannot be saved that is logged, and the run returned.
    """
    trace_id = generate_trace_id()
    try:
        metadata = {
            "trace_id": trace_id,
            "input": plain(sim_input),
            "output": plain(_open_parts(sim_output)),
        }
    except _FAILURES as error:
        logger.error("[TRACE] Failed to save trace: %s", _say(error))
        return {"trace_id": trace_id, "input": sim_input, "output": sim_output}
    save_trace_to_disk(metadata)
    return metadata


def save_trace_to_disk(metadata: Mapping[str, Any]) -> None:
    """Save a run as `<trace_id>.json`, whole or not at all; what goes wrong is logged."""
    try:
        save_run(default(), {**metadata, "output": _open_parts(metadata["output"])})
    except _FAILURES as error:
        logger.error("[TRACE] Failed to save trace: %s", _say(error))


def load_trace(trace_id: str) -> dict[str, Any] | None:
    """Load a run by its id; None, and a line in the log, if it is not there or cannot be used."""
    try:
        return load_run(default(), trace_id)
    except NotFoundError:
        logger.warning("[TRACE] Trace not found: %s", printable(str(trace_id)))
    except _FAILURES as error:
        logger.error("[TRACE] Failed to load trace: %s", _say(error))
    return None


def replay_trace(trace_id: str) -> None:
    """Execute a run again and log how that went."""
    from whence.runs.replaying import replay

    logger.info("[TRACE] Replaying trace: %s", printable(str(trace_id)))
    try:
        verdict = replay(default(), trace_id)
    except NotFoundError:
        logger.warning("[TRACE] Trace not found: %s", printable(str(trace_id)))
        return
    except _FAILURES as error:
        logger.error("[TRACE] Failed to replay trace: %s", _say(error))
        return
    if verdict.reason is not None:
        logger.error("[TRACE] Failed to replay trace: %s", printable(verdict.reason))
    else:
        logger.info("[TRACE] Replay completed. (New trust: %s)", verdict.trust)


def summarize_trace(trace_id: str) -> None:
    """Print a run's id, overlays, trust and number of forks."""
    trace = load_trace(trace_id)
    if trace is None:
        return
    output = trace.get("output")
    said = output if isinstance(output, dict) else {}
    forks = said.get("forks")
    rows = {
        "Trace ID": trace.get("trace_id"),
        "Overlays": said.get("overlays"),
        "Trust Score": said.get("trust"),
        "Fork Count": len(forks) if isinstance(forks, list) else 0,
    }
    sys.stdout.write("".join(f"{name}: {printable(str(value))}\n" for name, value in rows.items()))


def audit_all_traces() -> None:
    """Look at every run file and log what is wrong with it, and how many issues there are."""
    from whence.runs.auditing import log_audit

    log = default()
    try:
        log_audit(runs_folder(log), log, logger)
    except _FAILURES as error:
        logger.error("[AUDIT] Failed to audit %s: %s", log.folder, _say(error))


def register_trace_to_memory(trace_metadata: Mapping[str, Any]) -> None:
    """Put a run into the memory of forecasts."""
    from whence.runs.memory import ForecastMemory

    try:
        trace = dict(trace_metadata)
        trace["output"] = plain(_open_parts(trace.get("output")))
        ForecastMemory().store(trace)
    except _FAILURES as error:
        logger.error("[TRACE] Failed to register trace: %s", _say(error))
        return
    logger.info("[TRACE] Trace %s added to memory.", printable(str(trace_metadata.get("trace_id"))))


def _open_parts(output: Any) -> Any:
    """The output with overlays and variables by name, also those of its forks; what has no names stays."""
    if not isinstance(output, Mapping):
        return output
    made = dict(output)
    for key, open_part in (("overlays", overlay_to_dict), ("variables", variables_to_dict)):
        if made.get(key) is not None:
            with suppress(TypeError):
                made[key] = open_part(made[key])
    if isinstance(made.get("forks"), list):
        made["forks"] = [_open_parts(fork) for fork in made["forks"]]
    return made


def _say(error: BaseException) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return printable(str(text))
