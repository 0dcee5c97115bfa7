"""Simulation runs: recorded so that somebody else can execute them again, compared, audited.

    with whence.run("forecast", inputs, seed=7) as run: ...
    verdict = whence.runs.replay(run.id)

The functions of the seed's kind (`assign_trace_metadata` and the like) report failures and return; `save`, `load`
and `replay` raise. What is named here is loaded when it is first used.
"""

# As `typing` has it, which takes longer to load than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from whence.runs.auditing import audit
    from whence.runs.convert import overlay_to_dict, variables_to_dict
    from whence.runs.decorator import simulation
    from whence.runs.defaults import load, replay, save
    from whence.runs.documented import (
        assign_trace_metadata,
        audit_all_traces,
        generate_trace_id,
        load_trace,
        register_trace_to_memory,
        replay_trace,
        save_trace_to_disk,
        summarize_trace,
    )
    from whence.runs.files import RunFileError
    from whence.runs.history import RunRecord, read_run, read_runs
    from whence.runs.judging import Verdict
    from whence.runs.recording import Run
    from whence.runs.runners import runner

_HOMES = {
    **dict.fromkeys(("load", "replay", "save"), "whence.runs.defaults"),
    **dict.fromkeys(("overlay_to_dict", "variables_to_dict"), "whence.runs.convert"),
    **dict.fromkeys(("RunRecord", "read_run", "read_runs"), "whence.runs.history"),
    "Run": "whence.runs.recording",
    "RunFileError": "whence.runs.files",
    "Verdict": "whence.runs.judging",
    "audit": "whence.runs.auditing",
    "runner": "whence.runs.runners",
    "simulation": "whence.runs.decorator",
}
_DOCUMENTED = (
    "assign_trace_metadata",
    "audit_all_traces",
    "generate_trace_id",
    "load_trace",
    "register_trace_to_memory",
    "replay_trace",
    "save_trace_to_disk",
    "summarize_trace",
)

__all__ = [
    "Run",
    "RunFileError",
    "RunRecord",
    "Verdict",
    "assign_trace_metadata",
    "audit",
    "audit_all_traces",
    "generate_trace_id",
    "load",
    "load_trace",
    "overlay_to_dict",
    "read_run",
    "read_runs",
    "register_trace_to_memory",
    "replay",
    "replay_trace",
    "runner",
    "save",
    "save_trace_to_disk",
    "simulation",
    "summarize_trace",
    "variables_to_dict",
]


if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _HOMES and name not in _DOCUMENTED:
            raise AttributeError(f"module 'whence.runs' has no attribute {name!r}")
        from importlib import import_module

        home = _HOMES.get(name, "whence.runs.documented")
        value = globals()[name] = getattr(import_module(home), name)
        return value

    def __dir__():
        return __all__
