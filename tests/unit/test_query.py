"""A query means one thing, whoever answers it: what `matches` says."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import events, names, times_ns
from whence.event import OWN, Event, format_time
from whence.line import decode_line, encode_event
from whence.query import Query, clean_target, event_as_json, matches

FIELDS = ["target", "agent", "primitive", "type", "parent", "status"]

EVENT = Event(
    id="id-1",
    time="2026-11-20T19:27:35.104233123Z",
    primitive="ops",
    type="claim_task",
    agent="haiku-1",
    target="task-1",
    parent="id-0",
    trace="root-1",
    status="error",
    duration=5,
    links=("id-8", "id-9"),
    w="k3f9a2c81qzm",
    n=3,
    salt="A" * 24,
    payload=msgspec.Raw(b'{"key":[1,2]}'),
)


@given(events())
def test_a_query_that_asks_for_nothing_matches_all_but_housekeeping(event: Event) -> None:
    assert matches(Query(), event) == (event.primitive != OWN)
    assert matches(Query(own=True), event)


@given(events(), st.sets(st.sampled_from(FIELDS)))
def test_an_event_matches_its_own_fields(event: Event, fields: set[str]) -> None:
    query = Query(own=True, **{name: getattr(event, name) for name in fields})

    assert matches(query, event)


@given(events(), st.sampled_from(FIELDS), names)
def test_an_event_matches_no_other_value(event: Event, field: str, other: str) -> None:
    wanted: dict[str, Any] = {field: other}

    assert matches(Query(own=True, **wanted), event) == (getattr(event, field) == other)


def test_every_condition_has_to_hold() -> None:
    assert matches(Query(agent="haiku-1", target="task-1", primitive="ops", status="error"), EVENT)
    for field in FIELDS:
        wanted: dict[str, Any] = {name: getattr(EVENT, name) for name in FIELDS}
        assert not matches(Query(**wanted | {field: "other"}), EVENT)


def test_an_absent_field_matches_no_value() -> None:
    bare = msgspec.structs.replace(EVENT, agent=None)

    assert not matches(Query(agent="None"), bare)
    assert not matches(Query(agent=""), bare)


def test_a_root_belongs_to_its_own_trace() -> None:
    root = msgspec.structs.replace(EVENT, id="root-1", trace=None, parent=None)

    assert matches(Query(trace="root-1"), root)
    assert matches(Query(trace="root-1"), EVENT)
    assert not matches(Query(trace="id-0"), EVENT)


@given(times_ns, times_ns, times_ns)
def test_a_window_holds_its_start_and_not_its_end(time: int, since: int, until: int) -> None:
    event = msgspec.structs.replace(EVENT, time=format_time(time))

    assert matches(Query(since=since), event) == (since <= time)
    assert matches(Query(until=until), event) == (time < until)
    assert matches(Query(since=since, until=until), event) == (since <= time < until)
    assert matches(Query(since=time), event)
    assert not matches(Query(until=time), event)


def test_housekeeping_is_shown_when_asked_for() -> None:
    own = msgspec.structs.replace(EVENT, primitive=OWN)

    assert not matches(Query(agent="haiku-1"), own)
    assert matches(Query(agent="haiku-1", own=True), own)
    assert matches(Query(primitive=OWN), own)


@pytest.mark.parametrize(
    ("text", "stored"),
    [("#payments", "payments"), ("payments", "payments"), ("#", "#"), ("a#b", "a#b"), ("", "")],
)
def test_a_channel_is_stored_without_its_mark(text: str, stored: str) -> None:
    assert clean_target(text) == stored


def test_an_event_for_programs_has_the_keys_of_its_line_in_their_order() -> None:
    assert json.dumps(event_as_json(EVENT), separators=(",", ":")).encode() == encode_event(EVENT)


@given(events())
def test_an_event_for_programs_is_its_line_decoded(event: Event) -> None:
    line = json.loads(encode_event(event))

    shown = event_as_json(event)

    assert json.loads(json.dumps(shown)) == line
    assert list(shown) == list(line)


def test_a_payload_that_is_null_differs_from_one_that_is_gone() -> None:
    null = msgspec.structs.replace(EVENT, payload=msgspec.Raw(b"null"))
    gone = msgspec.structs.replace(EVENT, salt=None, payload=msgspec.Raw(b""), commit="A" * 43)

    assert event_as_json(null)["data"] is None
    assert "data" not in event_as_json(gone)
    assert decode_line(encode_event(gone)) == gone
