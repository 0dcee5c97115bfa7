"""`whence decisions`: who voted what, was it approved, and what came of it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whence.cli.formats import dump, format_pretty
from whence.cli.options import Filters, Where, number_of, output_option, verb
from whence.cli.screen import Screen
from whence.draw.amounts import format_count
from whence.draw.tables import Column, table

if TYPE_CHECKING:
    from whence.decisions.decision import Decision
    from whence.event import Event
    from whence.log import Log

_LISTED = 20
_NS_PER_S = 1_000_000_000
_SHORT_ID = 8


@verb(
    "whence decisions                          the newest, with their votes",
    "whence decisions --refused -S yesterday",
    "whence decisions -f                       each new one as it comes",
    "whence decisions show @last               one of them: votes, subject, effects",
    "whence decisions stats                    who approves, who stops, who agrees",
    "whence decisions verify --keys voters.txt  whether the voters signed their votes",
    short_help="Decisions: who voted what, was it approved.",
)
@click.option("--action", metavar="ACTION", help="What was decided on.")
@click.option("-a", "--agent", metavar="A", help="Who decided or voted, or whom it was about.")
@click.option("--approved", is_flag=True, help="Only those that were approved.")
@click.option("--refused", is_flag=True, help="Only those that were not.")
@click.option("-S", "--since", metavar="WHEN", help='"2h ago", "yesterday 14:00", ISO, @epoch.')
@click.option("-f", "--follow", is_flag=True, help="Go on with each new decision.")
@number_of("-n", "--number", help=f"At most the newest N.  [default: {_LISTED}]")
@output_option("short", "json")
@click.option("--keys", metavar="FILE", help="Voters' public keys, one a line, for verify.")
@click.argument("what", required=False, metavar="[show ID|stats|verify [ID]]")
@click.argument("reference", required=False, metavar="")
def command(
    where: Where,
    action: str | None,
    agent: str | None,
    approved: bool,
    refused: bool,
    since: str | None,
    follow: bool,
    number: int | None,
    keys: str | None,
    what: str | None,
    reference: str | None,
    output: str,
) -> None:
    """List decisions, the newest last: when, on what, how it ended, who voted for and against, and why.

    `verify` looks at the votes' signatures: of one decision, or of all that the options choose. It ends with exit code 1
    if one does not fit.
    """
    from whence.decisions.history import iterate_decisions

    if what != "verify" and (what, reference is None) not in (
        (None, True), ("stats", True), ("show", False),
    ):  # fmt: skip
        raise click.UsageError("want `whence decisions`, `… show ID`, `… stats` or `… verify [ID]`")
    if (what == "verify") != (keys is not None):
        raise click.UsageError("`verify` and --keys FILE go together")
    if approved and refused:
        raise click.UsageError("--approved and --refused contradict each other")
    verdict = True if approved else False if refused else None
    screen = where.screen
    with where.open_journal() as log:
        if reference is not None and what == "show":
            screen.show(_show(log, reference, output, screen))
            where.remark(log)
            return
        start = Filters(since=since).query(log, screen).since
        chosen = iterate_decisions(
            log, action=action, approved=verdict, agent=agent,
            since=None if start is None else start / _NS_PER_S,
        )  # fmt: skip
        if what == "stats":
            screen.show(_stats(list(chosen), output, screen))
        elif what == "verify" and keys is not None:
            from whence.cli.signatures import verify

            if reference is not None:
                chosen = iter([_find(log, reference)[1]])
            verify(where, log, chosen, Path(keys), output)
            return
        else:
            limit = _LISTED if number is None else number
            listed = list(islice(chosen, limit))[::-1]
            if output == "json":
                screen.show(dump(_keys(each)) for each in listed)
            else:
                screen.show(_draw(listed, screen))
        where.remark(log)
        if follow and what is None:
            _follow(log, screen, output, action, agent, verdict)


def _follow(
    log: "Log",
    screen: Screen,
    output: str,
    action: str | None,
    agent: str | None,
    approved: bool | None,
) -> None:
    from whence.decisions.decision import PRIMITIVE, decision_of
    from whence.event import Event
    from whence.query import Query

    for news in log.follow(Query(primitive=PRIMITIVE)):
        if not isinstance(news, Event):
            continue
        each = decision_of(news)
        if action in (None, each.action) and approved in (None, each.approved):
            if agent is not None and not each.involves(agent):
                continue
            lines = [dump(_keys(each))] if output == "json" else list(_draw([each], screen))[1:]
            for line in lines:
                screen.show_now(line)


def _votes(votes: Any) -> list[tuple[str, bool | None, str]]:
    """Who voted what and why, of whatever was recorded as votes; None where it does not say."""
    if isinstance(votes, Mapping):
        pairs = list(votes.items())
    elif isinstance(votes, list):
        pairs = [(each.get("name", "?"), each) for each in votes if isinstance(each, Mapping)]
    else:
        return []
    found = []
    for name, vote in pairs:
        said = vote if isinstance(vote, Mapping) else {"passed": vote}
        passed = said.get("passed")
        reason = said.get("reason")
        found.append((str(name), passed if isinstance(passed, bool) else None, str(reason or "")))
    return [vote for vote in found if not vote[0].startswith("$")]


def _mark(passed: bool | None, screen: Screen) -> str:
    marks = {True: "+", False: "-"} if screen.ascii else {True: "✓", False: "✗"}
    return "?" if passed is None else marks[passed]


def _verdict(decision: "Decision") -> str:
    return "approved" if decision.approved else "refused"


def _when(decision: "Decision", screen: Screen) -> str:
    return screen.time(int(decision.timestamp * _NS_PER_S))


def _draw(listed: "list[Decision]", screen: Screen) -> Iterator[str]:
    if not listed:
        yield "no decisions found"
        return
    columns = [
        Column(title="WHEN", shrinks=False), Column(title="DECISION", shrinks=False),
        Column(title="ON"), Column(title="VERDICT", shrinks=False), Column(title="VOTES"),
        Column(title="REASON"),
    ]  # fmt: skip
    rows = [
        (
            _when(each, screen), each.id[-_SHORT_ID:], str(each.action), _verdict(each),
            " ".join(f"{_mark(passed, screen)}{name}" for name, passed, _ in _votes(each.votes)),
            str(each.reason or "") if each.is_whole else "(erased)",
        )
        for each in listed
    ]  # fmt: skip

    def paint(row: int, column: int, cell: str) -> str:
        if row < 0:
            return screen.paint(cell, "faint")
        if columns[column].title == "VERDICT":
            return screen.paint(cell, "good" if listed[row].approved else "bad")
        return screen.paint(cell, "time") if column == 0 else cell

    lines = table(rows, columns, width=screen.width, ascii=screen.ascii, paint=paint)
    yield from map(str.rstrip, lines)


def _find(log: "Log", reference: str) -> "tuple[Event, Decision]":
    """The event that a reference means, and the decision it tells."""
    from whence.decisions.decision import PRIMITIVE, decision_of
    from whence.errors import NotFoundError
    from whence.query import Query

    subject = log.resolve(reference, query=Query(primitive=PRIMITIVE))
    row = subject.event
    events = (
        ()
        if row is None
        else log.events(Query(primitive=PRIMITIVE, since=row.time, until=row.time + 1))
    )
    event = next((each for each in events if row is not None and each.id == row.id), None)
    if event is None:
        raise NotFoundError(f"{reference!r} is no decision; `whence decisions` lists them")
    return event, decision_of(event)


def _show(log: "Log", reference: str, output: str, screen: Screen) -> Iterator[str]:
    from whence.ask.phrases import phrase
    from whence.query import Query

    event, decision = _find(log, reference)
    effects = list(log.events(Query(parent=event.id)))
    if output == "json":
        keys = {**_keys(decision), "parent": event.parent, "effects": [one.id for one in effects]}
        yield from format_pretty(keys).splitlines()
        return
    yield screen.paint(screen.text(f"Decision {decision.id}"), "title")
    verdict = screen.paint(_verdict(decision), "good" if decision.approved else "bad")
    yield f"{screen.text(str(decision.action))}: {verdict}"
    yield screen.paint(_when(decision, screen), "time")
    yield from screen.lines(str(decision.reason or ""))
    for title, lines in (
        ("Votes", [f"{_mark(passed, screen)} {name}{': ' if why else ''}{why}"
                   for name, passed, why in _votes(decision.votes)]),
        ("Subject", format_pretty(decision.subject).splitlines()),
        ("Cause", [event.parent] if event.parent else []),
        ("Effects", [f"{one.id}  {phrase(one)}" for one in effects]),
    ):  # fmt: skip
        if lines:
            yield ""
            yield screen.paint(title, "title")
            for line in lines:
                yield from (f"  {part}" for part in screen.lines(line, indent=2))


def _stats(decisions: "list[Decision]", output: str, screen: Screen) -> Iterator[str]:
    actions: dict[str, list[bool]] = {}
    voters: dict[str, Counter[str]] = {}
    pairs: dict[tuple[str, str], list[bool]] = {}
    for each in decisions:
        actions.setdefault(str(each.action), []).append(each.approved)
        votes = [(name, passed) for name, passed, _ in _votes(each.votes) if passed is not None]
        for name, passed in votes:
            count = voters.setdefault(name, Counter())
            count["voted"] += 1
            count["passed"] += passed
            count["stopped"] += not passed and not each.approved
        for (one, first), (other, second) in combinations(sorted(votes), 2):
            pairs.setdefault((one, other), []).append(first == second)
    if output == "json":
        told = {
            "decisions": len(decisions),
            "actions": {
                name: {"decided": len(ends), "approved": sum(ends)}
                for name, ends in actions.items()
            },
            "voters": {name: dict(count) for name, count in voters.items()},
            "agreement": [
                {"voters": list(pair), "together": len(same), "agreed": sum(same)}
                for pair, same in pairs.items()
            ],
        }
        yield from format_pretty(told).splitlines()
        return
    yield format_count(len(decisions), "decision")
    yield from _table(
        screen, ("ACTION", "DECIDED", "APPROVED", "RATE"),
        [(name, f"{len(ends):,}", f"{sum(ends):,}", _rate(sum(ends), len(ends)))
         for name, ends in sorted(actions.items())],
    )  # fmt: skip
    yield from _table(
        screen, ("VOTER", "VOTED", "FOR", "STOPPED", "RATE"),
        [(name, f"{c['voted']:,}", f"{c['passed']:,}", f"{c['stopped']:,}",
          _rate(c["passed"], c["voted"]))
         for name, c in sorted(voters.items())],
    )  # fmt: skip
    names = sorted({name for pair in pairs for name in pair})
    matrix = [
        (one, *(_rate(sum(same), len(same)) if (same := pairs.get((min(one, other), max(one, other))))
                else "–" for other in names))
        for one in names
    ]  # fmt: skip
    yield from _table(screen, ("AGREES WITH", *names), matrix)


def _table(screen: Screen, titles: tuple[str, ...], rows: "list[tuple[str, ...]]") -> Iterator[str]:
    if not rows:
        return
    columns = [
        Column(title=title, align="right" if number else "left")
        for number, title in enumerate(titles)
    ]

    def paint(row: int, _column: int, cell: str) -> str:
        return screen.paint(cell, "faint") if row < 0 else cell

    yield ""
    lines = table(rows, columns, width=screen.width, ascii=screen.ascii, paint=paint)
    yield from map(str.rstrip, lines)


def _rate(some: int, of: int) -> str:
    return f"{100 * some / of:.0f} %" if of else "–"


def _keys(decision: "Decision") -> dict[str, Any]:
    """Lay a decision out for a program. Keys are only ever added."""
    return {
        "id": decision.id,
        **decision.as_entry(),
        "agent": decision.agent,
        "gate": decision.gate,
    }
