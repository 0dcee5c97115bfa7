"""`whence runs`: the runs there are, and all that is known of one."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whence.cli.formats import dump, format_pretty
from whence.cli.options import Where, number_of, output_option, verb
from whence.cli.screen import Screen
from whence.cli.simulations import RunFilters, choose_runs, run_filters
from whence.draw.amounts import format_count, format_duration
from whence.draw.bars import sparkline
from whence.draw.styles import Role
from whence.draw.tables import Column, table
from whence.event import format_time

if TYPE_CHECKING:
    from whence.runs.history import RunRecord

_LISTED = 20
_SHOWN_STEPS = 12
_SHOWN_LINES = 12
_SPARK_CELLS = 60
_SHOW = "show"
_SHORT_ID = 8
_ROLES: dict[str, Role | None] = {"saved": None, "failed": "bad", "unfinished": "warning"}


@verb(
    "whence runs                               the newest, with their trust",
    "whence runs --name forecast -S yesterday",
    "whence runs --status unfinished           what was killed half-way",
    "whence runs show 3f2a91c0                 all that is known of one",
    "whence runs show @last --json",
    short_help="Simulation runs: what went in, what came out.",
)
@run_filters
@number_of("-n", "--number", help=f"At most N runs.  [default: {_LISTED}]")
@output_option("short", "json")
@click.argument("action", required=False, metavar="[show ID]")
@click.argument("reference", required=False, metavar="")
def command(
    where: Where,
    filters: RunFilters,
    number: int | None,
    action: str | None,
    reference: str | None,
    output: str,
) -> None:
    """List runs, the newest first: when, of what, how they ended, the trust that came out.

    The line above the list draws the trust of these runs from the oldest to the newest.
    """
    if action is not None and (action != _SHOW or reference is None):
        raise click.UsageError("want `whence runs` or `whence runs show ID`")
    screen = where.screen
    with where.open_journal() as log:
        if reference is not None:
            from whence.runs.history import read_run
            from whence.runs.saving import runs_folder

            run = read_run(log, reference)
            folder = runs_folder(log)
            keys = {**_keys(run, is_whole=True), "output": _read_output(run, folder)}
            screen.show(
                format_pretty(keys).splitlines()
                if output == "json"
                else _draw_run(run, folder, screen)
            )
        else:
            listed = _LISTED if number is None else number
            runs = list(choose_runs(log, filters, screen, listed + 1))
            if output == "json":
                screen.show(dump(_keys(run)) for run in runs[:listed])
            else:
                screen.show(_draw(runs[:listed], screen))
            if len(runs) > listed:
                screen.note("there are earlier runs; a larger -n shows more")
        where.remark(log)


# -- the list --------------------------------------------------------------------------------------


def _draw(runs: "list[RunRecord]", screen: Screen) -> Iterator[str]:
    if not runs:
        yield "no runs found"
        return
    trusts = [_trust(run) for run in reversed(runs)]
    if any(trust is not None for trust in trusts):
        cells = _SPARK_CELLS if screen.width is None else min(_SPARK_CELLS, screen.width - 8)
        # Trust is from 0 to 1, as a rule.
        high = max(1.0, *(trust for trust in trusts if trust is not None))
        line = sparkline(trusts, cells=max(cells, 1), high=high, ascii=screen.ascii)
        yield screen.paint("trust", "faint") + f" {screen.paint(line.rstrip(), 'good')}"
        yield ""
    columns = [
        Column(title="BEGAN", shrinks=False), Column(title="RUN", shrinks=False),
        Column(title="OF"), Column(title="STATUS", shrinks=False),
        Column(title="TOOK", align="right"), Column(title="STEPS", align="right"),
        Column(title="TRUST", align="right"), Column(title="REPLAYED"),
    ]  # fmt: skip
    rows = [
        (
            screen.time(run.time_ns), _short_id(run.id), run.name or "–", run.status,
            _took(run, screen), format_count(len(run.steps)), _say_trust(run), _replayed(run),
        )
        for run in runs
    ]  # fmt: skip

    def paint(row: int, column: int, cell: str) -> str:
        if row < 0:
            return screen.paint(cell, "faint")
        if columns[column].title == "STATUS":
            return screen.paint(cell, _ROLES[runs[row].status])
        if columns[column].title == "BEGAN":
            return screen.paint(cell, "time")
        return cell

    lines = table(rows, columns, width=screen.width, ascii=screen.ascii, paint=paint)
    yield from map(str.rstrip, lines)


def _short_id(trace_id: str) -> str:
    """Enough of a UUID to name it; any other id whole."""
    is_uuid = len(trace_id) == 36 and trace_id[8:9] == "-"
    return trace_id[:_SHORT_ID] if is_uuid else trace_id


def _took(run: "RunRecord", screen: Screen) -> str:
    return "–" if run.duration_ns is None else format_duration(run.duration_ns, ascii=screen.ascii)


def _trust(run: "RunRecord") -> float | None:
    is_number = isinstance(run.trust, int | float) and not isinstance(run.trust, bool)
    return float(run.trust) if is_number else None


def _say_trust(run: "RunRecord") -> str:
    trust = _trust(run)
    return "–" if trust is None else f"{trust:.3g}"


def _replayed(run: "RunRecord") -> str:
    from whence.runs.history import data_of

    return str(data_of(run.replays[-1]).get("verdict", "–")) if run.replays else "–"


# -- one run ---------------------------------------------------------------------------------------


def _draw_run(run: "RunRecord", folder: Path, screen: Screen) -> Iterator[str]:
    yield screen.paint(screen.text(f"Run {run.id}"), "title")
    facts = {
        "of": run.name,
        "status": run.status,
        "began": screen.time(run.time_ns),
        "took": _took(run, screen),
        "runner": run.runner or run.begun.get("runner_problem"),
        "seed": run.seed,
        "trust": run.trust,
        "input": run.input_digest,
        "output": run.output_digest,
        "file": str(folder / run.file) if run.file else None,
        "earlier": format_count(run.earlier, "run") + " of this id" if run.earlier else None,
    }
    for name, value in facts.items():
        if value is not None:
            for number, line in enumerate(screen.lines(str(value), indent=9)):
                head = screen.paint(f"{name:<9}", "faint") if not number else " " * 9
                role = _ROLES[run.status] if name == "status" else None
                yield head + screen.paint(line, role)
    yield from _draw_overlays(run, screen)
    yield from _draw_value("Input", run.input, screen)
    yield from _draw_value("Output", _read_output(run, folder), screen)
    yield from _draw_steps(run, screen)
    yield from _draw_environment(run, screen)
    if run.error:
        yield ""
        said = f"{run.error.get('type')}: {run.error.get('message')}"
        for line in screen.lines(said):
            yield screen.paint(line, "bad")
    for event in run.replays:
        verdict = event.data if isinstance(event.data, dict) else {}
        words = ": ".join(filter(None, (str(verdict.get("verdict")), verdict.get("reason"))))
        yield ""
        for line in screen.lines(f"replayed {screen.time(event.time_ns)}, {words}"):
            yield screen.paint(line, "good" if event.status == "success" else "warning")


def _draw_overlays(run: "RunRecord", screen: Screen) -> Iterator[str]:
    from whence.draw.bars import bar

    if not run.overlays:
        return
    yield ""
    yield screen.paint("Overlays", "title")
    cells = 30 if screen.width is None else max(1, min(30, screen.width - 20))
    for name, value in run.overlays.items():
        drawn = bar(float(value), 1.0, cells, ascii=screen.ascii)
        yield f"  {screen.text(name):<9} {drawn} {value:.3g}"


def _read_output(run: "RunRecord", folder: Path) -> Any:
    """What came out, as the file has it; None where there is none that can be read."""
    from whence.errors import WhenceError
    from whence.runs.files import read_file

    try:
        return read_file(folder / run.file).output if run.file else None
    except WhenceError:
        return None


def _draw_value(title: str, value: Any, screen: Screen) -> Iterator[str]:
    """The first lines of a value as JSON."""
    if value is None:
        return
    yield ""
    yield screen.paint(title, "title")
    lines = format_pretty(value).splitlines()
    for line in lines[:_SHOWN_LINES]:
        yield from (f"  {part}" for part in screen.lines(line, indent=2))
    if len(lines) > _SHOWN_LINES:
        more = format_count(len(lines) - _SHOWN_LINES, "more line")
        yield screen.paint(f"  {'...' if screen.ascii else '…'} {more}; --json has all", "faint")


def _draw_steps(run: "RunRecord", screen: Screen) -> Iterator[str]:
    from whence.runs.history import data_of

    if not run.steps:
        return
    yield ""
    yield screen.paint(format_count(len(run.steps), "step"), "title")
    shown = run.steps[-_SHOWN_STEPS:]
    if len(shown) < len(run.steps):
        yield screen.paint(f"  {len(run.steps) - len(shown):,} before", "faint")
    for event in shown:
        data = data_of(event)
        kept = ", its state kept" if "state" in data else ""
        said = f"{data.get('number')}. {data.get('step')}  {str(data.get('digest'))[:19]}{kept}"
        yield from (f"  {line}" for line in screen.lines(said, indent=2))


def _draw_environment(run: "RunRecord", screen: Screen) -> Iterator[str]:
    said = run.environment
    if not said:
        return
    yield ""
    yield screen.paint("Environment", "title")
    packages, commit = said.get("packages"), said.get("git")
    lines = [
        f"{said.get('implementation', '')} {said.get('python', '')} on {said.get('platform', '')}",
        f"hash seed {said.get('hash_seed')}" if "hash_seed" in said else "",
        format_count(len(packages), "package") if isinstance(packages, dict) else "",
        f"git {commit.get('commit')}{', with changes' if commit.get('dirty') else ''}"
        if isinstance(commit, dict)
        else "",
        str(said.get("command", "")),
    ]
    for text in filter(None, lines):
        yield from (f"  {line}" for line in screen.lines(text, indent=2))


def _keys(run: "RunRecord", *, is_whole: bool = False) -> dict[str, Any]:
    """Lay a run out for a program. Keys are only ever added."""
    from whence.runs.history import data_of

    keys = {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "began": format_time(run.time_ns),
        "duration": run.duration_ns,
        "steps": len(run.steps),
        "forks": len(run.forks),
        "trust": run.trust,
        "overlays": run.overlays,
        "file": run.file,
        "runner": run.runner,
        "replayed": data_of(run.replays[-1]).get("verdict") if run.replays else None,
    }
    if not is_whole:
        return keys
    return {
        **keys,
        "seed": run.seed,
        "seeds": run.seeds,
        "input": run.input,
        "input_digest": run.input_digest,
        "output_digest": run.output_digest,
        "environment": run.environment,
        "told_steps": [data_of(event) for event in run.steps],
        "told_forks": [data_of(event) for event in run.forks],
        "replays": [data_of(event) for event in run.replays],
        "error": run.error,
    }
