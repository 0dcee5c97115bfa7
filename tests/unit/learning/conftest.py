"""Each test learns into a log of its own, which is the process's default one meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from whence.learning.recording import PulseLearningLogger


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("whence.log._default", None)
    monkeypatch.setattr(PulseLearningLogger, "_only", None)
    monkeypatch.delenv("PULSE_LEARNING_LOG_PATH", raising=False)
    yield
    whence.close()
