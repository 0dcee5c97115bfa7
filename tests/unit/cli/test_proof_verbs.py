"""What the verbs of the proof write, and where: settings that count, names that lead nowhere else, states that one process holds."""

import fcntl
import json
import os
from pathlib import Path

import pytest

import whence
from tests.unit.cli.asking import Ask
from whence.settings import load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHENCE_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("WHENCE_DIR", str(tmp_path / "project" / ".whence"))
    (tmp_path / "project").mkdir()
    return tmp_path / "project" / ".whence"


@pytest.mark.parametrize("reason", ["audit 🙂", 'a "quote" \\ and \x7f', "two\nlines", "ü"])
def test_a_hold_goes_into_the_settings_that_count_and_takes_none_of_them_away(
    ask: Ask, folder: Path, reason: str
) -> None:
    settings = folder.parent / "whence.toml"
    settings.write_text('[redaction]\npatterns = ["sekret-[0-9]+"]\n')
    settings.chmod(0o644)
    with whence.open(folder) as log:
        log.emit("ops", "note", target="t", data={"text": "sekret-123"})
    said = ask("hold", "--target", "t", "--reason", reason)
    assert said.code == 0, said
    assert not (folder / "whence.toml").exists()
    assert settings.stat().st_mode & 0o777 == 0o644
    assert load(folder).redaction.patterns == ("sekret-[0-9]+",)
    with whence.open(folder) as log:
        log.emit("ops", "note", target="t", data={"text": "sekret-456"})
    content = b"".join(path.read_bytes() for path in (folder / "journal").iterdir())
    assert b"sekret-" not in content
    said = ask("erase", "--target", "t", "--reason", "asked", "--yes")
    assert (said.code, "is held" in said.err) == (1, True)


@pytest.mark.parametrize("event_id", ["zzzz../../zq", "/tmp/abcd", "a\x1b[2Jbcde", "ok-12345"])
def test_a_proof_is_written_where_it_was_asked_for(
    ask: Ask, folder: Path, tmp_path: Path, event_id: str
) -> None:
    with whence.open(folder) as log:
        log.emit("ops", "note", target="t", data={"n": 1})
    [segment] = (folder / "journal").iterdir()
    content = segment.read_bytes()
    line = next(each for each in content.splitlines() if b'"note"' in each)
    old = line[7 : line.index(b'"', 7)]
    segment.write_bytes(content.replace(old, json.dumps(event_id, ensure_ascii=False)[1:-1].encode().replace(b"\x1b", b"\\u001b")))  # fmt: skip
    assert ask("seal").code == 0
    out = tmp_path / "out" / "deep"
    said = ask("prove", event_id, "-d", str(out))
    assert said.code == 0, said
    assert "\x1b" not in said.out
    written = [*tmp_path.rglob("*.tlog-proof"), *tmp_path.rglob("*.jsonl")]
    mine = [path for path in written if not path.is_relative_to(folder)]
    assert [path.parent for path in mine] == [out, out]
    assert list(Path("/tmp").glob("abcd.*")) == []


def test_a_witness_keeps_its_key_to_itself_and_its_state_from_a_second_one(
    ask: Ask, tmp_path: Path
) -> None:
    state, logs = tmp_path / "state", tmp_path / "logs.txt"
    logs.write_text("")
    state.mkdir(mode=0o700)
    from whence.proof.keyring import make_signer

    (state / "witness.key").write_text(f"{make_signer('w/w').text}\n")
    (state / "witness.key").chmod(0o644)
    said = ask("witness", "--logs", str(logs), "--state", str(state), "--listen", "127.0.0.1:0")
    assert (said.code, "can be read by others" in said.err) == (3, True)
    (state / "witness.key").chmod(0o600)
    held = os.open(state / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        said = ask("witness", "--logs", str(logs), "--state", str(state), "--listen", "127.0.0.1:0")
        assert (said.code, "another witness serves" in said.err) == (1, True)
    finally:
        os.close(held)


def test_a_key_that_others_can_read_is_said_and_not_taken_for_no_key(
    ask: Ask, folder: Path, tmp_path: Path
) -> None:
    with whence.open(folder) as log:
        log.emit("ops", "note")
    assert ask("seal").code == 0
    for path in (tmp_path / "keys").glob("*.key"):
        path.chmod(0o644)
    said = ask("verify")
    assert (said.code, "can be read by others" in said.out) == (3, True)
    assert "VERIFIED" not in said.out


def test_where_nobody_has_a_home_that_is_said(
    ask: Ask, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whence.open(folder) as log:
        log.emit("ops", "note")
    for name in ("WHENCE_KEYS", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home(_: str) -> str:
        return "~"

    monkeypatch.setattr("os.path.expanduser", no_home)
    for verb in ("seal", "verify"):
        said = ask(verb)
        assert (said.code, "Traceback" in said.err) == (3, False), said
