"""What the journal says of run files, and whether they still are that.

Each `save` event holds a salted commitment to the file's bytes: whoever changes one byte of the file
afterwards contradicts the journal.
"""

import base64
import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from whence.errors import StoreError
from whence.event import Event
from whence.line import commitment
from whence.proof.files import open_file
from whence.query import Query
from whence.runs.files import path_of

if TYPE_CHECKING:
    from whence.log import Log

PRIMITIVE = "run"
SAVE = "save"

_CHUNK = 1024 * 1024


class Save(msgspec.Struct, frozen=True, kw_only=True):
    """One `save` event: which file, how large, what it commits to. Nothing where the event does not tell."""

    event: str
    time: str
    file: str
    bytes: int | None = None
    salt: str | None = None
    commit: str | None = None


class _Said(msgspec.Struct, frozen=True):
    """The part of a `save` event's data that is about the file."""

    file: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^/\0]+$")]
    bytes: int
    salt: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{24}$")]
    commit: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]


def read_saves(log: "Log", query: Query = Query()) -> Iterator[Save]:
    """Give what the journal says of run files, oldest first."""
    wanted = msgspec.structs.replace(query, primitive=PRIMITIVE, type=SAVE)
    for event in log.events(wanted):
        save = read_save(event)
        if save is not None:
            yield save


def read_save(event: Event) -> Save | None:
    """What one `save` event says; None where not even the run's id is known."""
    try:
        said = msgspec.convert(event.data, _Said)
        told = msgspec.structs.asdict(said)
    except msgspec.ValidationError:
        # Private, erased, redacted or somebody else's: all that is known is that it was saved.
        try:
            told = {"file": path_of(Path(), event.target or "").name}
        except ValueError:
            return None
    return Save(event=event.id, time=event.time, **told)


def holds(save: Save, content: bytes) -> bool:
    """Whether these are the bytes that were saved; True where the event does not tell."""
    if save.salt is None or save.commit is None:
        return True
    return len(content) == save.bytes and commitment(save.salt, content) == save.commit


def file_holds(save: Save, path: Path) -> bool:
    """The same for a file of any size, in bounded memory; StoreError if it cannot be read."""
    if save.salt is None or save.commit is None:
        return True
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size != save.bytes:
                return False
            mac = hmac.new(save.salt.encode(), digestmod="sha256")
            while chunk := file.read(_CHUNK):
                mac.update(chunk)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    return base64.urlsafe_b64encode(mac.digest()).rstrip(b"=").decode() == save.commit


def check_saved(event: Event, folder: Path) -> str | None:
    """What is wrong with the file that a `save` event commits to, among the run files of a folder; None if nothing is.

    A file that was forgotten is not there: its event's payload is gone, too, and then tells of none.

    Raises:
        StoreError: it is there, and cannot be read.
    """
    save = read_save(event)
    if save is None or save.salt is None:
        return None
    try:
        return None if file_holds(save, folder / save.file) else f"run file {save.file} was changed"
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return f"run file {save.file} is gone"
        raise
