"""Terminal cells: text is measured, cut and filled as a terminal shows it, and made harmless."""

import subprocess
import sys
import unicodedata

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from whence.draw import Align, fit, pad, printable, width
from whence.draw.cells import fit_end, wrap

FAMILY = "👩‍👩‍👧‍👦"
FLAG = "🇩🇪"
KEYCAP = "1️⃣"
ACCENTED = "e\u0301"

PIECES = [
    FAMILY,
    FLAG,
    KEYCAP,
    ACCENTED,
    "漢",
    "한",
    "👍🏽",
    "❤️",
    "\u0301",
    "\u200d",
    "a",
    " ",
    "→",
    "é",
]
hard_text = st.lists(st.sampled_from(PIECES) | st.characters()).map("".join)
aligns: st.SearchStrategy[Align] = st.sampled_from(["left", "right", "center"])

DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_harmful(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(char) in DIRECTIONS
        or char in "\u061c\u200e\u200f\u200b\ufeff"
        or "\U000e0000" <= char <= "\U000e0fff"
    )


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("plain", 5),
        ("naïve → ⏎ └─> █", 15),
        ("漢字", 4),
        (ACCENTED, 1),
        (FAMILY, 2),
        (FLAG, 2),
        (KEYCAP, 2),
        ("\u0301", 0),
        ("\x1b\n", 0),
    ],
)
def test_text_is_as_wide_as_a_terminal_shows_it(text: str, cells: int) -> None:
    assert width(text) == cells


def test_characters_that_skip_the_tables_have_one_cell_in_the_tables_too() -> None:
    """The short way for common text must give what wcwidth gives, and join with no neighbour."""
    from whence.draw.cells import _ONE_CELL_EACH

    one_cell = [
        char for code in range(sys.maxunicode + 1) if _ONE_CELL_EACH.fullmatch(char := chr(code))
    ]

    assert [char for char in one_cell if wcwidth.wcwidth(char) != 1] == []
    joined = "".join(char + "a" for char in one_cell)
    assert list(wcwidth.iter_graphemes(joined)) == list(joined)


@given(text=hard_text, cells=st.integers(-2, 30), ellipsis=st.sampled_from(["…", "...", ""]))
def test_cut_text_never_exceeds_its_cells(text: str, cells: int, ellipsis: str) -> None:
    cut = fit(printable(text), cells, ellipsis)

    assert width(cut) <= max(0, cells)


@given(text=hard_text)
def test_text_that_fits_is_not_touched(text: str) -> None:
    text = printable(text)

    assert fit(text, width(text)) == text
    assert pad(text, width(text)) == text


@pytest.mark.parametrize(
    ("text", "cells", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("漢字漢字", 6, "漢字…"),
        ("漢字漢字", 4, "漢…"),
        (f"ab{FAMILY}cd", 4, "ab…"),
        (f"{ACCENTED}{ACCENTED}{ACCENTED}", 2, f"{ACCENTED}…"),
    ],
)
def test_a_cut_is_marked_and_never_splits_what_reads_as_one_character(
    text: str, cells: int, cut: str
) -> None:
    assert fit(text, cells) == cut


def test_an_ellipsis_wider_than_the_room_is_cut_itself() -> None:
    assert fit("abcdef", 2, "...") == ".."


@given(text=hard_text, cells=st.integers(0, 30), align=aligns)
def test_filled_text_has_its_cells_exactly(text: str, cells: int, align: Align) -> None:
    filled = pad(fit(printable(text), cells), cells, align)

    assert width(filled) == cells


@pytest.mark.parametrize(
    ("align", "filled"), [("left", "ab   "), ("right", "   ab"), ("center", " ab  ")]
)
def test_text_is_filled_on_the_side_away_from_its_alignment(align: Align, filled: str) -> None:
    assert pad("ab", 5, align) == filled


@given(text=hard_text)
def test_printable_text_cannot_meddle_with_a_terminal(text: str) -> None:
    shown = printable(text)

    assert [char for char in shown if is_harmful(char)] == []
    assert printable(shown) == shown
    assert "\n" not in shown


@given(text=hard_text)
def test_printable_ascii_is_ascii_and_printable(text: str) -> None:
    shown = printable(text, ascii=True)

    assert shown.isascii()
    assert shown.isprintable()
    assert printable(shown, ascii=True) == shown


@given(text=hard_text)
def test_printable_text_does_not_join_with_what_is_drawn_before_it(text: str) -> None:
    assert width("└─> " + printable(text)) == 4 + width(printable(text))
    assert width("└─" + printable(text)) == 2 + width(printable(text))


def test_every_harmful_character_becomes_something_visible() -> None:
    harmful = [char for code in range(sys.maxunicode + 1) if is_harmful(char := chr(code))]

    assert len(harmful) > 4_000
    assert [char for char in harmful if width(printable(char)) < 1] == []


@pytest.mark.parametrize(
    ("text", "shown", "shown_ascii"),
    [
        ("two\nlines", "two⏎lines", "two\\nlines"),
        ("\ttab\r", "␉tab␍", "\\ttab\\r"),
        ("\x1b[31mred", "␛[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m", "\\x9b31m"),
        ("\x07\x7f\x00", "␇␡␀", "\\x07\\x7f\\x00"),
        ("pay\u202eLIVE", "pay\\u202eLIVE", "pay\\u202eLIVE"),
        ("\U000e0041", "\\U000e0041", "\\U000e0041"),
        ("lone \ud800", "lone \\ud800", "lone \\ud800"),
        ("\u0301mark", "◌\u0301mark", "\\u0301mark"),
        ("L3→L2 … “é”", "L3→L2 … “é”", 'L3->L2 ... "\\xe9"'),
        (FAMILY, FAMILY, "\\U0001f469\\u200d\\U0001f469\\u200d\\U0001f467\\u200d\\U0001f466"),
    ],
)
def test_harmful_text_is_shown_for_what_it_is(text: str, shown: str, shown_ascii: str) -> None:
    assert printable(text) == shown
    assert printable(text, ascii=True) == shown_ascii


def test_common_text_is_drawn_without_loading_the_tables_of_widths() -> None:
    """They take longer to load than most answers take to find."""
    code = (
        "import sys; from whence.draw import Column, table, tree;"
        "list(tree(['naïve → text'], lambda _: [], str, max_width=8));"
        "table([['new\\nline', '5µs']], [Column(title='a'), Column(title='b')], width=9);"
        "sys.exit('wcwidth' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("text", "cells", "lines"),
    [
        ("", 5, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("one two", 20, ["one two"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("a bcdefgh i", 3, ["a", "bcd", "efg", "h i"]),
        ("漢字漢字", 5, ["漢字", "漢字"]),
        ("漢字", 1, ["漢", "字"]),
        ("a  b", 1, ["a", "", "b"]),
    ],
)
def test_text_is_broken_between_words_and_within_long_ones(
    text: str, cells: int, lines: list[str]
) -> None:
    assert list(wrap(text, cells)) == lines


@given(hard_text.map(printable), st.integers(2, 12))
def test_broken_lines_fit_and_hold_all_there_was(text: str, cells: int) -> None:
    lines = list(wrap(text, cells))

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(width(line) <= cells for line in lines)


@given(hard_text.map(printable), st.integers(0, 12))
def test_text_cut_at_its_beginning_keeps_its_end(text: str, cells: int) -> None:
    cut = fit_end(text, cells)

    assert text.endswith(cut)
    assert width(cut) <= cells
    assert cut == text or width(text) > cells
