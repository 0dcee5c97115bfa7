"""What the tests of the swarm share: recording to a log, and what came of it."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.unit.recorder.recording import read_events
from whence.event import Event


def last(folder: Path) -> Event:
    """The event that was recorded last."""
    return read_events(folder)[-1]


def said(folder: Path) -> tuple[str, str, str | None, str | None, Any]:
    """What the last event says: primitive, type, agent, target, data."""
    event = last(folder)
    return event.primitive, event.type, event.agent, event.target, event.data


def by_id(folder: Path) -> dict[str, Event]:
    """What was recorded, by id."""
    return {event.id: event for event in read_events(folder)}


def run_process(folder: Path, code: str) -> str:
    """Run code in another process, where `log` and its `swarm` are; return what it printed."""
    head = f"import whence\nlog = whence.open({str(folder)!r})\nswarm = whence.swarm.Swarm(log)\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
