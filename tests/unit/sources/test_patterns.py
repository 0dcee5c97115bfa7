"""Which files a pattern means: those of every folder once, whatever links lead where."""

import glob
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.sources.jsonl import open_source
from whence.sources.patterns import find_files

LINE = b'{"at":1795000000}\n'


def put(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(LINE)


def find(folder: Path, pattern: str) -> tuple[list[str], list[str]]:
    found = find_files(folder / pattern)
    return (
        [each.relative_to(folder).as_posix() for each in found.files.values()],
        [each.relative_to(folder).as_posix() for each in found.links],
    )


def test_links_that_lead_back_are_followed_once_and_said(tmp_path: Path) -> None:
    put(tmp_path, "all/1.jsonl", "all/a/2.jsonl", "all/a/b/3.jsonl")
    for link in ("all/a/up", "all/a/b/back", "all/a/b/again"):
        (tmp_path / link).symlink_to(tmp_path / "all", target_is_directory=True)
    source = open_source(tmp_path / "all" / "**" / "*.jsonl", "s", {"time": "at", "unit": "s"})

    assert sorted(event.id for event in source.events()) == ["1.jsonl:1", "2.jsonl:1", "3.jsonl:1"]
    health = source.health()
    assert (health.events, health.problem) == (3, "")
    assert health.note == (
        f"{tmp_path / 'all/a/up'} leads to a folder that is read already, as do 2 other links"
    )


def test_a_folder_elsewhere_is_read_by_the_first_link_to_it(tmp_path: Path) -> None:
    put(tmp_path, "all/1.jsonl", "other/2.jsonl")
    for link in ("all/m", "all/n"):
        (tmp_path / link).symlink_to(tmp_path / "other", target_is_directory=True)

    assert find(tmp_path, "all/**/*.jsonl") == (["all/1.jsonl", "all/m/2.jsonl"], ["all/n"])


def test_a_link_to_nothing_is_no_folder(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jsonl")
    (tmp_path / "a" / "gone").symlink_to(tmp_path / "nothing")

    assert find(tmp_path, "**/*.jsonl") == (["a/1.jsonl"], [])


_PATTERNS = ["**/*.jsonl", "a/**/*.jsonl", "**/b/**/*.jsonl", "**/**/1*", "*/**/[12].jsonl",
             "**/.h/*", "**/b/*.jsonl", "**/[[]x[]]/**/*.jsonl", "*/*.jsonl"]  # fmt: skip
_NAMES = st.lists(
    st.lists(st.sampled_from(["a", "b", ".h", "[x]"]), max_size=3), min_size=1, max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_NAMES)
def test_without_links_a_pattern_means_what_it_means_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, folders: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for number, parts in enumerate(folders):
        put(folder, "/".join([*parts, f"{number}.jsonl"]))

    for pattern in _PATTERNS:
        wanted = sorted(set(glob.glob(str(folder / pattern), recursive=True)))
        if wanted:
            assert sorted(map(str, find_files(folder / pattern).files.values())) == wanted, pattern
