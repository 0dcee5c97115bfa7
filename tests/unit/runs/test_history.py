from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from whence.errors import NotFoundError
from whence.log import Log
from whence.query import Query
from whence.runs.history import find_run, fold, read_run, read_runs


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with whence.open(tmp_path / "log") as log:
        yield log


def _begin(log: Log, trace_id: str, **data: object) -> str:
    return log.emit("run", "begin", target=trace_id, data={"run": "forecast", **data})


def _save(log: Log, trace_id: str, parent: str | None = None, **data: object) -> str:
    return log.emit(
        "run", "save", target=trace_id, parent=parent, status="success", duration=5, data=data
    )


def test_a_run_is_what_its_events_say(log: Log) -> None:
    begin = _begin(log, "a", input={"x": 1}, input_digest="i", seed=7, seeds={"numpy": 7}, runner="m:f",
                   environment={"python": "3"})  # fmt: skip
    log.emit("run", "step", target="a", parent=begin, data={"step": "one", "index": 0})
    log.emit("run", "fork", target="a", parent=begin, data={"fork": 0})
    save = _save(log, "a", begin, file="a.json", trust=0, overlays={"hope": 1}, output_digest="o")
    log.emit("run", "replay", target="a", parent=save, data={"verdict": "IDENTICAL"})

    run = read_run(log, "a")

    assert (run.id, run.name, run.status, run.seed, run.seeds) == (
        "a",
        "forecast",
        "saved",
        7,
        {"numpy": 7},
    )
    assert (run.input, run.input_digest, run.runner) == ({"x": 1}, "i", "m:f")
    assert (run.trust, run.overlays, run.file, run.output_digest) == (0, {"hope": 1}, "a.json", "o")
    assert run.environment == {"python": "3"}
    assert [len(run.steps), len(run.forks), len(run.replays), run.earlier] == [1, 1, 1, 0]
    assert run.duration_ns == 5
    assert run.begin is not None
    assert run.time_ns == run.begin.time_ns


def test_how_a_run_ended(log: Log) -> None:
    _begin(log, "open")
    failed = _begin(log, "failed")
    log.emit("run", "fail", target="failed", parent=failed, data={"error": {"type": "E"}})
    _save(log, "seed", input_digest="i")

    assert read_run(log, "open").status == "unfinished"
    assert read_run(log, "failed").status == "failed"
    assert read_run(log, "failed").error == {"type": "E"}
    assert read_run(log, "seed").status == "saved"
    assert (read_run(log, "seed").begin, read_run(log, "seed").input_digest) == (None, "i")


def test_the_last_run_of_an_id_counts(log: Log) -> None:
    _save(log, "a", _begin(log, "a", seed=1), trust=1)
    _begin(log, "a", seed=2)

    run = read_run(log, "a")

    assert (run.seed, run.status, run.trust, run.earlier) == (2, "unfinished", None, 1)


def test_runs_are_listed_by_their_beginning(log: Log) -> None:
    first = _begin(log, "one")
    _begin(log, "two")
    _save(log, "three")
    _save(log, "one", first)
    since = read_run(log, "two").time_ns

    assert [run.id for run in read_runs(log)] == ["three", "two", "one"]
    assert [run.id for run in read_runs(log, newest_first=False)] == ["one", "two", "three"]
    assert [run.id for run in read_runs(log, limit=1)] == ["three"]
    assert [run.id for run in read_runs(log, Query(since=since))] == ["three", "two"]


def test_a_run_is_found_by_parts_of_its_id_by_an_event_of_it_and_as_the_last(log: Log) -> None:
    begin = _begin(log, "abcd-1234")
    _save(log, "abcd-5678")

    assert find_run(log, "abcd-1") == find_run(log, "1234") == find_run(log, begin) == "abcd-1234"
    assert find_run(log, "@last") == "abcd-5678"
    assert read_run(log, "abcd-12").id == "abcd-1234"
    with pytest.raises(NotFoundError) as raised:
        find_run(log, "abcd")
    assert raised.value.is_ambiguous
    assert set(raised.value.candidates) == {"abcd-1234", "abcd-5678"}
    with pytest.raises(NotFoundError):
        find_run(log, "nothing")


def test_what_is_no_run_is_not_found(log: Log) -> None:
    event = log.emit("ops", "create_task", target="task-1")

    assert list(read_runs(log)) == []
    for reference in ("@last", "task-1", event):
        with pytest.raises(NotFoundError):
            read_run(log, reference)


def test_events_that_say_nothing_or_nonsense_are_taken(log: Log) -> None:
    log.emit("run", "begin", target="a", data={"input": 1, "environment": "x"}, private=True)
    log.emit("run", "save", target="a", data=[1])
    log.emit("run", "unheard_of", target="a")
    log.emit("run", "begin")

    runs = fold(log.events(Query(primitive="run")))

    assert [run.id for run in runs] == ["a"]
    assert (runs[0].name, runs[0].environment, runs[0].trust) == (None, {}, None)
