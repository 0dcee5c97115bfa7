"""The end of the journal, and what is written while we look."""

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING

import click
import msgspec

from whence.ask.phrases import phrase
from whence.ask.reading import check_newest_formats, fill, say_problem
from whence.ask.references import LAST
from whence.cli.failures import describe
from whence.cli.formats import format_event
from whence.cli.options import Filters, Where
from whence.cli.rows import Layout
from whence.cli.screen import Screen
from whence.cli.sourced import note_unasked
from whence.errors import NotFoundError
from whence.event import Event
from whence.journal.reader import Reader
from whence.query import Query, clean_target, matches

if TYPE_CHECKING:
    from whence.index import Problem
    from whence.log import Log

_NUMBER = 10


def show_live(
    where: Where,
    filters: Filters,
    *,
    ref: str | None,
    number: int | None,
    follow: bool,
    output: str,
) -> None:
    """Show the newest `number` events that fit (10 if None), then with `follow` each new one as it comes.

    A reference stands here for what happens to it or is done by it, without what that causes.
    """
    screen = where.screen
    with where.open() if follow else where.open_journal() as log:
        if not log.exists():
            screen.note(f"nothing is recorded yet in {where.say_place(log.folder)}; waiting")
        note_unasked(log, screen, "followed" if follow else "shown by tail")
        query = filters.query(log, screen)
        wanted = _queries_for(log, ref, query, screen if follow else None)
        layout = Layout(screen)

        def lines(event: Event) -> Iterator[str]:
            if output == "short":
                yield from layout.lines(event, phrase(event))
            else:
                yield format_event(event)

        # Following begins before the newest are read, so that nothing falls between the two.
        live = follow_log(log, query) if follow else iter(())
        waiting = [news for news in islice(live, 1) if news is not None]
        shown: set[tuple[str, int]] = set()
        if log.exists():
            newest = _newest(log, wanted, _NUMBER if number is None else number)
            shown = {(event.w, event.n) for event in newest}
            screen.show(line for event in newest for line in lines(event))
        where.remark(log)
        told = len(log.warnings)
        for news in chain(waiting, live):
            if isinstance(news, Event):
                if (news.w, news.n) not in shown and _any_matches(wanted, news):
                    for line in lines(news):
                        screen.show_now(line)
            elif news is not None:
                screen.warn(f"{news.segment} at {news.offset}: {news.problem}")
            for warning in log.warnings[told:]:
                screen.warn(warning)
            told = len(log.warnings)


def follow_log(log: "Log", query: Query) -> "Iterator[Event | Problem | None]":
    """Give what is recorded, and perhaps more than `query` lets through, until its window is over."""
    until = query.until
    if until is None:
        yield from log.follow(query)
        return
    # All is listened to: on what is left out, too, the end of the window is noticed.
    for news in log.follow(Query(own=True)):
        is_silent = news is None or (isinstance(news, Event) and news.time_ns >= until)
        if is_silent and time.time_ns() >= until:
            return
        yield news


def _queries_for(log: "Log", ref: str | None, query: Query, waits_on: Screen | None) -> list[Query]:
    """What must match, one of these, for an event to be shown.

    With a screen to say so, a reference that means nothing yet is waited for: as a target or an agent.
    """
    if ref is None:
        return [query]
    try:
        subject = log.resolve(ref)
    except NotFoundError as error:
        name = ref.strip()
        if waits_on is None or name in ("", LAST):
            raise
        # Where nothing is recorded that was said already, and what this says is no surprise.
        if log.exists():
            first, *candidates = describe(error)
            for line in (f"{first} yet; waiting for it", *candidates):
                waits_on.note(line)
        fields = {"target": clean_target(name), "agent": name}
    else:
        if subject.kind == "event":
            raise click.UsageError("an event has happened; follow its target or agent instead")
        kinds = ("agent", "target") if subject.kind == "both" else (subject.kind,)
        fields = dict.fromkeys(kinds, subject.name)
    return [
        msgspec.structs.replace(query, **{field: name})
        for field, name in fields.items()
        if getattr(query, field) in (None, name)
    ]


def _newest(log: "Log", wanted: list[Query], number: int) -> list[Event]:
    """The newest events that match, oldest first.

    Read from the end of the journal, so that a large one that was never indexed answers at once.
    """
    note = log.warnings.append
    with closing(Reader(log.folder)) as reader:
        check_newest_formats(reader)
        if not reader.segments():
            note("the journal has no segments any more; whence doctor says which are gone")

        def matching() -> Iterator[Event]:
            for entry in reader.scan_back():
                if entry.event is None:
                    note(say_problem(entry.segment, entry.offset, entry.length, entry.problem))
                elif _any_matches(wanted, entry.event):
                    yield fill(log.folder, entry.event, note)

        return list(islice(matching(), number))[::-1]


def _any_matches(wanted: list[Query], event: Event) -> bool:
    return any(matches(query, event) for query in wanted)
