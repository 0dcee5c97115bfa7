"""Trees: every node once, in the seed's look, whatever the shape, and never by recursion."""

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.draw import SPANS, printable, tree, width

PAYMENT = {
    "message": ["memory"],
    "memory": ["task"],
    "task": ["sub1", "sub2"],
    "sub1": ["blocked-message"],
    "blocked-message": ["blocked"],
    "sub2": ["completed"],
}

graphs = st.dictionaries(
    st.integers(0, 30), st.lists(st.integers(0, 30), max_size=4), max_size=30
)  # cycles, shared children and repeated children included
forests = st.integers(1, 40).flatmap(
    lambda size: st.tuples(*(st.integers(-1, node - 1) for node in range(size)))
)  # each node's parent, or -1


def draw(graph: dict[str, list[str]], *roots: str, **options: object) -> str:
    lines = tree(roots, lambda node: graph.get(node, []), str, **options)  # type: ignore[arg-type]
    return "\n".join(lines)


def test_causes_look_as_in_the_document_that_asked_for_them() -> None:
    assert draw(PAYMENT, "message") == (
        "message\n"
        "  └─> memory\n"
        "      └─> task\n"
        "          ├─> sub1\n"
        "          │   └─> blocked-message\n"
        "          │       └─> blocked\n"
        "          └─> sub2\n"
        "              └─> completed"
    )


def test_spans_touch_their_strokes() -> None:
    graph = {"[alt] transition": ["[foc] gate_check"], "[foc] gate_check": ["[mem] write"]}

    assert draw(graph, "[alt] transition", branches=SPANS) == (
        "[alt] transition\n  └─[foc] gate_check\n      └─[mem] write"
    )


def test_ascii_trees_are_ascii() -> None:
    graph = {"é\n": ["a", "b"], "a": ["c"]}

    assert draw(graph, "é\n", ascii=True) == (
        "\\xe9\\n\n  |-> a\n  |   `-> c\n  `-> b"
    )  # fmt: skip


@given(parents=forests)
def test_every_node_of_a_forest_is_drawn_once_at_its_depth(parents: tuple[int, ...]) -> None:
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        children.setdefault(parent, []).append(node)
    depths = {-1: -1}
    for node, parent in enumerate(parents):
        depths[node] = depths[parent] + 1

    lines = list(
        tree(children.get(-1, []), lambda node: children.get(node, []), lambda node: f"n{node}")
    )

    drawn = [int(re.findall(r"n(\d+)", line)[0]) for line in lines]
    assert sorted(drawn) == list(range(len(parents)))
    for node, line in zip(drawn, lines, strict=True):
        indent = line.index("n")
        assert indent == (2 + 4 * depths[node] if depths[node] else 0)


@given(graph=graphs, roots=st.lists(st.integers(0, 30), max_size=3))
def test_shared_nodes_and_cycles_are_entered_once(
    graph: dict[int, list[int]], roots: list[int]
) -> None:
    reachable = set(roots)
    waiting = list(roots)
    while waiting:
        for child in graph.get(waiting.pop(), []):
            if child not in reachable:
                reachable.add(child)
                waiting.append(child)

    lines = list(tree(roots, lambda node: graph.get(node, []), lambda node: f"n{node}"))

    entered = [line.split("n")[1] for line in lines if not line.endswith("(see above)")]
    assert sorted(entered) == sorted(str(node) for node in reachable)


def test_a_cycle_ends_where_it_closes() -> None:
    assert draw({"a": ["b"], "b": ["a"]}, "a") == "a\n  └─> b\n      └─> a (see above)"


@given(
    graph=graphs,
    max_width=st.integers(0, 60),
    label=st.text(max_size=40),
    max_depth=st.none() | st.integers(0, 5),
    max_children=st.none() | st.integers(0, 3),
    ascii=st.booleans(),
)
def test_lines_keep_their_width_and_stay_harmless(
    graph: dict[int, list[int]],
    max_width: int,
    label: str,
    max_depth: int | None,
    max_children: int | None,
    ascii: bool,  # noqa: A002
) -> None:
    lines = tree(
        [0],
        lambda node: graph.get(node, []),
        lambda node: label,
        max_width=max_width,
        max_depth=max_depth,
        max_children=max_children,
        ascii=ascii,
    )

    for line in lines:
        assert width(line) <= max_width
        assert printable(line, ascii=ascii) == line


def test_what_lies_too_deep_is_counted_in_its_place() -> None:
    assert draw(PAYMENT, "message", max_depth=2) == (
        "message\n  └─> memory\n      └─> task\n          └─> … 5 more"
    )
    assert draw(PAYMENT, "message", max_depth=2, ascii=True).endswith("`-> ... 5 more")


def test_too_many_siblings_are_counted_with_what_hangs_below_them() -> None:
    graph = {"root": ["a", "b", "c"], "b": ["d", "e"]}

    assert draw(graph, "root", max_children=1) == "root\n  ├─> a\n  └─> … 4 more"
    assert draw(graph, "root", max_children=3).count("more") == 0


def test_what_was_drawn_elsewhere_is_not_counted_as_left_out() -> None:
    assert draw({"a": ["b"], "b": ["a"]}, "a", max_depth=1) == "a\n  └─> b"


def test_a_hundred_thousand_levels_are_drawn_without_recursion() -> None:
    depth = 100_000

    def lines(max_width: int | None) -> list[str]:
        return list(
            tree(
                [0], lambda n: [n + 1] if n < depth else [], lambda n: f"n{n}", max_width=max_width
            )
        )

    unlimited = lines(None)
    assert len(unlimited) == depth + 1
    assert unlimited[-1].startswith("  …99,953 ")
    assert unlimited[-1].endswith("└─> n100000")
    assert max(map(len, unlimited)) < 300
    assert lines(60)[-1].endswith("└─> n100000")


def test_a_hundred_thousand_levels_are_counted_without_recursion() -> None:
    lines = list(tree([0], lambda n: [n + 1] if n < 100_000 else [], str, max_depth=0))

    assert lines == ["0", "  └─> … 100,000 more"]


def test_lines_come_as_they_are_asked_for() -> None:
    endless = tree([0], lambda node: [node + 1], str)

    assert list(islice(endless, 3)) == ["0", "  └─> 1", "      └─> 2"]


def test_a_label_keeps_room_beside_deep_strokes() -> None:
    lines = list(
        tree(
            [0], lambda n: [n + 1] if n < 50 else [], lambda n: "label of a deep node", max_width=50
        )
    )

    assert all("label of a" in line for line in lines)


def test_labels_are_painted_after_they_are_cut() -> None:
    lines = tree(
        ["long label"], lambda _: [], str, max_width=5, paint=lambda node, text: f"<{text}>"
    )

    assert list(lines) == ["<long…>"]


def test_no_roots_draw_nothing() -> None:
    assert draw({}) == ""


@pytest.mark.parametrize("mark_room", [12, 13, 20])
def test_the_mark_of_a_repeated_node_is_kept_as_long_as_it_fits(mark_room: int) -> None:
    lines = list(tree(["a long label", "a long label"], lambda _: [], str, max_width=mark_room))

    assert width(lines[1]) <= mark_room
    assert lines[1].endswith("(see above)") == (mark_room > 12)
