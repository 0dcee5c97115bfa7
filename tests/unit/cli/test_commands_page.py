"""Help, and the page of the reference that lists every verb, flag, exit code and key."""

import json
import re
from pathlib import Path

import click
import pytest

from tests.unit.cli.asking import Ask
from whence.ask.health import BlobHealth, Gap, Health, IndexHealth, WriterHealth
from whence.cli.app import VERBS, app
from whence.draw.cells import width

_PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "commands.md").read_text(
    encoding="utf-8"
)
_VERBS = [name for group in VERBS.values() for name in group]


def _command(name: str) -> click.Command:
    with click.Context(app) as context:
        command = app.get_command(context, name)
    assert command is not None
    return command


def _section(title: str) -> str:
    """What the page says under this heading."""
    found = re.search(rf"^## {title}\n.*?(?=^## |\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/reference/commands.md has no section {title}"
    return found[0]


def test_help_lists_every_verb(ask: Ask) -> None:
    answer = ask("--help")

    assert answer.code == 0
    for name in _VERBS:
        assert re.search(rf"^  {name}  +\S", answer.out, re.MULTILINE)


def test_help_names_the_options_of_every_verb(ask: Ask) -> None:
    out = ask("--help").out

    rows = re.findall(r"^\| (`-.*?) \|", _section("Every verb"), re.MULTILINE)
    flags = {flag for row in rows for flag in re.findall(r"`(-[\w-]+)`", row)}
    assert "--utc" in flags
    assert all(re.search(rf"{flag}[, ]", out) for flag in flags)
    assert "-V, --version" in out
    assert ask("--ascii", "--help").out == out


@pytest.mark.parametrize("name", _VERBS)
@pytest.mark.parametrize("columns", [30, 40, 60, 80])
def test_help_is_as_wide_as_the_terminal(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("whence.cli.screen._is_terminal", lambda _: True)

    for line in (["--help"], [name, "--help"]):
        lines = ask(*line).out.splitlines()
        assert lines
        assert max(map(width, lines)) <= columns, max(lines, key=width)


@pytest.mark.parametrize("name", _VERBS)
def test_the_help_of_a_verb_shows_examples(ask: Ask, name: str) -> None:
    answer = ask(name, "--help")

    assert answer.code == 0
    assert "Examples:\n  " in answer.out
    assert ask("help", name).out == answer.out


@pytest.mark.parametrize("name", _VERBS)
def test_the_list_of_verbs_says_what_the_verb_says(name: str) -> None:
    short = next(group[name] for group in VERBS.values() if name in group)

    assert _command(name).short_help == f"{short}."


@pytest.mark.parametrize("name", _VERBS)
def test_the_page_lists_the_flags_that_help_lists_and_no_others(name: str) -> None:
    section = _section(f"`whence {name}`")
    options = [param for param in _command(name).params if isinstance(param, click.Option)]
    said = section + _section("Every verb")
    for title in ("Filters", "Sources"):
        if f"(#{title.lower()})" in section:
            said += _section(title)

    for option in options:
        for flag in option.opts:
            assert f"`{flag}`" in said, flag
        if isinstance(option.type, click.Choice):
            for choice in option.type.choices:
                assert f"`{choice}`" in said, choice
    known = {flag for option in options for flag in option.opts}
    rows = re.findall(r"^\| (`-.*?) \|", said, re.MULTILINE)
    assert {flag for row in rows for flag in re.findall(r"`(-[\w-]+)`", row)} == known


def test_the_page_names_every_verb_and_no_other() -> None:
    assert re.findall(r"^## `whence (\w+)`", _PAGE, re.MULTILINE) == _VERBS


def test_the_page_lists_every_key_and_exit_code_of_the_doctor() -> None:
    section = _section("`whence doctor`")

    for part in (Health, WriterHealth, Gap, IndexHealth, BlobHealth):
        for key in part.__struct_fields__:
            assert f"`{key}`" in section, key
    assert re.findall(r"^\| (\d) \| `(\w+)`", section, re.MULTILINE) == [
        ("0", "WHOLE"), ("1", "BROKEN"), ("3", "UNREAD"),
    ]  # fmt: skip


def test_a_task_is_a_story_where_the_page_says_so_and_a_filter_elsewhere(ask_story: Ask) -> None:
    """`show` tells what came of the task and of its subtasks, too; the others choose by target."""
    targets = {}
    for verb in ("show", "tail", "export"):
        lines = ask_story(
            verb, "--task", "task-abc123", "-n", "100", "-o", "jsonl"
        ).out.splitlines()
        targets[verb] = {json.loads(line).get("target") for line in lines}

    assert targets["show"] > targets["tail"] == targets["export"] == {"task-abc123"}
    codes = {verb: ask_story(verb, "--task", "task-9").code for verb in targets}
    assert codes == {"show": 3, "tail": 0, "export": 0}
    said = _section("Filters")
    assert "`whence show --task T` tells the" in said
    assert "`whence export --task T` writes" in said
