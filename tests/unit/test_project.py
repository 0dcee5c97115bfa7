"""Facts about the tree as a whole that no single module's tests would notice."""

import ast
import importlib.metadata
import os
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import whence

_ROOT = Path(__file__).parents[2]
_SOURCES = sorted((_ROOT / "src" / "whence").rglob("*.py"))
_LOCKS = sorted(_ROOT.glob("requirements*.txt"))
_PROJECT: dict[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))

_LINES_MAX = 600

# Who may import what we did not write: a package that only one room knows is easy to replace.
_ROOMS_OF_PACKAGES = {
    "click": {"cli"},
    "cryptography": {"proof"},
    "opentelemetry": {"tracing"},
    "wcwidth": {"draw"},
    "yaml": {"tracing"},
}
_DISTRIBUTIONS = {"opentelemetry": "opentelemetry-sdk", "yaml": "pyyaml"}
"""What brings a package, where that is called otherwise."""

_EVERYWHERE = {"msgspec"}

# What a pure room may not call, beside the modules that import-linter keeps away from it.
_IMPURE_CALLS = {"open", "print", "input", "breakpoint", "now", "today", "utcnow"}


def _names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(_ROOT)) for path in paths]


def _tracked_files() -> Iterator[Path]:
    """Every file that .gitignore does not leave out, also where there is no git."""
    lines = (_ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = {line.strip("/") for line in lines if line.endswith("/")} | {".git"}
    for folder, folders, files in os.walk(_ROOT):
        folders[:] = [name for name in folders if name not in ignored]
        for name in files:
            if not name.startswith(".coverage") and name != ".git":
                yield Path(folder, name)


def _text(path: Path) -> str:
    """The file's text; "" for a binary file."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", errors="replace")


def _room(path: Path) -> str:
    """The room of a source file: the folder or module directly under `whence`."""
    return path.relative_to(_ROOT / "src" / "whence").parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[str]:
    """The top-level package of every import, also of those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_the_package_under_test_is_the_one_asked_for() -> None:
    """`make test-wheel` must not find the source tree, nor the other way round."""
    place = Path(whence.__file__).parent

    if os.environ.get("WHENCE_TEST_WHEEL"):
        assert place.parent.name == "site-packages"
        assert place.is_relative_to(sys.prefix)
    else:
        assert place == _ROOT / "src" / "whence"


def test_the_version_is_said_once() -> None:
    assert importlib.metadata.version("whence") == _PROJECT["project"]["version"]
    assert whence.__version__ == _PROJECT["project"]["version"]


def test_the_installed_package_tells_that_it_is_typed() -> None:
    assert Path(whence.__file__).with_name("py.typed").exists()


def test_no_file_names_a_registry_or_a_place_on_somebodys_machine() -> None:
    forbidden = re.compile(
        r"\b(?:registry|files|index|deb|security)\.[a-z]+\.(?:org|com)\b"
        r"|\bpy"
        r"pi\.org|python"
        r"hosted"
        r"|/(?:home|Users)/[a-z]\w*/|/ro"
        r"ot/"
        rf"|{re.escape(str(_ROOT))}(?:/|$)",
        re.MULTILINE,
    )

    found = {
        str(path.relative_to(_ROOT)): match.group()
        for path in _tracked_files()
        if (match := forbidden.search(_text(path)))
    }

    assert found == {}


@pytest.mark.parametrize("lock", _LOCKS, ids=_names(_LOCKS))
def test_every_locked_requirement_is_exact_and_hashed(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]

    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line), line
    assert "://" not in text


def _locked(name: str) -> dict[str, str]:
    text = (_ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", text, re.MULTILINE))


def test_locks_hold_what_the_project_asks_for() -> None:
    """A requirement added by hand must be followed by `make lock`."""
    runtime = _PROJECT["project"]["dependencies"]
    groups = _PROJECT["dependency-groups"]
    wanted = {
        "requirements.txt": runtime,
        "requirements-test.txt": runtime + groups["test"],
        "requirements-dev.txt": runtime + groups["test"] + groups["dev"],
        "requirements-bench.txt": runtime + groups["bench"],
    }

    for lock, requirements in wanted.items():
        locked = _locked(lock)
        for requirement in map(Requirement, filter(_is_text, requirements)):
            assert requirement.name in locked, f"{lock} lacks {requirement}"
            assert requirement.specifier.contains(locked[requirement.name]), lock


def _is_text(requirement: object) -> bool:
    """Whether an entry of a group is a requirement, and not the name of another group."""
    return isinstance(requirement, str)


def test_locks_agree_on_versions() -> None:
    versions: dict[str, set[str]] = {}
    for lock in _LOCKS:
        for name, version in _locked(lock.name).items():
            versions.setdefault(name, set()).add(version)

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", _SOURCES, ids=_names(_SOURCES))
def test_a_module_says_what_it_is_and_stays_one_idea(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") < _LINES_MAX


@pytest.mark.parametrize("path", _SOURCES, ids=_names(_SOURCES))
def test_the_architecture_page_lists_the_module(path: Path) -> None:
    page = (_ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    name = path.relative_to(_ROOT / "src" / "whence").as_posix()

    assert f"`{name.removesuffix('__init__.py') or '__init__.py'}`" in page


@pytest.mark.parametrize("path", _SOURCES, ids=_names(_SOURCES))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    """What is not declared would be missing after a plain install."""
    allowed = _EVERYWHERE | {
        package for package, rooms in _ROOMS_OF_PACKAGES.items() if _room(path) in rooms
    }
    imported = set(_imports(ast.parse(path.read_text(encoding="utf-8"))))

    assert imported - sys.stdlib_module_names - {"whence"} <= allowed


def test_every_package_that_is_imported_is_declared_and_used() -> None:
    project = _PROJECT["project"]
    extras = project["optional-dependencies"].values()
    declared = {
        Requirement(text).name for group in (project["dependencies"], *extras) for text in group
    }

    packages = _EVERYWHERE | set(_ROOMS_OF_PACKAGES)
    assert declared == {_DISTRIBUTIONS.get(package, package) for package in packages}


def test_pure_rooms_call_nothing_that_reads_the_world() -> None:
    """import-linter keeps modules away; this keeps away what needs no import."""
    contracts = _PROJECT["tool"]["importlinter"]["contracts"]
    modules = next(c["source_modules"] for c in contracts if c["id"] == "pure")
    pure = [_ROOT.joinpath("src", *module.split(".")) for module in modules]

    found = [
        f"{path.relative_to(_ROOT)}:{node.lineno}"
        for path in _SOURCES
        if any(path.with_suffix("") == room or room in path.parents for room in pure)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _called(node) in _IMPURE_CALLS
    ]

    assert found == []


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def test_an_unfinished_mark_names_its_issue() -> None:
    mark = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b(?!\(#\d+\))")
    found = []
    for path in _tracked_files():
        if path.suffix == ".py":
            with path.open("rb") as file:
                found += [
                    f"{path.relative_to(_ROOT)}:{token.start[0]}"
                    for token in tokenize.tokenize(file.readline)
                    if token.type == tokenize.COMMENT and mark.search(token.string)
                ]

    assert found == []


def test_what_ci_runs_can_be_run() -> None:
    assert os.access(_ROOT / ".ci" / "run", os.X_OK)
