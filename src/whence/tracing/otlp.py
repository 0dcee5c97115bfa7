"""Steps as OpenTelemetry sends them: OTLP in JSON. Pure.

Each line is a whole `ExportTraceServiceRequest`, as a collector takes it at `/v1/traces` and as its
file receiver reads them; a line is bounded, so that a journal of any size becomes lines of a size
that servers accept. As "JSON Protobuf Encoding" in the specification of OTLP has it: ids in hex,
64-bit integers as text, enums as numbers.

Events that take no time become spans of no length: others then find them as causes too. What came
from OpenTelemetry goes back as it came, under its own ids.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from whence.ask.roots import Rooted
from whence.event import parse_time
from whence.tracing.ids import span_id_of, trace_id_of

LINE_CHARACTERS_MAX = 2_000_000
"""A line ends when it holds so much; servers take 4 MB or more unless told otherwise."""

_LEVELS_MAX = 16
"""Deeper values become text: parsers of protobuf refuse a hundred levels, and each takes three."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
_OK, _ERROR = 1, 2
_COUNT_MAX = 2**32 - 1
# Kept in the payload where an event has a place for them; everything else of it is attributes.
_TOLD = frozenset(["attributes", "error", "otel"])

Dump = Callable[[Any], str]


def dump_plain(value: Any) -> str:
    """Write a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encode(
    steps: Iterable[Rooted], service: str = "whence", dump: Dump = dump_plain
) -> Iterator[str]:
    """Write steps as requests, one a line. `service` names what recorded them here."""
    request = _Request(dump)
    for rooted in steps:
        request.add(*_place(rooted, service), make_span(rooted))
        if request.size >= LINE_CHARACTERS_MAX:
            yield request.take()
    if request.size:
        yield request.take()


class _Request:
    """One line: spans that are written already, by their resource and their scope."""

    def __init__(self, dump: Dump) -> None:
        self._dump = dump
        self._resources: dict[str, dict[str, list[str]]] = {}
        self.size = 0

    def add(self, resource: Any, scope: Any, span: Any) -> None:
        """Add a span."""
        scopes = self._resources.setdefault(self._dump(resource), {})
        text = self._dump(span)
        scopes.setdefault(self._dump(scope), []).append(text)
        self.size += len(text)

    def take(self) -> str:
        """Give the line, and begin the next."""
        told = ",".join(
            f'{resource[:-1]},"scopeSpans":[{_join_scopes(scopes)}]}}'
            for resource, scopes in self._resources.items()
        )
        self._resources, self.size = {}, 0
        return f'{{"resourceSpans":[{told}]}}'


def _join_scopes(scopes: Mapping[str, list[str]]) -> str:
    return ",".join(
        f'{scope[:-1]},"spans":[{",".join(spans)}]}}' for scope, spans in scopes.items()
    )


def _place(rooted: Rooted, service: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The resource and the scope of a step: those it came with, or the writer here."""
    otel = _otel(rooted.data)
    if otel is None:
        writer = {"service.name": service, "service.instance.id": rooted.step.event.w}
        return {"resource": {"attributes": _pairs(writer)}}, {"scope": {"name": "whence"}}
    resource, scope = _table(otel.get("resource")), _table(otel.get("scope"))
    said = _filled(
        name=_text(scope.get("name")),
        version=_text(scope.get("version")),
        attributes=_pairs(_table(scope.get("attributes"))),
    )
    attributes = _pairs(_table(resource.get("attributes")))
    return (
        {"resource": {"attributes": attributes}}
        | _filled(schemaUrl=_text(resource.get("schema_url"))),
        {"scope": said} | _filled(schemaUrl=_text(scope.get("schema_url"))),
    )


def make_span(rooted: Rooted) -> dict[str, Any]:
    """Lay a step out as a span."""
    step = rooted.step
    event = step.event
    otel = _otel(rooted.data) or {}
    status = _status(rooted, otel)
    start = max(step.start, 0)
    span: dict[str, Any] = {
        "traceId": trace_id_of(rooted.root),
        "spanId": span_id_of(step.id),
        "name": _text(otel.get("name")) or name_of(rooted),
        "kind": _KINDS.get(str(otel.get("kind")), _KINDS["INTERNAL"]),
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + (step.age or 0)),
        "attributes": _pairs(_attributes(rooted)),
        "status": status,
    }
    if event.parent is not None:
        span["parentSpanId"] = span_id_of(event.parent)
    state = ",".join(f"{key}={value}" for key, value in _table(otel.get("trace_state")).items())
    dropped = _table(otel.get("dropped"))
    return span | _filled(
        traceState=state,
        events=_events(rooted, otel, start + (step.age or 0)),
        links=_links(rooted, otel),
        **{
            f"dropped{name.title()}Count": min(_count(dropped.get(name)), _COUNT_MAX)
            for name in ("attributes", "events", "links")
        },
    )


def name_of(rooted: Rooted) -> str:
    """What a step is called: its layer and its operation, or the operation of no layer."""
    step = rooted.step
    return step.type if step.primitive == "span" else f"{step.primitive}.{step.type}"


def _attributes(rooted: Rooted) -> dict[str, Any]:
    """What a step says, under the names it came with; what its envelope says besides."""
    step, event = rooted.step, rooted.step.event
    data = rooted.data if isinstance(rooted.data, dict) else _filled(data=rooted.data)
    if _otel(data) is not None:
        said = dict(_table(data.get("attributes")))
    else:
        said = {key: value for key, value in data.items() if key not in _TOLD}
        others = data.get("attributes")
        said |= others if isinstance(others, dict) else _filled(attributes=others)
        if event.agent is not None:
            said.setdefault("gen_ai.agent.name", event.agent)
    about = _filled(
        agent=event.agent,
        target=event.target,
        status=event.status if event.status == "blocked" else None,
        unfinished=step.going is not None,
        private=event.private,
    )
    return {
        **said,
        "whence.id": step.id,
        **{f"whence.{key}": value for key, value in about.items()},
    }


def _status(rooted: Rooted, otel: Mapping[str, Any]) -> dict[str, Any]:
    if rooted.step.event.status != "error":
        return {"code": _OK} if otel.get("status") == "OK" else {}
    data = rooted.data
    error = _table(data.get("error")) if isinstance(data, dict) else {}
    said = _text(otel.get("status_description")) or _text(error.get("message"))
    return _filled(code=_ERROR, message=said)


def _events(rooted: Rooted, otel: Mapping[str, Any], end: int) -> list[dict[str, Any]]:
    """What happened inside, as it was told; of a step of ours that failed, its exception."""
    if otel:
        return [_event(each) for each in _list(otel.get("events")) if isinstance(each, dict)]
    data = rooted.data
    error = data.get("error") if isinstance(data, dict) else None
    if not isinstance(error, dict):
        return []
    said = {
        "exception.type": error.get("type"),
        "exception.message": error.get("message"),
        "exception.stacktrace": error.get("stack"),
    }
    attributes = {key: value for key, value in said.items() if value is not None}
    return [{"timeUnixNano": str(end), "name": "exception", "attributes": _pairs(attributes)}]


def _event(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "timeUnixNano": str(_time(told.get("time"))),
        "name": _text(told.get("name")) or "event",
        "attributes": _pairs(_table(told.get("attributes"))),
    }


def _links(rooted: Rooted, otel: Mapping[str, Any]) -> list[dict[str, Any]]:
    said = {
        each["id"]: _table(each.get("attributes"))
        for each in _list(otel.get("links"))
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    }
    return [
        {
            "traceId": trace_id_of(root),
            "spanId": span_id_of(link),
            "attributes": _pairs(said.get(link, {})),
        }
        for link, root in rooted.links
    ]


def _pairs(values: Mapping[str, Any], level: int = 0) -> list[dict[str, Any]]:
    return [{"key": _text(key), "value": _value(value, level)} for key, value in values.items()]


def _value(value: Any, level: int) -> dict[str, Any]:
    """A value with its type, as `AnyValue` has it; nothing stands for null."""
    if isinstance(value, str):
        return {"stringValue": _text(value)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return (
            {"intValue": str(value)}
            if _INT_MIN <= value <= _INT_MAX
            else {"stringValue": str(value)}
        )
    if isinstance(value, float):
        return {"doubleValue": value}
    if value is None:
        return {}
    if level >= _LEVELS_MAX:
        return {"stringValue": dump_plain(value)}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _pairs(value, level + 1)}}
    return {"arrayValue": {"values": [_value(each, level + 1) for each in value]}}


def _otel(data: Any) -> dict[str, Any] | None:
    """What a step that came from OpenTelemetry kept of it."""
    otel = data.get("otel") if isinstance(data, dict) else None
    return otel if isinstance(otel, dict) and isinstance(otel.get("kind"), str) else None


def _time(told: Any) -> int:
    if isinstance(told, str):
        try:
            return max(parse_time(told), 0)
        except ValueError:
            return 0
    return _count(told)


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63
    return value if is_count else 0


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    # Half of a surrogate pair can stand in a line's escapes, but in no text of protobuf.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _filled(**values: Any) -> dict[str, Any]:
    """The values that say something."""
    return {key: value for key, value in values.items() if value}
