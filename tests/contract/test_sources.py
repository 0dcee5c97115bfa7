"""What every source promises, whatever it reads: `whence.sources.source.Source`."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

import tests.contract.sources as folder_of_cases
from tests.contract.sources.case import Case
from whence.errors import CorruptError, StoreError
from whence.query import Query, event_as_json, matches
from whence.sources.source import (
    NameKind,
    Source,
    SourceEvent,
    Spelling,
    Spellings,
    by_time,
)

MODULES = [
    importlib.import_module(f"tests.contract.sources.{found.name}")
    for found in pkgutil.iter_modules(folder_of_cases.__path__)
    if found.name != "case"
]
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
pytestmark = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])

SOME = 12
"""How many events' own values are asked for."""


@pytest.fixture
def source(case: Case, tmp_path: Path) -> Iterator[Source]:
    source = case.make(tmp_path)
    yield source
    source.close()


def list_files(folder: Path) -> dict[Path, bytes]:
    """Every file below the folder; what SQLite keeps for readers only aside."""
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def ask_about(event: SourceEvent) -> list[Query]:
    """Questions that this event is among the answers to, and one that it just misses."""
    queries = [
        Query(since=event.time_ns),
        Query(until=event.time_ns),
        Query(since=event.time_ns, until=event.time_ns + 1),
        Query(primitive=event.primitive),
        Query(type=event.type, since=event.time_ns),
        Query(trace=event.id),
    ]
    if event.agent is not None:
        queries += [Query(agent=event.agent), Query(agent=event.agent, until=event.time_ns)]
    if event.target is not None:
        queries += [Query(target=event.target), Query(target=event.target, agent=event.agent)]
    if event.parent is not None:
        queries.append(Query(parent=event.parent))
    if event.status is not None:
        queries.append(Query(status=event.status))
    return queries


def test_events_come_in_order_of_time(source: Source) -> None:
    events = list(source.events())

    assert events == sorted(events, key=by_time)
    assert len(events) >= 10
    assert len({event.agent for event in events if event.agent}) >= 2
    assert len({event.target for event in events if event.target}) >= 2


def test_the_newest_come_first_if_asked_for(source: Source) -> None:
    assert list(source.events(newest_first=True)) == list(source.events())[::-1]


def test_a_filter_gives_what_filtering_everything_gives(source: Source) -> None:
    events = list(source.events())

    for event in [*events[:SOME], *events[-SOME:]]:
        for query in ask_about(event):
            wanted = [each for each in events if matches(query, each)]
            assert list(source.events(query)) == wanted, query
            assert list(source.events(query, newest_first=True)) == wanted[::-1], query
    for nothing in (Query(agent="nobody"), Query(target="nothing"), Query(type="never", since=0)):
        assert list(source.events(nothing)) == []


def test_each_event_names_its_source_and_is_found_by_its_id(source: Source) -> None:
    events = list(source.events())

    assert {event.source for event in events} == {source.name}
    assert len({event.id for event in events}) == len(events)
    for event in events[:SOME]:
        assert source.event(event.id) == event
        assert event in source.matching(event.id, 10)
    assert source.event("nothing-has-this-id") is None


def test_names_are_those_of_the_events(source: Source) -> None:
    events = list(source.events())

    for kind in ("agent", "target"):
        names = {getattr(event, kind) for event in events} - {None}
        assert set(source.names(kind)) == names
        assert all(source.has_name(kind, name) for name in names)
        assert not source.has_name(kind, "nothing-has-this-name")


def test_an_id_means_what_its_name_means(source: Source) -> None:
    """A source that offers this names no id that an event of its own bears as another name."""
    if not isinstance(source, Spelling):
        pytest.skip("this source's events bear the only names there are")
    kinds: tuple[NameKind, ...] = ("agent", "target")
    met = 0
    for kind in kinds:
        assert source.spellings(kind, "nothing-has-this-name") == Spellings()
        for name in dict.fromkeys(source.names(kind)):
            known = source.spellings(kind, name)
            assert name in (known.names or (name,))
            for each in known.ids:
                met += 1
                assert name in source.spellings(kind, each).names
                assert each == name or not source.has_name(kind, each)
    assert met > 0


def test_causes_and_effects_are_two_ends_of_the_same_tie(source: Source) -> None:
    for event in source.events():
        for tie in source.causes(event):
            assert tie.event.id in [relation.id for relation in event.relations]
            assert (tie.reason, event.id) in [
                (back.reason, back.event.id) for back in source.effects(tie.event)
            ]
        for tie in source.effects(event):
            assert event.id in [relation.id for relation in tie.event.relations]


def test_reading_changes_nothing(case: Case, tmp_path: Path) -> None:
    source = case.make(tmp_path)
    before = list_files(tmp_path)

    list(source.events())
    source.health()
    list(source.raw())
    source.close()

    assert list_files(tmp_path) == before


def test_health_counts_what_there_is(source: Source) -> None:
    events = list(source.events())

    health = source.health()

    assert (health.events, health.problem) == (len(events), "")
    assert health.newest_ns == max(event.time_ns for event in events)
    assert health.not_understood == len(list(source.raw()))


def test_what_the_owner_writes_now_is_seen(case: Case, source: Source, tmp_path: Path) -> None:
    before = list(source.events())

    case.add(tmp_path)

    after = list(source.events())
    assert len(after) > len(before)
    assert [event.id for event in before if event not in after] == []


def test_opened_again_it_tells_the_same(source: Source) -> None:
    before = list(source.events())
    source.close()

    assert list(source.events()) == before


def test_what_is_not_understood_is_kept_and_counted(
    case: Case, source: Source, tmp_path: Path
) -> None:
    if case.spoil is None:
        pytest.skip("this kind of store holds no such rows")
    before, health = list(source.events()), source.health()

    case.spoil(tmp_path)

    assert list(source.events()) == before
    assert source.health().not_understood == health.not_understood + 1
    (*_, row) = source.raw()
    assert row.place
    assert row.problem


def test_a_store_that_is_gone_is_said_to_be(case: Case, tmp_path: Path) -> None:
    source = case.make(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "gone")

    with pytest.raises((StoreError, CorruptError)):
        next(source.events())
    assert source.health().problem
    source.close()


def test_an_event_can_be_laid_out_for_a_program(source: Source) -> None:
    for event in islice(source.events(), SOME):
        keys = json.loads(json.dumps(event_as_json(event)))
        assert (keys["id"], keys["source"]) == (event.id, source.name)
        assert "w" not in keys
        assert keys.get("data") == event.data
