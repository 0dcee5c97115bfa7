"""Every error that Whence raises, one class per thing the caller would do differently.

Wrong use of a function is `ValueError` or `TypeError`, as everywhere in Python. Exit codes and
logging belong to `cli`.
"""

from collections.abc import Iterable


class WhenceError(Exception):
    """Base of all errors below: catch it to catch anything that Whence reports."""


class CorruptError(WhenceError):
    """Bytes that cannot be read back as what they should be."""


class ProofError(WhenceError):
    """A proof, hash or signature that does not hold."""


class StoreError(WhenceError):
    """The world refused (disk, permissions, missing file): try again, or open again."""


class ConflictError(WhenceError):
    """Somebody else wrote what we were about to write."""


class FormatError(WhenceError):
    """Written by a newer Whence than this one: upgrade to read it."""


class NotFoundError(WhenceError):
    """A reference names nothing, or more than one thing; `candidates` are near or matching.

    `more` counts those that are not listed.
    """

    def __init__(
        self,
        message: str,
        candidates: Iterable[str] = (),
        *,
        is_ambiguous: bool = False,
        more: int = 0,
    ) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)
        self.is_ambiguous = is_ambiguous
        self.more = more


class PhraseError(WhenceError, ValueError):
    """A time phrase that is not understood; the message shows some that are."""
