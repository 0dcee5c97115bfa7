"""The crowd as runs: one that replays, and one with a mistake that only another hash seed shows."""

from collections.abc import Iterable, Mapping
from typing import Any

import whence
from examples.crowd.model import simulate


@whence.runner("crowd")
def crowd(config_override: Mapping[str, Any]) -> None:
    """Record a crowd's life: each turn a step, what came of them the output."""
    _live("crowd", config_override, sorted)


@whence.runner("hasty-crowd")
def hasty_crowd(config_override: Mapping[str, Any]) -> None:
    """The same with a mistake: who speaks first is left to the order of a set."""
    _live("hasty-crowd", config_override, _as_they_come)


def _as_they_come(speakers: set[str]) -> Iterable[str]:
    return speakers


def _live(name: str, settings: Mapping[str, Any], order: Any) -> None:
    with whence.run(name, settings, seed=settings["seed"], runner=name, keep=True) as run:
        result = simulate(settings, run.step, order)
        for fork in result["forks"]:
            run.fork(id=fork["fork"], overlays=fork["overlays"], variables=fork["variables"])
        run.output(
            overlays=result["overlays"], variables=result["variables"], trust=result["trust"]
        )
