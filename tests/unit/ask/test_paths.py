"""From a graph of causes to a tree: exactly its shape, whatever the shape."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.ask.causality import Causality, Node
from whence.ask.paths import CYCLE, SEEN, Visit, assemble, find_roots, find_way, fold_claims, walk
from whence.ask.references import Subject
from whence.event import Event
from whence.index import Row

TASK = Subject(kind="target", name="task")


def make_row(
    seq: int, *, type: str = "step", target: str | None = None, parent: int | None = None
) -> Row:
    return Row(
        seq, seq, "ops", type, "zealot-1", target, parent, None, None, None, "s", 0, f"id-{seq}"
    )  # fmt: skip


def make_node(visit: Visit, children: tuple[Node, ...]) -> Node:
    event = Event(
        id=f"id-{visit.seq}", time="2026-11-20T00:00:00.000000000Z", primitive="ops", type="step",
        w="w" * 12, n=visit.seq, commit="c" * 43,
    )  # fmt: skip
    return Node(
        id=event.id, event=event, text=str(visit.seq), note=visit.note, more=visit.more,
        children=children,
    )  # fmt: skip


def tree_of(roots: Sequence[int], effects: Mapping[int, Sequence[int]]) -> Causality:
    return Causality(subject=TASK, roots=assemble(walk(roots, effects), make_node))


@st.composite
def forests(draw: st.DrawFn) -> dict[int, list[int]]:
    """By event, what it caused; each event but the roots has exactly one cause, an older one."""
    effects: dict[int, list[int]] = {}
    for seq in range(1, draw(st.integers(1, 40))):
        effects.setdefault(seq, [])
        cause = draw(st.integers(0, seq - 1))
        if cause:
            effects[cause].append(seq)
    return effects


graphs = st.dictionaries(
    st.integers(1, 12), st.lists(st.integers(1, 12), unique=True, max_size=5), max_size=12
)


def rows_of(effects: Mapping[int, Sequence[int]]) -> dict[int, Row]:
    seqs = {*effects, *(effect for below in effects.values() for effect in below)}
    return {seq: make_row(seq) for seq in seqs}


@given(forests())
def test_a_forest_gives_exactly_its_shape(effects: dict[int, list[int]]) -> None:
    rows = rows_of(effects)
    tree = tree_of(find_roots(rows, effects, {}), effects)

    found = {
        int(node.text): [int(child.text) for child in node.children] for _, node in tree.nodes()
    }

    assert found == {seq: effects.get(seq, []) for seq in rows}
    assert not any(node.note or node.more for _, node in tree.nodes())


@given(graphs)
def test_any_graph_is_told_whole_and_each_event_is_entered_once(
    effects: dict[int, list[int]],
) -> None:
    rows = rows_of(effects)
    nodes = [node for _, node in tree_of(find_roots(rows, effects, {}), effects).nodes()]

    entered = [int(node.text) for node in nodes if not node.note]

    assert sorted(entered) == sorted(rows)
    assert all(not node.children for node in nodes if node.note)
    # Every edge is drawn once, and a root stands there without one.
    edges = sum(map(len, effects.values()))
    drawn = sum(len(node.children) for node in nodes)
    assert drawn == edges


@given(graphs)
def test_an_event_that_causes_itself_is_a_cycle(effects: dict[int, list[int]]) -> None:
    rows = rows_of(effects)
    path: list[str] = []
    for depth, node in tree_of(find_roots(rows, effects, {}), effects).nodes():
        del path[depth:]

        assert (node.note == CYCLE) == (node.text in path)
        path.append(node.text)


def test_what_is_reached_twice_is_told_once_and_named_again() -> None:
    visits = walk([1], {1: [2, 3], 2: [4], 3: [4]})

    assert [(visit.seq, visit.note) for visit in visits] == [
        (1, ""), (2, ""), (4, ""), (3, ""), (4, SEEN),
    ]  # fmt: skip


@given(forests(), st.integers(0, 6), st.integers(0, 4))
def test_limits_count_what_they_leave_out(
    effects: dict[int, list[int]], depth: int, width: int
) -> None:
    roots = find_roots(rows_of(effects), effects, {})
    visits = walk(roots, effects, depth=depth, width=width)

    for visit in visits:
        below = len(effects.get(visit.seq, []))
        kept = 0 if visit.depth >= depth else min(below, width)
        assert visit.more == below - kept
        assert visit.depth <= depth
    assert {visit.seq for visit in visits if visit.depth == 0} == set(roots)


@given(graphs, st.data(), st.integers(0, 4), st.integers(0, 4))
def test_limits_leave_the_way_to_what_was_asked(
    effects: dict[int, list[int]], data: st.DataObject, depth: int, width: int
) -> None:
    rows = rows_of(effects) or {1: make_row(1)}
    asked = data.draw(st.sampled_from(sorted(rows)))
    way, roots = find_way([asked], effects), find_roots(rows, effects, {})

    deep = walk(roots, effects, way=way, depth=depth)
    narrow = walk(roots, effects, way=way, width=width)
    both = walk(roots, effects, way=way, depth=depth, width=width)

    assert way.keys() <= {visit.seq for visit in deep}
    assert asked in {visit.seq for visit in narrow}
    assert asked in {visit.seq for visit in both}
    for visits in (deep, narrow, both):
        told = {visit.seq for visit in visits}
        assert sum(visit.hidden for visit in visits) == len(rows) - len(told)


def test_levels_count_from_what_was_asked() -> None:
    """1 led to 2, which was asked about; what else came of 1 is told as deep as what came of 2."""
    effects = {1: [2, 6], 2: [3], 3: [4], 4: [5], 6: [7], 7: [8]}

    visits = walk([1], effects, way=find_way([2], effects), depth=1)

    assert [(visit.seq, visit.depth, visit.more, visit.hidden) for visit in visits] == [
        (1, 0, 0, 0), (2, 1, 0, 0), (3, 2, 1, 2), (6, 1, 1, 2),
    ]  # fmt: skip


def test_what_leads_to_what_was_asked_is_kept_before_others() -> None:
    effects = {1: [2, 3, 4], 4: [5]}

    visits = walk([1], effects, way=find_way([5], effects), width=2)

    assert [visit.seq for visit in visits] == [1, 2, 4, 5]


def test_a_chain_of_a_hundred_thousand_causes_is_no_deeper_than_a_list() -> None:
    length = 100_000
    effects = {seq: [seq + 1] for seq in range(1, length)}
    rows = {seq: make_row(seq) for seq in range(1, length + 1)}

    tree = tree_of(find_roots(rows, effects, {}), effects)

    assert max(depth for depth, _ in tree.nodes()) == length - 1
    assert tree.as_json()["nodes"][-1]["depth"] == length - 1
    assert "1 children" in repr(tree.roots[0])


def test_json_is_a_flat_list_in_reading_order() -> None:
    nodes = tree_of([1], {1: [2, 3], 2: [4]}).as_json()["nodes"]

    assert [(node["text"], node["depth"], node["cause"]) for node in nodes] == [
        ("1", 0, None), ("2", 1, 0), ("4", 2, 1), ("3", 1, 0),
    ]  # fmt: skip
    assert nodes[0]["id"] == "id-1"
    assert msgspec.json.encode(nodes)


def test_a_claim_folds_into_the_creation_that_caused_it() -> None:
    rows = {
        1: make_row(1, type="create_task", target="t"),
        2: make_row(2, type="claim_task", target="t", parent=1),
        3: make_row(3, type="claim_task", target="t", parent=1),
        4: make_row(4, type="block_task", target="t", parent=2),
    }
    effects = {1: [2, 3], 2: [4]}

    also = fold_claims(rows, effects)

    assert also == {1: 2}
    assert effects == {1: [3, 4]}


@pytest.mark.parametrize(
    "claim",
    [
        make_row(2, type="claim_task", target="other", parent=1),
        make_row(2, type="claim_task", target="t", parent=None),
        make_row(2, type="block_task", target="t", parent=1),
    ],
)
def test_nothing_else_folds(claim: Row) -> None:
    rows = {1: make_row(1, type="create_task", target="t"), 2: claim}
    effects = {1: [2]}

    assert fold_claims(rows, effects) == {}
    assert effects == {1: [2]}


@given(
    effects=graphs,
    kinds=st.lists(
        st.sampled_from(["create_task", "claim_task", "step"]), min_size=13, max_size=13
    ),
)
def test_folding_loses_no_event_and_leads_nowhere_twice(
    effects: dict[int, list[int]], kinds: list[str]
) -> None:
    parents = {effect: cause for cause, below in effects.items() for effect in below}
    rows = {
        seq: make_row(seq, type=kinds[seq], target="t", parent=parents.get(seq))
        for seq in rows_of(effects)
    }

    also = fold_claims(rows, effects)
    visits = walk(find_roots(rows, effects, also), effects)

    told = [visit.seq for visit in visits if not visit.note]
    assert sorted([*told, *also.values()]) == sorted(rows)
