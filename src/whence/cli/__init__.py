"""The command `whence`, also installed as `trace`: one file per verb, and no rules.

Only what a verb needs is loaded: the version is said before the command line library is imported,
and each verb's module is imported when that verb runs. `main` alone maps errors to exit codes.
"""

import gc
import sys

_ALLOCATIONS = 100_000
# `failures.INTERRUPTED`; that module is not needed for what is said at once.
_INTERRUPTED = 130

VERSION_FLAGS = ("--version", "-V")


def main(*words: str) -> int:
    """Run the command line of this process, `words` before it, and return its exit code."""
    # Loading code makes next to no garbage. Without looking for it, also not at the end, a short
    # answer comes a fifth sooner.
    gc.set_threshold(_ALLOCATIONS)
    try:
        code = _run([*words, *sys.argv[1:]])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    finally:
        gc.freeze()
    if code == _INTERRUPTED:
        _die_of_ctrl_c()
    return code


def _run(arguments: list[str]) -> int:
    if len(arguments) == 1 and arguments[0] in VERSION_FLAGS:
        from whence import __version__

        return _say(f"whence {__version__}\n")
    from whence.cli.app import run

    return run(arguments, sys.argv[0])


def _say(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Rare, and then what it takes to say so may be loaded.
        from whence.cli.app import leave_unwritten

        return leave_unwritten(error)
    return 0


def _die_of_ctrl_c() -> None:
    """End by the signal, as the shell expects: on an exit code it would go on with its loop."""
    import os
    import signal

    if os.name == "posix":
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
