"""What went wrong, as an exit code and as lines for a person. Pure.

0 answered, also with nothing found; 1 failed or broken; 2 wrong use; 3 not found, ambiguous, or
could not look; 130 Ctrl-C.
"""

from whence.errors import (
    ConflictError,
    CorruptError,
    FormatError,
    NotFoundError,
    PhraseError,
    ProofError,
    StoreError,
    WhenceError,
)

OK = 0
FAILED = 1
WRONG_USE = 2
NOT_FOUND = 3
INTERRUPTED = 130

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (PhraseError, WRONG_USE),
    (NotFoundError, NOT_FOUND),
    (FormatError, NOT_FOUND),
    (StoreError, NOT_FOUND),
    (CorruptError, FAILED),
    (ProofError, FAILED),
    (ConflictError, FAILED),
    (WhenceError, FAILED),
    (ValueError, WRONG_USE),
)


def exit_code(error: Exception) -> int | None:
    """The exit code for an error that the user can do something about; None for a bug of ours."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), None)


def describe(error: Exception) -> list[str]:
    """Say what went wrong: the message, and below it what a reference may have meant."""
    lines = str(error).splitlines()
    if isinstance(error, NotFoundError):
        lines += [f"  {candidate}" for candidate in error.candidates]
        lines += [f"  … {error.more:,} more"] if error.more else []
    return lines
