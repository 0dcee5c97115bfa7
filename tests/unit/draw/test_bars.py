"""Strokes: exactly as wide as asked for, and nothing that is there is drawn as nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.draw import bar, sparkline, waterfall, width

numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**30), 10**30)
shares = st.floats(min_value=0, max_value=1e12) | st.integers(0, 10**30)


def test_a_sparkline_climbs_from_the_lowest_to_the_highest_stroke() -> None:
    assert sparkline(range(8)) == "▁▂▃▄▅▆▇█"
    assert sparkline(range(8), ascii=True) == "_.-:=+*#"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([5, 5], "██"),
        ([1, None, math.nan, 0], "█  ▁"),
        ([math.inf, 1], "█▁"),
        ([-3, 1], "▁█"),
    ],
)
def test_sparklines_of_odd_values(values: list[float | None], line: str) -> None:
    assert sparkline(values) == line


def test_a_squeezed_sparkline_keeps_its_peaks() -> None:
    values = [0.0] * 99 + [9.0]

    assert sparkline(values, cells=4) == "▁▁▁█"
    assert sparkline([None, None, 3.0, None], cells=2) == " █"


def test_a_sparkline_can_be_drawn_on_a_given_scale() -> None:
    assert sparkline([1, 5], low=0, high=10) == "▁▅"


@given(values=st.lists(st.none() | numbers, max_size=50), cells=st.none() | st.integers(1, 60))
def test_a_sparkline_has_one_stroke_a_value_or_as_many_as_there_is_room(
    values: list[float | None], cells: int | None
) -> None:
    line = sparkline(values, cells=cells)

    assert width(line) == min(len(values), cells or len(values))


@pytest.mark.parametrize(
    ("value", "text", "text_ascii"),
    [
        (0, "    ", "    "),
        (1, "▏   ", "#   "),
        (500, "██  ", "##  "),
        (560, "██▏ ", "##  "),
        (999, "███▉", "### "),
        (1_000, "████", "####"),
        (2_000, "████", "####"),
        (-5, "    ", "    "),
    ],
)
def test_a_bar_shows_its_share(value: int, text: str, text_ascii: str) -> None:
    assert bar(value, 1_000, 4) == text
    assert bar(value, 1_000, 4, ascii=True) == text_ascii


@given(value=shares, total=shares, cells=st.integers(0, 40), ascii=st.booleans())
def test_a_bar_has_its_cells_exactly_and_is_blank_only_for_nothing(
    value: float,
    total: float,
    cells: int,
    ascii: bool,  # noqa: A002
) -> None:
    text = bar(value, total, cells, ascii=ascii)

    assert width(text) == cells
    if cells:
        assert (text.strip() == "") == (value <= 0 or total <= 0)


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (0, 100, "██████████"),
        (0, 10, "█         "),
        (30, 55, "   ███    "),
        (50, 50, "     █    "),
        (100, 100, "         █"),
        (99, 1_000, "         █"),
        (-50, -10, "█         "),
        (300, 400, "         █"),
    ],
)
def test_a_waterfall_shows_where_a_span_lies(start: int, end: int, text: str) -> None:
    assert waterfall(start, end, 100, 10) == text
    assert waterfall(start, end, 100, 10, ascii=True) == text.replace("█", "#")


@given(
    start=st.integers(), end=st.integers(), total=st.integers(-5, 10**20), cells=st.integers(0, 40)
)
def test_a_waterfall_bar_has_its_cells_and_is_never_blank(
    start: int, end: int, total: int, cells: int
) -> None:
    text = waterfall(start, end, total, cells)

    assert width(text) == cells
    if cells:
        assert "█" in text
        assert " " not in text.strip()
