"""Repositories made so that git waits for ever, takes all memory, or runs what they name."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.sources.git_case import START, commit, git, make_repository
from whence.ask.asked import Sources
from whence.errors import CorruptError, StoreError
from whence.query import Query
from whence.sources.git import open_source
from whence.sources.git.program import Program
from whence.sources.source import SourceEvent

IMPATIENT = {"patience_s": 0.2}


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository with two commits."""
    place = make_repository(tmp_path / "repository")
    commit(place, {"a": "1"}, "first", at=START)
    commit(place, {"a": "2", "b": "1"}, "second", at=START + 1)
    return place


def read(place: Path) -> list[SourceEvent]:
    return list(open_source(place, "git", {}).events())


def make_pipe(path: Path) -> None:
    """A file that whoever opens it waits for."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def make_program(path: Path, mark: Path) -> Path:
    """A program that leaves a mark when somebody runs it."""
    path.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    path.chmod(0o755)
    return path


def hash_object(place: Path, text: bytes) -> str:
    """Write a commit that git itself would not make."""
    made = subprocess.run(
        ["git", "-C", place, "hash-object", "-t", "commit", "-w", "--literally", "--stdin"],
        input=text,
        capture_output=True,
        check=True,
    )
    return made.stdout.decode().strip()


# -- waiting ------------------------------------------------------------------------------------


def _include(place: Path) -> None:
    make_pipe(place / "pipe")
    git(place, "config", "include.path", str(place / "pipe"))


def _spoil_object(place: Path) -> None:
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    make_pipe(place / ".git" / "objects" / tree[:2] / tree[2:])


def _spoil_pack(place: Path) -> None:
    git(place, "repack", "-adq")
    (index,) = (place / ".git" / "objects" / "pack").glob("*.idx")
    make_pipe(index)


def _pipe_at(name: str) -> Callable[[Path], None]:
    return lambda place: make_pipe(place / ".git" / name)


WAYS = {
    "include": _include,
    "object": _spoil_object,
    "pack": _spoil_pack,
    **{
        name: _pipe_at(name)
        for name in (
            "HEAD",
            "config",
            "packed-refs",
            "commondir",
            "shallow",
            "refs/heads/x",
            "objects/info/alternates",
        )
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_git_that_waits_is_given_up_and_the_source_says_so(place: Path, way: str) -> None:
    WAYS[way](place)
    source = open_source(place, "git", IMPATIENT)

    with pytest.raises(StoreError, match=r"said nothing for 0\.2 s"):
        list(source.events())
    assert "said nothing" in source.health().problem


def test_the_rest_of_the_answer_comes(tmp_path: Path, place: Path) -> None:
    other = make_repository(tmp_path / "other")
    commit(other, {}, "whole", at=START)
    _include(place)
    notes: list[str] = []
    sources = Sources(
        [open_source(place, "waits", IMPATIENT), open_source(other, "fine", {})], notes.append
    )

    told = [event.data["subject"] for event in sources.events([Query()])]

    assert told == ["whole"]
    assert sources.failed == {"waits"}
    assert "said nothing" in notes[0]


def test_what_was_told_before_git_waits_is_given(place: Path) -> None:
    _spoil_object(place)
    notes: list[str] = []
    sources = Sources([open_source(place, "git", {"patience_s": 1})], notes.append)

    assert [event.target for event in sources.events([Query()])] == ["main", "a"]
    assert "said nothing" in notes[0]


def test_who_was_given_up_is_not_asked_again_at_once(place: Path) -> None:
    """One question asks a source many things, and would wait for each."""
    make_pipe(place / ".git" / "HEAD")
    source = open_source(place, "git", IMPATIENT)
    assert "said nothing" in source.health().problem

    (place / ".git" / "HEAD").unlink()
    (place / ".git" / "HEAD").write_text("ref: refs/heads/main\n")

    with pytest.raises(StoreError, match="said nothing"):
        source.has_name("target", "main")
    assert len(read(place)) == 5


def test_a_git_that_works_is_waited_for(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history of a million commits takes longer than anybody's patience."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    work = "i=0; while [ $i -lt 600000 ]; do i=$((i+1)); done"
    slow.write_text(f'#!/bin/sh\n{work}\nPATH={os.environ["PATH"]!r} exec git "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")

    assert Program(place, patience_s=0.2).read("rev-parse", "--is-bare-repository") == b"false\n"


def test_an_empty_repository_that_says_where_it_is_cut_in_a_pipe(tmp_path: Path) -> None:
    """Git does not read that file here, so that it would be us who wait."""
    place = make_repository(tmp_path / "empty")
    make_pipe(place / ".git" / "shallow")

    assert read(place) == []


@pytest.mark.parametrize("patience", [0, -1, "1", True, float("nan"), float("inf"), 10**9])
def test_a_patience_that_is_none_is_refused(place: Path, patience: object) -> None:
    with pytest.raises(ValueError, match="patience_s"):
        open_source(place, "git", {"patience_s": patience})


# -- what is not read -----------------------------------------------------------------------------


def test_what_is_staged_is_no_history(place: Path) -> None:
    wanted = read(place)
    (place / ".git" / "index").write_bytes(b"damaged" * 9)
    assert read(place) == wanted

    make_pipe(place / ".git" / "index")
    assert read(place) == wanted


def test_what_is_kept_beside_the_commits_may_be_damaged(place: Path) -> None:
    git(place, "commit-graph", "write", "--reachable")
    wanted = read(place)
    graph = place / ".git" / "objects" / "info" / "commit-graph"
    whole = graph.read_bytes()
    graph.chmod(0o644)
    graph.write_bytes(whole[:-60] + b"\xff" * 30 + whole[-30:])

    assert read(place) == wanted
    found = open_source(place, "git", {}).events(Query(target="a"))
    assert [event.data["subject"] for event in found] == ["first", "second"]

    make_pipe(graph)
    assert read(place) == wanted


def test_grafts_change_nothing(place: Path) -> None:
    wanted = read(place)
    (place / ".git" / "info").mkdir(exist_ok=True)
    (place / ".git" / "info" / "grafts").write_text(wanted[2].id + "\n")

    assert read(place) == wanted


def test_settings_in_the_callers_environment_are_no_settings(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = read(place)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.repositoryFormatVersion")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "no number")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=no bool'")

    assert read(place) == wanted


# -- what is not run ------------------------------------------------------------------------------


def test_no_program_is_run_that_a_repository_names(tmp_path: Path, place: Path) -> None:
    wanted = read(place)
    mark = tmp_path / "ran"
    program = make_program(tmp_path / "program", mark)
    for name in ("post-index-change", "reference-transaction", "fsmonitor-watchman"):
        make_program(place / ".git" / "hooks" / name, mark)
    (place / ".git" / "info").mkdir(exist_ok=True)
    (place / ".git" / "info" / "attributes").write_text("* diff=x filter=x\n")
    for key in (
        *("diff.x.command", "diff.x.textconv", "filter.x.process", "filter.x.clean"),
        *("core.fsmonitor", "core.pager", "core.askPass", "core.sshCommand", "core.editor"),
        *("core.alternateRefsCommand", "uploadpack.packObjectsHook", "gpg.program"),
    ):
        git(place, "config", key, str(program))
    for command in ("rev-list", "rev-parse", "for-each-ref", "diff-tree", "cat-file"):
        git(place, "config", f"alias.{command}", f"!{program}")
        git(place, "config", f"pager.{command}", "true")
    git(place, "config", "credential.helper", f"!{program}")

    assert read(place) == wanted
    assert open_source(place, "git", {}).has_name("target", "b")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("url", "key", "setting"),
    [
        ("ssh://nowhere/x", "core.sshCommand", "{program}"),
        ("file://{place}", "remote.origin.uploadpack", "{program}"),
        ("ext::{program}", "protocol.ext.allow", "always"),
        ("{program}", "remote.origin.vcs", "ext"),
        ("file://{place}", "alias.fetch", "!{program}"),
    ],
)
def test_what_a_partial_clone_lacks_is_got_by_no_program(
    tmp_path: Path, place: Path, url: str, key: str, setting: str
) -> None:
    mark = tmp_path / "ran"
    names = {"program": make_program(tmp_path / "program", mark), "place": place}
    git(place, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=tree:0", f"file://{place}", "clone.git")
    clone = tmp_path / "clone.git"
    git(clone, "config", "remote.origin.url", url.format(**names))
    git(clone, "config", key, setting.format(**names))

    with pytest.raises(CorruptError):
        read(clone)
    assert not mark.exists()


def test_git_holds_little_of_what_it_unpacked(place: Path) -> None:
    assert Program(place).read("config", "core.deltaBaseCacheLimit") == b"16m\n"


def test_bundles_are_got_from_nowhere(place: Path) -> None:
    """Newer versions of git get them before they look at which protocols are allowed."""
    git(place, "config", "fetch.bundleURI", "https://example.org/bundle")

    assert Program(place).read("config", "fetch.bundleURI") == b"\n"


# -- memory ---------------------------------------------------------------------------------------


def test_a_git_that_takes_all_memory_is_ended(place: Path) -> None:
    """As it would of a link to `/dev/zero`; a file with a hole does no harm if this fails."""
    with open(place / ".git" / "objects" / "info" / "alternates", "wb") as file:
        file.truncate(400 << 20)

    with pytest.raises(CorruptError, match="emory"):
        Program(place, memory_max=200 << 20).read("rev-parse", "--verify", "HEAD^{tree}")


def test_a_message_of_many_megabytes_is_not_held(place: Path) -> None:
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    who = f"A <a> {START} +0000"
    text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nlong\n\n".encode() + b"x" * (20 << 20)
    git(place, "update-ref", "refs/heads/long", hash_object(place, text))

    (event,) = [event for event in read(place) if event.target == "long"]

    assert event.data["subject"] == "long"
    assert event.data["body_length"] < 6 << 20


def test_a_name_of_many_megabytes_is_not_held(place: Path) -> None:
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    who = "A" * (10 << 20) + f" <a> {START} +0000"
    text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n".encode()
    git(place, "update-ref", "refs/heads/long", hash_object(place, text))

    (event,) = [event for event in read(place) if event.target == "long"]

    assert event.agent is not None
    assert set(event.agent) == {"A"}
    assert len(event.agent) < 6 << 20


def test_more_parents_than_can_be_told_are_refused(place: Path) -> None:
    head = git(place, "rev-parse", "HEAD").decode().strip()
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    who = f"A <a> {START} +0000"
    text = f"tree {tree}\n{f'parent {head}{chr(10)}' * 200_000}author {who}\ncommitter {who}\n\nx\n"
    git(place, "update-ref", "refs/heads/wide", hash_object(place, text.encode()))

    with pytest.raises(CorruptError, match="in one line"):
        read(place)
