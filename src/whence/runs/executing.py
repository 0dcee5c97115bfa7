"""The process that executes a run again: `python -m whence.runs.executing FILE`, its order in that file.

It forks. The child calls the runner and writes what came of it; this one waits, and when the child has
ended, or its time is over, or somebody wants it to stop, kills whatever the runner left running, also what
left its session, and then answers in the child's place if that did not. It imports little, since it is
started for every execution.
"""

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from whence.event import decode_json
from whence.runs.capturing import Capture, CapturedStep

_SUBREAPER, _DEATH_SIGNAL = 36, 1
_LOOK_S = 0.01


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to execute, and how."""

    runners: list[str]
    is_chosen: bool
    input: Any
    place: str | None
    folder: str | None
    seeds: dict[str, Any]
    timeout_s: float
    answer: str
    parent: int
    """The process that wants to know; without it there is nothing to do."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    `failure` is why nothing did, `problem` why there is no runner, `error` what it raised.
    """

    failure: str | None = None
    problem: str | None = None
    error: str | None = None
    id: str | None = None
    is_captured: bool = False
    steps: list[CapturedStep] = []
    output: Any = None
    runner_code: str | None = None


def main() -> NoReturn:
    """Do what the order says."""
    order = msgspec.convert(decode_json(Path(sys.argv[1]).read_bytes()), Order)
    signals = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    _control(_SUBREAPER, 1)
    _end_with(order.parent, signal.SIGTERM)
    watcher = os.getpid()
    child = os.fork()
    if child == 0:
        os.setsid()
        _end_with(watcher, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        _work(order)
    failure = _wait(child, order.timeout_s, signals)
    _kill_all(child)
    # From here on nobody else writes an answer.
    if not Path(order.answer).exists():
        with suppress(OSError):
            _write(order.answer, Answer(failure=failure))
    sys.stdout.flush()
    os._exit(0)


def _end_with(parent: int, by: signal.Signals) -> None:
    """Have the end of the parent signalled to this process, and end it if that has happened already."""
    _control(_DEATH_SIGNAL, by)
    if os.getppid() != parent:
        os._exit(1)


def _control(what: int, value: int) -> None:
    """Ask Linux for something that concerns child processes; other systems have nothing like it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _wait(child: int, timeout_s: float, signals: set[signal.Signals]) -> str:
    """Wait for the child, not for its children; return what there is to say if it has not answered."""
    ends = time.monotonic() + timeout_s
    while True:
        caught = _next_signal(signals, max(ends - time.monotonic(), 0.0))
        if caught is None:
            return say_too_long(timeout_s)
        if caught != signal.SIGCHLD:
            return f"it was told to stop by {signal.Signals(caught).name}"
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                return say_end(os.waitstatus_to_exitcode(status))


def say_too_long(timeout_s: float) -> str:
    """That its time is over, in words."""
    return f"it did not end within {timeout_s:g} s"


def say_end(code: int) -> str:
    """How a process ended, in words; `code` is negative for a signal."""
    if code >= 0:
        return f"it ended with exit code {code} and returned nothing"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"


def _next_signal(signals: set[signal.Signals], left_s: float) -> int | None:
    """Wait for one of these signals; None when the time is over."""
    if hasattr(signal, "sigtimedwait"):
        caught = signal.sigtimedwait(signals, left_s)
        return None if caught is None else caught.si_signo
    # Elsewhere than on Linux: now and then it is looked whether a child has ended.
    if left_s <= 0:
        return None
    time.sleep(min(left_s, _LOOK_S))
    asked = signal.sigpending() & (signals - {signal.SIGCHLD})
    return next(iter(asked), signal.SIGCHLD)


def _kill_all(child: int) -> None:
    """Kill what is left of the runner. Those whose parents ended are children of this process."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    while True:
        for pid in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            # Their own children become this process's, and die in the next turn.
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    """The processes whose parent this one is."""
    here, found = str(os.getpid()).encode(), []
    for pid in list_processes():
        with suppress(OSError):
            text = Path("/proc", str(pid), "stat").read_bytes()
            # Behind the name in brackets, which may hold anything: state and parent.
            if text.rpartition(b")")[2].split()[1] == here:
                found.append(pid)
    return found


def list_processes() -> list[int]:
    """All processes that there are, where the system tells."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _work(order: Order) -> NoReturn:
    """Call the runner in this process and write the answer."""
    code, here = 0, os.getpid()
    try:
        answer = _execute(order)
    except BaseException as error:  # noqa: BLE001 a runner may raise anything
        if isinstance(error, SystemExit):
            # It wanted the program to end: that is no answer.
            code = error.code if isinstance(error.code, int) else 1 if error.code else 0
            os._exit(code)
        import traceback

        with suppress(Exception):
            traceback.print_exc()
        answer = Answer(error=_say_error(error))
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    # Where the runner forked, what it left of itself comes here too.
    if os.getpid() == here:
        _write(order.answer, answer)
    os._exit(code)


def _say_error(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # noqa: BLE001 it is the runner's own class
        return name


def _write(file: str, answer: Answer) -> None:
    """Write the answer, there whole or not at all."""
    from whence.runs.convert import encode

    temporary = f"{file}.tmp"
    Path(temporary).write_bytes(encode(answer))
    os.replace(temporary, file)


def _execute(order: Order) -> Answer:
    from whence.errors import NotFoundError
    from whence.runs.capturing import set_capture
    from whence.runs.convert import plain
    from whence.runs.runners import call_runner, describe_runner, load_runner

    if order.folder is not None:
        os.chdir(order.folder)
    if order.place is not None:
        sys.path.insert(0, order.place)
    try:
        function = load_runner(order.runners, is_chosen=order.is_chosen)
    except NotFoundError as error:
        return Answer(problem=str(error))
    capture = Capture()
    set_capture(capture)
    _seed(order.seeds)
    value = plain(call_runner(function, order.input))
    set_capture(None)
    if not capture.has_output:
        capture.output = value if isinstance(value, dict) else {"result": value}
    return Answer(
        id=capture.id, is_captured=capture.has_begun, steps=capture.steps, output=capture.output,
        runner_code=describe_runner(function).get("runner_code"),
    )  # fmt: skip


def _seed(seeds: dict[str, Any]) -> None:
    """Give the generators of random numbers that are loaded the seeds that were recorded."""
    import random

    if isinstance(seeds.get("random"), int | float | str):
        random.seed(seeds["random"])
    number = seeds.get("numpy")
    if isinstance(number, int) and "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number % 2**32)


if __name__ == "__main__":
    main()
