"""Steps with the roots of their traces, as other tools need them."""

from pathlib import Path
from typing import Any

import pytest

import whence
from whence.ask.roots import Rooted
from whence.log import Log
from whence.query import Query


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return whence.open(tmp_path / "log")


def _by_type(log: Log, **query: Any) -> dict[str, Rooted]:
    return {each.step.type: each for each in log.spans().rooted(Query(**query))}


def test_the_root_is_found_through_parents_and_traces(log: Log) -> None:
    first = log.emit("ops", "first")
    second = log.emit("ops", "second", parent=first)
    with log.cause(second), log.span("a.root"), log.span("a.inner"):
        pass
    log.emit("ops", "alone")

    roots = {name: each.root for name, each in _by_type(log).items()}
    assert roots.pop("alone") not in roots.values()
    assert roots == dict.fromkeys(["first", "second", "root", "inner"], first)


def test_below_what_is_not_recorded_the_nearest_name_is_the_root(log: Log) -> None:
    log.emit("ops", "orphan", parent="elsewhere")

    assert _by_type(log)["orphan"].root == "elsewhere"


def test_links_come_with_their_roots(log: Log) -> None:
    with log.span("a.root") as root:
        inner = log.emit("ops", "inner")
    log.emit("ops", "later", links=[inner, "unknown"])

    assert _by_type(log)["later"].links == ((inner, root.id), ("unknown", "unknown"))


def test_a_step_is_told_to_be_open_only_if_it_never_ended(log: Log) -> None:
    never = log.span("a.never")
    never.__enter__()
    with log.span("a.ends"):
        log.recorder.watch.tell(after_ns=0)
        log.emit("ops", "inside")

    told = list(log.spans().rooted())
    assert [each.step.type for each in told] == ["never", "ends", "inside"]
    assert told[0].step.id == never.id
    assert told[0].step.going == "open"
    # The others happened inside it, whose own line is not written yet.
    assert {each.root for each in told} == {never.id}
    assert [each.step.type for each in log.spans().rooted(limit=10)] == ["never", "ends", "inside"]
    never.__exit__(None, None, None)


def test_a_trace_whose_root_never_ended_has_its_root(log: Log) -> None:
    never = log.span("a.never", agent="scout")
    never.__enter__()
    log.recorder.watch.tell(after_ns=0)
    log.emit("ops", "inside")

    told = list(log.spans().rooted(Query(trace=never.id)))
    assert [each.step.type for each in told] == ["never", "inside"]
    assert log.spans().find_root(never.id[-10:]) == never.id
    assert [*_by_type(log, trace=never.id, agent="scout")] == ["never"]
    assert [*_by_type(log, trace=never.id, agent="other")] == []
    assert [*_by_type(log, trace=never.id, type="inside")] == ["inside"]
    never.__exit__(None, None, None)
    assert [each.step.type for each in log.spans().rooted(Query(trace=never.id))] == [
        "never",
        "inside",
    ]


def test_filters_and_limits_hold(log: Log) -> None:
    for number in range(600):
        log.emit("ops", f"e{number}", agent="a" if number % 2 else "b")

    assert len(list(log.spans().rooted())) == 600
    assert len(_by_type(log, agent="a")) == 300
    newest = [each.step.type for each in log.spans().rooted(limit=3)]
    assert newest == ["e597", "e598", "e599"]
    assert [*_by_type(log, type="e5")] == ["e5"]


def test_nothing_recorded_is_nothing(tmp_path: Path) -> None:
    with whence.open(tmp_path / "log", read_only=True) as log:
        assert list(log.spans().rooted()) == []
        assert log.spans().find_root("abcd") == "abcd"


def test_a_trace_is_found_by_what_others_call_it(log: Log) -> None:
    with log.span("a.root") as root:
        inner = log.emit("ops", "inner")
    trace = "ab" * 16
    theirs = f"{trace}-{'12' * 8}"
    recorder = log.recorder
    for span, parent in ((theirs, None), (f"{trace}-{'34' * 8}", theirs)):
        extras = "" if parent is None else f',"parent":"{parent}"'
        names = recorder.write_names("span", "x", None, None)
        recorder.record(span, recorder.clock(), 1, names, f'{extras},"duration":1', {}, False)

    find = log.spans().find_root
    # The 32 digits that we give it, and those that it came with.
    assert find(root.id.replace("-", "")) == root.id
    assert find(trace) == theirs
    # A part of an id, from either end.
    assert find(inner[-8:]) == root.id
    assert find(root.id) == root.id
    assert find(inner) == inner
    assert find("nothing like it") == "nothing like it"
    assert find("x" * 500) == "x" * 500


def test_a_part_that_several_traces_bear_is_no_trace(log: Log) -> None:
    ids = [log.emit("ops", "x") for _ in range(3)]

    assert log.spans().find_root(ids[0][:4]) == ids[0][:4]
