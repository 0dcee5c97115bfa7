"""Repositories that are whole and unusual, or that a crash left damaged; each made with git itself."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.sources.git_case import START, commit, git, make_repository
from whence.errors import CorruptError
from whence.query import Query
from whence.sources.git import open_source
from whence.sources.source import SourceEvent, by_time


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository with two commits."""
    place = make_repository(tmp_path / "repository")
    commit(place, {"a": "1"}, "first", at=START)
    commit(place, {"a": "2"}, "second", at=START + 1)
    return place


def read(place: Path, query: Query = Query()) -> list[SourceEvent]:
    return list(open_source(place, "git", {}).events(query))


def write_ref(place: Path, ref: str, text: str) -> None:
    """Write what git itself would refuse to."""
    (place / ".git" / ref).write_text(text + "\n")


def hash_object(place: Path, kind: str, text: str) -> str:
    made = subprocess.run(
        ["git", "-C", place, "hash-object", "-t", kind, "-w", "--literally", "--stdin"],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    return made.stdout.decode().strip()


# -- whole ----------------------------------------------------------------------------------------


def test_hashes_of_sha256_are_read_in_batches_too(tmp_path: Path) -> None:
    place = tmp_path / "long"
    place.mkdir()
    git(place, "init", "-q", "-b", "main", "--object-format=sha256")
    names = [commit(place, {f"f{number}": "1"}, "x", at=START + number) for number in range(130)]
    git(place, "tag", "-a", "v1", "-m", "x", at=START + 200)
    source = open_source(place, "git", {})

    assert [event.id for event in source.events(Query(type="commit"))] == names
    assert source.event(names[7]) is not None
    assert [event.parent for event in source.events(Query(target="f9"))] == [names[9]]
    assert [event.parent for event in source.events(Query(type="tag"))] == [names[-1]]


@pytest.mark.parametrize("date", ["-7", "99999999999999999", "-99999999999999999999"])
@pytest.mark.parametrize("has_graph", [False, True])
def test_dates_before_and_after_all_calendars_are_no_dates(
    place: Path, date: str, has_graph: bool
) -> None:
    head = git(place, "rev-parse", "HEAD").decode().strip()
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    who = f"A <a> {date} +0000"
    odd = hash_object(place, "commit", f"tree {tree}\nauthor {who}\ncommitter {who}\n\nodd\n")
    tag = hash_object(place, "tag", f"object {head}\ntype commit\ntag t\ntagger {who}\n\nx\n")
    git(place, "update-ref", "refs/heads/odd", odd)
    git(place, "update-ref", "refs/tags/odd", tag)
    if has_graph:
        git(place, "commit-graph", "write", "--reachable")

    events = read(place)

    assert events == sorted(events, key=by_time)
    for event in events:
        assert (event.inferred == ("time",)) is (event.target == "odd" or event.parent == odd)
        assert event.type == "tag" or bool(event.remark) is bool(event.inferred)


def test_a_second_at_the_end_of_what_a_commit_graph_can_tell(place: Path) -> None:
    """It holds 34 bits of a time; what is beyond comes back as another year."""
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    who = f"A <a> {2**34 + 60} +0000"
    odd = hash_object(place, "commit", f"tree {tree}\nauthor {who}\ncommitter {who}\n\nodd\n")
    git(place, "update-ref", "refs/heads/odd", odd)
    git(place, "commit-graph", "write", "--reachable")

    assert [event.time[:4] for event in read(place, Query(target="odd"))] == ["2514"]


def test_branches_and_tags_that_are_no_utf8_or_bear_each_others_names(place: Path) -> None:
    wanted = read(place)
    git(place, "update-ref", b"refs/heads/caf\xe9", "HEAD")
    git(place, "update-ref", "refs/heads/HEAD", "HEAD")
    git(place, "update-ref", "refs/heads/refs/heads/main", "HEAD~1")
    git(place, "tag", "main")

    assert read(place) == [*wanted, *read(place, Query(type="tag"))]
    git(place, "update-ref", "-d", "refs/heads/main")
    git(place, "update-ref", "-d", "refs/heads/HEAD")
    assert {event.target for event in read(place, Query(type="commit"))} == {"caf\\xe9"}


def test_a_commit_that_names_a_parent_twice(place: Path) -> None:
    head = git(place, "rev-parse", "HEAD").decode().strip()
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    who = f"A <a> {START + 9} +0000"
    text = f"tree {tree}\nparent {head}\nparent {head}\nauthor {who}\ncommitter {who}\n\nx\n"
    git(place, "update-ref", "refs/heads/twice", hash_object(place, "commit", text))

    (event,) = read(place, Query(type="merge"))

    assert (event.parent, event.links) == (head, (head,))


def test_bytes_that_are_no_text_keep_the_answers_apart(place: Path) -> None:
    """A zero byte in a message is where git itself stops reading it."""
    tree = git(place, "rev-parse", "HEAD^{tree}").decode().strip()
    who = f"A\r\x1b[31m <a> {START + 9} +0000"
    text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\n\x01\x01hi\0there\n\x01more\n"
    git(place, "update-ref", "refs/heads/odd", hash_object(place, "commit", text))

    (event,) = read(place, Query(target="odd"))

    assert event.agent == "A\r\x1b[31m"
    assert event.data["subject"] == "\x01\x01hi"
    assert event.data["files"] == {"a": "added"}


# -- damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["refs/heads/lost", "refs/tags/lost"])
def test_a_ref_that_leads_to_nothing_hides_no_history(place: Path, ref: str) -> None:
    git(place, "tag", "-a", "v1", "-m", "x", at=START + 5)
    wanted = read(place)
    write_ref(place, ref, "1" * 40)
    source = open_source(place, "git", {})
    told: list[SourceEvent] = []

    with pytest.raises(CorruptError, match=f"{ref} names 1{{40}}, which is not there"):
        told.extend(source.events())

    assert told == wanted
    assert [(row.place, row.content) for row in source.raw()] == [(ref, "1" * 40)]
    health = source.health()
    assert (health.events, health.not_understood) == (len(wanted), 1)
    assert "not there" in health.problem
    assert source.has_name("target", "a")


@pytest.mark.parametrize("text", ["", "garbage", "0" * 40, "ref: refs/heads/lost"])
def test_a_ref_that_says_nothing_is_none(place: Path, text: str) -> None:
    wanted = read(place)
    write_ref(place, "refs/heads/lost", text)

    assert read(place) == wanted


def test_a_commit_that_is_damaged_is_named(place: Path) -> None:
    oid = git(place, "rev-parse", "HEAD~1").decode().strip()
    (place / ".git" / "objects" / oid[:2] / oid[2:]).unlink()

    with pytest.raises(CorruptError, match=f"git in {place}"):
        read(place)
