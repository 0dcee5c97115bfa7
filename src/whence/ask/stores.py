"""Where a question is asked: the journal with its index, and the sources besides."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whence.errors import NotFoundError
from whence.journal.reader import Reader

if TYPE_CHECKING:
    from whence.ask.asked import Sources
    from whence.ask.reading import Note
    from whence.index import Index


@dataclass(frozen=True, kw_only=True)
class Stores:
    """`index` is None where nothing was recorded live, `sources` where none are asked."""

    index: "Index | None"
    reader: Reader
    note: "Note"
    sources: "Sources | None" = None

    def need(self, wanted: str) -> "Index":
        """The index; NotFoundError where there is nothing that could hold `wanted`."""
        if self.index is None:
            raise NotFoundError(
                f"cannot look for {wanted[:80]!r}: nothing is recorded in {self.reader.folder} yet"
            )
        return self.index
