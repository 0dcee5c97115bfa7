"""Rules make events private, however they are recorded, unless their caller says otherwise."""

import asyncio
import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from tests.unit.recorder.recording import by_type, read_events
from whence.recorder.privacy import Rules
from whence.recorder.receipt import Receipt
from whence.recorder.recorder import Recorder
from whence.settings import FILE_NAME, PrivacyRule

_RULES = """
[[privacy.rule]]
agent = "haiku-2"
private = false

[[privacy.rule]]
agent = "haiku-*"
primitive = "memory"

[[privacy.rule]]
type = "*.secret"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log with rules."""
    folder = tmp_path / ".whence"
    folder.mkdir()
    (folder / FILE_NAME).write_text(_RULES, encoding="utf-8")
    return folder


def rules(*given: dict[str, Any]) -> Rules:
    return Rules(PrivacyRule(**rule) for rule in given)


# --- which rule holds -----------------------------------------------------------------------


def test_the_first_rule_that_matches_says_so() -> None:
    found = rules(
        {"agent": "zealot-1", "private": False}, {"primitive": "memory"}, {"agent": "zealot-*"}
    )

    assert not found.is_private("memory", "add_entry", "zealot-1")
    assert found.is_private("memory", "add_entry", "haiku-1")
    assert found.is_private("ops", "step", "zealot-2")
    assert not found.is_private("ops", "step", "haiku-1")


def test_a_rule_matches_if_all_that_it_names_does() -> None:
    found = rules({"agent": "haiku-?", "primitive": "mem*", "type": "[ab]dd_entry"})

    assert found.is_private("memory", "add_entry", "haiku-1")
    assert not found.is_private("memory", "add_entry", "haiku-10")
    assert not found.is_private("ops", "add_entry", "haiku-1")
    assert not found.is_private("memory", "archive_entry", "haiku-1")


def test_an_event_without_an_agent_matches_no_rule_that_names_one() -> None:
    found = rules({"agent": "*"})

    assert found.is_private("ops", "step", "anybody")
    assert not found.is_private("ops", "step", None)


def test_case_matters_and_a_whole_name_has_to_match() -> None:
    found = rules({"primitive": "memory"})

    assert not found.is_private("Memory", "x", None)
    assert not found.is_private("memory2", "x", None)
    assert not found.is_private("memory\n", "x", None)


@given(asked=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab")), max_size=20))
def test_what_is_remembered_is_what_would_be_found_anew(asked: list[tuple[str, str]]) -> None:
    wanted = {"primitive": "a", "type": "b"}
    kept = rules(wanted)

    for primitive, type in asked:
        assert kept.is_private(primitive, type, None) == rules(wanted).is_private(
            primitive, type, None
        )


# --- recording ------------------------------------------------------------------------------


def test_without_rules_nobody_looks_for_any(tmp_path: Path) -> None:
    with whence.open(tmp_path) as log:
        log.emit("ops", "step")

        assert type(log.emit.__self__) is Recorder  # type: ignore[attr-defined]


def test_an_event_that_a_rule_names_is_private_and_its_caller_has_the_receipt(folder: Path) -> None:
    with whence.open(folder) as log:
        receipt = log.emit("memory", "add_entry", agent="haiku-1", data={"diagnosis": "…"})
        other = log.emit("ops", "step", agent="haiku-1", data={"a": 1})

    events = by_type(folder)
    assert isinstance(receipt, Receipt)
    assert receipt.check(events["add_entry"])
    assert receipt == copy.copy(receipt) == pickle.loads(pickle.dumps(receipt))
    assert events["add_entry"].private
    assert events["add_entry"].data is None
    assert type(other) is str
    assert events["step"].data == {"a": 1}


@pytest.mark.parametrize("private", [True, False])
def test_the_caller_knows_better(folder: Path, private: bool) -> None:
    with whence.open(folder) as log:
        log.emit("memory", "add_entry", agent="haiku-1", data={"a": 1}, private=private)
        log.emit("ops", "step", data={"a": 1}, private=private)

    assert {event.private for event in read_events(folder)} == {private}


def test_rules_hold_for_event_loops_too(folder: Path) -> None:
    async def record(log: whence.Log) -> list[str]:
        return [
            await log.emit_async("memory", "add_entry", agent="haiku-1", data={"a": 1}),
            await log.emit_async("memory", "load", agent="haiku-1", data={"a": 1}, private=False),
        ]

    with whence.open(folder) as log:
        hidden, shown = asyncio.run(record(log))

    events = by_type(folder)
    assert isinstance(hidden, Receipt)
    assert hidden.check(events["add_entry"])
    assert type(shown) is str
    assert events["load"].data == {"a": 1}


def test_rules_hold_for_spans_whose_id_becomes_the_receipt(folder: Path) -> None:
    with whence.open(folder) as log:
        with log.span("memory.search", agent="haiku-1", input="who is ill?", links=["x"]) as span:
            inner = log.emit("ops", "step")
            assert type(span.id) is str
            span.output("nobody")
        with log.span("memory.sort", agent="haiku-2", input="open"):
            pass
        with log.span("memory.read", agent="haiku-1", input="open", private=False):
            pass

    events = by_type(folder)
    hidden = events["search"]
    assert isinstance(span.id, Receipt)
    assert span.id.check(hidden)
    assert b"nobody" in span.id.payload
    assert (hidden.private, hidden.data) == (True, None)
    assert (hidden.links, hidden.status) == (("x",), "success")
    assert hidden.duration is not None
    assert (events["step"].id, events["step"].parent) == (inner, span.id)
    assert events["sort"].data == {"input": "open"}
    assert events["read"].data == {"input": "open"}


def test_a_span_can_be_private_without_any_rule(tmp_path: Path) -> None:
    log = whence.open(tmp_path)
    with pytest.raises(KeyError), log.span("a.failed", private=True) as span:
        raise KeyError("secret")
    log.close()

    (event,) = read_events(tmp_path)
    assert isinstance(span.id, Receipt)
    assert span.id.check(event)
    assert (event.status, event.data) == ("error", None)


def test_a_name_of_a_span_is_split_before_the_rules_see_it(folder: Path) -> None:
    with whence.open(folder) as log:
        with log.span("layer.deep.secret", input="x"):
            pass
        with log.span("no-dot", input="x"):
            pass

    events = by_type(folder)
    assert events["deep.secret"].private
    assert events["no-dot"].data == {"input": "x"}


@pytest.mark.parametrize("primitive", [5, None, ""])
def test_misuse_is_refused_as_without_rules(folder: Path, primitive: Any) -> None:
    with whence.open(folder) as log, pytest.raises((TypeError, ValueError), match="primitive"):
        log.emit(primitive, "step")


def test_housekeeping_is_never_private(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('[[privacy.rule]]\nprimitive = "*"', encoding="utf-8")
    with whence.open(tmp_path) as log:
        log.emit("ops", "step", data={"a": 1})
        log.close()

        own = list(log.events(whence.Query(own=True, primitive="whence")))

    assert [event.type for event in own] == ["writer.open", "writer.close"]
    assert all(event.data for event in own)
