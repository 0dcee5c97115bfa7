"""Each test decides in a log of its own, which is the process's default one meanwhile, with nobody listening."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from whence.decisions import bus, consent


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("whence.log._default", None)
    monkeypatch.setattr(bus, "default_bus", bus.EventBus())
    monkeypatch.setattr(bus, "guard", consent.ConsentGuard())
    yield
    whence.close()
