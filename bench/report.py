"""The table that a run prints and keeps, and the machine it was measured on."""

import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.measure import FOLDER, Finding, Plan
from bench.targets import BY_KEY, format_value
from whence.journal.folder import check_file_system

_PACKAGES = ("whence", "msgspec", "opentelemetry-sdk", "structlog", "orjson", "eliot")
_TITLES = ("what", "Whence", "peer", "figure", "target", "met", "note")


def as_cells(finding: Finding) -> tuple[str, ...]:
    """One row of the table."""
    target = BY_KEY[finding.key]
    return (
        target.what,
        finding.ours,
        f"{target.peer} {finding.peer}".strip(),
        format_value(finding.value, target.unit),
        target.wanted,
        "yes" if target.is_met(finding.value) else "**no**",
        finding.note,
    )


def write_table(findings: Sequence[Finding]) -> str:
    """All rows as a Markdown table, its columns aligned for those who read it as it is."""
    rows = [_TITLES, *map(as_cells, findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def describe_run(plan: Plan, load_before: float, paces: Sequence[float]) -> str:
    """Where and how it was measured; `paces` were taken before each part."""
    load_after = os.getloadavg()[0]
    facts = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{_processor()}, {os.cpu_count()} CPUs, {_memory_gb():.0f} GB",
        "pace": f"{min(paces):.0f} to {max(paces):.0f} ms for a million additions",
        "system": f"{platform.system()} {platform.release()}, {_file_system()}",
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "load average": f"{load_before:.1f} before, {load_after:.1f} after",
        "rounds": f"{plan.rounds}, of {plan.events:,} events in the index",
    }
    return "".join(f"- {name}: {fact}\n" for name, fact in facts.items())


def count_ms() -> float:
    """Milliseconds of CPU for a million additions in a Python loop: how fast this machine is just now."""
    start, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return (time.process_time() - start) * 1000


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _file_system() -> str:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return check_file_system(FOLDER).kind


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not here)"
