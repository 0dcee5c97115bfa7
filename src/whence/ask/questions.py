"""The questions as they are put: to the journal alone, or to it and the sources together.

What asks sources is loaded when there are any.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import tzinfo
from itertools import groupby, islice
from typing import TYPE_CHECKING, Literal

import msgspec

from whence.ask.references import Subject, resolve, resolve_name
from whence.ask.stores import Stores
from whence.ask.timeline import Rows, Timeline, make_timeline
from whence.errors import NotFoundError
from whence.query import Query, clean_query, clean_target

if TYPE_CHECKING:
    from whence.ask.causality import Causality


def find_subject(stores: Stores, reference: str, query: Query = Query()) -> Subject:
    """Find out what a reference means; `query` narrows what `@last` may be.

    Raises:
        NotFoundError: nothing, or more than one thing; `candidates` are near or matching.
    """
    if stores.sources is None:
        return resolve(stores.need(reference), reference, query)
    from whence.ask.anywhere import resolve_anywhere

    return resolve_anywhere(stores.index, stores.sources, reference, query)


def tell_timeline(
    stores: Stores,
    reference: str | None,
    *,
    target: str | None,
    agent: str | None,
    query: Query,
    limit: int | None,
    newest: bool,
) -> Timeline:
    """Tell what happened; see `Log.timeline`."""
    query = clean_query(query)
    target, agent = target or query.target, agent or query.agent
    if stores.index is None and stores.sources is None:
        named = reference or target or agent
        if named:
            stores.need(named)
        return Timeline(subject=None, title="", rows=Rows())
    filters = _narrowed(query, target=None, agent=agent)
    subject: Subject | None = None
    if reference is not None:
        filters = _narrowed(query, target=target, agent=agent)
        subject = find_subject(stores, reference, filters)
    elif target is not None:
        subject = _find_named(stores, "target", target)
        if agent is not None:
            _find_named(stores, "agent", agent)
    elif agent is not None:
        subject = _find_named(stores, "agent", agent)
        if subject.kind == "target":
            # It did nothing so far; what there is to tell was done to it.
            filters = _narrowed(filters, agent=None)
    if stores.sources is not None:
        from whence.ask.everywhere import make_merged_timeline

        return make_merged_timeline(
            stores, stores.sources, subject, filters, limit=limit, newest=newest
        )
    index = stores.need("")
    return make_timeline(
        index, stores.reader, subject, filters, limit=limit, newest=newest, note=stores.note
    )


def tell_causality(
    stores: Stores, reference: str, *, depth: int | None, width: int | None, is_wide: bool
) -> "Causality":
    """Tell what led to something and what came of it; see `Log.causality`."""
    from whence.ask.causality import make_causality

    subject = find_subject(stores, reference)
    return make_causality(stores, subject, depth=depth, width=width, is_wide=is_wide)


def find_moment(
    look: Callable[[], Stores],
    phrase: str,
    *,
    agent: str | None,
    target: str | None,
    now: int,
    zone: tzinfo,
) -> int:
    """Read a time phrase, with a `look` into the stores where it needs one; see `Log.moment`."""
    from whence.ask.times import LastType, Moment, finish_phrase, parse_phrase

    asked = parse_phrase(phrase, now, zone, _find_zone)
    if isinstance(asked, Moment):
        return asked.ns
    stores = look()
    if stores.sources is None:
        stores.need(phrase)
    if isinstance(asked, LastType):
        times = _times_of(stores, Query(agent=agent, target=target), asked.types, asked.back)
        if target is not None and len(times) < asked.back:
            times = _times_of(stores, Query(agent=agent), asked.types, asked.back)
    else:
        times = _times_of(stores, Query(target=clean_target(asked.target)), asked.types, 1)
    try:
        return finish_phrase(asked, times).ns
    except NotFoundError as error:
        by = f" by {agent}" if agent is not None and isinstance(asked, LastType) else ""
        raise NotFoundError(f"time {phrase!r}: {error}{by}") from error


def _find_zone(name: str) -> tzinfo | None:
    # Most phrases name no zone.
    from whence.ask.zones import find_zone

    return find_zone(name)


def _find_named(stores: Stores, kind: Literal["target", "agent"], name: str) -> Subject:
    if stores.sources is None:
        return resolve_name(stores.need(name), kind, name)
    from whence.ask.anywhere import resolve_name_anywhere

    return resolve_name_anywhere(stores.index, stores.sources, kind, name)


def _times_of(stores: Stores, query: Query, types: Iterable[str], newest: int) -> list[int]:
    """The times of the newest events of each of these types, each moment once."""
    found: set[int] = set()
    for kind in types:
        wanted = _spelt(stores, _narrowed(clean_query(query), type=kind))
        for times in _newest_times(stores, wanted):
            moments = (moment for moment, _ in groupby(times))
            found.update(islice(moments, newest))
    return sorted(found)


def _spelt(stores: Stores, query: Query) -> list[Query]:
    return [query] if stores.sources is None else stores.sources.spell(query)


def _newest_times(stores: Stores, queries: list[Query]) -> Iterator[Iterator[int]]:
    """The times of such events, newest first: those of the journal, and those of sources."""
    if stores.index is not None:
        for query in queries:
            yield (row.time for row in stores.index.find(query, newest_first=True))
    if stores.sources is not None:
        from whence.ask.facts import Recorded

        recorded = Recorded(stores, queries)
        told = stores.sources.events(queries, newest_first=True)
        yield (event.time_ns for event in told if not recorded.is_live(event))


def _narrowed(query: Query, **fields: str | None) -> Query:
    return msgspec.structs.replace(query, **fields)
