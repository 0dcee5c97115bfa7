"""`whence spans`: steps one a line, or the tree of a trace with a bar for each."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from whence.ask.steps import Step, say_step
from whence.cli.formats import dump, format_document, format_event, window_keys
from whence.cli.options import Where, number_of, output_option, verb
from whence.cli.screen import Screen, failure_role
from whence.cli.sourced import note_unasked
from whence.cli.steps import StepFilters, step_filters
from whence.draw.amounts import format_count, format_duration
from whence.draw.styles import Role
from whence.event import Event, format_time

if TYPE_CHECKING:
    from whence.ask.traces import Node, Trace
    from whence.log import Log

LAST = 100
_ID_CELLS = 8
_WORDS_MIN = 20
_INDENT = "  "


@verb(
    "whence spans                            the newest 100 steps",
    "whence spans --hrm altitude --slow 50ms",
    "whence spans --status open              those that never ended",
    "whence spans -f                         steps as they end",
    "whence spans --trace-id 41a4afb1        the tree of one, with a bar for each",
    short_help="Steps, how long they took, and the tree of a trace.",
)
@step_filters
@click.option("--trace-id", metavar="ID", help="The tree of the step with this id or part of one.")
@number_of(
    "-n", "--number", "--last",
    help="The newest N steps (100); with --trace-id, N steps below one (100).",
)  # fmt: skip
@number_of("--depth", help="With --trace-id: levels below the step (100).")
@click.option("-f", "--follow", is_flag=True, help="Go on with what ends next, until Ctrl-C.")
@output_option("short", "json", "jsonl")
def command(
    where: Where,
    filters: StepFilters,
    trace_id: str | None,
    number: int | None,
    depth: int | None,
    follow: bool,
    output: str,
) -> None:
    """Show steps, oldest first: when each began, its short id, what it did, how long it took.

    What never ended is shown as unfinished, with its age.
    """
    if trace_id is None:
        if depth is not None:
            raise click.UsageError("--depth goes with --trace-id")
        if follow and output == "json":
            raise click.UsageError("--follow shows short or jsonl: a document would never end")
        _show_list(where, filters, LAST if number is None else number, follow, output)
        return
    if filters != StepFilters() or follow:
        raise click.UsageError("--trace-id shows a whole tree: no filters and no --follow with it")
    _show_trace(where, trace_id, number, depth, output)


# -- a list ----------------------------------------------------------------------------------------


def _show_list(where: Where, filters: StepFilters, number: int, follow: bool, output: str) -> None:
    screen = where.screen
    with where.open() if follow else where.open_journal() as log:
        if not log.exists():
            screen.note(f"nothing is recorded yet in {where.say_place(log.folder)}; waiting")
        note_unasked(log, screen, "followed" if follow else "asked for steps")
        query = filters.query(log, screen)
        # Following begins before the newest are read, so that nothing falls between the two.
        live = _follow(log, filters, screen) if follow else iter(())
        waiting = list(islice(live, 1))
        shown: set[tuple[str, int]] = set()
        size = 0

        def newest() -> Iterator[Step]:
            nonlocal size
            for step in log.spans().newest(query, limit=number, only_open=filters.only_open):
                size += 1
                if follow:
                    shown.add((step.event.w, step.event.n))
                yield step

        if output == "json":
            items = (_format(step) for step in newest())
            screen.show(format_document({"window": window_keys(query)}, "steps", items))
        else:
            screen.show(line for step in newest() for line in _lines(step, screen, output))
        if not size and not follow:
            screen.note("no steps found")
        where.remark(log)
        spans, told = log.spans(), len(log.warnings)
        for event in chain(waiting, live):
            if event is not None and (event.w, event.n) not in shown:
                step = spans.tell_live(event, query, only_open=filters.only_open)
                for line in _lines(step, screen, output) if step is not None else ():
                    screen.show_now(line)
            for warning in log.warnings[told:]:
                screen.warn(warning)
            told = len(log.warnings)


def _follow(log: "Log", filters: StepFilters, screen: Screen) -> Iterator[Event | None]:
    """Give what is recorded from now on, whatever it is; None while there is nothing."""
    from whence.cli.live import follow_log
    from whence.query import Query

    until = None
    if filters.until is not None:
        until = log.moment(filters.until, agent=filters.agent, target=filters.target)
    for news in follow_log(log, Query(until=until)):
        if news is None or isinstance(news, Event):
            yield news
        else:
            screen.warn(f"{news.segment} at {news.offset}: {news.problem}")


def _lines(step: Step, screen: Screen, output: str) -> Iterator[str]:
    if output == "jsonl":
        yield format_event(step.event)
        return
    moment = screen.time(step.start)
    short = screen.text(step.id[-_ID_CELLS:])
    indent = len(moment) + _ID_CELLS + 2
    drawn = f"{screen.paint(moment, 'time')} {screen.paint(short.ljust(_ID_CELLS), 'faint')} "
    words, role = say_step(step), _role(step)
    if screen.width is None or screen.width - indent >= _WORDS_MIN:
        for number, line in enumerate(screen.lines(words, indent=indent)):
            yield (" " * indent if number else drawn) + screen.paint(line, role)
        return
    for line in screen.lines(f"{moment} {short}"):
        yield screen.paint(line, "time")
    for line in screen.lines(words, indent=len(_INDENT)):
        yield _INDENT + screen.paint(line, role)


def _role(step: Step) -> Role | None:
    return "warning" if step.going is not None else failure_role(step.event.status)


def _format(step: Step, **more: object) -> str:
    return format_event(step.event, **_keys(step), **more)


def _keys(step: Step) -> dict[str, object]:
    return {
        "text": say_step(step),
        "step": step.id,
        "start": format_time(step.start),
        "age": step.age,
        "unfinished": step.going,
    }


# -- a tree ----------------------------------------------------------------------------------------


def _show_trace(
    where: Where, reference: str, number: int | None, depth: int | None, output: str
) -> None:
    from whence.ask.spans import CHILDREN, LEVELS

    is_whole = output != "short"
    with where.look() as log:
        note_unasked(log, where.screen, "asked for steps")
        trace = log.spans().trace(
            reference,
            width=number if number is not None else _ALL if is_whole else CHILDREN,
            depth=depth if depth is not None else _ALL if is_whole else LEVELS,
        )
        if output == "json":
            keys = {
                "trace": trace.id, "start": format_time(trace.start), "end": format_time(trace.end),
                "count": trace.count, "errors": trace.errors,
            }  # fmt: skip
            where.screen.show(format_document(keys, "steps", _items(trace)))
        elif output == "jsonl":
            steps = (node.step for node in trace.nodes())
            where.screen.show(format_event(step.event) for step in steps if step is not None)
        else:
            where.screen.show(_draw(trace, where.screen))
        where.remark(log)


_ALL = 1 << 40
"""More than there can be."""


def _draw(trace: "Trace", screen: Screen) -> Iterator[str]:
    from whence.draw.waterfall import Waterfall

    took = format_duration(trace.end - trace.start, ascii=screen.ascii)
    title = f"Trace {trace.id}: {format_count(trace.count, 'event')}, {took}"
    title += f", {format_count(trace.errors, 'error')}" if trace.errors else ""
    for line in screen.lines(f"{title}, {screen.time(trace.start)}"):
        yield screen.paint(line, "title")
    picture = Waterfall(trace.start, trace.end, columns=screen.width, ascii=screen.ascii)
    for node in trace.nodes():
        step, role = node.step, _node_role(node)
        yield picture.line(
            node.depth,
            _label(node),
            is_last=node.is_last,
            start=None if step is None else step.start,
            end=None if step is None else step.end,
            is_open=step is not None and step.going is not None,
            paint=lambda text, role=role: screen.paint(text, role),  # type: ignore[misc]
        )


def _node_role(node: "Node") -> Role | None:
    if node.step is None:
        return "faint"
    return "title" if node.is_asked and node.depth else _role(node.step)


def _label(node: "Node") -> str:
    if node.missing is not None:
        return f"{node.missing} (not recorded)"
    if node.step is None:
        size = f"{node.folded:,}{' or more' if node.is_more else ' more'}"
        failed = f", {format_count(node.failed, 'error')}" if node.failed else ""
        where = " below" if node.is_below else " beside" if node.is_beside else ""
        return f"… {size}{where}{failed}"
    text = say_step(node.step)
    return f"{text} (its parent {node.orphan_of} is not recorded)" if node.orphan_of else text


def _items(trace: "Trace") -> Iterator[str]:
    """Every line as JSON; `parent_line` is the place in the list of the one above it."""
    path: list[int] = []
    for place, node in enumerate(trace.nodes()):
        del path[node.depth :]
        more = {
            "depth": node.depth,
            "parent_line": path[-1] if path else None,
            "is_asked": node.is_asked,
            "missing": node.missing or node.orphan_of,
            "folded": node.folded,
        }
        if node.step is not None:
            yield _format(node.step, **more)
        else:
            yield dump({"id": node.missing, **more})
        path.append(place)
