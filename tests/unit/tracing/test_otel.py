"""Spans of OpenTelemetry's SDK, recorded through our processor and exporter."""

import gc
import subprocess
import sys
import threading
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AnyValue

import whence
from tests.unit.recorder.recording import read_events
from tests.unit.tracing.otelling import compare, provider_in
from whence.event import Event
from whence.log import Log
from whence.tracing import foreign
from whence.tracing.ids import join, span_id_of, trace_id_of
from whence.tracing.otel import WhenceSpanExporter, WhenceSpanProcessor, current_id

_VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(0, 9), max_size=3).map(tuple),
    st.lists(st.text("abc", max_size=3), max_size=3).map(tuple),
)
_ATTRIBUTES = st.dictionaries(st.text("abc._", min_size=1, max_size=8), _VALUES, max_size=5)
_NAMES = st.sampled_from(
    ["GET /v1.0/users", "altitude.plan", "alt.plan", "chat m-4", "whence.x", "a.b.c", " ", "mem."]
)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return whence.open(tmp_path / "log")


def _event(log: Log, type: str) -> Event:
    (found,) = [event for event in read_events(log.folder) if event.type == type]
    return found


# -- what is kept ---------------------------------------------------------------------------------


_SPANS: st.SearchStrategy[Any] = st.deferred(
    lambda: st.tuples(
        _NAMES,
        _ATTRIBUTES,
        st.sampled_from(SpanKind),
        st.sampled_from(["fine", "ok", "raises", "says error"]),
        st.lists(st.tuples(st.text("xyz", min_size=1, max_size=5), _ATTRIBUTES), max_size=2),
        st.lists(_ATTRIBUTES, max_size=2),
        st.lists(_SPANS, max_size=3),
    )
)


def _run(tracer: Any, program: Any) -> None:
    name, attributes, kind, end, events, links, inner = program
    try:
        with tracer.start_as_current_span(
            name,
            kind=kind,
            attributes=attributes,
            links=[
                Link(SpanContext(7 + at, 9 + at, is_remote=True), given)
                for at, given in enumerate(links)
            ],
        ) as span:
            for text, given in events:
                span.add_event(text, given)
            for each in inner:
                _run(tracer, each)
            if end == "ok":
                span.set_status(Status(StatusCode.OK))
            elif end == "says error":
                span.set_status(Status(StatusCode.ERROR, "it went wrong"))
            elif end == "raises":
                raise KeyError("x")
    except KeyError:
        return


@settings(max_examples=30)
@given(program=_SPANS)
def test_every_span_is_told_as_it_was(
    program: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any program of nested and failing spans: the journal says what an in-memory exporter saw."""
    with whence.open(tmp_path_factory.mktemp("log")) as log:
        with provider_in(log) as (provider, memory):
            _run(provider.get_tracer("scope", "1.0"), program)

        events = compare(log.folder, memory.get_finished_spans())
        (root,) = [event for event in events.values() if event.parent is None]
        assert {event.trace for event in events.values() if event is not root} <= {root.id}


def test_the_exporter_keeps_the_same_through_the_batch_processor(log: Log) -> None:
    """It sees spans only when they ended, so that traces are found by parents alone."""
    exporter = BatchSpanProcessor(WhenceSpanExporter(log))
    with provider_in(log, exporter) as (provider, memory):
        tracer = provider.get_tracer("scope")
        with tracer.start_as_current_span("a") as root:
            for _ in range(3):
                with tracer.start_as_current_span("b"), tracer.start_as_current_span("c"):
                    pass
        assert provider.force_flush()

    compare(log.folder, memory.get_finished_spans())
    trace = whence.Query(trace=foreign.id_of(root.get_span_context()))
    assert len(list(log.events(trace))) == 7


def test_agent_target_and_tokens_are_found_and_attributes_stay(log: Log) -> None:
    given: dict[str, AnyValue] = {
        "gen_ai.agent.name": "scout",
        "gen_ai.request.model": "m-4",
        "gen_ai.usage.prompt_tokens": 12,
        "gen_ai.system": "openai",
    }
    with provider_in(log) as (provider, _):
        provider.get_tracer("x").start_span("chat m-4", attributes=given).end()

    event = _event(log, "chat m-4")
    assert (event.agent, event.target) == ("scout", "m-4")
    assert event.data["attributes"] == given
    assert (event.data["input_tokens"], event.data["provider"]) == (12, "openai")


@pytest.mark.parametrize(
    ("name", "primitive", "type"),
    [
        ("altitude.plan", "altitude", "plan"),
        ("alt.plan", "altitude", "plan"),
        ("a.b.c", "a", "b.c"),
        ("GET /v1.0/users", "span", "GET /v1.0/users"),
        ("example.com:443", "span", "example.com:443"),
        ("pkg.Service/Method", "span", "pkg.Service/Method"),
        ("1.5 tries", "span", "1.5 tries"),
        ("whence.sealed", "span", "whence.sealed"),
        ("", "span", "step"),
        (".x", "span", ".x"),
        ("x.", "span", "x."),
    ],
)
def test_a_name_is_a_layer_and_an_operation_only_where_it_looks_so(
    name: str, primitive: str, type: str
) -> None:
    assert foreign.split_name(name) == (primitive, type)


def test_an_exception_is_the_error(log: Log) -> None:
    with provider_in(log) as (provider, _):
        tracer = provider.get_tracer("x")
        with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("fails"):
            1 / 0  # noqa: B018
        span = provider.get_tracer("x").start_span("refuses", attributes={"error.type": "timeout"})
        span.set_status(Status(StatusCode.ERROR, "took too long"))
        span.end()

    error = _event(log, "fails").data["error"]
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "division by zero")
    assert error["stack"].endswith("ZeroDivisionError: division by zero\n")
    assert _event(log, "refuses").data["error"] == {"type": "timeout", "message": "took too long"}


# -- causes ---------------------------------------------------------------------------------------


def test_a_span_inside_one_of_ours_is_caused_by_it_and_the_other_way_round(log: Log) -> None:
    with provider_in(log) as (provider, _):
        tracer = provider.get_tracer("x")
        with (
            log.span("our.root") as ours,
            tracer.start_as_current_span("a") as a,
            log.span("our.inner") as inner,
            tracer.start_as_current_span("b"),
            tracer.start_as_current_span("c"),
        ):
            pass

    b = _event(log, "b")
    assert _event(log, "a").parent == ours.id
    # The nearer one is the parent; the other stays named.
    assert b.parent == inner.id
    assert b.links == (foreign.id_of(a.get_span_context()),)
    assert _event(log, "c").parent == b.id
    assert _event(log, "c").links == ()
    assert len(list(log.events(whence.Query(trace=ours.id)))) == 5


def test_a_span_of_theirs_causes_what_is_recorded_under_its_id(log: Log) -> None:
    assert current_id() is None
    with (
        provider_in(log) as (provider, _),
        provider.get_tracer("x").start_as_current_span("a") as span,
    ):
        current = current_id()
        assert current is not None
        with log.cause(current):
            log.emit("ops", "claim")

    assert current == foreign.id_of(span.get_span_context())
    assert _event(log, "claim").parent == current


def _remote(parent: str, **members: str) -> Any:
    context = SpanContext(
        int(trace_id_of(parent), 16),
        int(span_id_of(parent), 16),
        is_remote=True,
        trace_flags=TraceFlags(1),
        trace_state=TraceState(list(members.items())),
    )
    return set_span_in_context(NonRecordingSpan(context))


def test_a_caller_that_names_our_event_is_the_parent(log: Log) -> None:
    parent = log.emit("ops", "call")
    with provider_in(log) as (provider, _):
        tracer = provider.get_tracer("x")
        tracer.start_span("named", context=_remote(parent, whence=parent)).end()
        tracer.start_span("bare", context=_remote(parent)).end()
        other = join("a" * 32, "b" * 16)
        tracer.start_span("passed on", context=_remote(other, whence=parent)).end()

    assert _event(log, "named").parent == parent
    assert _event(log, "bare").parent == join(trace_id_of(parent), span_id_of(parent))
    # Somebody in between passed our member on.
    assert _event(log, "passed on").parent == other


def test_threads_and_spans_that_end_out_of_order_find_their_parents(log: Log) -> None:
    with provider_in(log) as (provider, memory):
        tracer = provider.get_tracer("x")
        root = tracer.start_span("root")
        context = set_span_in_context(root)

        def work(number: int) -> None:
            span = tracer.start_span(f"w{number}", context=context)
            tracer.start_span("leaf", context=set_span_in_context(span)).end()
            span.end()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        late = tracer.start_span("late", context=context)
        root.end()
        for thread in threads:
            thread.join()
        late.end()

    compare(log.folder, memory.get_finished_spans())


# -- running spans --------------------------------------------------------------------------------


def test_a_span_that_runs_is_told_at_once_where_that_is_asked_for(log: Log) -> None:
    with provider_in(log, WhenceSpanProcessor(log, at_start=True)) as (provider, _):
        tracer = provider.get_tracer("x")
        with log.span("our.root") as ours:
            span = tracer.start_span("mem.write", attributes={"k": 1})
        told = _event(log, "open")
        span.end()

    assert (told.primitive, told.parent) == ("span", ours.id)
    assert told.links == (foreign.id_of(span.get_span_context()),)
    assert told.data["name"] == "memory.write"
    assert told.data["data"]["attributes"] == {"k": 1}
    assert _event(log, "write").id == told.links[0]


def test_a_span_that_runs_for_long_is_told_once(log: Log) -> None:
    with provider_in(log) as (provider, _):
        span = provider.get_tracer("x").start_span("long")
        short = provider.get_tracer("x").start_span("short")
        short.end()
        # As the thread does that looks at open spans, without its second.
        log.recorder.watch.tell(after_ns=0)
        log.recorder.watch.tell(after_ns=0)
        assert _event(log, "open").data["name"] == "span.long"
        span.end()
        log.recorder.watch.tell(after_ns=0)

    assert sorted(event.type for event in read_events(log.folder)) == ["long", "open", "short"]


def test_a_killed_process_leaves_what_it_was_doing(tmp_path: Path) -> None:
    program = f"""
import os, signal, whence
from opentelemetry.sdk.trace import TracerProvider
from whence.tracing.otel import WhenceSpanProcessor
provider = TracerProvider()
provider.add_span_processor(WhenceSpanProcessor(whence.open({str(tmp_path / "log")!r}), at_start=True))
with provider.get_tracer("x").start_as_current_span("never.ends"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], capture_output=True)

    (event,) = read_events(tmp_path / "log")
    assert (event.type, event.data["name"]) == ("open", "never.ends")


def test_spans_that_are_open_at_the_end_of_a_program_are_told(tmp_path: Path) -> None:
    """Whichever of the two libraries ends first."""
    program = f"""
import whence
from opentelemetry.sdk.trace import TracerProvider
from whence.tracing.otel import WhenceSpanProcessor
provider = TracerProvider()
provider.add_span_processor(WhenceSpanProcessor(whence.open({str(tmp_path / "log")!r})))
kept = provider.get_tracer("x").start_span("never.ends")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    (event,) = read_events(tmp_path / "log")
    assert (event.type, event.data["name"]) == ("open", "never.ends")


def test_shutdown_tells_what_is_open_and_takes_no_more(log: Log) -> None:
    with provider_in(log) as (provider, _):
        tracer = provider.get_tracer("x")
        span = tracer.start_span("a")
        provider.shutdown()
        span.end()
        tracer.start_span("b").end()

    assert [event.type for event in read_events(log.folder)] == ["open"]
    assert not log.recorder.watch.open


def test_a_span_that_nobody_ends_is_not_held_in_memory(log: Log) -> None:
    processor = WhenceSpanProcessor(log)
    with provider_in(log, processor) as (provider, _):
        for _ in range(10):
            provider.get_tracer("x").start_span("forgotten")
        gc.collect()

        assert not processor._running
        assert not log.recorder.watch.open


def test_a_fork_inside_a_span_writes_it_once(tmp_path: Path) -> None:
    program = f"""
import os, whence
from opentelemetry.sdk.trace import TracerProvider
from whence.tracing.otel import WhenceSpanProcessor
provider = TracerProvider()
provider.add_span_processor(WhenceSpanProcessor(whence.open({str(tmp_path / "log")!r})))
tracer = provider.get_tracer("x")
with tracer.start_as_current_span("outer"):
    child = os.fork()
    with tracer.start_as_current_span("in child" if child == 0 else "in parent"):
        pass
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    events = {event.type: event for event in read_events(tmp_path / "log")}
    assert sorted(event.type for event in read_events(tmp_path / "log")) == [
        "in child",
        "in parent",
        "outer",
    ]
    assert events["in child"].parent == events["in parent"].parent == events["outer"].id


# -- nothing raises -------------------------------------------------------------------------------


class _Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def _odd_span(**fields: Any) -> ReadableSpan:
    context = SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(1))
    return ReadableSpan(
        **{"name": "odd", "context": context, "start_time": 1, "end_time": 2, **fields}
    )


_ODD_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.binary(max_size=20),
        st.floats(),
        st.integers(),
        st.text(max_size=20),
        st.just(float("nan")),
        st.builds(_Odd),
        st.sets(st.integers()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=60)
@given(
    attributes=st.dictionaries(
        st.one_of(
            st.text(max_size=10),
            st.sampled_from(["gen_ai.agent.name", "gen_ai.tool.name", "gen_ai.usage.input_tokens"]),
        ),
        _ODD_VALUES,
        max_size=4,
    ),
    name=st.one_of(st.text(), st.just("\ud800.\udfff")),
    repeats=st.sampled_from([1, 1, 100_000]),
    times=st.tuples(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70)),
    links=st.sampled_from([0, 3, 5_000]),
)
def test_whatever_a_span_holds_it_is_recorded_or_counted(
    attributes: dict[str, Any],
    name: str,
    repeats: int,
    times: tuple[int, int],
    links: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    context = SpanContext(7, 8, is_remote=False)
    name *= repeats
    span = _odd_span(
        name=name,
        attributes={**attributes, "large": "x" * repeats},
        start_time=times[0],
        end_time=times[1],
        links=[Link(context)] * links,
    )
    with whence.open(tmp_path_factory.mktemp("log")) as log:
        result = WhenceSpanExporter(log).export([span])

        kept = len(read_events(log.folder))
        assert kept + log.lost == 1
        assert (result is SpanExportResult.SUCCESS) == (kept == 1)
        if kept:
            (event,) = log.events()
            assert event.duration == min(max(times[1] - times[0], 0), 2**63 - 1)
            assert event.data["attributes"]["large"] == "x" * repeats
            if name.isascii() and name.isprintable() and name == name.strip() and name:
                told = f"{event.primitive}.{event.type}".removeprefix("span.")
                assert event.data["otel"].get("name", told) == name
            assert len(event.links) <= links


def test_more_links_than_an_envelope_holds_stay_in_the_payload(log: Log) -> None:
    links = [Link(SpanContext(7, number, is_remote=False)) for number in range(1, 5_001)]

    WhenceSpanExporter(log).export([_odd_span(links=links)])

    (event,) = log.events()
    kept = [link["id"] for link in event.data["otel"]["links"]]
    assert kept == [join(f"{7:032x}", f"{number:016x}") for number in range(1, 5_001)]
    assert list(event.links) == kept[: len(event.links)]
    assert len(event.links) >= 100


@pytest.mark.parametrize("before", ["layer.", "GET /"])
def test_names_of_any_length_are_kept_whole(log: Log, before: str) -> None:
    name, agent = before + "x" * 100_000, "a" * 100_000
    attributes = {"gen_ai.agent.name": agent, "gen_ai.tool.name": agent}

    WhenceSpanExporter(log).export([_odd_span(name=name, attributes=attributes)])

    (event,) = log.events()
    assert name.startswith(f"{event.primitive}.{event.type}".removeprefix("span."))
    assert event.agent is not None
    assert agent.startswith(event.agent)
    assert event.data["otel"]["name"] == name
    assert event.data["attributes"] == attributes


def test_a_span_that_began_before_the_log_was_closed_is_recorded_or_counted(log: Log) -> None:
    with (
        provider_in(log) as (provider, _),
        provider.get_tracer("x").start_as_current_span("outer"),
    ):
        provider.get_tracer("x").start_span("early").end()
        log.close()
        provider.get_tracer("x").start_span("late").end()

    told = [event.type for event in read_events(log.folder) if event.type != "open"]
    assert len(told) + log.lost == 3


def test_a_log_that_cannot_be_had_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "whence.toml").write_text("nonsense = [")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WHENCE_DIR", raising=False)
    monkeypatch.setattr("whence.log._default", None)
    exporter = WhenceSpanExporter()

    assert exporter.export([_odd_span(), _odd_span()]) is SpanExportResult.FAILURE
    assert exporter.export([_odd_span()]) is SpanExportResult.FAILURE
    assert len(caplog.records) == 1
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(WhenceSpanProcessor())
    with provider.get_tracer("x").start_as_current_span("fine"):
        pass


def test_an_exporter_that_was_shut_down_says_so(log: Log) -> None:
    exporter = WhenceSpanExporter(log)
    assert exporter.export([_odd_span()]) is SpanExportResult.SUCCESS
    assert exporter.force_flush()
    exporter.shutdown()

    assert exporter.export([_odd_span()]) is SpanExportResult.FAILURE
    log.emit("ops", "still_open")
    assert len(read_events(log.folder)) == 2


def test_spans_that_are_not_sampled_are_not_recorded(log: Log) -> None:
    with (
        provider_in(log, sampler=ALWAYS_OFF) as (provider, _),
        provider.get_tracer("x").start_as_current_span("a"),
    ):
        pass

    assert not log.exists()


class _RecordOnly(Sampler):
    """Has spans recorded for those who look at them in the process, and exported by nobody."""

    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "record only"


def test_spans_that_are_not_to_be_exported_are_not_recorded(log: Log) -> None:
    with provider_in(log, sampler=_RecordOnly()) as (provider, _):
        provider.get_tracer("x").start_span("a").end()

    assert not log.exists()


def test_a_clock_that_was_set_back_gives_no_duration(log: Log) -> None:
    WhenceSpanExporter(log).export([_odd_span(start_time=10, end_time=3)])

    (event,) = log.events()
    assert (event.time_ns, event.duration) == (10, 0)


def test_other_processors_are_not_disturbed(log: Log) -> None:
    """The first to hear of a span does not see what the second makes of it."""
    seen: list[str] = []

    class Other(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            seen.append(span.name)

    with provider_in(log) as (provider, _):
        provider.add_span_processor(Other())
        provider.add_span_processor(SimpleSpanProcessor(WhenceSpanExporter(log)))
        provider.get_tracer("x").start_span("a").end()

    assert seen == ["a"]


def test_a_resource_is_told_with_each_span(log: Log) -> None:
    resource = Resource({"service.name": "planner"}, "https://example.org/schema")
    with provider_in(log, resource=resource) as (provider, _):
        for name in ("a", "b"):
            provider.get_tracer("x").start_span(name).end()

    for event in read_events(log.folder):
        assert event.data["otel"]["resource"] == {
            "schema_url": "https://example.org/schema",
            "attributes": {"service.name": "planner"},
        }


def test_private_spans_keep_only_a_commitment(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "whence.toml").write_text('[[privacy.rule]]\nprimitive = "secret"\n')
    with whence.open(folder) as log, provider_in(log) as (provider, _):
        provider.get_tracer("x").start_span("secret.step", attributes={"k": "v"}).end()

    (event,) = read_events(folder)
    assert event.private
    assert event.data is None
    assert event.commit


# -- how it is found ------------------------------------------------------------------------------


def test_the_exporter_is_found_by_its_name() -> None:
    """`OTEL_TRACES_EXPORTER=whence` loads this."""
    (found,) = entry_points(group="opentelemetry_traces_exporter", name="whence")

    assert found.load() is WhenceSpanExporter


def test_without_the_sdk_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
import whence, whence.tracing
try:
    import whence.tracing.otel
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (
        done.stdout == "whence.tracing.otel needs opentelemetry-sdk: pip install 'whence[otel]'\n"
    )


def test_tracing_alone_does_not_load_it() -> None:
    program = "import sys, whence.tracing; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "False\n"


def test_a_span_that_comes_more_than_once_is_recorded_once(log: Log) -> None:
    provider = TracerProvider()
    provider.add_span_processor(WhenceSpanProcessor(log))
    provider.add_span_processor(SimpleSpanProcessor(WhenceSpanExporter(log)))
    kept: list[ReadableSpan] = []

    class Keep(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            kept.append(span)

    provider.add_span_processor(Keep())
    for name in ("a", "b"):
        with provider.get_tracer("x").start_as_current_span(name):
            pass
    exporter = WhenceSpanExporter(log)
    assert exporter.export(kept) is exporter.export(kept) is SpanExportResult.SUCCESS

    assert [event.type for event in read_events(log.folder)] == ["a", "b"]
