"""What events say in words: the seed's examples, and anything else without a fall."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import events
from whence.ask.phrases import (
    TEXT_MAX,
    View,
    claimed_label,
    node_label,
    phrase,
    shorten,
    step_label,
    title_of,
)
from whence.event import Event

TASK = View(target="task-abc123")
ZEALOT = View(agent="zealot-1")


def make_event(primitive: str, type: str, data: Any = None, **fields: Any) -> Event:
    payload = msgspec.Raw(msgspec.json.encode({} if data is None else data))
    kept: dict[str, Any] = {"salt": "s" * 24, "payload": payload}
    if fields.get("private") or "commit" in fields:
        kept = {"commit": "c" * 43}
    return Event(
        **{
            "id": "some-id",
            "time": "2025-10-22T14:00:00.000000000Z",
            "w": "w" * 12,
            "n": 1,
            "primitive": primitive,
            "type": type,
            **kept,
            **fields,
        }
    )


ops = {"target": "task-abc123", "agent": "zealot-1"}
sub = {"target": "task-sub1", "agent": "haiku-1"}
said = {"target": "payments", "agent": "haiku-1"}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (make_event("ops", "create_task", **ops), "created by zealot-1"),
        (
            make_event("ops", "decompose_task", {"subtasks": ["a", "b", "c"]}, **ops),
            "decomposed into 3 subtasks",
        ),
        (make_event("ops", "claim_task", **sub), "task-sub1 claimed by haiku-1"),
        (
            make_event("bridge", "send", {"content": "Blocked on API key"}, **said),
            'haiku-1 posted to #payments: "Blocked on API key"',
        ),
        (
            make_event("memory", "add_entry", {"message": "stripe config issue"}, agent="haiku-1"),
            'haiku-1 added "stripe config issue"',
        ),
        (
            make_event("ops", "block_task", {"reason": "need API key"}, **sub),
            "task-sub1 blocked (reason: need API key)",
        ),
        (make_event("ops", "complete_task", **sub), "task-sub1 completed"),
    ],
)
def test_a_task_is_told_in_the_words_of_the_first_example(event: Event, told: str) -> None:
    assert phrase(event, TASK) == told


def test_a_claim_of_a_task_that_was_claimed_before_is_a_retry() -> None:
    claim = make_event("ops", "claim_task", **sub)

    assert phrase(claim, TASK, is_retry=True) == "task-sub1 claimed by haiku-1 (retry)"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (make_event("spawn", "wake", target="session-42"), "woke (session 42)"),
        (make_event("spawn", "wake", {"session_id": 42}), "woke (session 42)"),
        (make_event("spawn", "wake", target="zealot-1"), "woke"),
        (make_event("bridge", "recv", {"unreads": 3}, target="payments"), None),
        (make_event("bridge", "recv", {"unreads": 1}, target="payments"), None),
        (make_event("memory", "load", {"count": 12, "topic": "payments"}), None),
        (make_event("ops", "create_task", target="task-abc123"), "created task-abc123"),
        (make_event("bridge", "send", {"content": "x"}, target="payments"), None),
        (make_event("knowledge", "add_discovery", {"domain": "architecture"}), None),
        (make_event("spawn", "sleep", target="session-42"), "sleep"),
    ],
)
def test_an_agent_is_told_in_the_words_of_the_second_example(
    event: Event, told: str | None
) -> None:
    wanted = (
        told
        or {
            ("recv", 3): "read #payments (3 unreads)",
            ("recv", 1): "read #payments (1 unread)",
            ("load", None): "loaded 12 entries (topic: payments)",
            ("send", None): "sent message to #payments",
            ("add_discovery", None): "added domain=architecture",
        }[event.type, event.data.get("unreads")]
    )

    assert phrase(msgspec.structs.replace(event, agent="zealot-1"), ZEALOT) == wanted


@pytest.mark.parametrize(
    ("event", "label"),
    [
        (
            make_event("bridge", "send", {"content": "we need payments", "message_id": 42}, **said),
            'bridge message #payments:42 ("we need payments")',
        ),
        (
            make_event(
                "memory", "add_entry", {"message": "design payment flow"},
                target="zealot-1:arch-notes",
            ),
            'memory entry zealot-1:arch-notes ("design payment flow")',
        ),
        (make_event("ops", "create_task", **ops), "ops task-abc123 created"),
        (make_event("ops", "block_task", {"reason": "key"}, **sub), "ops task-sub1 blocked"),
        (make_event("ops", "complete_task", **sub), "ops task-sub1 completed"),
    ],
)  # fmt: skip
def test_a_node_is_named_in_the_words_of_the_third_example(event: Event, label: str) -> None:
    assert node_label(event) == label


def test_a_created_and_claimed_task_is_one_node() -> None:
    create = make_event("ops", "create_task", target="task-sub1", agent="zealot-1")
    claim = make_event("ops", "claim_task", **sub)

    assert claimed_label(create, claim) == "ops task-sub1 (claimed by haiku-1)"


def test_a_span_shows_input_output_and_duration() -> None:
    span = make_event(
        "altitude", "transition", {"input": "L3→L2", "output": "success"},
        duration=5_000_000, status="success",
    )  # fmt: skip

    assert phrase(span) == "altitude.transition: L3→L2 → success (5ms)"
    assert node_label(span) == phrase(span)


@pytest.mark.parametrize(
    ("data", "status", "outcome"),
    [
        ({}, "success", "success"),
        ({"error": {"type": "KeyError", "message": "'x'"}}, "error", "error: KeyError: 'x'"),
        ({"error": "out of memory"}, "error", "error: out of memory"),
        ({"reason_blocked": "no consent"}, "blocked", "blocked (no consent)"),
        ({}, "blocked", "blocked"),
    ],
)
def test_a_span_that_went_wrong_says_how(data: dict[str, Any], status: str, outcome: str) -> None:
    span = make_event("span", "step", data, duration=1_000, status=status)

    assert phrase(span) == f"step → {outcome} (1µs)"


def test_another_vocabulary_is_told_by_its_type_and_first_short_values() -> None:
    data = {"old": 1, "new": 2.5, "why": "x" * 100, "sure": True, "deep": {}, "more": "left out"}
    event = make_event("learning", "variable_weight_change", data, agent="a", target="v1")

    assert phrase(event) == "variable weight change v1 by a (old=1, new=2.5, sure=true)"
    assert phrase(event, View(agent="a")) == "variable weight change v1 (old=1, new=2.5, sure=true)"
    assert node_label(event) == "learning variable weight change v1 (old=1, new=2.5, sure=true)"


@pytest.mark.parametrize("end", [10**400, -(10**400)])
def test_a_number_too_large_to_be_a_value_is_left_out_of_a_change(end: int) -> None:
    event = make_event("learning", "variable_weight_update", {"from": 1, "to": end}, target="v1")

    assert phrase(event) == "v1 weighs"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ([1, "two", {"three": 3}], ' ([1, "two", {"three": 3}])'),
        (list(range(100)), " ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,…)"),
        ("x" * 100, f" ({'x' * 39}…)"),
        ("plain words", " (plain words)"),
        (5, " (5)"),
        (False, " (false)"),
        (None, ""),
    ],
)
def test_a_payload_that_is_no_object_is_shown_cut(data: object, shown: str) -> None:
    assert phrase(make_event("sensor", "read", data, target="s1")) == f"read s1{shown}"


def test_what_cannot_be_said_is_marked() -> None:
    private = make_event("bridge", "send", private=True, **said)
    erased = make_event("bridge", "send", commit="c" * 43, **said)
    missing = make_event("bridge", "send", commit="c" * 43, blob=70_000, **said)

    assert phrase(private) == "haiku-1 posted to #payments (private)"
    assert phrase(erased) == "haiku-1 posted to #payments (erased)"
    assert phrase(missing) == "haiku-1 posted to #payments (payload missing)"


def test_a_status_that_is_not_success_shows() -> None:
    failed = make_event("ops", "complete_task", status="error", **sub)

    assert phrase(failed) == "task-sub1 completed → error"


def test_our_own_events_are_told_too() -> None:
    data = {"program": "bot.py", "pid": 7, "host": "box"}

    assert phrase(make_event("whence", "writer.open", data)) == (
        "bot.py began to record (pid 7 on box)"
    )
    assert phrase(make_event("whence", "segment.open", data)) == (
        "bot.py went on in another segment (pid 7 on box)"
    )
    assert phrase(make_event("whence", "writer.gap", {"lost": 3, "reason": "disk full"})) == (
        "lost 3 events (disk full)"
    )


def test_the_channel_goes_without_saying_on_its_own_timeline() -> None:
    event = make_event("bridge", "send", {"text": "hello"}, **said)

    assert phrase(event, View(target="payments")) == 'haiku-1 posted: "hello"'


def test_a_create_event_gives_a_title() -> None:
    event = make_event("ops", "create_task", {"description": "Build"})

    assert title_of(event) == "Build"
    assert title_of(make_event("ops", "x")) == ""


@given(event=events(), is_retry=st.booleans(), data=st.data())
def test_any_event_reads_as_one_short_line(
    event: Event, is_retry: bool, data: st.DataObject
) -> None:
    known = st.sampled_from(
        [
            ("spawn", "wake"), ("bridge", "send"), ("bridge", "recv"), ("ops", "claim_task"),
            ("ops", "decompose_task"), ("memory", "load"), ("knowledge", "add_discovery"),
            ("whence", "writer.gap"), (event.primitive, event.type),
        ]
    )  # fmt: skip
    primitive, type_ = data.draw(known)
    event = msgspec.structs.replace(event, primitive=primitive, type=type_)
    view = data.draw(st.sampled_from([View(), View(event.target), View(agent=event.agent)]))

    for told in (phrase(event, view, is_retry=is_retry), node_label(event)):
        assert told
        assert len(told.splitlines()) <= 1
        assert len(told) < 12 * TEXT_MAX


@given(st.text(), st.integers(1, 50))
def test_shortened_text_is_the_start_of_the_text_on_one_line(text: str, most: int) -> None:
    short = shorten(text, most)

    assert len(short) <= most
    assert " ".join(text.split()).startswith(short.removesuffix("…").rstrip()) or short == ""
    assert re.fullmatch(r"\S+(?: \S+)*|", short)


COMMIT = make_event("git", "commit", {"subject": "pay: keys"}, agent="zealot-1", target="main")
CHANGE = make_event("git", "change", {"status": "added"}, agent="zealot-1", target="pay.py")


@pytest.mark.parametrize(
    ("event", "view", "told", "node"),
    [
        (COMMIT, View(), 'zealot-1 committed to main: "pay: keys"', 'git commit ("pay: keys")'),
        (COMMIT, ZEALOT, 'committed to main: "pay: keys"', 'git commit ("pay: keys")'),
        (CHANGE, View(), "pay.py added by zealot-1", "git added pay.py"),
        (CHANGE, View(target="pay.py"), "added by zealot-1", "git added pay.py"),
        (
            make_event("git", "tag", {}, target="v1", agent="zealot-1"), View(),
            "tagged v1 by zealot-1", "git tag v1",
        ),
        (
            make_event("claude", "prompt", {"text": "fix it"}, agent="user"), View(),
            'user asked: "fix it"', 'claude prompt ("fix it")',
        ),
        (
            make_event("claude", "tool", {"input": "Bash ls"}, agent="claude"), View(),
            "claude ran Bash ls", "claude ran Bash ls",
        ),
        (
            make_event("claude", "tool", {"input": "Bash ls"}, agent="claude", duration=2_000_000),
            View(), "claude.tool: Bash ls → done (2ms)", "claude.tool: Bash ls → done (2ms)",
        ),
    ],
)  # fmt: skip
def test_what_sources_tell_reads_like_what_was_recorded(
    event: Event, view: View, told: str, node: str
) -> None:
    assert phrase(event, view) == told
    assert node_label(event) == node


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            {"span": "x", "name": "altitude.plan", "age": 1_200_000_000},
            "altitude.plan is still open after 1.2s",
        ),
        ({"name": "altitude.plan", "age": "long"}, "altitude.plan is still open"),
        ({}, "a step is still open"),
        ([1], "a step is still open"),
    ],
)
def test_a_step_that_is_open_is_told_with_its_age(data: Any, told: str) -> None:
    assert phrase(make_event("span", "open", data)) == told


def test_a_tracers_event_is_told_as_a_step_that_takes_no_time() -> None:
    gate = {"component": "gates.py", "input": "WriteApprovalGate", "output": "allowed"}
    event = make_event("focus", "gate_check", gate, status="success")

    assert phrase(event) == "focus.gate_check: WriteApprovalGate → allowed"
    assert node_label(event) == phrase(event)
    blocked = make_event("focus", "gate_check", {"input": "x"}, status="blocked")
    assert phrase(blocked) == "focus.gate_check: x → blocked"


def test_an_event_that_ended_somehow_but_is_no_step_keeps_its_words() -> None:
    event = make_event("ops", "deploy", {"host": "a"}, status="error")

    assert phrase(event) == "deploy (host=a) → error"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            make_event(
                "altitude",
                "transition",
                {"input": "L3→L2", "output": "success"},
                status="success",
                duration=5_000_000,
            ),
            "[alt] transition: L3→L2 → success (5ms)",
        ),
        (
            make_event(
                "focus", "gate_check", {"input": "Write", "output": "allowed"}, status="success"
            ),
            "[foc] gate_check: Write → allowed",
        ),
        (
            make_event(
                "memory",
                "write",
                {"input": "a.b", "output": "written", "tokens_saved": 45},
                status="success",
                duration=3_100_000,
            ),
            "[mem] write: a.b → written (3.1ms) [saved 45 tokens]",
        ),
        (
            make_event("span", "build", {}, status="blocked", duration=1_000),
            "[span] build → blocked (1µs)",
        ),
        (
            make_event(
                "focus",
                "gate_check",
                {"output": "denied", "reason_blocked": "no"},
                status="blocked",
            ),
            "[foc] gate_check → denied, blocked (no)",
        ),
        (
            make_event("ops", "plan", "text", status="error", duration=0, private=True),
            "[ops] plan → error (0ns) (private)",
        ),
    ],
)
def test_a_step_is_said_as_the_seed_says_it(event: Event, told: str) -> None:
    assert step_label(event) == told


_RUN = {"target": "r-1"}
_ENDED = {**_RUN, "status": "success", "duration": 5_000_000}


@pytest.mark.parametrize(
    ("event", "told", "own"),
    [
        (make_event("run", "begin", {"run": "forecast"}, **_RUN), "began forecast r-1", "began forecast"),
        (make_event("run", "step", {"step": "decay", "number": 2}, **_RUN), "step 2 of r-1: decay", "step 2: decay"),
        (make_event("run", "fork", {"fork": "f-1", "of": None}, **_RUN), "forked r-1 into f-1", "forked into f-1"),
        (make_event("run", "save", {"trust": 0.0}, **_ENDED), "saved r-1 with trust 0.0 (5ms)", "saved with trust 0.0 (5ms)"),
        (
            make_event("run", "fail", {"error": {"type": "KeyError", "message": "x"}}, **{**_ENDED, "status": "error"}),
            "r-1 failed: KeyError: x (5ms)", "failed: KeyError: x (5ms)",
        ),
        (
            make_event("run", "replay", {"verdict": "DIVERGED", "reason": "why"}, **{**_ENDED, "status": "error"}),
            "replayed r-1: DIVERGED (why)", "replayed: DIVERGED (why)",
        ),
    ],
)  # fmt: skip
def test_runs_are_told_by_how_they_went(event: Event, told: str, own: str) -> None:
    assert phrase(event) == told
    assert phrase(event, View(target="r-1")) == own
