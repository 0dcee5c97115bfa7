"""The command `whence`, also installed as `trace`: one file per verb, and no rules.

Only what a verb needs is loaded: the version is said before the command line library is imported,
and each verb's module is imported when that verb runs. `main` alone maps errors to exit codes.
"""

import gc
import sys

_ALLOCATIONS = 100_000

VERSION_FLAGS = ("--version", "-V")


def main() -> int:
    """Run the command line of this process and return its exit code."""
    # Loading code makes next to no garbage. Without looking for it, also not at the end, a short
    # answer comes a fifth sooner.
    gc.set_threshold(_ALLOCATIONS)
    try:
        return _run()
    except KeyboardInterrupt:
        return 130
    finally:
        gc.freeze()


def _run() -> int:
    if len(sys.argv) == 2 and sys.argv[1] in VERSION_FLAGS:
        from whence import __version__

        return _say(f"whence {__version__}\n")
    from whence.cli.app import run

    return run(sys.argv[1:], sys.argv[0])


def _say(text: str) -> int:
    from contextlib import suppress

    with suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0
