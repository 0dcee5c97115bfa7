"""Traces as ui.perfetto.dev draws them: slices that nest, tracks that are named, arrows that hit."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import set_span_in_context

import whence
from tests.unit.tracing.otelling import provider_in
from whence.ask.roots import Rooted
from whence.ask.steps import Going, Step
from whence.event import Event, format_time
from whence.log import Log
from whence.tracing import perfetto
from whence.tracing.otel import WhenceSpanProcessor

_MS = 1_000_000


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return whence.open(tmp_path / "log")


def _draw(steps: Any) -> list[dict[str, Any]]:
    document = json.loads("\n".join(perfetto.encode(steps)))
    assert document.keys() <= {"traceEvents", "displayTimeUnit", "otherData"}
    drawn: list[dict[str, Any]] = document["traceEvents"]
    return drawn


def _slices(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in drawn if each["ph"] in "XB"]


def _names(drawn: list[dict[str, Any]], what: str) -> dict[tuple[int, int], str]:
    return {
        (each["pid"], each["tid"]): each["args"]["name"] for each in drawn if each["name"] == what
    }


def test_a_trace_is_nested_slices_on_named_tracks() -> None:
    drawn = _draw(
        [
            _rooted("plan", 0, 9 * _MS, agent="scout"),
            _rooted("gate", 1 * _MS, 7 * _MS, parent="plan"),
            _rooted("write", 2 * _MS, 3 * _MS, parent="gate", agent="keeper"),
            _rooted("claim", 3 * _MS, 0, parent="write"),
            _rooted("other", 4 * _MS, 9 * _MS, links=("plan",)),
        ]
    )

    slices = {each["name"]: each for each in _slices(drawn)}
    tracks = _names(drawn, "thread_name")
    assert {name: tracks[each["pid"], each["tid"]] for name, each in slices.items()} == {
        "plan": "scout",
        # Who says no name works for whoever called.
        "gate": "scout",
        "write": "keeper",
        "claim": "keeper",
        "other": "steps",
    }
    # From gate to write, which is another agent's, and from plan to other, which names it.
    leaves = [(each["tid"], each["ts"]) for each in drawn if each["ph"] == "s"]
    assert leaves == [(slices["gate"]["tid"], 2_000), (slices["plan"]["tid"], 4_000)]


def test_steps_and_events_of_a_log_are_drawn_with_what_they_say(log: Log) -> None:
    with log.span("altitude.plan", agent="scout", input="go") as plan, log.span("focus.gate"):
        event = log.emit("ops", "claim", target="task-1")
    other = log.emit("ops", "later", links=[plan.id])

    drawn = _draw(log.spans().rooted())
    slices = {each["name"]: each for each in _slices(drawn)}
    assert slices.keys() == {"altitude.plan", "focus.gate", "ops.claim", "ops.later"}
    (process,) = _names(drawn, "process_name").values()
    assert process.startswith("writer ")
    assert slices["altitude.plan"]["ts"] == 0
    assert slices["altitude.plan"]["args"]["data"] == {"input": "go"}
    assert slices["ops.claim"]["args"] == {"id": event, "target": "task-1"}
    assert slices["ops.claim"]["dur"] == 0
    assert slices["ops.later"]["args"]["id"] == other


def test_times_keep_their_nanoseconds() -> None:
    start = 1_795_674_448_054_654_429
    steps = [_rooted("a", start, 10_000), _rooted("b", start + 1_234_567_891, 1)]

    first, second = _slices(_draw(steps))

    assert (first["ts"], first["dur"]) == (0, 10)
    assert (second["ts"], second["dur"]) == (1_234_567.891, 0.001)


def test_what_never_ended_begins_and_does_not_end(log: Log) -> None:
    """And holds what happened inside it, though it was told to be open only afterwards."""
    with provider_in(log, WhenceSpanProcessor(log)) as (provider, _):
        span = provider.get_tracer("x").start_span("memory.write")
        tracer = provider.get_tracer("x")
        tracer.start_span("inner", context=set_span_in_context(span)).end()

    outer, inner = _slices(_draw(log.spans().rooted()))

    assert (outer["ph"], outer["name"]) == ("B", "memory.write")
    assert (inner["ph"], inner["name"]) == ("X", "inner")
    assert (outer["pid"], outer["tid"]) == (inner["pid"], inner["tid"])


def test_clocks_that_differ_by_a_moment_part_no_step_from_the_one_around_it() -> None:
    """A step that clearly ends later is drawn on a track of its own, in full."""
    around = _rooted("around", 0, 5 * _MS)
    moment = _rooted("moment", 1 * _MS, 4 * _MS + 900, parent="around")
    later = _rooted("later", 2 * _MS, 9 * _MS, parent="around")

    first, second, third = _slices(_draw([around, moment, later]))

    assert first["tid"] == second["tid"] != third["tid"]
    assert (second["dur"], third["dur"]) == (4_000, 9_000)


def test_what_begins_after_its_cause_ended_is_not_drawn_inside_it() -> None:
    cause = _rooted("cause", 0, 5 * _MS)
    after = _rooted("after", 5 * _MS + 50_000, 10_000, parent="cause")

    first, second = _slices(_draw([cause, after]))

    assert first["ts"] + first["dur"] <= second["ts"]
    assert second["dur"] == 10


def test_nothing_is_an_empty_document() -> None:
    assert _draw([]) == []


def test_a_service_gives_its_name_to_its_process() -> None:
    data = {"otel": {"resource": {"attributes": {"service.name": "planner"}}}}

    drawn = _draw([_rooted("a", 0, 1, data=data)])

    assert list(_names(drawn, "process_name").values()) == ["planner (writer w0)"]


# -- any program ----------------------------------------------------------------------------------


def _rooted(
    name: str,
    start: int,
    age: int | None,
    *,
    parent: str | None = None,
    agent: str | None = None,
    writer: int = 0,
    links: tuple[str, ...] = (),
    data: Any = None,
) -> Rooted:
    going: Going | None = "ended" if age is None else None
    event = Event(
        id=name, time=format_time(start), primitive="span", type=name, w=f"w{writer}", n=1,
        parent=parent, agent=agent, links=links,
    )  # fmt: skip
    step = Step(
        id=name, event=event, primitive="span", type=name, start=start, age=age or 0, going=going
    )
    return Rooted(step=step, data=data, root="r", links=tuple((link, "r") for link in links))


@st.composite
def _programs(draw: st.DrawFn) -> list[Rooted]:
    """Steps of several writers and agents, that overlap in every way, with parents before or not."""
    count = draw(st.integers(0, 30))
    start = 0
    steps = []
    for number in range(count):
        start += draw(st.integers(0, 3)) * _MS
        others = st.sampled_from([f"s{other}" for other in range(number)] or ["nobody"])
        steps.append(
            _rooted(
                f"s{number}",
                start,
                draw(st.one_of(st.none(), st.integers(0, 12).map(lambda ms: ms * _MS))),
                parent=draw(st.one_of(st.none(), others)),
                agent=draw(st.sampled_from([None, None, "a", "b"])),
                writer=draw(st.integers(0, 1)),
                links=tuple(draw(st.lists(others, max_size=1))),
            )
        )
    return steps


@settings(max_examples=150)
@given(steps=_programs())
def test_slices_of_a_track_lie_within_each_other_or_apart(steps: list[Rooted]) -> None:
    drawn = _draw(steps)

    slices = _slices(drawn)
    assert [each["name"] for each in slices] == [step.step.id for step in steps]
    by_track: dict[tuple[int, int], list[tuple[int, int, str]]] = defaultdict(list)
    spans: dict[str, tuple[int, int, int, int]] = {}
    for each in slices:
        start = _ns(each["ts"])
        end = start + _ns(each["dur"]) if each["ph"] == "X" else 2**62
        by_track[each["pid"], each["tid"]].append((start, end, each["name"]))
        spans[each["name"]] = (each["pid"], each["tid"], start, end)
    assert by_track.keys() == _names(drawn, "thread_name").keys()
    parents = {step.step.id: step.step.event.parent for step in steps}
    for track in by_track.values():
        for at, (start, end, name) in enumerate(track):
            for later_start, later_end, later in track[at + 1 :]:
                is_inside = start <= later_start and later_end <= end
                assert later_start >= end or is_inside
                if later_start < end:
                    # Only what caused it may hold it.
                    assert name in _above(parents, later)
    _check_arrows(drawn, spans)


def _ns(us: float) -> int:
    return round(us * 1_000)


def _above(parents: dict[str, str | None], name: str) -> set[str | None]:
    met: set[str | None] = set()
    above = parents[name]
    while above is not None and above not in met:
        met.add(above)
        above = parents.get(above)
    return met


def _check_arrows(drawn: list[dict[str, Any]], spans: dict[str, tuple[int, int, int, int]]) -> None:
    """Each arrow leaves from within a slice and arrives where one begins."""
    arrows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for each in drawn:
        if each["ph"] in "sf":
            arrows[each["id"]].append(each)
    for leaves, arrives in arrows.values():
        assert (leaves["ph"], arrives["ph"], arrives["bp"]) == ("s", "f", "e")
        assert any(
            (pid, tid) == (leaves["pid"], leaves["tid"]) and start <= _ns(leaves["ts"]) <= end
            for pid, tid, start, end in spans.values()
        )
        assert any(
            (pid, tid, start) == (arrives["pid"], arrives["tid"], _ns(arrives["ts"]))
            for pid, tid, start, _ in spans.values()
        )


def test_few_tracks_do_for_many_steps_one_after_the_other() -> None:
    steps = [_rooted(f"s{number}", number * 10, 5) for number in range(1_000)]

    tracks = {each["tid"] for each in _slices(_draw(steps))}

    assert len(tracks) == 1
