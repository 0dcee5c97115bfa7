"""The command line as a whole: its verbs, its help, and how it ends."""

import codecs
import importlib
import os
import sys
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, NoReturn

import click

from whence.cli.arguments import DEFAULT_VERB, verb_first
from whence.cli.failures import FAILED, INTERRUPTED, OK, WRONG_USE, describe, exit_code
from whence.cli.options import Helped, shared_options, write_example, write_list
from whence.cli.screen import OutputError, Screen, clear_progress, flush, help_width
from whence.errors import NotFoundError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Each verb is the module of its name. The words are here so that help loads no verb.
VERBS = {
    "Ask": {
        "show": "What happened to a task, agent, channel or event",
        "why": "What led to something, and what else that led to",
        "tail": "The newest events, and what comes next",
        "spans": "Steps, how long they took, and the tree of a trace",
        "stats": "How long the steps of each layer take, and which fail",
        "find": "Events that contain a text or a pattern",
        "sql": "Any question, as SQL",
        "sources": "Other programs' stores that are asked too",
    },
    "Runs": {
        "runs": "Simulation runs: what went in, what came out",
        "replay": "Execute runs again: does the same come out",
        "diff": "Two runs: what went in, what they did, what came out",
        "audit": "Are the run files sound, and are they what was saved",
    },
    "Learn and decide": {
        "decisions": "Decisions: who voted what, was it approved",
        "learning": "What a system learnt: changes, a picture, a check",
        "trust": "How far rules and variables can be trusted, and how sure that is",
    },
    "Prove": {
        "seal": "Sign the journal as it is now",
        "verify": "Is all of it as it was sealed",
        "prove": "Proofs for others, who need no Whence",
        "witness": "Watch other logs: sign that they only grow",
    },
    "Keep": {
        "erase": "Take payloads away for good; proofs stay",
        "prune": "Take the payloads of old events away; proofs stay",
        "hold": "What must not be erased",
        "export": "Events for other tools",
        "doctor": "Is the journal whole, and what is wrong if not",
    },
    "Begin": {
        "demo": "Record a story with five processes and ask about it",
        "completion": "Tab completion for bash, zsh and fish",
    },
}
_SHORT_HELP = {name: text for group in VERBS.values() for name, text in group.items()}

_ESCAPES = "whence.escapes"

_EXAMPLES = """\
whence task-abc123                 story of a task, agent, channel or event
whence --agent A --since "2h ago"  what an agent did
whence --causality task-abc123     what led to it and what came of it
"""


class App(Helped, click.Group):
    """The verbs, each loaded when it is used."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read a command line that may leave its verb out."""
        args = verb_first(args, _SHORT_HELP)
        # While a first word is being completed it may still become anything.
        if not args and not ctx.resilient_parsing:
            args = [DEFAULT_VERB]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Name the verbs in the order of help."""
        return list(_SHORT_HELP)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Load a verb."""
        if cmd_name not in _SHORT_HELP:
            return None
        command = importlib.import_module(f"whence.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command is for, and its verbs by what they are for."""
        formatter.write_usage(ctx.command_path, "[REF] [OPTIONS]  or  VERB [OPTIONS] …")
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        formatter.write_paragraph()
        with formatter.indentation():
            for line in _EXAMPLES.splitlines():
                write_example(formatter, line)
        for title, verbs in VERBS.items():
            write_list(formatter, title, list(verbs.items()))
        write_list(formatter, "Every verb", shared_options(ctx))
        formatter.write("\n")
        write_example(formatter, f"`{ctx.info_name} VERB --help` explains a verb, with examples.")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Complete the first word: verbs, and what `show` can be asked about."""
        show = self.get_command(ctx, DEFAULT_VERB)
        assert show is not None
        items = [] if incomplete.startswith("-") else super().shell_complete(ctx, incomplete)
        with show.make_context(DEFAULT_VERB, [], parent=ctx, resilient_parsing=True) as inner:
            items += show.shell_complete(inner, incomplete)
            if not incomplete.startswith("-"):
                for param in show.params:
                    if isinstance(param, click.Argument):
                        items += param.shell_complete(inner, incomplete)
        return items


app = App(
    name="whence",
    help="What happened, why, and can you prove it?",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: list[str], program: str) -> int:
    """Run a command line, and say what went wrong if something did. Returns the exit code."""
    # Whatever the terminal cannot show becomes an escape instead of an error.
    codecs.register_error(_ESCAPES, _escape)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors=_ESCAPES)  # type: ignore[union-attr]
    try:
        code = _run(arguments, _program_name(program))
        flush()
        return code
    except BrokenPipeError as error:
        return leave_unwritten(error)
    except OutputError as error:
        _complain(arguments, str(error))
        _silence_stdout()
        return FAILED
    except KeyboardInterrupt:
        clear_progress()
        return INTERRUPTED


def leave_unwritten(error: OSError) -> int:
    """Say that an answer could not be written, unless its reader has seen enough."""
    _silence_stdout()
    if isinstance(error, BrokenPipeError):
        return OK
    _complain([], str(OutputError.of(error)))
    return FAILED


def _run(arguments: list[str], program: str) -> int:
    variable = f"_{program.upper()}_COMPLETE"
    if variable in os.environ:
        from whence.cli.completion import answer

        return answer(program, variable, os.environ[variable])
    try:
        with app.make_context(program, arguments, terminal_width=help_width()) as context:
            app.invoke(context)
        return OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f"\ntry: {error.ctx.command_path} --help"
        _complain(arguments, _lower_first(error.format_message()) + hint)
        return WRONG_USE
    except (BrokenPipeError, OutputError):
        raise
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        if wants_traceback(arguments):
            import traceback

            clear_progress()
            traceback.print_exception(error)
        _complain(arguments, "\n".join([*describe(error), *_near_verbs(arguments, error)]))
        return code


def _escape(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an encoding lacks as `\u00e9`, which is the same text in JSON."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def _near_verbs(arguments: list[str], error: Exception) -> list[str]:
    """Tell somebody who misspelt a verb, so that it was taken for a reference."""
    if not isinstance(error, NotFoundError) or arguments[:1] == [DEFAULT_VERB]:
        return []
    from difflib import get_close_matches

    words = [word for word in arguments if not word.startswith("-")][:1]
    if any(verb in arguments for verb in _SHORT_HELP):
        return []
    near = [verb for word in words for verb in get_close_matches(word, _SHORT_HELP, 1, 0.75)]
    return [f"  whence {verb} (a verb)" for verb in near]


def _complain(arguments: list[str], text: str) -> None:
    clear_progress()
    color = "auto"
    with suppress(ValueError, IndexError):
        color = arguments[arguments.index("--color") + 1]
    screen = Screen.for_this_process(
        color=color, ascii="--ascii" in arguments, utc=False, precise=False, pager=False
    )
    first, *others = text.splitlines() or [""]
    screen.note(f"whence: {first}", "bad")
    for line in others:
        screen.note(line, None)


def _program_name(path: str) -> str:
    name = PurePath(path).name
    return name if name == "trace" else "whence"


def wants_traceback(arguments: list[str]) -> bool:
    """Whether errors are to be shown with where they come from."""
    return "--debug" in arguments or os.environ.get("WHENCE_DEBUG", "0") not in ("", "0")


def _silence_stdout() -> None:
    """Keep Python from trying, and complaining, once more when it flushes at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def exit_with(code: int) -> NoReturn:
    """End a verb with an exit code that is not 0 though it answered, as `doctor` may."""
    raise click.exceptions.Exit(code)
