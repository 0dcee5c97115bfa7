"""Lines over time as SVG that needs nothing else: no script, no style sheet, no font from elsewhere. Pure.

A value holds until it changes, so lines go in steps. Each point that is drawn is one that was recorded, and names
its event where a pointer rests on it. Lines differ by their strokes as well as by their colours, and are named at
their ends. Names may hold anything.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

import msgspec

TellTime = Callable[[int, int], str]
"""Writes a moment for an axis whose marks stand so many nanoseconds apart."""

WIDTH = 960
_PANEL, _GAP, _TOP = 250, 34, 46
_LEFT, _RIGHT = 64, 200
_LABEL_APART = 15
_LABEL_CELLS = 24
_MARKS = 5
_NS_PER_S = 1_000_000_000
_STEPS_NS = (
    *(number * 10**power for power in range(3, 9) for number in (1, 2, 5)),
    *(
        seconds * _NS_PER_S
        for seconds in (
            1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 172_800,
            604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
        )
    ),
)  # fmt: skip
_PADDING_NS = 5_000_000
_HIGHEST = math.nextafter(math.inf, 0.0)

COLOURS = (
    ("#0068a5", "#5ab4f0"), ("#c24e00", "#ff9a52"), ("#00795a", "#3ecfa6"), ("#a34b80", "#e69ac8"),
    ("#8a6d00", "#e6c34a"), ("#5b5bd6", "#a5a5ff"), ("#6b6b6b", "#b8b8b8"), ("#8c2d04", "#e08a62"),
)  # fmt: skip
"""By line, on a light ground and on a dark one; told apart also by those who do not see red or green."""

_DASHES = ("", "7 3", "2 3", "9 3 2 3")

STYLE = (
    "svg{font:12px system-ui,sans-serif;background:var(--ground,#fff);color-scheme:light dark}"
    "text{fill:#333}.title{font-weight:600;font-size:14px}.faint{fill:#767676}"
    ".axis{stroke:#d5d5d5;stroke-width:1}.line{fill:none;stroke-width:1.8}"
    ".point{stroke:#fff;stroke-width:.8}a .point:hover,.point:hover{stroke:#000;stroke-width:2}"
    + "".join(
        f".s{n} .line{{stroke:{light}}}.s{n} .point,.s{n} text{{fill:{light}}}"
        for n, (light, _) in enumerate(COLOURS)
    )
    + "@media(prefers-color-scheme:dark){svg{background:var(--ground,#16181c)}text{fill:#ddd}"
    ".faint{fill:#9a9a9a}.axis{stroke:#3a3d42}.point{stroke:#16181c}"
    "a .point:hover,.point:hover{stroke:#fff}"
    + "".join(
        f".s{n} .line{{stroke:{dark}}}.s{n} .point,.s{n} text{{fill:{dark}}}"
        for n, (_, dark) in enumerate(COLOURS)
    )
    + "}"
)


class Point(msgspec.Struct, frozen=True):
    """A value at a moment, and the id of the event that says so."""

    time_ns: int
    value: float
    event_id: str


class Line(msgspec.Struct, frozen=True):
    """How one thing went, oldest point first."""

    name: str
    points: tuple[Point, ...]


class Panel(msgspec.Struct, frozen=True):
    """Lines over one axis; `low` and `high` are its ends where those are known."""

    title: str
    lines: tuple[Line, ...]
    low: float | None = None
    high: float | None = None
    note: str = ""


def draw_svg(
    panels: Sequence[Panel],
    title: str,
    tell_time: TellTime,
    *,
    anchor: str | None = None,
    offset_ns: int = 0,
) -> Iterator[str]:
    """Draw panels below each other over one axis of time, line by line of the file.

    With an `anchor` each point is a link to it, followed by the event's id: the picture is part of a page then,
    which has the title. `offset_ns` is how far the clock
    of the reader is ahead of UTC, so that marks stand at its midnight.
    """
    moments = [point.time_ns for panel in panels for line in panel.lines for point in line.points]
    start, end = (min(moments), max(moments)) if moments else (0, 0)
    if end - start < 2 * _PADDING_NS:
        start, end = start - _PADDING_NS, end + _PADDING_NS
    head = _TOP if anchor is None else 0
    height = head + len(panels) * (_PANEL + _GAP)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="{clean(title)}">'
    )
    yield f"<style>{STYLE}</style>"
    if anchor is None:
        yield f'<text class="title" x="{_LEFT}" y="22">{clean(title)}</text>'
    for number, panel in enumerate(panels):
        top = head + number * (_PANEL + _GAP)
        yield from _draw_panel(panel, top, (start, end), offset_ns, tell_time, anchor)
    yield "</svg>"


def clean(text: str) -> str:
    """Make any text fit for XML and HTML, in elements and in attributes."""
    return escape(
        "".join(each if _is_shown(each) else "\N{REPLACEMENT CHARACTER}" for each in text)
    )


def nice_marks(low: float, high: float, marks: int = _MARKS) -> list[float]:
    """Round numbers from `low` to `high`, about so many."""
    if not high > low:
        return [low]
    # By halves here and below: between two finite numbers may lie more than a number holds.
    rough = (high / 2 - low / 2) / max(1, marks - 1) * 2
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((each * power for each in (1, 2, 2.5, 5) if each * power >= rough), 10 * power)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{count * step:.12g}") for count in range(first, last + 1)]


def time_marks(
    start: int, end: int, offset_ns: int = 0, marks: int = _MARKS
) -> tuple[int, list[int]]:
    """How far marks stand apart on an axis of time, and where they stand."""
    rough = (end - start) / max(1, marks - 1)
    step = next((each for each in _STEPS_NS if each >= rough), _STEPS_NS[-1])
    while (end - start) // step > 2 * marks:
        step *= 2
    first = -(-(start + offset_ns) // step) * step - offset_ns
    return step, list(range(first, end + 1, step))


def _draw_panel(
    panel: Panel,
    top: int,
    window: tuple[int, int],
    offset_ns: int,
    tell_time: TellTime,
    anchor: str | None,
) -> Iterator[str]:
    start, end = window
    low, high = _ends(panel)
    right, bottom = WIDTH - _RIGHT, top + _PANEL - 36

    def x_of(time_ns: int) -> float:
        return _LEFT + (time_ns - start) / (end - start) * (right - _LEFT)

    def y_of(value: float) -> float:
        return bottom - (value / 2 - low / 2) / (high / 2 - low / 2) * (bottom - top - 30)

    yield "<g>"
    yield f'<text class="title" x="{_LEFT}" y="{top + 14}">{clean(panel.title)}</text>'
    if panel.note:
        yield f'<text class="faint" x="{right}" y="{top + 14}" text-anchor="end">{clean(panel.note)}</text>'
    for mark in nice_marks(low, high):
        y = y_of(mark)
        yield f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="faint" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>'
    step, marks = time_marks(start, end, offset_ns)
    for moment in marks:
        x = x_of(moment)
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        text = clean(tell_time(moment, step))
        yield f'<text class="faint" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{text}</text>'
    ends = [y_of(line.points[-1].value) for line in panel.lines]
    labels = _spread(ends, top + 24, bottom)
    for number, line in enumerate(panel.lines):
        yield f'<g class="s{number % len(COLOURS)}">'
        dash = _DASHES[number % len(_DASHES)]
        stroke = f' stroke-dasharray="{dash}"' if dash else ""
        path = _steps([(x_of(point.time_ns), y_of(point.value)) for point in line.points], right)
        yield f'<path class="line"{stroke} d="{path}"/>'
        for point in line.points:
            yield _draw_point(
                line.name, point, x_of(point.time_ns), y_of(point.value), tell_time, anchor
            )
        name = line.name if len(line.name) <= _LABEL_CELLS else line.name[: _LABEL_CELLS - 1] + "…"
        label = clean(f"{name} {line.points[-1].value:.4g}")
        yield f'<text x="{right + 10}" y="{labels[number] + 4:.1f}">{label}</text></g>'
    yield "</g>"


def _draw_point(
    name: str, point: Point, x: float, y: float, tell_time: TellTime, anchor: str | None
) -> str:
    said = f"{name}: {point.value:.6g}\n{tell_time(point.time_ns, 0)}\n{point.event_id}"
    drawn = (
        f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3.2">'
        f"<title>{clean(said)}</title></circle>"
    )
    return drawn if anchor is None else f'<a href="#{clean(anchor + point.event_id)}">{drawn}</a>'


def _ends(panel: Panel) -> tuple[float, float]:
    values = [point.value for line in panel.lines for point in line.points]
    low = min(values) if panel.low is None else min(panel.low, *values)
    high = max(values) if panel.high is None else max(panel.high, *values)
    if high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        return low, high
    around = abs(low) * 0.1 or 1.0
    return max(low - around, -_HIGHEST), min(high + around, _HIGHEST)


def _steps(places: Sequence[tuple[float, float]], right: float) -> str:
    """A path whose value holds until the next place, and from the last one to the right."""
    (x, y), *rest = places
    parts = [f"M{x:.1f} {y:.1f}"]
    for x, y in rest:
        parts.append(f"H{x:.1f}V{y:.1f}")
    return "".join(parts) + f"H{right:.1f}"


def _spread(wanted: Sequence[float], top: float, bottom: float) -> list[float]:
    """Move labels apart, so that none covers another, as near as may be to where they belong."""
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    placed: list[float] = list(wanted)
    before = top - _LABEL_APART
    for at in order:
        before = placed[at] = max(wanted[at], before + _LABEL_APART)
    after = bottom + _LABEL_APART
    for at in reversed(order):
        after = placed[at] = min(placed[at], after - _LABEL_APART)
    return placed


def _is_shown(letter: str) -> bool:
    """Whether XML allows a character (XML 1.0, section 2.2), and it does not turn the text around."""
    code = ord(letter)
    if code < 0x20:
        return letter in "\t\n"
    is_bidi = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    is_allowed = code < 0xD800 or 0xE000 <= code <= 0xFFFD or code >= 0x10000
    return is_allowed and not is_bidi and not 0x7F <= code <= 0x9F
