"""Approves through a gate again and again, and says after each that it was approved; `naive` says it before."""

import itertools
import sys

import whence
from whence.decisions import Gate


def main(folder: str, *words: str) -> None:
    """Go on until killed."""
    with whence.open(folder) as log:
        # One before anybody kills, so that there is something to lose on a machine of any pace.
        first = _approve(log, 0, say_before=False)
        sys.stdout.write(f"ready\n{first}\n")
        sys.stdout.flush()
        for number in itertools.count(1):
            _approve(log, number, say_before="naive" in words)


def _approve(log: whence.Log, number: int, *, say_before: bool) -> str:
    gate = Gate("upgrade", {"number": number}, log=log)
    gate.vote("probe", True)
    if say_before:
        _say(gate)
        gate.decide()
    else:
        gate.decide()
        if number:
            _say(gate)
    return gate.id


def _say(gate: Gate) -> None:
    sys.stdout.write(f"{gate.id}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
