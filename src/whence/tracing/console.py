"""Steps on the terminal while they happen, as seed 001 draws them.

    [alt] transition: L3→L2 → success (5ms)
      └─[foc] gate_check: WriteApprovalGate → allowed (2ms)
          └─[mem] write: altitude.session → written (3ms) [saved 45 tokens]

A tree is drawn when its root ends, so trees of different threads do not mix. The one-line form
comes at once, when a step begins. Both go to stderr.
"""

import os
import sys

from whence.ask.phrases import describe_notes
from whence.draw.amounts import format_count
from whence.draw.cells import printable
from whence.draw.styles import Role, Style, status_role, wants_color
from whence.draw.trees import SPANS, tree
from whence.tracing.events import TraceEvent
from whence.tracing.layers import code_of
from whence.tracing.spans import Outlet, TraceContext
from whence.tracing.switches import Console

_STEPS_MAX = 1_000
"""Of a larger tree the rest is counted: what is shown is held until the root ends."""


class _Step:
    """One step of a tree that is being gathered."""

    def __init__(self, root: "_Step | None" = None) -> None:
        self.root = root or self
        self.size = 0
        """Of a root: how many steps ended below it, drawn or not."""
        self.below: list[_Step] = []
        self.event: TraceEvent | None = None


class Tree:
    """Draws each trace when its root ends."""

    def start(self, step: TraceContext) -> None:
        """Make room for what will happen inside."""
        above = step.above.shown if step.above is not None else None
        step.shown = _Step(above.root if isinstance(above, _Step) else None)

    def end(self, above: TraceContext | None, step: TraceContext | None, event: TraceEvent) -> None:
        """Hang a step below the one around it, or draw it with all below it."""
        node = step.shown if step is not None else _Step()
        if not isinstance(node, _Step):
            node = _Step()
        node.event = event
        # What was open when this process was forked is drawn by the one that forked it.
        around = above.shown if above is not None and above.is_here else None
        # A step that ends after the one around it stands for itself: that tree is drawn.
        if isinstance(around, _Step) and around.event is None:
            root = around.root
            root.size += 1
            if root.size <= _STEPS_MAX or node.below:
                around.below.append(node)
            return
        say(draw(node))


class Lines:
    """Says in one line that a step begins."""

    def start(self, step: TraceContext) -> None:
        """Say it."""
        say([printable(f"[TRACE] {step.layer}.{step.operation}: {step.input}".rstrip(": "))])

    def end(
        self,
        above: TraceContext | None,  # noqa: ARG002 what hears of steps is called so
        step: TraceContext | None,
        event: TraceEvent,
    ) -> None:
        """Say an event: a step was said when it began."""
        if step is None:
            line = f"[TRACE] {event.hrm_layer}.{event.operation}: {event.input_summary}"
            say([printable(line.rstrip(": "))])


def choose_console(console: Console) -> list[Outlet]:
    """What draws as `console` says."""
    outlets: list[Outlet] = []
    if console in ("lines", "both"):
        outlets.append(Lines())
    if console in ("tree", "both"):
        outlets.append(Tree())
    return outlets


def draw(root: _Step) -> list[str]:
    """Draw a tree of steps that ended."""
    style = _style()
    ascii_only = not _can_draw()
    lines = list(
        tree(
            [root],
            lambda node: node.below,
            lambda node: describe(node.event) if node.event is not None else "",
            branches=SPANS,
            max_width=_columns(),
            ascii=ascii_only,
            paint=lambda node, text: style.paint(text, _role(node.event)),
        )
    )
    folded = root.size + 1 - len(lines)
    if folded > 0:
        lines.append(f"  {'...' if ascii_only else '…'} {format_count(folded, 'more step')}")
    return lines


def describe(event: TraceEvent) -> str:
    """Say a step as the seed does: what went in, what came out, how long it took, notes."""
    text = f"[{code_of(event.hrm_layer)}] {event.operation}"
    if event.input_summary:
        text += f": {event.input_summary}"
    outcome = [event.output_summary] if event.output_summary else []
    if event.status != "success":
        why = event.metadata.get("error" if event.status == "error" else "reason")
        outcome.append(f"{event.status}: {why}" if why else event.status)
    if outcome:
        text += f" → {', '.join(outcome)}"
    return f"{text} ({event.duration_ms}ms){describe_notes(event.metadata)}"


def _role(event: TraceEvent | None) -> Role | None:
    """What went well is most of what there is, and stays plain."""
    return None if event is None or event.status == "success" else status_role(event.status)


def say(lines: list[str]) -> None:
    """Write to stderr in one piece; a terminal that is gone is no reason to fail."""
    stream = sys.stderr
    try:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = "".join(f"{line}\n" for line in lines)
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except (OSError, ValueError, AttributeError):
        return


def _style() -> Style:
    stream = sys.stderr
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return Style(on=wants_color("auto", os.environ, is_terminal))


def _columns() -> int | None:
    """The width of the terminal; None where it goes elsewhere."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def _can_draw() -> bool:
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    try:
        "→└─├│".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
