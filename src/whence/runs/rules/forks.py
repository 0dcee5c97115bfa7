"""Rules about a run's forks: each has overlays, an origin that exists, and none is its own ancestor. Pure."""

from collections.abc import Generator, Iterator
from typing import Any

from whence.runs.rules.rule import Limits, rule
from whence.runs.rules.subject import AuditedRun, number, show

_ID_KEYS = ("id", "fork_id", "fork", "trace_id")
_PARENT_KEYS = ("parent", "parent_id", "parent_fork", "parent_fork_id")
_COUNT_KEYS = ("fork_count", "forks_count", "num_forks")


@rule(
    "fork-integrity", "error",
    "Each fork has overlays and an id of its own, its parent exists, none is its own ancestor, and they are"
    " as many as is said.",
    max=1000,
)  # fmt: skip
def fork_integrity(run: AuditedRun, limits: Limits) -> Iterator[str]:
    """Tell which forks do not hang together."""
    forks = run.forks
    if len(forks) > limits["max"]:
        yield f"output.forks holds {len(forks):,} forks, want at most {limits['max']:g}"
    for key in _COUNT_KEYS:
        said = number(run.output.get(key))
        if said is not None and said != len(forks):
            yield f"output.{key} is {said:g}, but output.forks holds {len(forks):,}"
    parents = yield from _read_parents(run)
    yield from _cycles(parents)


def _read_parents(run: AuditedRun) -> Generator[str, None, dict[int, int]]:
    """Tell what is wrong with single forks; returns the parent of each that has one, by index."""
    ids: dict[Any, int] = {}
    for index, fork in enumerate(run.forks):
        if not isinstance(fork, dict):
            yield f"output.forks[{index}] is {show(fork)}, want an object"
            continue
        if not isinstance(fork.get("overlays"), dict):
            yield f"output.forks[{index}] has no overlays"
        fork_id = _first(fork, _ID_KEYS)
        if fork_id is None:
            continue
        if fork_id in ids:
            yield f"output.forks[{index}] has the id {show(fork_id)} of output.forks[{ids[fork_id]}]"
        ids.setdefault(fork_id, index)
    parents: dict[int, int] = {}
    for index, fork in enumerate(run.forks):
        parent = _first(fork, _PARENT_KEYS) if isinstance(fork, dict) else None
        if parent is None or parent in (run.trace_id, "root"):
            continue
        at = ids.get(parent)
        # Forks without ids are meant by where they stand.
        if at is None and not ids and isinstance(parent, int) and 0 <= parent < len(run.forks):
            at = parent
        if at is None:
            yield f"output.forks[{index}] has the parent {show(parent)}, which no fork is"
        else:
            parents[index] = at
    return parents


def _cycles(parents: dict[int, int]) -> Iterator[str]:
    """Tell each ring of ancestors once; every fork is visited once, however deep they lie."""
    done: set[int] = set()
    for start in parents:
        path: dict[int, None] = {}
        at: int | None = start
        while at is not None and at not in done and at not in path:
            path[at] = None
            at = parents.get(at)
        if at is not None and at in path:
            yield f"output.forks[{at}] is its own ancestor"
        done.update(path)


def _first(fork: dict[str, Any], keys: tuple[str, ...]) -> str | int | None:
    """The first of these that is there and can be an id; true and false are none."""
    for key in keys:
        value = fork.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return value
    return None
