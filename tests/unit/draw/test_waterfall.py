"""Waterfalls: a bar for each line of a tree, and no line wider than the terminal."""

from hypothesis import given
from hypothesis import strategies as st

from whence.draw import width
from whence.draw.waterfall import Waterfall


def test_a_tree_is_drawn_beside_the_time_that_its_steps_took() -> None:
    picture = Waterfall(0, 100, columns=60)

    assert [
        picture.line(0, "[alt] transition", is_last=True, start=0, end=100),
        picture.line(1, "[foc] gate", is_last=False, start=20, end=60),
        picture.line(2, "[mem] write", is_last=True, start=40, end=90, is_open=True),
        picture.line(1, "task made", is_last=True, start=99),
        picture.line(2, "… 5 more", is_last=True),
    ] == [
        "███████████████│ [alt] transition",
        "   ██████      │   ├─[foc] gate",
        "      ░░░░░░░░ │   │   └─[mem] write",
        "              •│   └─task made",
        "               │       └─… 5 more",
    ]


def test_ascii_is_enough() -> None:
    picture = Waterfall(0, 100, columns=40, ascii=True)

    assert [
        picture.line(0, "a → b", is_last=True, start=0, end=100),
        picture.line(1, "open", is_last=False, start=0, end=50, is_open=True),
        picture.line(1, "x" * 90, is_last=True, start=50),
    ] == [
        "##########| a -> b",
        ".....     |   |-open",
        "     *    |   `-" + "x" * 21 + "...",
    ]


def test_where_there_is_no_room_the_bars_go_first() -> None:
    picture = Waterfall(0, 100, columns=20)

    assert picture.line(0, "[alt] transition: L3", is_last=True, start=0, end=9) == (
        "[alt] transition: L3"
    )


@given(
    lines=st.lists(
        st.tuples(
            st.integers(0, 200),
            st.text(max_size=60),
            st.booleans(),
            st.integers(-(10**20), 10**20),
            st.none() | st.integers(-(10**20), 10**20),
        ),
        max_size=30,
    ),
    window=st.tuples(st.integers(-(10**19), 10**19), st.integers(-(10**19), 10**19)),
    columns=st.integers(8, 200),
    ascii_only=st.booleans(),
)
def test_whatever_it_is_given_a_line_is_one_line_and_fits(
    lines: list[tuple[int, str, bool, int, int | None]],
    window: tuple[int, int],
    columns: int,
    ascii_only: bool,
) -> None:
    """Also for depths that no terminal holds, ends before beginnings and times outside the trace."""
    picture = Waterfall(*window, columns=columns, ascii=ascii_only)

    for depth, label, is_last, start, end in lines:
        line = picture.line(depth, label, is_last=is_last, start=start, end=end)
        assert width(line) <= columns
        assert len(line.splitlines()) <= 1
        assert not ascii_only or line.isascii()
