"""What runs keep outside of the journal, and how it is forgotten when their events are erased."""

from collections.abc import Collection, Iterable
from pathlib import Path

from whence.errors import StoreError
from whence.event import Event
from whence.log import Log
from whence.proof.erasing import Owner
from whence.runs.commitments import PRIMITIVE, SAVE, file_holds, read_save
from whence.runs.files import find_folder, path_of


def owner_of(log: Log) -> Owner:
    """Who keeps a log's run files."""
    folder = find_folder(log.folder, log.settings)
    return Owner(
        "runs", lambda event: _names_of(event, folder), lambda names: _forget(folder, names)
    )


def _names_of(event: Event, folder: Path) -> Iterable[str]:
    """The run's own file, as long as it holds what this event committed to: what events say of names is not believed."""
    if (event.primitive, event.type) != (PRIMITIVE, SAVE):
        return []
    save = read_save(event)
    try:
        if save is None or save.file != path_of(folder, event.target or "").name:
            return []
        return [save.file] if file_holds(save, folder / save.file) else []
    except (StoreError, ValueError):
        # Not there, or no file.
        return []


def _forget(folder: Path, names: Collection[str]) -> Iterable[str]:
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            yield f"{folder / name} could not be removed: {error.strerror}"
