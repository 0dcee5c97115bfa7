"""Causes and effects over a journal and sources: solid where recorded, dotted where implied."""

from pathlib import Path

import pytest

from tests.unit.ask.mixed import recording, stores_of, told
from whence.ask import weaver
from whence.ask.causality import Causality
from whence.ask.questions import tell_causality
from whence.ask.references import Subject
from whence.ask.stores import Stores
from whence.ask.weaver import weave
from whence.ask.web import Web
from whence.errors import StoreError
from whence.query import Query
from whence.testing.memory import MemorySource


def ask(stores: Stores, reference: str, *, is_wide: bool = False) -> Causality:
    return tell_causality(stores, reference, depth=None, width=None, is_wide=is_wide)


def drawn(causality: Causality) -> list[str]:
    """Each node as its indented id, with the reason it hangs where it does and what is noted."""
    return [
        f"{'  ' * depth}{node.id}{f' [{node.reason}]' if node.reason else ''}"
        f"{f' ({node.note})' if node.note else ''}{' *' if node.is_asked else ''}"
        for depth, node in causality.nodes()
    ]


def family(name: str = "memory") -> MemorySource:
    return MemorySource(
        [
            told("task", 2, "ops", "create_task", target="task", fact="task", source=name),
            told("sub", 3, "ops", "create_task", target="sub", fact="sub", source=name,
                 because=(("parent_id", "task"),)),
            told("other", 4, "ops", "create_task", target="other", fact="other", source=name,
                 because=(("parent_id", "task"),)),
            told("said", 5, "bridge", "send", target="payments", fact="said", source=name,
                 because=(("mention", "sub"),)),
        ],
        name=name,
    )  # fmt: skip


def test_what_a_source_implies_hangs_dotted(tmp_path: Path) -> None:
    with stores_of(tmp_path, family()) as (stores, _):
        assert drawn(ask(stores, "sub")) == [
            "task",
            "  sub [parent_id] *",
            "    said [mention]",
        ]


def test_why_also_tells_what_else_came_of_the_causes(tmp_path: Path) -> None:
    with stores_of(tmp_path, family()) as (stores, _):
        assert drawn(ask(stores, "sub", is_wide=True)) == [
            "task",
            "  sub [parent_id] *",
            "    said [mention]",
            "  other [parent_id]",
        ]


def test_what_was_recorded_ties_what_both_know(tmp_path: Path) -> None:
    """The journal has the request and the block, the source the subtask in between."""
    with recording(tmp_path) as (log, clock):
        asked = log.emit("bridge", "send", target="payments", data={"message_id": "m0"})
        clock.advance(2)
        created = log.emit("ops", "create_task", target="task", parent=asked)
        clock.advance(1)
        sub = log.emit("ops", "create_task", target="sub")
        blocked = log.emit("ops", "block_task", target="sub", parent=sub)
    with stores_of(tmp_path, family()) as (stores, _):
        assert drawn(ask(stores, blocked)) == [
            asked,
            f"  {created}",
            f"    {sub} [parent_id]",
            f"      {blocked} *",
        ]
        assert drawn(ask(stores, "sub")) == [
            asked,
            f"  {created}",
            f"    {sub} [parent_id] *",
            f"      {blocked} *",
            "      said [mention]",
        ]


def test_parents_and_links_of_a_source_are_solid_and_missing_ones_are_said(tmp_path: Path) -> None:
    source = MemorySource(
        [
            told("a", 1, "git", "commit", parent="gone"),
            told("b", 2, "git", "commit", parent="a"),
            told("c", 3, "git", "merge", parent="b", links=("a",)),
        ]
    )
    with stores_of(tmp_path, source) as (stores, _):
        assert drawn(ask(stores, "b")) == [
            "a (missing parent gone)",
            "  b *",
            "    c",
        ]


def test_what_a_relation_names_in_vain_is_said(tmp_path: Path) -> None:
    source = MemorySource(
        [
            told("task", 1, "ops", "create_task", target="task", parent="lost",
                 because=(("parent_id", "gone"), ("channel_id", "c"), ("after", "lost"))),
            told("c", 0, "bridge", "create_channel", target="payments"),
        ]
    )  # fmt: skip
    with stores_of(tmp_path, source) as (stores, _):
        causality = ask(stores, "task")

        assert drawn(causality) == [
            "c",
            "  task [channel_id] (missing parent_id gone, missing parent lost) *",
        ]
        assert causality.as_json()["nodes"][1]["missing"] == ["gone", "lost"]


def test_a_source_that_cannot_be_asked_has_not_lost_anything(tmp_path: Path) -> None:
    source = family()
    with stores_of(tmp_path, source) as (stores, notes):
        assert stores.sources is not None
        starts = list(stores.sources.events([Query(target="sub")]))
        source.fails = StoreError("it is locked")

        assert not stores.sources.lacks("memory", "gone")
        web = Web()
        weave(
            stores,
            stores.sources,
            web,
            Subject(kind="event", name="sub", told=starts[0]),
            is_wide=False,
        )
        assert web.missing == {}
        assert set(notes) == {"source memory: it is locked"}


def test_circles_end_and_two_sources_stay_apart(tmp_path: Path) -> None:
    circle = MemorySource(
        [
            told("x", 1, "ops", "step", target="round", because=(("after", "y"),)),
            told("y", 2, "ops", "step", target="round", because=(("after", "x"),)),
        ]
    )
    with stores_of(tmp_path, circle, family("other")) as (stores, _):
        assert drawn(ask(stores, "round")) == ["x *", "  y [after] *", "    x [after] (cycle) *"]
        assert [line.strip() for line in drawn(ask(stores, "said"))] == [
            "task", "sub [parent_id]", "said [mention] *",
        ]  # fmt: skip


def test_what_happened_at_one_moment_stays_as_it_is_told(tmp_path: Path) -> None:
    many = [
        told(f"e{n}", 1, "ops", "step", target="task", because=(("after", "top"),))
        for n in range(3)
    ]
    first = MemorySource([told("top", 0, "ops", "step"), *many])
    second = MemorySource(
        [told("e0", 1, "ops", "step", target="task", source="other")], name="other"
    )
    with stores_of(tmp_path, first, second) as (stores, _):
        causality = ask(stores, "task")

        assert [node.id for _, node in causality.nodes()] == ["top", "e0", "e1", "e2", "e0"]
        assert [getattr(root.event, "source", "") for root in causality.roots] == [
            "memory",
            "other",
        ]


def test_nothing_grows_without_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weaver, "STARTS_MAX", 20)
    many = MemorySource([told(f"e{n:05}", n, "ops", "step", target="big") for n in range(25)])
    with stores_of(tmp_path, many) as (stores, _):
        causality = ask(stores, "big")

        assert causality.roots[0].id == "e00005"
        assert len(causality.roots) == 20
        assert not causality.is_complete
