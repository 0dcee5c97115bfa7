"""Functions are found by name from another process, and only those that are meant to be called."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from whence.errors import NotFoundError
from whence.runs import runners
from whence.runs.runners import (
    bind_input,
    call_runner,
    describe_runner,
    home_of,
    load_runner,
    runner,
)


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_registered", {})


def step(state: Any) -> Any:
    """Stands at the top of this module."""
    return state


class Model:
    """A home for functions that a class holds."""

    @staticmethod
    def step(state: Any) -> Any:
        """Return what it is given."""
        return state


def test_a_declared_runner_is_found_by_its_name_and_stays_as_it_is() -> None:
    assert runner("turn")(step) is step
    assert load_runner(["turn"]) is step
    assert runner(step) is step
    assert load_runner(["step"]) is step


def test_two_functions_of_one_name_are_refused() -> None:
    runner("turn")(step)
    runner("turn")(step)

    with pytest.raises(ValueError, match=r"is .*:step already"):
        runner("turn")(Model.step)


@pytest.mark.parametrize("name", ["", "module:function"])
def test_a_name_that_could_not_be_looked_up_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="without a colon"):
        runner(name)


def test_what_nobody_finds_says_why() -> None:
    def inner() -> None: ...

    said = describe_runner(lambda state: state)

    assert said == {
        "runner": None,
        "runner_problem": "a lambda has no name by which another process finds it",
    }
    with pytest.raises(ValueError, match="inside a function"):
        home_of(inner)
    with pytest.raises(ValueError, match="a partial has no name"):
        home_of(partial(step, 1))


def test_a_description_tells_where_the_function_is_and_what_it_was() -> None:
    said = describe_runner(Model.step)

    assert said["runner"] == said["runner_home"] == f"{__name__}:Model.step"
    assert said["runner_code"].startswith("sha256:")
    assert Path(__file__).is_relative_to(said["runner_folder"])
    assert describe_runner("elsewhere") == {"runner": "elsewhere"}
    assert describe_runner(None) == {"runner": None}


def test_a_function_of_a_script_is_found_as_a_module_of_its_folder(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(
        "from whence.runs.runners import describe_runner\n"
        "def turn(state): return state\n"
        "if __name__ == '__main__':\n"
        "    said = describe_runner(turn)\n"
        "    print(said['runner'], said['runner_folder'])\n"
    )

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd="/")

    assert done.stdout == f"model:turn {tmp_path}\n"


def test_what_was_typed_in_is_not_found() -> None:
    code = (
        "from whence.runs.runners import describe_runner\n"
        "def turn(state): return state\n"
        "print(describe_runner(turn)['runner_problem'])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "typed in" in done.stdout


@pytest.mark.parametrize("name", ["os:system", "subprocess:run", "msgspec.json:decode", "os:abort"])
def test_a_journal_cannot_have_functions_called_that_nobody_declared(name: str) -> None:
    with pytest.raises(NotFoundError, match="not declared as a runner"):
        load_runner([name])


def test_a_function_that_a_module_has_from_elsewhere_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "borrowing_module.py").write_text("from os import system\ndef own(state): ...\n")
    monkeypatch.syspath_prepend(tmp_path)

    load_runner(["borrowing_module:own"])
    with pytest.raises(NotFoundError, match="not declared as a runner"):
        load_runner(["borrowing_module:system"])


def test_what_the_user_names_may_be_any_function() -> None:
    assert load_runner(["os:getcwd"], is_chosen=True) is os.getcwd


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module_at_all:turn", "module no_such_module_at_all is not found"),
        ("whence.runs.runners:no_such", "has no function no_such"),
        ("whence.runs.runners:DECLARED", "has no function DECLARED"),
        ("nobody", "no entry point declares a runner 'nobody'"),
    ],
)
def test_a_runner_that_is_not_there_says_why(name: str, why: str) -> None:
    with pytest.raises(NotFoundError, match=why):
        load_runner([name])


def test_the_first_name_that_means_a_runner_counts() -> None:
    runner("turn")(step)

    assert load_runner(["nobody", "turn"]) is step


def test_a_module_whose_own_import_fails_fails_as_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy_module.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        load_runner(["needy_module:turn"])


def _seed(config_override: Any = None, other: int = 1) -> Any:
    return ("seed", config_override, other)


def _one(state: Any, flag: bool = False) -> Any:
    return ("one", state, flag)


def _several(state: Any, rate: float, *more: Any, name: str = "x", **rest: Any) -> Any:
    return ("several", state, rate, more, name, rest)


def _none() -> Any:
    return ("none",)


async def _waiting(state: Any) -> Any:
    return ("waited", state)


@pytest.mark.parametrize(
    ("function", "value", "result"),
    [
        (_seed, {"state": 1}, ("seed", {"state": 1}, 1)),
        (_one, {"state": 1}, ("one", {"state": 1}, False)),
        (_one, [1], ("one", [1], False)),
        (_several, {"rate": 2, "state": 1}, ("several", 1, 2, (), "x", {})),
        (
            _several,
            {"state": 1, "rate": 2, "more": [3], "name": "y", "rest": {"z": 4}},
            ("several", 1, 2, (3,), "y", {"z": 4}),
        ),
        (_none, {}, ("none",)),
        (_waiting, 5, ("waited", 5)),
    ],
)
def test_a_runner_takes_what_went_in_the_way_it_is_written(
    function: Callable[..., Any], value: Any, result: Any
) -> None:
    assert call_runner(function, value) == result


def test_an_input_that_does_not_fit_is_told() -> None:
    with pytest.raises(TypeError, match="takes no argument 'strange'"):
        bind_input(_several, {"state": 1, "rate": 2, "strange": 3})


def test_one_whose_runs_have_arguments_as_input_takes_them_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def simulate(state: Any) -> Any:
        return state

    monkeypatch.setattr(simulate, runners.TAKES_BOUND, True, raising=False)

    assert call_runner(simulate, {"state": 1}) == 1
