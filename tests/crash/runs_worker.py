"""Records runs until it is killed: `python -m tests.crash.runs_worker FOLDER [naive]`.

With `naive` the protection is off: the event comes first, and the file is written in place, piece by piece,
on what stands for a slow disk, so that a kill meets it half written on a machine of any pace.
"""

import random
import sys
import time
from pathlib import Path
from typing import Any

import whence
from whence.runs import saving
from whence.runs.files import path_of

_PIECES = 50
_PIECE_S = 0.001


def write_naively(folder: Path, trace_id: str, content: bytes, **_: Any) -> Path:
    """Keep a file as programs do that nobody has killed yet."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, trace_id)
    size = len(content) // _PIECES + 1
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(content), size):
            file.write(content[at : at + size])
            time.sleep(_PIECE_S)
    return path


def main() -> None:
    if "naive" in sys.argv[2:]:
        saving.__dict__["write_file"] = write_naively
    chance = random.Random()
    with whence.open(sys.argv[1]) as log:
        # One before anybody kills, so that something is saved on a machine of any pace.
        _run_once(log, chance)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            _run_once(log, chance)


def _run_once(log: whence.Log, chance: random.Random) -> None:
    with log.run("turn", {"n": chance.random()}) as run:
        run.step("one", {"x": chance.random()})
        run.output(variables={"filling": "x" * chance.randrange(200_000)}, trust=0.5)


if __name__ == "__main__":
    main()
