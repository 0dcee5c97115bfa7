"""What decisions keep outside of the journal: the seed's daily files, which are not ours to rewrite."""

from collections.abc import Collection, Iterable

from whence.decisions.decision import PRIMITIVE
from whence.decisions.mirror import find_folder
from whence.event import Event
from whence.log import Log
from whence.proof.erasing import Owner


def owner_of(log: Log) -> Owner:
    """Who keeps a log's decisions."""
    folder = find_folder(log)

    def names_of(event: Event) -> Iterable[str]:
        if folder is None or event.primitive != PRIMITIVE:
            return []
        return [str(folder / f"{event.time[:10]}.jsonl")]

    def forget(names: Collection[str]) -> Iterable[str]:
        return [f"{name} is a mirror, and still has it" for name in names]

    return Owner("decisions", names_of, forget)
