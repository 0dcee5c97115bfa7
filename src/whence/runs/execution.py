"""One execution of a run in a process of its own: started, listened to, and gone when this returns."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from whence.event import decode_json
from whence.runs.convert import encode
from whence.runs.executing import Answer, Order, list_processes, say_end, say_too_long

OUTPUT_MAX = 16 * 1024
"""How much of what a runner prints is kept: the end of it."""
_CHUNK = 64 * 1024
_GRACE_S = 10.0
"""How long the process that watches the time may take to end what it started."""
_LOOK_S = 0.01
_FOREIGN = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")


class Executions:
    """What is executed for one replay, or many, and may have to end all at once.

    Threads add and discard what they execute; adding, discarding and listing are single atomic steps.
    """

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_stopped = False

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """Note what was started; it ends at once if nobody waits for it any more."""
        self._running.add(process)
        # Looked at after adding, as it is set before listing: one of the two ends what comes between.
        if self._is_stopped:
            process.terminate()

    def discard(self, process: subprocess.Popen[bytes]) -> None:
        """Forget what has ended."""
        self._running.discard(process)

    def stop(self) -> None:
        """End all that is executed, and what will be, when nobody waits for it any more."""
        self._is_stopped = True
        for process in list(self._running):
            process.terminate()


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one execution: an answer, or why there is none."""

    hash_seed: str
    seconds: float
    printed: str = ""
    answer: Answer | None = None
    failure: str | None = None


def execute(
    executions: Executions,
    *,
    runners: list[str],
    is_chosen: bool,
    given: Any,
    place: str | None,
    folder: str | None,
    seeds: Mapping[str, Any],
    hash_seed: str,
    timeout_s: float,
) -> Execution:
    """Call a runner with what went into a run, in a fresh process with this hash seed.

    What it records meanwhile goes to a log of its own and is thrown away with it.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="whence-replay-", ignore_cleanup_errors=True
    ) as scratch:
        answer = Path(scratch, "answer.json")
        order = Path(scratch, "order.json")
        order.write_bytes(
            encode(
                Order(
                    runners=runners, is_chosen=is_chosen, input=given, place=place, folder=folder,
                    seeds=dict(seeds), timeout_s=timeout_s, answer=str(answer), parent=os.getpid(),
                )
            )
        )  # fmt: skip
        code, printed = _run(executions, order, _environment(scratch, hash_seed), timeout_s)
        found, failure = _read(answer, say_too_long(timeout_s) if code is None else say_end(code))
    return Execution(
        hash_seed=hash_seed, seconds=time.monotonic() - began, printed=printed,
        answer=found, failure=failure,
    )  # fmt: skip


def _environment(scratch: str, hash_seed: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    runs = str(Path(scratch, "runs"))
    return {
        **kept,
        "PYTHONHASHSEED": hash_seed,
        "WHENCE_DIR": str(Path(scratch, "log")),
        "WHENCE_RUNS_DIR": runs,
        "TRACE_OUTPUT_DIR": runs,
        "WHENCE_TRACE": "off",
    }


def _run(
    executions: Executions, order: Path, environment: dict[str, str], timeout_s: float
) -> tuple[int | None, str]:
    """Start it and wait; return its exit code, None if it took too long, and the end of what was printed."""
    process = subprocess.Popen(
        # -P: what lies about in this folder is not taken for a module of Python's. -u: what was printed
        # is kept, however it ends.
        [sys.executable, "-P", "-u", "-m", "whence.runs.executing", str(order)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment, start_new_session=True,
    )  # fmt: skip
    executions.add(process)
    assert process.stdout is not None
    kept: deque[bytes] = deque()
    # In a thread, so that a pipe held open by whoever escaped keeps nobody waiting.
    listener = threading.Thread(target=_listen, args=(process.stdout, kept), daemon=True)
    listener.start()
    try:
        code: int | None = process.wait(timeout_s + _GRACE_S)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        _stop(process)
        if process.returncode < 0:
            # The runner ended the process that would have cleared up after it.
            kill_marked(f"WHENCE_DIR={environment['WHENCE_DIR']}")
        executions.discard(process)
    listener.join(_GRACE_S)
    printed = b"".join(kept)[-OUTPUT_MAX:]
    return code, printed.decode(errors="replace")


def _listen(pipe: IO[bytes], kept: deque[bytes]) -> None:
    size = 0
    with pipe:
        while chunk := os.read(pipe.fileno(), _CHUNK):
            kept.append(chunk)
            size += len(chunk)
            while size - len(kept[0]) >= OUTPUT_MAX:
                size -= len(kept.popleft())


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it where it has not ended; it ends what it started."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def kill_marked(mark: str) -> None:
    """Kill the processes that were started with this in their environment, until none is found."""
    ends = time.monotonic() + _GRACE_S
    while marked := [pid for pid in list_processes() if _is_marked(pid, mark)]:
        for pid in marked:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > ends:
            # What waits for a disk ends when that answers.
            return
        time.sleep(_LOOK_S)


def _is_marked(pid: int, mark: str) -> bool:
    try:
        # What has ended and was not waited for has no environment any more.
        return mark.encode() in Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _read(file: Path, otherwise: str) -> tuple[Answer | None, str | None]:
    """The answer, or why there is none: what it says, else `otherwise`."""
    try:
        answer = msgspec.convert(decode_json(file.read_bytes()), Answer)
    except FileNotFoundError:
        return None, otherwise
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        return None, f"what it answered cannot be read: {error}"
    return (None, answer.failure) if answer.failure is not None else (answer, None)
