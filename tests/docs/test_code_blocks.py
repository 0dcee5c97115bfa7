"""What the documentation shows is what happens: its code blocks run and their output is compared."""

from pathlib import Path

import pytest

from tests.docs.pages import LANGUAGES, compare, find_blocks, run_page

_ROOT = Path(__file__).parents[2]
_PAGES = [
    str(path.relative_to(_ROOT))
    for path in [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
    if path.exists()
]


@pytest.mark.parametrize("page", _PAGES)
def test_the_blocks_of_a_page_do_what_it_says(page: str, tmp_path: Path) -> None:
    problems = run_page(page, (_ROOT / page).read_text(encoding="utf-8"), tmp_path)

    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize("page", _PAGES)
def test_every_block_names_a_language_we_know(page: str) -> None:
    """A misspelt language would silently not run."""
    blocks = find_blocks((_ROOT / page).read_text(encoding="utf-8"))

    assert [block for block in blocks if block.language not in LANGUAGES] == []


# The rest tests the runner itself: a runner that finds nothing would pass everything.


def _problems(folder: Path, *blocks: str) -> list[str]:
    return run_page("page.md", "\n\n".join(blocks), folder)


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    problems = _problems(tmp_path, "```console\n$ echo one\none\n$ echo two\nthree\n```")

    assert len(problems) == 1
    assert problems[0].startswith("page.md:4: $ echo two\n")
    assert "-three\n+two" in problems[0]


def test_a_command_that_fails_is_found(tmp_path: Path) -> None:
    problems = _problems(tmp_path, "```console\n$ exit 3\n```")

    assert problems == ["page.md:2: $ exit 3\nends with exit code 3:\n"]


def test_a_command_may_fail_only_where_the_fence_says_so(tmp_path: Path) -> None:
    assert _problems(tmp_path, "```console fails\n$ echo no; exit 3\nno\n```") == []
    assert len(_problems(tmp_path, "```console fails\n$ echo yes\nyes\n```")) == 1


def test_a_python_block_that_raises_is_found_with_its_line(tmp_path: Path) -> None:
    problems = _problems(tmp_path, "# Page", "```python\nx = 1\nassert x == 2\n```")

    assert len(problems) == 1
    assert 'File "page.md", line 5' in problems[0]
    assert "AssertionError" in problems[0]


def test_a_python_block_that_ends_its_process_is_found(tmp_path: Path) -> None:
    problems = _problems(tmp_path, "```python\nimport os\nos._exit(4)\n```", "```python\n1\n```")

    assert problems == [
        "page.md:2: the Python process ended\n",
        "page.md:7: the Python process ended\n",
    ]


def test_python_blocks_share_a_namespace_within_a_page_only(tmp_path: Path) -> None:
    first, second = "```python\nx = 1\n```", "```python\nassert x == 1\n```"

    assert _problems(tmp_path, first, second) == []
    assert "NameError" in _problems(tmp_path, second)[0]


def test_blocks_of_both_kinds_run_in_order_in_one_folder(tmp_path: Path) -> None:
    problems = _problems(
        tmp_path,
        "```python\nfrom pathlib import Path\nPath('made').write_text('by python')\n```",
        "```console\n$ cat made && echo by shell > made\nby python\n```",
        "```python\nassert Path('made').read_text() == 'by shell\\n'\n```",
    )

    assert problems == []


def test_a_block_can_become_a_file(tmp_path: Path) -> None:
    problems = _problems(
        tmp_path,
        "```python file=say.py\nprint('hello')\n```",
        "```console\n$ python say.py\nhello\n```",
    )

    assert problems == []


def test_a_command_goes_on_after_an_arrow(tmp_path: Path) -> None:
    assert _problems(tmp_path, "```console\n$ echo one \\\n> two\none two\n```") == []


def test_blocks_that_are_not_to_be_run_are_not(tmp_path: Path) -> None:
    problems = _problems(
        tmp_path,
        "```python no-run\nraise SystemExit(1)\n```",
        "```console no-run\n$ exit 1\n```",
        "```sh\nexit 1\n```",
        "```console\n$ make nonsense\n$ git clone nonsense\n```",
    )

    assert problems == []


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("took ... ms\n", "took 3 ms\n"),
        ("first\n...\nlast\n", "first\n2\n3\nlast\n"),
        ("a  \n\nb\n", "a\n\nb\n\n"),
    ],
)
def test_three_dots_and_blanks_at_the_ends_stand_for_any_text(shown: str, real: str) -> None:
    assert compare(shown, real) == ""


@pytest.mark.parametrize(
    ("shown", "real"),
    [("took ... ms\n", "took 3 s\n"), ("a\nb\n", "a\n\nb\n"), ("a b\n", "a  b\n"), ("a\n", "")],
)
def test_other_differences_are_shown(shown: str, real: str) -> None:
    assert compare(shown, real).startswith("--- the page\n+++ the command\n")
