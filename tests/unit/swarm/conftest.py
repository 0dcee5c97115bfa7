"""A log in a folder, and the swarm that records to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from whence.swarm import Swarm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".whence"


@pytest.fixture
def log(folder: Path) -> Iterator[whence.Log]:
    with whence.open(folder) as log:
        yield log


@pytest.fixture
def swarm(log: whence.Log) -> Swarm:
    return Swarm(log)
