"""A journal with the demo's story in it, and the command line as a function."""

import os
from pathlib import Path

import pytest

from tests.unit.cli.asking import Answer, Ask, record_story
from whence.cli.app import run


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of a log with the story in it, and the ids of its moves. Nobody changes it."""
    folder = tmp_path_factory.mktemp("story") / ".whence"
    return folder, record_story(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, in a plain environment."""
    for name in [*os.environ]:
        if name.startswith(("WHENCE_", "LESS")) or name in ("FORCE_COLOR", "NO_COLOR", "PAGER"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ask(here: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command line in this process."""

    def call(*arguments: str, program: str = "whence") -> Answer:
        capsys.readouterr()
        code = run(list(arguments), program)
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def ask_story(ask: Ask, story: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command line about the story."""
    monkeypatch.setenv("WHENCE_DIR", str(story[0]))
    return ask
