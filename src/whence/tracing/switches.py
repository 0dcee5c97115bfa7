"""Whether steps are traced, from what level on, and where else they are shown.

What decides, the first that says something: the program itself (`enable`, `--trace`),
`WHENCE_TRACE`, the seed's `DOPEJAR_TRACE`, `[tracing]` in `whence.toml`, `tracing:` in the
seed's `config/settings.yaml`. Nothing is read at import. All is read again at most once a second,
and a file only when it has changed.
"""

import logging
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from whence import settings

Level = Literal["debug", "info", "warn"]
RANKS: Mapping[str, int] = {"debug": 0, "info": 1, "warn": 2, "warning": 2, "error": 3}
OFF_RANK = 99
"""More than any level: nothing is traced."""

Console = Literal["off", "tree", "lines", "both"]

SETTINGS_FILE = Path("config") / "settings.yaml"
MIRROR_FILE = "trace.jsonl"
"""Where the seed writes its lines."""

_YAML_BYTES_MAX = 1 << 20
_YES = frozenset(["1", "true", "on", "yes"])
_NO = frozenset(["0", "false", "off", "no"])
_WORD_MAX = 40
_SHOWN: dict[str, Console] = {"tree": "tree", "lines": "lines", "both": "both"}

_logger = logging.getLogger("whence")


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tracing]`: what is traced, and where else it goes."""

    enabled: bool | None = None
    level: Level | None = None
    output: str | None = None
    mirror: bool | str = False
    console: Console | None = None
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    slow: str | float | None = None
    threads: bool = False
    """Looked at by the recorder, which spans of either kind have."""


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """What holds now."""

    is_on: bool = False
    rank: int = RANKS["info"]
    mirror: Path | None = None
    console: Console = "off"
    sample: float = 1.0
    slow_ns: int | None = None


class _YamlTracing(msgspec.Struct, frozen=True, kw_only=True):
    """The seed's `tracing:`; other keys are its own affair."""

    enabled: bool | None = None
    output: str | None = None
    level: Level | None = None


class Switchboard:
    """Finds out what holds. `forced_on` and `forced_console` are what the program itself said."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.forced_on: bool | None = None
        self.forced_console: Console | None = None
        self._environment = environment
        # By file: the stamp it had when it was read, and what it said.
        self._read: dict[Path, tuple[object, Any]] = {}
        self._warned: set[str] = set()

    def look(self, find_folder: Callable[[], Path]) -> Switch:
        """Say what holds for the log in that folder. Never raises: what is wrong counts as not said."""
        here = self._guarded(Path.cwd, None)
        folder = self._guarded(find_folder, None)
        named = TracingSettings() if folder is None else self._tables(folder)
        said = _YamlTracing() if here is None else self._yaml(here / SETTINGS_FILE)
        word = self._word()
        on = self._first(
            self.forced_on,
            None if word is None else word not in _NO,
            named.enabled,
            said.enabled,
        )
        level = word if word in RANKS else self._first(named.level, said.level, "info")
        console: Console = self._first(
            self.forced_console, _SHOWN.get(word or ""), named.console, "off"
        )
        mirror = self._first(
            named.output,
            MIRROR_FILE if named.mirror is True else named.mirror or None,
            said.output,
            None,
        )
        return Switch(
            is_on=bool(on),
            rank=RANKS[level or "info"],
            mirror=None if mirror is None or here is None else here / mirror,
            console=console,
            sample=named.sample,
            slow_ns=self._guarded(lambda: _read_slow(named.slow), None),
        )

    @staticmethod
    def _first(*values: Any) -> Any:
        return next((value for value in values if value is not None), None)

    def _word(self) -> str | None:
        for name in ("WHENCE_TRACE", "DOPEJAR_TRACE"):
            word = self._environment.get(name, "").strip().lower()
            if word in _YES or word in _NO or word in RANKS or word in _SHOWN:
                return word
            if word:
                self._warn(
                    f"{name} is {word[:_WORD_MAX]!r}, want 1 or 0, a level ({', '.join(RANKS)}) or "
                    f"a form ({', '.join(_SHOWN)}); it counts as not said"
                )
        return None

    def _tables(self, folder: Path) -> TracingSettings:
        def read() -> TracingSettings:
            for file in settings.files_of(folder):
                stamp = _stamp(file)
                if stamp is not None:
                    found: TracingSettings = self._kept(file, stamp, lambda: read_tracing(folder))
                    return found
            return TracingSettings()

        tables: TracingSettings = self._guarded(read, TracingSettings())
        return tables

    def _yaml(self, file: Path) -> _YamlTracing:
        def read() -> _YamlTracing:
            stamp = _stamp(file)
            if stamp is None:
                return _YamlTracing()
            found: _YamlTracing = self._kept(file, stamp, lambda: _read_yaml(file))
            return found

        said: _YamlTracing = self._guarded(read, _YamlTracing())
        return said

    def _kept(self, file: Path, stamp: object, read: Callable[[], Any]) -> Any:
        kept = self._read.get(file)
        if kept is None or kept[0] != stamp:
            # Kept before it is read, so that a file that is wrong is not read each second.
            self._read[file] = (
                stamp,
                TracingSettings() if file.suffix == ".toml" else _YamlTracing(),
            )
            self._read[file] = kept = (stamp, read())
        return kept[1]

    def _guarded(self, read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - a file may make its parser fail in any way
            self._warn(f"tracing settings: {error}")
            return otherwise

    def _warn(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            _logger.warning("%s", problem)


def read_tracing(folder: Path) -> TracingSettings:
    """Read `[tracing]` of the log in `folder`; ValueError for what is wrong in it."""
    found = settings.load(folder)
    table = found.others.get("tracing", {})
    try:
        read = msgspec.convert(table, TracingSettings)
        _read_slow(read.slow)
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"{found.file}: [tracing]: {error}") from error
    # As every path in that file, from where it stands; `mirror = true` is the seed's own.
    named = read.output or (read.mirror if isinstance(read.mirror, str) else None)
    if named is None or found.file is None:
        return read
    return msgspec.structs.replace(read, output=str(found.file.parent / named))


def _read_slow(slow: str | float | None) -> int | None:
    """A duration such as `50ms`, or a number of milliseconds, in nanoseconds."""
    if slow is None:
        return None
    from whence.ask.times import parse_duration

    return round(slow * 1_000_000) if isinstance(slow, int | float) else parse_duration(slow)


def _read_yaml(file: Path) -> _YamlTracing:
    import yaml

    try:
        with file.open("rb") as stream:
            found = yaml.safe_load(stream.read(_YAML_BYTES_MAX))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"cannot read {file}: {error}") from error
    table = found.get("tracing") if isinstance(found, dict) else None
    try:
        return msgspec.convert(table if table is not None else {}, _YamlTracing)
    except msgspec.ValidationError as error:
        raise ValueError(f"{file}: tracing: {error}") from error


def _stamp(file: Path) -> object:
    """What changes when a file does; None where there is none, or what might never end."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
