"""A run while it happens: what the journal and its file say of it, whatever becomes of it."""

import asyncio
import dataclasses
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.errors import StoreError
from whence.log import Log
from whence.query import Query
from whence.runs.capturing import Capture, set_capture
from whence.runs.commitments import holds, read_saves
from whence.runs.digest import digest
from whence.runs.history import RunRecord, read_run
from whence.runs.recording import Run
from whence.runs.saving import load_run, runs_folder


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with whence.open(tmp_path / ".whence") as opened:
        yield opened


def recorded(log: Log, run: Run) -> RunRecord:
    return read_run(log, run.id)


def test_a_run_is_told_from_what_went_in_to_what_came_out(log: Log) -> None:
    inputs = {"turn": 3, "overlays": {"hope": 0.5}}
    with log.run("forecast", inputs, seed=7, agent="modeller") as run:
        run.step("decay", {"hope": 0.4})
        run.step("events", {"hope": 0.45}, keep=True)
        run.output(overlays={"hope": 0.45}, variables={"gdp": 2}, trust=0.0)

    told = recorded(log, run)
    assert told.status == "saved"
    assert (told.name, told.seed, told.trust) == ("forecast", 7, 0.0)
    assert told.overlays == {"hope": 0.45}
    assert told.input == inputs
    assert told.input_digest == digest(inputs)
    first, second = (step.data for step in told.steps)
    assert first == {"step": "decay", "number": 1, "digest": digest({"hope": 0.4})}
    assert second["state"] == {"hope": 0.45}
    assert told.environment["python"]
    assert told.begin is not None
    assert told.begin.agent == "modeller"
    assert told.save is not None
    assert told.save.duration is not None
    assert {event.parent for event in (*told.steps, told.save)} == {told.begin.id}
    output = {"overlays": {"hope": 0.45}, "variables": {"gdp": 2}, "trust": 0.0, "forks": []}
    assert load_run(log, run.id) == {"trace_id": run.id, "input": inputs, "output": output}
    assert told.output_digest == digest(output)


def test_the_file_is_what_the_journal_commits_to(log: Log) -> None:
    with log.run("forecast", {"token": "ghp_0123456789abcdefghijklmnopqrstuvwxyz"}) as run:
        run.output(trust=1)

    (save,) = read_saves(log)
    content = (runs_folder(log) / save.file).read_bytes()
    assert holds(save, content)
    assert not holds(save, content.replace(b"1", b"2", 1))
    # The file is whole, since a replay needs it; the journal tells no secret.
    assert b"ghp_" in content
    begun = recorded(log, run).begun
    assert "ghp_" not in json.dumps(begun)
    assert content.startswith(b'{\n  "trace_id"')


def test_what_the_work_does_to_its_input_does_not_show(log: Log) -> None:
    inputs = {"overlays": {"hope": 0.5}}
    with log.run("forecast", inputs) as run:
        inputs["overlays"]["hope"] = 0.9
        run.output(overlays=inputs["overlays"])
        inputs["overlays"]["hope"] = 0.1

    trace = load_run(log, run.id)
    assert trace["input"] == {"overlays": {"hope": 0.5}}
    assert trace["output"]["overlays"] == {"hope": 0.9}


def test_an_exception_ends_a_run_as_failed_and_comes_out_unchanged(log: Log) -> None:
    error = KeyError("x")
    run = log.run("forecast", {})
    with pytest.raises(KeyError) as raised, run:
        raise error

    assert raised.value is error
    told = recorded(log, run)
    assert told.status == "failed"
    assert told.error["type"] == "KeyError"
    assert told.save is None
    assert not runs_folder(log).exists()


def test_what_is_recorded_inside_was_caused_by_the_run_and_runs_nest(log: Log) -> None:
    with log.run("outer", {}) as outer, log.run("inner", {}) as inner:
        event_id = log.emit("ops", "create_task", target="t-1")

    begin = recorded(log, inner).begin
    above = recorded(log, outer).begin
    assert begin is not None
    assert above is not None
    assert begin.parent == above.id
    (event,) = log.events(Query(primitive="ops"))
    assert (event.id, event.parent) == (event_id, begin.id)
    assert log.current_cause() is None


def test_a_run_without_an_output_is_saved_as_that(log: Log) -> None:
    with log.run("forecast") as run:
        pass

    assert load_run(log, run.id) == {"trace_id": run.id, "input": None, "output": {}}
    assert recorded(log, run).trust is None


def test_forks_are_part_of_the_output(log: Log) -> None:
    with log.run("forecast", {}) as run:
        first = run.fork({"hope": 0.1}, {"gdp": 1}, label="worse")
        second = run.fork({"hope": 0.9}, parent=first)
        run.output(overlays={"hope": 0.5}, trust=0.5)

    forks = load_run(log, run.id)["output"]["forks"]
    assert [(fork["id"], fork["parent"]) for fork in forks] == [(first, None), (second, first)]
    assert forks[0]["label"] == "worse"
    told = recorded(log, run)
    assert [event.data["fork"] for event in told.forks] == [first, second]
    assert told.saved["forks"] == 2


@dataclasses.dataclass
class _State:
    hope: float
    names: set[str]


def test_states_and_outputs_may_be_any_objects(log: Log) -> None:
    with log.run("forecast", _State(0.5, {"b", "a"})) as run:
        step = run.step("turn", _State(math.nan, {"z", "y"}))
        run.result(_State(0.25, {"x"}))

    assert step == digest({"hope": "NaN", "names": ["y", "z"]})
    trace = load_run(log, run.id)
    assert trace["input"] == {"hope": 0.5, "names": ["a", "b"]}
    assert trace["output"] == {"hope": 0.25, "names": ["x"]}


def test_what_is_no_object_is_the_result(log: Log) -> None:
    with log.run("forecast", [1, 2]) as run:
        run.result(3)

    assert load_run(log, run.id)["output"] == {"result": 3}


@pytest.mark.parametrize("trace_id", ["../../etc/passwd", "a/b", ".hidden", "ü" * 60])
def test_an_id_is_never_a_path(log: Log, trace_id: str) -> None:
    with log.run("forecast", {}, trace_id=trace_id) as run:
        run.output(trust=1)

    assert load_run(log, trace_id)["trace_id"] == trace_id
    assert [path.parent for path in runs_folder(log).iterdir()] == [runs_folder(log)]
    assert recorded(log, run).status == "saved"


@pytest.mark.parametrize("trace_id", ["", 7, "x" * 300])
def test_what_cannot_be_an_id_is_refused_before_anything_is_recorded(
    log: Log, trace_id: Any
) -> None:
    with pytest.raises((TypeError, ValueError)):
        log.run("forecast", {}, trace_id=trace_id)
    with pytest.raises(ValueError, match="name"):
        log.run("", {})
    assert not log.exists()


def test_a_value_that_contains_itself_is_refused_where_it_is_given(log: Log) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(ValueError, match="itself"):
        log.run("forecast", endless)
    with log.run("forecast", {}) as run:
        with pytest.raises(ValueError, match="itself"):
            run.output(variables=endless)
        with pytest.raises(ValueError, match="itself"):
            run.step("turn", endless)
        run.output(trust=1)

    assert recorded(log, run).status == "saved"


def test_a_file_that_cannot_be_kept_is_told_to_who_ran_it(log: Log) -> None:
    runs_folder(log).parent.mkdir(parents=True)
    runs_folder(log).write_text("in the way")
    with pytest.raises(StoreError), log.run("forecast", {}) as run:
        run.output(trust=1)

    told = recorded(log, run)
    assert told.status == "failed"
    assert told.save is None


def test_a_run_is_begun_once_and_used_while_it_goes_on(log: Log) -> None:
    run = log.run("forecast", {})
    for use in (lambda: run.step("early"), lambda: run.output(trust=1), run.fork):
        with pytest.raises(ValueError, match="not going on"):
            use()
    with run, pytest.raises(ValueError, match="begun before"):
        run.__enter__()
    with pytest.raises(ValueError, match="not going on"):
        run.step("late")
    with pytest.raises(ValueError, match="begun before"):
        run.__enter__()
    run.__exit__(None, None, None)
    assert len(list(log.events(Query(primitive="run")))) == 2


def test_runs_of_tasks_keep_to_themselves(log: Log) -> None:
    async def one(name: str) -> Run:
        with log.run(name, {}) as run:
            await asyncio.sleep(0)
            log.emit("ops", "note", target=name)
            await asyncio.sleep(0)
        return run

    async def both() -> tuple[Run, Run]:
        return await asyncio.gather(one("a"), one("b"))

    for run in asyncio.run(both()):
        begin = recorded(log, run).begin
        assert begin is not None
        (event,) = log.events(Query(primitive="ops", target=run.name))
        assert event.parent == begin.id


def test_a_run_that_is_executed_again_is_captured_and_records_nothing(log: Log) -> None:
    capture = Capture()
    set_capture(capture)
    try:
        with log.run("outer", {"n": 1}) as outer:
            outer.step("first", {"x": 1})
            with log.run("inner", {}) as inner:
                inner.step("hidden", 2)
                inner.output(trust=0.1)
            outer.output(trust=0.9)
    finally:
        set_capture(None)

    assert [(step.name, step.state) for step in capture.steps] == [("first", {"x": 1})]
    assert capture.has_output
    assert capture.output["trust"] == 0.9
    assert not log.exists()


def test_a_forked_child_that_leaves_the_block_saves_nothing(log: Log) -> None:
    with log.run("forecast", {}) as run:
        run.output(trust=1)
        child = os.fork()
        if child == 0:
            run.__exit__(None, None, None)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    assert recorded(log, run).status == "saved"
    assert len(list(log.events(Query(primitive="run", type="save")))) == 1


def test_the_default_log_has_runs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with whence.run("forecast", {"a": 1}, seed=1) as run:
        run.output(trust=1)
    assert whence.runs.load(run.id)["output"]["trust"] == 1
    path = whence.runs.save({"trace_id": "t-1", "input": 1, "output": {}})
    assert path.name == "t-1.json"
    assert whence.runs.replay("t-1").word == "NOT_REPLAYABLE"
    whence.close()

    with whence.open() as log:
        assert recorded(log, run).seed == 1
