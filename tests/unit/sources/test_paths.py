"""What a source of any kind makes of a path that leads to no file: it says so, and waits for nobody."""

import os
from pathlib import Path

import pytest

from whence.errors import CorruptError, StoreError
from whence.sources.registry import Declared, open_all
from whence.sources.suggest import suggest

KINDS = ["space-os", "sqlite", "jsonl", "claude-code", "git"]
_MAPPING = {"table": "t", "time": "at"}
_OPTIONS = {"sqlite": _MAPPING, "jsonl": {"time": "at"}}


def read(kind: str, path: Path) -> list[str]:
    (source,) = open_all(
        [Declared(kind=kind, path=path, given=kind, options=_OPTIONS.get(kind, {}))]
    )
    try:
        return [event.id for event in source.events()]
    finally:
        source.close()


@pytest.mark.parametrize("kind", ["space-os", "sqlite", "jsonl", "git"])
def test_a_pipe_is_refused(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "x")

    with pytest.raises((StoreError, CorruptError), match="x is"):
        read(kind, tmp_path / "x")
    with pytest.raises((StoreError, CorruptError), match="x is no file"):
        suggest(tmp_path / "x")


@pytest.mark.parametrize(("kind", "name"), [("space-os", "events.db"), ("jsonl", "a.jsonl")])
def test_a_pipe_in_a_folder_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    os.mkfifo(tmp_path / name)

    with pytest.raises((StoreError, CorruptError), match=f"{name} is no file"):
        read(kind, tmp_path)


def test_a_pipe_beside_a_transcript_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "agent-a.jsonl").write_text('{"type":"user","timestamp":"2026-01-01T00:00:00Z"}\n')
    os.mkfifo(tmp_path / "agent-a.meta.json")
    os.mkfifo(tmp_path / "b.jsonl")

    assert isinstance(read("claude-code", tmp_path), list)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a\0b", "a\0b/*", "a" * 300])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(StoreError):
        read(kind, tmp_path / name)
