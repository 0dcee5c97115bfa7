"""`whence spans` and `whence stats` on the command line, in the seed's words."""

import json
import re
from pathlib import Path

import pytest

import whence
from tests.unit.cli.asking import Ask
from tests.unit.index.lines import BASE_NS, append, make_line
from whence.cli.screen import Screen
from whence.cli.spans import _draw, _lines
from whence.cli.stats import _draw as draw_stats
from whence.cli.steps import split_operation
from whence.draw.cells import width
from whence.log import Log

MS = 1_000_000


@pytest.fixture
def assistant(here: Path) -> Path:
    """A log with the seed's own trace: its three nested steps, 1,000 of them in all."""
    folder = here / ".whence"
    folder.mkdir()
    layers = [("altitude", 150, 8, 2), ("focus", 400, 3, 0), ("memory", 447, 2, 1)]
    lines = [
        make_line(0, id="alt_1705180800_a3f2", time=BASE_NS, primitive="altitude",
                  type="transition", status="success", duration=45 * MS,
                  data={"input": "L3→L2", "output": "success"}),
        make_line(1, id="foc_1705180801_b7c1", time=BASE_NS + MS, primitive="focus",
                  type="gate_check", status="success", duration=5 * MS,
                  parent="alt_1705180800_a3f2", trace="alt_1705180800_a3f2",
                  data={"input": "WriteApprovalGate", "output": "allowed"}),
        make_line(2, id="mem_1705180802_c8d2", time=BASE_NS + 2 * MS, primitive="memory",
                  type="write", status="success", duration=23 * MS,
                  parent="foc_1705180801_b7c1", trace="alt_1705180800_a3f2",
                  data={"input": "altitude.session", "output": "written", "tokens_saved": 45}),
    ]  # fmt: skip
    for layer, count, took, errors in layers:
        lines += [
            make_line(
                len(lines) + n,
                time=BASE_NS + (len(lines) + n) * MS,
                primitive=layer,
                type="step",
                status="error" if n < errors else "success",
                duration=took * MS,
            )
            for n in range(count)
        ]
    append(folder, lines)
    return folder


def test_steps_are_told_one_a_line_with_time_and_the_end_of_the_id(
    ask: Ask, assistant: Path
) -> None:
    lines = ask("spans", "--operation", "gate_check", "--utc").out.splitlines()

    assert lines == [
        "2026-09-21 14:13:20 801_b7c1 [foc] gate_check: WriteApprovalGate → allowed (5ms)"
    ]
    assert len(ask("spans").out.splitlines()) == 100
    for option in ("--last", "-n", "--number"):
        assert len(ask("spans", option, "7").out.splitlines()) == 7


@pytest.mark.parametrize("layer", ["altitude", "alt"])
def test_a_layer_is_found_by_its_name_and_by_its_code(
    ask: Ask, assistant: Path, layer: str
) -> None:
    assert ask("spans", "--hrm", layer, "--last", "1000").out.count("[alt]") == 151
    assert ask("spans", "--hrm", layer, "--status", "error").out.count("[alt]") == 2
    assert ask("spans", "--slow", "45ms", "--hrm", layer).out.count("\n") == 1
    assert ask("--hrm", layer, "-n", "3", "spans").out.count("[alt]") == 3


def test_the_tree_of_a_trace_is_the_seeds_with_bars(ask: Ask, assistant: Path) -> None:
    write = "[mem] write: altitude.session → written (23ms) [saved 45 tokens]"
    tree = [
        "Trace alt_1705180800_a3f2: 3 events, 45ms, 2026-09-21 14:13:20",
        "████████████████████████│ [alt] transition: L3→L2 → success (45ms)",
        "████                    │   └─[foc] gate_check: WriteApprovalGate → allowed (5ms)",
        f" █████████████          │       └─{write}",
    ]
    for reference in ("alt_1705180800_a3f2", "a3f2"):
        assert ask("spans", "--trace-id", reference, "--utc").out.splitlines() == tree
    plain = ask("spans", "--trace-id", "a3f2", "--ascii").out
    assert plain.isascii()
    assert "`-[foc] gate_check" in plain


def test_the_summary_is_the_seeds_with_more_behind_it(ask: Ask, assistant: Path) -> None:
    lines = ask("stats").out.splitlines()

    assert lines == [
        "HRM Layer Stats (last 1000 events):",
        "- altitude: 151 ops, avg 8.2ms, 2 errors, p50 8ms, p95 8ms, p99 8ms",
        "- focus: 401 ops, avg 3ms, 0 errors, p50 3ms, p95 3ms, p99 3ms",
        "- memory: 448 ops, avg 2ms, 1 error, p50 2ms, p95 2ms, p99 2ms",
        "",
        "Slowest operations:",
        "1. alt_transition: 45ms (L3→L2)",
        "2. mem_write: 23ms (altitude.session)",
        *(line for line in lines[8:] if re.fullmatch(r"[345]\. alt_step: 8ms( → error)?", line)),
    ]
    assert len(lines) == 11


def test_an_operation_is_shown_with_its_histogram(ask: Ask, assistant: Path) -> None:
    for spelt in ("gate_check", "focus.gate_check", "foc.gate_check", "foc_gate_check"):
        lines = ask("stats", "--operation", spelt).out.splitlines()
        assert lines[0] == "HRM Operation Stats (last 1 event):"
        assert lines[1].startswith("- focus.gate_check: 1 op, avg 5ms, 0 errors")
        assert lines[3:5] == ["focus.gate_check", "5ms – 10ms " + "█" * 40 + " 1"]


@pytest.mark.parametrize(
    ("layer", "operation", "meant"),
    [
        (None, None, (None, None)),
        ("alt", None, ("altitude", None)),
        (None, "transition", (None, "transition")),
        (None, "gate_check", (None, "gate_check")),
        ("mem", "altitude.plan", ("memory", "altitude.plan")),
        ("memory", "mem.read", ("memory", "read")),
        (None, "http.get", ("http", "get")),
        (None, "alt_", (None, "alt_")),
    ],
)
def test_operations_are_meant_however_they_are_spelt(
    layer: str | None, operation: str | None, meant: tuple[str | None, str | None]
) -> None:
    assert split_operation(layer, operation) == meant


def test_a_window_is_summed_up_as_a_whole(ask: Ask, assistant: Path) -> None:
    answer = ask("stats", "-S", "2026-09-21T14:13:20.004Z", "-U", "2026-09-21T14:13:20.012Z")

    assert answer.out.startswith("HRM Layer Stats (8 events):\n- altitude: 8 ops")
    assert answer.err.startswith("from 2026-09-21")


def test_documents_say_all_of_it(ask: Ask, assistant: Path) -> None:
    listed = json.loads(ask("spans", "-n", "2", "-o", "json").out)
    assert [step["text"] for step in listed["steps"]] == ["[mem] step → success (2ms)"] * 2
    lines = ask("spans", "-n", "2", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["duration"] for line in lines] == [2 * MS] * 2

    tree = json.loads(ask("spans", "--trace-id", "a3f2", "--json").out)
    assert (tree["count"], tree["errors"]) == (3, 0)
    assert [(step["depth"], step["parent_line"]) for step in tree["steps"]] == [
        (0, None), (1, 0), (2, 1)
    ]  # fmt: skip
    assert tree["steps"][0]["is_asked"]

    summary = json.loads(ask("stats", "-o", "json").out)
    assert summary["count"] == 1000
    assert summary["layers"][0]["errors"] == 2
    assert summary["slowest"][0]["id"] == "alt_1705180800_a3f2"
    assert summary["is_exact"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["spans", "--depth", "3"], "--depth goes with --trace-id"),
        (["spans", "--trace-id", "a3f2", "--status", "error"], "no filters"),
        (["spans", "--trace-id", "a3f2", "-f"], "no --follow"),
        (["spans", "-f", "-o", "json"], "would never end"),
        (["spans", "--slow", "fast"], "fast"),
        (["spans", "--status", "lost"], "lost"),
        (["spans", "-n", "-1"], "below 0"),
        (["stats", "--status", "open"], "never ended"),
    ],
)
def test_what_contradicts_itself_is_refused(
    ask: Ask, assistant: Path, arguments: list[str], problem: str
) -> None:
    answer = ask(*arguments)

    assert answer.code == 2
    assert problem in answer.err
    assert answer.out == ""


def test_an_id_that_nothing_has_is_not_found(ask: Ask, assistant: Path) -> None:
    answer = ask("spans", "--trace-id", "nothing-like-it")

    assert answer.code == 3
    assert "no step has an id like 'nothing-like-it'" in answer.err


def test_without_steps_nothing_is_found_and_without_a_journal_ways_to_begin_are_shown(
    ask: Ask, here: Path
) -> None:
    for verb in ("spans", "stats"):
        answer = ask(verb)
        assert answer.code == 3
        assert "with whence.span(" in answer.err
    with whence.open(here / ".whence") as log:
        log.emit("ops", "create_task")

    assert ask("spans") == (0, "", "no steps found\n")
    assert ask("stats").out == "HRM Layer Stats (last 0 events):\nno steps found\n"
    document = json.loads(ask("stats", "-o", "json").out)
    assert (document["layers"], document["slowest"]) == ([], [])


@pytest.mark.parametrize("columns", [10, 24, 40, 80])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_narrow_terminals_and_hostile_names_are_no_trouble(
    here: Path, columns: int, ascii_only: bool
) -> None:
    folder = here / ".whence"
    folder.mkdir()
    hostile = "\x1b[31m\u202e" + "very long " * 30 + "\n👩‍👩‍👧"
    lines = [
        make_line(n, id=f"step-{n}", time=BASE_NS + n * MS, primitive="a\x1bb", type=hostile[:60],
                  status="error", duration=n, data={"input": hostile, "error": hostile},
                  parent=f"step-{n - 1}" if n else None, trace="step-0")
        for n in range(60)
    ]  # fmt: skip
    append(folder, lines)
    screen = Screen(width=columns, ascii=ascii_only)
    with Log(folder, read_only=True) as log:
        drawn: list[str] = []
        for step in log.spans().newest():
            drawn += _lines(step, screen, "short")
        drawn += _draw(log.spans().trace("step-0"), screen)
        drawn += draw_stats(log.spans().layers(by_operation=True), 1000, screen)

    assert max(map(width, drawn)) <= max(columns, 24)
    assert not [line for line in drawn if "\x1b" in line or "\u202e" in line]
    assert not ascii_only or all(line.isascii() for line in drawn)


def test_a_value_of_any_length_is_shown_in_short(ask: Ask, here: Path) -> None:
    with whence.open(here / ".whence") as log, log.span("altitude.plan", input="x" * 50_000):
        pass

    for arguments in (["spans"], ["stats"], ["spans", "--trace-id", "@last"]):
        lines = ask(*arguments).out.splitlines()
        assert "xxx" in "".join(lines)
        assert max(map(len, lines)) < 400


def test_colour_is_never_the_only_sign(ask: Ask, assistant: Path) -> None:
    for arguments in (["spans", "--status", "error"], ["stats"], ["spans", "--trace-id", "a3f2"]):
        plain = ask(*arguments, "--color", "never").out
        painted = ask(*arguments, "--color", "always").out
        assert re.sub("\x1b\\[[0-9;]*m", "", painted) == plain
        assert painted != plain
