"""Children that are forked while the parent's threads record and ask begin anew, and never wait."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import whence

_PATIENCE_S = 30
"""Only so that waiting for ever turns red."""

_CHILDREN = 10


def _run_in_child(act: Callable[[], object]) -> int:
    """Fork, act there, and return how the child ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_PATIENCE_S)
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _ask(log: whence.Log) -> None:
    assert list(log.timeline(limit=5).rows)


def _find(log: whence.Log) -> None:
    assert list(log.find("needle", limit=1))


def _record_and_close(log: whence.Log) -> None:
    log.emit("test", "child", durability="disk")
    log.close()


@pytest.mark.parametrize("asked_there", [_ask, _find])
@pytest.mark.parametrize("done_here", [_ask, _find, _record_and_close])
def test_a_child_never_waits_for_a_thread_that_it_does_not_have(
    asked_there: Callable[[whence.Log], None],
    done_here: Callable[[whence.Log], None],
    tmp_path: Path,
) -> None:
    with whence.open(tmp_path / ".whence") as log:
        for number in range(3_000):
            log.emit("test", "happened", target="task", data={"number": number, "text": "needle"})
        _ask(log)
        is_over = threading.Event()

        def ask_on() -> None:
            while not is_over.is_set():
                asked_there(log)

        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            ends = [_run_in_child(lambda: done_here(log)) for _ in range(_CHILDREN)]
        finally:
            is_over.set()
            thread.join()

        assert ends == [0] * _CHILDREN
        _ask(log)


def test_a_child_records_whatever_the_parents_threads_record_first(tmp_path: Path) -> None:
    """Also where the parent is in the middle of its first event."""
    ends = []
    for number in range(_CHILDREN):
        log = whence.open(tmp_path / str(number))
        thread = threading.Thread(target=lambda log=log: log.emit("test", "first"))
        thread.start()
        ends.append(_run_in_child(lambda log=log: log.emit("test", "child")))  # type: ignore[misc]
        thread.join()
        log.close()

    assert ends == [0] * _CHILDREN
