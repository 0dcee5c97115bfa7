"""What a commit says and which files it changed, from what `git diff-tree --stdin` prints. Pure.

The output is that of `-z --raw`: gitdiff-core(7) and diff-format in git's documentation.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from whence.errors import CorruptError

ARGUMENTS = (
    *("diff-tree", "--stdin", "-z", "-r", "--raw", "--root", "--always", "--no-renames"),
    # Of a merge, the files that are as in none of its parents.
    *("-c", "--ignore-submodules=none", "--encoding=UTF-8"),
    "--format=%x01%H%x00%P%x00%ae%x00%at%x00%cn%x00%B",
)

_STATUSES = {"A": "added", "D": "deleted", "M": "modified", "T": "retyped"}
_SUBMODULE = b"160000"
_FIELDS = 6
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


class Change(NamedTuple):
    """One file of a commit, its path as text."""

    path: str
    status: str
    is_submodule: bool


class Commit(NamedTuple):
    """What is read of one commit. The changes are in order of their paths."""

    hash: str
    parents: tuple[str, ...]
    email: str
    authored: bytes
    committer: str
    message: str
    changes: list[Change]


def parse_commits(tokens: Iterator[bytes]) -> Iterator[Commit]:
    """Read commits from the output of git with `ARGUMENTS`, split at its NUL bytes.

    Raises:
        CorruptError: it is not of that form.
    """
    token = next(tokens, None)
    while token is not None:
        if not token.startswith(b"\x01"):
            raise CorruptError(f"git printed {token[:40]!r}, want a commit")
        oid, parents, email, authored, committer, message = (
            token[1:],
            *(next(tokens, b"") for _ in range(_FIELDS - 1)),
        )
        changes: list[Change] = []
        token = next(tokens, None)
        while token is not None and not token.startswith(b"\x01"):
            # Between the message and the changes stand a line end or an empty token.
            entry = token.lstrip(b"\n")
            if entry:
                changes.append(_parse_change(entry, next(tokens, b"")))
            token = next(tokens, None)
        changes.sort()
        yield Commit(
            oid.decode(errors="replace"),
            tuple(parents.decode(errors="replace").split()),
            email.decode(errors="backslashreplace"),
            authored,
            committer.decode(errors="backslashreplace"),
            message.decode(errors="replace"),
            changes,
        )


def _parse_change(entry: bytes, path: bytes) -> Change:
    # `::100644 100644 100644 <id> <id> <id> MM`: one mode and one id more than there are parents.
    modes = entry.lstrip(b":").split(b" ")
    if not entry.startswith(b":") or len(modes) < 5 or not path:
        raise CorruptError(f"git printed {entry[:40]!r}, want what happened to a file")
    letters = set(modes[-1].decode(errors="replace"))
    status = _STATUSES.get(letters.pop(), "modified") if len(letters) == 1 else "modified"
    return Change(format_path(path), status, _SUBMODULE in modes[: len(modes) // 2])


def format_path(path: bytes) -> str:
    r"""Write a path as text, so that two paths never look the same.

    A name that is no UTF-8, or that begins with a quote, is quoted as git quotes: `"caf\\351"`.
    """
    try:
        text = path.decode()
    except UnicodeDecodeError:
        text = path.decode(errors="surrogateescape")
    else:
        if not text.startswith('"'):
            return text
    return f'"{"".join(map(_quote, text))}"'


def parse_path(text: str) -> bytes | None:
    """The path that `format_path` wrote; None for what cannot be the path of a file."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return None
    if raw.startswith(b'"'):
        raw = re.sub(rb'\\([0-7]{3}|[\\"nt])', _unquote, raw[1:-1])
    parts = raw.split(b"/")
    if b"\0" in raw or any(part in (b"", b".", b"..") for part in parts):
        return None
    return raw if len(raw) < 4096 and format_path(raw) == text else None


def _quote(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\{ord(character) - 0xDC00:03o}"
    return _ESCAPES.get(character, character)


def _unquote(found: re.Match[bytes]) -> bytes:
    escape = found.group(1)
    if len(escape) == 3:
        return bytes([int(escape, 8) & 0xFF])
    return {b"n": b"\n", b"t": b"\t"}.get(escape, escape)
