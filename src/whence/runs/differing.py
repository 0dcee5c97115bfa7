"""Two runs beside each other: what went in, what they ran in, what they did, what came out."""

from pathlib import Path
from typing import Any, NamedTuple

from whence.errors import CorruptError, NotFoundError, StoreError
from whence.log import Log
from whence.runs.capturing import CapturedStep
from whence.runs.compare import Comparison, Tolerance, compare
from whence.runs.digest import digest
from whence.runs.files import path_of, read_file
from whence.runs.history import RunRecord, data_of, read_run
from whence.runs.judging import compare_steps
from whence.runs.saving import runs_folder

_UNTOLD = ("command", "folder")
"""Where and how a run was started says nothing about what it is."""


class Side(NamedTuple):
    """One of the two: its run, if the journal knows it, and what its file holds."""

    id: str
    run: RunRecord | None
    input: Any
    output: Any

    @property
    def told(self) -> RunRecord | None:
        """The run, if the journal saw it begin."""
        return self.run if self.run is not None and self.run.begin is not None else None


class Differences(NamedTuple):
    """What differs between two runs.

    `unknown` names the parts that cannot be compared, since they are not known of both: a file tells
    neither what a run ran in nor its steps, and what was only saved has neither.
    """

    left: Side
    right: Side
    input: Comparison
    environment: Comparison
    steps: Comparison
    output: Comparison

    @property
    def unknown(self) -> tuple[str, ...]:
        """The parts that cannot be compared."""
        is_known = self.left.told is not None and self.right.told is not None
        return () if is_known else ("environment", "steps")

    @property
    def is_same(self) -> bool:
        """Whether nothing that is known differs beyond what is tolerated."""
        return all(each.is_same for each in (self.input, self.environment, self.steps, self.output))


def find_differences(
    log: Log, left: str, right: str, tolerances: tuple[Tolerance, ...] = ()
) -> Differences:
    """Compare two runs, each named by a reference or by the path of its file.

    Raises:
        NotFoundError: one of them is not there.
        RunFileError, StoreError: a file cannot be used.
    """
    one, other = _look_up(log, left), _look_up(log, right)
    renamed = (one.id, other.id)

    def of(first: Any, second: Any, at: str) -> Comparison:
        return compare(first, second, at=(at,), tolerances=tolerances, renamed=renamed)

    environment = steps = Comparison()
    if one.told is not None and other.told is not None:
        environment = of(_environment(one.told), _environment(other.told), "environment")
        steps = compare_steps(read_steps(one.told), read_steps(other.told), tolerances, renamed)
    return Differences(
        one, other, of(one.input, other.input, "input"), environment, steps,
        of(one.output, other.output, "output"),
    )  # fmt: skip


def _look_up(log: Log, reference: str) -> Side:
    path = Path(reference)
    if path.suffix == ".json" and path.is_file():
        file = read_file(path)
        return Side(str(file.trace_id or path.stem), None, file.input, file.output)
    run = read_run(log, reference)
    try:
        file = read_file(path_of(runs_folder(log), run.id))
    except (NotFoundError, StoreError, CorruptError):
        if run.save is not None:
            raise
        # What is unfinished or failed has none; the journal has what went in.
        return Side(run.id, run, run.input, None)
    return Side(run.id, run, file.input, file.output)


def _environment(run: RunRecord) -> dict[str, Any]:
    said = {key: value for key, value in run.environment.items() if key not in _UNTOLD}
    begun = run.begun
    return {
        **said,
        **{key: begun[key] for key in ("runner", "runner_code", "seed") if key in begun},
    }


def read_steps(run: RunRecord) -> list[CapturedStep]:
    """The steps of a run, with their states where these were kept whole."""
    return [_read_step(data_of(event)) for event in run.steps]


def _read_step(data: dict[str, Any]) -> CapturedStep:
    said, state = data.get("digest"), data.get("state")
    # What the journal redacted or cut is not the state that was digested.
    is_whole = "state" in data and digest(state) == said
    return CapturedStep(
        name=str(data.get("step")), digest=said if isinstance(said, str) else None,
        state=state if is_whole else None, has_state=is_whole,
    )  # fmt: skip
