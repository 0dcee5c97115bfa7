"""Files of JSON lines: by a mapping, in a folder of daily files, and the seeds' own."""

import gzip
import json
from pathlib import Path
from typing import Any

from tests.contract.sources.case import Case
from whence.sources.jsonl import open_source
from whence.sources.source import Source

START = 1_795_000_000
ROWS = 14
_BROKEN = '{"at": 1795000000, "who": "agent-1"'


def _append(file: Path, *rows: Any, end: str = "\n") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8", newline="") as opened:
        for row in rows:
            text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
            opened.write(text + end)


def _step(number: int) -> dict[str, Any]:
    return {
        "at": START + (number // 2 if number % 5 else 3),
        "who": f"agent-{number % 2}",
        "on": {"room": [f"#room-{number % 3}"], "after": [f"step-{number - 1}", "step-1"]},
        "step": f"step-{number}",
        "state": ("success", "blocked", "odd")[number % 3],
        "say": "Grüße 😀",
    }


_STEP_KEYS: dict[str, Any] = {
    "time": "at",
    "unit": "s",
    "id": "step",
    "agent": "who",
    "target": "on.room.0",
    "status": "state",
    "relations": {"on.after": "after"},
    "text": "{who} said {say}",
}


def _make_file(folder: Path) -> Source:
    _append(folder / "steps.jsonl", "\ufeff" + json.dumps(_step(1)), "", end="\r\n")
    _append(folder / "steps.jsonl", *map(_step, range(2, ROWS)), _step(2))
    return open_source(folder / "steps.jsonl", "jsonl:steps.jsonl", _STEP_KEYS)


def _add_to_file(folder: Path) -> None:
    _append(folder / "steps.jsonl", _step(ROWS), _step(3))
    _append(folder / "steps.jsonl", json.dumps(_step(ROWS + 1))[:-4], end="")


def _make_days(folder: Path) -> Source:
    keys = {"time": "at", "unit": "s", "agent": "who", "target": "on.room.0"}
    for day in range(3):
        _append(folder / "days" / f"day-{day}.jsonl", *(_step(5 * day + n) for n in range(5)))
    first = folder / "days" / "day-0.jsonl"
    first.with_name("day-0.jsonl.gz").write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    return open_source(folder / "days", "jsonl:days", keys)


def _make_pattern(folder: Path) -> Source:
    _make_days(folder)
    pattern = folder / "**" / "day-*"
    return open_source(pattern, "jsonl:**/day-*", {**_STEP_KEYS, "parent": "on.after.0"})


def _trace(number: int) -> dict[str, Any]:
    """A line as the tracer of seed 001 writes it."""
    return {
        "trace_id": f"alt_179500000{number // 3}_a{number % 3}f2",
        "parent_id": f"alt_1795000000_a{number % 3}f2" if number > 3 else None,
        "timestamp": f"2026-11-20T14:00:0{number // 2}" + (".250000" if number % 3 else ""),
        "hrm_layer": ("alt", "focus", "sys")[number % 3],
        "operation": ("altitude.transition", "gate_check")[number % 2],
        "component": ("altitude.py", "gates.py")[number % 2],
        "input_summary": "L3→L2",
        "output_summary": "success",
        "duration_ms": number,
        "status": ("success", "error", "blocked")[number % 3],
        "metadata": {"task": f"task-{number % 2}"},
    }


def _learning(number: int) -> dict[str, Any]:
    """A line as the learning log of seed 002 has them."""
    return {
        "event_id": f"5a7e{number:04}-0000-4000-8000-000000000000",
        "timestamp": f"2026-11-20T14:00:0{number // 2}.5+00:00",
        "event_type": "variable_weight_update" if number % 2 else "rule_activation",
        "data": {"variable": f"v{number}"} if number % 2 else {"rule_id": "r1", "outcome": None},
        "context": {"agent": f"agent-{number % 2}"},
    }


def _decision(number: int) -> dict[str, Any]:
    """A line as seed 003 writes it."""
    return {
        "action": "upgrade_proposal",
        "approved": number % 2 == 0,
        "datetime_utc": "2026-11-20T14:00:00Z",
        "reason": "all 4 votes passed",
        "subject": {"prompt_id": f"prompt-{number % 3}", "user_id": number % 2},
        "timestamp": START + number // 2 + 0.125,
        "votes": {"circuit_breaker": {"passed": True, "reason": "closed"}},
    }


def _built_in(name: str, tell: Any, **keys: Any) -> Case:
    def make(folder: Path) -> Source:
        _append(folder / f"{name}.jsonl", *map(tell, range(12)))
        return open_source(folder / f"{name}.jsonl", f"jsonl:{name}.jsonl", keys)

    def add(folder: Path) -> None:
        _append(folder / f"{name}.jsonl", tell(13))

    def spoil(folder: Path) -> None:
        _append(folder / f"{name}.jsonl", tell(14) | {"timestamp": None})

    return Case(name=f"jsonl: {name}", make=make, add=add, spoil=spoil)


CASES = [
    Case(
        name="jsonl: one file",
        make=_make_file,
        add=_add_to_file,
        spoil=lambda folder: _append(folder / "steps.jsonl", _BROKEN),
    ),
    Case(
        name="jsonl: a folder of days",
        make=_make_days,
        add=lambda folder: _append(folder / "days" / "day-3.jsonl", _step(ROWS + 2)),
        spoil=lambda folder: _append(folder / "days" / "day-2.jsonl", "[1, 2]"),
    ),
    Case(
        name="jsonl: a pattern",
        make=_make_pattern,
        add=lambda folder: _append(folder / "days" / "deeper" / "day-3.jsonl", _step(ROWS + 2)),
        spoil=lambda folder: _append(
            folder / "days" / "day-2.jsonl", '{"step": "step-1", "at": NaN}'
        ),
    ),
    _built_in("trace", _trace, agent="component", target="metadata.task"),
    _built_in("learning", _learning, format="learning", agent="context.agent"),
    _built_in("decisions", _decision, agent="subject.user_id"),
]
