"""`whence learning`: what changed, how that looks, and whether it fits together."""

import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whence.cli.formats import dump, format_pretty
from whence.cli.options import Filters, Where, number_of, output_option, shorten, verb
from whence.cli.screen import Screen, format_moment
from whence.draw.amounts import format_ago, format_count
from whence.draw.bars import sparkline
from whence.draw.tables import Column, table
from whence.event import format_time

if TYPE_CHECKING:
    from whence.event import Event
    from whence.learning.changes import Change, Course
    from whence.learning.checking import Check, Misfit
    from whence.learning.history import Wanted
    from whence.log import Log

_LISTED = 10
_SPARK_CELLS = 16
_MISFITS_SHOWN = 50
_SHORT_ID = 8
_NS_PER_S = 1_000_000_000
_MINUTE_NS, _DAY_NS = 60 * _NS_PER_S, 86_400 * _NS_PER_S


@verb(
    "whence learning                          what changed, and the newest events",
    "whence learning --variable inflation -S yesterday",
    "whence learning --rule rule-7 --json     with the event behind every value",
    "whence learning -f                       each change as it comes",
    "whence learning plot learning.html       a picture of it all; or an .svg",
    "whence learning check                    what does not fit together",
    short_help="What a system learnt: changes, a picture, a check.",
)
@click.option("--variable", metavar="V", help="Of a variable, overlay, asset or key alone.")
@click.option("--rule", metavar="R", help="Of one rule alone.")
@click.option("--type", "event_type", metavar="T", help="Of one type of event alone.")
@click.option("-S", "--since", metavar="WHEN", help='"2h ago", "yesterday 14:00", ISO, @epoch.')
@click.option("-U", "--until", metavar="WHEN", help="The same; up to but not including it.")
@click.option("-f", "--follow", is_flag=True, help="Go on with each new change.")
@number_of("-n", "--number", help=f"At most the newest N events below.  [default: {_LISTED}]")
@output_option("short", "json")
@click.argument("what", required=False, metavar="[check|plot FILE]")
@click.argument("file", required=False, metavar="", type=click.Path(path_type=Path))
def command(
    where: Where,
    variable: str | None,
    rule: str | None,
    event_type: str | None,
    since: str | None,
    until: str | None,
    follow: bool,
    number: int | None,
    what: str | None,
    file: Path | None,
    output: str,
) -> None:
    """Tell what changed, by variable and by rule: from what to what, how it went, and which event says so.

    `plot FILE` draws weights, trust, overlays, capital and rules over time; a point leads to its event. `check`
    folds everything again and names what does not fit, with exit code 1 if something does not.
    """
    if (what, file is None) not in ((None, True), ("check", True), ("plot", False)):
        raise click.UsageError("want `whence learning`, `… plot FILE` or `… check`")
    if follow and what is not None:
        raise click.UsageError(f"--follow does not go with {what}")
    if what == "check" and any((variable, rule, event_type, since, until)):
        raise click.UsageError("a check looks at everything; it takes no filter")
    from whence.learning.changes import gather
    from whence.learning.history import Wanted, check_log, read_changes

    screen = where.screen
    with where.open_journal() as log:
        if what == "check":
            check = check_log(log)
            screen.show(_draw_check(check, output, screen))
            where.remark(log)
            if check.misfits:
                from whence.cli.app import exit_with
                from whence.cli.failures import FAILED

                exit_with(FAILED)
            return
        window = Filters(since=since, until=until).query(log, screen)
        wanted = Wanted(
            variable=variable, rule=rule, type=event_type, since=window.since, until=window.until
        )
        if file is not None:
            _plot(log, screen, file, wanted)
            where.remark(log)
            return
        newest: deque[Event] = deque(maxlen=_LISTED if number is None else number)
        kept = None if output == "json" else 4 * _SPARK_CELLS
        courses = gather(_remember(read_changes(log, wanted), newest), kept)
        if output == "json":
            screen.show(dump(_course_keys(course)) for course in courses)
        else:
            screen.show(_draw(courses, newest, screen))
        where.remark(log)
        if follow:
            _follow(log, screen, wanted, output)


def _remember(
    found: "Iterable[tuple[Event, Change]]", newest: "deque[Event]"
) -> "Iterator[Change]":
    for event, change in found:
        newest.append(event)
        yield change


def _draw(courses: "list[Course]", newest: "Collection[Event]", screen: Screen) -> Iterator[str]:
    if not courses:
        yield "nothing was learnt, by what is recorded"
        return
    columns = [
        Column(title="KIND", shrinks=False), Column(title="NAME"),
        Column(title="CHANGES", align="right"), Column(title="FROM", align="right"),
        Column(title="TO", align="right"), Column(title="COURSE", shrinks=False),
        Column(title="LAST", shrinks=False), Column(title="EVENT", shrinks=False),
    ]  # fmt: skip
    now = time.time_ns()
    rows = []
    for course in courses:
        when, _, event_id = course.points[-1]
        rows.append(
            (
                course.kind, course.name, f"{course.size:,}", _number(course.first),
                _number(course.last), _spark(course, screen), format_ago(when, now),
                event_id[-_SHORT_ID:],
            )
        )  # fmt: skip

    def paint(row: int, column: int, cell: str) -> str:
        title = columns[column].title
        if row < 0 or title == "EVENT":
            return screen.paint(cell, "faint")
        return screen.paint(cell, "target") if title == "NAME" else cell

    lines = table(rows, columns, width=screen.width, ascii=screen.ascii, paint=paint)
    yield from map(str.rstrip, lines)
    if newest:
        yield ""
        yield screen.paint("Newest", "title")
        for event in newest:
            yield from (f"  {line}" for line in screen.lines(_say(event, screen), indent=2))


def _say(event: "Event", screen: Screen) -> str:
    from whence.ask.phrases import phrase

    return f"{screen.time(event.time_ns)}  {event.id[-_SHORT_ID:]}  {phrase(event)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _spark(course: "Course", screen: Screen) -> str:
    values = [value for _, value, _ in course.points][-_SPARK_CELLS:]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    is_share = course.kind in ("rule", "overlay", "trust", "effectiveness")
    low, high = (0.0, 1.0) if is_share else (min(known), max(known))
    return sparkline(values, cells=_SPARK_CELLS, low=low, high=high, ascii=screen.ascii)


def _follow(log: "Log", screen: Screen, wanted: "Wanted", output: str) -> None:
    import msgspec

    from whence.event import Event
    from whence.learning.changes import read_change

    for news in log.follow(msgspec.structs.replace(wanted.query(), since=None)):
        change = read_change(news) if isinstance(news, Event) else None
        if change is None or not isinstance(news, Event) or not wanted.lets_through(change):
            continue
        if output == "json":
            screen.show_now(dump(_change_keys(change)))
        else:
            for line in screen.lines(_say(news, screen)):
                screen.show_now(line)


def _plot(log: "Log", screen: Screen, file: Path, wanted: "Wanted") -> None:
    from whence.ask.phrases import phrase
    from whence.errors import NotFoundError
    from whence.learning.files import write_whole
    from whence.learning.history import read_events, read_panels
    from whence.learning.plotting import write_page, write_svg

    kind = file.suffix.lower()
    if kind not in (".html", ".svg"):
        raise click.UsageError(f"{file.name!r} is neither .html nor .svg")
    panels = read_panels(log, wanted)
    if not panels:
        raise NotFoundError("nothing that could be drawn is recorded")
    points = [point for panel in panels for line in panel.lines for point in line.points]
    newest = max(point.time_ns for point in points) // _NS_PER_S
    offset_ns = 0 if screen.utc else time.localtime(newest).tm_gmtoff * _NS_PER_S
    title = f"What was learnt in {shorten(log.folder)}"

    def tell_time(moment: int, step: int) -> str:
        if step == 0:
            return format_moment(moment, utc=screen.utc, precise=True)
        if step < _NS_PER_S:
            precise = format_moment(moment, utc=screen.utc, precise=True)
            return precise[len("2026-11-20 ") :].rstrip("0").rstrip(".")
        text = format_moment(moment, utc=screen.utc)
        if step >= _DAY_NS:
            return text[: len("2026-11-20")]
        return (
            text[len("2026-") : -len(":00")] if step >= _MINUTE_NS else text[len("2026-11-20 ") :]
        )

    if kind == ".html":
        ids = {point.event_id for point in points}
        told = {event.id: phrase(event) for event in read_events(log, wanted, ids)}
        lines = write_page(panels, title, tell_time, offset_ns, told=told)
    else:
        lines = write_svg(panels, title, tell_time, offset_ns)
    write_whole(file, (line.encode() + b"\n" for line in lines))
    drawn = f"{format_count(len(points), 'point')} in {format_count(len(panels), 'panel')}"
    screen.note(f"{drawn}: {file}")


def _draw_check(check: "Check", output: str, screen: Screen) -> Iterator[str]:
    misfits = check.misfits
    looked = {"learning": check.learning, "trust": check.trust, "untold": check.untold}
    if output == "json":
        keys = {**looked, "misfits": [_misfit_keys(misfit) for misfit in misfits]}
        yield from format_pretty(keys).splitlines()
        return
    for misfit in misfits[:_MISFITS_SHOWN]:
        place = ""
        if misfit.time_ns is not None:
            place = f"  {misfit.event_id}  {screen.time(misfit.time_ns)}"
        yield screen.paint(screen.text(misfit.rule + place), "warning")
        said = f"{misfit.about}: {misfit.message}"
        yield from (f"  {line}" for line in screen.lines(said, indent=2))
    if len(misfits) > _MISFITS_SHOWN:
        yield screen.paint(f"{len(misfits) - _MISFITS_SHOWN:,} more; --json names all", "faint")
    if misfits:
        yield ""
    said = (
        f"{format_count(check.learning, 'learning event')}"
        f" and {format_count(check.trust, 'outcome')} of trust looked at"
    )
    if check.untold:
        said += f"; {check.untold:,} are private or erased and tell nothing"
    verdict = f"MISFITS: {len(misfits):,}; {said}." if misfits else f"FITS: {said}."
    for line in screen.lines(verdict):
        yield screen.paint(line, "bad" if misfits else "good")


def _course_keys(course: "Course") -> dict[str, Any]:
    """Lay a course out for a program. Keys are only ever added."""
    return {
        "kind": course.kind,
        "name": course.name,
        "changes": course.size,
        "from": course.first,
        "to": course.last,
        "points": [
            {"time": format_time(when), "value": value, "event": event_id}
            for when, value, event_id in course.points
        ],
    }


def _change_keys(change: "Change") -> dict[str, Any]:
    """Lay a change out for a program. Keys are only ever added."""
    return {
        "event": change.event_id,
        "time": format_time(change.time_ns),
        "type": change.type,
        "kind": change.kind,
        "name": change.name,
        "from": change.before,
        "to": change.value,
    }


def _misfit_keys(misfit: "Misfit") -> dict[str, Any]:
    """Lay a misfit out for a program. Keys are only ever added."""
    return {
        "event": misfit.event_id,
        "time": None if misfit.time_ns is None else format_time(misfit.time_ns),
        "rule": misfit.rule,
        "about": misfit.about,
        "message": misfit.message,
    }
