"""A timeline in every format: its headline and rows, or JSON, Markdown, Mermaid, Graphviz."""

from collections.abc import Iterator

from whence.ask.timeline import Timeline, TimelineRow, subject_as_json
from whence.cli.rows import draw_rows
from whence.cli.screen import Screen
from whence.query import Query

FORMATS = ("short", "json", "jsonl", "md", "mermaid", "dot")


def draw_timeline(
    timeline: Timeline, query: Query, screen: Screen, *, output: str, reverse: bool
) -> Iterator[str]:
    """Draw an answer line by line, oldest first unless `reverse`."""
    rows = reversed(list(timeline.rows)) if reverse else iter(timeline.rows)
    if output == "short":
        return _draw_short(timeline, rows, screen)
    from whence.cli import formats

    if output == "json":
        items = (formats.format_event(row.event, text=row.text) for row in rows)
        return formats.format_document(_keys(timeline, query), "events", items)
    if output == "jsonl":
        return (formats.format_event(row.event) for row in rows)
    title, shown = headline(timeline), list(rows)
    if output == "md":
        return formats.markdown_table(title, shown, ascii=screen.ascii)
    if output == "mermaid":
        return formats.mermaid_sequence(shown, ascii=screen.ascii)
    return formats.dot_digraph(title, formats.graph_of_rows(shown), ascii=screen.ascii)


def headline(timeline: Timeline) -> str:
    """Say what the timeline is about: `Timeline for task-abc123 (Build payment system)`."""
    subject = timeline.subject
    if subject is None:
        return "Timeline"
    name = f"#{subject.name}" if subject.is_channel else subject.name
    title = f" ({timeline.title})" if timeline.title else ""
    kind = "Activity timeline" if subject.kind == "agent" else "Timeline"
    return f"{kind} for {name}{title}"


def _draw_short(timeline: Timeline, rows: Iterator[TimelineRow], screen: Screen) -> Iterator[str]:
    if timeline.subject is not None:
        for line in screen.lines(f"{headline(timeline)}:"):
            yield screen.paint(line, "title")
    yield from draw_rows(rows, screen)


def _keys(timeline: Timeline, query: Query) -> dict[str, object]:
    from whence.cli.formats import window_keys

    return {
        "window": window_keys(query),
        "subject": subject_as_json(timeline.subject),
        "title": timeline.title or None,
        "more": timeline.more,
        "more_is_exact": timeline.more_is_exact,
    }
