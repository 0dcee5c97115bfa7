"""Approves through a gate again and again, and says after each that it was approved; `naive` says it before."""

import itertools
import sys

import whence
from whence.decisions import Gate


def main(folder: str, *words: str) -> None:
    """Go on until killed."""
    with whence.open(folder) as log:
        log.emit("ops", "ready")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for number in itertools.count():
            gate = Gate("upgrade", {"number": number}, log=log)
            gate.vote("probe", True)
            if "naive" in words:
                sys.stdout.write(f"{gate.id}\n")
                sys.stdout.flush()
            gate.decide()
            if "naive" not in words:
                sys.stdout.write(f"{gate.id}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
