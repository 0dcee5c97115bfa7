"""The README shows what the demo prints."""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.docs.pages import find_blocks
from tests.unit.cli.asking import Ask

_README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
_CHANGES = re.compile(r"^[\d-]+ [\d:]+|\([\d.]+[nµm]?s\)", re.MULTILINE)
_SHOWN = [
    part.partition("\n")
    for block in find_blocks(_README)
    if block.language == "text"
    for part in block.text.removeprefix("$ whence ").split("\n$ whence ")
]


@pytest.mark.parametrize(("command", "shown"), [(command, shown) for command, _, shown in _SHOWN])
def test_the_readme_shows_what_the_demo_prints(
    ask_story: Ask, command: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for times; an ellipsis stands for lines that are left out, one at least."""
    if command == "verify":
        monkeypatch.setenv("WHENCE_KEYS", str(tmp_path / "keys"))
        # Sealing tells of the key, and others ask the same story.
        shutil.copytree(os.environ["WHENCE_DIR"], tmp_path / ".whence")
        monkeypatch.setenv("WHENCE_DIR", str(tmp_path / ".whence"))
        assert ask_story("seal").code == 0
    real = _CHANGES.sub("TIME", ask_story(*command.split()).out).strip()
    pattern = re.escape(_CHANGES.sub("TIME", shown).strip()).replace("…", r"[^\n]+(\n[^\n]+)*")

    assert re.fullmatch(pattern, real), f"{shown}\n--- is not ---\n{real}"


def test_the_readme_shows_an_answer_at_all() -> None:
    assert len(_SHOWN) == 3
