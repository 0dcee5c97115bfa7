"""OpenTelemetry's spans recorded here: a processor and an exporter for its SDK.

    provider = TracerProvider()
    provider.add_span_processor(WhenceSpanProcessor())

The processor writes each span when it ends, on the thread that ended it, and shows those that stay
open. The exporter is for pipelines that have processors of their own, and for
`OTEL_TRACES_EXPORTER=whence`. Neither raises into the program: what cannot be recorded is counted.

Needs `opentelemetry-sdk`, as `pip install 'whence[otel]'` brings it.
"""

import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

try:
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import get_current_span
except ImportError as error:
    raise ImportError(
        "whence.tracing.otel needs opentelemetry-sdk: pip install 'whence[otel]'"
    ) from error

from whence.errors import StoreError
from whence.log import Log, default
from whence.recorder.context import Cause
from whence.recorder.envelope import write_extras
from whence.recorder.recorder import Recorder
from whence.tracing.foreign import Told, id_of, parent_of, tell_span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

_logger = logging.getLogger("whence")

_KEPT_MAX = 10_000
"""So many spans back one that comes again is known; an exporter's queue holds 2,048."""

_kept: "weakref.WeakKeyDictionary[Recorder, dict[tuple[int, int], None]]" = (
    weakref.WeakKeyDictionary()
)
"""Which spans each recorder has, the oldest first."""

_processors: "weakref.WeakSet[WhenceSpanProcessor]" = weakref.WeakSet()


class WhenceSpanExporter(SpanExporter):
    """Writes spans to a log, by default the process's own. The log stays open at shutdown."""

    def __init__(self, log: Log | None = None) -> None:
        self._sink = _Sink(log)
        self._is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write these spans; FAILURE if one of them could not be recorded."""
        if self._is_shut:
            return SpanExportResult.FAILURE
        kept = [self._sink.keep(span) for span in spans]
        return SpanExportResult.SUCCESS if all(kept) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Take no more."""
        self._is_shut = True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 OpenTelemetry's signature
        """Return True: what was exported is in the journal already."""
        return True


class WhenceSpanProcessor(SpanProcessor):
    """Writes each span when it ends, to a log, by default the process's own.

    A span that stays open is told as `span.open`: after a second, or at once with `at_start`. One
    that begins inside a span of Whence has that as its parent. The log stays open at shutdown.
    """

    def __init__(self, log: Log | None = None, *, at_start: bool = False) -> None:
        self._sink = _Sink(log)
        self._at_start = at_start
        self._is_shut = False
        # By trace and span. Each step on it is a single atomic one.
        self._running: dict[tuple[int, int], _Running] = {}
        _processors.add(self)

    def running(self, key: tuple[int, int]) -> "_Running | None":
        """The span of that trace and id, if it is open."""
        return self._running.get(key)

    def on_start(self, span: Span, parent_context: "Context | None" = None) -> None:  # noqa: ARG002
        """Remember what is around the span, and watch it."""
        recorder = self._sink.recorder()
        if recorder is None or self._is_shut or not _is_sampled(span):
            return
        try:
            key = _key(span.context)
            running = _Running(span, recorder, self._around(span, recorder), self._dropper(key))
            self._running[key] = running
            running.watch(at_start=self._at_start)
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self._sink.lose(problem)

    def on_end(self, span: ReadableSpan) -> None:
        """Write the span."""
        if span.context is None or not _is_sampled(span):
            return
        running = self._running.pop(_key(span.context), None)
        if running is not None:
            running.end()
            if running.is_inherited:
                # A forked child ends it too; the parent, whose span it is, writes it.
                return
        if not self._is_shut:
            self._sink.keep(span, running)

    def shutdown(self) -> None:
        """Tell what is still open, and take no more."""
        self._is_shut = True
        while self._running:
            try:
                _, running = self._running.popitem()
            except KeyError:
                break
            running.end()
            running.tell_open(time.perf_counter_ns(), 0)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 OpenTelemetry's signature
        """Return True: what ended is in the journal already."""
        return True

    def _around(self, span: Span, recorder: Recorder) -> "_Around":
        """What causes a span that begins now: the nearer of the spans around it, ours or theirs."""
        ours = recorder.cause_variable.get()
        parent = span.parent
        if parent is None:
            return _Around(cause=ours, ours=ours)
        above = None if parent.is_remote else self._running.get(_key(parent))
        if above is None:
            return _Around(cause=Cause(parent_of(parent), None), ours=ours)
        if ours is not None and ours is not above.around.ours:
            # Begun since the parent was.
            return _Around(cause=ours, ours=ours, link=above.id)
        return _Around(cause=above, ours=ours)

    def _dropper(self, key: tuple[int, int]) -> Callable[[object], None]:
        """What forgets a span that nobody ended when it is collected."""
        reference = weakref.ref(self)

        def drop(_: object) -> None:
            processor = reference()
            running = processor._running.pop(key, None) if processor is not None else None
            if running is not None:
                running.end()

        return drop


class _Around:
    """What was around a span when it began: its cause, and the cause that held in Whence."""

    __slots__ = ("cause", "link", "ours")

    def __init__(self, *, cause: Cause | None, ours: Cause | None, link: str | None = None) -> None:
        self.cause = cause
        self.ours = ours
        self.link = link


class _Running(Cause):
    """A span that is open, and the cause of what begins inside it."""

    __slots__ = ("_forks", "_is_told", "_recorder", "_span", "_start_ns", "around")

    def __init__(
        self,
        span: Span,
        recorder: Recorder,
        around: _Around,
        drop: Callable[[object], None],
    ) -> None:
        event_id = id_of(span.context)
        super().__init__(event_id, event_id if around.cause is None else around.cause.trace)
        self._recorder = recorder
        self._forks = recorder.forks
        self._span = weakref.ref(span, drop)
        self._start_ns = time.perf_counter_ns()
        self._is_told = False
        self.around = around

    @property
    def is_inherited(self) -> bool:
        """Whether it began in a process that this one was forked from."""
        return self._recorder.forks != self._forks

    def watch(self, *, at_start: bool) -> None:
        """Have it told while it is open."""
        if at_start:
            self.tell_open(self._start_ns, 0)
        watch = self._recorder.watch
        watch.open[self] = None
        if not watch.is_on:
            watch.start()

    def end(self) -> None:
        """Be open no more."""
        self._recorder.watch.open.pop(self, None)

    def tell_open(self, now_ns: int, after_ns: int) -> None:
        """Write `span.open`, once, if it was open for as long as `after_ns`. Never raises."""
        age = now_ns - self._start_ns
        span = self._span()
        if self._is_told or age < after_ns or span is None or self.is_inherited:
            return
        self._is_told = True
        recorder = self._recorder
        try:
            told = tell_span(span)
            names = recorder.write_names(told.primitive, told.type, told.agent, told.target)
            private = recorder.is_private(told.primitive, told.type, told.agent)
            recorder.record_open(
                self.id, told.time_ns, age, names, self.around.cause, told.data, private
            )
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            recorder.lose(f"open span: {problem}")


class _Sink:
    """Where spans are written: a log, found when the first one comes."""

    def __init__(self, log: Log | None) -> None:
        self._log = log
        self._has_warned = False
        # The lock guards the warning, which comes once.
        self._lock = threading.Lock()

    def recorder(self) -> Recorder | None:
        """What records; None where there is no log to be had."""
        try:
            return (self._log or default()).recorder
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self._warn(problem)
            return None

    def keep(self, span: ReadableSpan, running: _Running | None = None) -> bool:
        """Record a span that ended; say whether that went well. Never raises."""
        recorder = self.recorder()
        if recorder is None:
            return False
        kept = _kept_by(recorder)
        if span.context is not None and _key(span.context) in kept:
            # Exported twice, or by a processor and an exporter: it is there already.
            return True
        try:
            _record(recorder, tell_span(span), running)
            if span.context is not None:
                kept[_key(span.context)] = None
                while len(kept) > _KEPT_MAX:
                    kept.pop(next(iter(kept)), None)
        except StoreError:
            # Counted already.
            return False
        except Exception as problem:  # noqa: BLE001 - a tracer never breaks what it watches
            self.lose(problem)
            return False
        return True

    def lose(self, problem: Exception) -> None:
        """Count a span that could not be recorded."""
        recorder = self.recorder()
        if recorder is not None:
            with suppress(Exception):
                recorder.lose(f"span: {problem}")

    def _warn(self, problem: Exception) -> None:
        with self._lock:
            has_warned, self._has_warned = self._has_warned, True
        if not has_warned:
            _logger.warning("spans of OpenTelemetry are not recorded: %s", problem)


def _record(recorder: Recorder, told: Told, running: _Running | None) -> None:
    links = told.links
    if running is not None:
        cause = running.around.cause
        if running.around.link is not None:
            links = (running.around.link, *links)
    else:
        cause = None if told.parent is None else Cause(told.parent, None)
    names = recorder.write_names(told.primitive, told.type, told.agent, told.target)
    private = recorder.is_private(told.primitive, told.type, told.agent)
    text = "" if cause is None else cause.text or cause.write()
    extras = text + write_extras(told.status, told.duration_ns, links, private)
    recorder.record(told.id, told.time_ns, told.duration_ns, names, extras, told.data, private)


def current_id() -> str | None:
    """The id of the event that OpenTelemetry's current span becomes; None outside of spans.

    `with log.cause(current_id()):` has it cause what is recorded inside.
    """
    context = get_current_span().get_span_context()
    return id_of(context) if context.is_valid else None


def nearest_id(recorder: Recorder) -> str | None:
    """As `current_id`, where no cause in Whence is nearer; None where one is."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    ours = recorder.cause_variable.get()
    found = (processor.running(_key(context)) for processor in list(_processors))
    begun_in = [running.around.ours for running in found if running is not None]
    return id_of(context) if ours is None or any(ours is each for each in begun_in) else None


def _kept_by(recorder: Recorder) -> dict[tuple[int, int], None]:
    return _kept.setdefault(recorder, {})


def _key(context: "SpanContext") -> tuple[int, int]:
    return context.trace_id, context.span_id


def _is_sampled(span: ReadableSpan) -> bool:
    return span.context is not None and span.context.trace_flags.sampled
