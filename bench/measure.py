"""How everything here is measured: contenders take turns, ratios are taken turn by turn.

A busy machine slows all contenders of a round alike, so the median of the rounds' ratios holds
where times alone would not.
"""

import math
import resource
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

# Below `build`, which git ignores and `make clean` removes: the disk of the checkout, not a tmpfs.
FOLDER = Path(__file__).parents[1] / "build" / "bench"


class Plan(NamedTuple):
    """How thoroughly to measure."""

    rounds: int = 25
    events: int = 1_000_000
    is_full: bool = False


class Finding(NamedTuple):
    """What was measured for one target: its `value`, and what that was made from."""

    key: str
    value: float
    ours: str
    peer: str = ""
    note: str = ""


class Benchmark(NamedTuple):
    """Measures the targets named in `keys`; which of them a run leaves out depends on the plan."""

    name: str
    keys: tuple[str, ...]
    run: Callable[[Plan], Iterator[Finding]]


def interleave(
    contenders: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: int = 1
) -> dict[str, list[T]]:
    """Let the contenders take turns; return what each measured, round by round.

    The first `warm_up` rounds do not count.
    """
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(-warm_up, rounds):
        for name, contender in contenders.items():
            result = contender()
            if number >= 0:
                results[name].append(result)
    return results


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def median_of(results: Sequence[T], part: Callable[[T], float]) -> float:
    """The median of one part of what was measured."""
    return statistics.median(map(part, results))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of a hundred values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def peak_mb() -> float:
    """The most memory that this process held, in MB; where the system counts it, without that of who started it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one round's files, gone afterwards."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as name:
        yield Path(name)
