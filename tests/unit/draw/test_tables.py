"""Tables: columns stand under each other, whatever the cells hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.draw import Column, column_widths, format_row, printable, table, width
from whence.draw.tables import fit_in

TEXT = Column(title="text")
NUMBER = Column(title="number", align="right")


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[list[str]], list[Column]]:
    columns = draw(
        st.lists(
            st.builds(
                Column,
                title=st.text(max_size=10),
                align=st.sampled_from(["left", "right", "center"]),
                width_min=st.integers(0, 10),
                shrinks=st.none() | st.booleans(),
            ),
            min_size=1,
            max_size=5,
        )
    )
    row = st.lists(st.text(max_size=30), min_size=len(columns), max_size=len(columns))
    return draw(st.lists(row, max_size=6)), columns


@given(
    layout=layouts(),
    total=st.none() | st.integers(0, 80),
    ascii=st.booleans(),
    gap=st.sampled_from(["  ", " | "]),
)
def test_all_lines_of_a_table_are_equally_wide(
    layout: tuple[list[list[str]], list[Column]],
    total: int | None,
    ascii: bool,  # noqa: A002
    gap: str,
) -> None:
    rows, columns = layout

    lines = table(rows, columns, width=total, ascii=ascii, gap=gap)

    titles = [column.title for column in columns]
    widths = column_widths([titles, *rows], columns, width=total, ascii=ascii, gap=gap)
    if total is None or fit_in(total, widths, gap=gap):
        assert len(lines) == len(rows) + 1
        assert len({width(line) for line in lines}) == 1
    assert all(printable(line, ascii=ascii) == line for line in lines)


@given(layout=layouts(), total=st.integers(0, 80))
def test_a_table_fits_or_no_column_can_give_any_more(
    layout: tuple[list[list[str]], list[Column]], total: int
) -> None:
    rows, columns = layout
    natural = column_widths(rows, columns)

    widths = column_widths(rows, columns, width=total)

    room = total - 2 * (len(columns) - 1)
    least = [
        min(before, column.width_min)
        if (column.align == "left" if column.shrinks is None else column.shrinks)
        else before
        for column, before in zip(columns, natural, strict=True)
    ]
    assert all(
        low <= after <= high for low, after, high in zip(least, widths, natural, strict=True)
    )
    if sum(natural) <= room:
        assert widths == natural
    elif sum(least) <= room:
        assert sum(widths) == room
    else:
        assert widths == least


def test_columns_are_aligned_and_titled() -> None:
    lines = table([["one", "1"], ["漢字", "22,000"]], [TEXT, NUMBER])

    assert lines == [
        "text  number",
        "one        1",
        "漢字  22,000",
    ]


def test_the_widest_text_gives_way_first_and_numbers_never() -> None:
    rows = [["a short one", "a text that is much longer than that", "123,456,789"]]
    columns = [Column(), Column(), NUMBER]

    assert table(rows, columns, width=40, header=False) == [
        "a short one  a text that i…  123,456,789",
    ]


def test_two_wide_texts_share_the_loss() -> None:
    rows = [["x" * 40, "y" * 30, "z" * 5]]

    assert column_widths(rows, [Column()] * 3, width=29) == [10, 10, 5]


def test_without_a_width_nothing_is_cut() -> None:
    long = "x" * 1_000

    assert table([[long]], [Column()], header=False) == [long]


def test_a_row_that_does_not_match_the_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="row has 1 cells, want 2"):
        table([["a"]], [TEXT, TEXT])
    with pytest.raises(ValueError, match="row has 3 cells, want 1"):
        format_row(["a", "b", "c"], [TEXT], [4])


def test_a_table_without_rows_is_its_header() -> None:
    assert table([], [TEXT, NUMBER]) == ["text  number"]
    assert table([], [TEXT], header=False) == []


def test_rows_can_be_written_one_by_one_into_settled_columns() -> None:
    columns = [Column(), NUMBER]

    assert format_row(["abcdef", "1"], columns, [4, 3], gap=" | ") == "abc… |   1"
    assert format_row(["abcdef", "1"], columns, [4, 3], ascii=True) == "a...    1"


def test_cells_are_painted_after_they_are_laid_out() -> None:
    lines = table(
        [["a", "b"]],
        [Column(title="t"), Column(title="u")],
        paint=lambda row, column, text: f"<{row}{column}{text}>",
    )

    assert lines == ["<-10t>  <-11u>", "<00a>  <01b>"]


def test_columns_that_have_no_room_beside_each_other_stand_below() -> None:
    rows = [["one two three four five", "1,000"], ["漢字漢字漢字漢字漢字", "22,000,000,000"]]

    assert table(rows, [TEXT, NUMBER], width=20) == [
        "text    one two",
        "        three four",
        "        five",
        "number  1,000",
        "",
        "text    漢字漢字漢字",
        "        漢字漢字",
        "number  22,000,000,0",
        "        00",
    ]


@given(layout=layouts(), total=st.integers(8, 80), ascii=st.booleans())
def test_a_table_with_titles_is_never_wider_than_it_may_be(
    layout: tuple[list[list[str]], list[Column]],
    total: int,
    ascii: bool,  # noqa: A002
) -> None:
    rows, columns = layout

    assert all(width(line) <= total for line in table(rows, columns, width=total, ascii=ascii))
