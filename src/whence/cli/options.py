"""The options that verbs share, and what they become: a screen, filters, a log.

A verb is declared with `@verb(...)` and receives `Where` (which log, drawn how) as its first
argument; `@filters` adds the options that choose events and hands them over as `Filters`.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from whence.cli.screen import Screen, flush, progress_bar
from whence.draw.amounts import format_count
from whence.draw.cells import width, wrap
from whence.errors import PhraseError, StoreError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from whence.index import Index
    from whence.log import Log
    from whence.query import Query


Declared = Callable[..., None]
"""A verb's function; what click hands to it is settled by its options."""

Decorator = Callable[[Declared], Declared]

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def number_of(*names: str, help: str) -> Decorator:  # noqa: A002 click's word
    """An option that takes a number from 0."""

    def check(_ctx: click.Context, _param: click.Parameter, value: int | None) -> int | None:
        if value is not None and value < 0:
            raise click.BadParameter(f"{value} is below 0")
        return value

    return click.option(*names, type=int, metavar="N", callback=check, help=help)


_WARNINGS_MAX = 10
_STRANGERS_MAX = 3
_NAMES_CELLS_MAX = 24
_BEFORE_PURPOSE = "  "
"""What parts a command of an example from what it is for."""

WAYS_TO_RECORD = (
    'record from Python:   import whence; whence.emit("ops", "create_task", target="task-1")',
    'time a step:          with whence.span("ops.plan"): ...',
    "see an example:       whence demo",
)


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Which log is meant, which sources besides, and the screen its answer goes to.

    If `strict`, a source that could not answer makes the exit code 1.
    """

    dir: str | None
    screen: Screen
    sources: tuple[str, ...] = ()
    strict: bool = False

    def folder(self) -> Path:
        """The folder of the log: `-C` takes it, or the folder of the project around it."""
        from whence.settings import FOLDER_NAME, find_folder

        folder = find_folder(self.dir)
        if self.dir is not None and not os.path.isdir(folder / "journal"):
            inner = folder / FOLDER_NAME
            if os.path.isdir(inner / "journal"):
                return inner
        return folder

    def naming(self) -> tuple[str, str] | None:
        """Who names the log's place, and the place as it is written there; None if nobody does."""
        from whence.settings import FILE_NAME, find_folder, read_file

        if self.dir is not None:
            return "-C", self.dir
        if os.environ.get("WHENCE_DIR"):
            return "WHENCE_DIR", os.environ["WHENCE_DIR"]
        here = Path.cwd()
        for folder in (here, *here.parents):
            file = folder / FILE_NAME
            if os.path.isfile(file):
                is_named = read_file(file).dir is not None
                return (f"`dir` in {file}", str(find_folder())) if is_named else None
        return None

    def ways_to_record(self) -> list[str]:
        """How to begin, and where a log of a folder above is, should that one be meant."""
        from whence.settings import FOLDER_NAME

        ways = [f"  {way}" for way in WAYS_TO_RECORD]
        if self.naming() is not None:
            return ways
        above = (
            folder
            for folder in Path.cwd().parents
            if os.path.isdir(folder / FOLDER_NAME / "journal")
        )
        return [
            *ways,
            *(f"  or ask the log above:    whence -C {folder}" for folder in islice(above, 1)),
        ]

    def has_answers(self) -> bool:
        """Whether there is a journal or a source; raises if the folder is something else than a log."""
        with self.open() as log:
            if log.exists() or log.sources:
                return True
            log.catch_up()
        return False

    def open(self) -> "Log":
        """Open the log for questions, whether or not anything is recorded in it."""
        from whence.log import Log

        folder = self.folder()
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise StoreError(
                f"{shorten(folder)} is not a log: it is a file; "
                "name the log's folder, or the folder that holds its .whence"
            )
        return Log(folder, read_only=True, sources=self.sources)

    def open_journal(self) -> "Log":
        """Open a log in which something is recorded; StoreError says what would make one."""
        log = self.open()
        if not log.exists():
            with log:
                log.catch_up()
            message = self._missing(log.folder)
            raise StoreError("\n".join([message, "to begin:", *self.ways_to_record()]))
        return log

    def look(self) -> "Log":
        """Open a log that has a journal or sources, and bring its index up to date."""
        log = self.open()
        if not (log.exists() or log.sources):
            log.close()
            log = self.open_journal()
        try:
            log.catch_up(progress_bar("indexing", self.screen))
        except BaseException:
            log.close()
            raise
        return log

    def say_place(self, folder: Path) -> str:
        """Write the log's place as it was given, and by whom; else from where the user stands."""
        naming = self.naming()
        return f"{naming[1]} (named by {naming[0]})" if naming is not None else shorten(folder)

    def _missing(self, folder: Path) -> str:
        place = self.say_place(folder)
        if os.path.isdir(folder):
            from whence.ask.health import unknown_files

            strangers = ", ".join(islice(unknown_files(folder), _STRANGERS_MAX))
            remark = f": in its journal/ are files that are no segments: {strangers}"
            return f"nothing is recorded yet in {place}{remark if strangers else ''}"
        return f"there is no journal: {place} does not exist"

    def remark(self, log: "Log", *, more: int = 0, is_exact: bool = True) -> None:
        """Say on stderr what the answer leaves out and what could not be read."""
        flush()
        if more:
            count = format_count(more, "earlier event") + ("" if is_exact else " or more")
            self.screen.note(f"{count}; a larger -n shows more")
        warnings = list(dict.fromkeys(log.warnings))
        for warning in warnings[:_WARNINGS_MAX]:
            self.screen.warn(warning)
        if len(warnings) > _WARNINGS_MAX:
            self.screen.warn(f"{len(warnings) - _WARNINGS_MAX:,} more; whence doctor lists them")
        if self.strict and log.failed_sources:
            from whence.cli.failures import FAILED

            raise click.exceptions.Exit(FAILED)


def shorten(path: Path) -> str:
    """Write a path relative to where the user stands, where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def verb(
    *examples: str, short_help: str, dir_help: str | None = None
) -> Callable[[Declared], click.Command]:
    """Declare a verb: its examples, and the options that every verb has.

    `dir_help` tells what `-C` means to a verb that does not look for a log.
    """

    def decorate(function: Declared) -> click.Command:
        @functools.wraps(function)
        def call(
            dir: str | None,  # noqa: A002 the option's name
            color: str,
            ascii: bool,  # noqa: A002 the option's name
            utc: bool,
            precise: bool,
            no_pager: bool,
            debug: bool,  # noqa: ARG001 `app` looks for it
            **rest: Any,
        ) -> None:
            screen = Screen.for_this_process(
                color=color, ascii=ascii, utc=utc, precise=precise, pager=not no_pager
            )
            _refuse_other_bytes(rest)
            function(Where(dir=dir, screen=screen), **rest)

        declared: Declared = call
        for option in reversed([_dir_option(dir_help or _DIR_HELP), *_SHARED]):
            declared = option(declared)
        return click.command(
            cls=Verb, short_help=short_help, epilog="\n".join(examples), no_args_is_help=False
        )(declared)

    return decorate


def _refuse_other_bytes(values: Mapping[str, Any]) -> None:
    r"""Refuse what is no text, as `$'a\xff'`; only the name of a file may be any bytes."""
    for name, value in values.items():
        if isinstance(value, str) and name != "file":
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise click.UsageError(f"{os.fsencode(value)!r} is not UTF-8") from error


class Helped(click.Command):
    """A command whose help is an answer like any other: written the same way, as wide as the terminal."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Give click's option with a way of showing help that tells when it cannot be written."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option


def _show_help(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        Screen().show(ctx.get_help().splitlines())
        ctx.exit()


def write_list(
    formatter: click.HelpFormatter, title: str, records: Sequence[tuple[str, str | None]]
) -> None:
    """Write names and what they mean in two columns, of which neither takes it all."""
    rows = [(name, text or "") for name, text in records]
    with formatter.section(title):
        formatter.write_dl(rows, col_max=min(_NAMES_CELLS_MAX, formatter.width // 3))


def write_example(formatter: click.HelpFormatter, example: str) -> None:
    """Write a command and what it is for on one line, or below each other where that is too long."""
    indent = " " * formatter.current_indent
    parts = [example]
    if width(indent + example) > formatter.width:
        command, _, purpose = example.partition(_BEFORE_PURPOSE)
        parts = [command, f"    {purpose.strip()}"] if purpose else [command]
    for part in parts:
        text = part.strip()
        before = indent + part[: len(part) - len(part.lstrip())]
        for line in wrap(text, max(1, formatter.width - len(before))):
            formatter.write(f"{before}{line}\n")


class Verb(Helped):
    """A command whose epilog is a list of examples, and whose shared options stand apart."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verb's own options first, then those that every verb has."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                (shared if param.name in SHARED_NAMES else own).append(record)
        for title, records in (("Options", own), ("Every verb", shared)):
            if records:
                write_list(formatter, title, records)

    def format_epilog(
        self,
        ctx: click.Context,  # noqa: ARG002 click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the examples line by line."""
        if self.epilog:
            with formatter.section("Examples"):
                for example in self.epilog.splitlines():
                    write_example(formatter, example)


_DIR_HELP = "The log's folder, or the one around it.  [default: WHENCE_DIR, whence.toml, ./.whence]"


def _dir_option(help: str) -> Decorator:  # noqa: A002 click's word
    return click.option("-C", "--dir", metavar="PATH", shell_complete=_complete_folder, help=help)


_SHARED: list[Decorator] = [
    click.option(
        "--color", type=click.Choice(["auto", "always", "never"]), default="auto", metavar="WHEN",
        help="always, never or auto, which heeds FORCE_COLOR, NO_COLOR and the terminal.",
    ),
    click.option("--ascii", is_flag=True, help="Draw with ASCII alone."),
    click.option("--utc", is_flag=True, help="Show times in UTC instead of local time."),
    click.option("--precise", is_flag=True, help="Show times to the microsecond."),
    click.option("--no-pager", is_flag=True, help="Never start a pager."),
    click.option("--debug", is_flag=True, help="Show where an error comes from."),
]  # fmt: skip


def shared_options(ctx: click.Context) -> list[tuple[str, str]]:
    """List what every verb takes, and `-V`, for the help that explains no verb."""

    def declared() -> None: ...

    for option in reversed([_dir_option(_DIR_HELP), *_SHARED]):
        option(declared)
    params: list[click.Option] = getattr(declared, "__click_params__", [])
    records = [param.get_help_record(ctx) for param in reversed(params)]
    return [*filter(None, records), ("-V, --version", "Name the version; alone.")]


SHARED_NAMES = frozenset(["dir", "color", "ascii", "utc", "precise", "no_pager", "debug", "help"])


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which events the options choose, in the user's words."""

    agent: str | None = None
    target: str | None = None
    primitive: str | None = None
    type: str | None = None
    status: str | None = None
    trace_id: str | None = None
    since: str | None = None
    until: str | None = None
    own: bool = False

    def query(self, log: "Log", screen: Screen, *, is_quiet: bool = False) -> "Query":
        """Settle the time phrases and say on stderr what window they mean, unless `is_quiet`."""
        from whence.query import Query, clean_target

        query = Query(
            agent=self.agent,
            target=None if self.target is None else clean_target(self.target),
            primitive=self.primitive,
            type=self.type,
            status=self.status,
            trace=self.trace_id,
            since=self._moment(log, self.since),
            until=self._moment(log, self.until),
            own=self.own,
        )
        if query.since is not None and query.until is not None and query.until < query.since:
            since, until = self.since, self.until
            both = f"{since} {until}".lower()
            hint = "; when means the last time that it happened" if "when " in both else ""
            raise PhraseError(
                f"--until {until!r} is before --since {since!r}: "
                f"{describe_window(query, utc=screen.utc)}{hint}"
            )
        if not is_quiet and (query.since is not None or query.until is not None):
            screen.note(describe_window(query, utc=screen.utc))
        return query

    def _moment(self, log: "Log", phrase: str | None) -> int | None:
        if phrase is None:
            return None
        return log.moment(phrase, agent=self.agent, target=self.target)


def describe_window(query: "Query", *, utc: bool) -> str:
    """Say from when to when a query looks."""
    from datetime import UTC

    from whence.ask.times import format_window
    from whence.ask.zones import local_zone

    return format_window(query.since, query.until, UTC if utc else local_zone())


def filters(function: Declared) -> Declared:
    """Add the options that choose events; the verb receives them as `filters`."""

    @functools.wraps(function)
    def call(
        *args: Any, task: str | None, channel: str | None, target: str | None, **rest: Any
    ) -> None:
        values = {name: rest.pop(name) for name in Filters.__struct_fields__ if name != "target"}
        places = [place for place in (task, channel, target) if place is not None]
        if len(places) > 1:
            raise click.UsageError("give one of --task, --channel and --target")
        chosen = Filters(target=places[0] if places else None, **values)
        function(*args, filters=chosen, **rest)

    declared: Declared = call
    for option in reversed(_FILTERS):
        declared = option(declared)
    return declared


def output_option(*formats: str) -> Decorator:
    """Add `-o` with these formats, the first by default, and `--json`."""

    def decorate(function: Declared) -> Declared:
        @functools.wraps(function)
        def call(*args: Any, output: str | None, json: bool, **rest: Any) -> None:
            if json and output not in (None, "json"):
                raise click.UsageError(f"--json and -o {output} contradict each other")
            function(*args, output="json" if json else output or formats[0], **rest)

        choose = click.option(
            "-o",
            "--output",
            type=click.Choice(formats),
            metavar="FORMAT",
            help=f"{', '.join(formats[:-1])} or {formats[-1]}.  [default: {formats[0]}]",
        )
        shown = click.option("--json", is_flag=True, help="The same as -o json.")
        return choose(shown(call))

    return decorate


number_option = number_of("-n", "--number", help="At most the newest N events.")


def complete_reference(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Offer the targets and agents that the index knows now; nothing is read from the journal."""
    return _complete(ctx, incomplete, "targets", "agents")


def _complete_folder(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def complete_named(kind: Literal["agents", "targets"]) -> Completer:
    """Offer the names of one kind that the index knows now."""
    return lambda ctx, _param, incomplete: _complete(ctx, incomplete, kind)


def _complete(
    ctx: click.Context, incomplete: str, *kinds: Literal["agents", "targets"]
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    try:
        where = Where(dir=ctx.params.get("dir"), screen=Screen())
        if incomplete.startswith("#") and "targets" in kinds:
            names = _known_channels(where.folder(), incomplete)
        else:
            names = [name for kind in kinds for name in _known_names(where.folder(), kind)]
    except Exception:  # noqa: BLE001 what it may be is not known
        # A completion that fails must not write into the user's command line.
        return []
    return [CompletionItem(name) for name in sorted(set(names)) if name.startswith(incomplete)]


def _known_names(folder: Path, kind: Literal["agents", "targets"]) -> list[str]:
    with _known(folder) as index:
        if index is None:
            return []
        return index.agents() if kind == "agents" else index.targets()


def _known_channels(folder: Path, start: str) -> list[str]:
    """The channels that begin like that, each with its `#`."""
    from whence.ask.references import is_channel

    with _known(folder) as index:
        if index is None:
            return []
        likely = [name for name in index.targets() if f"#{name}".startswith(start)]
        return [f"#{name}" for name in likely if is_channel(index, name)]


@contextmanager
def _known(folder: Path) -> "Iterator[Index | None]":
    """The index as it is; None where nothing is recorded."""
    from whence.index import Index
    from whence.journal.reader import Reader

    with closing(Reader(folder)) as reader:
        if not reader.segments():
            yield None
            return
        with closing(Index.open(folder, reader)) as index:
            yield index


_FILTERS: list[Decorator] = [
    click.option(
        "-a", "--agent", metavar="A", shell_complete=complete_named("agents"), help="Who did it."
    ),
    click.option(
        "--task", metavar="T", shell_complete=complete_named("targets"), help="What it was done to: a task,"
    ),
    click.option(
        "--channel", metavar="C", shell_complete=complete_named("targets"), help="a channel,"
    ),
    click.option(
        "--target", metavar="T", shell_complete=complete_named("targets"), help="or anything else."
    ),
    click.option(
        "-p", "--primitive", metavar="P", help="The part of the system: ops, bridge, spawn, …"
    ),
    click.option("--type", metavar="T", help="What happened: create_task, send, wake, …"),
    click.option(
        "--status", type=click.Choice(["success", "error", "blocked"]), metavar="S",
        help="How a step ended: success, error or blocked."
    ),
    click.option("--trace-id", metavar="ID", help="All below this root event."),
    click.option(
        "-S", "--since", metavar="WHEN",
        help='"2h ago", "yesterday 14:00", "last wake", "when task-sub1 created", ISO, @epoch.',
    ),
    click.option("-U", "--until", metavar="WHEN", help="The same; up to but not including it."),
    click.option("--own", is_flag=True, help="Also show Whence's own housekeeping events."),
]  # fmt: skip
