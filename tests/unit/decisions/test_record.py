"""Decisions are kept whole and durably, or refused loudly, and read back in order."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.decisions import read_recent, record_decision
from whence.decisions.decision import KEYS
from whence.log import default
from whence.query import Query

_VOTES = {"local_probe": {"passed": True, "reason": "ok"}}


def test_a_decision_is_an_event_and_read_back_with_the_seeds_keys() -> None:
    subject = {"prompt_id": "p-7", "target_files": ["a.py"], "nested": {"deep": [1]}}
    before = time.time()
    assert record_decision("upgrade_proposal", True, _VOTES, subject, "all 1 votes passed") is True
    [entry] = read_recent()
    [event] = default().events(Query(primitive="decision"))

    assert tuple(entry) == KEYS
    assert (entry["action"], entry["approved"], entry["votes"]) == (
        "upgrade_proposal",
        True,
        _VOTES,
    )
    assert entry["subject"] == subject
    assert before <= entry["timestamp"] <= time.time()
    assert entry["datetime_utc"].endswith("Z")
    assert (event.type, event.target, event.status) == ("upgrade_proposal", "p-7", "success")


def test_the_newest_is_last_and_filters_come_before_the_limit() -> None:
    for number in range(6):
        record_decision("halt" if number % 2 else "rollback", number > 2, _VOTES, {"id": number})

    assert [entry["subject"]["id"] for entry in read_recent(3)] == [3, 4, 5]
    assert [entry["subject"]["id"] for entry in read_recent(2, action="halt")] == [3, 5]
    assert [entry["subject"]["id"] for entry in read_recent(2, approved=False)] == [1, 2]
    assert len(read_recent(agent="local_probe")) == 6
    assert read_recent(agent="nobody") == []
    assert read_recent(since=time.time() + 60) == []
    assert len(read_recent(since="1h ago")) == 6
    assert read_recent(0) == read_recent(-1) == []


def test_days_do_not_part_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    midnight = 1_763_683_200 * 10**9
    for now in (midnight - 1, midnight):
        monkeypatch.setattr(default().recorder, "clock", lambda now=now: now)
        assert record_decision("halt", True, _VOTES, {})

    assert [entry["datetime_utc"][:10] for entry in read_recent()] == ["2025-11-20", "2025-11-21"]


@pytest.mark.parametrize(
    "votes", [["a", "b"], None, "all", [{"name": "a", "passed": True}], object()]
)
def test_votes_of_any_shape_are_kept(votes: Any) -> None:
    assert record_decision("halt", False, votes, {})
    [entry] = read_recent()

    if isinstance(votes, list | str):
        assert entry["votes"] == votes


def test_a_subject_that_json_cannot_carry_or_of_ten_megabytes_is_kept() -> None:
    assert record_decision("halt", True, _VOTES, {"set": {1, 2}, "at": object(), (1, 2): "pair"})
    assert record_decision("halt", True, _VOTES, {"text": "x" * 10_000_000})

    assert len(read_recent()[1]["subject"]["text"]) == 10_000_000
    subject = read_recent()[0]["subject"]
    assert (subject["set"], subject["(1, 2)"]) == ([1, 2], "pair")
    assert "object" in subject["at"]


def test_secrets_are_hidden_and_marked() -> None:
    record_decision("halt", True, _VOTES, {"password": "hunter2"})

    assert read_recent()[0]["subject"]["password"] == "[redacted]"


@pytest.mark.parametrize("action", ["", "x" * 10_000, 7, None])
def test_an_action_that_can_be_no_type_is_kept_in_the_payload(action: Any) -> None:
    assert record_decision(action, True, _VOTES, {})
    assert read_recent()[0]["action"] == action


def test_what_cannot_be_kept_is_false_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".whence").mkdir()
    os.close(os.open(tmp_path / ".whence" / "journal", os.O_CREAT))

    assert record_decision("halt", True, _VOTES, {}) is False
    assert "[reasoning_trace] persist failed" in caplog.text
    assert read_recent() == []


def test_the_seeds_daily_files_are_mirrored_where_that_is_set(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text("[decisions]\nmirror = true\n")
    record_decision("halt", True, _VOTES, {"password": "hunter2"})
    [file] = tmp_path.rglob("reasoning_traces/*.jsonl")
    [line] = file.read_text().splitlines()

    assert file.stem == read_recent()[0]["datetime_utc"][:10]
    assert json.loads(line) == read_recent()[0]
    assert file.stat().st_mode & 0o777 == 0o600


def test_listeners_get_the_whole_subject_and_cannot_undo_the_record() -> None:
    heard: list[Any] = []

    def listen(topic: str, data: Any) -> None:
        heard.append((topic, data))
        raise RuntimeError("no")

    whence.decisions.bus.default_bus.on("learning.*", listen)
    assert record_decision("halt", True, _VOTES, {"prompt_id": "p-7", "user_id": "u"})
    [(topic, data)] = heard

    assert topic == "learning.federation_update"
    assert (data["kind"], data["subject"]) == (
        "consensus_decision",
        {"prompt_id": "p-7", "user_id": "u"},
    )
    record_decision("halt", True, _VOTES, {}, event_bus_emit=False)
    assert len(heard) == 1
