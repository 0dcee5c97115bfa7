"""What learning keeps outside of the journal: the snapshot of trust, which is derived, and the seed's log, which is not ours to rewrite."""

from collections.abc import Collection, Iterable

from whence.event import Event
from whence.learning import changes, evidence, state
from whence.learning.settings import find_mirror
from whence.learning.state import FILE_NAME
from whence.log import Log
from whence.proof.erasing import Owner


def owner_of(log: Log) -> Owner:
    """Who keeps a log's learning."""
    mirror = find_mirror(log)

    def names_of(event: Event) -> Iterable[str]:
        if event.primitive == evidence.PRIMITIVE:
            return [FILE_NAME]
        return [str(mirror)] if mirror is not None and event.primitive == changes.PRIMITIVE else []

    def forget(names: Collection[str]) -> Iterable[str]:
        if FILE_NAME in names:
            state.forget(log.folder)
        return [f"{name} is a mirror, and still has it" for name in names if name != FILE_NAME]

    return Owner("learning", names_of, forget)
