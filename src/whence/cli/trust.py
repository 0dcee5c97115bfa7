"""`whence trust`: how far each rule or variable can be trusted, and how sure that is."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from whence.cli.formats import dump
from whence.cli.options import Where, describe_window, number_of, output_option, verb
from whence.cli.screen import Screen
from whence.draw.amounts import format_ago, format_count
from whence.draw.bars import sparkline
from whence.draw.tables import Column, table

if TYPE_CHECKING:
    from whence.event import Event
    from whence.learning.evidence import Belief
    from whence.learning.trust import BayesianTrustTracker

_LISTED = 30
_BAR_CELLS = 24
_SPARK_CELLS = 12
_NARROW = 72
_EVENTS_SHOWN = 20
_SHORT_ID = 8


@verb(
    "whence trust                       every key, the least trusted first",
    'whence trust --as-of "2 days ago"   as it was then',
    "whence trust --key rule-7          one key, with the events it rests on",
    "whence trust --min-samples 5 --json",
    short_help="How far rules and variables can be trusted, and how sure that is.",
)
@click.option("--as-of", metavar="WHEN", help='As it was at a moment: "2h ago", ISO, @epoch.')
@click.option("--key", metavar="KEY", help="Of one key alone, with its events.")
@number_of("--min-samples", help="Only keys with as much evidence.  [default: 0]")
@number_of("-n", "--number", help=f"At most N keys.  [default: {_LISTED}]")
@output_option("short", "json")
def command(
    where: Where,
    as_of: str | None,
    key: str | None,
    min_samples: int | None,
    number: int | None,
    output: str,
) -> None:
    """List keys with their trust, the exact interval in which it lies, and what that rests on.

    A bar stands where trust lies with probability 0.95, from 0 on the left to 1 on the right. TREND is
    how trust went over the newest outcomes. Keys without an outcome for a day are stale.
    """
    from whence.errors import NotFoundError
    from whence.learning.trust import BayesianTrustTracker
    from whence.query import Query

    screen = where.screen
    with where.open_journal() as log:
        tracker = BayesianTrustTracker(log)
        now = time.time_ns()
        if as_of is not None:
            now = log.moment(as_of)
            tracker = tracker.as_of(now)
            screen.note(describe_window(Query(until=now), utc=screen.utc))
        beliefs = tracker.beliefs()
        if key is not None:
            if key not in beliefs:
                from difflib import get_close_matches

                raise NotFoundError(
                    f"nothing is known of {key!r}", get_close_matches(key, beliefs, 5)
                )
            beliefs = {key: beliefs[key]}
        chosen = sorted(
            (item for item in beliefs.items() if item[1].sample_size >= (min_samples or 0)),
            key=lambda item: (item[1].trust, item[0]),
        )
        listed = chosen[: _LISTED if number is None else number]
        events = list(tracker.events(key)) if key is not None else None
        if output == "json":
            screen.show(dump(_keys(name, each, now, events)) for name, each in listed)
        else:
            screen.show(_draw(listed, events, tracker, now, screen))
        if len(listed) < len(chosen):
            screen.note(f"{len(chosen) - len(listed):,} more; a larger -n shows them")
        where.remark(log)


def _draw(
    listed: "list[tuple[str, Belief]]",
    events: "list[Event] | None",
    tracker: "BayesianTrustTracker",
    now: int,
    screen: Screen,
) -> Iterator[str]:
    from whence.learning.report import is_stale

    if not listed:
        yield "no trust is recorded"
        return
    courses = tracker.courses(name for name, _ in listed)
    is_wide = screen.width is None or screen.width >= _NARROW
    columns = [
        Column(title="KEY"), Column(title="TRUST", align="right"),
        Column(title="95 %", shrinks=False),
        *([Column(title="0" + " " * (_BAR_CELLS - 2) + "1", shrinks=False)] if is_wide else []),
        Column(title="TREND", shrinks=False), Column(title="N", align="right"),
        Column(title="UPDATED", shrinks=False), Column(title="EVENT", shrinks=False),
    ]  # fmt: skip
    rows = []
    for name, each in listed:
        low, high = each.interval()
        bar = [draw_interval(low, each.trust, high, _BAR_CELLS, ascii=screen.ascii)]
        trend = sparkline(
            [trust for _, trust, _ in courses.get(name, [])][-_SPARK_CELLS:],
            cells=_SPARK_CELLS,
            high=1.0,
            ascii=screen.ascii,
        )
        updated = "never" if each.last_ns is None else format_ago(each.last_ns, now)
        mark = f"{updated}, stale" if is_stale(each, now) else updated
        size = f"{each.sample_size:.4g}" + ("*" if each.repeats else "")
        rows.append(
            (
                name, f"{each.trust:.3f}", f"{low:.3f}-{high:.3f}", *(bar if is_wide else []),
                trend, size, mark, each.last_id[-_SHORT_ID:],
            )
        )  # fmt: skip

    def paint(row: int, column: int, cell: str) -> str:
        if row < 0:
            return screen.paint(cell, "faint")
        if columns[column].title == "UPDATED" and "stale" in cell:
            return screen.paint(cell, "warning")
        if columns[column].title == "EVENT":
            return screen.paint(cell, "faint")
        return cell

    lines = table(rows, columns, width=screen.width, ascii=screen.ascii, paint=paint)
    yield from map(str.rstrip, lines)
    if any(each.repeats for _, each in listed):
        yield ""
        yield from screen.lines(
            "* among them repeated trials of one task, which depend on each other:"
            " less is known than the interval says"
        )
    if events is not None:
        yield from _draw_events(events, screen)


def _draw_events(events: "list[Event]", screen: Screen) -> Iterator[str]:
    from whence.ask.phrases import phrase

    yield ""
    yield screen.paint(f"Rests on {format_count(len(events), 'event')}", "title")
    if len(events) > _EVENTS_SHOWN:
        yield screen.paint(f"  {len(events) - _EVENTS_SHOWN:,} before; --json names all", "faint")
    for event in events[-_EVENTS_SHOWN:]:
        said = f"{event.id}  {screen.time(event.time_ns)}  {phrase(event)}"
        yield from (f"  {line}" for line in screen.lines(said, indent=2))


def draw_interval(
    low: float,
    middle: float,
    high: float,
    cells: int,
    *,
    ascii: bool = False,  # noqa: A002 the option's one name
) -> str:
    """Draw where an interval lies between 0 and 1, and its middle in it."""
    line, dot = ("-", "o") if ascii else ("─", "●")
    first, last, at = (min(cells - 1, int(value * cells)) for value in (low, high, middle))
    text = " " * first + line * (last - first + 1)
    return (text[:at] + dot + text[at + 1 :]).ljust(cells)


def _keys(name: str, belief: "Belief", now: int, events: "list[Event] | None") -> dict[str, Any]:
    """Lay a key out for a program. Keys are only ever added."""
    from whence.learning.report import is_stale, make_entry

    entry = make_entry(name, belief)
    entry |= {"alpha": belief.alpha, "beta": belief.beta, "stale": is_stale(belief, now)}
    if events is not None:
        entry["events"] = {**entry["events"], "ids": [event.id for event in events]}
    return entry
