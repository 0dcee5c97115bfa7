"""One timeline over the journal and the sources: merged by time, the same fact told once.

The journal's part is what `timeline` tells. Of a source it is what happened on the target and what the store
calls below it, what the agent did, or everything; of an event what led to it directly and what came of it
directly, for a chain of commits or prompts is the story of everything.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import msgspec

from whence.ask.asked import TARGETS_MAX, Called, Sources
from whence.ask.facts import Recorded
from whence.ask.merge import merge_by_time
from whence.ask.phrases import View, phrase, title_of
from whence.ask.references import Subject
from whence.ask.stores import Stores
from whence.ask.subtasks import CREATE, NamedParents
from whence.ask.timeline import COUNTED_MAX, Rows, Timeline, TimelineRow, make_timeline, view_of
from whence.index import Index
from whence.query import Query, matches
from whence.sources.source import SourceEvent, by_time


def make_merged_timeline(
    stores: Stores,
    sources: Sources,
    subject: Subject | None,
    query: Query,
    *,
    limit: int | None,
    newest: bool,
) -> Timeline:
    """As `make_timeline`, with what the sources tell; the first rows come before the last are read."""
    parts = _split(stores, sources, subject)
    queries = sources.spell(query)
    view = View(name_of=Called(sources))
    live = partial(_live_part, stores, parts, queries, view, newest=newest)
    tell = partial(_tell_new, stores, sources, subject, parts, queries, view, newest_first=newest)
    if limit is None:
        recorded = live(None)
        rows = Rows(lambda: tell(recorded.rows, newest_first=False))
        return Timeline(subject=subject, title=_title(sources, recorded, subject), rows=rows)
    probe = limit + COUNTED_MAX
    recorded = live(probe)
    first = list(recorded.rows)[::-1] if newest else recorded.rows
    found = list(islice(tell(first), probe))
    kept = found[:limit]
    return Timeline(
        subject=subject,
        title=_title(sources, recorded, subject),
        rows=Rows(lambda: kept[::-1] if newest else kept),
        more=recorded.more + len(found) - len(kept),
        more_is_exact=recorded.more_is_exact and len(found) < probe,
    )


def _split(stores: Stores, sources: Sources, subject: Subject | None) -> list[Subject | None]:
    """A subject by each of its names and, of a task, all whose stories are part of its own.

    Subtasks are those of the journal and of the sources. All together they are at most `TARGETS_MAX`, the nearest; if there are more, that is noted.
    """
    if subject is None:
        return [None]
    replace = msgspec.structs.replace
    parts = {name: replace(subject, name=name, also=()) for name in subject.names}
    if subject.is_channel or subject.kind not in ("target", "both"):
        return list(parts.values())
    waiting = deque(parts)
    named, since = NamedParents(stores), _made_at(sources, subject)
    while waiting:
        each = waiting.popleft()
        naming = () if since is None else named.below(each, since)
        for name in [
            *sources.below(each),
            *_live_below(stores.index, each),
            *(row.target for row in naming if row.target is not None),
        ]:
            if name in parts:
                continue
            if len(parts) == TARGETS_MAX:
                stores.note(
                    f"{subject.name} has more than {TARGETS_MAX - 1:,} subtasks: "
                    "what happened to the others may not be shown"
                )
                return list(parts.values())
            parts[name] = Subject(kind="target", name=name)
            waiting.append(name)
    return list(parts.values())


def _made_at(sources: Sources, subject: Subject) -> int | None:
    """When a source says that the task was created."""
    queries = [Query(target=name, type=CREATE) for name in subject.names]
    created = next(sources.events(queries), None)
    return None if created is None else created.time_ns


def _live_below(index: Index | None, target: str) -> Iterator[str]:
    """The tasks whose creation the journal says that of this one caused."""
    if index is None or not index.has_target(target):
        return
    created = index.find(Query(target=target, type=CREATE), limit=TARGETS_MAX)
    for row in index.children([row.seq for row in created]):
        if row.type == CREATE and row.target is not None:
            yield row.target


def _live_part(
    stores: Stores,
    parts: list[Subject | None],
    queries: list[Query],
    view: View,
    limit: int | None,
    *,
    newest: bool,
) -> Timeline:
    """What the journal has to tell, at most so many events of it and each once."""
    index = stores.index
    if index is None:
        return Timeline(subject=None, title="", rows=Rows())
    stories = [
        make_timeline(
            index,
            stores.reader,
            part,
            query,
            limit=limit,
            newest=newest,
            note=stores.note,
            view=view,
        )
        for part in parts
        if part is None or (part.told is None and _is_live(index, part))
        for query in queries
    ]
    if len(stories) == 1:
        return stories[0]
    return Timeline(
        subject=None,
        title=next((story.title for story in stories if story.title), ""),
        rows=Rows(lambda: _once(merge_by_time([story.rows for story in stories], _time_of))),
        more=sum(story.more for story in stories),
        more_is_exact=not any(story.more for story in stories),
    )


def _is_live(index: Index, part: Subject) -> bool:
    """Whether the journal may have something to tell of a part of a story."""
    is_agent = part.kind in ("agent", "both") and index.has_agent(part.name)
    is_target = part.kind in ("target", "both") and index.has_target(part.name)
    return is_agent or is_target or part.kind in ("event", "trace")


def _once(rows: Iterable[TimelineRow]) -> Iterator[TimelineRow]:
    """Leave repeats out: a subtask's story is part of its task's."""
    met: set[str] = set()
    for row in rows:
        if row.event.id not in met:
            met.add(row.event.id)
            yield row


def _tell_new(
    stores: Stores,
    sources: Sources,
    subject: Subject | None,
    parts: list[Subject | None],
    queries: list[Query],
    view: View,
    recorded: Iterable[TimelineRow],
    *,
    newest_first: bool,
) -> Iterator[TimelineRow]:
    """What was recorded, and what else the sources have to tell; whether it is new is asked when it is its turn."""
    if subject is not None and subject.told is not None:
        # Here the journal tells nothing, so all that the source does is new.
        around = _around(sources, subject.told)
        shown = [event for event in around if any(matches(query, event) for query in queries)]
        for event in sorted(shown, key=by_time, reverse=newest_first):
            yield TimelineRow(event, phrase(event, view))
        return
    wanted = [each for part in parts for query in queries for each in _queries(part, query)]
    live = Recorded(stores, wanted)
    told = sources.events(wanted, newest_first=newest_first)
    streams: list[Iterable[TimelineRow | SourceEvent]] = [recorded, told]
    for each in merge_by_time(streams, _time_of, newest_first=newest_first):
        if isinstance(each, TimelineRow):
            yield each
        elif not live.is_live(each):
            yield TimelineRow(each, phrase(each, _view_of(subject, each, view)))


def _view_of(subject: Subject | None, event: SourceEvent, view: View) -> View:
    """Where the reader of a timeline stands, by the name that the event bears."""
    if subject is None or not subject.also:
        return view_of(subject, view)
    here = event.agent if subject.kind == "agent" else event.target
    name = here if here is not None and here in subject.names else subject.name
    return view_of(msgspec.structs.replace(subject, name=name), view)


def _queries(part: Subject | None, query: Query) -> list[Query]:
    """The questions that together give what sources have of a subject."""
    if part is None:
        return [query]
    narrow = partial(msgspec.structs.replace, query)
    queries: list[Query] = []
    if part.kind in ("target", "both") and query.target in (None, part.name):
        queries.append(narrow(target=part.name))
    if part.kind in ("agent", "both") and query.agent in (None, part.name):
        queries.append(narrow(agent=part.name))
    if part.kind == "trace" and query.trace in (None, part.name):
        queries.append(narrow(trace=part.name))
    return queries


def _around(sources: Sources, event: SourceEvent) -> list[SourceEvent]:
    """What led to an event, the event, and what came of it, one step each way, by what its source says."""
    near = [
        *sources.parents(event),
        *(tie.event for tie in sources.causes(event)),
        *sources.children(event),
        *(tie.event for tie in sources.effects(event)),
    ]
    return list({each.id: each for each in [event, *near]}.values())


def _title(sources: Sources, recorded: Timeline, subject: Subject | None) -> str:
    """What the event that created the target calls it, wherever that stands; what an event says."""
    if subject is not None and subject.told is not None:
        return phrase(subject.told)
    if recorded.title or subject is None or subject.kind not in ("target", "both"):
        return recorded.title
    events = sources.events([Query(target=name) for name in subject.names])
    # What made it stands at its beginning; the rest of a busy channel is not read for its title.
    first = islice(events, COUNTED_MAX)
    made = (event for event in first if event.type.startswith("create"))
    title = next((title_of(event) for event in made), "")
    # A channel is called by its name already.
    return "" if title == subject.name else title


def _time_of(told: TimelineRow | SourceEvent) -> str:
    return told.event.time if isinstance(told, TimelineRow) else told.time
