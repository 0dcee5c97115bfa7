"""`whence decisions`: the list, one of them, and who agrees with whom."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import whence
from whence.decisions import DecisionRefused, Gate
from whence.decisions.signatures import make_signer

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """An approval with an execution, and a refusal."""
    with whence.open(tmp_path / ".whence") as log:
        good = Gate("upgrade_proposal", {"prompt_id": "p-7"}, log=log)
        good.vote("constitutional", True, "fine")
        good.vote("probe", True)
        good.decide()
        with good.execution():
            pass
        bad = Gate("halt\x1b[2J", {"prompt_id": "p-8"}, log=log)
        bad.vote("constitutional", True)
        bad.vote("probe", False, "two failed")
        with pytest.raises(DecisionRefused):
            bad.decide()
        return [str(good.decision_id), str(bad.decision_id)]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WHENCE_")}
        return subprocess.run(
            [sys.executable, "-m", "whence", "decisions", *words],
            cwd=tmp_path, capture_output=True, text=True, env=kept,
        )  # fmt: skip

    return run


@pytest.mark.usefixtures("ids")
def test_the_list_has_verdicts_and_votes_the_newest_last(ask: Ask) -> None:
    said = ask("--ascii").stdout
    head, first, second = said.splitlines()

    assert head.split() == ["WHEN", "DECISION", "ON", "VERDICT", "VOTES", "REASON"]
    assert "approved" in first
    assert "+constitutional +probe" in first
    assert "refused" in second
    assert "-probe" in second
    assert "probe: two failed" in second
    assert "\x1b" not in said


@pytest.mark.usefixtures("ids")
def test_filters_choose(ask: Ask) -> None:
    for words, actions in (
        (("--refused",), ["halt\x1b[2J"]),
        (("--approved",), ["upgrade_proposal"]),
        (("--action", "upgrade_proposal"), ["upgrade_proposal"]),
        (("-a", "nobody"), []),
        (("-n", "1"), ["halt\x1b[2J"]),
        (("-S", "1h ago"), ["upgrade_proposal", "halt\x1b[2J"]),
    ):
        lines = ask("--json", *words).stdout.splitlines()
        assert [json.loads(line)["action"] for line in lines] == actions


def test_one_is_shown_with_votes_subject_and_effects(ask: Ask, ids: list[str]) -> None:
    said = ask("show", ids[0]).stdout
    told = json.loads(ask("show", ids[0], "--json").stdout)

    assert "constitutional: fine" in said
    assert '"prompt_id": "p-7"' in said
    assert told["effects"][0] in said
    assert told["votes"]["probe"] == {"passed": True, "reason": ""}
    assert ask("show", "@last", "--json").stdout.splitlines()[1].strip() == f'"id": "{ids[1]}",'


@pytest.mark.usefixtures("ids")
def test_statistics_say_who_stops_and_who_agrees(ask: Ask) -> None:
    told = json.loads(ask("stats", "--json").stdout)
    said = ask("stats").stdout

    assert told["actions"]["upgrade_proposal"] == {"decided": 1, "approved": 1}
    assert told["voters"]["probe"] == {"voted": 2, "passed": 1, "stopped": 1}
    assert told["agreement"] == [
        {"voters": ["constitutional", "probe"], "together": 2, "agreed": 1}
    ]
    assert "50 %" in said


@pytest.mark.usefixtures("ids")
def test_wrong_use_and_what_is_no_decision_are_refused(ask: Ask) -> None:
    assert ask("show").returncode == 2
    assert ask("stats", "x").returncode == 2
    assert ask("show", "p-7").returncode == 3


@pytest.fixture
def signed(tmp_path: Path) -> str:
    """A decision with one signed vote and one that is not; the voter's key is in `keys`."""
    ada = make_signer("ada")
    (tmp_path / "keys").write_text(f"# voters\n{ada.verifier()}\n")
    with whence.open(tmp_path / ".whence") as log:
        gate = Gate("upgrade", {}, log=log)
        gate.sign("ada", True, key=ada)
        gate.vote("bob", True)
        return gate.decide()


def test_signatures_are_looked_at_and_counted(ask: Ask, signed: str) -> None:
    said = ask("verify", "--keys", "keys")
    [told] = map(json.loads, ask("verify", signed, "--keys", "keys", "--json").stdout.splitlines())

    assert said.returncode == 0
    assert said.stdout.endswith("FITS: 1 decision: 0 invalid, 1 valid, 0 unknown, 1 unsigned.\n")
    assert told["votes"] == [
        {"voter": "ada", "passed": True, "state": "valid"},
        {"voter": "bob", "passed": True, "state": "unsigned"},
    ]


def test_a_vote_that_was_changed_ends_with_exit_code_1(
    ask: Ask, tmp_path: Path, signed: str
) -> None:
    [segment] = (tmp_path / ".whence" / "journal").iterdir()
    lines = segment.read_bytes()
    assert b'"action":"upgrade"' in lines
    segment.write_bytes(lines.replace(b'"action":"upgrade"', b'"action":"upgrabe"'))
    said = ask("verify", signed, "--keys", "keys")

    assert said.returncode == 1
    assert "INVALID: 1 decision: 1 invalid" in said.stdout


def test_a_decision_recorded_twice_ends_with_exit_code_1(
    ask: Ask, tmp_path: Path, signed: str
) -> None:
    with whence.open(tmp_path / ".whence") as log:
        [event] = log.events(whence.Query(primitive="decision"))
        assert event.id == signed
        log.emit("decision", "upgrade", data=event.data, status="success", wait=True)
    said = ask("verify", "--keys", "keys")

    assert said.returncode == 1
    assert "decided more than once" in said.stdout


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["verify"], 2), (["--keys", "keys"], 2), (["stats", "--keys", "keys"], 2),
        (["verify", "--keys", "nowhere"], 3), (["verify", "nobody", "--keys", "keys"], 3),
        (["verify", "--keys", ".whence"], 3), (["verify", "--keys", "bad"], 1),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_read_are_named(
    ask: Ask, tmp_path: Path, words: list[str], code: int
) -> None:
    (tmp_path / "bad").write_bytes(b"\xff")
    said = ask(*words)

    assert (said.returncode, said.stdout) == (code, "")
    assert said.stderr
