"""What the tests of OpenTelemetry share: a provider that records to a log and to memory at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.unit.recorder.recording import read_events
from whence.event import Event, parse_time
from whence.log import Log
from whence.tracing.foreign import id_of
from whence.tracing.otel import WhenceSpanProcessor


@contextmanager
def provider_in(
    log: Log, processor: SpanProcessor | None = None, **options: Any
) -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """A provider whose spans go to `log`, and to memory, which tells what they were."""
    provider = TracerProvider(shutdown_on_exit=False, **options)
    memory = InMemorySpanExporter()
    provider.add_span_processor(processor or WhenceSpanProcessor(log))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    try:
        yield provider, memory
    finally:
        provider.shutdown()


def compare(folder: Path, spans: Sequence[ReadableSpan]) -> dict[str, Event]:
    """Check that the journal tells exactly these spans; return its events by id."""
    events = {
        event.id: event
        for event in read_events(folder)
        if (event.primitive, event.type) != ("span", "open")
    }
    wanted = {id_of(span.context): span for span in spans}
    assert len(wanted) == len(spans)
    assert events.keys() == wanted.keys()
    for event_id, span in wanted.items():
        compare_one(events[event_id], span)
    return events


def compare_one(event: Event, span: ReadableSpan) -> None:
    """Check that an event says all that a span says."""
    data = event.data
    otel = data["otel"]
    assert event.parent == (None if span.parent is None else id_of(span.parent))
    assert event.time_ns == span.start_time
    assert span.end_time is not None
    assert event.duration == span.end_time - (span.start_time or 0)
    assert event.status == ("error" if span.status.status_code.name == "ERROR" else "success")
    assert otel.get("status") == ("OK" if span.status.status_code.name == "OK" else None)
    assert otel.get("status_description") == span.status.description
    assert otel["kind"] == span.kind.name
    name = f"{event.primitive}.{event.type}"
    assert span.name == otel.get("name", name.removeprefix("span."))
    assert data.get("attributes", {}) == _as_json(span.attributes)
    assert otel["resource"].get("attributes", {}) == _as_json(span.resource.attributes)
    scope = span.instrumentation_scope
    assert scope is not None
    assert otel["scope"].get("name", "") == scope.name
    assert otel["scope"].get("version", "") == (scope.version or "")
    assert [
        (each["name"], parse_time(each["time"]), each.get("attributes", {}))
        for each in otel.get("events", [])
    ] == [(each.name, each.timestamp, _as_json(each.attributes)) for each in span.events]
    assert list(event.links) == [id_of(link.context) for link in span.links]
    attributes = {link["id"]: link["attributes"] for link in otel.get("links", [])}
    for link in span.links:
        assert attributes.get(id_of(link.context), {}) == _as_json(link.attributes)


def _as_json(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Attributes as JSON has them: a sequence is a list."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in (attributes or {}).items()
    }
