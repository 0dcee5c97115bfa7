"""Somebody else's span as the event that it becomes: OpenTelemetry's, read by its attributes. Pure.

Nothing is lost: attributes stay under `attributes` as they were given, and what an event has no
place for (kind, resource, scope, events, links with attributes, what was dropped) stays under `otel`.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from whence.event import OWN, Status, format_time
from whence.line import NUMBER_MAX
from whence.query import LAYERS
from whence.recorder.headers import ours_in
from whence.recorder.payload import Cut
from whence.tracing.conventions import NAME_MAX, read
from whence.tracing.ids import join, span_id_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

_LINKS_MAX = 500
"""So many stand in an envelope; all of them in the payload."""

_STACK_MAX = 8_000
_TOLD_MAX = 200
# `GET /v1.0/users` and `example.com:443` hold a dot, but name no operation of a layer.
_LAYERED = re.compile(r"([^\W\d][\w-]*)\.([^\s/:]+)").fullmatch


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A span as an event: what its envelope says, and its payload."""

    id: str
    time_ns: int
    duration_ns: int
    primitive: str
    type: str
    agent: str | None
    target: str | None
    parent: str | None
    status: Status
    links: tuple[str, ...]
    data: dict[str, Any]


def tell_span(span: "ReadableSpan") -> Told:
    """Tell a span, also one that has not ended yet."""
    attributes = _plain(span.attributes)
    primitive, type = split_name(span.name)
    status: Status = "error" if span.status.status_code.name == "ERROR" else "success"
    said = read(attributes)
    data = said.usage
    if attributes:
        data["attributes"] = attributes
    if status == "error":
        data["error"] = _error(span)
    data["otel"] = _rest(span, f"{primitive}.{type}")
    start = span.start_time or 0
    end = span.end_time if span.end_time is not None else start
    return Told(
        id=id_of(span.context),
        time_ns=start,
        # What a clock that was set back in between gives is no duration.
        duration_ns=min(max(end - start, 0), NUMBER_MAX),
        primitive=primitive,
        type=type,
        agent=said.agent,
        target=said.target,
        parent=None if span.parent is None else parent_of(span.parent),
        status=status,
        links=tuple(parent_of(link.context) for link in span.links[:_LINKS_MAX]),
        data=data,
    )


def id_of(context: "SpanContext") -> str:
    """The id of the event that a span becomes."""
    return join(f"{context.trace_id:032x}", f"{context.span_id:016x}")


def parent_of(context: "SpanContext") -> str:
    """The id of the event that caused a span: ours by its whole id, where the caller sent that."""
    if context.is_remote:
        ours = ours_in(tuple(context.trace_state.items()))
        # A caller between us and that span passes the member on, but is itself the parent.
        if ours is not None and span_id_of(ours) == f"{context.span_id:016x}":
            return ours
    return id_of(context)


def split_name(name: str) -> tuple[str, str]:
    """The primitive and type of a span's name: its layer and operation, or `span` and all of it."""
    text = str(name).encode("utf-8", "replace").decode().strip()
    found = _LAYERED(text[:NAME_MAX])
    if found is not None and found[1] != OWN:
        return LAYERS.get(found[1], found[1]), found[2]
    return "span", text[:NAME_MAX] or "step"


def _rest(span: "ReadableSpan", name: str) -> dict[str, Any]:
    """What an event has no place for; only what says something."""
    rest: dict[str, Any] = {"kind": span.kind.name}
    if span.name not in (name, name.removeprefix("span.")):
        rest["name"] = span.name
    status = span.status
    if status.status_code.name == "OK":
        rest["status"] = "OK"
    if status.description:
        rest["status_description"] = status.description
    if span.context is not None and span.context.trace_state:
        rest["trace_state"] = dict(span.context.trace_state)
    if span.events:
        rest["events"] = [_event(event) for event in span.events]
    if span.links:
        rest["links"] = _links(span)
    dropped = {
        "attributes": span.dropped_attributes,
        "events": span.dropped_events,
        "links": span.dropped_links,
    }
    if any(dropped.values()):
        rest["dropped"] = dropped
    rest["resource"] = _known(span.resource, _resource)
    if span.instrumentation_scope is not None:
        rest["scope"] = _known(span.instrumentation_scope, _scope)
    return rest


_told: dict[int, tuple[object, dict[str, Any]]] = {}


def _known(thing: Any, tell: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """What `tell` says of a resource or a scope, which many spans share, told once."""
    kept = _told.get(id(thing))
    # The thing is kept too, so that its number stays its own.
    if kept is None:
        if len(_told) >= _TOLD_MAX:
            _told.clear()
        kept = _told[id(thing)] = (thing, tell(thing))
    return kept[1]


def _resource(resource: Any) -> dict[str, Any]:
    said = {"schema_url": resource.schema_url, "attributes": _plain(resource.attributes)}
    return {key: value for key, value in said.items() if value}


def _event(event: Any) -> dict[str, Any]:
    told = {"name": event.name, "time": _time(event.timestamp)}
    attributes = _plain(event.attributes)
    return {**told, "attributes": attributes} if attributes else told


def _links(span: "ReadableSpan") -> list[dict[str, Any]]:
    """The links of which an envelope does not say all."""
    is_told = len(span.links) <= _LINKS_MAX
    return [
        {"id": parent_of(link.context), "attributes": _plain(link.attributes)}
        for link in span.links
        if link.attributes or not is_told
    ]


def _scope(scope: Any) -> dict[str, Any]:
    said = {
        "name": scope.name,
        "version": scope.version,
        "schema_url": scope.schema_url,
        "attributes": _plain(scope.attributes),
    }
    return {key: value for key, value in said.items() if value}


def _error(span: "ReadableSpan") -> dict[str, Any]:
    """What went wrong: the last exception that the span recorded, or what its status says."""
    for event in reversed(span.events):
        attributes = event.attributes or {}
        if event.name == "exception":
            stack = attributes.get("exception.stacktrace")
            said = {
                "type": attributes.get("exception.type"),
                "message": attributes.get("exception.message"),
                "stack": Cut.end(stack, _STACK_MAX) if isinstance(stack, str) else None,
            }
            return {key: value for key, value in said.items() if value is not None}
    kind = (span.attributes or {}).get("error.type")
    said = {"type": kind, "message": span.status.description}
    return {key: value for key, value in said.items() if value is not None}


def _time(ns: int) -> str | int:
    try:
        return format_time(ns)
    except ValueError:
        return ns


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(attributes) if attributes else {}
