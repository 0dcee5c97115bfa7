"""Where a log lives is found in one order, and what `whence.toml` gets wrong is said clearly."""

import os
import re
from pathlib import Path

import msgspec
import pytest

from whence.settings import (
    _OTHERS,
    FILE_NAME,
    FOLDER_NAME,
    JournalSettings,
    PrivacyRule,
    PrivacySettings,
    RedactionSettings,
    Settings,
    find_folder,
    load,
    read_file,
)


def write(folder: Path, text: str) -> Path:
    """Put a `whence.toml` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE_NAME
    file.write_text(text, encoding="utf-8")
    return file


# --- where a log lives ----------------------------------------------------------------------


def test_a_path_given_comes_first(tmp_path: Path) -> None:
    write(tmp_path, 'dir = "named"')
    environment = {"WHENCE_DIR": str(tmp_path / "environment")}
    given = tmp_path / "given"

    assert find_folder(given, environment=environment, start=tmp_path) == given
    assert find_folder(str(given), environment=environment, start=tmp_path) == given


def test_the_environment_comes_second(tmp_path: Path) -> None:
    write(tmp_path, 'dir = "named"')
    environment = {"WHENCE_DIR": str(tmp_path / "environment")}

    assert find_folder(environment=environment, start=tmp_path) == tmp_path / "environment"


def test_an_empty_environment_says_nothing(tmp_path: Path) -> None:
    assert find_folder(environment={"WHENCE_DIR": ""}, start=tmp_path) == tmp_path / FOLDER_NAME


def test_the_file_here_comes_third(tmp_path: Path) -> None:
    write(tmp_path, 'dir = "above"')
    write(tmp_path / "project", 'dir = "logs/whence"')

    found = find_folder(environment={}, start=tmp_path / "project")

    assert found == tmp_path / "project" / "logs" / "whence"


def test_the_nearest_file_in_a_parent_folder_comes_fourth(tmp_path: Path) -> None:
    write(tmp_path, 'dir = "far"')
    write(tmp_path / "project", 'dir = "near"')
    start = tmp_path / "project" / "source" / "deep"
    start.mkdir(parents=True)

    assert find_folder(environment={}, start=start) == tmp_path / "project" / "near"


def test_a_file_that_names_no_folder_has_the_usual_one_beside_it(tmp_path: Path) -> None:
    write(tmp_path, '[journal]\ndurability = "disk"')
    (tmp_path / "source").mkdir()

    assert find_folder(environment={}, start=tmp_path / "source") == tmp_path / FOLDER_NAME


def test_a_file_may_name_a_place_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "project", f'dir = "{tmp_path / "elsewhere"}"')

    assert find_folder(environment={}, start=tmp_path / "project") == tmp_path / "elsewhere"


def test_without_any_of_these_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert find_folder() == Path.cwd() / FOLDER_NAME
    assert find_folder("relative") == Path.cwd() / "relative"
    assert find_folder(environment={"WHENCE_DIR": "relative"}) == Path.cwd() / "relative"


def test_the_process_environment_is_looked_at_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "late"))

    assert find_folder() == tmp_path / "late"


def test_a_file_on_the_way_that_is_wrong_is_not_passed_over(tmp_path: Path) -> None:
    """Recording into another folder than the one that is meant would lose it."""
    write(tmp_path, 'dir = "far"')
    write(tmp_path / "project", "dir = far")

    with pytest.raises(ValueError, match=r"whence\.toml"):
        find_folder(environment={}, start=tmp_path / "project")


# --- which settings are a log's -------------------------------------------------------------


def test_a_log_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / FOLDER_NAME) == Settings(
        journal=JournalSettings(durability="os", segment_bytes=256 * 1024 * 1024, group=None),
        redaction=RedactionSettings(enabled=True, keys=(), patterns=(), allow=()),
    )


def test_a_log_has_its_own_file_first(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER_NAME
    write(folder, "[journal]\nsegment_bytes = 5000")
    write(tmp_path, "[journal]\nsegment_bytes = 6000")

    assert load(folder).journal.segment_bytes == 5000


def test_the_file_beside_a_log_is_the_next(tmp_path: Path) -> None:
    write(tmp_path, "[journal]\nsegment_bytes = 6000")

    assert load(tmp_path / FOLDER_NAME).journal.segment_bytes == 6000


def test_the_file_that_names_a_log_holds_for_it(tmp_path: Path) -> None:
    write(tmp_path, 'dir = "var/log/whence"\n[journal]\ndurability = "disk"')

    folder = find_folder(environment={}, start=tmp_path)

    assert load(folder).journal.durability == "disk"


def test_a_file_that_names_another_log_does_not(tmp_path: Path) -> None:
    write(tmp_path, 'dir = "var/log/whence"\n[journal]\ndurability = "disk"')

    assert load(tmp_path / "var" / "log" / "other") == Settings()


# --- what a file may say --------------------------------------------------------------------


def test_a_file_says_all_there_is_to_say(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        'dir = "logs"\n'
        '[journal]\ndurability = "disk"\nsegment_bytes = 4096\ngroup = "audit"\n'
        '[redaction]\nenabled = false\nkeys = ["pin"]\npatterns = ["x+"]\nallow = ["y"]\n'
        '[[privacy.rule]]\nagent = "haiku-*"\nprimitive = "memory"\ntype = "load"\n'
        '[[privacy.rule]]\ntype = "*"\nprivate = false\n'
        "[tracing]\nmirror = true\n[[source]]\nkind = 'nats'\n",
    )

    assert read_file(file) == Settings(
        dir="logs",
        journal=JournalSettings(durability="disk", segment_bytes=4096, group="audit"),
        redaction=RedactionSettings(enabled=False, keys=("pin",), patterns=("x+",), allow=("y",)),
        privacy=PrivacySettings(
            rule=(
                PrivacyRule(agent="haiku-*", primitive="memory", type="load", private=True),
                PrivacyRule(type="*", private=False),
            )
        ),
        others={"tracing": {"mirror": True}, "source": [{"kind": "nats"}]},
        file=file,
    )


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, "")

    assert read_file(file) == Settings(file=file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dir = logs", "Invalid value"),
        ("[journal\n", "Expected ']'"),
        ('dir = "a"\ndir = "b"', "Cannot overwrite"),
        ("dir = 5", r"Expected `str \| null`, got `int` - at `\$.dir`"),
        ('dri = "logs"', "unknown key `dri`"),
        ("journal = 5", "unknown key `journal`"),
        ("[redactoin]\nkeys = ['pin']", r"unknown table `\[redactoin\]`; did you mean `redaction`"),
        ("[privacies]\nrule = []", r"unknown table `\[privacies\]`; did you mean `privacy`"),
        ("[[sorce]]\nkind = 'git'", r"unknown table `\[\[sorce\]\]`; did you mean `source`"),
        ("[[sources]]\nkind = 'git'", r"unknown table `\[\[sources\]\]`; did you mean `source`"),
        ("[zebra]", r"unknown table `\[zebra\]`; .*settings.md lists"),
        ("[journal]\ndurable = true", r"unknown field `durable` - at `\$.journal`"),
        ('[journal]\ndurability = "paper"', r"Invalid enum value 'paper' - at `\$.journal.dur"),
        ("[journal]\nsegment_bytes = 100", "Expected `int` >= 4096"),
        ("[journal]\nsegment_bytes = 5000.5", "Expected `int`, got `float`"),
        ('[journal]\nsegment_bytes = "5000"', "Expected `int`, got `str`"),
        ("[journal]\ngroup = 5", r"Expected `str \| null`, got `int`"),
        ("[redaction]\nenabled = 1", "Expected `bool`, got `int`"),
        ('[redaction]\nkeys = "pin"', "Expected `array`, got `str`"),
        ("[redaction]\npatterns = [5]", "Expected `str`, got `int`"),
        ("[redaction]\nkey = ['pin']", "unknown field `key`"),
        ("[privacy]\nrules = []", r"unknown field `rules` - at `\$.privacy`"),
        ("[privacy.rule]\ntype = 'x'", r"Expected `array`, got `object` - at `\$.privacy.rule`"),
        ("[[privacy.rule]]\nagnet = 'x'", r"unknown field `agnet` - at `\$.privacy.rule\[0\]`"),
        ("[[privacy.rule]]\nagent = 5", r"got `int` - at `\$.privacy.rule\[0\].agent`"),
        ("[[privacy.rule]]\ntype = ''", r"length >= 1 - at `\$.privacy.rule\[0\].type`"),
        ("[[privacy.rule]]\ntype = 'x'\nprivate = 'yes'", r"at `\$.privacy.rule\[0\].private`"),
        ("[[privacy.rule]]\nprivate = true", "names no `agent`, `primitive` or `type`"),
        ("[[journal]]\ngroup = 'audit'", "Expected `object`, got `array`"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = write(tmp_path, text)

    with pytest.raises(ValueError, match=problem) as raised:
        read_file(file)

    assert str(file) in str(raised.value)


def test_a_file_that_cannot_be_read_is_a_wrong_value_too(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(b'dir = "\xff"')
    with pytest.raises(ValueError, match="cannot read"):
        read_file(file)

    os.unlink(file)
    with pytest.raises(ValueError, match="cannot read"):
        read_file(file)


# --- the page of the reference --------------------------------------------------------------

_PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text(
    encoding="utf-8"
)
_WORDS = {"true": True, "false": False, "[]": (), "any": None, "none": None}


def _rows(title: str) -> dict[str, str]:
    """By key: the default that the page gives it under this heading."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/reference/settings.md has no section {title}"
    return dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", found[1], re.MULTILINE))


@pytest.mark.parametrize(
    ("title", "struct"),
    [
        ("`[journal]`", JournalSettings),
        ("`[redaction]`", RedactionSettings),
        ("`[privacy]`", PrivacySettings),
        ("`[[privacy.rule]]`", PrivacyRule),
    ],
)
def test_the_page_lists_the_keys_of_a_table_and_no_others(
    title: str, struct: type[msgspec.Struct]
) -> None:
    fields = {field.name: field.default for field in msgspec.structs.fields(struct)}

    said = {key: default.strip("`") for key, default in _rows(title).items()}

    assert said.keys() == fields.keys()
    for key, default in said.items():
        value = fields[key]
        assert (_WORDS[default] if default in _WORDS else default.strip('"')) == (
            str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        ), key


def test_the_page_names_every_table() -> None:
    tables = {field.name for field in msgspec.structs.fields(Settings)} - {"dir", "others", "file"}

    assert _rows("Top level") == {"dir": f'`"{FOLDER_NAME}"`'}
    headings = {*re.findall(r"^## `\[+(\w+)\]+`", _PAGE, re.MULTILINE)}
    later = _PAGE.partition("## Other tables")[2].partition("are\nkept")[0]
    kept = {*re.findall(r"`(\w+)`", later)}
    assert headings | kept == tables | _OTHERS
    assert not headings & kept
