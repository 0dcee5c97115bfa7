"""Colours, widths and times of the screen."""

import io
import sys
import time

import pytest

from whence.cli.screen import (
    OutputError,
    Screen,
    clear_progress,
    failure_role,
    flush,
    format_moment,
    progress_bar,
    terminal_size,
)
from whence.draw.styles import Style, wants_color

_NS = 1_761_141_600_123_456_789
"""2025-10-22 14:00:00.123456789 UTC"""


@pytest.mark.parametrize(
    ("flag", "environment", "is_terminal", "wanted"),
    [
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, True),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"CLICOLOR": "0"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
    ],
)
def test_colours_go_by_flag_then_environment_then_terminal(
    flag: str, environment: dict[str, str], is_terminal: bool, wanted: bool
) -> None:
    assert wants_color(flag, environment, is_terminal) is wanted


@pytest.mark.parametrize(
    ("environment", "size"),
    [({"COLUMNS": "100", "LINES": "50"}, (100, 50)), ({}, (80, 24)), ({"COLUMNS": "x"}, (80, 24))],
)
def test_columns_and_lines_say_how_large_the_terminal_is(
    environment: dict[str, str], size: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal_size(environment) == size


def test_times_are_local_unless_utc_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert format_moment(_NS, utc=False) == "2025-10-22 19:30:00"
        assert format_moment(_NS, utc=True) == "2025-10-22 14:00:00"
        assert format_moment(_NS, utc=True, precise=True) == "2025-10-22 14:00:00.123456"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_went_well_stays_plain() -> None:
    assert [failure_role(status) for status in ("success", "error", "blocked", None)] == [
        None, "bad", "warning", None,
    ]  # fmt: skip


def test_a_screen_without_a_terminal_limits_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen.for_this_process(
        color="auto", ascii=False, utc=False, precise=False, pager=True
    )

    assert screen.width is None
    assert screen.height is None
    assert not screen.style.on


def test_an_encoding_that_cannot_draw_means_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))

    screen = Screen.for_this_process(
        color="auto", ascii=False, utc=False, precise=False, pager=True
    )

    assert screen.ascii


def test_answers_go_to_stdout_and_remarks_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.show(["one", "two"])
    screen.show_now("three")
    screen.note("by the way")
    screen.warn("careful")

    assert capsys.readouterr() == ("one\ntwo\nthree\n", "by the way\nwarning: careful\n")


def test_remarks_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(notes=Style(on=True)).warn("a\x1b[2Jb")

    assert capsys.readouterr().err == "\x1b[33mwarning: a␛[2Jb\x1b[0m\n"


class _Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_an_answer_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Full())

    with pytest.raises(OutputError, match="cannot write the answer: No space left"):
        Screen().show(["x"])
    with pytest.raises(OutputError):
        flush()


def test_a_remark_that_cannot_be_written_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Full())

    Screen().warn("x")


def test_a_process_without_stdout_answers_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    Screen().show(["x"])
    flush()


def test_progress_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    update = progress_bar("indexing", Screen())
    update(1, 2)
    update(2, 2)

    assert capsys.readouterr() == ("", "")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_whose_work_ends_early_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("whence.cli.screen._PROGRESS_AFTER_S", 0)

    clear_progress()
    assert terminal.getvalue() == ""
    progress_bar("indexing", Screen())(1, 2)
    assert "indexing" in terminal.getvalue()
    clear_progress()
    assert terminal.getvalue().endswith("\r\x1b[K\x1b[?25h")
    drawn = terminal.getvalue()
    clear_progress()
    assert terminal.getvalue() == drawn


def test_a_bar_that_is_full_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("whence.cli.screen._PROGRESS_AFTER_S", 0)
    update = progress_bar("indexing", Screen())

    update(1, 2)
    update(2, 2)

    drawn = terminal.getvalue()
    assert drawn.endswith("\n")
    clear_progress()
    assert terminal.getvalue() == drawn
