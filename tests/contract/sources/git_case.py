"""A repository made with git itself."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.contract.sources.case import Case
from whence.sources.git import open_source
from whence.sources.source import Source

START = 1_795_000_000


def git(folder: Path, *arguments: str | bytes, at: int = START, by: str = "zealot-1") -> bytes:
    """Run git as somebody at some time, with nobody's configuration."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**clean, **_identity(at, by)},
        check=True,
        capture_output=True,
    ).stdout


def _identity(at: int, by: str) -> Mapping[str, str]:
    return {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": by,
        "GIT_AUTHOR_EMAIL": f"{by}@example.org",
        "GIT_AUTHOR_DATE": f"{at} +1100",
        "GIT_COMMITTER_NAME": by,
        "GIT_COMMITTER_EMAIL": f"{by}@example.org",
        "GIT_COMMITTER_DATE": f"{at} +0200",
    }


def make_repository(folder: Path) -> Path:
    """An empty repository with the branch main."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    return folder


def commit(
    folder: Path, files: Mapping[str, str], message: str, *, at: int, by: str = "zealot-1"
) -> str:
    """Write these files and commit them; returns the hash."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message, at=at, by=by)
    return git(folder, "rev-parse", "HEAD").decode().strip()


def make(folder: Path) -> Source:
    """Two branches, a merge, both kinds of tags, a clock that went back, and two at one moment."""
    place = make_repository(folder / "repository")
    commit(place, {"a.txt": "1", "src/b.txt": "1"}, "first\n\nwith a body", at=START)
    git(place, "checkout", "-q", "-b", "feature")
    commit(place, {"src/b.txt": "2"}, "on a branch", at=START + 50, by="haiku-1")
    git(place, "checkout", "-q", "main")
    commit(place, {"a.txt": "2", "c.txt": "1"}, "meanwhile", at=START + 50)
    commit(place, {"a.txt": "3"}, "with a clock that is slow", at=START - 500, by="haiku-1")
    commit(place, {"docs/d.md": "1", "docs/e.md": "1"}, "documented", at=START + 55)
    git(place, "merge", "-q", "--no-ff", "-m", "merge feature", "feature", at=START + 60)
    git(place, "tag", "light")
    git(place, "tag", "-a", "v1", "-m", "the first version", at=START + 60, by="sage-1")
    (place / "c.txt").unlink()
    commit(place, {}, "remove c", at=START + 70)
    commit(place, {}, "nothing changed", at=START + 70)
    return open_source(place, "history", {})


def add(folder: Path) -> None:
    """Commit once more, with a clock that is slow."""
    commit(folder / "repository", {"d.txt": "1"}, "later", at=START - 40)


def spoil(folder: Path) -> None:
    """Tag what is no commit, so that nobody knows when."""
    place = folder / "repository"
    git(place, "tag", "odd", "HEAD:a.txt")


CASES = [Case(name="git", make=make, add=add, spoil=spoil)]
