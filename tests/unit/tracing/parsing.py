"""OTLP in JSON read by the messages of opentelemetry-proto, as a collector reads it."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

_IDS = ("traceId", "spanId", "parentSpanId")


def parse_requests(lines: Iterable[str]) -> list[tuple[ResourceSpans, ScopeSpans, Span]]:
    """Every span of some requests, with what is around it; an unknown field fails the test."""
    found = []
    for line in lines:
        request = ParseDict(_with_base64(json.loads(line)), ExportTraceServiceRequest())
        # As it goes over the wire.
        request = ExportTraceServiceRequest.FromString(request.SerializeToString())
        found += [
            (resource, scope, span)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    return found


def as_dict(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: as_value(pair.value) for pair in pairs}


def as_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    told = getattr(value, kind)
    if kind == "array_value":
        return tuple(as_value(each) for each in told.values)
    if kind == "kvlist_value":
        return as_dict(told.values)
    return told


def _with_base64(value: Any) -> Any:
    """Ids in base64, which protobuf's JSON has where OTLP has hex."""
    if isinstance(value, list):
        return [_with_base64(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(each)).decode() if key in _IDS else _with_base64(each)
        for key, each in value.items()
    }
