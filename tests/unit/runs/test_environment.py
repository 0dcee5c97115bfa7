"""What a run ran in, and what of it counts as changed."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from whence.runs.environment import describe_environment, list_packages
from whence.runs.replaying import find_changes


def _git(folder: Path, *words: str) -> str:
    made = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    run = subprocess.run(
        ["git", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **made},
    )
    return run.stdout.strip()


def test_python_its_packages_and_the_command_are_told() -> None:
    said = describe_environment()

    assert said["python"] == ".".join(map(str, sys.version_info[:3]))
    assert said["packages"]["msgspec"] == msgspec.__version__
    assert said["folder"] == str(Path.cwd())
    assert "pytest" in said["command"] or "python" in said["command"]
    assert list(list_packages()) == sorted(list_packages())


def test_the_commit_is_told_and_whether_files_were_changed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("outside", "clean", "dirty"):
        (tmp_path / name).mkdir()
        if name != "outside":
            _git(tmp_path / name, "init", "-q")
            (tmp_path / name / "model.py").write_text("1")
            _git(tmp_path / name, "add", "model.py")
            _git(tmp_path / name, "commit", "-qm", "x")
    (tmp_path / "dirty" / "model.py").write_text("2")
    (tmp_path / "clean" / "untracked").write_text("3")

    said = {}
    for name in ("outside", "clean", "dirty"):
        monkeypatch.chdir(tmp_path / name)
        said[name] = describe_environment().get("git")
    assert said["outside"] is None
    assert said["clean"] == {
        "commit": _git(tmp_path / "clean", "rev-parse", "HEAD"),
        "dirty": False,
    }
    assert said["dirty"] == {"commit": _git(tmp_path / "dirty", "rev-parse", "HEAD"), "dirty": True}


def test_where_there_is_no_git_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git" not in describe_environment()


def test_what_counts_as_changed() -> None:
    then = {
        "python": "3.11.7", "platform": "Linux", "hash_seed": "random", "command": "a", "folder": "/a",
        "packages": {"msgspec": "0.20", "old": "1"}, "git": {"commit": "a" * 40, "dirty": False},
    }  # fmt: skip
    now = {
        "python": "3.12.1", "platform": "Linux", "hash_seed": "0", "command": "b", "folder": "/b",
        "packages": {"msgspec": "0.21", "new": "2"}, "git": {"commit": "a" * 40, "dirty": True},
    }  # fmt: skip
    assert find_changes(then, then) == []
    assert {(each.what, each.then, each.now) for each in find_changes(then, now)} == {
        ("python", "3.11.7", "3.12.1"),
        ("package msgspec", "0.20", "0.21"), ("package old", "1", None), ("package new", None, "2"),
        ("git", "a" * 40, "a" * 40 + " with changes"),
    }  # fmt: skip
    assert find_changes({}, now) == []
