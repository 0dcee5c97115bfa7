"""The file of the index: made, found, distrusted and thrown away.

`index.sqlite` is a symbolic link to a file with a name of its own. So an index can be thrown away
while other processes still read it: SQLite, closing, removes `-wal` by name, and two files of
one name would lose each other's.

The file belongs to whoever owns the folder, also where root made it; an index that is closed to the
folder's owner is thrown away.

SQLite notices a broken page but not a changed byte in one. So a process that closes the index in
good order sets the file's modification time to a moment that the index itself knows; whoever
writes to the file by other means changes that time, and the index is built anew.
"""

import os
import re
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from whence.errors import StoreError
from whence.index.schema import FILE_NAME, SCHEMA, VERSION

PATIENCE_S = 15.0
"""How long to wait for another process that does not move, before going on without it."""

_PREFIX = ".index-"
_IS_STRAY = re.compile(r"\.index-[0-9a-f]{8}\.sqlite(?:-wal|-shm)?", re.ASCII).fullmatch
_IS_OURS = re.compile(r"\.index-[0-9a-f]{8}\.sqlite", re.ASCII).fullmatch
_CACHE_KIB = 65_536
_WAL_PAGES = 16_384
_WAL_LARGE_BYTES = 1024 * 1024
_STAMP_AGE_S = 2
_STAMP_WAIT_S = 0.5

_BROKEN = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)
_REFUSED = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    }
)
# Of what can go wrong with a file, that which says nothing against what is in it.
_REFUSED_WRITES = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMOPEN,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_SHMMAP,
        sqlite3.SQLITE_IOERR_GETTEMPPATH,
    }
)


class BrokenError(Exception):
    """The file is not the index that this code made: throw it away."""


class RefusedError(Exception):
    """The folder does not let us keep an index here, or has no room for one."""


# What comes of a file that broke: the module decodes names and messages before it looks at them.
DATABASE_ERRORS = (sqlite3.Error, UnicodeDecodeError)


def translate(error: Exception) -> Exception:
    """What a failure of SQLite means for the index."""
    exact = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    code = exact & 0xFF
    if code in _REFUSED or exact in _REFUSED_WRITES:
        return RefusedError(str(error))
    if code in _BROKEN:
        return BrokenError(str(error))
    return StoreError(f"index cannot be used: {error}")


def open_database(folder: Path) -> tuple[sqlite3.Connection, Path]:
    """Open the index in `folder`, a new and empty one if there is none; return it and its file.

    Raises `BrokenError` for a file that is no index of ours, `RefusedError` where we may not write.
    """
    path = find_file(folder) or _create(folder)
    try:
        db = _connect(path)
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                raise BrokenError("index has another schema")
            check_stamp(db, path)
        except BaseException:
            db.close()
            raise
    except DATABASE_ERRORS as error:
        if not path.exists():
            raise BrokenError("index was removed while it was opened") from error
        problem = translate(error)
        if isinstance(problem, RefusedError):
            problem = _explain_refusal(folder, path, problem)
        raise problem from error
    return db, path


def open_in_memory() -> sqlite3.Connection:
    """Make an empty index that no disk has to have room for."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    # What is sorted has to stay there too.
    db.execute("PRAGMA temp_store = memory")
    _make_tables(db)
    return db


def _make_tables(db: sqlite3.Connection) -> None:
    db.executescript(f"BEGIN; PRAGMA user_version = {VERSION}; {SCHEMA} COMMIT;")


def _explain_refusal(folder: Path, path: Path, problem: RefusedError) -> Exception:
    """Name the owner of an index that is closed to us; where the folder is ours, it makes room."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        closed = f"{path} belongs to {_owner_name(path)}, who alone may use it"
        is_ours = folder.stat().st_uid == os.geteuid()
        return BrokenError(closed) if is_ours else RefusedError(closed)
    except OSError as error:
        return RefusedError(f"{path}: {error.strerror}")
    return RefusedError(f"{path}: {problem}")


def _owner_name(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


def find_file(folder: Path) -> Path | None:
    """The file that `index.sqlite` leads to; None if there is none."""
    link = folder / FILE_NAME
    try:
        name = os.readlink(link)
    except FileNotFoundError:
        return None
    except OSError:
        # A plain file, as some archives make of a link: not to be trusted, nor to be kept.
        throw_away(folder, link)
        return None
    path = folder / name
    if not _IS_OURS(name) or path.is_symlink():
        # Somebody else made it lead elsewhere: only the link is ours to remove.
        _remove_link(link)
        return None
    if path.exists():
        return path
    throw_away(folder, path)
    return None


def _remove_link(link: Path) -> None:
    try:
        link.unlink(missing_ok=True)
    except OSError as error:
        raise RefusedError(f"{link}: {error.strerror}") from error


def throw_away(folder: Path, path: Path) -> None:
    """Remove an index that leads nowhere good; readers that have it open are not disturbed."""
    link = folder / FILE_NAME
    try:
        if not link.is_symlink() or folder / os.readlink(link) == path:
            link.unlink(missing_ok=True)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise RefusedError(f"{link}: {error.strerror}") from error


def _create(folder: Path) -> Path:
    path = folder / f"{_PREFIX}{os.urandom(4).hex()}.sqlite"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _leave_to_owner(fd, folder)
        finally:
            os.close(fd)
        try:
            db = _connect(path)
            # Not synced: a power cut now leaves no index of ours, and it is made again.
            db.execute("PRAGMA synchronous = off")
            _make_tables(db)
            db.close()
        except sqlite3.Error as error:
            throw_away(folder, path)
            # Another process may have been faster, and have taken our file for a stray one.
            other = find_file(folder)
            if other is not None:
                return other
            raise translate(error) from error
        try:
            # From here on every process finds this file. If another was faster, its file counts.
            os.symlink(path.name, folder / FILE_NAME)
        except FileExistsError:
            throw_away(folder, path)
            return find_file(folder) or _create(folder)
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from error
    _remove_strays(folder, path)
    return path


def _leave_to_owner(fd: int, folder: Path) -> None:
    """Give what root makes to the owner of the folder. SQLite gives `-wal` and `-shm` to the same."""
    if os.geteuid() == 0:
        owner = os.stat(folder)
        with suppress(OSError):
            # Where root may not do even that, the owner throws it away and makes another.
            os.fchown(fd, owner.st_uid, owner.st_gid)


def _remove_strays(folder: Path, path: Path) -> None:
    """Remove files that a killed process left, or whose link somebody deleted."""
    for stray in folder.glob(f"{_PREFIX}*"):
        if _IS_STRAY(stray.name) and not stray.name.startswith(path.name):
            # One that stays is no harm.
            with suppress(OSError):
                stray.unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=PATIENCE_S,
    )
    try:
        db.execute("PRAGMA journal_mode = wal")
        # The file may come back from a power cut in an older state, but never in a mixed one.
        db.execute("PRAGMA synchronous = normal")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        db.execute("PRAGMA journal_size_limit = 0")
        db.execute("PRAGMA trusted_schema = off")
    except BaseException:
        db.close()
        raise
    return db


def check_stamp(db: sqlite3.Connection, path: Path) -> None:
    """Raise `BrokenError` if somebody else wrote to a file that was closed in good order."""
    while True:
        found = db.execute("SELECT value FROM state WHERE key = 'stamp'").fetchone()
        stamp = found[0] if found else 0
        try:
            changed = path.stat().st_mtime_ns
        except FileNotFoundError as error:
            raise BrokenError("index was removed") from error
        if not stamp or changed == stamp:
            return
        # If that was just now, another process may be about to set the time.
        if not 0 <= time.time() - changed / 1_000_000_000 < _STAMP_WAIT_S:
            raise BrokenError("index was changed by somebody else")
        time.sleep(_STAMP_WAIT_S / 10)


def stamp_database(db: sqlite3.Connection, path: Path) -> None:
    """Close the books: all in the file, and its time set to what the index knows.

    Leaves things as they are while another process reads or writes; the last one does it.
    """
    found = db.execute("SELECT value FROM state WHERE key = 'stamp'").fetchone()
    if found and found[0]:
        return
    if _wal_size(path) > _WAL_LARGE_BYTES and not _checkpoint(db):
        # What takes long goes first, so that a kill seldom hits the moment between the two below.
        return
    stamp = (int(time.time()) - _STAMP_AGE_S) * 1_000_000_000
    _set_stamp(db, stamp)
    if _checkpoint(db):
        # A crash before this line costs one rebuild.
        os.utime(path, ns=(stamp, stamp))
    else:
        _set_stamp(db, 0)


def _set_stamp(db: sqlite3.Connection, stamp: int) -> None:
    db.execute("INSERT OR REPLACE INTO state VALUES ('stamp', ?)", (stamp,))


def _wal_size(path: Path) -> int:
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _checkpoint(db: sqlite3.Connection) -> bool:
    busy: int = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy
