"""What a reference means where sources are asked besides the journal.

The rules are those of `references`: exact names first, then ids, then parts of ids; what is ambiguous
is refused with its candidates, each with where it stands.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Literal

import msgspec

from whence.ask.asked import Sources
from whence.ask.phrases import shorten
from whence.ask.references import (
    CANDIDATES_MAX,
    LAST,
    LOOKED_AT_MAX,
    PART_MIN,
    Subject,
    describe_row,
    find_near,
    is_channel,
    making_of,
    resolve,
    resolve_name,
)
from whence.errors import NotFoundError
from whence.event import ID_BYTES_MAX
from whence.index import Index
from whence.query import Query, clean_target
from whence.sources.source import NameKind, SourceEvent

_NAMES_OFFERED = 5
_TARGET: tuple[NameKind, ...] = ("target",)
_AGENT: tuple[NameKind, ...] = ("agent",)
_BOTH = _TARGET + _AGENT


def resolve_anywhere(
    index: Index | None, sources: Sources, reference: str, query: Query
) -> Subject:
    """Find out what a reference means, in the journal or in a source.

    Raises:
        NotFoundError: it means nothing, or several things; `candidates` says what it may mean.
    """
    text = reference.strip()
    if text == LAST:
        return _last(index, sources, query)
    return _spelt(sources, _resolve(index, sources, text, query))


def _resolve(index: Index | None, sources: Sources, text: str, query: Query) -> Subject:
    recorded = _in_journal(index, text, query)
    named = _by_name(index, sources, text, sources.has_name)
    if recorded is not None and recorded.event is None and recorded.kind != "trace":
        return _widen(recorded, named)
    if named is not None:
        return named
    told = _by_id(sources, text)
    if recorded is not None and not told:
        return recorded
    if recorded is None and len(told) == 1:
        return Subject(kind="event", name=told[0].id, told=told[0])
    if not told:
        spelt = _by_name(index, sources, text, partial(_is_known, index, sources))
        if spelt is not None:
            return spelt
        raise _unknown(index, sources, text)
    also = [describe_row(recorded.event)] if recorded is not None and recorded.event else []
    size = len(also) + len(told)
    several = f"{size}" if len(told) < LOOKED_AT_MAX else f"{size} or more"
    raise NotFoundError(
        f"{shorten(text, 80)!r} is ambiguous: {several} events have such an id",
        [*also, *map(describe, told)][:CANDIDATES_MAX],
        is_ambiguous=True,
        more=max(size - CANDIDATES_MAX, 0),
    )


def resolve_name_anywhere(
    index: Index | None, sources: Sources, kind: Literal["target", "agent"], name: str
) -> Subject:
    """Find a target or an agent where it is known which of the two is meant."""
    text = clean_target(name.strip()) if kind == "target" else name.strip()
    is_told = _is_known(index, sources, kind, text)
    # An agent that a source knows to have done something is one, whatever the journal says of its making.
    if index is not None and not (is_told and kind == "agent"):
        with suppress(NotFoundError):
            return _spelt(sources, resolve_name(index, kind, name))
    if not is_told:
        if kind == "agent" and next(sources.events(making_of(text)), None) is not None:
            return _spelt(sources, Subject(kind="target", name=text))
        raise _unknown(index, sources, text, kind)
    is_channel = kind == "target" and _is_channel(index, sources, text)
    return _spelt(sources, Subject(kind=kind, name=text, is_channel=is_channel))


def _spelt(sources: Sources, subject: Subject) -> Subject:
    """The subject with the other ways to write its name."""
    kinds = {"target": _TARGET, "agent": _AGENT, "both": _BOTH}.get(subject.kind, ())
    several = [each for kind in kinds for each in sources.spellings(kind, subject.name)]
    also = tuple(each for each in dict.fromkeys(several) if each != subject.name)
    return msgspec.structs.replace(subject, also=also) if also else subject


def _is_known(index: Index | None, sources: Sources, kind: NameKind, text: str) -> bool:
    """Whether a source knows that target or agent, or the journal by another way to write it."""
    _, *also = sources.spellings(kind, text)
    if index is not None:
        has = index.has_target if kind == "target" else index.has_agent
        if any(map(has, also)):
            return True
    return any(sources.has_name(kind, each) for each in (text, *also))


def describe(event: SourceEvent) -> str:
    """Say which event of which source a candidate is, on one line."""
    words = " ".join(filter(None, (event.primitive, event.type, event.target)))
    return f"{event.id} ({shorten(words, 120)}, {event.time[:19]}Z, in {event.source})"


def _in_journal(index: Index | None, text: str, query: Query) -> Subject | None:
    """What the journal takes a reference for; None where it knows nothing of the kind."""
    if index is None:
        return None
    try:
        return resolve(index, text, query)
    except NotFoundError as error:
        if error.is_ambiguous:
            raise
        return None


def _last(index: Index | None, sources: Sources, query: Query) -> Subject:
    recorded = _in_journal(index, LAST, query)
    told = next(sources.events([query], newest_first=True), None)
    if told is not None and (recorded is None or recorded.event is None):
        return Subject(kind="event", name=told.id, told=told)
    if recorded is None or recorded.event is None:
        raise NotFoundError("there is no last event: nothing is there that fits")
    if told is not None and told.time_ns > recorded.event.time:
        return Subject(kind="event", name=told.id, told=told)
    return recorded


def _widen(recorded: Subject, told: Subject | None) -> Subject:
    """A name of the journal that may be a name of the other kind in a source."""
    if told is None or told.kind == recorded.kind or recorded.kind == "both":
        return recorded
    is_channel = recorded.is_channel or told.is_channel
    return Subject(kind="both", name=recorded.name, is_channel=is_channel)


def _by_name(
    index: Index | None, sources: Sources, text: str, is_known: Callable[[NameKind, str], bool]
) -> Subject | None:
    target = clean_target(text)
    if not target:
        return None
    is_agent = is_known("agent", text)
    if is_known("target", target):
        kind: Literal["both", "target"] = "both" if is_agent else "target"
        return Subject(kind=kind, name=target, is_channel=_is_channel(index, sources, target))
    return Subject(kind="agent", name=text) if is_agent else None


def _is_channel(index: Index | None, sources: Sources, target: str) -> bool:
    names = sources.spellings("target", target)
    first = next(sources.events([Query(target=name) for name in names]), None)
    if first is not None:
        return first.primitive == "bridge"
    return index is not None and any(is_channel(index, name) for name in names)


def _by_id(sources: Sources, text: str) -> list[SourceEvent]:
    if not text or len(text) > ID_BYTES_MAX:
        return []
    whole = sources.with_id(text)
    if whole or len(text) < PART_MIN:
        return whole
    found = sources.matching(text, LOOKED_AT_MAX)
    row = _find_row(found)
    # What else matches would be another row's.
    return found if row is None or len(found) >= LOOKED_AT_MAX else [row]


def _find_row(events: list[SourceEvent]) -> SourceEvent | None:
    """The event that a row's others derive from, as `ID/claim` does from `ID`; None if they are of several."""
    first = min(events, key=lambda event: len(event.id), default=None)
    if first is None:
        return None
    are_its = (
        each.source == first.source and (each.id == first.id or each.id.startswith(f"{first.id}/"))
        for each in events
    )
    return first if all(are_its) else None


def _unknown(
    index: Index | None, sources: Sources, text: str, kind: Literal["target", "agent"] | None = None
) -> NotFoundError:
    kinds: tuple[Literal["target", "agent"], ...] = (kind,) if kind else ("target", "agent")
    names: dict[str, str] = {}
    for each in kinds:
        for name in find_near(text, _names(index, sources, each)):
            names.setdefault(name, each)
    near = find_near(text, names)[:_NAMES_OFFERED]
    what = f"no {kind} is called" if kind else "nothing is called"
    shown = [name if kind else f"{shorten(name, 120)} ({names[name]})" for name in near]
    return NotFoundError(f"{what} {shorten(text, 80)!r}", shown)


def _names(
    index: Index | None, sources: Sources, kind: Literal["target", "agent"]
) -> Iterator[str]:
    recorded: list[str] = []
    if index is not None:
        recorded = index.targets() if kind == "target" else index.agents()
    return chain(recorded, sources.names(kind))
