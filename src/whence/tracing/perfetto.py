"""Steps as ui.perfetto.dev and chrome://tracing draw them: the Trace Event Format in JSON. Pure.

Each writer is a process there, each agent in it has tracks. Slices of one track have to lie within
each other, so a step is drawn on the track of its parent if it fits there, and else on a track that
is free. Causes on other tracks are arrows. A step that never ended begins and has no end.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import Any

from whence.ask.roots import Rooted
from whence.event import format_time
from whence.tracing.otlp import dump_plain, name_of

_KNOWN_MAX = 100_000
"""Of so many steps it is known where they are drawn, for arrows that begin there."""

_FOREVER = 2**63

_SLACK_NS = 100_000
"""A step that ends so little after the one around it is drawn as if it ended with it.

When a step began is read from one clock, how long it took from another, a moment apart.
"""

Drawn = dict[str, Any]


def encode(steps: Iterable[Rooted], dump: Callable[[Any], str] = dump_plain) -> Iterator[str]:
    """Write a document line by line. The steps come by when they began."""
    drawing: _Drawing | None = None
    before = ""
    for rooted in steps:
        if drawing is None:
            drawing = _Drawing(rooted.step.start)
            about = {"begins": _say_time(rooted.step.start), "by": "whence"}
            yield f'{{"displayTimeUnit":"ns","otherData":{dump(about)},"traceEvents":['
        for event in drawing.draw(rooted):
            yield f"{before}{dump(event)}"
            before = ","
    yield '{"traceEvents":[]}' if drawing is None else "]}"


class _Track:
    """A line that slices are drawn on: those that have begun and not ended, the innermost last."""

    def __init__(self, pid: int, tid: int, label: str) -> None:
        self.pid = pid
        self.tid = tid
        self.label = label
        self.open: list[tuple[int, str]] = []


class _Drawing:
    """Where each step is drawn."""

    def __init__(self, begins_ns: int) -> None:
        self._begins_ns = begins_ns
        self._pids: dict[str, int] = {}
        self._tracks = 0
        self._arrows = 0
        # By process and label: tracks by when they are free, and how many there are.
        self._free: dict[tuple[int, str], list[tuple[int, int, _Track]]] = {}
        self._counts: dict[tuple[int, str], int] = {}
        # By id: the track, and from when to when.
        self._known: OrderedDict[str, tuple[_Track, int, int]] = OrderedDict()

    def draw(self, rooted: Rooted) -> Iterator[Drawn]:
        """Give what draws a step: names of what is new, the slice, the arrows that lead to it."""
        step = rooted.step
        start = step.start
        end = _FOREVER if step.going is not None else start + (step.age or 0)
        writer = step.event.w
        if writer not in self._pids:
            self._pids[writer] = pid = len(self._pids) + 1
            yield _name(pid, 0, "process_name", _process(rooted))
        parent = step.event.parent
        above = self._known.get(parent) if parent is not None else None
        track = self._on_track_of(parent, above, self._pids[writer], step.event.agent, start, end)
        if track is None:
            label = step.event.agent or (above[0].label if above is not None else "")
            track, is_new = self._free_track(self._pids[writer], label, start, end)
            if is_new:
                yield _name(track.pid, track.tid, "thread_name", self._say_track(track))
        elif above is not None:
            end = min(end, above[2])
        track.open.append((end, step.id))
        self._remember(step.id, (track, start, end))
        yield self._slice(rooted, track, end)
        causes = [link for link, _ in rooted.links]
        if parent is not None and above is not None and above[0] is not track:
            causes.insert(0, parent)
        for cause in causes:
            yield from self._arrow(cause, track, start)

    def _on_track_of(
        self,
        parent: str | None,
        above: tuple[_Track, int, int] | None,
        pid: int,
        agent: str | None,
        start: int,
        end: int,
    ) -> _Track | None:
        """The track of the parent, if the step fits there and is of the same process and agent."""
        if above is None:
            return None
        track = above[0]
        while track.open and track.open[-1][1] != parent and track.open[-1][0] <= start:
            track.open.pop()
        is_inside = bool(track.open) and track.open[-1][1] == parent and end <= above[2] + _SLACK_NS
        is_same = track.pid == pid and agent in (None, track.label)
        return track if is_inside and is_same and above[1] <= start <= above[2] else None

    def _free_track(self, pid: int, label: str, start: int, end: int) -> tuple[_Track, bool]:
        tracks = self._free.setdefault((pid, label), [])
        is_new = not tracks or tracks[0][0] > start
        if is_new:
            self._tracks += 1
            self._counts[pid, label] = self._counts.get((pid, label), 0) + 1
            track = _Track(pid, self._tracks, label)
        else:
            track = heappop(tracks)[2]
            track.open.clear()
        heappush(tracks, (end, track.tid, track))
        return track, is_new

    def _say_track(self, track: _Track) -> str:
        number = self._counts[track.pid, track.label]
        name = track.label or "steps"
        return name if number == 1 else f"{name} ({number})"

    def _remember(self, event_id: str, place: tuple[_Track, int, int]) -> None:
        self._known[event_id] = place
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)

    def _slice(self, rooted: Rooted, track: _Track, end: int) -> Drawn:
        step, event = rooted.step, rooted.step.event
        said = {
            "id": step.id,
            "status": event.status,
            "agent": event.agent,
            "target": event.target,
            "unfinished": step.going,
            "data": rooted.data,
        }
        drawn: Drawn = {
            "ph": "X" if step.going is None else "B",
            "name": name_of(rooted),
            "cat": step.primitive,
            "pid": track.pid,
            "tid": track.tid,
            "ts": self._us(step.start),
        }
        if step.going is None:
            drawn["dur"] = (end - step.start) / 1_000
        drawn["args"] = {key: value for key, value in said.items() if value not in (None, {})}
        return drawn

    def _arrow(self, cause: str, track: _Track, start: int) -> Iterator[Drawn]:
        """From within the cause to where the step begins."""
        place = self._known.get(cause)
        if place is None:
            return
        self._arrows += 1
        left, began, ended = place
        shared = {"name": "cause", "cat": "cause", "id": self._arrows}
        leaves = min(max(start, began), ended)
        yield {"ph": "s", **shared, "pid": left.pid, "tid": left.tid, "ts": self._us(leaves)}
        yield {
            "ph": "f", "bp": "e", **shared,
            "pid": track.pid, "tid": track.tid, "ts": self._us(start),
        }  # fmt: skip

    def _us(self, time_ns: int) -> float:
        # From the beginning on: since 1970 there would be no digits left for nanoseconds.
        return (time_ns - self._begins_ns) / 1_000


def _name(pid: int, tid: int, what: str, name: str) -> Drawn:
    return {"ph": "M", "pid": pid, "tid": tid, "ts": 0, "name": what, "args": {"name": name}}


def _process(rooted: Rooted) -> str:
    """What a writer is called: the service that it named, or its own name."""
    data: Any = rooted.data
    for key in ("otel", "resource", "attributes", "service.name"):
        data = data.get(key) if isinstance(data, dict) else None
    writer = f"writer {rooted.step.event.w}"
    return f"{data} ({writer})" if isinstance(data, str) else writer


def _say_time(ns: int) -> str | int:
    try:
        return format_time(ns)
    except ValueError:
        return ns
