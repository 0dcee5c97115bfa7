"""What the tests of the command line share: answers, and the demo's story."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import whence
from whence.cli.stage.actor import act
from whence.cli.stage.story import PLOT, Cue


class Answer(NamedTuple):
    """What a command line answered."""

    code: int
    out: str
    err: str


Ask = Callable[..., Answer]


def record_story(folder: Path) -> dict[str, str]:
    """Record the demo's story in this process and return the ids of its named moves."""
    ids: dict[str, str] = {}
    with whence.open(folder) as log:
        for move in PLOT:
            event_id = act(log, Cue(move=move, parent=ids.get(move.because)))
            ids[move.name or move.does] = event_id
    return ids
