"""What runs keep outside of the journal, and how it is forgotten when their events are erased."""

from collections.abc import Collection, Iterable
from pathlib import Path

from whence.errors import StoreError
from whence.event import Event
from whence.log import Log
from whence.proof.erasing import Owner
from whence.runs.commitments import PRIMITIVE, SAVE, read_save
from whence.runs.files import find_folder


def owner_of(log: Log) -> Owner:
    """Who keeps a log's run files."""
    folder = find_folder(log.folder, log.settings)
    return Owner("runs", _names_of, lambda names: _forget(folder, names))


def _names_of(event: Event) -> Iterable[str]:
    if (event.primitive, event.type) != (PRIMITIVE, SAVE):
        return []
    save = read_save(event)
    return [] if save is None else [save.file]


def _forget(folder: Path, names: Collection[str]) -> Iterable[str]:
    for name in names:
        if Path(name).name != name:
            # Nobody's run file is called so.
            continue
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot remove {folder / name}: {error.strerror}") from error
    return []
