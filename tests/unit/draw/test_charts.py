"""Pictures are whole XML, whatever names they hold, and every point leads to its event."""

import itertools
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.draw.charts import Line, Panel, Point, clean, draw_svg, nice_marks, time_marks

_SVG = "{http://www.w3.org/2000/svg}"
_finite = st.floats(allow_nan=False, allow_infinity=False)
_points = st.lists(
    st.builds(Point, st.integers(0, 2**62), _finite, st.text(max_size=8)), min_size=1, max_size=8
).map(lambda points: tuple(sorted(points, key=lambda point: point.time_ns)))
_lines = st.lists(st.builds(Line, st.text(max_size=40), _points), min_size=1, max_size=10).map(
    tuple
)
_panels = st.lists(
    st.builds(
        Panel, st.text(max_size=10), _lines,
        st.none() | st.just(0.0), st.none() | st.just(1.0), st.text(max_size=10),
    ),
    max_size=3,
)  # fmt: skip


def _draw(panels: list[Panel], anchor: str | None = None) -> ET.Element:
    drawn = "\n".join(draw_svg(panels, "t", lambda moment, _step: str(moment), anchor=anchor))
    return ET.fromstring(drawn)


@given(_panels)
def test_a_picture_is_whole_xml_with_every_point_in_it(panels: list[Panel]) -> None:
    root = _draw(panels)
    circles = list(root.iter(f"{_SVG}circle"))

    assert len(circles) == sum(len(line.points) for panel in panels for line in panel.lines)
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= 960
        assert circle.find(f"{_SVG}title") is not None


def test_a_point_names_its_value_its_moment_and_its_event() -> None:
    panel = Panel("Weights", (Line("v", (Point(5, 0.25, "id-1"),)),))
    [title] = _draw([panel]).iter(f"{_SVG}title")

    assert title.text == "v: 0.25\n5\nid-1"
    [link] = _draw([panel], anchor="e-").iter(f"{_SVG}a")
    assert link.attrib["href"] == "#e-id-1"


def test_a_value_holds_until_it_changes_and_to_the_end() -> None:
    line = Line("v", (Point(0, 0.0, "a"), Point(10**9, 1.0, "b")))
    [path] = _draw([Panel("", (line,), 0, 1)]).iter(f"{_SVG}path")
    start, step = path.attrib["d"].split("H", 1)

    assert start.startswith("M64.0 ")
    assert step == "760.0V76.0H760.0"


def test_no_label_covers_another() -> None:
    lines = tuple(Line(f"v{number}", (Point(0, 0.5, "e"),)) for number in range(8))
    root = _draw([Panel("", lines, 0, 1)])
    heights = sorted(
        float(text.attrib["y"])
        for text in root.iter(f"{_SVG}text")
        if (text.text or "").startswith("v")
    )

    assert len(heights) == 8
    assert all(after - before >= 14.9 for before, after in itertools.pairwise(heights))


def test_lines_differ_by_more_than_their_colours() -> None:
    lines = tuple(Line(f"v{number}", (Point(0, 0.5, "e"),)) for number in range(4))
    strokes = [
        path.attrib.get("stroke-dasharray")
        for path in _draw([Panel("", lines)]).iter(f"{_SVG}path")
    ]

    assert len(set(strokes)) == 4


@given(st.text())
def test_any_text_can_stand_in_xml_and_adds_no_element(text: str) -> None:
    root = ET.fromstring(f'<a b="{clean(text)}">{clean(text)}</a>')

    assert list(root) == []
    assert "\u202e" not in clean(text)


@given(_finite, _finite)
def test_marks_stand_within_their_axis_and_are_few(one: float, other: float) -> None:
    low, high = sorted((one, other))
    marks = nice_marks(low, high)
    slack = high * 1e-6 - low * 1e-6 + 1e-9 * abs(high) + 1e-300

    assert 1 <= len(marks) <= 12
    assert all(low - slack <= mark <= high + slack for mark in marks)


@given(st.integers(0, 2**62), st.integers(1, 2**61), st.integers(-43_200, 43_200))
def test_marks_of_time_stand_at_round_moments_of_the_readers_clock(
    start: int, length: int, offset_s: int
) -> None:
    offset = offset_s * 10**9
    step, marks = time_marks(start, start + length, offset)

    assert len(marks) <= 11
    assert all(start <= mark <= start + length for mark in marks)
    assert all((mark + offset) % step == 0 for mark in marks)


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0, 100, [0, 25, 50, 75, 100]), (5, 5, [5])],
)
def test_marks_are_round_numbers(low: float, high: float, marks: list[float]) -> None:
    assert nice_marks(low, high) == marks
