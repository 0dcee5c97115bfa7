"""Repositories as people and programs leave them, each made with git itself."""

import gc
import os
import shutil
import subprocess
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sources.git_case import START, commit, git, make_repository
from whence.errors import CorruptError, StoreError
from whence.query import Query, matches
from whence.sources.git import GitSource, open_source
from whence.sources.git.commits import Change, format_path, parse_commits, parse_path
from whence.sources.source import SourceEvent, by_time


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository")


def read(place: Path, query: Query = Query()) -> list[SourceEvent]:
    return list(open_source(place, "git", {}).events(query))


def name(event: SourceEvent) -> tuple[str, str | None]:
    return event.type, event.target


# -- what a commit is told as -------------------------------------------------------------------


def test_a_commit_stands_on_its_branch_and_each_file_has_an_event(place: Path) -> None:
    first = commit(place, {"a": "1"}, "first", at=START)
    second = commit(place, {"a": "2", "src/b": "1"}, "second\n\nwhy", at=START + 1, by="haiku-1")

    _, _, event, *changes = read(place)

    assert (event.id, event.type, event.target, event.parent) == (second, "commit", "main", first)
    assert (event.agent, event.time) == ("haiku-1", "2026-11-18T11:06:41.000000000Z")
    assert event.data == {
        "subject": "second",
        "body": "why",
        "email": "haiku-1@example.org",
        "changed": 2,
        "files": {"a": "modified", "src/b": "added"},
    }
    assert [(change.target, change.parent) for change in changes] == [
        ("a", second),
        ("src/b", second),
    ]
    assert changes[0].data == {"status": "modified", "subject": "second"}
    assert changes[0].id == f"path/{second}/0000000"


def test_a_removed_file_and_a_renamed_one_are_told_as_what_git_recorded(place: Path) -> None:
    commit(place, {"a": "text" * 100, "b": "1"}, "first", at=START)
    git(place, "mv", "a", "c")
    git(place, "rm", "-q", "b")
    commit(place, {}, "moved", at=START + 1)

    changes = [
        (event.target, event.data["status"]) for event in read(place) if event.type == "change"
    ]

    assert changes[2:] == [("a", "deleted"), ("b", "deleted"), ("c", "added")]


def test_author_and_committer_are_told_apart(place: Path) -> None:
    git(
        place,
        *("-c", "user.name=sage-1", "commit", "-q", "--allow-empty", "-m", "x"),
        *("--author", "zealot-1 <z@example.org>", "--date", "2026-01-01T00:00:00+11:00"),
        at=START,
        by="sage-1",
    )

    (event,) = read(place)

    assert event.agent == "zealot-1"
    assert event.data["committer"] == "sage-1"
    assert event.data["authored"] == "2025-12-31T13:00:00.000000000Z"


def test_a_merge_names_all_parents_and_only_what_it_settled_itself(place: Path) -> None:
    commit(place, {"a": "1"}, "first", at=START)
    git(place, "checkout", "-q", "-b", "feature")
    side = commit(place, {"a": "2", "b": "1"}, "side", at=START + 1)
    git(place, "checkout", "-q", "main")
    main = commit(place, {"a": "3"}, "main", at=START + 2)
    with pytest.raises(subprocess.CalledProcessError):
        git(place, "merge", "-q", "feature")
    merge = commit(place, {"a": "4"}, "settled", at=START + 3)

    (event,) = read(place, Query(type="merge"))

    assert (event.id, event.parent, event.links) == (merge, main, (side,))
    assert event.data["files"] == {"a": "modified"}
    assert [event.target for event in read(place, Query(parent=merge))] == ["a"]


def test_a_commit_stays_on_its_own_branch_while_that_is_there(place: Path) -> None:
    commit(place, {}, "shared", at=START)
    git(place, "checkout", "-q", "-b", "a-feature")
    side = commit(place, {}, "side", at=START + 1)
    git(place, "checkout", "-q", "main")
    git(place, "merge", "-q", "--no-ff", "-m", "merge", "a-feature", at=START + 2)
    before = {event.data["subject"]: event.target for event in read(place)}

    git(place, "branch", "-q", "-D", "a-feature")

    assert before == {"shared": "main", "side": "a-feature", "merge": "main"}
    assert {event.target for event in read(place)} == {"main"}
    assert open_source(place, "git", {}).event(side) is not None


def test_the_default_branch_of_the_origin_comes_first(tmp_path: Path, place: Path) -> None:
    git(place, "checkout", "-q", "-b", "develop")
    commit(place, {}, "first", at=START)
    git(place, "branch", "alpha")
    git(tmp_path, "clone", "-q", str(place), "clone")
    git(tmp_path / "clone", "checkout", "-q", "alpha")

    assert [event.target for event in read(tmp_path / "clone")] == ["develop"]


def test_a_commit_that_no_branch_leads_to_stands_on_head(place: Path) -> None:
    commit(place, {}, "first", at=START)
    git(place, "checkout", "-q", "--detach")
    commit(place, {}, "lost", at=START + 1)

    assert [event.target for event in read(place)] == ["main", "HEAD"]


# -- order --------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest_first", [False, True])
def test_skewed_clocks_and_many_commits_of_one_second_are_in_order(
    place: Path, newest_first: bool
) -> None:
    skews = [0, -400, 900, 900, 900, -3, 900, -400, 5, 5]
    for number, skew in enumerate(skews):
        commit(place, {f"f{number}": "1", "same": str(number)}, f"{number}", at=START + skew)

    events = list(open_source(place, "git", {}).events(newest_first=newest_first))

    assert events == sorted(events, key=by_time, reverse=newest_first)
    assert len(events) == len(skews) * 3


def test_since_is_not_fooled_by_a_clock_that_was_slow(place: Path) -> None:
    """`git log --since` would stop at the slow one and never see what is behind it."""
    newer = commit(place, {}, "with a fast clock", at=START + 100)
    commit(place, {}, "with a slow clock", at=START - 100)

    since = [event.id for event in read(place, Query(since=(START + 50) * 10**9))]

    assert since == [newer]


def test_a_time_within_a_second_cuts_as_matches_does(place: Path) -> None:
    commit(place, {}, "first", at=START)
    events = read(place)
    for query in (
        Query(since=START * 10**9 + 1),
        Query(until=START * 10**9 + 1),
        Query(since=-(2**80)),
        Query(until=2**80),
        Query(since=2**80),
        Query(until=-1),
    ):
        assert read(place, query) == [event for event in events if matches(query, event)]


def test_clocks_that_no_calendar_knows_are_remarked(place: Path) -> None:
    tree = git(place, "write-tree").decode().strip()
    for number, date in enumerate(["99999999999999 +0000", "never", "5 +0000"]):
        text = f"tree {tree}\nauthor A <a> {date}\ncommitter A <a> {date}\n\n{number}\n"
        oid = subprocess.run(
            ["git", "-C", place, "hash-object", "-t", "commit", "-w", "--literally", "--stdin"],
            input=text.encode(),
            capture_output=True,
            check=True,
        ).stdout.decode()
        git(place, "update-ref", f"refs/heads/odd-{number}", oid.strip())

    events = {event.target: event for event in read(place)}

    assert events["odd-0"].time.startswith("9999-")
    assert "ahead" in (events["odd-0"].remark or "")
    assert events["odd-1"].inferred == ("time",)
    assert events["odd-2"].remark == "its clock says 1970-01-01"


# -- tags ---------------------------------------------------------------------------------------


def test_tags_say_who_and_when_if_they_are_annotated(place: Path) -> None:
    first = commit(place, {"a": "1"}, "first", at=START)
    git(place, "tag", "light")
    git(place, "tag", "-a", "v1", "-m", "version one\n\nat last", at=START + 9, by="sage-1")
    git(place, "tag", "-a", "again", "v1", "-m", "of a tag", at=START + 10, by="sage-1")

    light, v1, again = read(place, Query(type="tag"))

    assert (light.id, light.agent, light.inferred) == ("refs/tags/light", None, ("time",))
    assert (v1.target, v1.agent, v1.parent, v1.inferred) == ("v1", "sage-1", first, ())
    assert v1.data == {"message": "version one\n\nat last", "annotated": True}
    assert (again.time, again.parent) == ("2026-11-18T11:06:50.000000000Z", first)


def test_a_signature_is_no_part_of_what_a_tag_says(place: Path) -> None:
    oid = commit(place, {}, "first", at=START)
    text = (
        f"object {oid}\ntype commit\ntag v1\ntagger sage-1 <s> {START} +0000\n\nsigned\n"
        "-----BEGIN PGP SIGNATURE-----\n\nxyz\n-----END PGP SIGNATURE-----\n"
    )
    made = subprocess.run(
        ["git", "-C", place, "mktag"], input=text.encode(), capture_output=True, check=True
    )
    git(place, "update-ref", "refs/tags/v1", made.stdout.decode().strip())

    (tag,) = read(place, Query(type="tag"))

    assert tag.data == {"message": "signed", "annotated": True}


def test_a_commit_that_only_a_tag_leads_to_is_there(place: Path) -> None:
    commit(place, {}, "first", at=START)
    git(place, "checkout", "-q", "-b", "old")
    lost = commit(place, {}, "released", at=START + 1)
    git(place, "tag", "-a", "v0", "-m", "x", at=START + 2)
    git(place, "checkout", "-q", "main")
    git(place, "branch", "-q", "-D", "old")

    assert [(event.id, event.target) for event in read(place, Query(type="commit"))][1:] == [
        (lost, "v0")
    ]


def test_a_tag_of_a_file_has_no_date_and_is_kept_as_not_understood(place: Path) -> None:
    commit(place, {"a": "1"}, "first", at=START)
    git(place, "tag", "file", "HEAD:a")
    git(place, "tag", "-a", "dated", "-m", "x", "HEAD:a", at=START)
    source = open_source(place, "git", {})

    assert [row.place for row in source.raw()] == ["refs/tags/file"]
    assert [event.id for event in source.events(Query(type="tag"))] == ["refs/tags/dated"]
    assert source.health().not_understood == 1


# -- names --------------------------------------------------------------------------------------

HOSTILE = [
    b"-rf",
    b'"quoted"',
    b"caf\xe9",
    b"caf\\351",
    b'"caf\\351"',
    b"line\nend",
    b"tab\tand space ",
    b":(glob)*",
    b"*",
    b"\x01x",
    "\N{SNOWMAN}".encode(),
    b"a/b/\xff\xfe/c",
]


def test_hostile_names_are_told_apart_and_found(place: Path) -> None:
    for raw in HOSTILE:
        path = os.fsencode(place) + b"/" + raw
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_text("1")
    commit(place, {}, "all", at=START)
    source = open_source(place, "git", {})

    names = [event.target for event in source.events(Query(type="change"))]

    assert sorted(names, key=str) == sorted(map(format_path, HOSTILE))
    for each in names:
        assert each is not None
        assert source.has_name("target", each)
        assert [event.target for event in source.events(Query(target=each))] == [each]


@pytest.mark.parametrize(
    "target",
    ["", "\0", "\ud800", "../x", "/etc", "a/../b", "./a", "a//b", "x" * 9999, "a/", '"', '"\\777"'],
)
def test_what_cannot_be_a_path_is_the_name_of_nothing(place: Path, target: str) -> None:
    commit(place, {"a": "1", "b/c": "1"}, "first", at=START)

    assert not open_source(place, "git", {}).has_name("target", target)


@given(st.binary(min_size=1, max_size=30))
def test_a_path_and_its_text_are_two_forms_of_one(path: bytes) -> None:
    parts = path.split(b"/")
    is_path = b"\0" not in path and not any(part in (b"", b".", b"..") for part in parts)

    assert parse_path(format_path(path)) == (path if is_path else None)


@given(st.text(max_size=30))
def test_no_two_texts_mean_the_same_path(text: str) -> None:
    path = parse_path(text)

    assert path is None or format_path(path) == text


@given(st.lists(st.binary(max_size=20)))
def test_output_that_is_no_commits_is_corrupt_and_nothing_else(tokens: list[bytes]) -> None:
    try:
        commits = list(parse_commits(iter(tokens)))
    except CorruptError:
        return

    assert all(isinstance(change, Change) for commit in commits for change in commit.changes)


def test_names_of_people_that_are_no_utf8_are_shown(place: Path) -> None:
    git(
        place,
        *("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty"),
        *("-m", b"caf\xe9", "--author", b"Ren\xe9 <r@example.org>"),
        at=START,
    )
    commit(place, {}, "nobody's", at=START + 1, by="\N{SNOWMAN}")

    events = read(place)

    assert [event.agent for event in events] == ["René", "\N{SNOWMAN}"]
    assert events[0].data["subject"] == "café"


def test_a_path_of_a_repository_that_looks_like_an_option(tmp_path: Path) -> None:
    commit(make_repository(tmp_path / "--upload-pack=x"), {}, "first", at=START)

    assert len(read(tmp_path / "--upload-pack=x")) == 1
    assert len(read(Path(os.path.relpath(tmp_path / "--upload-pack=x")))) == 1


def test_parts_of_ids_find_commits_first(place: Path) -> None:
    first = commit(place, {"a": "1"}, "first", at=START)
    git(place, "tag", "v1.0")
    source = open_source(place, "git", {})

    def find(part: str) -> list[str]:
        return [event.id for event in source.matching(part, 10)]

    assert find(first[:8]) == [first]
    assert find(first[-8:]) == [first]
    assert find(f"path/{first[:6]}") == [f"path/{first}/0000000"]
    assert find(f"{first[-6:]}/0000000") == [f"path/{first}/0000000"]
    assert find("v1.0") == ["refs/tags/v1.0"]
    assert find("0000000") == find("path/") == find("nothing") == []
    assert source.matching(first, 0) == []


# -- kinds of repositories ------------------------------------------------------------------------


def test_an_empty_repository_has_no_events(place: Path) -> None:
    source = open_source(place, "git", {})

    assert list(source.events()) == []
    assert (source.health().events, source.health().problem) == (0, "")
    assert not source.has_name("target", "a")


def test_bare_worktree_subfolder_and_git_folder_tell_the_same(tmp_path: Path, place: Path) -> None:
    commit(place, {"src/a": "1"}, "first", at=START)
    git(tmp_path, "clone", "-q", "--bare", str(place), "bare.git")
    git(place, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    wanted = read(place)

    for path in (tmp_path / "bare.git", tmp_path / "tree", place / "src", place / ".git"):
        assert read(path) == wanted
        assert [name(event) for event in read(path, Query(target="src/a"))] == [("change", "src/a")]
    assert open_source(tmp_path / "bare.git", "git", {}).health().note == "bare, 1 commit"


def test_a_shallow_clone_does_not_say_what_its_oldest_commit_changed(
    tmp_path: Path, place: Path
) -> None:
    commit(place, {"a": "1"}, "first", at=START)
    oldest = commit(place, {"b": "1"}, "second", at=START + 1)
    commit(place, {"b": "2"}, "third", at=START + 2)
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{place}", "clone")

    events = read(tmp_path / "clone")

    assert [name(event) for event in events] == [
        ("commit", "main"),
        ("commit", "main"),
        ("change", "b"),
    ]
    assert (events[0].id, events[0].parent) == (oldest, None)
    assert events[0].remark == "what it changed is not known: the clone is shallow"
    assert "files" not in events[0].data
    assert open_source(tmp_path / "clone", "git", {}).health().note == "shallow, 2 commits"


def test_a_partial_clone_fetches_nothing(tmp_path: Path, place: Path) -> None:
    commit(place, {"a": "1"}, "first", at=START)
    git(place, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=tree:0", f"file://{place}", "clone.git")

    with pytest.raises(CorruptError):
        read(tmp_path / "clone.git", Query(type="change"))
    assert open_source(tmp_path / "clone.git", "git", {}).health().problem


def test_a_submodule_is_marked(tmp_path: Path, place: Path) -> None:
    other = make_repository(tmp_path / "other")
    commit(other, {"x": "1"}, "inside", at=START)
    git(place, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    commit(place, {}, "with a submodule", at=START)

    (event,) = read(place, Query(target="sub"))

    assert event.data["submodule"]
    assert [event.data["subject"] for event in read(place / "sub", Query(type="commit"))] == [
        "inside"
    ]


def test_stashes_notes_and_replaced_commits_are_nobodys_history(place: Path) -> None:
    first = commit(place, {"a": "1"}, "first", at=START)
    second = commit(place, {"a": "2"}, "second", at=START + 1)
    before = read(place)
    git(place, "notes", "add", "-m", "a note")
    git(place, "replace", second, first)
    (place / "a").write_text("3")
    git(place, "stash")

    assert read(place) == before


def test_thousands_of_files_in_one_commit(place: Path) -> None:
    commit(place, {f"d{number % 50}/f{number}": "" for number in range(3000)}, "all", at=START)

    (event,) = read(place, Query(type="commit"))

    assert (event.data["changed"], len(event.data["files"])) == (3000, 100)
    assert len(read(place, Query(type="change"))) == 3000
    assert len(read(place, Query(target="d7/f7"))) == 1


def test_a_long_message_is_cut_and_its_length_told(place: Path) -> None:
    commit(place, {}, "subject\n\n" + "x" * 10_000, at=START)

    (event,) = read(place)

    assert len(event.data["body"]) == 4_001
    assert event.data["body_length"] == 10_000


def test_files_can_be_left_out(place: Path) -> None:
    commit(place, {"a": "1"}, "first", at=START)
    source = open_source(place, "git", {"files": False})

    assert [event.type for event in source.events()] == ["commit"]
    assert list(source.events(Query(target="a"))) == []


@pytest.mark.parametrize("options", [{"files": "no"}, {"file": True}])
def test_wrong_options_are_named(place: Path, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="file"):
        open_source(place, "git", options)


# -- what git is told, and what it complains of ---------------------------------------------------


def test_the_callers_environment_and_settings_change_nothing(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(place, {"a": "1"}, "first", at=START)
    commit(place, {"a": "2", "b": "1"}, "second", at=START + 1)
    wanted = read(place)
    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    program.chmod(0o755)
    for key, text in {
        "log.showSignature": "true",
        "gpg.program": str(program),
        "core.pager": str(program),
        "pager.log": "true",
        "diff.external": str(program),
        "core.fsmonitor": str(program),
        "diff.renames": "copies",
        "diff.noprefix": "true",
        "diff.relative": "true",
        "color.ui": "always",
        "log.showRoot": "false",
        "i18n.logOutputEncoding": "UTF-16",
        "format.pretty": "oneline",
        "core.quotePath": "true",
        "core.abbrev": "4",
    }.items():
        git(place, "config", key, text)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    monkeypatch.setenv("GIT_TRACE", str(mark))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    assert read(place) == wanted
    assert len(read(place, Query(target="b"))) == 1
    assert not mark.exists()


def test_what_is_no_repository_is_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "file").write_text("")

    with pytest.raises(CorruptError, match="not in a git repository"):
        read(tmp_path)
    with pytest.raises(StoreError, match="no folder"):
        read(tmp_path / "file")
    with pytest.raises(StoreError, match="no folder"):
        read(tmp_path / "missing")


def test_without_the_program_it_is_said_to_be_missing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place))

    with pytest.raises(StoreError, match="git program is not installed"):
        read(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_repository_of_somebody_else_is_refused_with_the_way_out(place: Path) -> None:
    commit(place, {}, "first", at=START)
    for path in (place, place / ".git"):
        os.chown(path, 12_345, 12_345)

    with pytest.raises(StoreError, match=r"safe\.directory"):
        read(place)
    assert "belongs to somebody else" in open_source(place, "git", {}).health().problem


def test_what_is_damaged_is_told_after_what_is_whole(place: Path) -> None:
    commit(place, {"a": "1"}, "first", at=START)
    oid = commit(place, {"a": "2"}, "second", at=START + 1)
    tree = git(place, "rev-parse", f"{oid}^{{tree}}").decode().strip()
    shutil.rmtree(place / ".git" / "objects" / tree[:2])
    told = []

    with pytest.raises(CorruptError, match=f"git in {place}"):
        told += list(open_source(place, "git", {}).events(Query(type="commit")))
    first = next(open_source(place, "git", {}).events(Query(type="commit")))

    assert first.data["subject"] == "first"
    assert open_source(place, "git", {}).health().problem


def test_whoever_stops_listening_leaves_no_process(place: Path) -> None:
    for number in range(70):
        commit(place, {f"f{number}": "1"}, f"{number}", at=START + number)
    source = open_source(place, "git", {})

    some = list(islice(source.events(), 3))
    gc.collect()

    assert len(some) == 3
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if children.exists():
        running = [Path(f"/proc/{pid}/comm") for pid in children.read_text().split()]
        assert not [path for path in running if path.exists() and path.read_text() == "git\n"]


def test_many_batches_come_whole(place: Path) -> None:
    lines = []
    for number in range(500):
        text = f"message {number} end-{'x' * (number * 7)}"
        lines.append(
            f"commit refs/heads/main\ncommitter A <a> {START + number} +0000\n"
            f"data {len(text)}\n{text}\nM 100644 inline f{number % 9}\ndata 3\n{number:03}\n"
        )
    subprocess.run(
        ["git", "-C", place, "fast-import", "--quiet"], input="".join(lines).encode(), check=True
    )

    subjects = [event.data["subject"] for event in read(place, Query(type="commit"))]

    assert [subject.split()[1] for subject in subjects] == [str(number) for number in range(500)]
    assert len(read(place, Query(target="f3"))) == 56


def test_what_is_committed_meanwhile_is_seen_by_the_next_question(place: Path) -> None:
    source = open_source(place, "git", {})
    for number in range(3):
        commit(place, {"a": str(number)}, str(number), at=START + number)
        assert len(list(source.events(Query(target="a")))) == number + 1
        assert source.health().events == 2 * (number + 1)
    assert isinstance(source, GitSource)
