"""Completion: what is offered for a word, and the scripts in real shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.asking import Ask
from whence.cli.completion import last_word

_BREAKS = " \t\n\"'@><=;|&(:"

_CALL = """\
eval "$(whence completion bash)"
compopt() { echo "$2"; }
COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
COMP_LINE=$1 COMP_POINT=${#1}
_whence_completion whence
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["whence", "trace"])
def test_each_shell_gets_a_script_for_the_name_it_was_called_by(
    ask: Ask, shell: str, program: str
) -> None:
    answer = ask("completion", shell, program=program)

    assert answer.code == 0
    assert f"_{program.upper()}_COMPLETE={shell}_complete" in answer.out
    disables = shell == "zsh" and program == "whence"
    assert ("disable whence" in answer.out) == disables


def _offered(out: str) -> set[str]:
    return {line.partition(",")[2] for line in out.splitlines() if line}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("whence ta", {"tail", "task-abc123", "task-sub1", "task-sub2", "task-sub3"}),
        ("whence --agent h", {"haiku-1", "haiku-2", "haiku-3", "human"}),
        ("whence --agent=hu", {"human"}),
        ("whence --task task-a", {"task-abc123"}),
        ("whence tail hai", {"haiku-1", "haiku-2", "haiku-3", "haiku-1:notes"}),
        ("whence haiku-1:no", {"notes"}),
        ("whence haiku-1:", {"notes"}),
        ("whence --task=haiku-1:", {"notes"}),
        ("whence 'haiku-1:no", {"haiku-1:notes"}),
        ("whence '#pay", {"#payments"}),
        ("whence #", {r"\#payments"}),
        ("whence --channel \\#pay", {r"\#payments"}),
        ("whence --cau", {"--causality"}),
        ("whence sql --js", {"--json"}),
        ("whence sources su", {"suggest"}),
        ("whence nosuchthing", set()),
    ],
)
def test_words_are_completed(
    ask_story: Ask, monkeypatch: pytest.MonkeyPatch, line: str, offered: set[str]
) -> None:
    assert ask_story("doctor").code == 0
    monkeypatch.setenv("_WHENCE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_BREAKS", _BREAKS)

    answer = ask_story()

    assert _offered(answer.out) == offered


@pytest.mark.parametrize(
    ("line", "kind"), [("whence -C ./so", "dir"), ("whence sources suggest ./so", "file")]
)
def test_paths_are_left_to_the_shell(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, line: str, kind: str
) -> None:
    monkeypatch.setenv("_WHENCE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", line)

    assert ask().out.partition(",")[0] == kind


def test_completion_without_a_journal_offers_the_verbs(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_WHENCE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", "whence d")

    assert _offered(ask().out) == {"decisions", "demo", "diff", "doctor"}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("whence ", ""),
        ("whence ab", "ab"),
        ("whence 'a b", "'a b"),
        (r"whence a\ b", r"a\ b"),
        ('whence "a\'b" c"d e', 'c"d e'),
        (r"whence 'a\' b", "b"),
    ],
)
def test_the_last_word_is_what_quotes_and_blanks_make_it(line: str, word: str) -> None:
    assert last_word(line) == word


def _environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "WHENCE_DIR": str(folder), "HOME": str(folder)}


def test_bash_puts_the_rest_behind_a_colon(ask_story: Ask, story: tuple[Path, object]) -> None:
    assert ask_story("doctor").code == 0

    done = subprocess.run(
        ["bash", "--norc", "-c", _CALL, "bash", "whence haiku-1:n"],
        env=_environment(story[0]), capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.split() == ["notes"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize("program", ["whence", "trace"])
def test_zsh_runs_the_command_instead_of_its_builtin(program: str, tmp_path: Path) -> None:
    script = (
        f'autoload -Uz compinit && compinit -u -D; eval "$(command {program} completion zsh)";'
        f"{program} --version; print ${{_comps[{program}]}}"
    )

    done = subprocess.run(
        ["zsh", "-fc", script], env=_environment(tmp_path), capture_output=True, text=True,
        check=True,
    )  # fmt: skip

    assert done.stdout.splitlines()[0].startswith("whence 0.")
    assert done.stdout.splitlines()[1] == f"_{program}_completion"
