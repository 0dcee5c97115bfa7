"""A tracer with a log of its own, in a folder of its own, that forgets all of it afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from tests.unit.tracing.tracing import look_again
from whence.log import Log
from whence.tracing import Tracer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the program runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def log(folder: Path) -> Iterator[Log]:
    """The log that the tracer records to: the one that a program there would find."""
    with whence.open() as opened:
        yield opened


@pytest.fixture
def tracer(log: Log) -> Iterator[Tracer]:
    """The tracer of this process, off as ever, recording to `log`."""
    found = Tracer()
    _forget(found)
    found.use(log)
    yield found
    found.use(None)
    _forget(found)


@pytest.fixture
def traced(tracer: Tracer) -> Tracer:
    """The tracer, switched on."""
    tracer.enabled = True
    return tracer


def _forget(tracer: Tracer) -> None:
    tracer.board.forced_on = None
    tracer.board.forced_console = None
    tracer.not_sampled = 0
    look_again(tracer)
