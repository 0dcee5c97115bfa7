"""The seed's file and the seed's logger receive each step as a line of exactly the seed's keys."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

import whence
from tests.unit.tracing.tracing import look_again, recorded
from whence.log import Log
from whence.tracing import TraceEvent, Tracer
from whence.tracing.logger import NAME

_KEYS = [
    "trace_id", "parent_id", "timestamp", "hrm_layer", "operation", "component", "input_summary",
    "output_summary", "duration_ms", "status", "metadata",
]  # fmt: skip


@pytest.fixture
def mirrored(tracer: Tracer, folder: Path) -> Tracer:
    """The tracer, as the seed's own settings switch it on."""
    (folder / "config").mkdir()
    (folder / "config" / "settings.yaml").write_text(
        "tracing:\n  enabled: true\n  output: trace.jsonl\n  level: info\n"
    )
    look_again(tracer)
    return tracer


def _lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "trace.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def _seed(tracer: Tracer) -> None:
    with tracer.span("alt", "transition", "altitude.py", "L3→L2") as ctx:
        assert ctx is not None
        tracer.event("foc", "gate_check", "gates.py", "WriteApprovalGate", "allowed")
        ctx.set_output("success", reason="user requested tactical")


def test_criterion_trace_output_is_valid_jsonl(mirrored: Tracer, folder: Path) -> None:
    _seed(mirrored)

    gate, transition = _lines(folder)
    assert [*gate] == [*transition] == _KEYS
    assert gate["parent_id"] == transition["trace_id"]
    assert datetime.fromisoformat(gate["timestamp"]).tzinfo is not None
    assert isinstance(transition["duration_ms"], int)
    assert {name: transition[name] for name in _KEYS[3:8]} == {
        "hrm_layer": "altitude", "operation": "transition", "component": "altitude.py",
        "input_summary": "L3→L2", "output_summary": "success",
    }  # fmt: skip
    assert transition["parent_id"] is None
    assert transition["metadata"] == {"reason": "user requested tactical"}


def test_the_file_is_appended_to_and_nobody_else_reads_it(mirrored: Tracer, folder: Path) -> None:
    file = folder / "trace.jsonl"
    _seed(mirrored)
    _seed(mirrored)

    assert len(_lines(folder)) == 4
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_rotated_away_begins_anew(mirrored: Tracer, folder: Path) -> None:
    _seed(mirrored)
    (folder / "trace.jsonl").rename(folder / "trace.1.jsonl")
    mirrored.event("sys", "execute")

    assert [line["operation"] for line in _lines(folder)] == ["execute"]


def test_what_json_lacks_and_what_is_secret_is_as_in_the_journal(
    mirrored: Tracer, folder: Path, log: Log
) -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    metadata: dict[Any, Any] = {
        "thing": object(), "nan": float("nan"), "huge": 10**5_000, "bytes": b"\xff", 7: "seven",
        "lone": "\ud800", "loop": loop, "password": "hunter2 hunter2", "set": {1},
    }  # fmt: skip
    mirrored.event("sys", "execute", metadata=metadata)

    [line] = _lines(folder)
    [event] = recorded(log)
    assert line["metadata"] == TraceEvent.of(event).metadata
    assert line["metadata"]["password"] == "[redacted]"


def test_a_file_that_cannot_be_written_is_told_once_and_breaks_nothing(
    mirrored: Tracer, folder: Path, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "trace.jsonl").mkdir()
    for _ in range(3):
        _seed(mirrored)
        look_again(mirrored)

    [record] = caplog.records
    assert "trace.jsonl" in record.getMessage()
    assert len(recorded(log)) == 6


def test_it_is_told_again_when_it_had_worked_meanwhile(
    mirrored: Tracer, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / "trace.jsonl"
    for _ in range(2):
        file.mkdir()
        mirrored.event("sys", "execute")
        file.rmdir()
        mirrored.event("sys", "execute")
        file.unlink()

    assert len(caplog.records) == 2


def test_a_pipe_that_nobody_reads_does_not_stop_the_program(
    mirrored: Tracer, folder: Path, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(folder / "trace.jsonl")
    mirrored.event("sys", "execute")
    assert len(caplog.records) == 1
    reader = os.open(folder / "trace.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    mirrored.event("sys", "execute")
    # Much more than a pipe holds.
    for _ in range(300):
        mirrored.event("sys", "execute", metadata={"much": "x" * 1_000})

    assert json.loads(os.read(reader, 65_536).splitlines()[0])["operation"] == "execute"
    os.close(reader)
    assert len(recorded(log)) == 302


def test_after_half_a_line_the_next_one_begins_anew(mirrored: Tracer, folder: Path) -> None:
    """A pipe that takes only a part, as a disk that is full may do."""
    os.mkfifo(folder / "trace.jsonl")
    reader = os.open(folder / "trace.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    mirrored.event("sys", "large", metadata={"much": "x" * 200_000})
    half = os.read(reader, 1 << 20)
    mirrored.event("sys", "small")
    lines = (half + os.read(reader, 1 << 20)).splitlines()
    os.close(reader)

    assert len(half) < 200_000
    assert len(lines) == 2
    assert json.loads(lines[1])["operation"] == "small"


def test_processes_and_threads_write_whole_lines(mirrored: Tracer, folder: Path) -> None:
    def work(name: str) -> None:
        for _ in range(50):
            mirrored.event("sys", name, metadata={"much": "x" * 5_000})

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                work("child")
                code = 0
            os._exit(code)
        children.append(child)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, ["thread"] * 3))

    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    names = [line["operation"] for line in _lines(folder)]
    assert (names.count("child"), names.count("thread")) == (150, 150)


def test_nothing_is_written_where_nobody_asks(traced: Tracer, folder: Path) -> None:
    _seed(traced)

    assert [path.name for path in folder.iterdir()] == [".whence"]


def test_our_own_source_reads_the_file_back(mirrored: Tracer, folder: Path, log: Log) -> None:
    def write() -> None:
        with mirrored.span("mem", "write", "m.py", "a.b"):
            _seed(mirrored)
            mirrored.event("foc", "gate_check", status="blocked", metadata={"reason": "no"})
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        write()

    with whence.open(folder / "nothing", sources=[f"jsonl:{folder / 'trace.jsonl'}"]) as other:
        read = {row.event.id: row.event for row in other.timeline().rows}
    events = recorded(log)
    assert {*read} == {event.id for event in events}
    for event in events:
        back = read[event.id]
        assert (back.primitive, back.type, back.parent) == (
            event.primitive,
            event.type,
            event.parent,
        )
        assert back.status == event.status
        assert back.time[:23] == event.time[:23]


# -- the logger ----------------------------------------------------------------------------------


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def handler() -> Iterator[_Kept]:
    """A handler of the seed's logger, as a program adds one."""
    handler = _Kept()
    logger = logging.getLogger(NAME)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.disabled = False


def test_the_seeds_logger_receives_each_step(traced: Tracer, handler: _Kept) -> None:
    """Also where nobody has set its level, and once each."""
    _seed(traced)

    lines = [json.loads(record.getMessage()) for record in handler.records]
    assert [line["operation"] for line in lines] == ["gate_check", "transition"]
    assert [*lines[0]] == _KEYS
    assert handler.records[0].name == "dopejar.trace"
    assert handler.records[0].trace_event.operation == "gate_check"  # type: ignore[attr-defined]


def test_the_seeds_level_lets_it_through_too(
    traced: Tracer, handler: _Kept, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, NAME):
        traced.event("sys", "execute")

    assert len(handler.records) == 1
    assert len(caplog.records) == 1


@pytest.mark.parametrize("how", ["disabled", "level", "handler"])
def test_whoever_wants_none_gets_none(traced: Tracer, handler: _Kept, how: str) -> None:
    logger = logging.getLogger(NAME)
    if how == "disabled":
        logger.disabled = True
    elif how == "level":
        logger.setLevel(logging.ERROR)
    else:
        handler.setLevel(logging.ERROR)
    traced.event("sys", "execute")

    assert handler.records == []


def test_a_handler_that_fails_breaks_nothing(traced: Tracer, log: Log) -> None:
    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> NoReturn:
            raise RuntimeError("no")

    failing = Failing()
    logging.getLogger(NAME).addHandler(failing)
    try:
        _seed(traced)
    finally:
        logging.getLogger(NAME).removeHandler(failing)

    assert len(recorded(log)) == 2
    assert log.recorder.lost == 0


def test_without_a_listener_nobody_hears(traced: Tracer, caplog: pytest.LogCaptureFixture) -> None:
    _seed(traced)

    assert caplog.records == []
