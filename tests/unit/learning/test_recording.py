"""The seed's learning log: its types and keys, its lines in a mirror, and what happens when one is not kept."""

import json
import os
import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.errors import StoreError
from whence.event import Event
from whence.learning import (
    PulseLearningLogger,
    bayesian_trust_tracker,
    export_trust_data,
    generate_trust_report,
    import_trust_data,
    log_arc_regret,
    log_bayesian_trust_metrics,
    log_learning_event,
    log_learning_summary,
    log_revision_trigger,
    log_rule_activation,
    log_rule_effectiveness,
    log_symbolic_upgrade,
    log_variable_weight_change,
)
from whence.log import default
from whence.query import Query


def _events() -> list[Event]:
    return list(default().events(Query(primitive="learning")))


@pytest.mark.parametrize(
    ("call", "event_type", "target", "data"),
    [
        (
            lambda: log_variable_weight_change("gdp", 0.4, 0.5),
            "variable_weight_update", "gdp", {"variable": "gdp", "from": 0.4, "to": 0.5},
        ),
        (
            lambda: log_symbolic_upgrade({"arc": "hope"}),
            "symbolic_upgrade_applied", None, {"changes": {"arc": "hope"}},
        ),
        (
            lambda: log_revision_trigger("regret"),
            "symbolic_revision_triggered", None, {"reason": "regret"},
        ),
        (
            lambda: log_arc_regret({"arc": 0.3}),
            "symbolic_arc_regret", None, {"regret_scores": {"arc": 0.3}},
        ),
        (
            lambda: log_learning_summary({"learnt": 3}),
            "meta_learning_summary", None, {"learnt": 3},
        ),
        (
            lambda: log_rule_activation("r1", "gdp", "up", "f1", True),
            "rule_activation", "r1",
            {
                "rule_id": "r1", "variable_id": "gdp", "outcome": "up", "forecast_id": "f1",
                "success": True,
            },
        ),
        (
            lambda: log_learning_event("overlay_shift", {"overlay": "hope", "old_value": 0.5}),
            "overlay_shift", "hope", {"overlay": "hope", "old_value": 0.5},
        ),
    ],
)  # fmt: skip
def test_each_function_records_the_seeds_type_and_keys(
    call: Any, event_type: str, target: str | None, data: dict[str, Any]
) -> None:
    event_id = call()
    [event] = _events()

    assert (event.id, event.type, event.target) == (event_id, event_type, target)
    assert event.data == {"data": data}


def test_metrics_are_those_of_the_tracker_that_was_taught() -> None:
    bayesian_trust_tracker.batch_update({"gdp": [(True, 1.0)] * 10})
    log_bayesian_trust_metrics("gdp")
    [event] = _events()
    data = event.data["data"]

    assert {key: data[key] for key in ("key", "kind", "sample_size", "confidence_strength")} == {
        "key": "gdp", "kind": "variable", "sample_size": 10, "confidence_strength": 0.5
    }  # fmt: skip
    assert data["trust"] == pytest.approx(11 / 12)
    assert [round(end, 3) for end in data["confidence_interval"]] == [0.715, 0.998]
    bayesian_trust_tracker.update("gdp", False)
    log_bayesian_trust_metrics("gdp", kind="rule")
    assert _events()[-1].data["data"]["sample_size"] == 11


def test_effectiveness_has_a_time_of_its_own() -> None:
    log_rule_effectiveness("r1", 4, 0.75, 0.1)
    [event] = _events()
    data = event.data["data"]

    assert list(data) == [
        "rule_id", "activation_count", "success_rate", "impact_score", "timestamp"
    ]  # fmt: skip
    assert datetime.fromisoformat(data["timestamp"]).utcoffset() is not None


def test_a_report_an_export_and_an_import_are_events() -> None:
    bayesian_trust_tracker.batch_update({"gdp": [(True, 1.0)] * 10})
    report = generate_trust_report(min_samples=5)
    assert export_trust_data("trust.json")
    assert import_trust_data("trust.json")
    assert not import_trust_data("nowhere.json")
    assert not export_trust_data("trust.json/x")
    first, *others = _events()

    assert first.data["data"] == {
        "summary": report["summary"], "high_trust_count": 1, "low_trust_count": 0
    }  # fmt: skip
    assert [event.type for event in others] == [
        "trust_data_exported", "trust_data_imported", "trust_data_import_failed",
        "trust_data_export_failed",
    ]  # fmt: skip
    assert others[0].data["data"] == {"filepath": "trust.json"}
    assert others[2].data["data"]["error"] == "nowhere.json does not exist"


def test_there_is_one_logger() -> None:
    assert PulseLearningLogger() is PulseLearningLogger(on_error="count")
    assert PulseLearningLogger().on_error == "count"
    with pytest.raises(ValueError, match="on_error is 'ignore'"):
        PulseLearningLogger("ignore")  # type: ignore[arg-type]


def test_context_is_kept_inside_the_payload_beside_data_that_has_one_too() -> None:
    log_learning_event("exception", {"error": "e", "context": "inner"}, {"turn": 3})
    [event] = _events()

    assert event.data == {"data": {"error": "e", "context": "inner"}, "context": {"turn": 3}}


# -- the mirror ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["WHENCE_LEARNING_LOG_PATH", "PULSE_LEARNING_LOG_PATH"])
def test_the_seeds_lines_go_where_the_environment_says_when_it_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log_revision_trigger("before")
    monkeypatch.setenv(name, str(tmp_path / "logs" / "learning.jsonl"))
    log_revision_trigger("größer")
    log_learning_event("memory_update", {"token": "sk-abcdefghijklmnopqrstuvwx"}, {"turn": 1})
    monkeypatch.delenv(name)
    log_revision_trigger("after")
    content = (tmp_path / "logs" / "learning.jsonl").read_text()
    first, second = map(json.loads, content.splitlines())

    assert list(first) == ["event_id", "timestamp", "event_type", "data"]
    assert list(second) == [*first, "context"]
    assert uuid.UUID(first["event_id"]).version == 4
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", first["timestamp"])
    assert first["data"] == {"reason": "größer"}
    assert "größer" in content
    assert "sk-abc" not in content
    assert _events()[1].data["event_id"] == first["event_id"]


def test_the_mirror_is_its_owners_alone_also_where_it_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "learning.jsonl"
    file.write_text('{"torn":')
    file.chmod(0o644)
    monkeypatch.setenv("WHENCE_LEARNING_LOG_PATH", str(file))
    log_revision_trigger("why")

    assert file.stat().st_mode & 0o777 == 0o600
    torn, line = file.read_text().splitlines()
    assert torn == '{"torn":'
    assert json.loads(line)["event_type"] == "symbolic_revision_triggered"


def test_what_is_no_file_is_no_mirror_and_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root the mode of `/dev/null` could be changed, for everybody on the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    monkeypatch.setenv("WHENCE_LEARNING_LOG_PATH", str(pipe))

    with pytest.raises(StoreError, match="cannot write to"):
        log_revision_trigger("why")
    assert pipe.stat().st_mode & 0o777 == 0o666


def test_the_mirror_may_stand_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text("[learning]\nmirror = true\n")
    log_revision_trigger("why")

    assert (tmp_path / "logs" / "pulse_learning_log.jsonl").exists()


def test_an_event_read_from_both_places_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "learning.jsonl"
    monkeypatch.setenv("WHENCE_LEARNING_LOG_PATH", str(file))
    log_variable_weight_change("gdp", 0.4, 0.5)
    with whence.open(read_only=True, sources=[f"jsonl:{file}"]) as log:
        rows = log.timeline(target="gdp").rows

    assert {row.event.type for row in rows} == {"variable_weight_update"}


# -- what is not kept ------------------------------------------------------------------------------


@pytest.fixture
def _no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WHENCE_LEARNING_LOG_PATH", str(tmp_path / "file" / "learning.jsonl"))


@pytest.mark.usefixtures("_no_mirror")
def test_what_cannot_be_kept_raises() -> None:
    with pytest.raises(StoreError, match="cannot write to"):
        log_revision_trigger("why")


@pytest.mark.usefixtures("_no_mirror")
def test_or_is_counted_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    logger = PulseLearningLogger(on_error="count")

    assert log_revision_trigger("why") is None
    assert logger.failed == 1
    assert "could not be kept" in caplog.text


def test_a_journal_that_cannot_be_written_raises_too(tmp_path: Path) -> None:
    (tmp_path / ".whence").mkdir()
    os.close(os.open(tmp_path / ".whence" / "journal", os.O_CREAT))

    with pytest.raises(StoreError):
        log_revision_trigger("why")
