"""How far a verification got, in a file of whoever verifies: the next one goes on from there, after Ctrl-C or a day later."""

from pathlib import Path
from typing import Any

import msgspec

from whence.errors import CorruptError
from whence.proof.account import Account
from whence.proof.files import read_file, replace_file
from whence.proof.growing import GrowingTree
from whence.proof.report import Report
from whence.proof.tree import Hash

_BYTES_MAX = 1 << 30


class Noted(msgspec.Struct, kw_only=True):
    """What was found up to an entry: all that the rest of a verification needs of what came before."""

    report: Report
    """Counts, and problems of what was read; not those of a key or policy, which may be others next time."""
    tree: GrowingTree
    roots: dict[int, Hash]
    reached: dict[str, int]
    account: Account
    keys: list[tuple[int, Any]]


def read_noted(path: Path) -> Noted | None:
    """Read what was noted; None if there is no such file yet.

    Raises:
        StoreError: it cannot be read. CorruptError: it is something else.
    """
    content = read_file(path, _BYTES_MAX)
    if content is None:
        return None
    try:
        noted = msgspec.msgpack.decode(content, type=Noted)
        noted.tree.check()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, CorruptError) as error:
        raise CorruptError(f"{path} does not say how far a verification got: {error}") from error
    return noted


def write_noted(path: Path, noted: Noted) -> None:
    """Write it down, in place of what was noted before."""
    replace_file(path, msgspec.msgpack.encode(noted))
