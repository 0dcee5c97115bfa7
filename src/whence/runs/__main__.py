"""`python -m whence.runs --replay ID | --summarize ID | --audit-all`: the seed's own command line.

What it does is logged in the seed's words; `whence replay`, `whence runs show` and `whence audit` tell more.
"""

import argparse
import logging
import sys

from whence.runs.documented import audit_all_traces, replay_trace, summarize_trace


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m whence.runs", description="Runs and their files."
    )
    parser.add_argument("--replay", metavar="ID", help="execute a run again")
    parser.add_argument("--summarize", metavar="ID", help="print what came out of a run")
    parser.add_argument("--audit-all", action="store_true", help="look at every run file")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if given.replay:
        replay_trace(given.replay)
    elif given.summarize:
        summarize_trace(given.summarize)
    elif given.audit_all:
        audit_all_traces()
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
