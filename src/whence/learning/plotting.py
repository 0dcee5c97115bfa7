"""How weights, trust and overlays went, as a picture and as a page around it. Pure.

Every point is a recorded event. Where a line has more of them than can be told apart, the lowest and the highest of
each stretch are drawn, and the page says how many there are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from whence.draw.charts import Line, Panel, Point, TellTime, clean, draw_svg
from whence.learning.changes import Course, thin

POINTS_MAX = 240
LINES_MAX = 8

_PANELS = (
    ("variable", "Weights of variables", None, None),
    ("trust", "Trust", 0.0, 1.0),
    ("rule", "Share of a rule's activations that did well", 0.0, 1.0),
    ("overlay", "Overlays", 0.0, 1.0),
    ("capital", "Capital", None, None),
    ("effectiveness", "Effectiveness of rules as recorded", 0.0, 1.0),
    ("forecast", "Scores of forecasts", None, None),
)  # fmt: skip

_PAGE_STYLE = (
    ":root{color-scheme:light dark;--ground:transparent}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1040px;margin:2rem auto;padding:0 1rem;"
    "background:#fff;color:#222}h1{font-size:1.4rem}svg{width:100%;min-width:760px;height:auto}"
    ".wide{overflow-x:auto}"
    "table{border-collapse:collapse;font-size:13px;width:100%}"
    "td,th{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #8884;"
    "white-space:nowrap}td:last-child{white-space:normal;min-width:16rem}"
    "td.n{font-variant-numeric:tabular-nums}code{font-size:12px}"
    "tr:target{background:#ffd54a66}details{margin:.6rem 0}summary{cursor:pointer}"
    ".faint{color:#767676}"
    "@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}.faint{color:#9a9a9a}}"
)

Courses = Mapping[str, Sequence[tuple[int, float, str]]]
"""By key, how trust went: when, the trust, the event's id."""


def make_panels(courses: Iterable[Course], trust: Courses, more_keys: int = 0) -> list[Panel]:
    """Choose what is drawn: for each kind the lines that changed most.

    Trust as outcomes came to it takes the place of what was recorded of the same key now and then.
    `more_keys` are those of whose trust nothing is handed over.
    """
    by_kind: dict[str, list[tuple[str, Sequence[tuple[int, float | None, str]]]]] = {}
    for course in courses:
        if course.kind != "trust" or course.name not in trust:
            by_kind.setdefault(course.kind, []).append((course.name, list(course.points)))
    if trust:
        by_kind.setdefault("trust", []).extend((key, list(course)) for key, course in trust.items())
    panels = []
    for kind, title, low, high in _PANELS:
        known = sorted(by_kind.get(kind, ()), key=lambda item: (-len(item[1]), item[0]))
        thinned = [(name, len(points), thin(points, POINTS_MAX)) for name, points in known]
        drawn = [each for each in thinned if each[2]][:LINES_MAX]
        if drawn:
            lines = [
                Line(name, tuple(Point(*point) for point in points)) for name, _, points in drawn
            ]
            more = sum(bool(points) for _, _, points in thinned) - len(drawn)
            more += more_keys if kind == "trust" else 0
            panels.append(Panel(title, tuple(lines), low, high, _say_left_out(more, drawn)))
    return panels


def write_svg(
    panels: Sequence[Panel], title: str, tell_time: TellTime, offset_ns: int = 0
) -> Iterator[str]:
    """The picture alone."""
    return draw_svg(panels, title, tell_time, offset_ns=offset_ns)


def write_page(
    panels: Sequence[Panel],
    title: str,
    tell_time: TellTime,
    offset_ns: int = 0,
    *,
    told: Mapping[str, str],
) -> Iterator[str]:
    """A page that needs nothing else: the picture, and below it the events behind its points.

    `told` says in words what each event is, by its id.
    """
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield (
        '<meta http-equiv="Content-Security-Policy"'
        " content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )
    yield f"<title>{clean(title)}</title><style>{_PAGE_STYLE}</style></head><body>"
    yield f"<h1>{clean(title)}</h1>"
    yield '<div class="wide">'
    yield from draw_svg(panels, title, tell_time, anchor="e-", offset_ns=offset_ns)
    yield "</div>"
    yield '<p class="faint">A point leads to its event below; <code>whence ID</code> tells more of it.</p>'
    named: set[str] = set()
    for panel in panels:
        size = sum(len(line.points) for line in panel.lines)
        yield f"<details open><summary>{clean(panel.title)}: {size:,} points</summary>"
        yield '<div class="wide"><table>'
        yield "<tr><th>When</th><th>Of</th><th>Value</th><th>Event</th><th>What happened</th></tr>"
        for line in panel.lines:
            for point in line.points:
                yield _row(line.name, point, tell_time, told, named)
        yield "</table></div></details>"
    yield "</body></html>"


def _row(
    name: str, point: Point, tell_time: TellTime, told: Mapping[str, str], named: set[str]
) -> str:
    # An event can stand behind several points; a link leads to the first.
    place = "" if point.event_id in named else f' id="{clean("e-" + point.event_id)}"'
    named.add(point.event_id)
    return (
        f"<tr{place}><td>{clean(tell_time(point.time_ns, 0))}</td><td>{clean(name)}</td>"
        f'<td class="n">{point.value:.6g}</td><td><code>{clean(point.event_id)}</code></td>'
        f"<td>{clean(told.get(point.event_id, ''))}</td></tr>"
    )


def _say_left_out(more: int, drawn: Sequence[tuple[str, int, list[tuple[int, float, str]]]]) -> str:
    said = [f"{more:,} more changed less"] if more else []
    points, size = sum(len(points) for _, _, points in drawn), sum(size for _, size, _ in drawn)
    return "; ".join([*said, *([f"{points:,} of {size:,} points"] if points < size else [])])
