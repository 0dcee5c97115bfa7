"""The `git` program, asked about one repository. Only here is it run.

It reads and nothing else: it takes no locks, fetches nothing, runs no pager and no helper, and obeys
neither what the caller's environment says about another repository nor objects that replace others.
Plumbing is used throughout, since it ignores what users configure for their eyes.

A repository may be made so that git waits for ever, as for a pipe that nobody writes to, or takes all
memory there is. So a git that neither prints nor works is given up, and none gets more than `MEMORY_MAX`.
"""

import os
import resource
import select
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

from whence.errors import CorruptError, StoreError

PATIENCE_S = 30.0
"""How long git may be silent without working."""

REST_S = 60.0
"""For so long after it was given up it is not asked again: one question asks a source many things."""

MEMORY_MAX = 4 << 30
"""Bytes that git may take for itself; the files that it maps do not count."""

# What says where git's own configuration and helpers are; anything else names a repository, or
# changes what is shown.
_KEPT = {
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_EXEC_PATH",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
}

_SET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    # What somebody has staged is no history, and may be damaged where that is whole.
    "GIT_INDEX_FILE": "/no index is read",
    "GIT_TERMINAL_PROMPT": "0",
    # A partial clone would fetch what it lacks: the first asks not to, the second leaves no way.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    # Messages are looked at, so they have to be in one language.
    "LC_ALL": "C",
}

_FIRST = (
    "--no-pager",
    # A program to be run whenever the index is looked at, as `diff-tree` does.
    *("-c", "core.fsmonitor=false"),
    # A place to get bundles from, before it is asked which protocols are allowed.
    *("-c", "fetch.bundleURI="),
    # What is told about commits elsewhere than in the commits may be damaged where they are whole.
    *("-c", "core.commitGraph=false"),
    # Of 100,000 commits and their files, all that git holds then is 60 MB in place of 150, and no slower.
    *("-c", "core.deltaBaseCacheLimit=16m"),
)
"""Settings that go before those of the repository."""

_CHUNK_BYTES = 1 << 16
_MESSAGE_BYTES_MAX = 4096
_PART_BYTES_MAX = 4 << 20
"""Nobody writes a message of that length; a program may, and it is cut later anyway."""

_LOOKS = 10
"""How often it is looked whether a silent git works, before it is given up."""


class Program:
    """Runs `git` for the repository at `path`, which may be anywhere inside it."""

    def __init__(
        self, path: Path, *, patience_s: float = PATIENCE_S, memory_max: int = MEMORY_MAX
    ) -> None:
        # Absolute, so that it cannot begin with `-`.
        self.path = Path(os.path.abspath(path))
        self._patience_s = patience_s
        self._memory_max = memory_max
        self._rests_until_s = 0.0

    def read(self, *arguments: str, may_fail: bool = False) -> bytes:
        """Everything it prints; if it `may_fail`, exit code 1 is an answer too."""
        with self._start(arguments, may_fail=may_fail) as process:
            printed = b"".join(self._chunks(process))
            process.wait()
        return printed

    def lines(self, *arguments: str | bytes, given: Iterable[bytes]) -> Iterator[bytes]:
        """The lines it prints, as they come, without their ends; of very long ones, the beginning.

        It reads the lines `given`.
        """
        with tempfile.TemporaryFile() as file:
            file.writelines(line + b"\n" for line in given)
            file.seek(0)
            with self._start(arguments, file) as process:
                rest, size = list[bytes](), 0
                for chunk in self._chunks(process):
                    first, *more = chunk.split(b"\n")
                    if size < _PART_BYTES_MAX:
                        rest.append(first)
                        size += len(first)
                    if more:
                        yield b"".join(rest)
                        yield from more[:-1]
                        rest, size = more[-1:], len(more[-1])
                process.wait()

    @contextmanager
    def talk(self, *arguments: str) -> Iterator["Talk"]:
        """Keep it running and ask it again and again."""
        with self._start(arguments, subprocess.PIPE) as process:
            assert process.stdin is not None
            yield Talk(process.stdin, self._chunks(process))
            process.stdin.close()
            process.wait()

    def _chunks(self, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
        """What it prints, as it comes. A git that works is waited for, one that waits itself is not.

        Where nobody tells whether it works, it is waited for as if it did not.
        """
        assert process.stdout is not None
        output = process.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN)
        looks, worked = 0, 0
        while looks < _LOOKS:
            if poll.poll(1000 * self._patience_s / _LOOKS):
                looks = 0
                chunk = os.read(output, _CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk
            else:
                before, worked = worked, _count_ticks(process.pid)
                looks = looks + 1 if worked == before else 0
        self._rests_until_s = time.monotonic() + REST_S
        raise self._as_silent()

    def _as_silent(self) -> StoreError:
        return StoreError(
            f"git in {self.path} said nothing for {self._patience_s:g} s, and waits for something itself; "
            "`patience_s` tells how long it may"
        )

    @contextmanager
    def _start(
        self,
        arguments: Iterable[str | bytes],
        given: IO[bytes] | int = subprocess.DEVNULL,
        *,
        may_fail: bool = False,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A process that has ended when the block is left; what it complained of is raised."""
        if time.monotonic() < self._rests_until_s:
            raise self._as_silent()
        try:
            is_folder = self.path.is_dir()
        except OSError as error:
            raise StoreError(f"look at {self.path}: {error.strerror}") from error
        if not is_folder:
            raise StoreError(f"{self.path} is not there, or is no folder")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name in _KEPT
        }
        with tempfile.TemporaryFile() as complaints:
            try:
                process = subprocess.Popen(
                    ["git", *_FIRST, "-C", str(self.path), *arguments],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    env=environment | _SET,
                    cwd=os.sep,
                )
            except FileNotFoundError as error:
                raise StoreError("the git program is not installed, or not on the PATH") from error
            except OSError as error:
                raise StoreError(f"cannot run git: {error.strerror}") from error
            # It may have ended already, or be held shorter by somebody else.
            with suppress(OSError, ValueError):
                _, most = resource.prlimit(process.pid, resource.RLIMIT_DATA)
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (self._memory_max, most))
            is_heard = True
            try:
                yield process
            except BrokenPipeError:
                # It ended before it had heard or said everything; why is told below.
                is_heard = False
                process.wait()
            finally:
                # Whoever stops listening leaves no process behind.
                if process.poll() is None:
                    process.kill()
                    process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        _close(pipe)
            fine = (0, 1) if may_fail else (0,)
            if not is_heard or process.returncode not in fine:
                # Why it ended is what it said last.
                complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - _MESSAGE_BYTES_MAX))
                self._refuse(complaints.read(), process.returncode)

    def _refuse(self, complaint: bytes, code: int) -> None:
        text = complaint.decode(errors="replace")
        lines = [line for line in text.splitlines() if line.startswith(("fatal: ", "error: "))]
        said = (lines[-1] if lines else text.strip()[-200:]) or f"it ended with {code}"
        said = said.removeprefix("fatal: ").removeprefix("error: ")
        if "dubious ownership" in text:
            raise StoreError(
                f"git refuses to read {self.path}, which belongs to somebody else; "
                f"allow it with: git config --global --add safe.directory '{self.path}'"
            )
        if "not a git repository" in text:
            raise CorruptError(f"{self.path} is not in a git repository")
        if code < 0 or "ermission denied" in text:
            raise StoreError(f"git in {self.path}: {said}")
        raise CorruptError(f"git in {self.path}: {said}")


class Talk:
    """A running `git … --stdin` that answers each line, and repeats a line it does not know.

    That repetition tells where the answers to a batch end.
    """

    def __init__(self, given: IO[bytes], printed: Iterator[bytes]) -> None:
        self._given = given
        self._printed = printed
        self._end = b"end-" + token_hex(16).encode() + b"\n"

    def ask(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """What it prints about these lines, split at NUL bytes; of what is very long, the beginning.

        The lines together must fit in a pipe, 4 KiB, so that neither side waits for the other.
        """
        self._given.write(b"".join(line + b"\n" for line in lines) + self._end)
        self._given.flush()
        rest, size = list[bytes](), 0
        for chunk in self._printed:
            first, *more = chunk.split(b"\0")
            if size < _PART_BYTES_MAX:
                rest.append(first)
                size += len(first)
            for token in more:
                yield b"".join(rest)
                rest, size = [token], len(token)
            if len(rest) > 1 and len(rest[-1]) < len(self._end):
                rest = [b"".join(rest)]
            if rest[-1].endswith(self._end):
                return
        raise BrokenPipeError


def _count_ticks(pid: int) -> int:
    """How long that process has worked, in the ticks of the system; 0 where it does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    # Its name, in brackets, may hold anything; see proc_pid_stat(5).
    user, system = stat.rpartition(b")")[2].split()[11:13]
    return int(user) + int(system)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        # What it did not hear is of no interest any more.
        pass
