"""The seed's daily files, `reasoning_traces/{YYYY-MM-DD}.jsonl`, besides the journal.

Written where `[decisions] mirror` is set: `true` is `reasoning_traces` beside the log's folder, a text is another
folder, meant from where the settings stand. A line holds what was recorded, so redacted as that. Whatever
goes wrong is logged and costs no decision.
"""

import errno
import fcntl
import json
import logging
import os
import stat
import time
from datetime import date
from pathlib import Path
from typing import Any

from whence.decisions.decision import KEYS
from whence.event import decode_json
from whence.journal.disk import Disk
from whence.log import Log

FOLDER_NAME = "reasoning_traces"

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700
# Without waiting: a pipe that nobody reads must not stop the program.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW
_PATIENCE_S, _PAUSE_S = 2.0, 0.005

_logger = logging.getLogger("whence.decisions")


def find_folder(log: Log) -> Path | None:
    """Where the daily files of a log are; None where none are wanted, ValueError if that is no folder."""
    table = log.settings.others.get("decisions", {})
    said = table.get("mirror", False) if isinstance(table, dict) else False
    if said is False:
        return None
    if said is True:
        return log.folder.parent / FOLDER_NAME
    file = log.settings.file
    if not isinstance(said, str) or not said:
        raise ValueError(f"{file}: `mirror` of [decisions] is {said!r}, want true or a folder")
    return (file.parent if file is not None else log.folder) / said


def mirror(log: Log, day: date, data: dict[str, Any]) -> None:
    """Append a decision to the file of its day, where that is wanted. Never raises but for Ctrl-C."""
    try:
        folder = find_folder(log)
        if folder is None:
            return
        recorded = decode_json(log.recorder.payloads.encode(data))
        entry = {key: recorded[key] for key in KEYS}
        _append(folder / f"{day.isoformat()}.jsonl", json.dumps(entry, sort_keys=True).encode())
    except Exception as error:  # noqa: BLE001 - the decision is on disk, and must not seem to have failed
        _logger.warning("cannot mirror a decision: %s", error)


def _append(path: Path, line: bytes) -> None:
    disk = Disk()
    disk.make_folder(path.parent, _FOLDER_MODE)
    fd = disk.open(path, _FLAGS, _FILE_MODE)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, f"{path} is not a file")
        if found.st_mode & 0o077:
            os.fchmod(fd, _FILE_MODE)
        _lock(fd, path)
        whole = _mend(fd) + line + b"\n"
        written = os.write(fd, whole)
        if written < len(whole):
            raise OSError(errno.ENOSPC, f"{path} took {written} of {len(whole)} bytes")
    finally:
        # Gives the lock back too.
        os.close(fd)


def _lock(fd: int, path: Path) -> None:
    """Keep other threads and processes out, also those forked from here: the lock is the descriptor's."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise OSError(errno.EAGAIN, f"{path} is held by another process") from None
            time.sleep(_PAUSE_S)
        else:
            return


def _mend(fd: int) -> bytes:
    """What to write before a line: a newline where somebody's last one was torn."""
    size = os.fstat(fd).st_size
    return b"\n" if size and os.pread(fd, 1, size - 1) != b"\n" else b""
