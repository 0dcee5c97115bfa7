"""Which verb a command line means. Pure.

`whence task-abc123`, `whence --agent zealot-1` and `whence -n 5 tail` need no verb in front: the
first word that is not an option or its value is the verb if it names one, and otherwise a
reference for `show`. A reference that is called like a verb is reached by `whence show tail`.
"""

from collections.abc import Collection

DEFAULT_VERB = "show"

# Every option that takes a value.
VALUE_OPTIONS = frozenset(
    "--agent -a --task --channel --target --primitive -p --type --status --trace-id --since -S --until -U"
    " --causality --source --depth -n --number --last --hrm --slow --operation --name"
    " --tolerance --runner --timeout --folder --rule --fail-on --as-of --action --key --min-samples --variable --keys --policy --since-checkpoint --resume --bundle -d --tlog --reason --before --logs --state --listen --anchor-git --anchor-time"
    " -o --output --color -C --dir".split()
)


_HELP = ("--help", "-h")


def verb_first(arguments: list[str], verbs: Collection[str]) -> list[str]:
    """Put the verb in front of a command line, `show` where none is named.

    Where help is asked for and no word says about what, it is about the command as a whole.
    """
    if not arguments:
        return []
    words, options = _words_and_options(arguments)
    if words and arguments[words[0]] == "help":
        return [*(arguments[place] for place in words[1:2]), "--help"]
    if not words and any(arguments[place] in _HELP for place in options):
        return ["--help"]
    if words and arguments[words[0]] in verbs:
        place = words[0]
        return [arguments[place], *arguments[:place], *arguments[place + 1 :]]
    return [DEFAULT_VERB, *arguments]


def _words_and_options(arguments: list[str]) -> tuple[list[int], list[int]]:
    """The places of the words that are neither option nor value, and of the options, up to `--`."""
    words: list[int] = []
    options: list[int] = []
    is_value = False
    for place, argument in enumerate(arguments):
        if is_value:
            is_value = False
        elif argument == "--":
            break
        elif argument.startswith("-") and len(argument) > 1:
            options.append(place)
            is_value = _takes_next(argument)
        else:
            words.append(place)
    return words, options


def _takes_next(option: str) -> bool:
    """Whether the word after this option is its value."""
    if option.startswith("--"):
        return option in VALUE_OPTIONS
    # `-fn 5` takes the next word, `-n5` carries its value.
    for at, letter in enumerate(option[1:], start=1):
        if f"-{letter}" in VALUE_OPTIONS:
            return at == len(option) - 1
    return False
