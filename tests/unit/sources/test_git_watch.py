"""That nothing which moves a ref goes unseen, though git is not asked each time."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.sources.git_case import START, commit, git, make_repository
from whence.query import Query
from whence.sources.git import GitSource, open_source
from whence.sources.git.watch import SETTLED_NS, look


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository with 300 commits that lie in a line."""
    place = make_repository(tmp_path / "repository")
    lines = [
        f"commit refs/heads/main\ncommitter A <a> {START + number} +0000\ndata 1\nx\n"
        f"M 100644 inline f{number}\ndata 1\nx\n"
        for number in range(300)
    ]
    subprocess.run(
        ["git", "-C", place, "fast-import", "--quiet"], input="".join(lines).encode(), check=True
    )
    return place


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often git was run since this was asked."""
    program, told = tmp_path / "bin" / "git", tmp_path / "calls"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho >> {told}\nPATH={os.environ["PATH"]!r} exec git "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def count() -> int:
        number = told.read_text().count("\n") if told.exists() else 0
        told.write_text("")
        return number

    return count


def settle(source: GitSource) -> None:
    """Wait until what has just changed would be told from what changes next."""
    while look(source._history().refs.folders) is None:
        time.sleep(0.01)


def settle_file(path: Path) -> None:
    """The same for one file."""
    while time.time_ns() - os.lstat(path).st_ctime_ns < 2 * SETTLED_NS:
        time.sleep(0.01)


def tips(source: GitSource) -> dict[str | None, str]:
    """The newest commit of each branch."""
    return {event.target: event.id for event in source.events(Query(type="commit"))}


def test_following_a_line_of_causes_asks_git_seldom(place: Path, calls: Callable[[], int]) -> None:
    source = open_source(place, "git", {})
    settle(source)
    (newest, *_) = source.events(Query(type="commit"), newest_first=True)
    event, steps = source.event(newest.id), 0
    calls()

    while event is not None and event.parent is not None:
        children = list(source.events(Query(parent=event.parent)))
        assert event in children
        assert len(children) == 2
        event, steps = source.event(event.parent), steps + 1

    assert steps == 299
    assert calls() < 20


MOVES: dict[str, Callable[[Path], object]] = {
    "commit": lambda place: commit(place, {"a": "1"}, "new", at=START + 999),
    "branch": lambda place: git(place, "branch", "side/of/it", "HEAD~3"),
    "tag": lambda place: git(place, "tag", "v1"),
    "pack": lambda place: (git(place, "pack-refs", "--all"), git(place, "branch", "-D", "old")),
    "detached": lambda place: git(place, "checkout", "-q", "--detach", "HEAD~2"),
    "in place": lambda place: (place / ".git" / "refs" / "heads" / "old").write_bytes(
        git(place, "rev-parse", "HEAD~9")
    ),
    "deleted": lambda place: git(place, "branch", "-q", "-D", "old"),
}


@pytest.mark.parametrize("is_worktree", [False, True])
@pytest.mark.parametrize("move", MOVES)
def test_whatever_moves_a_ref_is_seen(
    tmp_path: Path, place: Path, move: str, is_worktree: bool
) -> None:
    git(place, "reset", "-q", "--hard")
    git(place, "branch", "old", "HEAD~50")
    there = place
    if is_worktree and move != "detached":
        there = tmp_path / "tree"
        git(place, "worktree", "add", "-q", "--detach", str(there))
    source = open_source(there, "git", {})
    settle(source)
    known = source._history()
    assert source._history() is known

    MOVES[move](place)

    assert source._history().refs != known.refs
    assert tips(source) == tips(open_source(there, "git", {}))


def test_what_moves_twice_in_no_time_is_seen_twice(place: Path) -> None:
    """The file of the ref keeps its size, and may keep its time."""
    source = open_source(place, "git", {})
    names = git(place, "rev-list", "-n", "20", "HEAD").split()
    for name in names:
        (place / ".git" / "refs" / "heads" / "main").write_bytes(name + b"\n")

        assert source._history().refs.head == name.decode()


def test_refs_behind_a_link_are_asked_for_each_time(tmp_path: Path, place: Path) -> None:
    heads = place / ".git" / "refs" / "heads"
    heads.rename(tmp_path / "heads")
    heads.symlink_to(tmp_path / "heads")
    settle_file(heads)
    source = open_source(place, "git", {})
    before = source._history().refs.head

    (tmp_path / "heads" / "main").write_bytes(git(place, "rev-parse", "HEAD~1"))

    assert source._history().refs.head != before


def test_more_refs_than_are_looked_at_are_asked_for_each_time(place: Path) -> None:
    refs = [f"refs/heads/d{number % 12}/b{number}" for number in range(1_100)]
    told = "".join(f"create {ref} HEAD\n" for ref in refs)
    subprocess.run(["git", "-C", place, "update-ref", "--stdin"], input=told.encode(), check=True)
    source = open_source(place, "git", {})
    older = git(place, "rev-parse", "HEAD~1")
    assert len(source._history().refs.refs) == 1_101

    settle_file(place / ".git" / refs[-1])
    for ref in refs[:12]:
        source._history()
        (place / ".git" / ref).write_bytes(older)
        settle_file(place / ".git" / ref)

        found = {name: oid for name, oid, _ in source._history().refs.refs}
        assert found[ref] == older.decode().strip()


def test_packed_refs_that_another_program_wrote_are_seen(place: Path) -> None:
    git(place, "pack-refs", "--all")
    source = open_source(place, "git", {})
    settle(source)
    known = source._history()
    older = git(place, "rev-parse", "HEAD~1").decode().strip()
    packed = place / ".git" / "packed-refs"

    packed.write_text(packed.read_text().replace(known.refs.head, older))

    assert source._history().refs.head == older


def test_what_has_just_changed_is_compared_with_nothing(place: Path) -> None:
    """It may change again without looking any different."""
    folders = open_source(place, "git", {})._history().refs.folders
    main = place / ".git" / "refs" / "heads" / "main"

    # Whoever is held up for long in between finds it settled.
    assert any(main.write_bytes(main.read_bytes()) and look(folders) is None for _ in range(100))
