"""One timeline over a journal and sources."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.ask.mixed import SECOND, START_NS, recording, stores_of, told
from whence.ask import everywhere
from whence.ask.questions import find_moment, find_subject, tell_causality, tell_timeline
from whence.ask.stores import Stores
from whence.ask.timeline import Timeline
from whence.errors import NotFoundError, StoreError
from whence.query import Query
from whence.testing.memory import MemorySource


def ask(stores: Stores, reference: str | None = None, **options: Any) -> Timeline:
    wanted: dict[str, Any] = {
        "target": None, "agent": None, "query": Query(), "limit": None, "newest": True, **options,
    }  # fmt: skip
    return tell_timeline(stores, reference, **wanted)


def ids(timeline: Timeline) -> list[str]:
    return [row.event.id for row in timeline.rows]


def swarm() -> MemorySource:
    source = MemorySource(
        [
            told("m1", 1, "bridge", "send", agent="zealot-1", target="payments", fact="m1",
                 data={"content": "we need payments", "message_id": "m1"}),
            told("task", 2, "ops", "create_task", agent="zealot-1", target="task", fact="task",
                 data={"description": "Build payments"}),
            told("sub", 3, "ops", "create_task", agent="zealot-1", target="sub", fact="sub",
                 because=(("parent_id", "task"),)),
            told("sub/complete", 9, "ops", "complete_task", agent="haiku-1", target="sub",
                 fact="sub"),
        ]
    )  # fmt: skip
    source.subtasks = {"task": ["sub"], "sub": ["task"]}
    return source


def test_a_source_alone_is_enough(tmp_path: Path) -> None:
    with stores_of(tmp_path, swarm()) as (stores, notes):
        timeline = ask(stores, "task")

        assert ids(timeline) == ["task", "sub", "sub/complete"]
        assert timeline.title == "Build payments"
        assert ids(ask(stores, "zealot-1")) == ["m1", "task", "sub"]
        assert ids(ask(stores, "#payments")) == ["m1"]
        assert ids(ask(stores)) == ["m1", "task", "sub", "sub/complete"]
        assert ids(ask(stores, query=Query(primitive="bridge"))) == ["m1"]
        assert notes == []


def test_what_was_recorded_live_is_told_once(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(1)
        said = log.emit(
            "bridge", "send", agent="zealot-1", target="payments", data={"message_id": "m1"}
        )
        clock.advance(1)
        created = log.emit("ops", "create_task", agent="zealot-1", target="task")
        clock.advance(3)
        blocked = log.emit("ops", "block_task", agent="haiku-1", target="sub")
    with stores_of(tmp_path, swarm()) as (stores, _):
        assert ids(ask(stores, "task")) == [created, "sub", blocked, "sub/complete"]
        assert ids(ask(stores, "payments")) == [said]
        assert ids(ask(stores)) == [said, created, "sub", blocked, "sub/complete"]


def test_the_same_message_at_another_time_is_another_fact(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(90_000)
        later = log.emit("bridge", "send", target="payments", data={"message_id": "m1"})
    with stores_of(tmp_path, swarm()) as (stores, _):
        assert ids(ask(stores, "payments")) == ["m1", later]


def test_a_limit_takes_the_newest_or_the_oldest_of_all(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, clock):
        clock.advance(5)
        blocked = log.emit("ops", "block_task", target="sub")
    with stores_of(tmp_path, swarm()) as (stores, _):
        newest = ask(stores, limit=2)
        oldest = ask(stores, limit=2, newest=False)

        assert ids(newest) == [blocked, "sub/complete"]
        assert ids(oldest) == ["m1", "task"]
        assert (
            (newest.more, newest.more_is_exact) == (oldest.more, oldest.more_is_exact) == (3, True)
        )
        assert ids(ask(stores, limit=0)) == []


def test_the_first_row_comes_before_the_last_is_read(tmp_path: Path) -> None:
    source = MemorySource([told(f"e{n:04}", n, "ops", "step") for n in range(500)])
    with stores_of(tmp_path, source) as (stores, _):
        next(iter(ask(stores).rows))

        assert source.read < 10


def test_a_source_that_fails_costs_only_its_own_answer(tmp_path: Path) -> None:
    broken = MemorySource(name="broken")
    broken.fails = StoreError("cannot open it: it is locked")
    with stores_of(tmp_path, broken, swarm()) as (stores, notes):
        assert ids(ask(stores, "task")) == ["task", "sub", "sub/complete"]
        assert set(notes) == {"source broken: cannot open it: it is locked"}
        assert stores.sources is not None
        assert stores.sources.failed == {"broken"}


def test_two_sources_with_the_same_ids_are_told_apart(tmp_path: Path) -> None:
    first = MemorySource([told("e1", 1, "ops", "step", target="task")], name="memory")
    second = MemorySource(
        [told("e1", 2, "ops", "step", source="other", target="task")], name="other"
    )
    with stores_of(tmp_path, first, second) as (stores, _):
        rows = [getattr(row.event, "source", None) for row in ask(stores, "task").rows]

        assert rows == ["memory", "other"]
        with pytest.raises(NotFoundError, match="2 events have such an id") as refused:
            find_subject(stores, "e1")
        assert len(refused.value.candidates) == 2


def test_references_to_events_of_a_source(tmp_path: Path) -> None:
    with stores_of(tmp_path, swarm()) as (stores, _):
        assert find_subject(stores, "@last").name == "sub/complete"
        assert find_subject(stores, "sub/comp").name == "sub/complete"
        assert ids(ask(stores, "sub/complete")) == ["sub/complete"]
        with pytest.raises(NotFoundError, match="nothing is called 'zealot-2'") as refused:
            find_subject(stores, "zealot-2")
        assert refused.value.candidates == ("zealot-1 (agent)",)
        with pytest.raises(NotFoundError, match="no target is called 'tusk'") as refused:
            ask(stores, target="tusk")
        assert refused.value.candidates == ("task",)


def test_around_an_event_is_what_it_touches(tmp_path: Path) -> None:
    """A hundred commits before one are the story of the repository, not of the commit."""
    chain = [
        told(f"c{n}", n, "git", "commit", agent="zealot-1", parent=f"c{n - 1}" if n else None)
        for n in range(9)
    ]
    files = [told(f"f{n}", n, "git", "change", target=f"file{n}", parent=f"c{n}") for n in range(9)]
    said = told("said", 20, "bridge", "send", because=(("mention", "c5"),))
    with stores_of(tmp_path, MemorySource([*chain, *files, said])) as (stores, _):
        timeline = ask(stores, "c5")

        assert ids(timeline) == ["c4", "c5", "f5", "c6", "said"]
        assert timeline.title == next(row.text for row in timeline.rows if row.event.id == "c5")
        assert ids(ask(stores, "f5")) == ["c5", "f5"]


def test_a_part_of_an_id_that_all_events_of_one_row_share_means_the_row(tmp_path: Path) -> None:
    source = MemorySource(
        [
            told("01a1-77/claim", 2, "ops", "claim_task", target="x"),
            told("01a1-77", 1, "ops", "create_task", target="x"),
            told("01a1-77/complete", 3, "ops", "complete_task", target="x"),
            told("01a2-77/a", 3, "ops", "step"),
            told("01a2-77/b", 3, "ops", "step"),
        ]
    )
    with stores_of(tmp_path, source) as (stores, _):
        assert find_subject(stores, "01a1-7").name == "01a1-77"
        for part in ("01a1-77/c", "01a2-77"):
            with pytest.raises(NotFoundError, match="2 events"):
                find_subject(stores, part)


@pytest.mark.parametrize(("size", "said", "more"), [(13, "13", 3), (140, "100 or more", 90)])
def test_of_many_candidates_ten_are_named_and_the_others_counted(
    size: int, said: str, more: int, tmp_path: Path
) -> None:
    source = MemorySource([told(f"step{n:03}", n, "ops", "step") for n in range(size)])
    with stores_of(tmp_path, source) as (stores, _):
        with pytest.raises(NotFoundError, match=f"ambiguous: {said} events have") as refused:
            find_subject(stores, "step")

        assert len(refused.value.candidates) == 10
        assert refused.value.more == more


def test_a_name_may_be_an_agent_here_and_a_target_there(tmp_path: Path) -> None:
    source = MemorySource([told("e1", 1, "spawn", "spawn", target="zealot-1", agent="haiku-1")])
    with recording(tmp_path) as (log, _):
        woke = log.emit("spawn", "wake", agent="zealot-1")
    with stores_of(tmp_path, source) as (stores, _):
        assert find_subject(stores, "zealot-1").kind == "both"
        assert ids(ask(stores, "zealot-1")) == [woke, "e1"]


def test_time_phrases_look_into_sources(tmp_path: Path) -> None:
    from datetime import UTC

    with stores_of(tmp_path, swarm()) as (stores, _):
        created = find_moment(
            lambda: stores, "when sub created", agent=None, target=None, now=0, zone=UTC
        )

        assert ids(ask(stores, query=Query(since=created))) == ["sub", "sub/complete"]


@pytest.mark.parametrize("is_live", [True, False])
def test_counting_back_counts_moments(is_live: bool, tmp_path: Path) -> None:
    """Two agents that wake at once woke at one moment, wherever that is known from."""
    from datetime import UTC

    seconds = (1, 2, 3, 3, 3)
    source = MemorySource(name="memory")
    with recording(tmp_path) as (log, clock):
        now = 0
        for number, second in enumerate(seconds):
            clock.advance(second - now)
            now = second
            if is_live:
                log.emit("spawn", "wake", agent=f"a{number}")
            else:
                source.told.append(told(f"e{number}", second, "spawn", "wake"))
    with stores_of(tmp_path, source) as (stores, _):
        found = [
            find_moment(lambda: stores, f"wake -{back}", agent=None, target=None, now=0, zone=UTC)
            for back in (1, 2, 3)
        ]

        assert [ns - START_NS for ns in found] == [3 * SECOND, 2 * SECOND, SECOND]
        with pytest.raises(NotFoundError, match="only 3 are recorded"):
            find_moment(lambda: stores, "wake -4", agent=None, target=None, now=0, zone=UTC)


def test_of_many_subtasks_the_nearest_are_told_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everywhere, "TARGETS_MAX", 4)
    names = ["task", "s0", "s1", "s2", "s3", "s4", "below"]
    events = [told(name, n, "ops", "create_task", target=name) for n, name in enumerate(names)]
    source = MemorySource(events)
    source.subtasks = {"task": ["s0", "s1"], "s1": ["below"], "s0": ["s2"], "s2": ["s3", "s4"]}
    with stores_of(tmp_path, source) as (stores, notes):
        assert ids(ask(stores, "task")) == ["task", "s0", "s1", "s2"]
        assert notes == [
            "task has more than 3 subtasks: what happened to the others may not be shown"
        ]
        source.subtasks = {"task": ["s0", "s1", "s2"]}
        notes.clear()
        assert ids(ask(stores, "task")) == ["task", "s0", "s1", "s2"]
        assert notes == []


@pytest.mark.parametrize(
    ("fields", "row", "node"),
    [
        ({"status": "error"}, "a sold a lamp → error", "orders a sold a lamp → error"),
        ({"duration": 5_000_000}, *("orders.order: a sold a lamp (5ms)",) * 2),
        ({"data": {"item": 1}}, "order lamp by a (item=1)", "orders order lamp (item=1)"),
        ({"primitive": "ops", "type": "create_task"}, "lamp created by a", "ops lamp created"),
        (
            {"primitive": "claude", "type": "tool", "duration": 5_000_000},
            *("claude.tool → done (5ms)",) * 2,
        ),
    ],
)
def test_what_a_source_puts_in_words_is_the_line(
    fields: dict[str, Any], row: str, node: str, tmp_path: Path
) -> None:
    given = {"primitive": "orders", "type": "order", "data": {"text": "a sold a lamp"}, **fields}
    event = told("e", 1, agent="a", target="lamp", **given)
    with stores_of(tmp_path, MemorySource([event])) as (stores, _):
        assert [each.text for each in ask(stores).rows] == [row]
        [root] = tell_causality(stores, "e", depth=None, width=None, is_wide=False).roots
        assert root.text == node


def test_what_was_recorded_live_with_a_text_has_more_to_tell(tmp_path: Path) -> None:
    with recording(tmp_path) as (log, _):
        log.emit("orders", "order", agent="a", target="lamp", data={"text": "sold"})
    with stores_of(tmp_path) as (stores, _):
        assert [each.text for each in ask(stores).rows] == ["order lamp by a (text=sold)"]


PLACES = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", "live"])), max_size=12)


@given(places=PLACES, limit=st.one_of(st.none(), st.integers(0, 5)), newest=st.booleans())
def test_it_is_what_sorting_everything_gives(
    places: list[tuple[int, str]],
    limit: int | None,
    newest: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    sources = {name: MemorySource(name=name) for name in ("a", "b")}
    live: list[tuple[int, str]] = []
    with recording(folder) as (log, clock):
        now = 0
        for second in sorted(second for second, where in places if where == "live"):
            clock.advance(second - now)
            now = second
            live.append((second, log.emit("ops", "step", target="task")))
    for number, (second, where) in enumerate(places):
        if where != "live":
            event = told(f"e{number:03}", second, "ops", "step", source=where, target="task")
            sources[where].told.append(event)
    wanted = [*live]
    for source in sources.values():
        told_here = sorted(source.told, key=lambda event: (event.time_ns, event.id))
        wanted += [(places[int(event.id[1:])][0], event.id) for event in told_here]
    wanted.sort(key=lambda pair: pair[0])
    kept = wanted if limit is None else wanted[:limit]
    if limit is not None and newest:
        kept = wanted[len(wanted) - min(limit, len(wanted)) :]
    with stores_of(folder, *sources.values()) as (stores, _):
        timeline = ask(stores, limit=limit, newest=newest)

        assert ids(timeline) == [event_id for _, event_id in kept]
        assert timeline.more == len(wanted) - len(kept)


def test_an_agent_that_only_a_source_made_is_found_as_what_was_made(tmp_path: Path) -> None:
    source = MemorySource(
        [
            told("a", 1, "spawn", "create_agent", target="haiku-7", fact="a"),
            told("b", 2, "spawn", "create_agent", target="zealot-1", fact="b"),
            told("c", 3, "ops", "create_task", agent="zealot-1", target="task", fact="task"),
        ]
    )
    with recording(tmp_path) as (log, _):
        log.emit("spawn", "spawn", agent="boss", target="zealot-1")
    with stores_of(tmp_path, source) as (stores, _):
        assert ids(ask(stores, agent="haiku-7")) == ["a"]
        assert ids(ask(stores, agent="zealot-1")) == ["c"]
        with pytest.raises(NotFoundError, match="no agent"):
            ask(stores, agent="task")
