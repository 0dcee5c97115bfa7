"""Which functions can execute a run again, found by name from another process.

    @whence.runner("turn")
    def turn(config_override): ...

A run stores what `describe_runner` says: the name, where the function stands, a digest of its source.
Somebody else's journal may name any function, so one that nobody declared is only called where it is
neither Python's nor an installed package's: `os:system` is never a runner.
"""

import functools
import importlib
import inspect
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

from whence.errors import NotFoundError
from whence.runs.digest import digest_bytes

Function = TypeVar("Function", bound=Callable[..., Any])

ENTRY_POINTS = "whence.runners"
"""The group of entry points by which packages declare runners."""

DECLARED = "__whence_runner__"
"""Marks a function that is meant to be called in a replay."""

TAKES_BOUND = "__whence_takes_bound__"
"""Marks a function whose runs have as their input its arguments by name."""

_registered: dict[str, Callable[..., Any]] = {}


@overload
def runner(name: str) -> Callable[[Function], Function]: ...


@overload
def runner(name: Function) -> Function: ...


def runner(name: str | Function) -> Callable[[Function], Function] | Function:
    """Declare a function as the one that executes runs of this name; it stays as it is.

    Without a name it is the function's own. A replay calls it with what went in: as
    `config_override` where it takes that name, else as its one argument, or by name where it takes
    several. It returns what came out, or records a run.

    Raises:
        ValueError: another function has that name, or this one has no name to be found by.
    """
    if not isinstance(name, str):
        return _register(name.__name__, name)
    if not name or ":" in name:
        raise ValueError(f"name of a runner is {name!r}, want text without a colon")
    return lambda function: _register(name, function)


def _register(name: str, function: Function) -> Function:
    home = home_of(function)
    known = _registered.get(name)
    if known is not None and home_of(known) != home:
        raise ValueError(f"runner {name!r} is {home_of(known)} already, cannot be {home} too")
    setattr(function, DECLARED, name)
    _registered[name] = function
    return function


def registered() -> Mapping[str, Callable[..., Any]]:
    """The runners that modules loaded here have declared, by name."""
    return dict(_registered)


def home_of(function: Callable[..., Any]) -> str:
    """Where another process finds a function, as `module:function`; ValueError says why it cannot."""
    name = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError(
            f"a {type(function).__name__} has no name by which another process finds it"
        )
    if "<lambda>" in name:
        raise ValueError("a lambda has no name by which another process finds it")
    if "<locals>" in name:
        raise ValueError(f"{name} stands inside a function, where another process cannot find it")
    if module == "__main__":
        module = _name_main(name)
    return f"{module}:{name}"


def describe_runner(function: Callable[..., Any] | str | None) -> dict[str, Any]:
    """What a run stores so that it can be executed again; for a function that nobody finds, why.

    `runner` is its name, `runner_home` where it stands, `runner_folder` where that is imported from
    and `runner_code` the digest of its source. Never raises.
    """
    if function is None:
        return {"runner": None}
    if isinstance(function, str):
        known = _registered.get(function)
        if known is None:
            return {"runner": function}
        function = known
    try:
        home = home_of(function)
    except ValueError as error:
        return {"runner": None, "runner_problem": str(error)}
    said: dict[str, Any] = {
        "runner": getattr(function, DECLARED, None) or home,
        "runner_home": home,
    }
    return said | _describe_module(getattr(function, "__module__", ""))


@functools.cache
def _describe_module(name: str) -> dict[str, str]:
    """Where a module is imported from and the digest of its source, where it has any."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or not file:
        return {}
    said = {}
    # A script is a module of its own, whatever package its folder is.
    levels = 1 if _is_script(module) else name.count(".") + 1
    path = Path(file).absolute()
    if path.stem == "__init__":
        path = path.parent
    if not _is_installed(path):
        said["runner_folder"] = str(path.parents[levels - 1])
    try:
        said["runner_code"] = digest_bytes(Path(file).read_bytes())
    except OSError:
        pass
    return said


def _is_script(module: ModuleType) -> bool:
    return module.__name__ == "__main__" and getattr(module, "__spec__", None) is None


def _name_main(function: str) -> str:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if not file:
        raise ValueError(f"{function} was typed in, so another process cannot find it")
    return Path(file).stem


# -- from a name to the function, in the process that executes it ------------------------------------


def load_runner(names: Iterable[str], *, is_chosen: bool = False) -> Callable[..., Any]:
    """Find the first of some names that means a runner, importing what it has to.

    A name is `module:function`, or that of a runner declared by a module loaded here or by an entry
    point. With `is_chosen` the user named it, and it may be any function.

    Raises:
        NotFoundError: none of them does; the message says why.
        Exception: whatever a module raises when it is imported.
    """
    problems = []
    for name in names:
        try:
            return _load(name, is_chosen=is_chosen)
        except NotFoundError as error:
            problems.append(str(error))
    raise NotFoundError("; ".join(dict.fromkeys(problems)) or "no runner is named")


def _load(name: str, *, is_chosen: bool) -> Callable[..., Any]:
    if ":" in name:
        return _import(name, is_chosen=is_chosen)
    if name in _registered:
        return _registered[name]
    from importlib.metadata import entry_points

    found = next(iter(entry_points(group=ENTRY_POINTS, name=name)), None)
    if found is None:
        raise NotFoundError(f"no module loaded here and no entry point declares a runner {name!r}")
    return _import(found.value, is_chosen=True)


def _import(home: str, *, is_chosen: bool) -> Callable[..., Any]:
    module_name, _, path = home.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # One that is missing inside of the module is the module's own failure.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise NotFoundError(f"module {module_name} is not found") from error
    module = found
    for part in path.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise NotFoundError(f"module {module_name} has no function {path}")
    if not (is_chosen or _may_call(module, found)):
        raise NotFoundError(
            f"{home} is not declared as a runner; `@whence.runner` declares it, `--runner` names it"
        )
    function: Callable[..., Any] = found
    return function


def _may_call(module: ModuleType, function: Callable[..., Any]) -> bool:
    """Whether a function that only a journal names may be called."""
    if getattr(function, DECLARED, None) or getattr(function, TAKES_BOUND, False):
        return True
    homes = (module, sys.modules.get(getattr(function, "__module__", None) or ""))
    files = [getattr(home, "__file__", None) for home in homes]
    return all(file and not _is_installed(Path(file)) for file in files)


def _is_installed(file: Path) -> bool:
    """Whether a file is Python's own or an installed package's."""
    resolved = os.path.realpath(file)
    return any(resolved.startswith(folder + os.sep) for folder in _installed_folders())


@functools.cache
def _installed_folders() -> frozenset[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return frozenset(os.path.realpath(sysconfig.get_path(name)) for name in names)


def call_runner(function: Callable[..., Any], value: Any) -> Any:
    """Call a runner with what went into a run, and wait for it if it is a coroutine.

    Raises:
        TypeError: it cannot be called with that.
        Exception: whatever it raises.
    """
    args, kwargs = bind_input(function, value)
    result = function(*args, **kwargs)
    if inspect.isawaitable(result):
        import asyncio

        async def wait() -> Any:
            return await result

        return asyncio.run(wait())
    return result


def bind_input(
    function: Callable[..., Any], value: Any
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Settle how a runner takes what went into a run; TypeError if it cannot."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        return (value,), {}
    if "config_override" in parameters:
        return (), {"config_override": value}
    takes_bound = getattr(function, TAKES_BOUND, False)
    needed = [each for each in parameters.values() if each.default is each.empty]
    is_several = len([each for each in needed if each.kind not in _VARIABLE]) > 1
    if isinstance(value, Mapping) and (takes_bound or is_several):
        return _bind_by_name(function, parameters, value)
    return ((value,), {}) if parameters else ((), {})


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _bind_by_name(
    function: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    value: Mapping[str, Any],
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Give each argument under its name, as `inspect.BoundArguments` lists them."""
    strange = [name for name in value if name not in parameters]
    if strange:
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} takes no argument {strange[0]!r}, which the input has")
    bound = inspect.BoundArguments(
        inspect.signature(function),
        {name: value[name] for name in parameters if name in value},
    )
    return bound.args, bound.kwargs
