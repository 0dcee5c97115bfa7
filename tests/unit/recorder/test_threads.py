"""A cause goes into threads, pools and processes where it is told to, and nowhere else."""

import gc
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import whence
from tests.unit.recorder.recording import by_type, read_events
from whence.recorder.carrying import Carried, bind
from whence.recorder.threads import follow_threads

elsewhere: ContextVar[str] = ContextVar("elsewhere", default="nothing")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[whence.Log]:
    with whence.open(tmp_path / "log") as log:
        yield log


@pytest.fixture
def following() -> Iterator[None]:
    follow_threads()
    yield
    follow_threads(False)


def record(folder: Path, type: str) -> None:
    """What a process does that has the log by its folder only."""
    with whence.open(folder) as log, log.span(f"work.{type}"):
        log.emit("ops", f"in_{type}")


def record_here(folder: Path, type: str) -> None:
    """The same in a worker that lives on, and opens the log once."""
    whence.open(folder).emit("work", type)


# --- bind -------------------------------------------------------------------------------------


def test_what_is_bound_has_the_cause_of_the_moment_it_was_bound(log: whence.Log) -> None:
    with ThreadPoolExecutor(1) as pool:
        with log.span("main.one") as one:
            work = bind(log.emit)
            pool.submit(work, "ops", "first").result()
        with log.span("main.two"):
            pool.submit(work, "ops", "second").result()
            work("ops", "third")
            log.emit("ops", "fourth")
        pool.submit(log.emit, "ops", "bare").result()
    log.close()

    found = by_type(log.folder)
    assert [found[name].parent for name in ("first", "second", "third")] == [one.id] * 3
    assert found["fourth"].parent == found["two"].id
    assert found["bare"].parent is None


def test_a_bound_function_is_told_like_the_one_it_calls() -> None:
    def work(number: int) -> int:
        """Do it."""
        return number

    bound = bind(work)
    assert (bound.__name__, bound.__doc__, bound(5)) == ("work", "Do it.", 5)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="want something to call"):
        bind(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_has_the_cause_that_is_bound_to_what_it_does(
    log: whence.Log, method: str
) -> None:
    context: Any = multiprocessing.get_context(method)
    with log.span("main.step") as step:
        process = context.Process(target=bind(record), args=(log.folder, "there"))
        process.start()
        process.join()
    log.close()

    assert process.exitcode == 0
    found = by_type(log.folder)
    # The whole of it goes along, also which trace it is.
    assert (found["there"].parent, found["there"].trace) == (step.id, step.id)
    assert found["in_there"].parent == found["there"].id


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes_works_for_whoever_submits(log: whence.Log, method: str) -> None:
    """Also where its processes were forked inside a span, and live on after it."""
    context: Any = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        with log.span("main.one") as one:
            pool.submit(bind(record_here), log.folder, "first").result()
        with log.span("main.two") as two:
            pool.submit(bind(record_here), log.folder, "second").result()
            pool.submit(record_here, log.folder, "bare").result()
        pool.submit(record_here, log.folder, "after").result()
    log.close()

    found = by_type(log.folder)
    assert found["first"].parent == one.id
    assert found["second"].parent == two.id
    assert found["bare"].parent is None
    assert found["after"].parent is None


def test_a_pool_of_multiprocessing_works_for_whoever_submits(log: whence.Log) -> None:
    with log.span("main.one"), multiprocessing.get_context("fork").Pool(1) as pool:
        with log.span("main.two") as two:
            pool.apply(bind(record_here), (log.folder, "bound"))
        pool.apply(record_here, (log.folder, "bare"))
        pool.close()
        pool.join()
    log.close()

    found = by_type(log.folder)
    assert found["bound"].parent == two.id
    assert found["bare"].parent is None


def test_a_forked_process_goes_on_in_the_span_it_was_forked_in(log: whence.Log) -> None:
    with log.span("main.step") as step:
        process = multiprocessing.get_context("fork").Process(
            target=record, args=(log.folder, "there")
        )
        process.start()
        process.join()
    log.close()

    assert by_type(log.folder)["there"].parent == step.id


def test_what_is_carried_holds_no_span_when_it_crosses(log: whence.Log) -> None:
    with log.span("main.step"):
        packed = pickle.dumps(Carried())
    assert b"Span" not in packed
    assert b"Recorder" not in packed


# --- threads that are followed -----------------------------------------------------------------


def run_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


class Worker(threading.Thread):
    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self.work = work

    def run(self) -> None:
        self.work()


def run_subclass(work: Callable[[], object]) -> None:
    thread = Worker(work)
    thread.start()
    thread.join()
    assert "run" not in vars(thread)


def run_timer(work: Callable[[], object]) -> None:
    timer = threading.Timer(0, work)
    timer.start()
    timer.join()


def run_pool(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


STARTS = [run_thread, run_subclass, run_timer, run_pool]


@pytest.mark.parametrize("start", STARTS)
def test_a_thread_that_is_followed_is_caused_by_what_started_it(
    log: whence.Log, following: None, start: Callable[[Callable[[], object]], None]
) -> None:
    with log.span("main.step") as step:
        start(lambda: log.emit("ops", "inside"))
    start(lambda: log.emit("ops", "outside"))
    log.close()

    found = by_type(log.folder)
    assert (found["inside"].parent, found["inside"].trace) == (step.id, step.id)
    assert found["outside"].parent is None


@pytest.mark.parametrize("start", STARTS)
def test_a_thread_that_is_not_followed_has_no_cause(
    log: whence.Log, start: Callable[[Callable[[], object]], None]
) -> None:
    follow_threads()
    follow_threads()
    follow_threads(False)
    with log.span("main.step"):
        start(lambda: log.emit("ops", "inside"))
    log.close()

    assert by_type(log.folder)["inside"].parent is None


def test_the_threads_of_a_pool_work_for_whoever_submits(log: whence.Log, following: None) -> None:
    with ThreadPoolExecutor(1) as pool:
        with log.span("main.one") as one:
            pool.submit(log.emit, "ops", "first").result()
        with log.span("main.two") as two:
            pool.submit(log.emit, "ops", "second").result()
        pool.submit(log.emit, "ops", "bare").result()
    log.close()

    found = by_type(log.folder)
    assert found["first"].parent == one.id
    assert found["second"].parent == two.id
    assert found["bare"].parent is None


def test_nothing_else_of_the_context_is_carried(log: whence.Log, following: None) -> None:
    """A program that keeps something there would otherwise find it where it never was."""
    seen = []
    token = elsewhere.set("here")
    try:
        with log.span("main.step"):
            run_thread(lambda: seen.append(elsewhere.get()))
            run_pool(lambda: seen.append(elsewhere.get()))
    finally:
        elsewhere.reset(token)
    assert seen == ["nothing", "nothing"]


def test_following_is_undone_without_a_trace() -> None:
    before = threading.Thread.start, ThreadPoolExecutor.submit
    follow_threads()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) != before
    follow_threads()
    follow_threads(False)
    follow_threads(False)
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before


def test_what_others_put_over_it_stays(log: whence.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    follow_threads()
    ours: Any = threading.Thread.start
    calls: list[threading.Thread] = []

    def theirs(self: threading.Thread) -> None:
        calls.append(self)
        ours(self)

    monkeypatch.setattr(threading.Thread, "start", theirs)
    follow_threads(False)
    with log.span("main.step"):
        run_thread(lambda: log.emit("ops", "inside"))
    follow_threads()
    with log.span("main.again") as again:
        run_thread(lambda: log.emit("ops", "once_more"))
    follow_threads(False)
    monkeypatch.undo()
    follow_threads()
    with log.span("main.third") as third:
        run_thread(lambda: log.emit("ops", "at_last"))
        run_pool(lambda: log.emit("ops", "in_pool"))
    follow_threads(False)
    log.close()

    assert len([each for each in calls if each.name != "whence-watch"]) == 2
    found = by_type(log.folder)
    assert found["inside"].parent is None
    assert found["once_more"].parent == again.id
    assert found["at_last"].parent == third.id
    assert found["in_pool"].parent == third.id


def test_a_thread_fails_as_it_did(log: whence.Log, following: None) -> None:
    with log.span("main.step"):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        assert "run" not in vars(thread)
        with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 // 0).result()
        with pytest.raises(RuntimeError, match="shutdown"):
            pool.submit(int)


@pytest.mark.parametrize("wanted", [True, False])
def test_settings_have_threads_followed(tmp_path: Path, wanted: bool) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "whence.toml").write_text(f"[tracing]\nthreads = {str(wanted).lower()}\n")
    try:
        with whence.open(folder) as log, log.span("main.step") as step:
            run_thread(lambda: log.emit("ops", "inside"))
    finally:
        follow_threads(False)

    events = {event.type: event for event in read_events(folder)}
    assert events["inside"].parent == (step.id if wanted else None)


def test_a_forked_child_never_waits_for_a_thread_that_follows(log: whence.Log) -> None:
    is_over = threading.Event()

    def toggle() -> None:
        while not is_over.is_set():
            follow_threads()
            follow_threads(False)

    thread = threading.Thread(target=toggle)
    thread.start()
    try:
        for _ in range(20):
            assert run_in_child(follow_threads) == 0
    finally:
        is_over.set()
        thread.join()


def run_in_child(act: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(30)
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_watcher_of_spans_carries_none(log: whence.Log, following: None) -> None:
    """It lives on, and would keep the first span that was ever opened."""
    with log.span("main.outer") as outer:
        assert [each for each in threading.enumerate() if each.name == "whence-watch"]
    assert not [each for each in gc.get_referrers(outer) if isinstance(each, dict)]
