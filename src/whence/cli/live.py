"""The end of the journal, and what is written while we look."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING

import click
import msgspec

from whence.ask.phrases import phrase
from whence.ask.reading import check_newest_formats, fill, say_problem
from whence.cli.formats import format_event
from whence.cli.options import Filters, Where
from whence.cli.rows import Layout
from whence.cli.sourced import note_unasked
from whence.event import Event
from whence.journal.reader import Reader
from whence.query import Query, matches

if TYPE_CHECKING:
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
        wanted = _queries_for(log, ref, query)
        layout = Layout(screen)

        def lines(event: Event) -> Iterator[str]:
            if output == "short":
                yield from layout.lines(event, phrase(event))
            else:
                yield format_event(event)

        # Following begins before the newest are read, so that nothing falls between the two.
        live = log.follow(query) if follow else iter(())
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


def _queries_for(log: "Log", ref: str | None, query: Query) -> list[Query]:
    """What must match, one of these, for an event to be shown."""
    if ref is None:
        return [query]
    subject = log.resolve(ref)
    fields = {
        "agent": ["agent"], "target": ["target"], "both": ["agent", "target"], "trace": ["trace"],
        "event": [],
    }[subject.kind]  # fmt: skip
    if not fields:
        raise click.UsageError("an event has happened; follow its target or agent instead")
    return [
        msgspec.structs.replace(query, **{field: subject.name})
        for field in fields
        if getattr(query, field) in (None, subject.name)
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
