"""Events as lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.ask.timeline import TimelineRow
from whence.cli.rows import draw_rows
from whence.cli.screen import Screen
from whence.draw.cells import width
from whence.draw.styles import Style
from whence.event import Event, Status


def _row(text: str, primitive: str = "ops", status: Status | None = None) -> TimelineRow:
    event = Event(
        id="1", time="2025-10-22T14:00:00.000000000Z", primitive=primitive, type="t", w="w", n=1,
        status=status,
    )  # fmt: skip
    return TimelineRow(event, text)


def _draw(*rows: TimelineRow, screen: Screen = Screen(utc=True)) -> list[str]:
    return list(draw_rows(rows, screen))


def test_rows_have_the_shape_of_the_first_example() -> None:
    assert _draw(_row("created by zealot-1"), _row("woke (session 42)", "spawn")) == [
        "2025-10-22 14:00:00 | ops       | created by zealot-1",
        "2025-10-22 14:00:00 | spawn     | woke (session 42)",
    ]


def test_a_long_primitive_widens_the_column_of_all() -> None:
    assert _draw(_row("a"), _row("b", "orchestrator")) == [
        "2025-10-22 14:00:00 | ops          | a",
        "2025-10-22 14:00:00 | orchestrator | b",
    ]


def test_words_go_on_below_themselves() -> None:
    lines = _draw(_row("one two three four five six"), screen=Screen(utc=True, width=54))

    assert lines == [
        "2025-10-22 14:00:00 | ops       | one two three four",
        "                                  five six",
    ]


def test_what_is_recorded_cannot_move_the_cursor() -> None:
    assert _draw(_row("a\x1b[2Jb\nc", "o\rps")) == ["2025-10-22 14:00:00 | o␍ps      | a␛[2Jb⏎c"]


def test_colours_change_nothing_but_colours() -> None:
    lines = _draw(
        _row("gone → error", status="error"), screen=Screen(utc=True, style=Style(on=True))
    )

    assert lines == [
        "\x1b[2m2025-10-22 14:00:00\x1b[0m | \x1b[36mops      \x1b[0m | \x1b[31mgone → error\x1b[0m"
    ]


def test_words_that_have_no_room_stand_on_lines_of_their_own() -> None:
    lines = _draw(
        _row("one two three four five six seven eight"), screen=Screen(utc=True, width=30)
    )

    assert lines == [
        "2025-10-22 14:00:00 | ops",
        "  one two three four five six",
        "  seven eight",
    ]


def test_what_has_no_spaces_is_broken_by_cells() -> None:
    lines = _draw(_row("posted 支払いシステムを作ります"), screen=Screen(utc=True, width=54))

    assert lines == [
        "2025-10-22 14:00:00 | ops       | posted",
        "                                  支払いシステムを作り",
        "                                  ます",
    ]


@pytest.mark.parametrize("cells", [10, 20, 40, 60, 80])
@given(text=st.text(st.characters(codec="utf-8"), max_size=200))
def test_no_word_is_lost_where_lines_are_narrow(cells: int, text: str) -> None:
    screen = Screen(utc=True, width=cells)
    lines = _draw(_row(text), screen=screen)

    shown = "".join(lines).replace(" ", "")
    told = f"2025-10-2214:00:00ops{screen.text(text)}"
    assert shown.replace("|", "") == told.replace(" ", "").replace("|", "")
    assert all(width(line) <= cells for line in lines)
