"""Steps: which there were, which never ended, and the tree of one, whatever hangs in it."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.index.lines import append, make_line
from whence.ask.spans import Spans
from whence.ask.steps import Step, say_step
from whence.ask.traces import Node
from whence.errors import NotFoundError
from whence.event import format_time
from whence.log import Log
from whence.query import StepQuery

BASE_NS = 1_800_000_000 * 10**9
MS = 1_000_000
_NEVER = "unfinished, last heard of after {}"


class Book:
    """Writes lines by hand, with whatever times, ids and parents a test wants."""

    def __init__(self, folder: Path) -> None:
        self.log = Log(folder, read_only=True)
        self._folder = folder
        self._size = 0

    def event(self, id: str, name: str, at_ms: int = 0, **fields: Any) -> None:
        primitive, _, type_ = name.partition(".")
        time = BASE_NS + at_ms * MS
        line = make_line(self._size, id=id, time=time, primitive=primitive, type=type_, **fields)
        self._size += 1
        append(self._folder, [line])

    def step(self, id: str, name: str, at_ms: int = 0, took_ms: int = 1, **fields: Any) -> None:
        self.event(id, name, at_ms, status="success", duration=took_ms * MS, **fields)

    def opened(self, id: str, name: str, at_ms: int = 0, **fields: Any) -> None:
        """What the watcher writes of a step that is open for a second."""
        since = format_time(BASE_NS + at_ms * MS)
        data = {"span": id, "name": name, "since": since, "age": 1000 * MS, "data": {"input": id}}
        self.event(f"open-{self._size}", "span.open", at_ms + 1000, links=[id], data=data, **fields)

    @property
    def spans(self) -> Spans:
        return self.log.spans()

    def newest(self, **query: object) -> list[str]:
        only_open = bool(query.pop("only_open", False))
        limit = query.pop("limit", None)
        assert limit is None or isinstance(limit, int)
        chosen = msgspec.convert(query, StepQuery)
        return [step.id for step in self.spans.newest(chosen, limit=limit, only_open=only_open)]

    def tree(self, reference: str, **how: int) -> list[str]:
        return [_draw(node) for node in self.spans.trace(reference, **how).nodes()]


def _draw(node: Node) -> str:
    text = node.missing and f"({node.missing})"
    if node.step is not None:
        text = node.step.id + ("?" if node.step.going else "")
    elif node.missing is None:
        text = f"+{node.folded}" + (f" {node.failed} failed" if node.failed else "")
        text += " beside" if node.is_beside else ""
    mark = "*" if node.is_asked else f" of {node.orphan_of}" if node.orphan_of else ""
    return "  " * node.depth + f"{text}{mark}"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / ".whence")
    (tmp_path / ".whence" / "journal").mkdir(parents=True)
    with book.log:
        yield book


def test_steps_are_what_took_time_or_says_how_it_ended(book: Book) -> None:
    book.step("a", "altitude.plan")
    book.event("b", "focus.gate_check", 1, status="success", data={"input": "x"})
    book.event("c", "ops.create_task", 2)
    book.event("d", "ops.timed", 3, duration=5)

    assert book.newest() == ["a", "b", "d"]
    assert book.newest(limit=2) == ["b", "d"]
    assert book.newest(primitive="alt") == ["a"]
    assert book.newest(slow=6) == ["a"]
    assert book.newest(limit=0) == []


def test_a_step_that_never_ended_is_told_where_it_began(book: Book) -> None:
    book.opened("u", "altitude.plan", 5, agent="ana")
    book.step("a", "focus.route", 0)
    book.step("b", "focus.route", 10)
    book.opened("b", "focus.route", 10)

    assert book.newest() == ["a", "u", "b"]
    assert book.newest(only_open=True) == ["u"]
    assert book.newest(primitive="alt") == ["u"]
    assert book.newest(agent="bob") == []
    assert book.newest(status="success") == ["a", "b"]
    assert book.newest(slow=1000 * MS) == ["u"]
    # Its process is gone: it was open for a second at least, for how long nobody knows.
    assert book.newest(slow=5000 * MS) == ["u"]
    assert book.newest(limit=2) == ["u", "b"]


def test_a_step_that_ends_after_it_was_told_open_is_finished(book: Book) -> None:
    book.opened("u", "altitude.plan")
    assert book.newest(only_open=True) == ["u"]

    book.step("u", "altitude.plan", 0, 2000)

    assert book.newest(only_open=True) == []
    assert book.newest() == ["u"]
    assert book.tree("u") == ["u*"]


def test_an_unfinished_step_is_said_with_its_age_and_what_went_in(book: Book) -> None:
    book.opened("u", "altitude.plan")

    (step,) = book.spans.newest()

    assert say_step(step) == "[alt] plan: u → " + _NEVER.format("1s")


@pytest.mark.parametrize(
    "data",
    [
        {}, [], "text", {"age": "old", "since": 5, "name": 7}, {"age": -5, "since": "yesterday"},
        {"age": True, "name": ""}, {"name": "\x1b[31m.\n", "since": "0001-01-01T00:00:00.000000000Z"},
        {"since": "9999-12-31T23:59:59.000000000Z", "age": 2**62, "name": "a.b.c", "data": [1]},
    ],
)  # fmt: skip
def test_what_says_nothing_sensible_of_an_open_step_is_told_all_the_same(
    book: Book, data: object
) -> None:
    book.event("o", "span.open", links=["u"], data=data)

    (step,) = book.spans.newest(only_open=True)

    assert step.id == "u"
    assert "unfinished" in say_step(step)
    assert step.age is not None
    assert step.age >= 0
    assert book.tree("u") == ["u?*"]


def test_a_span_that_a_user_calls_open_is_a_step_like_any_other(book: Book) -> None:
    book.step("a", "span.open", links=["b"])
    book.event("b2", "span.open", parent="a")
    book.event("b3", "span.open", 1, parent="a", duration=7, links=["a", "nowhere"])

    assert book.newest() == ["a", "b3"]
    assert book.newest(only_open=True) == []
    assert book.tree("a") == ["a*", "  b2", "  b3"]


def test_what_was_told_open_and_has_ended_is_told_once(book: Book) -> None:
    book.step("r", "altitude.plan", 0, 9_000)
    for number in range(3):
        book.opened(f"s{number}", "focus.route", number, parent="r", trace="r")
        book.step(f"s{number}", "focus.route", number, 2_000, parent="r", trace="r")

    assert book.tree("r") == ["r*", "  s0", "  s1", "  s2"]
    assert book.tree("r", width=2) == ["r*", "  s0", "  s1", "  +1"]
    assert book.spans.trace("r").count == 4


def test_an_unfinished_step_stands_among_others_where_it_began(book: Book) -> None:
    book.step("r", "altitude.plan", 0, 9_000)
    book.step("late", "focus.route", 500, parent="r", trace="r")
    book.opened("early", "focus.route", 5, parent="r", trace="r")

    assert book.tree("r") == ["r*", "  early?", "  late"]


def test_a_tree_hangs_steps_below_their_parents_by_when_they_began(book: Book) -> None:
    book.step("r", "altitude.plan", 0, 100)
    book.step("b", "focus.route", 50, parent="r", trace="r")
    book.step("a", "focus.route", 10, parent="r", trace="r")
    book.event("task", "ops.create_task", 11, parent="a", trace="r")
    book.step("other", "focus.route", 12)

    assert book.tree("r") == ["r*", "  a", "    task", "  b"]
    trace = book.spans.trace("r")
    assert (trace.count, trace.errors) == (4, 0)
    assert (trace.start, trace.end) == (BASE_NS, BASE_NS + 100 * MS)


def test_of_a_step_inside_the_way_to_it_is_told_and_what_is_below(book: Book) -> None:
    book.step("root", "altitude.plan", 0, 100)
    book.step("mid", "focus.route", 1, 50, parent="root", trace="root")
    book.step("side", "focus.route", 2, parent="root", trace="root")
    book.step("leaf", "memory.read", 3, parent="mid", trace="root")

    assert book.tree("mid") == ["root", "  +1 beside", "  mid*", "    leaf"]
    assert book.tree("leaf") == ["root", "  +1 beside", "  mid", "    leaf*"]
    assert book.spans.trace("leaf").end == BASE_NS + 100 * MS


def test_of_what_stands_beside_the_way_to_a_step_failures_are_counted(book: Book) -> None:
    book.step("root", "altitude.plan", 0, 100)
    book.event("bad", "focus.route", 1, parent="root", trace="root", status="error", duration=1)
    book.event("mid", "focus.route", 2, parent="root", trace="root", status="error", duration=1)

    assert book.tree("mid") == ["root", "  +1 1 failed beside", "  mid*"]


def test_the_last_trace_is_told_whole_whether_its_step_ended_or_not(book: Book) -> None:
    book.step("root", "altitude.plan", 0, 100)
    book.step("side", "focus.route", 1, parent="root", trace="root")
    book.step("leaf", "memory.read", 2, parent="root", trace="root")

    assert book.tree("@last") == ["root*", "  side", "  leaf"]

    book.opened("u", "altitude.plan", 50)
    book.opened("v", "focus.route", 60, parent="u", trace="u")

    assert book.tree("@last") == ["u?*", "  v?"]

    book.step("after", "altitude.plan", 70)

    assert book.tree("@last") == ["after*"]


def test_steps_inside_an_unfinished_one_hang_below_it(book: Book) -> None:
    book.opened("u", "altitude.plan")
    book.step("a", "focus.route", 1, parent="u", trace="u")
    book.opened("v", "memory.write", 2, parent="u", trace="u")
    book.step("b", "memory.read", 3, parent="v", trace="u")

    for reference in ("u", "open-0"):
        assert book.tree(reference) == ["u?*", "  a", "  v?", "    b"]
    assert book.tree("b") == ["u?", "  +1 beside", "  v?", "    b*"]
    assert book.tree("v") == ["u?", "  +1 beside", "  v?*", "    b"]


def test_a_trace_whose_root_is_nowhere_told_has_a_place_for_it(book: Book) -> None:
    book.step("a", "focus.route", 1, parent="gone", trace="gone")
    book.step("b", "focus.route", 2, parent="a", trace="gone")

    assert book.tree("gone") == ["(gone)*", "  a", "    b"]
    assert book.tree("b") == ["(gone)", "  a", "    b*"]


def test_what_names_a_parent_that_is_lost_hangs_below_the_root_and_says_so(book: Book) -> None:
    book.step("r", "altitude.plan", 0, 100)
    book.step("a", "focus.route", 1, parent="r", trace="r")
    book.step("x", "memory.read", 2, parent="lost", trace="r")
    book.step("y", "memory.read", 3, parent="x", trace="r")

    assert book.tree("r") == ["r*", "  a", "  x of lost", "    y"]
    assert book.tree("y") == ["r", "  (lost)", "    x", "      y*"]
    assert book.tree("r", width=1) == ["r*", "  a", "  x of lost", "    y"]


def test_circles_end(book: Book) -> None:
    book.step("a", "focus.route", 1, parent="b")
    book.step("b", "focus.route", 2, parent="a")
    book.step("self", "focus.route", 3, parent="self")
    book.step("y", "focus.route", 4, parent="u")
    book.opened("u", "altitude.plan", 5, parent="y")

    assert book.tree("a") == ["b", "  a*", "    b", "      a"]
    assert book.tree("b") == ["a", "  b*", "    a", "      b"]
    assert book.tree("self") == ["self*", "  self"]
    assert book.tree("y") == ["u?", "  y*", "    u?", "      y"]
    assert book.tree("u") == ["y", "  u?*", "    y", "      u?"]


def test_two_that_tell_of_one_open_step_are_one_step(book: Book) -> None:
    book.step("r", "altitude.plan")
    book.opened("u", "focus.route", parent="r", trace="r")
    book.opened("u", "focus.route", parent="r", trace="r")
    book.step("c", "focus.route", parent="u", trace="r")

    assert book.newest(only_open=True) == ["u"]
    assert book.tree("r").count("    c") == 1


def test_wide_and_deep_is_folded_and_what_is_hidden_is_counted(book: Book) -> None:
    book.step("r", "altitude.plan")
    for number in range(5):
        status = "error" if number > 2 else "success"
        book.event(f"n{number}", "focus.route", number, parent="r", status=status, duration=1)
    book.step("n0a", "focus.route", 1, parent="n0")
    book.step("n0b", "focus.route", 1, parent="n0a")

    assert book.tree("r", width=2) == [
        "r*", "  n0", "    n0a", "      n0b", "  n1", "  +3 2 failed"
    ]  # fmt: skip
    assert book.tree("r", width=9, depth=1)[:3] == ["r*", "  n0", "    +2"]


def test_the_way_to_a_step_that_is_deep_is_folded(book: Book) -> None:
    book.step("s0", "altitude.plan")
    for number in range(1, 30):
        book.step(f"s{number}", "focus.route", number, parent=f"s{number - 1}", trace="s0")

    lines = book.tree("s29")

    assert [line.strip() for line in lines[:3]] == ["s0", "+8", "s9"]
    assert lines[-1].strip() == "s29*"


def test_a_clock_that_was_set_back_keeps_children_below_their_parents(book: Book) -> None:
    book.step("r", "altitude.plan", 0, 10)
    book.step("early", "focus.route", -5_000, 1, parent="r", trace="r")
    book.event("less", "focus.route", 1, parent="r", trace="r", status="success", duration=0)

    trace = book.spans.trace("r")

    assert [_draw(node) for node in trace.nodes()] == ["r*", "  early", "  less"]
    assert (trace.start, trace.end) == (BASE_NS - 5_000 * MS, BASE_NS + 10 * MS)


def test_a_unique_part_of_an_id_is_enough_and_several_are_named(book: Book) -> None:
    book.step("alt_1_aaaa1111", "altitude.plan")
    book.step("alt_1_bbbb1111", "altitude.plan", 1)
    book.opened("mem_1_cccc2222", "memory.read", 2)

    assert book.tree("bbbb1111") == ["alt_1_bbbb1111*"]
    assert book.tree("mem_1") == ["mem_1_cccc2222?*"]
    assert book.tree("2222") == ["mem_1_cccc2222?*"]
    assert book.tree("@last") == ["mem_1_cccc2222?*"]
    with pytest.raises(NotFoundError, match="ambiguous: 2 steps") as raised:
        book.tree("1111")
    assert len(raised.value.candidates) == 2
    for reference in ("nobody", "", "111", "x" * 500, "'; DROP TABLE entries"):
        with pytest.raises(NotFoundError, match="no step has"):
            book.tree(reference)


def test_hostile_ids_and_names_are_found_as_they_are(book: Book) -> None:
    name = "\x1b]0;pwned\x07' OR 1=1 --%_\n"
    book.step(name, "a\x00b.c\u202e", data={"input": "\x1b[2J"})
    book.step("child", "x.y", 1, parent=name)

    assert book.tree(name) == [f"{name}*", "  child"]
    assert book.newest(primitive="a\x00b") == [name]


def test_an_empty_log_has_no_steps(tmp_path: Path) -> None:
    with Log(tmp_path / ".whence", read_only=True) as log:
        assert list(log.spans().newest()) == []
        assert log.spans().layers(last=10).layers == ()
        with pytest.raises(NotFoundError, match="nothing is recorded"):
            log.spans().trace("abcd")


def test_what_is_recorded_live_is_told_as_it_comes(book: Book) -> None:
    book.opened("u", "altitude.plan")
    book.step("a", "focus.route", 1)
    book.event("c", "ops.create_task", 2)
    spans = book.spans

    def told(only_open: bool = False, **query: object) -> list[str]:
        chosen = msgspec.convert(query, StepQuery)
        steps: list[Step | None] = [
            spans.tell_live(event, chosen, only_open=only_open) for event in book.log.events()
        ]
        return [say_step(step) for step in steps if step is not None]

    assert told() == ["[foc] route → success (1ms)", "[alt] plan: u → unfinished, 1s so far"]
    assert told(only_open=True) == ["[alt] plan: u → unfinished, 1s so far"]
    assert told(primitive="focus") == ["[foc] route → success (1ms)"]


def test_of_a_large_trace_only_a_little_is_held(tmp_path: Path) -> None:
    """A tree of 11,111 steps, 5,000 below one of them and a chain of 2,000, all told to the end."""
    lines, size = [], 0

    def add(parent: str | None) -> str:
        nonlocal size
        size += 1
        fields = {"id": f"s{size}", "primitive": "altitude", "type": "plan", "status": "success"}
        time = BASE_NS + size * MS
        lines.append(make_line(size, time=time, duration=1, parent=parent, trace="s1", **fields))
        return fields["id"]

    def grow(parent: str | None, levels: int) -> None:
        here = add(parent)
        for _ in range(10 if levels else 0):
            grow(here, levels - 1)

    grow(None, 4)
    for _ in range(5_000):
        add("s2")
    end = "s1"
    for _ in range(2_000):
        end = add(end)
    append(tmp_path, lines)
    lines.clear()
    with Log(tmp_path, read_only=True) as log:
        trace = log.spans().trace("s1", width=10**6, depth=10**6)
        first = next(trace.nodes())
        tracemalloc.start()
        told = sum(node.step is not None for node in trace.nodes())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert first.is_asked
    assert told == trace.count == 18_111
    assert peak < 1_500_000
