"""`whence completion`: the script that makes a shell complete verbs, options and references.

click asks the verbs what fits; the scripts of bash and zsh are ours, where click's leave words out that bash breaks
at colons, or meet the `whence` that zsh has built in.
"""

import os
import re

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    shell_complete,
    split_arg_string,
)

from whence.cli.options import Where, verb

_BASH_SCRIPT = """\
%(complete_func)s() {
    local response type value
    # The line as it stands, since COMP_WORDS is broken at colons.
    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH_HEAD = """\
# Comes after `autoload -Uz compinit && compinit`.
"""
_ZSH_DISABLE = """\
# zsh has a builtin of this name, which would answer instead.
disable whence 2>/dev/null
"""

_QUOTES = "'\""
_HARMLESS = re.compile(r"[^\w@%+=:,./-]")


@verb(
    'eval "$(whence completion bash)"                                  in ~/.bashrc',
    'eval "$(command whence completion zsh)"                           in ~/.zshrc, after compinit',
    "whence completion fish > ~/.config/fish/completions/whence.fish",
    short_help="Tab completion for bash, zsh and fish.",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, where: Where, shell: str) -> None:
    """Print the script that makes SHELL complete verbs, options, tasks, agents and channels.

    zsh and ksh have a builtin called whence: there, type trace instead, or turn the builtin off. The
    script for zsh does so (disable whence).
    """
    from whence.cli.app import app

    program = context.find_root().info_name or "whence"
    _register()
    kind = get_completion_class(shell)
    assert kind is not None
    completion = kind(app, {}, program, f"_{program.upper()}_COMPLETE")
    where.screen.show(completion.source().splitlines())


def answer(program: str, variable: str, instruction: str) -> int:
    """Tell a shell what the word that is being typed may become. Returns the exit code."""
    from whence.cli.app import app

    _register()
    return shell_complete(app, {}, program, variable, instruction)


def _register() -> None:
    add_completion_class(_Bash)
    add_completion_class(_Zsh)


class _Bash(BashComplete):
    """bash replaces only what stands behind the last of its word breaks, a colon for one."""

    source_template = _BASH_SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        """Split the line into the words before the cursor and the one that is being typed."""
        line = os.environ["COMP_LINE"]
        typed = last_word(line)
        words = split_arg_string(line[: len(line) - len(typed)])
        word = "".join(split_arg_string(typed))
        self._is_quoted = typed[:1] in _QUOTES and bool(typed)
        value = word.partition("=")[2] if word.startswith("-") else word
        breaks = "" if self._is_quoted else os.environ.get("COMP_BREAKS", "")
        self._kept = max((value.rfind(letter) + 1 for letter in breaks), default=0)
        return words[1:], word

    def format_completion(self, item: "CompletionItem[str]") -> str:
        """Give what bash is to put in the place of the part that it takes for the word."""
        value = item.value[self._kept :]
        if item.type == "plain" and not self._is_quoted:
            value = _HARMLESS.sub(r"\\\g<0>", value)
        return f"{item.type},{value}"


class _Zsh(ZshComplete):
    """zsh has a builtin `whence`, and `compdef` only after `compinit`."""

    def source(self) -> str:
        """Put what zsh needs behind the first line, which has to be `#compdef`."""
        first, _, rest = super().source().lstrip().partition("\n")
        disable = _ZSH_DISABLE if self.prog_name == "whence" else ""
        return f"{first}\n{_ZSH_HEAD}{disable}{rest}"


def last_word(line: str) -> str:
    """The word at the end of a command line as it was typed, quotes and all; empty behind a blank."""
    start, quote, is_escaped = 0, "", False
    for at, letter in enumerate(line):
        if is_escaped:
            is_escaped = False
        elif letter == "\\" and quote != "'":
            is_escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote = letter
        elif letter.isspace():
            start = at + 1
    return line[start:]
