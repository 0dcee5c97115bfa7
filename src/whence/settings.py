"""Where things live and what is on: a path given, the environment, `whence.toml`.

Read when used, never at import. A log's folder is, in this order: the path given, `WHENCE_DIR`,
`dir` in `./whence.toml` or in one of a parent folder, `./.whence`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

FOLDER_NAME = ".whence"
FILE_NAME = "whence.toml"

Durability = Literal["os", "disk"]

_OURS = ("dir", "journal", "redaction", "privacy")

_OTHERS = frozenset(
    "source tracing runs learning decisions swarm proof policy witness server retention hold audit".split()
)
"""The tables of other rooms, also of those that are not built yet."""


class JournalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[journal]`: how lines are kept and who may read them."""

    durability: Durability = "os"
    segment_bytes: Annotated[int, msgspec.Meta(ge=4096)] = 256 * 1024 * 1024
    group: str | None = None


class RedactionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[redaction]`: which secrets are replaced before anything is written."""

    enabled: bool = True
    keys: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


Wildcard = Annotated[str, msgspec.Meta(min_length=1)]
"""What a name has to look like, in the words of `fnmatch`."""


class PrivacyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[privacy.rule]]`: events that match all it names are private, or not if it says so."""

    agent: Wildcard | None = None
    primitive: Wildcard | None = None
    type: Wildcard | None = None
    private: bool = True

    def __post_init__(self) -> None:
        """Refuse a rule that would silently hold for everything."""
        if self.agent is None and self.primitive is None and self.type is None:
            raise ValueError(
                'rule names no `agent`, `primitive` or `type`; `primitive = "*"` means every event'
            )


class PrivacySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[privacy]`: which events are private where the caller does not say; the first match wins."""

    rule: tuple[PrivacyRule, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `whence.toml` may say. Tables of other rooms are kept for them in `others`."""

    dir: str | None = None
    journal: JournalSettings = JournalSettings()
    redaction: RedactionSettings = RedactionSettings()
    privacy: PrivacySettings = PrivacySettings()
    others: dict[str, Any] = {}
    file: Path | None = None
    """Where all this stands: relative paths in it are meant from there."""


def find_folder(
    path: str | os.PathLike[str] | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    start: Path | None = None,
) -> Path:
    """The folder of the log that is meant, whether or not it exists. Raises ValueError for bad TOML."""
    if path is not None:
        return Path(path).absolute()
    named = environment.get("WHENCE_DIR")
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        file = folder / FILE_NAME
        if os.path.isfile(file):
            return _named_folder(file, read_file(file))
    return here / FOLDER_NAME


def _named_folder(file: Path, settings: Settings) -> Path:
    return file.parent / (settings.dir or FOLDER_NAME)


def load(folder: Path) -> Settings:
    """Read the settings of a log: its own `whence.toml`, else the one beside or naming its folder.

    Raises:
        ValueError: what is wrong in that file.
    """
    own = (folder / FILE_NAME, folder.parent / FILE_NAME)
    for file in files_of(folder):
        if os.path.isfile(file):
            settings = read_file(file)
            is_meant = file in own or _named_folder(file, settings) == folder
            return settings if is_meant else Settings()
    return Settings()


def files_of(folder: Path) -> list[Path]:
    """Where the settings of a log may stand: the first file that is there counts."""
    return [folder / FILE_NAME, *(parent / FILE_NAME for parent in folder.parents)]


def read_file(file: Path) -> Settings:
    """Read one `whence.toml`; ValueError says what in it is wrong."""
    # Where there is no file, which is most often, nobody pays for its parser.
    import tomllib

    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"cannot read {file}: {error}") from error
    for name, value in tables.items():
        _check_name(file, name, value)
    known: dict[str, Any] = {name: tables.pop(name) for name in _OURS if name in tables}
    try:
        read = msgspec.convert({**known, "others": tables}, Settings)
    except msgspec.ValidationError as error:
        raise ValueError(f"{file}: {error}") from error
    return msgspec.structs.replace(read, file=file)


def _check_name(file: Path, name: str, value: object) -> None:
    """Refuse a key or table that nobody reads: whoever misspelt `[redaction]` believes it is on."""
    is_table = isinstance(value, dict | list)
    if name == "dir" or (is_table and name in (*_OURS, *_OTHERS)):
        return
    from difflib import get_close_matches

    if is_table:
        left, right = ("[[", "]]") if isinstance(value, list) else ("[", "]")
        near = get_close_matches(name, [*_OURS[1:], *_OTHERS], 1)
        hint = (
            f"did you mean `{near[0]}`?" if near else "docs/reference/settings.md lists the tables"
        )
        raise ValueError(f"{file}: unknown table `{left}{name}{right}`; {hint}")
    is_near = bool(get_close_matches(name, ["dir"], 1))
    hint = "did you mean `dir`?" if is_near else "want `dir` or a table"
    raise ValueError(f"{file}: unknown key `{name}`; {hint}")
