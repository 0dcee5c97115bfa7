"""`@whence.simulation`: calls are runs, and stay the calls that they were."""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.log import Log
from whence.runs.history import RunRecord, read_runs
from whence.runs.saving import load_run


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with whence.open(tmp_path / ".whence") as opened:
        yield opened


def only(log: Log) -> RunRecord:
    (run,) = read_runs(log)
    return run


def test_arguments_go_in_by_name_and_the_result_comes_out(log: Log) -> None:
    @whence.simulation(log=log)
    def forecast(hope: float, *, turns: int = 3, seed: int = 7) -> dict[str, Any]:
        """Say how it goes on."""
        return {"overlays": {"hope": hope / turns}, "trust": seed / 10}

    assert forecast(0.9, turns=2) == {"overlays": {"hope": 0.45}, "trust": 0.7}
    run = only(log)
    assert (run.name, run.seed, run.trust) == ("forecast", 7, 0.7)
    assert run.input == {"hope": 0.9, "turns": 2, "seed": 7}
    assert load_run(log, run.id)["output"] == {"overlays": {"hope": 0.45}, "trust": 0.7}
    assert forecast.__doc__ == "Say how it goes on."
    assert list(inspect.signature(forecast).parameters) == ["hope", "turns", "seed"]


def test_what_is_no_object_is_its_result(log: Log) -> None:
    @whence.simulation(log=log, name="sum", seed="chance")
    def add(*numbers: int, chance: int = 1) -> int:
        return sum(numbers) + chance

    assert add(1, 2, 3) == 7
    run = only(log)
    assert (run.name, run.seed, run.input) == ("sum", 1, {"numbers": [1, 2, 3], "chance": 1})
    assert load_run(log, run.id)["output"] == {"result": 7}


def test_errors_come_out_unchanged(log: Log) -> None:
    error = KeyError("x")

    @whence.simulation(log=log)
    def fail() -> None:
        raise error

    with pytest.raises(KeyError) as raised:
        fail()
    assert raised.value is error
    assert only(log).status == "failed"
    with pytest.raises(TypeError):
        fail(1)  # type: ignore[call-arg]
    assert only(log).status == "failed"


def test_coroutines_are_runs_until_they_were_awaited(log: Log) -> None:
    @whence.simulation(log=log)
    async def wait(turns: int) -> int:
        await asyncio.sleep(0)
        log.emit("ops", "note", target="inside")
        return turns

    async def both() -> None:
        assert list(await asyncio.gather(wait(1), wait(2))) == [1, 2]

    asyncio.run(both())
    runs = list(read_runs(log))
    assert sorted(load_run(log, run.id)["output"]["result"] for run in runs) == [1, 2]


def test_methods_leave_their_object_out(log: Log) -> None:
    class Model:
        @whence.simulation(log=log)
        def run(self, turns: int) -> int:
            return turns * 2

    assert Model().run(4) == 8
    assert only(log).input == {"turns": 4}


def test_what_nobody_could_find_again_says_so(log: Log) -> None:
    @whence.simulation(log=log)
    def local() -> int:
        return 1

    local()
    assert "stands inside a function" in only(log).begun["runner_problem"]


def test_a_generator_is_refused() -> None:
    def turns() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        whence.simulation(turns)
    with pytest.raises(TypeError, match="is a function"):
        whence.simulation(int)
