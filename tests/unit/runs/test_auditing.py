"""The audit: each rule finds what it is for and nothing in a sound file; whatever is changed is named."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whence
from whence.errors import NotFoundError, StoreError
from whence.log import Log
from whence.runs.auditing import Audit, audit
from whence.runs.rules.choice import Choice, choose_rules, load_plugins
from whence.runs.rules.rule import Limits, Rule, rule
from whence.runs.rules.standard import STANDARD
from whence.runs.rules.subject import AuditedRun
from whence.runs.saving import runs_folder, save_run
from whence.runs.schema import run_schema
from whence.settings import Settings

_ROOT = Path(__file__).parents[3]

OVERLAYS = {"hope": 0.5, "despair": 0.25, "rage": 0.1, "fatigue": 0.2, "trust": 0.6}
SOUND: dict[str, Any] = {
    "trace_id": "t-1",
    "input": {
        "state": {
            "turn": 4, "sim_id": "sim-1", "timestamp": "2026-11-20T19:27:35+00:00",
            "overlays": OVERLAYS, "capital": {"nvda": 100.0},
        },
        "decay_rate": 0.02,
        "rule_fn": "rules:turn",
    },
    "output": {
        "overlays": {**OVERLAYS, "hope": 0.48, "rage": 0.2},
        "capital": {"nvda": 110.0},
        "variables": {
            "shifts": [
                {"overlay": "hope", "old_value": 0.5, "new_value": 0.48, "shift_type": "decay", "rate": 0.02},
                {"overlay": "rage", "old_value": 0.1, "new_value": 0.2, "shift_type": "adjustment", "delta": 0.1},
                {"asset": "nvda", "old_value": 100.0, "new_value": 110.0, "delta": 10.0},
            ]
        },
        "trust": 0.0,
        "forks": [
            {"id": "a", "overlays": OVERLAYS, "variables": {}},
            {"id": "b", "parent": "a", "overlays": OVERLAYS, "variables": {}},
        ],
    },
}  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with whence.open(tmp_path / ".whence") as opened:
        yield opened


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The sound run with another value at one place."""
    value = deepcopy(SOUND)
    at: Any = value
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = to
    return value


def without(*path: str | int) -> dict[str, Any]:
    value = deepcopy(SOUND)
    at: Any = value
    for part in path[:-1]:
        at = at[part]
    del at[path[-1]]
    return value


def write(folder: Path, name: str, value: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    (folder / name).write_bytes(content)


def rules_of(report: Audit) -> set[str]:
    return {finding.rule for finding in report.findings()}


def found_in(folder: Path, **options: Any) -> set[str]:
    with audit(folder, **options) as report:
        return rules_of(report)


def test_a_sound_file_has_no_finding(log: Log) -> None:
    save_run(log, SOUND)
    with audit(runs_folder(log), log) as report:
        assert list(report.findings()) == []
        assert report.files == 1
        assert not report.fails("info")


@pytest.mark.parametrize(
    ("rule_id", "value"),
    [
        ("truncated-file", json.dumps(SOUND).encode()[:-40]),
        ("unreadable-file", b""),
        ("unreadable-file", b"\xff\xfe{}"),
        ("unreadable-file", b"[1]"),
        ("unreadable-file", b'{"input":' * 300 + b"1" + b"}" * 300),
        ("required-keys", without("output")),
        ("required-keys", changed("input", to=None)),
        ("unknown-key", changed("seed", to=3)),
        ("schema", changed("output", "overlays", to=[1])),
        ("schema", changed("trace_id", to=7)),
        ("id-agreement", changed("trace_id", to="t-2")),
        ("id-agreement", changed("output", "trace_id", to="t-2")),
        ("trust-missing", without("output", "trust")),
        ("trust-missing", changed("output", "trust", to=None)),
        ("range", changed("output", "overlays", "hope", to=1.5)),
        ("range", changed("output", "forks", 0, "overlays", "hope", to=-0.1)),
        ("range", changed("output", "trust", to=1.01)),
        ("timestamp", changed("input", "state", "timestamp", to="tomorrow")),
        ("timestamp", changed("input", "state", "timestamp", to=4e9)),
        ("overlay-coherence", without("output", "overlays", "hope")),
        ("overlay-coherence", changed("output", "overlays", to={**OVERLAYS, "hope": 0.7, "despair": 0.7})),
        ("decay-law", changed("output", "variables", "shifts", 0, "rate", to=0.03)),
        ("adjustment-law", changed("output", "variables", "shifts", 1, "delta", to=0.3)),
        ("capital-arithmetic", changed("output", "variables", "shifts", 2, "delta", to=11.0)),
        ("capital-arithmetic", changed("output", "capital", "nvda", to=111.0)),
        ("fork-integrity", changed("output", "forks", 1, "parent", to="nobody")),
        ("fork-integrity", changed("output", "forks", 0, to={"id": "a", "parent": "b", "overlays": OVERLAYS})),
        ("fork-integrity", without("output", "forks", 0, "overlays")),
        ("fork-integrity", changed("output", "fork_count", to=3)),
        ("input-equals-output", changed("output", "overlays", to=OVERLAYS)),
    ],
)  # fmt: skip
def test_a_file_earns_each_rule(rule_id: str, value: Any, tmp_path: Path) -> None:
    write(tmp_path, "t-1.json", value)

    with audit(tmp_path) as report:
        found = [finding for finding in report.findings() if finding.rule == rule_id]
        assert len(found) == 1, rules_of(report)
        assert found[0].file == "t-1.json"
        assert found[0].message
    others = choose_rules().only({each.id for each in STANDARD} - {rule_id, "broken-rule"})
    assert rule_id not in found_in(tmp_path, choice=others)


def test_all_that_could_be_salvaged_of_a_torn_file_is_said(tmp_path: Path) -> None:
    write(tmp_path, "t-1.json", json.dumps(SOUND).encode()[:-40])
    with audit(tmp_path) as report:
        (finding,) = report.findings("truncated-file")
    assert "salvaged: " in finding.message
    assert "trace_id" in finding.message


def test_files_are_compared_with_each_other(tmp_path: Path) -> None:
    for turn in (4, 5, 7):
        write(tmp_path, f"t-{turn}.json", {
            **changed("input", "state", "turn", to=turn), "trace_id": f"t-{turn}",
        })  # fmt: skip
    write(tmp_path, "again.json", {**changed("input", "state", "turn", to=5), "trace_id": "t-5"})
    with audit(tmp_path) as report:
        told = {
            rule.id: [f"{finding.file}: {finding.message}" for finding in report.findings(rule.id)]
            for rule, _ in report.rules
        }
    assert len(told["duplicate-id"]) == 1
    assert sorted(told["turn-sequence"]) == [
        "t-5.json: turn 5 of simulation 'sim-1' is also in 'again.json'",
        "t-7.json: turn 7 of simulation 'sim-1' follows turn 5: 1 missing between",
    ]


def test_the_folder_and_the_journal_tell_the_same(log: Log) -> None:
    for trace_id in ("kept", "gone", "changed"):
        save_run(log, {**SOUND, "trace_id": trace_id})
    folder = runs_folder(log)
    (folder / "gone.json").unlink()
    (folder / "changed.json").write_bytes(
        (folder / "changed.json").read_bytes().replace(b"0.6", b"0.7")
    )
    write(folder, "stray.json", {**SOUND, "trace_id": "stray"})
    left = folder / ".abc.tmp"
    left.write_text("{")
    os.utime(left, (time.time() - 3600,) * 2)
    only = choose_rules().only(["digest", "missing-file", "orphan-file"])
    with audit(folder, log, choice=only) as report:
        found = {(finding.rule, finding.file) for finding in report.findings()}
    assert found == {
        ("digest", "changed.json"), ("missing-file", "gone.json"),
        ("orphan-file", "stray.json"), ("orphan-file", ".abc.tmp"),
    }  # fmt: skip


def test_an_older_state_of_a_file_is_named_as_that(log: Log) -> None:
    path = save_run(log, SOUND)
    before = path.read_bytes()
    save_run(log, changed("output", "trust", to=0.5))
    path.write_bytes(before)
    with audit(runs_folder(log), log) as report:
        (finding,) = report.findings("digest")
    assert "not what was saved last" in finding.message


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inner:
        yield from _places(item, (*path, key))


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_value_of_a_recorded_file_is_changed_it_is_named(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = data.draw(st.sampled_from(list(_places(SOUND))))
    value = data.draw(_VALUES)
    mutated = changed(*place, to=value)
    with whence.open(tmp_path_factory.mktemp("log") / ".whence") as log:
        path = save_run(log, SOUND)
        whole = path.read_bytes()
        content = (
            msgspec.json.format(json.dumps(mutated, ensure_ascii=False).encode(), indent=2) + b"\n"
        )
        path.write_bytes(content)
        named = found_in(runs_folder(log), log=log)
        assert ("digest" in named) == (content != whole)


def test_without_the_rule_about_digests_a_change_goes_unseen(log: Log) -> None:
    """The property's control: the other rules cannot know every change."""
    path = save_run(log, SOUND)
    path.write_bytes(path.read_bytes().replace(b'"nvda": 100', b'"amd": 100'))
    others = choose_rules().only({each.id for each in STANDARD} - {"digest"})
    assert "digest" in found_in(runs_folder(log), log=log)
    assert "digest" not in found_in(runs_folder(log), log=log, choice=others)


@settings(max_examples=150)
@given(content=st.binary(max_size=200) | st.recursive(_VALUES, lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["trace_id", "input", "output", "overlays", "forks", "trust", "state", "capital", "id", "parent"]),
    inner)).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_file_breaks_an_audit(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("runs")
    write(folder, "t-1.json", content)
    assert "broken-rule" not in found_in(folder)


def test_what_is_no_file_is_named_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to("nowhere.json")
    write(tmp_path, "t-1.json", SOUND)
    with audit(tmp_path) as report:
        assert {finding.file for finding in report.findings()} >= {"pipe.json", "folder.json"}
        assert "t-1.json" not in {finding.file for finding in report.findings()}


def test_a_file_too_large_to_look_into_is_still_compared(log: Log) -> None:
    big = changed("output", "variables", to={"filling": "x" * (17 * 1024 * 1024)})
    path = save_run(log, big)
    assert found_in(runs_folder(log), log=log) == {"oversized-file"}
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"y")
    assert found_in(runs_folder(log), log=log) == {"oversized-file", "digest"}


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        audit(tmp_path / "nowhere")
    write(tmp_path, "t-1.json", SOUND)
    with pytest.raises(NotFoundError):
        audit(tmp_path, only=["t-2.json"])
    with audit(tmp_path, only=["t-1.json"]) as report:
        assert report.files == 1


def _choose(**table: Any) -> Choice:
    return choose_rules(Settings(file=Path("whence.toml"), others={"audit": table}))


def test_rules_are_set_in_the_settings(tmp_path: Path) -> None:
    write(tmp_path, "t-1.json", changed("output", "trust", to=1.5))
    assert found_in(tmp_path) == {"range"}
    assert found_in(tmp_path, choice=_choose(rules={"range": "off"})) == set()
    assert found_in(tmp_path, choice=_choose(rules={"range": False})) == set()
    assert found_in(tmp_path, choice=_choose(rules={"range": {"on": False}})) == set()
    assert found_in(tmp_path, choice=_choose(rules={"range": {"max": 2}})) == set()
    milder = _choose(fail_on="warning", rules={"range": "info"})
    with audit(tmp_path, choice=milder) as report:
        assert [finding.severity for finding in report.findings()] == ["info"]
        assert not report.fails()
        assert report.fails("info")
        assert not report.fails("never")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"rules": {"rnage": "off"}}, "did you mean `range`"),
        ({"rules": {"range": {"most": 2}}}, "unknown key `most`, want on, severity, min, max"),
        ({"rules": {"range": {"max": "2"}}}, "want a number"),
        ({"rules": {"range": "fatal"}}, "want info, warning or error"),
        ({"rules": {"range": 7}}, "off, or a table"),
        ({"rules": []}, r"want \[audit.rules\]"),
        ({"fail_on": "sometimes"}, "fail_on is 'sometimes'"),
        ({"fial_on": "error"}, "unknown key `fial_on`"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _choose(**table)


@rule("no-debt", "error", "Capital is never below a floor.", floor=0)
def _no_debt(run: AuditedRun, limits: Limits) -> Iterator[str]:
    for asset, amount in run.output_capital.items():
        if amount < limits["floor"]:
            yield f"output.capital.{asset} is {amount:g}"


@rule("restless", "info", "A rule that raises.")
def _restless(run: AuditedRun, limits: Limits) -> Iterator[str]:
    raise LookupError("nothing there")
    yield ""


class _Point:
    def __init__(self, name: str, load: Callable[[], object]) -> None:
        self.name = name
        self.load = load


def test_packages_add_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> object:
        raise ImportError("no module named that")

    points = [
        _Point("a-broken", broken), _Point("b-debt", lambda: [_no_debt, _restless]),
        _Point("c-wrong", lambda: 7), _Point("d-again", lambda: _no_debt),
    ]  # fmt: skip
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: points if group == "whence.audit" else []
    )
    rules, remarks = load_plugins(set())
    assert [each.id for each in rules] == ["no-debt", "restless"]
    assert [remark.split()[2].rstrip(":") for remark in remarks] == [
        "a-broken",
        "c-wrong",
        "d-again",
    ]
    write(tmp_path, "t-1.json", changed("output", "capital", "nvda", to=-1.0))
    with audit(tmp_path, choice=choose_rules()) as report:
        messages = {finding.rule: finding.message for finding in report.findings()}
    assert messages["no-debt"] == "output.capital.nvda is -1"
    assert "restless raised LookupError: nothing there" in messages["broken-rule"]


def test_a_rule_has_a_name_that_can_be_written() -> None:
    with pytest.raises(ValueError, match="lower-case words"):
        Rule(id="No Debt", severity="error", sentence="x")
    assert len({each.id for each in STANDARD}) == len(STANDARD)


def test_the_published_schema_is_that_of_the_types() -> None:
    page = (_ROOT / "docs" / "reference" / "run-file.schema.json").read_text(encoding="utf-8")
    assert json.loads(page) == run_schema()


def test_the_how_to_names_every_rule() -> None:
    page = (_ROOT / "docs" / "how-to" / "audit-runs.md").read_text(encoding="utf-8")
    assert [each.id for each in STANDARD if f"`{each.id}`" not in page] == []


def test_a_file_that_is_saved_while_it_is_looked_at_is_no_finding(log: Log) -> None:
    path = save_run(log, SOUND)
    saved_again = False

    def progress(_done: int, _in_all: int) -> None:
        nonlocal saved_again
        if not saved_again:
            saved_again = True
            save_run(log, changed("output", "trust", to=0.5))

    for number in range(70):
        save_run(log, {**SOUND, "trace_id": f"a-{number:03}"})
    with audit(runs_folder(log), log, progress=progress) as report:
        assert path.name not in {finding.file for finding in report.findings("digest")}


def test_the_words_of_the_seed_are_logged(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    from whence.runs.auditing import log_audit

    logger = logging.getLogger("whence.runs")
    caplog.set_level(logging.INFO, logger="whence.runs")
    assert log_audit(runs_folder(log), log, logger) == 0
    assert caplog.messages == ["[AUDIT] Trace directory does not exist."]
    caplog.clear()
    folder = runs_folder(log)
    write(folder, "a.json", {"trace_id": "a", "input": {}})
    write(folder, "b.json", {"trace_id": "b", "input": {}, "output": {"trust": None}})
    write(folder, "c.json", {"trace_id": "c", "input": {}, "output": {"trust": 0.0}})
    write(folder, "d.json", b'{"trace_id": "d", "inp')
    count = log_audit(folder, None, logger)
    assert "[AUDIT] Corrupt or incomplete trace: a.json" in caplog.messages
    assert "[AUDIT] Missing trust score in: b.json" in caplog.messages
    assert not any("c.json" in message for message in caplog.messages)
    assert any(
        message.startswith("[AUDIT] Failed to audit d.json: ") for message in caplog.messages
    )
    assert caplog.messages[-1] == f"[AUDIT] Completed with {count} issue(s)."
