"""What a reference means, and what is said where it means nothing or too much."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import reference
from whence.ask.references import Subject, find_near, resolve, resolve_name
from whence.errors import NotFoundError
from whence.index import Index
from whence.journal.reader import Reader
from whence.query import Query

ROOT = "01a1fb58-8176-70af-a083-1500fffabca8"
CHILD = "01a1fb58-8176-70af-a083-1500fffabca9"
IMPORTED = "alt_1705180800_00112233445566ff"

# id, primitive, type, agent, target, trace
EVENTS = (
    (ROOT, "bridge", "send", "boss", "payments", None),
    (CHILD, "ops", "create_task", "zealot-1", "task-abc123", ROOT),
    (IMPORTED, "ops", "claim_task", "haiku-1", "task-sub1", "elsewhere-1"),
    ("short", "spawn", "wake", "zealot-1", "zealot-1", None),
    ("task-sub1-like-id", "whence", "writer.open", None, None, None),
    ("twin-id-1", "whence", "writer.close", None, None, None),
    ("twin-id-2", "memory", "load", "haiku-1", None, None),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("log")
    (folder / "journal").mkdir()
    with (folder / "journal" / "2026-11-20.0000.jsonl").open("wb") as file:
        for n, (event_id, primitive, type_, agent, target, trace) in enumerate(EVENTS):
            fields = {
                "id": event_id, "time": f"2026-11-20T00:00:0{n}.000000000Z",
                "primitive": primitive, "type": type_, "agent": agent, "target": target,
                "trace": trace, "w": "w" * 12, "n": n,
            }  # fmt: skip
            present = {key: value for key, value in fields.items() if value is not None}
            file.write(reference.encode_line(present, "s" * 24, b'{"a":"123456"}') + b"\n")
    reader = Reader(folder)
    with Index.open(folder, reader) as opened:
        opened.catch_up()
        yield opened
    reader.close()


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("task-abc123", "target", "task-abc123"),
        ("  task-abc123\n", "target", "task-abc123"),
        ("#payments", "target", "payments"),
        ("payments", "target", "payments"),
        ("boss", "agent", "boss"),
        ("zealot-1", "both", "zealot-1"),
        (ROOT, "event", ROOT),
        ("fabca8", "event", ROOT),
        (CHILD[-8:], "event", CHILD),
        ("alt_17", "event", IMPORTED),
        ("66ff", "event", IMPORTED),
        ("short", "event", "short"),
        ("elsewhere-1", "trace", "elsewhere-1"),
        ("@last", "event", "twin-id-2"),
    ],
)
def test_a_reference_means_one_thing(index: Index, text: str, kind: str, name: str) -> None:
    subject = resolve(index, text)

    assert (subject.kind, subject.name) == (kind, name)
    assert (subject.event is not None) == (kind == "event")


def test_a_name_wins_over_an_id_that_begins_like_it(index: Index) -> None:
    assert resolve(index, "task-sub1") == Subject(kind="target", name="task-sub1")


def test_the_last_event_is_the_last_that_fits(index: Index) -> None:
    assert resolve(index, "@last", Query(agent="boss")).name == ROOT
    assert resolve(index, "@last", Query(primitive="whence")).name == "twin-id-1"
    with pytest.raises(NotFoundError, match="no last event"):
        resolve(index, "@last", Query(agent="nobody"))


def test_our_own_events_do_not_make_a_part_ambiguous(index: Index) -> None:
    assert resolve(index, "twin-id").name == "twin-id-2"
    assert resolve(index, "like-id").name == "task-sub1-like-id"


def test_only_targets_where_something_was_said_are_channels(index: Index) -> None:
    assert resolve(index, "payments").is_channel
    assert not resolve(index, "task-abc123").is_channel


def test_an_ambiguous_part_lists_its_candidates(index: Index) -> None:
    with pytest.raises(NotFoundError, match="the ids of 2 events begin like that") as caught:
        resolve(index, "01a1fb58")

    assert caught.value.candidates == (
        f"{ROOT} (bridge send payments by boss, 2026-11-20T00:00:00Z)",
        f"{CHILD} (ops create_task task-abc123 by zealot-1, 2026-11-20T00:00:01Z)",
    )


@pytest.mark.parametrize("text", ["", "  \n", "ca8", "@first", "#", "\x00\x1b[31m", "é" * 100_000])
def test_what_means_nothing_is_refused_in_one_short_line(index: Index, text: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve(index, text)

    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_near_names_are_offered_with_what_they_are(index: Index) -> None:
    with pytest.raises(NotFoundError, match="nothing is called 'Task-abc12'") as caught:
        resolve(index, "Task-abc12")
    assert caught.value.candidates[0] == "task-abc123 (target)"

    with pytest.raises(NotFoundError) as caught:
        resolve(index, "haiku")
    assert caught.value.candidates == ("haiku-1 (agent)",)


def test_an_agent_is_not_taken_for_a_target(index: Index) -> None:
    assert resolve_name(index, "agent", "haiku-1").kind == "agent"
    assert resolve_name(index, "target", "#payments").is_channel
    with pytest.raises(NotFoundError, match="no target is called 'haiku-1'"):
        resolve_name(index, "target", "haiku-1")
    with pytest.raises(NotFoundError, match="no agent is called 'haiku-2'") as caught:
        resolve_name(index, "agent", "haiku-2")
    assert caught.value.candidates == ("haiku-1",)


@given(st.text(max_size=20))
def test_any_text_is_resolved_or_refused(index: Index, text: str) -> None:
    try:
        assert resolve(index, text).name
    except NotFoundError:
        pass


def test_nearness_is_found_among_many_names() -> None:
    names = [f"task-{number:05d}" for number in range(50_000)]

    assert "0123" in find_near("task-0123", names)[0]
    assert find_near("task-x4321", names)[0].endswith("4321")
    assert find_near("nothing like it at all", names) == []


@given(st.text(min_size=1, max_size=12), st.lists(st.text(min_size=1, max_size=12), max_size=20))
def test_the_name_itself_is_the_nearest(name: str, others: list[str]) -> None:
    others = [other for other in others if other.lower() != name.lower()]

    assert find_near(name, [*others, name])[0] == name
