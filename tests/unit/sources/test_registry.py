"""Which sources there are: declared in whence.toml, or given on the command line."""

from pathlib import Path

import pytest

from whence.sources.registry import open_all, parse_source, parse_tables

HERE = Path("/project")


def names(*texts: str) -> list[str]:
    return [source.name for source in open_all(parse_source(text, HERE) for text in texts)]


def test_a_source_is_a_kind_and_a_path() -> None:
    declared = parse_source("space-os:.space", HERE)

    assert (declared.kind, declared.path) == ("space-os", HERE / ".space")
    assert parse_source("git:/other", HERE).path == Path("/other")
    assert parse_source("sqlite:a:b.db", HERE).path == HERE / "a:b.db"


@pytest.mark.parametrize("text", ["space-os", "space-os:", ":path", ""])
def test_what_is_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="source"):
        parse_source(text, HERE)


def test_a_kind_that_is_unknown_is_refused_with_one_that_is_near() -> None:
    with pytest.raises(ValueError, match="did you mean space-os"):
        parse_source("spaceos:.space", HERE)


def test_each_source_has_a_name_of_its_own() -> None:
    assert names("git:a", "space-os:b") == ["git", "space-os"]
    assert names("git:a", "git:b") == ["git:a", "git:b"]
    assert names("git:a", "git:a") == ["git:a", "git:a (2)"]


def test_tables_may_name_their_sources() -> None:
    tables = [{"kind": "git", "path": "a", "name": "code"}, {"kind": "git", "path": "b"}]

    declared = parse_tables(tables, HERE)

    assert [source.name for source in open_all(declared)] == ["code", "git"]
    assert [each.path for each in declared] == [HERE / "a", HERE / "b"]


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"kind": "git"}, "want .*source"),
        (["git"], "want .*source"),
        ([{"path": "a"}], "number 1 has no `kind`"),
        ([{"kind": "git", "path": 5}], "number 1 has no `path`"),
        ([{"kind": "git", "path": "a", "name": 5}], "name is no text"),
        ([{"kind": "got", "path": "a"}], "did you mean git"),
    ],
)
def test_a_table_says_what_is_wrong_with_it(tables: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_tables(tables, HERE)
