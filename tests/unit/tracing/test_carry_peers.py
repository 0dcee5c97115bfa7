"""OpenTelemetry's own propagators read what is written here, and the other way round."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import whence
from whence.recorder.headers import Entry, format_baggage, parse_baggage
from whence.tracing import carry
from whence.tracing.ids import join, span_id_of, trace_id_of

_contexts = TraceContextTextMapPropagator()
_baggage = W3CBaggagePropagator()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[whence.Log]:
    with whence.open(tmp_path / "log") as log:
        yield log


def test_they_read_what_we_write(log: whence.Log) -> None:
    headers: dict[str, str] = {}
    with log.span("client.outer") as outer, log.span("client.call") as call:
        carry.inject(headers, log=log)

    found = trace.get_current_span(_contexts.extract(headers)).get_span_context()
    assert found.is_valid
    assert found.is_remote
    assert trace.format_trace_id(found.trace_id) == trace_id_of(outer.id)
    assert trace.format_span_id(found.span_id) == span_id_of(call.id)
    assert found.trace_flags.sampled
    assert found.trace_state["whence"] == call.id


def test_we_read_what_they_write(log: whence.Log) -> None:
    headers: dict[str, str] = {}
    with TracerProvider().get_tracer("x").start_as_current_span("theirs") as span:
        _contexts.inject(headers)
        theirs = span.get_span_context()

    with carry.extract(headers, log=log) as cause:
        assert cause == join(
            trace.format_trace_id(theirs.trace_id), trace.format_span_id(theirs.span_id)
        )


def test_through_them_our_event_is_found_again(log: whence.Log) -> None:
    """A service that only they trace stands between two of ours."""
    headers: dict[str, str] = {}
    with log.span("client.call") as call:
        carry.inject(headers, log=log)
    onward: dict[str, str] = {}
    provider = TracerProvider().get_tracer("x")
    with provider.start_as_current_span("between", context=_contexts.extract(headers)):
        _contexts.inject(onward)

    assert onward["traceparent"] != headers["traceparent"]
    with carry.extract(onward, log=log) as cause:
        assert cause == call.id


values = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(key=st.from_regex(r"[a-zA-Z][a-zA-Z0-9._-]{0,10}", fullmatch=True), value=values)
def test_baggage_goes_both_ways(key: str, value: str) -> None:
    headers: dict[str, str] = {}
    _baggage.inject(headers, baggage.set_baggage(key, value))
    # They write a space as a plus, as forms do; the specification has percent-encoding alone.
    told = {
        entry.key: entry.value for entry in parse_baggage(headers["baggage"].replace("+", "%20"))
    }
    assert told == {key: value}

    ours = format_baggage([Entry(key, value)])
    assert baggage.get_all(_baggage.extract({"baggage": ours})) == {key: value.strip()}
