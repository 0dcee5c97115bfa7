"""OTLP as a collector reads it: parsed with opentelemetry-proto's own messages."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, format_trace_id

import whence
from tests.unit.tracing.otelling import provider_in
from tests.unit.tracing.parsing import as_dict, parse_requests
from whence.ask.roots import Rooted
from whence.ask.steps import Step
from whence.event import Event, format_time
from whence.log import Log
from whence.tracing import otlp
from whence.tracing.ids import span_id_of, trace_id_of
from whence.tracing.otel import WhenceSpanProcessor


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return whence.open(tmp_path / "log")


def _exported(log: Log) -> dict[str, tuple[Any, Any, Any]]:
    """What the log gives, by name."""
    return {span.name: (resource, scope, span) for resource, scope, span in _all(log)}


def _all(log: Log) -> list[tuple[Any, Any, Any]]:
    return parse_requests(otlp.encode(log.spans().rooted()))


# -- what came from OpenTelemetry -----------------------------------------------------------------


def test_what_came_from_opentelemetry_goes_back_as_it_came(log: Log) -> None:
    resource = Resource({"service.name": "planner", "n": 3}, "https://example.org/r")
    linked = SpanContext(0xABC, 0xDEF, is_remote=True)
    with provider_in(log, resource=resource) as (provider, memory):
        tracer = provider.get_tracer("scope", "1.0", "https://example.org/s", {"of": "scope"})
        with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as root:
            root.add_event("waits", {"for": "lock", "tries": 3})
            with tracer.start_as_current_span(
                "mem.write", attributes={"a": 1, "b": 1.5, "c": True, "d": ["x", "y"], "e": "f"},
                links=[Link(linked, {"why": "batch"}), Link(linked)],
            ):  # fmt: skip
                pass
            with pytest.raises(KeyError), tracer.start_as_current_span("fails"):
                raise KeyError("x")
            root.set_status(Status(StatusCode.OK))

    spans = memory.get_finished_spans()
    exported = _all(log)
    assert len(exported) == len(spans) == 3
    by_id = {span.span_id.hex(): each for each in exported for span in [each[2]]}
    for span in spans:
        assert span.context is not None
        _check(*by_id[f"{span.context.span_id:016x}"], span)


def _check(resource: Any, scope: Any, told: Any, span: ReadableSpan) -> None:
    assert span.context is not None
    assert span.instrumentation_scope is not None
    assert told.trace_id.hex() == format_trace_id(span.context.trace_id)
    assert told.parent_span_id.hex() == (f"{span.parent.span_id:016x}" if span.parent else "")
    assert told.name == span.name
    assert told.kind == span.kind.value + 1
    assert (told.start_time_unix_nano, told.end_time_unix_nano) == (span.start_time, span.end_time)
    attributes = as_dict(told.attributes)
    ours = {key for key in attributes if key.startswith("whence.")}
    assert {key: attributes[key] for key in attributes.keys() - ours} == dict(span.attributes or {})
    assert told.status.code == {"UNSET": 0, "OK": 1, "ERROR": 2}[span.status.status_code.name]
    assert told.status.message == (span.status.description or "")
    assert [(each.time_unix_nano, each.name, as_dict(each.attributes)) for each in told.events] == [
        (each.timestamp, each.name, dict(each.attributes or {})) for each in span.events
    ]
    assert [(each.trace_id.hex(), each.span_id.hex()) for each in told.links] == [
        (f"{each.context.trace_id:032x}", f"{each.context.span_id:016x}") for each in span.links
    ]
    assert as_dict(resource.resource.attributes) == dict(span.resource.attributes)
    assert resource.schema_url == span.resource.schema_url
    assert (scope.scope.name, scope.scope.version) == ("scope", "1.0")
    assert scope.schema_url == "https://example.org/s"
    assert as_dict(scope.scope.attributes) == {"of": "scope"}


# -- what was recorded here -----------------------------------------------------------------------


def test_steps_and_events_become_spans_of_one_trace(log: Log) -> None:
    root = log.span("altitude.plan", component="a.py", agent="scout", data={"depth": 3})
    with suppress(ZeroDivisionError), root:
        event = log.emit("ops", "create_task", target="task-1", data={"title": "find it"})
        log.emit("ops", "claim", parent=event, data=["not", "an", "object"])
        with log.span("gate") as gate:
            gate.block("not allowed")
        1 / 0  # noqa: B018

    told = _exported(log)
    resource, _, plan = told["altitude.plan"]
    assert as_dict(resource.resource.attributes)["service.name"] == "whence"
    assert {span.trace_id.hex() for _, _, span in told.values()} == {trace_id_of(root.id)}
    assert plan.parent_span_id == b""
    attributes = as_dict(plan.attributes)
    assert attributes["component"] == "a.py"
    assert attributes["depth"] == 3
    assert attributes["gen_ai.agent.name"] == attributes["whence.agent"] == "scout"
    assert plan.status.code == 2
    assert plan.status.message == "division by zero"
    (raised,) = plan.events
    assert raised.name == "exception"
    assert as_dict(raised.attributes)["exception.type"] == "ZeroDivisionError"
    created, claim = told["ops.create_task"][2], told["ops.claim"][2]
    assert created.start_time_unix_nano == created.end_time_unix_nano
    assert created.parent_span_id == plan.span_id
    assert claim.parent_span_id == created.span_id
    assert claim.trace_id == plan.trace_id
    assert as_dict(claim.attributes)["data"] == ("not", "an", "object")
    assert as_dict(told["gate"][2].attributes)["whence.status"] == "blocked"
    assert told["gate"][2].status.code == 0


def test_links_name_the_trace_of_what_they_link(log: Log) -> None:
    with log.span("a.root") as first:
        inner = log.emit("ops", "inner")
    log.emit("ops", "later", links=[inner, "unknown"])

    links = _exported(log)["ops.later"][2].links
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in links] == [
        (trace_id_of(first.id), span_id_of(inner)),
        (trace_id_of("unknown"), span_id_of("unknown")),
    ]


def test_private_events_say_only_that_they_were(log: Log) -> None:
    log.emit("ops", "secret", data={"k": "hidden"}, private=True)

    attributes = as_dict(_exported(log)["ops.secret"][2].attributes)
    assert attributes.keys() == {"whence.id", "whence.private"}


def test_a_span_that_never_ended_is_there_and_the_parent_of_what_happened_inside(log: Log) -> None:
    with provider_in(log, WhenceSpanProcessor(log, at_start=True)) as (provider, _):
        span = provider.get_tracer("x").start_span("memory.write", attributes={"k": 1})
        with log.span("ended.one"):
            pass
        log.recorder.watch.tell(after_ns=0)
        with log.cause(f"{trace_id_of('x')}-{'1' * 16}"):
            pass
    del span

    told = _exported(log)
    assert told.keys() == {"memory.write", "ended.one"}
    assert as_dict(told["memory.write"][2].attributes)["whence.unfinished"] is True
    assert as_dict(told["memory.write"][2].attributes)["k"] == 1


# -- whatever is recorded -------------------------------------------------------------------------


def _rooted(data: Any, **fields: Any) -> Rooted:
    event = Event(
        id=fields.pop("id", "e1"),
        time=format_time(5),
        primitive="p",
        type="t",
        w="w",
        n=1,
        **fields,
    )
    step = Step(id=event.id, event=event, primitive="p", type="t", start=5, age=event.duration)
    return Rooted(step=step, data=data, root="r")


_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**80), 2**80),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=9),
        st.just("\ud800"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
_OTEL_KEYS = [
    "kind", "name", "status", "status_description", "trace_state", "events", "links", "dropped",
    "resource", "scope",
]  # fmt: skip
_KNOWN = st.one_of(
    _JSON,
    st.sampled_from(["SERVER", "OK"]),
    st.just({"attributes": {"a": 1}, "name": "n"}),
    st.just(
        [{"id": "l1", "attributes": {"a": 1}}, {"name": 3, "time": format_time(7)}, {"time": -1}]
    ),
)


@settings(max_examples=150)
@given(
    data=st.one_of(
        _JSON,
        st.fixed_dictionaries(
            {},
            optional={
                "attributes": _JSON,
                "error": _JSON,
                "otel": st.dictionaries(st.sampled_from(_OTEL_KEYS), _KNOWN, max_size=6).map(
                    lambda told: {"kind": "CLIENT"} | told
                ),
            },
        ),
    ),
    status=st.sampled_from([None, "success", "error", "blocked"]),
    duration=st.one_of(st.none(), st.integers(0, 2**63 - 1)),
)
def test_whatever_a_payload_holds_a_collector_reads_it(
    data: Any, status: Any, duration: int | None
) -> None:
    rooted = _rooted(data, status=status, duration=duration, links=("l1",))
    rooted = Rooted(step=rooted.step, data=data, root="r", links=(("l1", "l0"),))

    (_, _, span), *others = parse_requests(otlp.encode([rooted]))

    assert not others
    assert span.span_id.hex() == span_id_of("e1")
    assert as_dict(span.attributes)["whence.id"] == "e1"


def test_values_keep_their_types_and_deep_ones_become_text() -> None:
    deep: Any = {"end": 1}
    for _ in range(80):
        deep = {"d": deep}
    data = {"int": 2**63 - 1, "more": 2**63, "float": 1.0, "none": None, "deep": deep}

    ((_, _, span),) = parse_requests(otlp.encode([_rooted(data)]))

    told = as_dict(span.attributes)
    assert told["int"] == 2**63 - 1
    assert told["more"] == str(2**63)
    assert isinstance(told["float"], float)
    assert told["none"] is None
    level = told["deep"]
    while isinstance(level, dict):
        level = level["d"]
    assert json.loads(level)


def test_a_count_that_protobuf_cannot_hold_is_its_largest() -> None:
    data = {"otel": {"kind": "CLIENT", "dropped": {"attributes": 2**40, "events": -1, "links": 3}}}

    ((_, _, span),) = parse_requests(otlp.encode([_rooted(data)]))

    assert span.dropped_attributes_count == 2**32 - 1
    assert (span.dropped_events_count, span.dropped_links_count) == (0, 3)


def test_a_long_export_is_lines_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "LINE_CHARACTERS_MAX", 10_000)
    steps = [_rooted({"text": "x" * 500}, id=f"e{number}") for number in range(100)]

    lines = list(otlp.encode(iter(steps)))

    assert len(lines) > 5
    assert max(map(len, lines)) < 12_000
    assert [as_dict(span.attributes)["whence.id"] for _, _, span in parse_requests(lines)] == [
        step.step.id for step in steps
    ]


def test_lines_come_while_the_rest_is_not_read_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "LINE_CHARACTERS_MAX", 1_000)
    read: list[int] = []

    def steps() -> Any:
        for number in range(1_000):
            read.append(number)
            yield _rooted({}, id=f"e{number}")

    next(otlp.encode(steps()))

    assert len(read) < 20


def test_nothing_is_no_request() -> None:
    assert list(otlp.encode([])) == []
