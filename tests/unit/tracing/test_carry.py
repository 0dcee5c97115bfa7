"""Causes cross processes and machines: headers and environments written here are understood there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.strategies import hostile_values
from tests.unit.recorder.recording import by_type
from tests.unit.tracing.tracing import look_again
from whence.recorder.headers import parse_traceparent, parse_tracestate
from whence.tracing import Tracer, carry
from whence.tracing.ids import join, span_id_of, trace_id_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
THEIRS = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[whence.Log]:
    with whence.open(tmp_path / "log") as log:
        yield log


def sent_by(log: whence.Log) -> dict[str, str]:
    headers: dict[str, str] = {}
    carry.inject(headers, log=log)
    return headers


# --- headers ----------------------------------------------------------------------------------


def test_the_receivers_event_names_the_senders_by_its_whole_id(
    log: whence.Log, tmp_path: Path
) -> None:
    with log.span("client.call") as call:
        headers = sent_by(log)
    with whence.open(tmp_path / "there") as there:
        with carry.extract(headers, log=there) as cause, there.span("server.answer") as answer:
            there.emit("ops", "inside")
        there.emit("ops", "after")

    assert cause == call.id
    found = by_type(tmp_path / "there")
    # Its root is not known there; an index that sees both finds it.
    assert (found["answer"].parent, found["answer"].trace) == (call.id, None)
    assert (found["inside"].parent, found["inside"].trace) == (answer.id, None)
    assert found["after"].parent is None


def test_the_headers_are_w3cs(log: whence.Log) -> None:
    with log.span("client.outer") as outer, log.span("client.call") as call:
        headers = sent_by(log)

    parent = parse_traceparent(headers["traceparent"])
    assert parent == (trace_id_of(outer.id), span_id_of(call.id), True)
    assert headers["tracestate"] == f"whence={call.id}"
    assert [*headers] == ["traceparent", "tracestate"]


def test_anothers_span_is_the_cause_by_its_trace_and_number(log: whence.Log) -> None:
    with (
        carry.extract({"traceparent": THEIRS, "tracestate": "congo=1, rojo=2"}, log=log),
        log.span("server.answer") as answer,
    ):
        headers = sent_by(log)
    log.close()

    assert by_type(log.folder)["answer"].parent == join(TRACE, PARENT)
    # The trace stays theirs, the parent is ours now, and what others wrote goes on in its order.
    assert parse_traceparent(headers["traceparent"]) == (TRACE, span_id_of(answer.id), True)
    assert headers["tracestate"] == f"whence={answer.id},congo=1,rojo=2"


@pytest.mark.parametrize("state", ["congo=1,rojo=2", "congo=1,whence=some-event", ""])
def test_what_is_only_passed_on_goes_out_as_it_came(log: whence.Log, state: str) -> None:
    with carry.extract({"traceparent": THEIRS, "tracestate": state}, log=log):
        headers = sent_by(log)
    assert headers.get("tracestate", "") == state
    parent = parse_traceparent(headers["traceparent"])
    assert parent is not None
    assert parent.trace_id == TRACE


def test_a_trace_keeps_its_id_through_many_processes(log: whence.Log) -> None:
    with log.span("client.call"):
        headers = sent_by(log)
    first = parse_traceparent(headers["traceparent"])
    for _ in range(3):
        with carry.extract(headers, log=log), log.span("server.step"), log.span("client.call"):
            headers = sent_by(log)
    last = parse_traceparent(headers["traceparent"])

    assert first is not None
    assert last is not None
    assert last.trace_id == first.trace_id
    assert len(parse_tracestate(headers["tracestate"])) == 1


def test_without_a_cause_headers_stay_as_they_are(log: whence.Log) -> None:
    headers = {"traceparent": THEIRS, "other": "1"}
    carry.inject(headers, log=log)
    assert headers == {"traceparent": THEIRS, "other": "1"}


def test_a_header_is_written_once_however_it_was_spelt(log: whence.Log) -> None:
    headers: Any = {"TraceParent": "old", "TRACESTATE": "old=1", "Other": "1"}
    message = Message()
    message["TraceParent"] = "old"
    with log.span("client.call"):
        carry.inject(headers, log=log)
        carry.inject(message, log=log)  # type: ignore[arg-type]

    assert sorted(headers) == ["Other", "traceparent", "tracestate"]
    assert message.get_all("traceparent") == [headers["traceparent"]]


def shapes(headers: dict[str, str]) -> list[Any]:
    message = Message()
    for key, value in headers.items():
        message[key] = value
    return [
        headers,
        {key.upper(): value for key, value in headers.items()},
        {key.title(): [value] for key, value in headers.items()},
        {f"HTTP_{key.upper()}": value for key, value in headers.items()},
        [*headers.items()],
        [(key.encode(), value.encode()) for key, value in headers.items()],
        message,
    ]


@pytest.mark.parametrize("index", range(7))
def test_headers_are_found_in_whatever_a_framework_keeps_them(log: whence.Log, index: int) -> None:
    headers = shapes({"traceparent": THEIRS, "tracestate": "whence=some-event", "baggage": "k=v"})
    with carry.extract(headers[index], log=log) as cause:
        assert cause == "some-event"
        assert log.current_cause() == "some-event"
        assert carry.baggage() == {"k": "v"}
    assert carry.baggage() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"tracestate": "whence=some-event"},
        {"traceparent": "broken", "tracestate": "whence=some-event"},
        [("traceparent", THEIRS), ("traceparent", THEIRS)],
        None,
        5,
        ["text"],
        {"traceparent": None},
        {"traceparent": b"\xff"},
    ],
)
def test_headers_that_are_broken_were_not_sent(log: whence.Log, headers: Any) -> None:
    with log.span("server.loop") as loop, carry.extract(headers, log=log) as cause:
        assert cause is None
        assert log.current_cause() == loop.id


def test_a_broken_tracestate_does_not_hide_the_traceparent(log: whence.Log) -> None:
    headers = {"traceparent": THEIRS, "tracestate": "whence=a,whence=b"}
    with carry.extract(headers, log=log) as cause:
        assert cause == join(TRACE, PARENT)


@given(
    value=hostile_values | st.text(), name=st.sampled_from(["traceparent", "tracestate", "baggage"])
)
def test_nothing_in_a_header_raises(
    tmp_path_factory: pytest.TempPathFactory, value: object, name: str
) -> None:
    with (
        whence.open(tmp_path_factory.getbasetemp() / "hostile") as log,
        carry.extract({"traceparent": THEIRS, name: value}, log=log),
    ):
        carry.baggage()
        sent_by(log)


def test_an_id_that_no_tracestate_can_hold_leaves_the_traceparent(log: whence.Log) -> None:
    with log.cause("é" * 60):
        headers = sent_by(log)
    assert [*headers] == ["traceparent"]
    with log.cause("é" * 40):
        headers = sent_by(log)
    with carry.extract(headers, log=log) as cause:
        assert cause == "é" * 40


# --- sampling ---------------------------------------------------------------------------------


def flagged(flags: str) -> dict[str, str]:
    return {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"}


def test_the_sender_chooses_whether_a_trace_is_sampled(log: whence.Log, traced: Tracer) -> None:
    with carry.extract(flagged("00"), log=log), traced.span("alt", "plan") as step:
        assert step is not None
        assert sent_by(log)["traceparent"].endswith("-00")
        with traced.span("alt", "inner"):
            pass
    assert traced.not_sampled == 2
    with (
        pytest.raises(ZeroDivisionError),
        carry.extract(flagged("00"), log=log),
        traced.span("alt", "failing"),
    ):
        raise ZeroDivisionError
    with carry.extract(flagged("01"), log=log), traced.span("alt", "chosen"):
        assert sent_by(log)["traceparent"].endswith("-01")
    log.close()

    assert set(by_type(log.folder)) == {"failing", "chosen"}


def test_a_trace_that_the_sender_chose_is_sampled_whatever_the_rate(
    log: whence.Log, traced: Tracer
) -> None:
    log.folder.mkdir(exist_ok=True)
    (log.folder / "whence.toml").write_text("[tracing]\nsample = 0.0\n")
    look_again(traced)
    with traced.span("alt", "ours"):
        pass
    with carry.extract(flagged("01"), log=log), traced.span("alt", "theirs"):
        pass
    log.close()

    assert set(by_type(log.folder)) == {"theirs"}


def test_a_plain_span_is_always_recorded_and_says_so(log: whence.Log) -> None:
    with log.span("client.call"):
        assert sent_by(log)["traceparent"].endswith("-01")


# --- baggage ----------------------------------------------------------------------------------


def test_baggage_goes_along_with_every_request(log: whence.Log) -> None:
    with (
        carry.extract({"baggage": "user=alice;secret,region=eu"}, log=log),
        carry.with_baggage({"user.tier": "gold, mostly"}, region="us"),
    ):
        assert carry.baggage() == {"user": "alice", "user.tier": "gold, mostly", "region": "us"}
        headers = sent_by(log)
    assert headers == {"baggage": "user=alice;secret,user.tier=gold%2C%20mostly,region=us"}
    assert carry.baggage() == {}
    assert sent_by(log) == {}


def test_a_request_without_baggage_has_none_of_the_one_around_it(log: whence.Log) -> None:
    with carry.with_baggage(user="alice"):
        with carry.extract({"traceparent": THEIRS}, log=log):
            assert carry.baggage() == {}
        with carry.extract({}, log=log):
            assert carry.baggage() == {"user": "alice"}


def test_a_baggage_key_is_a_token() -> None:
    with pytest.raises(ValueError, match="key is"), carry.with_baggage({"a b": 1}):
        pass


# --- processes --------------------------------------------------------------------------------

CHILD = """
import json, sys, threading
import whence
from whence.tracing import Tracer, carry
log = whence.open(sys.argv[1])
log.emit("ops", "child")
with log.span("child.work"):
    log.emit("ops", "inside")
thread = threading.Thread(target=lambda: log.emit("ops", "thread"))
thread.start()
thread.join()
with log.cause("message-1"):
    log.emit("ops", "other")
print(json.dumps([carry.baggage(), carry.environment()["TRACEPARENT"]]))
"""


def run_child(log: whence.Log, env: dict[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(log.folder)], env=env, check=True, capture_output=True
    )
    return json.loads(done.stdout)


def test_a_process_started_here_is_caused_by_this_in_all_its_threads(log: whence.Log) -> None:
    with log.span("main.step") as step, carry.with_baggage(user="alice"):
        baggage, traceparent = run_child(log, carry.environment(log=log))

    found = by_type(log.folder)
    assert found["child"].parent == step.id
    assert found["thread"].parent == step.id
    assert found["other"].parent == "message-1"
    assert found["inside"].parent != step.id
    assert baggage == {"user": "alice"}
    sent = parse_traceparent(traceparent)
    assert sent is not None
    assert sent.trace_id == trace_id_of(step.id)


@pytest.mark.parametrize(
    ("traceparent", "tracestate"),
    [(THEIRS, ""), (THEIRS, "congo=1"), (THEIRS, "whence=%ff"), ("broken", "whence=event-1")],
)
def test_another_tracers_environment_is_taken_only_where_it_is_asked_for(
    log: whence.Log, traceparent: str, tracestate: str
) -> None:
    run_child(log, {**os.environ, "TRACEPARENT": traceparent, "TRACESTATE": tracestate})

    assert by_type(log.folder)["child"].parent is None


def test_the_environment_is_taken_where_it_is_asked_for(log: whence.Log) -> None:
    with carry.extract({**os.environ, "TRACEPARENT": THEIRS}, log=log) as cause:
        assert cause == join(TRACE, PARENT)


def test_an_environment_is_a_copy(log: whence.Log) -> None:
    given = {"TRACEPARENT": "old", "TRACESTATE": "old=1", "HOME": "x"}
    with log.span("main.step") as step:
        made = carry.environment(given, log=log)

    assert given == {"TRACEPARENT": "old", "TRACESTATE": "old=1", "HOME": "x"}
    assert made["TRACESTATE"] == f"whence={step.id}"
    assert made["HOME"] == "x"


def test_what_a_tasks_steps_follow_is_nearer_than_what_started_the_process(
    log: whence.Log,
) -> None:
    code = (
        "import whence.swarm as swarm\n"
        "swarm.emit('ops', 'create_task', task_id='t1')\n"
        "swarm.emit('ops', 'claim_task', task_id='t1')\n"
    )
    with log.span("main.step") as step:
        env = {**carry.environment(log=log), "WHENCE_DIR": str(log.folder)}
        subprocess.run([sys.executable, "-c", code], env=env, check=True)

    found = by_type(log.folder)
    assert found["create_task"].parent == step.id
    assert found["claim_task"].parent == found["create_task"].id
