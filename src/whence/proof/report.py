"""What a verification found, as a value. Pure."""

import msgspec

from whence.proof.notes import Cosigned

_PROBLEMS_MAX = 100


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, and from which position on. One that `is_unread` could only not be looked at."""

    message: str
    position: int | None = None
    is_unread: bool = False


class Report(msgspec.Struct, kw_only=True):
    """What a verification found. It is never a verdict alone: whose key, how much, and what is outside belong to it."""

    origin: str
    size: int
    root: str
    key: str | None = None
    key_from: str = "the log's own word"
    """Whose word it is that this is the log's key."""
    witnesses: list[Cosigned] = []
    """Who signed the newest checkpoint that enough of them signed."""
    witnessed: int | None = None
    """How many entries that one has: what came since is exposed."""
    payloads: int = 0
    private: int = 0
    erased: int = 0
    files: int = 0
    fragments: int = 0
    fragment_bytes: int = 0
    unsealed: int = 0
    """Events that stand in the journal and are not sealed yet."""
    lost: int = 0
    """Events that writers counted and no line holds."""
    left_open: list[str] = []
    """Writers that ended without a word, or still write."""
    proven_since: int | None = None
    """The size of the older checkpoint that this one was shown to extend."""
    problems: list[Problem] = []
    """Those with the lowest positions; what is broken never gives way to what could not be looked at."""
    above: int = 0
    """Entries in the tree's files above what was signed: of a seal under way, or one that was cut off."""
    resumed: int | None = None
    """So many entries were looked at by an earlier verification, which this one goes on from."""
    resumed_ns: int = 0
    looked_ns: int = 0

    @property
    def is_broken(self) -> bool:
        """Whether something is not as it was sealed."""
        return any(not each.is_unread for each in self.problems)

    @property
    def is_verified(self) -> bool:
        """Whether all of it was looked at and holds."""
        return not self.problems

    def find(self, message: str, position: int | None = None, *, is_unread: bool = False) -> None:
        """Note a problem."""
        self.problems.append(Problem(message, position, is_unread))
        if len(self.problems) > 2 * _PROBLEMS_MAX:
            self.sort()

    def go_on_from(self, earlier: "Report") -> None:
        """Take what an earlier verification counted and found; what this one found so far stays."""
        self.payloads, self.private, self.files = earlier.payloads, earlier.private, earlier.files
        self.fragments, self.fragment_bytes = earlier.fragments, earlier.fragment_bytes
        self.problems += earlier.problems
        self.resumed_ns = earlier.looked_ns

    def sort(self) -> None:
        """Put what is broken first, in the order of the log, and drop what is too much to be read."""
        self.problems.sort(
            key=lambda each: (each.is_unread, each.position is None, each.position or 0)
        )
        del self.problems[_PROBLEMS_MAX:]
