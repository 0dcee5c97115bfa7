"""`save`, `load` and `replay` for users: on the process's default log, or on one that is given."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from whence.log import Log, default
from whence.runs import replaying, saving
from whence.runs.compare import Tolerance
from whence.runs.judging import Verdict


def save(trace: Mapping[str, Any], *, log: Log | None = None) -> Path:
    """Keep a run that is at hand as `trace_id`, `input` and `output`; return its file.

    Raises:
        KeyError, TypeError, ValueError: it is not that, or cannot be a file.
        StoreError: it could not be kept.
    """
    return saving.save_run(log or default(), trace)


def load(trace_id: str, *, log: Log | None = None) -> dict[str, Any]:
    """Load what a run's file holds.

    Raises:
        NotFoundError: there is no file of it.
        RunFileError: the file is not whole, or no object.
        StoreError: it cannot be read.
        TypeError, ValueError: that is no id.
    """
    return saving.load_run(log or default(), trace_id)


def replay(
    reference: str,
    *,
    log: Log | None = None,
    runner: Callable[..., Any] | str | None = None,
    timeout_s: float = replaying.TIMEOUT_S,
    tolerances: Iterable[Tolerance | str] = (),
) -> Verdict:
    """Execute a run again, twice, and judge what came of it; the verdict is recorded.

    `runner` is called instead of the one that the run names. Each execution may take `timeout_s`. A tolerance
    is written as `output.overlays.*=1e-9`.

    Raises:
        NotFoundError: there is no such run.
        ValueError: a tolerance or the runner cannot be used.
    """
    return replaying.replay(
        log or default(), reference, runner=runner, timeout_s=timeout_s, tolerances=tolerances
    )
