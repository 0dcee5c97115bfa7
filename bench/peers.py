"""Other ways to record an event with five values, each as its own documentation would have it.

All write JSON lines to a file on the same disk, all inside some context, as a program would.
`record` loops inside, so that the measuring costs nobody a call. Peers are imported when used: only
the environment of `make bench` has them.
"""

import json
import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import whence

Payload = dict[str, Any]


class Peer(Protocol):
    """Records payloads to one file."""

    file: Path

    def record(self, payloads: Sequence[Payload]) -> None:
        """Record each payload once."""

    def flush(self) -> None:
        """Return when all that was recorded is written, as far as it ever will be."""

    def close(self) -> None:
        """End the context and give everything back."""


def make_payloads(number: int) -> list[Payload]:
    """Five values each, as a swarm of agents would note them; no two alike."""
    return [
        {
            "step": at,
            "note": f"retry {at % 7} of the payment gateway",
            "tokens": at * 31 % 9000,
            "ok": at % 3 > 0,
            "seconds": at % 977 / 64,
        }
        for at in range(number)
    ]


class Whence:
    """`emit` with durability `os`, redaction on, inside a span."""

    def __init__(self, folder: Path, *, is_bare: bool = False) -> None:
        self._log = whence.open(folder / ".whence")
        self._context = ExitStack()
        if not is_bare:
            self._context.enter_context(self._log.span("bench.round"))
        self._log.emit("ops", "create_task", agent="haiku-1", target="task-sub1")
        (self.file,) = (folder / ".whence" / "journal").iterdir()

    def record(self, payloads: Sequence[Payload]) -> None:
        emit = self._log.emit
        for payload in payloads:
            emit("ops", "claim_task", agent="haiku-1", target="task-sub1", data=payload)

    def flush(self) -> None:
        """Nothing to do: what has returned is written."""

    def close(self) -> None:
        self._context.close()
        self._log.close()


class _LinesExporter:
    """A span exporter that writes JSON lines; the kit itself has one for the console only."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8")
        self._success = import_module("opentelemetry.sdk.trace.export").SpanExportResult.SUCCESS

    def export(self, spans: Sequence[Any]) -> Any:
        self._file.writelines(span.to_json(indent=None) + "\n" for span in spans)
        self._file.flush()
        return self._success

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return timeout_millis > 0

    def shutdown(self) -> None:
        self._file.close()


class OpenTelemetry:
    """One span with five attributes, below another, through the batch processor as it comes."""

    def __init__(self, folder: Path) -> None:
        trace = import_module("opentelemetry.sdk.trace")
        export = import_module("opentelemetry.sdk.trace.export")
        self.file = folder / "spans.jsonl"
        self._provider = trace.TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(export.BatchSpanProcessor(_LinesExporter(self.file)))
        self._tracer = self._provider.get_tracer("bench")
        self._context = ExitStack()
        self._context.enter_context(self._tracer.start_as_current_span("round"))

    def record(self, payloads: Sequence[Payload]) -> None:
        start = self._tracer.start_as_current_span
        for payload in payloads:
            with start("ops.claim_task", attributes=payload):
                pass

    def flush(self) -> None:
        self._provider.force_flush()

    def close(self) -> None:
        self._context.close()
        self._provider.shutdown()


class Structlog:
    """structlog as its page on performance advises: orjson to bytes, loggers cached."""

    def __init__(self, folder: Path) -> None:
        structlog = import_module("structlog")
        orjson = import_module("orjson")
        self.file = folder / "structlog.jsonl"
        self._out = self.file.open("ab")
        self._bound = structlog.contextvars.bound_contextvars(trace="altitude-1705180800-a3f2")
        self._bound.__enter__()
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.BytesLoggerFactory(file=self._out),
            cache_logger_on_first_use=True,
        )
        self._logger = structlog.get_logger().bind(agent="haiku-1", target="task-sub1")

    def record(self, payloads: Sequence[Payload]) -> None:
        info = self._logger.info
        for payload in payloads:
            info("claim_task", **payload)

    def flush(self) -> None:
        """Nothing to do: its logger flushes each line."""

    def close(self) -> None:
        self._bound.__exit__(None, None, None)
        self._out.close()


class Eliot:
    """A message inside an action, to a file."""

    def __init__(self, folder: Path, *, is_bare: bool = False) -> None:
        self._eliot = import_module("eliot")
        self.file = folder / "eliot.jsonl"
        self._out = self.file.open("ab")
        self._destination = self._eliot.FileDestination(file=self._out)
        self._eliot.add_destinations(self._destination)
        self._context = ExitStack()
        if not is_bare:
            self._context.enter_context(self._eliot.start_action(action_type="round"))

    def record(self, payloads: Sequence[Payload]) -> None:
        log_message = self._eliot.log_message
        for payload in payloads:
            log_message("ops:claim_task", agent="haiku-1", target="task-sub1", **payload)

    def flush(self) -> None:
        """Nothing to do: its destination flushes each line."""

    def close(self) -> None:
        self._context.close()
        self._eliot.remove_destination(self._destination)
        self._out.close()


@dataclass
class TraceEvent:
    """The event of the seed's tracing design."""

    trace_id: str
    parent_id: str | None
    timestamp: str
    hrm_layer: str
    operation: str
    component: str
    input_summary: str
    output_summary: str
    duration_ms: int
    status: str
    metadata: Payload


class SeedLogging:
    """The seed's tracer: a dataclass, `asdict`, `json.dumps`, stdlib logging to a file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "trace.jsonl"
        self._handler = logging.FileHandler(self.file)
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        self._logger = logging.getLogger("dopejar.trace")
        self._logger.addHandler(self._handler)
        self._logger.setLevel(logging.INFO)
        self._stack = [self._generate_id("sys")]

    def _generate_id(self, layer: str) -> str:
        seconds = int(datetime.now().timestamp())  # noqa: DTZ005 - as the seed has it
        return f"{layer}_{seconds}_{uuid.uuid4().hex[:4]}"

    def event(
        self,
        layer: str,
        operation: str,
        component: str,
        input_data: str = "",
        output_data: str = "",
        status: str = "success",
        metadata: Payload | None = None,
    ) -> None:
        event = TraceEvent(
            trace_id=self._generate_id(layer),
            parent_id=self._stack[-1] if self._stack else None,
            timestamp=datetime.now().isoformat(),  # noqa: DTZ005 - as the seed has it
            hrm_layer=layer,
            operation=operation,
            component=component,
            input_summary=input_data[:100],
            output_summary=output_data[:100],
            duration_ms=0,
            status=status,
            metadata=metadata or {},
        )
        self._logger.info(json.dumps(asdict(event)))

    def record(self, payloads: Sequence[Payload]) -> None:
        event = self.event
        for payload in payloads:
            event("foc", "gate_check", "gates.py", "haiku-1", "task-sub1", metadata=payload)

    def flush(self) -> None:
        """Nothing to do: its handler flushes each line."""

    def close(self) -> None:
        self._logger.removeHandler(self._handler)
        self._handler.close()


PEERS: dict[str, Callable[[Path], Peer]] = {
    "Whence": Whence,
    "opentelemetry-sdk": OpenTelemetry,
    "structlog+orjson": Structlog,
    "eliot": Eliot,
    "logging+json": SeedLogging,
    "Whence, bare": partial(Whence, is_bare=True),
    "eliot, bare": partial(Eliot, is_bare=True),
}
