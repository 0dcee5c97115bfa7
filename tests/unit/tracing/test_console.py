"""The console draws the seed's tree, whatever happens at the same time and wherever it goes."""

import asyncio
import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.tracing.tracing import Hostile, recorded
from whence.log import Log
from whence.tracing import TraceEvent, Tracer
from whence.tracing.console import describe

_SEED = """\
[alt] transition: L3→L2 → success (Nms)
  └─[foc] gate_check: WriteApprovalGate → allowed (Nms)
      └─[mem] write: altitude.session → written (Nms) [saved 45 tokens]
"""


@pytest.fixture
def shown(tracer: Tracer) -> Tracer:
    """The tracer, drawing trees."""
    tracer.enable(console="tree")
    return tracer


def _timeless(text: str) -> str:
    """How long it took is not what these tests are about."""
    return re.sub(r"\(\d+ms\)", "(Nms)", text)


def _seed(tracer: Tracer) -> None:
    with (
        tracer.span("alt", "transition", "altitude.py", "L3→L2") as alt,
        tracer.span("foc", "gate_check", "gates.py", "WriteApprovalGate") as foc,
        tracer.span("mem", "write", "manager.py", "altitude.session") as mem,
    ):
        assert alt is not None
        assert foc is not None
        assert mem is not None
        mem.set_output("written", tokens_saved=45, tier="warm")
        foc.set_output("allowed")
        alt.set_output("success")


def test_the_seeds_tree_is_drawn_as_the_seed_draws_it(
    shown: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    _seed(shown)

    out, err = capsys.readouterr()
    assert out == ""
    assert _timeless(err) == _SEED


def test_a_line_is_said_when_a_step_begins(
    tracer: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    tracer.enable(console="lines")
    with tracer.span("alt", "transition", input_data="L3→L2"):
        assert capsys.readouterr().err == "[TRACE] altitude.transition: L3→L2\n"
        tracer.event("foc", "gate_check", input_data="G")
        assert capsys.readouterr().err == "[TRACE] focus.gate_check: G\n"
        with tracer.span("mem", "read"):
            pass
    assert capsys.readouterr().err == "[TRACE] memory.read\n"


def test_both_forms_together(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    tracer.enable(console="both")
    with tracer.span("alt", "plan"):
        pass

    assert _timeless(capsys.readouterr().err) == "[TRACE] altitude.plan\n[alt] plan (Nms)\n"


def test_nothing_is_shown_where_nobody_asks(
    traced: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    _seed(traced)

    assert capsys.readouterr() == ("", "")


def test_trees_of_threads_do_not_mix(shown: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    together = threading.Barrier(3)

    def work(name: str) -> None:
        with shown.span("alt", "outer", input_data=name):
            together.wait()
            for step in ("one", "two"):
                with shown.span("foc", step, input_data=name):
                    together.wait()
                    shown.event("mem", "read", input_data=name)
                    together.wait()
            together.wait()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, "abc"))

    assert _trees(capsys.readouterr().err) == sorted(
        f"[alt] outer: {name} (Nms)\n"
        f"  ├─[foc] one: {name} (Nms)\n"
        f"  │   └─[mem] read: {name} (Nms)\n"
        f"  └─[foc] two: {name} (Nms)\n"
        f"      └─[mem] read: {name} (Nms)\n"
        for name in "abc"
    )


def test_trees_of_tasks_do_not_mix(shown: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(name: str) -> None:
        with shown.span("alt", "outer", input_data=name):
            for step in ("one", "two"):
                await asyncio.sleep(0)
                with shown.span("foc", step, input_data=name):
                    await asyncio.sleep(0)

    async def gather() -> None:
        await asyncio.gather(*map(work, "abc"))

    asyncio.run(gather())

    assert _trees(capsys.readouterr().err) == sorted(
        f"[alt] outer: {name} (Nms)\n  ├─[foc] one: {name} (Nms)\n  └─[foc] two: {name} (Nms)\n"
        for name in "abc"
    )


def test_tasks_below_one_step_are_one_tree(
    shown: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(name: str) -> None:
        with shown.span("foc", name):
            await asyncio.sleep(0)
            with shown.span("mem", name):
                await asyncio.sleep(0)

    async def gather() -> None:
        with shown.span("alt", "outer"):
            await asyncio.gather(work("a"), work("b"))

    asyncio.run(gather())

    assert _timeless(capsys.readouterr().err) == (
        "[alt] outer (Nms)\n"
        "  ├─[foc] a (Nms)\n"
        "  │   └─[mem] a (Nms)\n"
        "  └─[foc] b (Nms)\n"
        "      └─[mem] b (Nms)\n"
    )


def test_a_step_that_outlives_the_one_around_it_is_drawn_alone(
    shown: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    async def late(may_go: asyncio.Event) -> None:
        with shown.span("mem", "late"):
            await may_go.wait()

    async def run() -> None:
        may_go = asyncio.Event()
        with shown.span("alt", "outer"):
            task = asyncio.create_task(late(may_go))
            await asyncio.sleep(0)
        may_go.set()
        await task

    asyncio.run(run())

    assert _timeless(capsys.readouterr().err) == "[alt] outer (Nms)\n[mem] late (Nms)\n"


def _trees(text: str) -> list[str]:
    trees: list[str] = []
    for line in _timeless(text).splitlines(keepends=True):
        if line.startswith("["):
            trees.append("")
        trees[-1] += line
    return sorted(trees)


def test_a_forked_child_draws_its_own_steps(
    shown: Tracer, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    with shown.span("alt", "outer"):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException), shown.span("foc", "inner"):
                pass
            os._exit(0)
        os.waitpid(child, 0)

    assert _timeless(capfd.readouterr().err) == "[foc] inner (Nms)\n[alt] outer (Nms)\n"


def test_of_a_large_tree_the_rest_is_counted(
    shown: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    with shown.span("alt", "outer"):
        for _ in range(3):
            with shown.span("foc", "loop"):
                for _ in range(600):
                    shown.event("mem", "read")
        shown.event("sys", "last")

    lines = capsys.readouterr().err.splitlines()
    assert sum("loop" in line for line in lines) == 2
    # 3 loops, 1,800 reads and the last one, of which a thousand are shown, and the loops around them.
    assert lines[-1] == f"  … {1_804 - (len(lines) - 2):,} more steps"
    assert len(lines) == 1_003


@pytest.mark.parametrize(
    ("status", "output", "metadata", "said"),
    [
        ("success", "", {}, ""),
        ("success", "done", {}, " → done"),
        ("error", "", {"error": "disk full"}, " → error: disk full"),
        ("error", "half", {}, " → half, error"),
        ("blocked", "denied", {"reason": "no"}, " → denied, blocked: no"),
        ("failed", "", {}, " → failed"),
    ],
)
def test_how_a_step_ended_is_said(
    status: str, output: str, metadata: dict[str, object], said: str
) -> None:
    event = TraceEvent("i", None, "t", "focus", "check", "c", "G", output, 2, status, metadata)

    assert describe(event) == f"[foc] check: G{said} (2ms)"


@pytest.mark.parametrize(
    ("metadata", "notes"),
    [
        ({"tokens_saved": 45}, " [saved 45 tokens]"),
        ({"tokens_saved": 4.5, "retries": 2}, " [saved 4.5 tokens] [2 retries]"),
        ({"not_sampled": 7}, " [7 more not sampled]"),
        ({"tokens_saved": True}, ""),
        ({"tokens_saved": "many"}, ""),
    ],
)
def test_what_is_worth_a_note_is_noted(metadata: dict[str, object], notes: str) -> None:
    event = TraceEvent("i", None, "t", "memory", "write", "", "", "", 3, "success", metadata)

    assert describe(event) == f"[mem] write (3ms){notes}"


def test_what_is_shown_cannot_meddle_with_the_terminal_and_holds_no_secret(
    tracer: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    tracer.enable(console="both")
    with pytest.raises(ValueError), tracer.span("alt", "pl\x1b[2Jan", input_data="a\r\nb\u202e"):
        raise ValueError("\x1b]0;title\x07")
    secret = "Authorization: Bearer abcdef0123456789abcdef"
    tracer.event("sys", "execute", input_data=secret)
    with tracer.span("sys", "execute", input_data=secret):
        pass

    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\r" not in err
    assert "\u202e" not in err
    assert "abcdef0123456789" not in err
    assert len(err.splitlines()) == 6


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_where_lines_cannot_be_drawn_plain_signs_stand(
    shown: Tracer, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding=encoding))
    _seed(shown)

    text = _timeless(written.getvalue().decode("ascii"))
    assert text == _SEED.replace("└─", "`-").replace("→", "->")


class _Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise RuntimeError("no")


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [lambda: None, _Broken, Hostile, _closed])
def test_a_stream_that_is_gone_or_fails_breaks_nothing(
    shown: Tracer, log: Log, monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]
) -> None:
    monkeypatch.setattr(sys, "stderr", make())
    _seed(shown)
    shown.event("sys", "execute")

    assert len(recorded(log)) == 4
    assert log.recorder.lost == 0


_PROGRAM = """
from whence.tracing import tracer
with tracer.span("alt", "plan", input_data="x" * 60):
    with tracer.span("foc", "gate_check") as ctx:
        ctx.block("no")
"""


def _on_a_terminal(folder: Path, columns: int, **environment: str) -> str:
    """What a program shows on a real terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], cwd=folder, stderr=slave, stdout=subprocess.DEVNULL,
        env={**kept, "LC_ALL": "C.UTF-8", "TERM": "xterm", "WHENCE_TRACE": "tree", **environment},
    )  # fmt: skip
    os.close(slave)
    text = b"".join(_read_all(master)).decode()
    os.close(master)
    assert process.wait() == 0
    return text


def _read_all(fd: int) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := os.read(fd, 65_536):
            yield data


def test_on_a_terminal_trouble_is_coloured_and_lines_are_as_wide_as_it_is(folder: Path) -> None:
    first, second = _on_a_terminal(folder, 40).splitlines()

    assert first == "[alt] plan: " + "x" * 27 + "…"
    assert second.startswith("  └─\x1b[33m[foc] gate_check → blocked: no")


def test_colours_can_be_refused(folder: Path) -> None:
    assert "\x1b" not in _on_a_terminal(folder, 80, NO_COLOR="1")


def test_elsewhere_colours_can_be_asked_for(
    shown: Tracer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.event("alt", "plan", status="error")
    assert "\x1b" not in capsys.readouterr().err
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown.event("alt", "plan", status="error")
    assert "\x1b[31m" in capsys.readouterr().err
