"""Where answers and remarks go: colours, widths, times of day, the pager, progress.

Answers go to stdout, everything else to stderr. What was recorded is written by others: it passes
`printable` before it gets here, or stands in JSON.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import IO, Any

import msgspec

from whence.draw.cells import printable, wrap
from whence.draw.styles import Color, Role, Style, status_role, wants_color

_NS_PER_S = 1_000_000_000
_PROGRESS_AFTER_S = 1.0
_HELP_CELLS = 78
_DRAWN = "…│└├─┄>µ→↳"
_CLEAR_BAR = "\r\x1b[K\x1b[?25h"
"""Back to the beginning of the line, empty it, and show the cursor, which a bar hides."""


class OutputError(Exception):
    """The answer cannot be written: the disk is full, or stdout is gone."""

    @classmethod
    def of(cls, error: OSError) -> "OutputError":
        """Say what the system said."""
        return cls(f"cannot write the answer: {error.strerror}")


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is drawn. `width` is in cells; None where nothing limits a line."""

    style: Style = Style()
    notes: Style = Style()
    ascii: bool = False
    utc: bool = False
    precise: bool = False
    width: int | None = None
    height: int | None = None

    @classmethod
    def for_this_process(
        cls,
        *,
        color: Color,
        ascii: bool,  # noqa: A002 the option's one name
        utc: bool,
        precise: bool,
        pager: bool,
    ) -> "Screen":
        """Look at the terminal and the environment, once."""
        is_terminal = _is_terminal(sys.stdout)
        size = terminal_size(os.environ) if is_terminal else None
        return cls(
            style=Style(on=wants_color(color, os.environ, is_terminal)),
            notes=Style(on=wants_color(color, os.environ, _is_terminal(sys.stderr))),
            ascii=ascii or not _can_draw(sys.stdout),
            utc=utc,
            precise=precise,
            width=size[0] if size else None,
            height=size[1] if size and pager else None,
        )

    def show(self, lines: Iterable[str]) -> None:
        """Write lines to stdout, through a pager where they are more than the screen holds."""
        lines = iter(lines)
        if self.height is not None:
            first = list(islice(lines, self.height))
            if len(first) == self.height and _page(chain(first, lines), self.style):
                return
            lines = chain(first, lines)
        for line in lines:
            _put(line + "\n")

    def show_now(self, line: str) -> None:
        """Write one line to stdout at once, as live answers need it."""
        _put(line + "\n")
        flush()

    def note(self, text: str, role: Role | None = "faint") -> None:
        """Write a remark to stderr."""
        _write(sys.stderr, self.notes.paint(printable(text, ascii=self.ascii), role) + "\n")

    def warn(self, text: str) -> None:
        """Write a warning to stderr."""
        self.note(f"warning: {text}", "warning")

    def time(self, ns: int) -> str:
        """Write a moment as local time, or UTC where that was asked for."""
        return format_moment(ns, utc=self.utc, precise=self.precise)

    def text(self, text: str) -> str:
        """Make recorded text fit to be shown."""
        return printable(text, ascii=self.ascii)

    def lines(self, text: str, *, indent: int = 0) -> Iterator[str]:
        """Make recorded text fit to be shown, broken where this screen ends.

        The first `indent` cells of each line are the caller's.
        """
        if self.width is None:
            yield self.text(text)
        else:
            yield from wrap(self.text(text), max(1, self.width - indent))

    def paint(self, text: str, role: Role | None) -> str:
        """Colour text, where this screen has colours."""
        return self.style.paint(text, role)


def format_moment(ns: int, *, utc: bool, precise: bool = False) -> str:
    """Write nanoseconds since 1970 as `2025-10-22 14:00:00`, precise ones with microseconds."""
    second, fraction = divmod(ns, _NS_PER_S)
    moment = time.gmtime(second) if utc else time.localtime(second)
    text = time.strftime("%Y-%m-%d %H:%M:%S", moment)
    return f"{text}.{fraction // 1000:06d}" if precise else text


def failure_role(status: str | None) -> Role | None:
    """Colour what failed or was blocked; what went well is most of what there is, and stays plain."""
    return None if status == "success" else status_role(status)


def terminal_size(environment: Mapping[str, str]) -> tuple[int, int]:
    """Columns and lines of the terminal behind stdout, where COLUMNS and LINES do not say."""
    try:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        columns, lines = 0, 0
    named = (environment.get(name, "") for name in ("COLUMNS", "LINES"))
    chosen = [int(text) if text.isdecimal() else 0 for text in named]
    return chosen[0] or columns or 80, chosen[1] or lines or 24


def help_width() -> int:
    """How many cells help may use: what the terminal has, as long as it can be read in passing."""
    if not _is_terminal(sys.stdout):
        return _HELP_CELLS
    return min(_HELP_CELLS, terminal_size(os.environ)[0])


Progress = Callable[[int, int], None]

_unfinished: list[Any] = []
"""The bars that stand on the terminal now."""


def progress_bar(label: str, screen: Screen) -> Progress:
    """Make a callback for (done, in all) that draws a bar on stderr once work takes a second."""
    if not _is_terminal(sys.stderr):
        return lambda _done, _in_all: None
    began = time.monotonic()
    bar: Any = None
    before = 0

    def update(done: int, in_all: int) -> None:
        nonlocal bar, before
        if bar is None:
            if time.monotonic() - began < _PROGRESS_AFTER_S or done >= in_all:
                return
            import click

            bar = click.progressbar(
                length=in_all, label=label, file=sys.stderr, color=screen.notes.on,
                fill_char="#" if screen.ascii else "█", empty_char="." if screen.ascii else "░",
            )  # fmt: skip
            _unfinished.append(bar)
        bar.length = in_all
        bar.update(done - before)
        before = done
        if done >= in_all and bar in _unfinished:
            _unfinished.remove(bar)
            bar.render_finish()

    return update


def clear_progress() -> None:
    """Take away a bar whose work ended early, so that what comes next has a line of its own."""
    if _unfinished:
        _unfinished.clear()
        _write(sys.stderr, _CLEAR_BAR)


def _page(lines: Iterator[str], style: Style) -> bool:
    """Hand lines to the user's pager as git does; False where there is none to be used."""
    pager = os.environ.get("PAGER", "less").strip()
    if pager in ("", "cat"):
        return False
    import shutil

    import click

    if shutil.which(pager.split()[0]) is None:
        return False

    os.environ.setdefault("LESS", "FRX")
    os.environ["PAGER"] = pager
    sys.stdout.flush()
    # The pager is given a newline at the end, so each line brings the one of the line before.
    first = next(lines)
    click.echo_via_pager(chain([first], ("\n" + line for line in lines)), color=style.on)
    return True


def _is_terminal(stream: IO[str] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _can_draw(stream: IO[str] | None) -> bool:
    try:
        _DRAWN.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def flush() -> None:
    """Bring what was answered so far on its way."""
    if sys.stdout is not None:
        _guard(sys.stdout.flush)


def _put(text: str) -> None:
    if sys.stdout is not None:
        _guard(lambda: sys.stdout.write(text))


def _guard(act: Callable[[], object]) -> None:
    try:
        act()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError.of(error) from error


def _write(stream: IO[str] | None, text: str) -> None:
    """Write a remark where that is possible; an answer does not fail because a remark does."""
    try:
        if stream is not None:
            stream.write(text)
            stream.flush()
    except (OSError, ValueError):
        pass
