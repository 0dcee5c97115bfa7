"""Log records as events."""

import logging
import logging.config
import logging.handlers
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whence
from tests.unit.recorder.recording import read_events
from tests.unit.tracing.otelling import provider_in
from whence.event import Event
from whence.log import Log
from whence.tracing import Handler, Tracer
from whence.tracing.otel import current_id


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return whence.open(tmp_path / "log")


@contextmanager
def _logger(handler: logging.Handler, name: str = "agents.scout") -> Iterator[logging.Logger]:
    logger = logging.getLogger(name)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
        handler.close()


def _only(log: Log) -> Event:
    (event,) = read_events(log.folder)
    return event


def test_a_record_is_an_event_below_the_step_around_it(log: Log) -> None:
    with _logger(Handler(log, agent="scout")) as logger, log.span("altitude.plan") as span:
        logger.warning("lost %d of %s", 3, "tasks")

    event, _ = read_events(log.folder)
    assert (event.primitive, event.type, event.agent) == ("log", "warning", "scout")
    assert (event.parent, event.trace) == (span.id, span.id)
    assert event.status is None
    data = event.data
    assert data["message"] == "lost 3 of tasks"
    assert data["template"] == "lost %d of %s"
    assert data["args"] == [3, "tasks"]
    assert data["logger"] == "agents.scout"
    assert data["function"] == "test_a_record_is_an_event_below_the_step_around_it"
    assert Path(data["file"]) == Path(__file__)
    assert "extra" not in data


@pytest.mark.parametrize(
    ("level", "type", "status"),
    [
        (logging.DEBUG, "debug", None),
        (logging.INFO, "info", None),
        (logging.ERROR, "error", "error"),
        (logging.CRITICAL, "critical", "error"),
        (25, "level 25", None),
    ],
)
def test_the_type_is_the_level(log: Log, level: int, type: str, status: str | None) -> None:
    with _logger(Handler(log)) as logger:
        logger.log(level, "x")

    assert (_only(log).type, _only(log).status) == (type, status)


def test_an_exception_is_the_error(log: Log) -> None:
    with _logger(Handler(log)) as logger:
        try:
            raise KeyError("session")
        except KeyError:
            logger.exception("it failed", stack_info=True)

    error = _only(log).data["error"]
    assert (error["type"], error["message"]) == ("KeyError", "'session'")
    assert "test_an_exception_is_the_error" in error["stack"]
    assert "test_an_exception_is_the_error" in _only(log).data["stack"]


def test_extra_is_kept_and_secrets_are_not(log: Log) -> None:
    with _logger(Handler(log)) as logger:
        logger.info("x", extra={"task": "t-1", "size": {"n": 3}, "password": "hunter2hunter2"})

    extra = _only(log).data["extra"]
    assert extra == {"task": "t-1", "size": {"n": 3}, "password": "[redacted]"}


def test_named_arguments_are_kept(log: Log) -> None:
    with _logger(Handler(log)) as logger:
        logger.info("%(who)s did it", {"who": "scout"})

    assert _only(log).data["message"] == "scout did it"
    assert _only(log).data["args"] == {"who": "scout"}


def test_levels_and_filters_hold(log: Log) -> None:
    handler = Handler(log, level="WARNING")
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    with _logger(handler) as logger:
        logger.info("below")
        logger.warning("a secret")
        logger.warning("kept")

    assert _only(log).data["message"] == "kept"


# -- nothing raises, nothing loops ----------------------------------------------------------------


def test_records_of_our_own_loggers_are_left_out(log: Log) -> None:
    with _logger(Handler(log), "whence") as ours, _logger(Handler(log), "whence.x") as inner:
        ours.warning("a")
        inner.warning("b")
        with _logger(Handler(log), "dopejar.trace"):
            tracer = Tracer()
            tracer.use(log)
            tracer.enabled = True
            try:
                tracer.event("alt", "transition")
            finally:
                tracer.use(None)
                tracer.enabled = None

    assert _only(log).type == "transition"


class _Chatty:
    """Logs whenever it is asked for its text."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def __repr__(self) -> str:
        self._logger.warning("somebody looks at %r", self)
        return "chatty"


def test_a_value_that_logs_when_it_is_looked_at_does_not_loop(log: Log) -> None:
    with _logger(Handler(log)) as logger:
        logger.info("x", extra={"value": _Chatty(logger)})

    assert _only(log).data["extra"]["value"] == "chatty"
    assert log.lost > 0


class _Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("%d of %d", (1,)),
        ("%s", (_Broken(),)),
        (_Broken(), ()),
        ("100%", (1,)),
        (None, ()),
        (7, ()),
    ],
)
def test_a_message_that_cannot_be_made_is_kept_in_parts(
    log: Log, capsys: pytest.CaptureFixture[str], message: Any, args: Any
) -> None:
    with _logger(Handler(log)) as logger:
        logger.info(message, *args)

    data = _only(log).data
    assert "message" in data
    assert ("args" in data) == bool(args)
    assert capsys.readouterr().err == ""


@settings(max_examples=60)
@given(
    message=st.one_of(st.text(), st.none(), st.integers(), st.just("\ud800"), st.binary()),
    args=st.lists(st.one_of(st.text(), st.floats(), st.binary(), st.none()), max_size=2),
    extra=st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda key: key not in ("name", "msg", "args")),
        st.one_of(st.floats(), st.binary(), st.builds(_Broken), st.just("x" * 100_000)),
        max_size=2,
    ),
)
def test_whatever_is_logged_is_recorded(
    message: Any, args: list[Any], extra: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        whence.open(tmp_path_factory.mktemp("log")) as log,
        _logger(Handler(log), "fuzzed") as logger,
    ):
        logger.info(message, *args, extra=extra)

        (event,) = log.events()
        assert event.data.get("extra", {}).keys() == {
            key.encode("utf-8", "replace").decode() for key in extra
        }


def test_a_log_that_cannot_be_had_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whence.toml").write_text("nonsense = [")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WHENCE_DIR", raising=False)

    with _logger(Handler()) as logger:
        logger.info("fine")


def test_a_closed_log_breaks_nothing(log: Log) -> None:
    with _logger(Handler(log)) as logger:
        log.close()
        logger.info("late")

    assert len(read_events(log.folder)) + log.lost == 1


# -- where it is used -----------------------------------------------------------------------------


def test_it_can_be_configured_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "log"))
    program = """
import logging.config, whence
logging.config.dictConfig({
    "version": 1,
    "handlers": {"whence": {"class": "whence.tracing.Handler", "level": "INFO", "agent": "scout"}},
    "root": {"level": "DEBUG", "handlers": ["whence"]},
})
logging.debug("below")
logging.info("kept")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    (event,) = read_events(tmp_path / "log")
    assert (event.agent, event.data["message"]) == ("scout", "kept")


def test_records_from_a_queue_and_from_threads_are_kept(log: Log) -> None:
    waiting: queue.Queue[Any] = queue.Queue()
    listener = logging.handlers.QueueListener(waiting, Handler(log))
    listener.start()
    with _logger(logging.handlers.QueueHandler(waiting)) as logger:

        def work(number: int) -> None:
            for serial in range(50):
                logger.info("from %d.%d", number, serial)

        threads = [threading.Thread(target=work, args=(n,), name=f"t{n}") for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("failed")
        listener.stop()

    events = read_events(log.folder)
    assert len(events) == 201
    assert {event.data.get("thread") for event in events} == {"t0", "t1", "t2", "t3", None}
    # The handler of the queue has made it text.
    assert "ValueError: x" in events[-1].data["message"]


def test_a_record_that_came_over_a_socket_brings_the_text_of_its_error(log: Log) -> None:
    record = logging.makeLogRecord(
        {"msg": "failed", "levelname": "ERROR", "exc_text": "ValueError"}
    )
    Handler(log).handle(record)

    assert _only(log).data["error"] == {"stack": "ValueError"}


def test_a_forked_child_logs_too(log: Log) -> None:
    with _logger(Handler(log)) as logger:
        logger.info("parent")
        child = os.fork()
        if child == 0:
            logger.info("child")
            log.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    assert sorted(event.data["message"] for event in read_events(log.folder)) == ["child", "parent"]


def test_a_record_inside_a_span_of_opentelemetry_is_below_it(log: Log) -> None:
    with (
        _logger(Handler(log)) as logger,
        provider_in(log) as (provider, _),
        provider.get_tracer("x").start_as_current_span("a"),
    ):
        logger.info("theirs")
        theirs = current_id()
        with log.span("b") as ours:
            logger.info("ours")

    parents = {e.data["message"]: e.parent for e in read_events(log.folder) if e.primitive == "log"}
    assert parents == {"theirs": theirs, "ours": ours.id}


def test_a_record_is_below_the_nearer_of_the_spans_around_it(log: Log) -> None:
    with (
        _logger(Handler(log)) as logger,
        provider_in(log) as (provider, _),
        log.span("outer") as outer,
    ):
        logger.info("before")
        with provider.get_tracer("x").start_as_current_span("a"):
            logger.info("inside")
            theirs = current_id()
        logger.info("after")

    parents = {e.data["message"]: e.parent for e in read_events(log.folder) if e.primitive == "log"}
    assert parents == {"before": outer.id, "inside": theirs, "after": outer.id}
