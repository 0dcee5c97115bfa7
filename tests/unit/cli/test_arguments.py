"""Which verb a command line means."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.cli.app import VERBS, app
from whence.cli.arguments import VALUE_OPTIONS, verb_first

_VERBS = [name for group in VERBS.values() for name in group]
_WORDS = st.sampled_from(
    [
        "task-1",
        "tail",
        "find",
        "--json",
        "--agent",
        "-a",
        "-n5",
        "-rn",
        "5",
        "--",
        "--since=now",
        "-",
    ]
)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("task-abc123", "show task-abc123"),
        ("task-abc123 --json", "show task-abc123 --json"),
        ("--json task-abc123", "show --json task-abc123"),
        ("--agent zealot-1", "show --agent zealot-1"),
        ("-n 5", "show -n 5"),
        ("tail", "tail"),
        ("tail -f", "tail -f"),
        ("-n 5 tail", "tail -n 5"),
        ("-n5 tail", "tail -n5"),
        ("-rn 5 tail", "tail -rn 5"),
        ("-C somewhere doctor --json", "doctor -C somewhere --json"),
        ("--agent=tail", "show --agent=tail"),
        ("show tail", "show tail"),
        ("find tail", "find tail"),
        ("-- tail", "show -- tail"),
        ("- tail", "show - tail"),
        ("help tail", "tail --help"),
        ("help", "--help"),
        ("--ascii help tail", "tail --help"),
        ("help --ascii tail", "tail --help"),
        ("help nonsense", "nonsense --help"),
        ("--help", "--help"),
        ("-h", "--help"),
        ("--ascii --help", "--help"),
        ("-C somewhere -h", "--help"),
        ("--agent -h", "show --agent -h"),
        ("--ascii -- --help", "show --ascii -- --help"),
        ("task-1 --help", "show task-1 --help"),
        ("", ""),
    ],
)
def test_the_first_word_is_the_verb_if_it_names_one(line: str, meant: str) -> None:
    assert verb_first(line.split(), _VERBS) == meant.split()


@pytest.mark.parametrize("option", sorted(VALUE_OPTIONS))
def test_the_value_of_an_option_is_never_taken_for_a_verb(option: str) -> None:
    assert verb_first([option, "tail"], _VERBS) == ["show", option, "tail"]


@given(st.lists(_WORDS, min_size=1, max_size=6))
def test_words_are_moved_but_never_lost(arguments: list[str]) -> None:
    verb, *others = verb_first(arguments, _VERBS)

    assert verb in _VERBS
    assert sorted([verb, *others]) in (sorted(arguments), sorted(["show", *arguments]))


def test_the_options_known_to_take_a_value_are_those_of_the_verbs() -> None:
    """An option that is missing here would have its value taken for a verb."""
    declared = set()
    with click.Context(app) as context:
        for name in _VERBS:
            command = app.get_command(context, name)
            assert command is not None
            for param in command.params:
                if isinstance(param, click.Option) and not param.is_flag:
                    declared.update(param.opts)

    assert declared == VALUE_OPTIONS
