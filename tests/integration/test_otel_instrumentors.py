"""Published instrumentation of OpenTelemetry, recorded here and compared with what was in memory."""

import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

import whence
from tests.unit.tracing.otelling import compare, provider_in
from whence.log import Log
from whence.tracing.foreign import id_of


@contextmanager
def _instrumented(provider: TracerProvider) -> Iterator[None]:
    instrumentors = (SQLite3Instrumentor(), URLLibInstrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    try:
        yield
    finally:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()


@contextmanager
def _server(provider: TracerProvider) -> Iterator[str]:
    """A server that traces each request below its caller, as the headers tell."""
    tracer = provider.get_tracer("server")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            context = extract({name.lower(): value for name, value in self.headers.items()})
            with tracer.start_as_current_span("serve", context=context, kind=SpanKind.SERVER):
                self.send_response(200 if self.path == "/fine" else 500)
                self.end_headers()
                self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_program_with_instrumented_libraries_is_told_span_by_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with whence.open(tmp_path / "log") as log, provider_in(log) as (provider, memory):
        with (
            _instrumented(provider),
            _server(provider) as address,
            provider.get_tracer("agent").start_as_current_span("agent.turn") as turn,
        ):
            _work(address, tmp_path / "work.db")

        spans = memory.get_finished_spans()
        events = compare(log.folder, spans)

        scopes = {event.data["otel"]["scope"]["name"] for event in events.values()}
        assert {name.rpartition(".")[2] for name in scopes} >= {"sqlite3", "urllib", "server"}
        told = {
            event.id for event in log.events(whence.Query(trace=id_of(turn.get_span_context())))
        }
        assert told == events.keys()
        _check_answers(log)


def _work(address: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        cursor = db.cursor()
        cursor.execute("CREATE TABLE plan (step TEXT)")
        cursor.executemany("INSERT INTO plan VALUES (?)", [("a",), ("b",)])
        with pytest.raises(sqlite3.OperationalError):
            cursor.execute("SELECT * FROM nowhere")
    with urllib.request.urlopen(f"{address}/fine") as answer:
        assert answer.read() == b"hello"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/broken")
    refused.value.close()


def _check_answers(log: Log) -> None:
    """What Whence answers about them: which failed, and what led to what."""
    failed = list(log.events(whence.Query(status="error")))
    assert "sqlite3" in {event.data["otel"]["scope"]["name"].rpartition(".")[2] for event in failed}
    statement = next(event for event in failed if "error" in event.data)
    assert statement.data["error"]["type"].endswith("OperationalError")
    served = [event for event in log.events() if event.type == "serve"]
    assert len(served) == 2
    callers = {event.id: event for event in log.events() if event.type == "GET"}
    assert {event.parent for event in served} == callers.keys()


def test_spans_of_ours_and_of_libraries_are_one_tree(tmp_path: Path) -> None:
    with whence.open(tmp_path / "log") as log:
        with (
            provider_in(log) as (provider, _),
            _instrumented(provider),
            log.span("memory.write") as ours,
            closing(sqlite3.connect(tmp_path / "work.db")) as db,
        ):
            db.cursor().execute("CREATE TABLE plan (step TEXT)")

        (statement,) = [event for event in log.events() if event.primitive == "span"]
        assert statement.parent == ours.id
        assert len(list(log.events(whence.Query(trace=ours.id)))) == 2
