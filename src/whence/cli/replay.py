"""`whence replay`: runs executed again, and what that shows."""

from typing import TYPE_CHECKING

import click
import msgspec

from whence.cli.formats import dump, format_pretty
from whence.cli.options import Where, number_of, output_option, verb
from whence.cli.screen import progress_bar
from whence.cli.simulations import RunFilters, choose_runs, run_filters
from whence.cli.verdicts import draw_verdict, say_verdict, summarize, verdict_keys

if TYPE_CHECKING:
    from whence.log import Log
    from whence.runs.judging import Verdict

_NS_PER_S = 1_000_000_000


@verb(
    "whence replay 3f2a91c0                    one run, with all that its verdict rests on",
    "whence replay @last",
    "whence replay --since today               all of today's, on all cores",
    "whence replay 3f2a --tolerance 'output.overlays.*=1e-9'",
    "whence replay 3f2a --runner model:turn    another runner than it names",
    short_help="Execute runs again: does the same come out.",
)
@run_filters
@number_of("-n", "--number", help="At most the newest N runs.")
@click.option(
    "--tolerance", "tolerances", multiple=True, metavar="PATH=AMOUNT",
    help="How far numbers may be apart: output.overlays.*=1e-9, rel:1e-6, or any. Repeatable.",
)  # fmt: skip
@click.option("--runner", metavar="NAME", help="module:function, or a registered name.")
@click.option(
    "--timeout", metavar="TIME", default="60s", help="For each execution.  [default: 60s]"
)
@output_option("short", "json")
@click.argument("reference", required=False, metavar="[ID]")
def command(
    where: Where,
    filters: RunFilters,
    number: int | None,
    tolerances: tuple[str, ...],
    runner: str | None,
    timeout: str,
    reference: str | None,
    output: str,
) -> None:
    """Execute a run again, twice, in processes of their own, and compare it with what was recorded.

    First its file is compared with what the journal committed to. The second execution has another hash
    seed, so that what is the same only by luck shows. The verdict is recorded. A replay runs the code that the
    journal names: replay what you trust, or name a --runner.

    Without an ID all saved runs that the options choose are replayed. Ends with exit code 1 if something else came out,
    3 if a run cannot be replayed.
    """
    from whence.ask.times import parse_duration
    from whence.runs.compare import parse_tolerance
    from whence.runs.replaying import replay, replay_many

    if reference is None and not filters.are_given and number is None:
        raise click.UsageError(
            "want an ID, @last, or options that choose runs: --since today, -n 5"
        )
    if reference is not None and (filters.are_given or number is not None):
        raise click.UsageError("an ID names one run; options that choose runs go without one")
    allowed = [parse_tolerance(text) for text in tolerances]
    timeout_s = parse_duration(timeout) / _NS_PER_S
    screen = where.screen
    with where.open_journal(), _writable(where) as log:
        if reference is not None:
            verdict = replay(log, reference, runner=runner, timeout_s=timeout_s, tolerances=allowed)
            screen.show(
                format_pretty(verdict_keys(verdict)).splitlines()
                if output == "json"
                else draw_verdict(verdict, screen)
            )
            _end([verdict])
            return
        if filters.status is None:
            filters = msgspec.structs.replace(filters, status="saved")
        runs = list(choose_runs(log, filters, screen, number))
        verdicts = []
        for verdict in replay_many(
            log, runs, runner=runner, timeout_s=timeout_s, tolerances=allowed,
            progress=progress_bar("replaying", screen),
        ):  # fmt: skip
            verdicts.append(verdict)
            if output == "json":
                screen.show_now(dump(verdict_keys(verdict)))
            else:
                for line in say_verdict(verdict, screen):
                    screen.show_now(line)
        if output != "json":
            screen.show(summarize(verdicts, screen) if verdicts else ["no runs found"])
    _end(verdicts)


def _writable(where: Where) -> "Log":
    """The same log, to record verdicts in."""
    from whence.log import Log

    return Log(where.folder())


def _end(verdicts: "list[Verdict]") -> None:
    from whence.cli.app import exit_with
    from whence.cli.failures import FAILED, NOT_FOUND

    words = {verdict.word for verdict in verdicts if not verdict.is_fine}
    if words - {"NOT_REPLAYABLE"}:
        exit_with(FAILED)
    elif words:
        exit_with(NOT_FOUND)
